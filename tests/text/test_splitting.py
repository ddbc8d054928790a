"""Splitting a text into steps."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llasa_search.text.splitting import LONGEST_SECONDS, SHORTEST_SECONDS, split


def seconds(text: str) -> float:
    """Returns 1/15 s per Latin and 1/5 s per Chinese character, as in `llasa_search.llasa.duration`."""
    return sum(3 if char >= "\u2e80" else 1 for char in text) / 15


def steps(text: str) -> list[str]:
    return [step.strip() for step in split(text, seconds)]


@given(st.text(alphabet="ab1A .,!?;:…—“”\"'()。！？，、；今天\u0301\n", max_size=400))
@example("Mr. A. B. said no. 5 " * 30)
@example("。" * 300)
def test_the_steps_join_to_the_text(text: str) -> None:
    """The steps joined are the text; if there are several, each has a letter or digit and lasts long enough."""
    parts = split(text, seconds)
    assert "".join(parts) == text
    if len(parts) > 1:
        assert all(any(map(str.isalnum, part)) for part in parts)
        assert all(seconds(part) >= SHORTEST_SECONDS for part in parts)


@given(st.lists(st.sampled_from(["coin", "lake,", "captain;", "今天", "好，", "Yes.", "好。"]), max_size=150))
def test_no_step_is_too_long(words: list[str]) -> None:
    """A sentence without an end is split, so that no step exceeds the limit."""
    longest = LONGEST_SECONDS + 2 * SHORTEST_SECONDS  # with short neighbours on both sides
    assert all(seconds(step) <= longest for step in split(" ".join(words), seconds))


@pytest.mark.parametrize(
    "sentence",
    [
        "Dr. Smith and Mrs. Jones met the king.",
        "J. R. R. Tolkien wrote a long book.",
        "It costs $3.50 or 1,000.25 in all today.",
        "He lives at No. 5 and she at No. 7.",
        "We saw it on Jan. 5 and on Dec. 24.",
        "The U.S. Army bought them, e.g. two boats.",
        "“Where are you going?” she asked him.",
        "I was ... well, not quite sure of it.",
        "See example.com or write to a.b@c.org today.",
        "“你要去哪里吗？”他轻轻地问道。",
        "我……不知道该怎么办才好。",
        "价格是3.50元，也就是三块五。",
    ],
)
def test_marks_inside_a_sentence_do_not_end_it(sentence: str) -> None:
    """Abbreviations, initials, numbers and quoted questions do not end a sentence."""
    another = "今天天气非常好。" if sentence[-1] == "。" else "Another one comes here."
    assert steps(f"{another} {sentence} {another}") == [another, sentence, another]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "There it was, and so was I. They all knew that.",
            ["There it was, and so was I.", "They all knew that."],
        ),
        ("They left at 5 p.m. The rain had begun.", ["They left at 5 p.m.", "The rain had begun."]),
        ("He said, “I am here.” Then he left us.", ["He said, “I am here.”", "Then he left us."]),
        ("(It was cold that day.) But he went out!", ["(It was cold that day.)", "But he went out!"]),
        ("What is this thing?! Nobody could tell...", ["What is this thing?!", "Nobody could tell..."]),
        (
            "今天天气很好！我们去公园吧？太好了我也去。",
            ["今天天气很好！", "我们去公园吧？", "太好了我也去。"],
        ),
        ("他说：“我已经走了。”然后他就离开了。", ["他说：“我已经走了。”", "然后他就离开了。"]),
        ("你好,我叫小明.今天天气很好.", ["你好,我叫小明.", "今天天气很好."]),
        ("I like 北京烤鸭 a lot. 今天我们去吃吧。", ["I like 北京烤鸭 a lot.", "今天我们去吃吧。"]),
    ],
)
def test_sentences_end_at_their_marks(text: str, expected: list[str]) -> None:
    """A sentence also ends at quotes, brackets, several marks and Chinese marks."""
    assert steps(text) == expected


def test_short_sentences_are_joined_to_the_next() -> None:
    """No step is a single word, which few verifiers can score."""
    assert steps("Yes. No. He did not know what to say. Oh!") == ["Yes. No. He did not know what to say. Oh!"]


def test_long_sentences_are_halved_at_the_best_place() -> None:
    """A long sentence is split at a semicolon, else at a comma, else at a space, else at any character."""
    first = "The captain, who had found a coin near the lake, gave it to the king"
    second = "and the old king, who had never seen one of its kind before, put it away"
    assert steps(f"{first}; {second}.") == [f"{first};", f"{second}."]
    assert steps(f"{first}, {second}.") == [f"{first},", f"{second}."]
    bare = f"{first} {second}.".replace(",", "")
    halves = steps(bare)
    assert " ".join(halves) == bare and max(map(len, halves)) < 1.1 * min(map(len, halves))
    assert len(steps("天" * 100)) > 1 and len(steps("a" * 1000)) > 1


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "de",
            [
                "Am 3. Mai kam er z.B. mit Hrn. Maier.",
                "„Wirklich?“ fragte sie.",
                "Das kostet ca. 3,5 Mio. Euro.",
            ],
        ),
        (
            "fr",
            [
                "« Vraiment ? » demanda-t-elle alors.",
                "M. Dupont est parti avec Mme. Petit.",
                "Quelle belle journée !",
            ],
        ),
        ("es", ["¡Hola, amigo mío!", "¿qué tal estás tú hoy?", "El Sr. Ruiz vive en EE.UU. desde mayo."]),
        ("ru", ["Он живёт на ул. Ленина с 1999 г. и доволен.", "А где живёшь ты теперь?", "Я живу рядом."]),
        ("ar", ["أين تذهب الآن يا صديقي؟", "أنا ذاهب إلى البحيرة.", "هل تأتي معي إلى هناك؟"]),
        ("hi", ["कप्तान को सिक्का मिला।", "वह बहुत खुश हुआ।", "क्या तुम वहाँ गए थे?"]),
        ("ur", ["کپتان کو جھیل کے پاس سکہ ملا۔", "کیا تم وہاں گئے تھے؟", "ہاں، میں وہاں گیا تھا۔"]),
        ("ja", ["今日はいい天気です。", "「行こう。」と彼は言った。", "どこへ行きますか？"]),
        ("my", ["ကပ္ပတိန်က ဒင်္ဂါးကို တွေ့ခဲ့သည်။", "သူ အလွန် ပျော်ခဲ့သည်။"]),
        ("hy", ["Նավապետը մետաղադրամ գտավ։", "Նա շատ ուրախացավ լճի մոտ։"]),
        ("el", ["Πού πας τώρα, φίλε μου;", "Πηγαίνω στη λίμνη με τον κ. Παππά."]),
    ],
)
def test_sentences_of_other_languages(language: str, expected: list[str]) -> None:
    """Ordinals, abbreviations, quotation marks and full stops of each language."""
    text, pace = " ".join(expected), 4 if language == "ja" else 12
    assert [step.strip() for step in split(text, lambda each: len(each) / pace, language)] == expected


def test_a_script_without_spaces_and_full_stops_is_halved() -> None:
    """Thai has spaces between sentences or phrases only."""
    text = "กัปตันพบเหรียญเงินใกล้ทะเลสาบ " * 8
    parts = split(text, lambda each: len(each) / 12, "th")
    assert "".join(parts) == text and len(parts) > 2 and all(part.endswith(" ") for part in parts)

"""Scripts: in which one a text is written, which languages use it, and Chinese against Japanese."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import groupby

HAN = "CJK"
"""Chinese characters; kana and bopomofo are counted with them."""

_LANGUAGES = {
    HAN: "zh ja yue",
    "HANGUL": "ko",
    "CYRILLIC": "ru uk bg mk be sr kk mn tg tt ba uz az bs",
    "ARABIC": "ar fa ur ps sd pa",
    "HEBREW": "he yi",
    "DEVANAGARI": "hi mr ne sa",
    "BENGALI": "bn as",
    "GREEK": "el",
    "ARMENIAN": "hy",
    "GEORGIAN": "ka",
    "GURMUKHI": "pa",
    "GUJARATI": "gu",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "SINHALA": "si",
    "THAI": "th",
    "LAO": "lo",
    "MYANMAR": "my",
    "KHMER": "km",
    "TIBETAN": "bo",
    "ETHIOPIC": "am",
    "LATIN": "en de es fr pt tr pl ca nl sv it id fi vi ms cs ro da hu no hr lt la mi cy sk lv sr az sl et br eu is "
    "bs sq sw gl sn yo so af oc uz fo ht tk nn mt lb tl mg haw ln ha jw su",
}

_CHINESE_PARTS = ("HIRAGANA", "KATAKANA", "BOPOMOFO")

_LETTERS_PER_WORD = {HAN: 2, "HANGUL": 2, "THAI": 4, "LAO": 4, "MYANMAR": 4, "KHMER": 4, "TIBETAN": 4}
"""Rough length of a word where letters are counted; elsewhere, letters without another between them are a word."""

_CANTONESE = frozenset("嘅咗喺唔冇嚟佢哋啲嗰咁噉嘢乜睇")
"""Characters of Cantonese that are rare in other written Chinese."""


def languages_in(script: str) -> frozenset[str]:
    """Returns the codes of languages that are written in a script; none for a script that is not known."""
    return frozenset(_LANGUAGES.get(script, "").split())


@cache
def script_of(character: str) -> str:
    """Returns the script of a letter, the first word of its Unicode name, such as "LATIN"; "" for other characters."""
    script = unicodedata.name(character, "").split(" ", 1)[0] if character.isalpha() else ""
    return HAN if script in _CHINESE_PARTS else script


def main_script(text: str) -> str | None:
    """Returns the script of most words; None without letters.

    Names and terms in Latin letters are often inside a text of another script, so words count, not letters.

    >>> main_script("我用iPhone打电话给Christopher"), main_script("I like 北京烤鸭 a lot."), main_script("5")
    ('CJK', 'LATIN', None)
    """
    words: dict[str, float] = defaultdict(float)
    for script, letters in groupby(_scripts(text)):
        length = _LETTERS_PER_WORD.get(script)
        words[script] += sum(1 for _ in letters) / length if length else 1
    words.pop("", None)
    # Of equals, Latin letters decide.
    return max(words, key=lambda script: (words[script], script == "LATIN"), default=None)


def chinese_or_japanese(text: str) -> frozenset[str]:
    """Returns the languages that a text in Chinese characters may be in: of "zh", "yue" and "ja".

    Kana are Japanese, unless more characters of the text are not used in Japan, as beside the の of a Chinese brand.
    Without kana, characters that only one of the two countries uses decide.

    >>> sorted(chinese_or_japanese("東京都知事選挙に立候補")), sorted(chinese_or_japanese("鲜の屋在这里"))
    (['ja'], ['zh'])
    >>> sorted(chinese_or_japanese("中国")), sorted(chinese_or_japanese("佢喺度食嘢"))
    (['ja', 'zh'], ['yue'])
    """
    characters = [letter for letter in unicodedata.normalize("NFKC", text) if script_of(letter) == HAN]
    kana = sum(not _is_han(letter) for letter in characters)
    han = [letter for letter in characters if _is_han(letter)]
    not_japanese = sum(not _encodes(letter, "cp932") for letter in han)
    if kana:
        return frozenset({"ja"} if kana >= not_japanese else {"zh"})
    if 20 * sum(letter in _CANTONESE for letter in han) >= len(han):
        return frozenset({"yue"})
    if not_japanese:
        return frozenset({"zh"})
    chinese = all(_encodes(letter, "gb2312") or _encodes(letter, "big5") for letter in han)
    return frozenset({"zh", "ja"} if chinese else {"ja"})


def _scripts(text: str) -> Iterator[str]:
    """Yields the script of each letter, and "" for what stands between words."""
    for character in unicodedata.normalize("NFKC", text):
        if unicodedata.category(character)[0] != "M":
            yield script_of(character) if character.isalpha() else ""


def _is_han(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith(HAN)


def _encodes(character: str, encoding: str) -> bool:
    """Whether a national character set has the character."""
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True

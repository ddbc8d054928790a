"""Languages: codes and names, how they are written, and which one a text is in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from llasa_search.errors import InputError, short_repr
from llasa_search.text.scripts import HAN, chinese_or_japanese, languages_in, main_script

_NAMES = """
    en English, zh Chinese, de German, es Spanish, ru Russian, ko Korean, fr French, ja Japanese,
    pt Portuguese, tr Turkish, pl Polish, ca Catalan, nl Dutch, ar Arabic, sv Swedish, it Italian,
    id Indonesian, hi Hindi, fi Finnish, vi Vietnamese, he Hebrew, uk Ukrainian, el Greek, ms Malay,
    cs Czech, ro Romanian, da Danish, hu Hungarian, ta Tamil, no Norwegian, th Thai, ur Urdu, hr Croatian,
    bg Bulgarian, lt Lithuanian, la Latin, mi Maori, ml Malayalam, cy Welsh, sk Slovak, te Telugu,
    fa Persian, lv Latvian, bn Bengali, sr Serbian, az Azerbaijani, sl Slovenian, kn Kannada, et Estonian,
    mk Macedonian, br Breton, eu Basque, is Icelandic, hy Armenian, ne Nepali, mn Mongolian, bs Bosnian,
    kk Kazakh, sq Albanian, sw Swahili, gl Galician, mr Marathi, pa Punjabi, si Sinhala, km Khmer, sn Shona,
    yo Yoruba, so Somali, af Afrikaans, oc Occitan, ka Georgian, be Belarusian, tg Tajik, sd Sindhi,
    gu Gujarati, am Amharic, yi Yiddish, lo Lao, uz Uzbek, fo Faroese, ht Haitian Creole, ps Pashto,
    tk Turkmen, nn Nynorsk, mt Maltese, sa Sanskrit, lb Luxembourgish, my Burmese, bo Tibetan, tl Tagalog,
    mg Malagasy, as Assamese, tt Tatar, haw Hawaiian, ln Lingala, ha Hausa, ba Bashkir, jw Javanese,
    su Sundanese, yue Cantonese
"""

LANGUAGES: dict[str, str] = dict(each.strip().split(" ", 1) for each in _NAMES.split(","))
"""Names by code, in the order of Whisper's list: a checkpoint that knows n languages knows the first n."""

WITHOUT_SPACES = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km", "bo"})
"""Languages without spaces between words.

Whisper counts characters instead of words in Chinese, Japanese, Thai, Lao, Burmese and Cantonese; Khmer and
Tibetan are added here. Korean has spaces.
"""

CONFIDENT = 0.7
"""Least probability of a detected language among those that are possible. Our choice.

Of 1,824 sentences in 74 languages of Whisper's list (translations in Django 5.2, examples of spaCy 3.8) 85% reach
it among all languages, and of these 99.9% are right.
"""

ELSEWHERE = 0.9
"""Least probability of the three likeliest other languages together at which a text is not in a known one.

The known ones must also have less than `NEGLIGIBLE`. With English known, 0 of 298 English sentences are refused
(texts of this package, Django's, spaCy's), and 87% of 477 sentences in 17 other languages with Latin letters.
"""

NEGLIGIBLE = 0.01
FEWEST_WORDS = 3
"""Shorter texts may be names, and are never taken for another language of the same script."""

EXAMINED = 2_000
"""Characters of a text from which its language is detected."""


def has_spaces(language: str) -> bool:
    """Returns whether words are separated by spaces; if not, errors are counted in characters.

    >>> has_spaces("ko"), has_spaces("ja")
    (True, False)
    """
    return language not in WITHOUT_SPACES


def describe(language: str) -> str:
    """Returns a language's name and code for messages.

    >>> describe("de")
    "German ('de')"
    """
    return f"{LANGUAGES.get(language, 'the language')} ({language!r})"


def listed(languages: Collection[str]) -> str:
    """Returns languages for messages, in the order of Whisper's list; of many, how many there are.

    >>> listed({"zh", "en"}), listed(LANGUAGES)
    ('en and zh', '100 languages')
    """
    codes = [code for code in LANGUAGES if code in languages] or sorted(languages)
    return f"{len(codes)} languages" if len(codes) > 8 else " and ".join(codes) or "none"


def require_language(language: str) -> None:
    """Checks a language's code.

    Raises:
        InputError: it is not in Whisper's list.
    """
    if language not in LANGUAGES:
        known = sorted(LANGUAGES, key=lambda code: (code != str(language).lower(), code))
        raise InputError(
            f"language={short_repr(language)}: give a code of Whisper's list, such as {known[0]!r}"
        )


def language_of(text: str, language: str | None = None, known: Collection[str] | None = None) -> str:
    """Returns the given language, or detects it among those that the model and the verifiers know.

    The script of most words decides, then py3langid. A text that is clearly in another language gets that one, so
    that what does not know it can say so. Hawaiian, Maori, Sindhi, Sundanese and Yiddish are not detected beside
    other languages of their scripts.

    Args:
        text: to detect the language of.
        language: a code of Whisper's list, or None to detect it.
        known: codes of the languages that are possible; None for all.

    Raises:
        InputError: there is no such language, or the text does not show which one of several it is in.

    >>> language_of("今天天气很好, OK", known=("en", "zh")), language_of("The word 好 means good.", known=("en", "zh"))
    ('zh', 'en')
    """
    if language is not None:
        require_language(language)
        return language
    text = text[:EXAMINED]
    possible = frozenset(LANGUAGES if known is None else known)
    script = main_script(text)
    written = frozenset(LANGUAGES) if script is None else languages_in(script)
    if script == HAN:
        return _of_han(text, possible)
    if len(written) == 1:
        return min(written)
    if script is None:
        return _only(possible, text, {})
    found = _probabilities(text)
    among = possible & written
    if not among:
        return max(written, key=lambda code: found.get(code, 0.0)) if written else _only(among, text, {})
    if other := _clearly_elsewhere(text, found, among):
        return other
    return _only(among, text, {code: found.get(code, 0.0) for code in among})


def may_be(text: str, language: str) -> bool:
    """Returns whether a text can be in a language: it is not clearly in another one."""
    try:
        return language_of(text, known=(language,)) == language
    except InputError:  # in a script or language that is not in Whisper's list
        return False


def _of_han(text: str, possible: frozenset[str]) -> str:
    """Returns the language of a text in Chinese characters. Cantonese is Chinese where only that is known."""
    found = chinese_or_japanese(text)
    among = (found | ({"zh"} if "yue" in found else set())) & possible
    if len(among) > 1 and "yue" in among:
        return "yue"
    return _only(among, text, _probabilities(text)) if among else sorted(found)[-1]


def _only(among: frozenset[str], text: str, found: Mapping[str, float]) -> str:
    """Returns the language that stands out.

    Raises:
        InputError: none does.
    """
    if len(among) == 1:
        return min(among)
    total = sum(found.get(code, 0.0) for code in among)
    shares = {code: found.get(code, 0.0) / total for code in among} if total else {}
    best = sorted(shares, key=lambda code: -shares[code])[:3]
    if best and shares[best[0]] >= CONFIDENT:
        return best[0]
    listed = ", ".join(f"{describe(code)} {shares[code]:.2f}" for code in best)
    detail = f": {listed}" if listed else ""
    raise InputError(
        f"the language of the text {text!r:.60} is uncertain{detail}; give it: language=CODE (--language CODE)"
    )


def _clearly_elsewhere(text: str, found: Mapping[str, float], among: frozenset[str]) -> str | None:
    """Returns the language of a text that is clearly in none of `among`, else None.

    Raises:
        InputError: that language is not in Whisper's list.
    """
    others = sorted((code for code in found if code not in among), key=lambda code: -found[code])[:3]
    elsewhere = sum(found[code] for code in others) >= ELSEWHERE
    if not elsewhere or sum(found.get(code, 0.0) for code in among) > NEGLIGIBLE:
        return None
    if len(text.split()) < FEWEST_WORDS:
        return None
    likely = [code for code in others if code in LANGUAGES and found[code] > NEGLIGIBLE]
    if not likely:
        raise InputError(
            f"the text {text!r:.60} is in another language than {listed(among)} by its words "
            f"({others[0]!r}); if it is not, give its language: language=CODE (--language CODE)"
        )
    return likely[0]


def _probabilities(text: str) -> dict[str, float]:
    """Returns the probability of each language that py3langid knows, also of some outside Whisper's list."""
    ranked: list[tuple[str, float]] = _identifier().rank(text)
    return {_CODES.get(code, code): probability for code, probability in ranked}


_CODES = {"jv": "jw"}
"""Codes of Whisper's list that differ from ISO 639-1."""


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

"""Languages: codes and names, how they are written, and which one a text is in."""

from __future__ import annotations

import re
import unicodedata

from llasa_search.errors import InputError

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

# The unified ideographs, extension A, and the extensions in the supplementary planes.
_CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def has_spaces(language: str) -> bool:
    """Returns whether words are separated by spaces; if not, errors are counted in characters.

    >>> has_spaces("ko"), has_spaces("ja")
    (True, False)
    """
    return language not in WITHOUT_SPACES


def language_of(text: str, language: str | None = None) -> str:
    """Returns the given language, or detects it: "zh" if most letters are Chinese characters, else "en".

    Args:
        text: to detect the language of.
        language: "en", "zh", or None to detect it.

    Raises:
        InputError: another language was given.

    >>> language_of("今天天气很好, OK"), language_of("The word 好 means good.")
    ('zh', 'en')
    """
    if language is not None:
        if language not in ("en", "zh"):
            raise InputError(f"language={language!r}: Llasa speaks en and zh")
        return language
    letters = sum(unicodedata.category(c)[0] == "L" for c in text)
    return "zh" if 2 * len(_CHINESE.findall(text)) > letters else "en"

"""Which languages a recogniser over characters can write, by its vocabulary."""

from __future__ import annotations

from collections.abc import Iterable

from llasa_search.text.scripts import HAN, languages_in, script_of

_LETTERS = {
    "en": "abcdefghijklmnopqrstuvwxyz",
    **{
        "de": "äöü",
        "fr": "éèêç",
        "es": "áéñ",
        "pt": "ãõç",
        "it": "àèò",
        "nl": "éëï",
        "ca": "àèòç",
        "gl": "áéñ",
    },
    **{"sv": "åäö", "fi": "äö", "et": "äõü", "da": "æøå", "no": "æøå", "nn": "æøå", "is": "áðþ", "fo": "áðø"},
    **{"pl": "ąęł", "cs": "ěřů", "sk": "ľťô", "sl": "čšž", "hr": "čćđ", "bs": "čćđ", "hu": "őű", "ro": "ăâî"},
    **{"tr": "ğış", "az": "əğı", "lt": "ąėš", "lv": "āēņ", "sq": "ëç", "vi": "ơưđ", "cy": "ŵŷ", "mt": "ħġż"},
    **{
        "ru": "ыэя",
        "uk": "їєі",
        "be": "ўыі",
        "bg": "ъщя",
        "mk": "ѓќѕ",
        "sr": "ђћџ",
        "kk": "қғұ",
        "mn": "өүя",
    },
    **{"tt": "әҗң", "ba": "ҙҫғ", "tg": "ҷӯғ"},
    **{"ar": "اةي", "fa": "پچگ", "ur": "ٹڈے", "ps": "ښڼ", "sd": "ڪڳ", "he": "אשת"},
    **{"hi": "कहै", "mr": "आहळ", "ne": "कछन", "bn": "আরয", "as": "ৰৱ"},
    **{"zh": "的我", "yue": "嘅係", "ja": "のは"},
}
"""Letters that a vocabulary of the language has, by code; languages that have a script alone need any of it."""


def languages_of(vocabulary: Iterable[str]) -> frozenset[str]:
    """Returns the codes of the languages that can be written with the characters of a vocabulary.

    The letters a to z alone, which some other languages also use, are taken for English.

    >>> sorted(languages_of("abcdefghijklmnopqrstuvwxyz'")), sorted(languages_of("АБВЫЭЯабвыэя")), languages_of("ก")
    (['en'], ['ru'], frozenset({'th'}))
    """
    letters = {token.lower() for token in vocabulary if len(token) == 1 and token.isalpha()}
    found = {code for code, needed in _LETTERS.items() if letters.issuperset(needed)}
    for script in {script_of(letter) for letter in letters} - {HAN}:
        written = languages_in(script)
        found |= written if len(written) == 1 else set()
    # Japanese texts use the Chinese characters too.
    return frozenset(found - {"zh"} if "ja" in found else found)

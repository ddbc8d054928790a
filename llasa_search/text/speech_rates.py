"""How fast languages are read aloud, in letters and in words per second: defaults, where no voice says it."""

from __future__ import annotations

from llasa_search.text.language import has_spaces

_RATES = """
    en 14.0 3.0, zh 5.2, yue 5.2, af 14.9 3.1, ar 12.2 2.8, az 14.9 2.6, be 15.0 2.6, bg 15.2 3.0,
    bn 9.6 2.9, br 16.3 3.4, bs 14.6 2.8, ca 15.9 3.3, cs 14.4 2.6, cy 14.3 3.0, da 15.4 2.9, de 17.4 2.9,
    el 17.6 3.2, es 16.6 3.3, et 15.1 2.4, eu 15.1 2.5, fa 13.1 3.3, fi 14.8 2.1, fr 17.5 3.8, gl 15.4 3.2,
    he 10.5 2.5, hi 9.0 3.7, hr 15.4 2.8, hu 15.5 2.7, hy 15.0 2.6, id 15.6 2.8, is 15.0 3.0, it 16.1 3.1,
    ja 8.3, ka 16.0 2.5, kk 14.0 2.2, km 9.9, kn 10.1 2.2, ko 6.8 2.1, lt 15.6 2.4, lv 15.0 2.5, mk 15.7 3.1,
    ml 10.5 2.3, mn 14.2 2.6, mr 9.3 2.9, ms 16.6 2.9, no 14.5 2.8, ne 8.5 3.0, nl 16.2 3.1, nn 14.5 2.8,
    pa 7.9 3.4, pl 16.1 2.8, pt 16.3 3.2, ro 15.8 3.1, ru 16.9 2.8, sk 14.8 2.7, sl 14.7 2.8, sq 15.9 3.3,
    sr 14.7 2.9, sv 15.1 2.8, sw 14.6 2.6, ta 10.7 2.2, te 9.4 2.5, tg 18.0 3.2, th 10.3, tk 14.2 2.5,
    tr 16.3 2.6, tt 14.6 2.3, uk 15.3 2.7, ur 13.9 3.9, uz 16.9 2.6, vi 13.3 4.1
"""

RATES: dict[str, tuple[float, ...]] = {
    code: tuple(map(float, numbers)) for code, *numbers in (each.split() for each in _RATES.split(","))
}
"""Letters per second and, for scripts with spaces, words per second, by language.

English is read aloud at 183 words per minute (Brysbaert 2019, "How many words do we read per minute?") of 4.7
letters. Mandarin is spoken at 5.2 syllables per second (Pellegrino, Coupé and Marsico 2011, "A cross-language
perspective on speech information rate"), and a character is one syllable; Cantonese is taken for as fast. The same
message takes about the same time in all languages: information rates differ by 13% (standard deviation, 17 languages;
Coupé et al. 2019, "Different languages, similar encoding efficiency"). So the others follow from the letters and words
of the same messages in English and in the language, of which the translations of Django 5.2 have 24 to 111 each.
That way gives 5.0 characters per second for Mandarin.
"""

OTHER = 12.0, 2.8
"""For languages without a figure: between the slowest (Chinese) and the fastest; off by a factor of 2 at most."""


def letters_per_second(language: str) -> float:
    """Returns the usual letters per second, without spaces and marks.

    >>> letters_per_second("de"), letters_per_second("ja"), letters_per_second("haw")
    (17.4, 8.3, 12.0)
    """
    return RATES.get(language, OTHER)[0]


def words_per_second(language: str) -> float:
    """Returns the usual words per second, or characters where errors are counted in those.

    >>> words_per_second("en"), words_per_second("zh"), words_per_second("ja")
    (3.0, 5.2, 8.3)
    """
    return RATES.get(language, OTHER)[1 if has_spaces(language) else 0]


def characters_per_second(language: str) -> float:
    """Returns the usual letters and spaces per second.

    >>> characters_per_second("en"), characters_per_second("zh")
    (17.0, 5.2)
    """
    return letters_per_second(language) + (words_per_second(language) if has_spaces(language) else 0.0)

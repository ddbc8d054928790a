"""Writes n-gram language models of order 1 and 2 as ARPA files.

The bigram model uses interpolated Witten-Bell smoothing: a context that occurs N times before T different words gives
the probability T / (N + T) to the unigram (Witten and Bell 1991; Chen and Goodman 1998, section 2.4).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

START, END = "<s>", "</s>"


def write(path: Path, sentences: Iterable[Sequence[str]], vocabulary: Iterable[str], order: int) -> None:
    """Counts the words of `sentences` and writes the model.

    Args:
        path: of the ARPA file.
        sentences: the words of each sentence.
        vocabulary: words whose counts are increased by one, so that words without a sentence can be
            recognised.
        order: 1 or 2.
    """
    if order not in (1, 2):
        raise ValueError(f"order {order}: 1 (unigram) or 2 (bigram)")
    words: Counter[str] = Counter(vocabulary)
    pairs: dict[str, Counter[str]] = {}
    for sentence in sentences:
        padded = [START, *sentence, END]
        words.update(padded[1:])
        for first, second in pairwise(padded):
            pairs.setdefault(first, Counter())[second] += 1
    unigram = {word: count / words.total() for word, count in sorted(words.items())}
    shares = {first: len(after) / (after.total() + len(after)) for first, after in pairs.items()}

    def probability_of(first: str, second: str) -> float:
        after, share = pairs[first], shares[first]
        return (1 - share) * after[second] / after.total() + share * unigram[second]

    ones = [f"{_log(probability)} {word}" for word, probability in unigram.items()] + [f"-99 {START}"]
    if order == 2:  # the back-off weight is 1 for a word without a successor
        ones = [f"{line} {_log(shares.get(line.split()[1], 1.0))}" for line in ones]
    follow = [(first, second) for first in sorted(pairs) for second in sorted(pairs[first])]
    twos = [f"{_log(probability_of(first, second))} {first} {second}" for first, second in follow]
    sections = [ones, twos][:order]
    lines = ["\\data\\", *(f"ngram {n}={len(section)}" for n, section in enumerate(sections, 1)), ""]
    for n, section in enumerate(sections, 1):
        lines += [f"\\{n}-grams:", *section, ""]
    path.write_text("\n".join([*lines, "\\end\\", ""]), encoding="utf-8")


def _log(probability: float) -> str:
    return f"{math.log10(probability):.5f}"

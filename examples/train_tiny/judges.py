"""Writes the n-gram models of the embedded judges: `python -m examples.train_tiny.judges`.

The counts are from generated training texts, which do not include evaluation texts. The count of every word of the
vocabulary is increased by one, including words that are held out of training, which could not be recognised
otherwise.
"""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from tempfile import TemporaryDirectory

from examples.train_tiny import arpa, texts, words

FOLDER = Path(__file__).resolve().parents[2] / "llasa_search" / "tiny" / "judges"
ORDERS = {"unigram": 1, "bigram": 2}
TEXTS = 60_000
MIX: texts.Mix = {texts.sentence: 45, texts.word_string: 38, texts.numbers: 10, texts.names: 7}
"""Weights of the texts of an earlier training. They do not change, so that the judges' scores stay comparable."""


def write(folder: Path = FOLDER) -> None:
    """Writes one compressed ARPA file for each of `ORDERS`."""
    folder.mkdir(parents=True, exist_ok=True)
    sentences = training_sentences(TEXTS)
    with TemporaryDirectory() as scratch:
        for name, order in ORDERS.items():
            path = Path(scratch) / f"{name}.arpa"
            arpa.write(path, sentences, vocabulary(), order)
            (folder / f"{name}.arpa.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))


def training_sentences(count: int) -> list[list[str]]:
    """Returns the words of `count` generated training texts, without those that are evaluation texts."""
    forbidden = {text.spoken for group in texts.evaluation_sets().values() for text in group}
    rng = random.Random("judges")
    sentences = (texts.training_text(rng, MIX).spoken for _ in range(count))
    return [spoken.split() for spoken in sentences if spoken not in forbidden]


def vocabulary() -> list[str]:
    """Returns the words of all texts, including those that are held out of training."""
    return sorted({*words.common(), *words.HAND_WRITTEN})


if __name__ == "__main__":
    write()

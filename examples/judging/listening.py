"""The judges: pocketsphinx with a unigram and with a bigram language model over generated training texts.

None of these is an evaluation text. Every word of the vocabulary gets one count more, also those that are
held out of training: without it they could not be recognised.
"""

from __future__ import annotations

from pathlib import Path

import arpa
from material import training_sentences, vocabulary

from llasa_search.verifiers.pocketsphinx_wer import PocketsphinxWER

ORDERS = {"unigram": 1, "bigram": 2}
TEXTS = 60_000


def judges(folder: Path) -> dict[str, PocketsphinxWER]:
    """The judges by name; their language models are written to `folder` the first time."""
    return {
        name: PocketsphinxWER(str(_language_model(folder / f"{name}.arpa", n))) for name, n in ORDERS.items()
    }


def _language_model(path: Path, order: int) -> Path:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        arpa.write(unfinished, training_sentences(TEXTS), vocabulary(), order)
        unfinished.rename(path)
    return path

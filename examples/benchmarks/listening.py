"""The judges: pocketsphinx with a unigram and with a bigram language model over generated training texts, and
the package's CTC model, which spells without a language model and is weak as a transcriber.

None of these is an evaluation text. Every word of the vocabulary gets one count more, also those that are
held out of training: without it they could not be recognised.
"""

from __future__ import annotations

from pathlib import Path

from examples.benchmarks import arpa
from examples.benchmarks.material import training_sentences, vocabulary
from llasa_search.verifiers import WER
from llasa_search.verifiers.base import Verifier
from llasa_search.verifiers.pocketsphinx_wer import PocketsphinxWER

ORDERS = {"unigram": 1, "bigram": 2}
TEXTS = 60_000


def judges(folder: Path) -> dict[str, PocketsphinxWER]:
    """The judges by name; their language models are written to `folder` the first time."""
    return {
        name: PocketsphinxWER(str(_language_model(folder / f"{name}.arpa", n))) for name, n in ORDERS.items()
    }


def families(folder: Path) -> dict[str, Verifier]:
    """One judge of each family of models, which share no errors; for searches that do not listen to CTC."""
    return {"bigram": judges(folder)["bigram"], "ctc": WER(model="tiny-ctc")}


def _language_model(path: Path, order: int) -> Path:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        arpa.write(unfinished, training_sentences(TEXTS), vocabulary(), order)
        unfinished.rename(path)
    return path

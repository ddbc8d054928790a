"""The judges of the embedded model's speech: pocketsphinx with a bigram model, and the embedded CTC model.

They belong to two model families, so they do not share errors. The n-gram models are in the package (written by
`examples/train_tiny/judges.py` in the repository). pocketsphinx reads files, so they are unpacked into the
study's folder.
"""

from __future__ import annotations

import gzip
from pathlib import Path

from llasa_search.checkpoints.names import TINY
from llasa_search.verifiers import WER
from llasa_search.verifiers.base import Verifier
from llasa_search.verifiers.pocketsphinx_wer import PocketsphinxWER

FOLDER = TINY / "judges"
N_GRAMS = ("unigram", "bigram")


def pocketsphinx_judges(folder: Path) -> dict[str, PocketsphinxWER]:
    """Returns a pocketsphinx judge for each of `N_GRAMS`, after unpacking their models into `folder`."""
    return {name: PocketsphinxWER(str(_unpacked(folder / f"{name}.arpa"))) for name in N_GRAMS}


def embedded_judges(folder: Path) -> dict[str, Verifier]:
    """Returns one judge of each family: "bigram" and "ctc".

    The CTC model has no language model, so its error rates are high; their differences are more informative than
    their values. Searches that use the verifier `ctc` need another judge.
    """
    bigram = PocketsphinxWER(str(_unpacked(folder / "bigram.arpa")))
    return {"bigram": bigram, "ctc": WER(model="tiny-ctc")}


def _unpacked(path: Path) -> Path:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_bytes(gzip.decompress((FOLDER / f"{path.name}.gz").read_bytes()))
        unfinished.rename(path)
    return path

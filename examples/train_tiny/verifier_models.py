"""Trains and evaluates the models of the speaker, emotion and CTC verifiers.

Their training data have separate voices and texts. The evaluation data are not part of any training: recordings of
the held-out pseudo-speakers, and new recordings of the language model's training voices.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from examples.train_tiny import asr, codes, ctc, ecapa, emotion, speech

FOLDERS = ("speaker", "emotion", "ctc")
SHARDS, THROUGH_CODEC = 10, 4
FRESH = 1000  # a shard whose texts are not in any training data


def stages(work: Path, processes: int, start: Path | None) -> dict[str, Callable[[], object]]:
    """Returns the stages by name; they need `work/codec`, `work/speech`, `work/resynthesis` and `work/asr.pt`.

    Args:
        work: folder for all output.
        processes: number of processes for synthesis and encoding.
        start: folder whose models are trained further; missing models are trained from scratch.
    """

    def checkpoint(part: str) -> Path | None:
        return start / part if start is not None and (start / part).exists() else None

    own = work / "verifiers"
    both = [own / "speech", own / "speech_resynthesis"]
    known = [work / "speech", work / "resynthesis"]
    ends = own / "word_ends.json"
    return {
        "verifiers' speech": lambda: _speech(own, processes),
        "verifiers' resynthesis": lambda: _resynthesis(work / "codec", own, processes),
        "speaker": lambda: ecapa.train(both, work, start=checkpoint("speaker")),
        # Accuracy is best on training voices, so two thirds are recordings of the language model's voices.
        "emotion": lambda: emotion.train([*2 * known, *both], work, start=checkpoint("emotion")),
        "verifiers' word ends": lambda: asr.write_word_ends(work / "asr.pt", both[0], ends, THROUGH_CODEC),
        "ctc": lambda: ctc.train(both, work, ends=ends, start=checkpoint("ctc")),
        "measures": lambda: _measure(work, own),
    }


def _speech(own: Path, processes: int) -> None:
    speech.write_shards(own / "speech", range(SHARDS), processes, "verifiers")
    speech.write_shards(own / "held_out", range(1), processes, "held out")
    speech.write_shards(own / "fresh", range(FRESH, FRESH + 1), processes)


def _resynthesis(codec: Path, own: Path, processes: int) -> None:
    for name in ("speech", "held_out", "fresh"):
        coded = own / f"{name}_codes"
        codes.encode(codec, own / name, coded, processes, limit=THROUGH_CODEC)
        codes.resynthesise(codec, coded, own / f"{name}_resynthesis", processes)


def _measure(work: Path, own: Path) -> None:
    """Writes each model's scale, and `work/measures.json` for the model card."""
    held_out = own / "held_out", own / "held_out_resynthesis"
    fresh = own / "fresh", own / "fresh_resynthesis"
    measures = {
        "speaker": ecapa.evaluate(work / "speaker", *held_out),
        "emotion": emotion.evaluate(work / "emotion", *map(list, zip(fresh, held_out, strict=True))),
        "ctc": ctc.evaluate(work / "ctc", *held_out),
    }
    (work / "measures.json").write_text(json.dumps(measures, indent=1) + "\n")

"""Trains the embedded models from scratch: `python -m examples.train_tiny` (needs `flite`).

The stages run in order. Each stage saves its state and resumes from it, and a finished stage does not run again. The
small and large language models are for `examples.benchmarks.scaling_study` and are not packaged. A GPU is used if one
is available.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from examples.train_tiny import asr, card, codec, codes, lm, speech, texts, verifier_models, voices

TINY = Path(__file__).resolve().parents[2] / "llasa_search" / "tiny"
SHARDS = 134  # of about 40 minutes


def _assemble(work: Path, further: bool) -> None:
    """Copies the trained models into the package."""
    for name in ("codec", lm.FOLDERS["base"], *verifier_models.FOLDERS):
        if (work / name).exists():
            shutil.copytree(work / name, TINY / name, dirs_exist_ok=True)
    if (work / "asr.pt").exists():
        shutil.copy(work / "asr.pt", TINY / "asr.pt")
    voices.write(TINY / "voices")
    card.write(TINY, work, further)


def main(
    work: Annotated[Path, typer.Option(help="Folder for speech, codes and training state.")] = Path(
        "work-tiny"
    ),
    processes: Annotated[int, typer.Option(help="Number of processes for synthesis and encoding.")] = 2,
    codec_steps: Annotated[int, typer.Option(help="Number of steps of the codec.")] = 8000,
    lm_steps: Annotated[int, typer.Option(help="Number of steps of the language model.")] = 6500,
    asr_steps: Annotated[int, typer.Option(help="Number of steps of the recogniser.")] = 5500,
    further: Annotated[bool, typer.Option(help="Train the package's checkpoints further.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Run only this stage; may be repeated.")] = None,
) -> None:
    """Train all embedded models and copy them into the package."""
    work.mkdir(parents=True, exist_ok=True)
    stages = _stages(work, processes, codec_steps, lm_steps, asr_steps, further)
    if unknown := set(only or []) - set(stages):
        raise typer.BadParameter(f"no stage {sorted(unknown)[0]!r}; there are: {', '.join(stages)}")
    for name in only or stages:
        _run(name, stages[name], work / "seconds.json")


def _stages(
    work: Path, processes: int, codec_steps: int, lm_steps: int, asr_steps: int, further: bool
) -> dict[str, Callable[[], object]]:
    """Returns the function of each stage, in order; the arguments are those of the command."""
    speller = TINY / "asr.pt" if further else work / "asr_a.pt"
    stages: dict[str, Callable[[], object]] = {
        "texts": lambda: texts.write_sets(TINY / "texts"),
        "speech": lambda: speech.write_shards(work / "speech", range(SHARDS), processes),
        "codec": lambda: codec.train(
            work / "speech",
            work,
            codec_steps,
            start=TINY / "codec" if further else None,
            recogniser=speller if further else None,
        ),
        "codes": lambda: codes.encode(work / "codec", work / "speech", work / "codes", processes),
        "language model": lambda: lm.train(
            work / "codes", work, lm_steps, start=TINY / "language_model" if further else None
        ),
        "small language model": lambda: lm.train(work / "codes", work, lm_steps, "small"),
        "large language model": lambda: lm.train(
            work / "codes", work, lm_steps // 4, "large", start=work / "language_model"
        ),
        "resynthesis": lambda: codes.resynthesise(
            work / "codec", work / "codes", work / "resynthesis", processes, limit=12
        ),
        **_asr_stages(work, speller, asr_steps, further),
        **verifier_models.stages(work, processes, start=TINY if further else None),
        "package": lambda: _assemble(work, further),
    }
    if further:  # what does not begin from the package's checkpoints
        for name in ("asr on originals", "small language model", "large language model"):
            del stages[name]
    return stages


def _asr_stages(work: Path, speller: Path, steps: int, further: bool) -> dict[str, Callable[[], object]]:
    """Returns the stages of the speech recogniser; `speller` is trained on originals alone."""
    both, ends = [work / "speech", work / "resynthesis"], work / "word_ends.json"
    keep = 0.25 if further else 0.0
    return {
        "asr on originals": lambda: asr.train(
            both[:1], work, "asr_a", steps=steps, rate=1.2e-3, full_from=1.0
        ),
        "word ends": lambda: asr.write_word_ends(speller, work / "speech", ends, 12),
        "asr": lambda: asr.train(
            both, work, "asr", steps=steps, rate=7e-4, full_from=0.6, start=speller, ends=ends, keep=keep
        ),
    }


def _run(name: str, stage: Callable[[], object], record: Path) -> None:
    """Runs a stage that has not finished before, and records how long it took."""
    if name in _seconds(record):
        return
    started = time.time()
    typer.echo(f"== {name}")
    stage()
    took = round(time.time() - started, 1)
    record.write_text(json.dumps({**_seconds(record), name: took}, indent=1))
    typer.echo(f"== {name}: {took:.0f} s")


def _seconds(record: Path) -> dict[str, float]:
    return json.loads(record.read_text()) if record.exists() else {}


if __name__ == "__main__":
    typer.run(main)

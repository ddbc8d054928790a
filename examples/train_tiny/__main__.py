"""Remakes the embedded default from nothing: `python examples/train_tiny` (needs `flite`).

Stages run in order, each saves and resumes, and a finished one is not run again. A GPU is used where there
is one.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import asr
import card
import codec
import codes
import lm
import speech
import texts
import torch
import typer
import voices

TINY = Path(__file__).resolve().parents[2] / "llasa_search" / "tiny"
SHARDS, HELD_OUT_SHARDS, SESSIONS = 50, 2, 200


def _speech(work: Path, processes: int) -> None:
    jobs = [(work / "speech", i, SESSIONS) for i in range(SHARDS)]
    jobs_held = [(work / "speech_held_out", i, SESSIONS, True) for i in range(HELD_OUT_SHARDS)]
    with multiprocessing.Pool(processes) as pool:
        pool.starmap(speech.write_shard, [*jobs, *jobs_held])


def _one_thread() -> None:
    torch.set_num_threads(1)


def _encode(job: tuple[Path, Path, Path]) -> None:
    folder, meta, out = job
    codes.encode_shard(codes.load_codec(folder), meta, out)


def _resynthesise(job: tuple[Path, Path, Path]) -> None:
    folder, meta, out = job
    codes.resynthesise_shard(codes.load_codec(folder), meta, out)


def _over_shards(
    work: Callable[[tuple[Path, Path, Path]], None],
    codec_folder: Path,
    source: Path,
    out: Path,
    processes: int,
    limit: int | None = None,
) -> None:
    jobs = [(codec_folder, meta, out) for meta in sorted(source.glob("*.jsonl"))[:limit]]
    with multiprocessing.get_context("spawn").Pool(processes, initializer=_one_thread) as pool:
        pool.map(work, jobs, chunksize=1)


def _assemble(work: Path) -> None:
    """Copies the checkpoints into the package."""
    for name in ("codec", "language_model"):
        shutil.copytree(work / name, TINY / name, dirs_exist_ok=True)
    shutil.copy(work / "asr.pt", TINY / "asr.pt")
    voices.write(TINY / "voices")
    card.write(TINY, work)


def main(
    work: Annotated[Path, typer.Option(help="Where speech, codes and training state are kept.")] = Path(
        "work-tiny"
    ),
    processes: Annotated[int, typer.Option(help="For synthesis and encoding.")] = 2,
    codec_steps: int = 8000,
    lm_steps: int = 6500,
    asr_steps: int = 5500,
    size: Annotated[str, typer.Option(help="Language model: small, base or large.")] = "base",
    further: Annotated[
        bool, typer.Option(help="Begin from the package's checkpoints; its codes stay what they are.")
    ] = False,
) -> None:
    """Texts, speech, codec, codes, language model, ASR, and the package folder that holds them."""
    work.mkdir(parents=True, exist_ok=True)
    both = [work / "speech", work / "resynthesis"]
    speller = TINY / "asr.pt" if further else work / "asr_a.pt"
    stages: dict[str, Callable[[], object]] = {
        "texts": lambda: texts.write_sets(TINY / "texts"),
        "speech": lambda: _speech(work, processes),
        "codec": lambda: codec.train(
            work / "speech", work, codec_steps, start=TINY / "codec" if further else None
        ),
        "codes": lambda: _over_shards(_encode, work / "codec", work / "speech", work / "codes", processes),
        "language model": lambda: lm.train(
            work / "codes", work, lm_steps, size, start=TINY / "language_model" if further else None
        ),
        "resynthesis": lambda: _over_shards(
            _resynthesise, work / "codec", work / "codes", work / "resynthesis", processes, limit=12
        ),
        "asr on originals": lambda: asr.train(
            both[:1], work, "asr_a", steps=asr_steps, rate=1.2e-3, full_from=1.0
        ),
        "word ends": lambda: asr.write_word_ends(speller, work / "speech", work / "word_ends.json", 12),
        "asr": lambda: asr.train(
            both,
            work,
            "asr",
            steps=asr_steps,
            rate=7e-4,
            full_from=0.6,
            start=speller,
            ends=work / "word_ends.json",
        ),
        "package": lambda: _assemble(work),
    }
    if further:
        del stages["asr on originals"]
    record = work / "seconds.json"
    took: dict[str, float] = json.loads(record.read_text()) if record.exists() else {}
    for name, stage in stages.items():
        if name in took:
            continue
        started = time.time()
        typer.echo(f"== {name}")
        stage()
        took[name] = round(time.time() - started, 1)
        record.write_text(json.dumps(took, indent=1))
        typer.echo(f"== {name}: {took[name]:.0f} s")


if __name__ == "__main__":
    typer.run(main)

"""The stored form of a search, which can be played, reranked and examined later.

A run folder holds:

- `run.json`: `format` (1); `text`, `language`, `sample_rate` (Hz), `reward`, `stopped_by`, `settings` and
  `ledger` as in `SearchResult`; `voice` (its `text` and `name`, or null); `best` (an index);
  `candidates`: all fields except the arrays, with `scores` by printed verifier (`value` in the
  verifier's unit, `detail`, `status`) and `key` as text, since many JSON readers round whole numbers above
  2^53; and `trace`: a list of all rows, finished or pruned, with the fields of
  `llasa_search.generation.trace.Node`. Values that are not finite numbers are null; in a check, a reward of
  null is unknown, and "-inf" is the reward of a row on which a verifier failed.
  A candidate of several steps has them in `history`, with their `frames`; its codes and its audio are those of
  the steps, concatenated.
- `arrays.npz`: `codes_I` (int32, 0-based, 50 per second) and `logprobs_I` (float32) of candidate I.
- `candidate_I.wav`: its audio, 32-bit float mono; `voice.wav`: the voice prompt's.

Names in these files are given explicitly here, so that they do not change when attributes are renamed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import asdict

from llasa_search.arrays import Audio
from llasa_search.audio import read_file
from llasa_search.budget import Ledger
from llasa_search.candidate import Candidate, Score
from llasa_search.errors import InputError
from llasa_search.generation.trace import Check, Node, Trace
from llasa_search.storage.arrays_file import Array, read_arrays
from llasa_search.storage.files import check_new_folder, new_folder, to_json, write_wav
from llasa_search.storage.reading import as_path, own_file
from llasa_search.storage.run_schema import (
    FORMAT,
    DamagedFile,
    StoredCandidate,
    StoredLedger,
    StoredNode,
    StoredScore,
    StoredStep,
    StoredVoice,
    read_run_json,
)
from llasa_search.voice import Voice


@dataclass(frozen=True, eq=False)
class Run:
    """The content of a run folder; for the fields, see `llasa_search.SearchResult`."""

    text: str
    language: str
    voice: Voice | None
    candidates: list[Candidate]
    sample_rate: int
    reward: str
    ledger: Ledger
    stopped_by: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    trace: Trace = field(default_factory=Trace)


def check_run_folder(folder: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Returns the path of a run folder, after checking that it can be written.

    Args:
        folder: a new one.
        overwrite: whether it may be an existing run folder.

    Raises:
        InputError: the folder exists, or cannot be written.
    """
    return check_new_folder(folder, replaces="run.json" if overwrite else "")


def save_run(run: Run, best: int | None, folder: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Writes a run folder atomically.

    Args:
        run: to write.
        best: index of the chosen candidate, or None.
        folder: a new one.
        overwrite: whether an existing run folder is replaced, with everything in it.

    Raises:
        InputError: the folder exists, or cannot be written.
        OSError: writing fails, for example because the disk is full.
    """
    path = check_run_folder(folder, overwrite)
    with new_folder(path, overwrite) as new:
        arrays: dict[str, Any] = {}
        for candidate in run.candidates:
            arrays[f"codes_{candidate.index}"] = candidate.codes
            arrays[f"logprobs_{candidate.index}"] = candidate.logprobs
            if candidate.audio is not None:
                wav = new / f"candidate_{candidate.index}.wav"
                write_wav(wav, candidate.audio, run.sample_rate, "FLOAT")
        if run.voice is not None:
            write_wav(new / "voice.wav", run.voice.audio, run.voice.sample_rate, "FLOAT")
        np.savez_compressed(new / "arrays.npz", **arrays)
        (new / "run.json").write_text(f"{to_json(run_to_json(run, best), indent=1)}\n", "utf-8")
    return path


def load_run(folder: str | os.PathLike[str]) -> Run:
    """Reads a run folder. Nothing in it is trusted: types and sizes are checked, and no file outside it is read.

    Raises:
        InputError: it is not a run folder, is damaged (`run_schema.DamagedFile`), or has another format. The
            message names the file and the field.
    """
    return _read(as_path(folder))


def run_to_json(run: Run, best: int | None) -> dict[str, Any]:
    """Returns the content of `run.json`; `best` is the index of the chosen candidate, or None."""
    return {
        "format": FORMAT,
        "text": run.text,
        "language": run.language,
        "voice": None if run.voice is None else {"text": run.voice.text, "name": run.voice.name},
        "sample_rate": run.sample_rate,
        "reward": run.reward,
        "stopped_by": run.stopped_by,
        "best": best,
        "settings": dict(run.settings),
        "ledger": _ledger_to_json(run.ledger),
        "candidates": [_candidate_to_json(candidate) for candidate in run.candidates],
        "trace": [_node_to_json(node) for node in run.trace.nodes.values()],
    }


def _ledger_to_json(ledger: Ledger) -> dict[str, Any]:
    return {
        "prefills": ledger.prefills,
        "prefill_tokens": ledger.prefill_tokens,
        "row_steps": ledger.row_steps,
        "finished": ledger.finished,
        "verifier_calls": ledger.verifier_calls,
        "verifier_seconds": ledger.verifier_seconds,
        "verifier_skipped": ledger.verifier_skipped,
        "stage_seconds": ledger.stage_seconds,
        "flops": {stage: _or_null(count) for stage, count in ledger.flops.items()},
        "peak_memory_bytes": ledger.peak_memory_bytes,
    }


def _candidate_to_json(candidate: Candidate) -> dict[str, Any]:
    return {
        "index": candidate.index,
        "key": str(candidate.key),
        "text": candidate.text,
        "finish_reason": candidate.finish_reason,
        "parent": candidate.parent,
        "scores": _scores_to_json(candidate.scores),
        "reward": _or_null(candidate.reward),
        "history": [_step_to_json(step) for step in candidate.history],
    }


def _step_to_json(step: Candidate) -> dict[str, Any]:
    # Its own history is the steps before it in the list.
    return {**_candidate_to_json(replace(step, history=())), "frames": len(step.codes)}


def _scores_to_json(scores: Mapping[str, Score]) -> dict[str, Any]:
    return {
        name: {"value": _or_null(score.value), "detail": score.detail, "status": score.status}
        for name, score in scores.items()
    }


def _node_to_json(node: Node) -> dict[str, Any]:
    return {
        "index": node.index,
        "text": node.text,
        "parent": node.parent,
        "start": node.start,
        "checks": [
            {
                "tokens": check.tokens,
                "reward": "-inf" if check.reward == -math.inf else _or_null(check.reward),
                "scores": _scores_to_json(check.scores),
            }
            for check in node.checks
        ],
        "tokens": node.tokens,
        "end": node.end,
        "why": node.why,
    }


def _read(path: Path) -> Run:
    run = read_run_json(path)
    arrays = read_arrays(path / "arrays.npz")
    return Run(
        text=run.text,
        language=run.language,
        voice=None if run.voice is None else _voice(path, run.voice),
        candidates=[_candidate(path, each, arrays, run.sample_rate) for each in run.candidates],
        sample_rate=run.sample_rate,
        reward=run.reward,
        ledger=_ledger(run.ledger),
        stopped_by=run.stopped_by,
        settings=run.settings,
        trace=Trace(map(_node, run.trace)),
    )


def _voice(path: Path, stored: StoredVoice) -> Voice:
    try:
        return Voice.stored(own_file(path, "voice.wav"), stored.text, stored.name)
    except InputError as error:
        raise DamagedFile(f"{path} is damaged: {error}") from error


def _candidate(
    path: Path, stored: StoredCandidate, arrays: Mapping[str, Array], sample_rate: int
) -> Candidate:
    names = f"codes_{stored.index}", f"logprobs_{stored.index}"
    for name, kind in zip(names, (np.int32, np.float32), strict=True):
        if name not in arrays or arrays[name].dtype != kind:
            raise DamagedFile(f"{path}/arrays.npz is damaged: it has no {name} of type {kind.__name__}")
    codes, logprobs = (arrays[name] for name in names)
    if len(logprobs) - len(codes) not in (0, 1) or sum(step.frames for step in stored.history) > len(codes):
        raise DamagedFile(
            f"{path} is damaged: {names[0]} has {len(codes)} values, which do not fit those of {names[1]} or "
            f"the frames of candidate {stored.index} in run.json"
        )
    audio = _audio(own_file(path, f"candidate_{stored.index}.wav"), sample_rate)
    candidate = _with_arrays(stored, codes, logprobs, audio)
    candidate.history = tuple(_steps(stored.history, candidate))
    return candidate


def _audio(wav: Path, sample_rate: int) -> Audio | None:
    """Returns a candidate's audio, or None if it was not kept."""
    if not os.path.exists(wav):
        return None
    try:
        audio, rate = read_file(wav, str(wav))
    except InputError as error:
        raise DamagedFile(str(error)) from error
    if audio.ndim != 1 or rate != sample_rate:
        raise DamagedFile(f"{wav} is damaged: it is not one channel at the run's {sample_rate:,} Hz")
    return audio


def _steps(stored: Sequence[StoredStep], whole: Candidate) -> Iterator[Candidate]:
    """Yields the steps that a candidate was joined from, each with its part of the codes and the audio."""
    start, hop = 0, 0 if whole.audio is None else len(whole.audio) // max(1, len(whole.codes))
    for step in stored:
        end = start + step.frames
        audio = None if whole.audio is None else whole.audio[start * hop : end * hop]
        yield _with_arrays(step, whole.codes[start:end], whole.logprobs[start:end], audio)
        start = end


def _with_arrays(stored: StoredStep, codes: Any, logprobs: Any, audio: Audio | None) -> Candidate:
    return Candidate(
        index=stored.index,
        key=int(stored.key),
        text=stored.text,
        codes=codes,
        logprobs=logprobs,
        finish_reason=stored.finish_reason,
        parent=stored.parent,
        scores=_scores(stored.scores),
        reward=_number(stored.reward),
        audio=audio,
    )


def _ledger(stored: StoredLedger) -> Ledger:
    flops = {stage: _number(count) for stage, count in stored.flops.items()}
    return Ledger(**{**asdict(stored), "flops": flops})


def _scores(stored: Mapping[str, StoredScore]) -> dict[str, Score]:
    return {name: Score(_number(score.value), score.detail, score.status) for name, score in stored.items()}


def _node(stored: StoredNode) -> Node:
    checks = [Check(check.tokens, _number(check.reward), _scores(check.scores)) for check in stored.checks]
    return Node(
        index=stored.index,
        text=stored.text,
        parent=stored.parent,
        start=stored.start,
        checks=checks,
        tokens=stored.tokens,
        end=stored.end,
        why=stored.why,
    )


def _or_null(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | str | None) -> float:
    return math.nan if value is None else float(value)

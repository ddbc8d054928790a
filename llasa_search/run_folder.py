"""A search kept on disk, to be heard, ranked anew, or examined later.

A run folder holds:

- `run.json`: `format` (1); `text`, `language`, `sample_rate` (Hz), `reward`, `stopped_by`, `settings` and
  `ledger` as in `SearchResult`; `voice` (its `text` and `name`, or null); `best` (an index); and
  `candidates`: all their fields but the arrays, with `scores` by printed verifier (`value` in the verifier's
  unit, `detail`, `status`). What is not a number is null.
- `arrays.npz`: `codes_I` (int32, 0-based, 50 a second) and `logprobs_I` (float32) of candidate I.
- `candidate_I.wav`: its speech, 32-bit float mono; `voice.wav`: the voice prompt's.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llasa_search.budget import Ledger
from llasa_search.candidate import Candidate, Score
from llasa_search.errors import InputError
from llasa_search.files import check_new_folder, new_folder, write_wav

if TYPE_CHECKING:
    from llasa_search.result import SearchResult

FORMAT = 1
_ARRAYS = ("codes", "logprobs", "audio", "history")


def save_run(result: SearchResult, folder: str | os.PathLike[str]) -> Path:
    """Writes a run folder, whole or not at all.

    Raises:
        InputError: something is there already, or it cannot be written there.
    """
    path = check_new_folder(folder)
    with new_folder(path) as new:
        arrays: dict[str, Any] = {}
        for candidate in result.candidates:
            arrays[f"codes_{candidate.index}"] = candidate.codes
            arrays[f"logprobs_{candidate.index}"] = candidate.logprobs
            if candidate.audio is not None:
                write_wav(
                    new / f"candidate_{candidate.index}.wav", candidate.audio, result.sample_rate, "FLOAT"
                )
        if result.voice is not None:
            write_wav(new / "voice.wav", result.voice.audio, result.voice.sample_rate, "FLOAT")
        np.savez_compressed(new / "arrays.npz", **arrays)
        (new / "run.json").write_text(
            json.dumps(as_json(result), indent=1, ensure_ascii=False) + "\n", "utf-8"
        )
    return path


def load_run(folder: str | os.PathLike[str]) -> SearchResult:
    """Reads a run folder.

    Raises:
        InputError: it is not one, or it is of a later format or damaged.
    """
    from llasa_search.result import SearchResult
    from llasa_search.voice import Voice

    path = Path(folder)
    try:
        run = json.loads((path / "run.json").read_text("utf-8"))
        if run["format"] != FORMAT:
            raise InputError(f"{path} has format {run['format']!r} and this version reads {FORMAT}")
        with np.load(path / "arrays.npz") as arrays:
            candidates = [_candidate(path, each, arrays) for each in run["candidates"]]
        return SearchResult(
            text=run["text"],
            language=run["language"],
            voice=Voice(path / "voice.wav", **run["voice"]) if run["voice"] else None,
            candidates=candidates,
            sample_rate=run["sample_rate"],
            reward=run["reward"],
            ledger=Ledger(**run["ledger"]),
            stopped_by=run["stopped_by"],
            settings=run["settings"],
        )
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is not a run folder: {type(error).__name__}: {error}") from error


def as_json(result: SearchResult) -> dict[str, Any]:
    """What `run.json` holds."""
    return {
        "format": FORMAT,
        "text": result.text,
        "language": result.language,
        "voice": None if result.voice is None else {"text": result.voice.text, "name": result.voice.name},
        "sample_rate": result.sample_rate,
        "reward": result.reward,
        "stopped_by": result.stopped_by,
        "best": result.best.index if result.candidates else None,
        "settings": dict(result.settings),
        "ledger": dataclasses.asdict(result.ledger),
        "candidates": [_as_json(candidate) for candidate in result.candidates],
    }


def _as_json(candidate: Candidate) -> dict[str, Any]:
    fields = {
        f.name: getattr(candidate, f.name) for f in dataclasses.fields(candidate) if f.name not in _ARRAYS
    }
    scores = {
        name: {**dataclasses.asdict(score), "value": _finite(score.value)}
        for name, score in candidate.scores.items()
    }
    return {**fields, "reward": _finite(candidate.reward), "scores": scores}


def _candidate(path: Path, stored: dict[str, Any], arrays: Any) -> Candidate:
    import soundfile

    index = stored["index"]
    wav = path / f"candidate_{index}.wav"
    scores = {
        name: Score(**{**score, "value": _number(score["value"])}) for name, score in stored["scores"].items()
    }
    return Candidate(
        **{
            **stored,
            "codes": arrays[f"codes_{index}"],
            "logprobs": arrays[f"logprobs_{index}"],
            "scores": scores,
            "reward": _number(stored["reward"]),
            "audio": soundfile.read(wav, dtype="float32")[0] if wav.exists() else None,
        }
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else value

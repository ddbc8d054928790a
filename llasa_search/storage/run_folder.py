"""A search kept on disk, to be heard, ranked anew, or examined later.

A run folder holds:

- `run.json`: `format` (1); `text`, `language`, `sample_rate` (Hz), `reward`, `stopped_by`, `settings` and
  `ledger` as in `SearchResult`; `voice` (its `text` and `name`, or null); `best` (an index);
  `candidates`: all their fields but the arrays, with `scores` by printed verifier (`value` in the verifier's
  unit, `detail`, `status`); and `trace`: a list of all rows, finished or cut, with the fields of
  `llasa_search.generation.trace.Node`. What is not a number is null; a reward of null in a check is unknown, "-inf" is
  that of a row on which a verifier failed.
  A candidate of several steps has them in `history`, with their `frames`: its codes and its speech are
  theirs, one after the other.
- `arrays.npz`: `codes_I` (int32, 0-based, 50 a second) and `logprobs_I` (float32) of candidate I.
- `candidate_I.wav`: its speech, 32-bit float mono; `voice.wav`: the voice prompt's.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.budget import Ledger
from llasa_search.candidate import Candidate, Score
from llasa_search.errors import InputError
from llasa_search.generation.trace import Check, Node, Trace
from llasa_search.storage.files import check_new_folder, new_folder, write_wav

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
    import soundfile

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
            ledger=_ledger(run["ledger"]),
            stopped_by=run["stopped_by"],
            settings=run["settings"],
            trace=Trace(map(_node, run["trace"])),
        )
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path} is not a run folder: there is no {error.filename}") from error
    except (OSError, LookupError, TypeError, ValueError, AttributeError, EOFError, BadZipFile,
            soundfile.LibsndfileError) as error:  # fmt: skip
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
        "ledger": {
            **dataclasses.asdict(result.ledger),
            "flops": {stage: _finite(count) for stage, count in result.ledger.flops.items()},
        },
        "candidates": [_as_json(candidate) for candidate in result.candidates],
        "trace": [_node_as_json(node) for node in result.trace.nodes.values()],
    }


def _as_json(candidate: Candidate) -> dict[str, Any]:
    fields = {
        f.name: getattr(candidate, f.name) for f in dataclasses.fields(candidate) if f.name not in _ARRAYS
    }
    return {
        **fields,
        "reward": _finite(candidate.reward),
        "scores": _scores_as_json(candidate.scores),
        "history": [  # a step's own history is the steps before it here
            {**_as_json(dataclasses.replace(step, history=())), "frames": len(step.codes)}
            for step in candidate.history
        ],
    }


def _scores_as_json(scores: Mapping[str, Score]) -> dict[str, Any]:
    return {
        name: {**dataclasses.asdict(score), "value": _finite(score.value)} for name, score in scores.items()
    }


def _node_as_json(node: Node) -> dict[str, Any]:
    checks = [
        {
            "tokens": check.tokens,
            "reward": "-inf" if check.reward == -math.inf else _finite(check.reward),
            "scores": _scores_as_json(check.scores),
        }
        for check in node.checks
    ]
    return {**vars(node), "checks": checks}


def _candidate(path: Path, stored: dict[str, Any], arrays: Any) -> Candidate:
    import soundfile

    index = stored["index"]
    wav = path / f"candidate_{index}.wav"
    audio = soundfile.read(wav, dtype="float32")[0] if wav.exists() else None
    made = _with_arrays(stored, arrays[f"codes_{index}"], arrays[f"logprobs_{index}"], audio)
    made.history = tuple(_steps(stored["history"], made))
    return made


def _steps(stored: list[dict[str, Any]], whole: Candidate) -> Iterator[Candidate]:
    """The steps that a candidate was joined from, each with its part of the codes and the speech."""
    start, hop = 0, 0 if whole.audio is None else len(whole.audio) // max(1, len(whole.codes))
    for step in stored:
        fields = dict(step)
        end = start + fields.pop("frames")
        audio = None if whole.audio is None else whole.audio[start * hop : end * hop]
        yield _with_arrays(fields, whole.codes[start:end], whole.logprobs[start:end], audio)
        start = end


def _with_arrays(stored: dict[str, Any], codes: Any, logprobs: Any, audio: Audio | None) -> Candidate:
    return Candidate(
        **{
            **stored,
            "codes": codes,
            "logprobs": logprobs,
            "audio": audio,
            "history": (),
            "scores": _scores(stored["scores"]),
            "reward": _number(stored["reward"]),
        }
    )


def _ledger(stored: dict[str, Any]) -> Ledger:
    flops = {stage: _number(count) for stage, count in stored["flops"].items()}
    return Ledger(**{**stored, "flops": flops})


def _scores(stored: dict[str, Any]) -> dict[str, Score]:
    return {name: Score(**{**score, "value": _number(score["value"])}) for name, score in stored.items()}


def _node(stored: dict[str, Any]) -> Node:
    checks = [
        Check(check["tokens"], _number(check["reward"]), _scores(check["scores"]))
        for check in stored["checks"]
    ]
    return Node(**{**stored, "checks": checks})


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | str | None) -> float:
    return math.nan if value is None else float(value)

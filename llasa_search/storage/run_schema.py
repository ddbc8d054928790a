"""The content of `run.json`: its fields, their types and their limits, checked when a run folder is read.

A field's name here is its name in the file. Unknown fields are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta, Struct, ValidationError, convert, field

from llasa_search.candidate import FinishReason, Status
from llasa_search.errors import InputError
from llasa_search.storage.reading import read_json

T = TypeVar("T")

FORMAT = 1

MAX_GENERATIONS = 2000
"""Ancestors of one row. A search forks a row at most once per step of its strategy: a few hundred times."""

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Number = Annotated[float, Meta(ge=-1e300, le=1e300)]
Key = Annotated[str, Meta(pattern=r"^-?[0-9]{1,20}$")]


class DamagedFile(InputError):
    """A stored file cannot be read, or has invalid content, which has to be computed again."""


class StoredScore(Struct):
    """A `Score`; a value of null is not a number."""

    value: Number | None
    detail: str
    status: Status


class StoredStep(Struct):
    """A `Candidate` without its arrays: a step of another candidate, or one without steps."""

    index: Count
    key: int | Key
    text: str
    finish_reason: FinishReason
    parent: Count | None
    scores: dict[str, StoredScore]
    reward: Number | None
    frames: Count = 0


class StoredCandidate(StoredStep):
    """A `Candidate` without its arrays, with the steps that it was joined from."""

    history: list[StoredStep] = field(default_factory=list)


class StoredCheck(Struct):
    """A `Check` of a row."""

    tokens: Count
    reward: Number | Literal["-inf"] | None
    scores: dict[str, StoredScore]


class StoredNode(Struct):
    """A `Node` of the trace."""

    index: Count
    text: str
    parent: Count | None
    start: Count
    checks: list[StoredCheck]
    tokens: Count
    end: Literal["finished", "cut"] | None
    why: str


class StoredVoice(Struct):
    """A `Voice` without its audio."""

    text: str | None
    name: str


class StoredLedger(Struct):
    """A `Ledger`."""

    prefills: Count
    prefill_tokens: Count
    row_steps: Count
    finished: Count
    verifier_calls: dict[str, Count]
    verifier_seconds: dict[str, Number]
    verifier_skipped: dict[str, Count]
    stage_seconds: dict[str, Number]
    flops: dict[str, Number | None]
    peak_memory_bytes: Count


class StoredRun(Struct):
    """The content of `run.json`."""

    text: str
    language: str
    voice: StoredVoice | None
    sample_rate: Annotated[int, Meta(ge=1000, le=1_000_000)]
    reward: str
    stopped_by: str | None
    settings: dict[str, Any]
    ledger: StoredLedger
    candidates: list[StoredCandidate]
    trace: list[StoredNode]


def read_run_json(folder: Path) -> StoredRun:
    """Reads and checks the `run.json` of a run folder.

    Raises:
        DamagedFile: it is missing, or a field has a wrong type or value; the message names file and field.
        InputError: it has another format.
    """
    path = folder / "run.json"
    try:
        content = read_json(path, str(path))
    except InputError as error:
        raise DamagedFile(f"{folder} is not a run folder: {error}") from error
    found = content.get("format") if isinstance(content, dict) else None
    if type(found) is int and found != FORMAT:
        raise InputError(f"{folder} has format {found!r:.20} and this version reads {FORMAT}")
    run = checked(content, StoredRun, path)
    _check_indices(path, "candidates", run.candidates)
    _check_indices(path, "trace", run.trace)
    _check_ancestors(path, {node.index: node.parent for node in run.trace})
    return run


def checked(content: object, kind: type[T], path: Path) -> T:
    """Returns the content of a JSON file as an object of this type.

    Raises:
        DamagedFile: it does not fit; the message names file and field.
    """
    try:
        return convert(content, kind)
    except (ValidationError, RecursionError) as error:
        why = " ".join(str(error).split())
        why = why if len(why) < 200 else f"{why[:100]} ... {why[-90:]}"  # the field's name comes last
        raise DamagedFile(f"{path} is damaged: {why}") from error


def _check_indices(path: Path, name: str, stored: Iterable[StoredStep | StoredNode]) -> None:
    seen = set[int]()
    for i, each in enumerate(stored):
        if each.index in seen:
            raise DamagedFile(f"{path} is damaged: the index {each.index} is used twice - at `$.{name}[{i}]`")
        seen.add(each.index)


def _check_ancestors(path: Path, parents: dict[int, int | None]) -> None:
    """Checks that every row of a trace comes from a root."""
    depths: dict[int | None, int] = {None: 0}
    for index in parents:
        line = list[int]()
        row: int | None = index
        while row is not None and row not in depths:
            if row not in parents:
                raise DamagedFile(f"{path} is damaged: the trace has no row {row}, the parent of {line[-1]}")
            if len(line) > MAX_GENERATIONS:
                break
            line.append(row)
            row = parents[row]
        if len(line) + depths.get(row, 0) > MAX_GENERATIONS:
            raise DamagedFile(
                f"{path} is damaged: in its trace, row {index} is its own ancestor, or has more than "
                f"{MAX_GENERATIONS} ancestors"
            )
        for ancestor in reversed(line):
            depths[ancestor] = depths[parents[ancestor]] + 1

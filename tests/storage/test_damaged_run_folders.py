"""The error of a damaged or hostile run folder is one line with file and field; no file outside it is read."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from llasa_search import SearchResult
from llasa_search.errors import InputError
from llasa_search.study import Arm, Study, read_cases

DATA = Path(__file__).parents[1] / "data" / "v0.1.0"
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return shutil.copytree(DATA / "beam", tmp_path / "run")


def refusal(folder: Path) -> str:
    """Returns the error of a run folder, which must be one line of under 500 characters."""
    with pytest.raises(InputError) as refused:
        SearchResult.load_run(folder)
    message = str(refused.value)
    assert str(folder) in message and "\n" not in message and len(message) < 500, message
    return message


def edit(folder: Path, change: Change) -> None:
    path = folder / "run.json"
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")


def at(*keys: str | int, value: object) -> Change:
    """Returns a change that sets one field."""

    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (at("candidates", 0, "index", value="../../outside"), "$.candidates[0].index"),
        (at("candidates", 0, "index", value=-1), "$.candidates[0].index"),
        (at("candidates", 0, "index", value=10**40), "$.candidates[0].index"),
        (at("candidates", 0, "index", value=1), "$.candidates[1]"),
        (at("candidates", 0, "key", value="x" * 400), "$.candidates[0].key"),
        (at("candidates", 0, "text", value=None), "$.candidates[0].text"),
        (at("candidates", 0, "finish_reason", value="z" * 400), "$.candidates[0].finish_reason"),
        (at("candidates", 0, "reward", value=1e308), "$.candidates[0].reward"),
        (at("candidates", 0, "scores", value=[1]), "$.candidates[0].scores"),
        (
            at("candidates", 0, "scores", "WER()", value={"value": "0", "detail": "", "status": "scored"}),
            "scores",
        ),
        (at("candidates", 0, "history", value={}), "$.candidates[0].history"),
        (at("candidates", value=None), "$.candidates"),
        (at("voice", value="slt"), "$.voice"),
        (at("ledger", "row_steps", value="many"), "$.ledger.row_steps"),
        (at("ledger", value=7), "$.ledger"),
        (at("settings", value=[]), "$.settings"),
        (at("sample_rate", value=0), "$.sample_rate"),
        (at("text", value=5), "$.text"),
        (at("trace", 0, "checks", value=3), "$.trace[0].checks"),
        (at("trace", 0, "end", value="lost"), "$.trace[0].end"),
        (at("trace", 0, "start", value=-3), "$.trace[0].start"),
        (at("trace", 0, "parent", value=0), "its own ancestor"),
        (at("trace", 0, "parent", value=987), "no row 987"),
        (at("format", value=2), "format 2"),
        (at("format", value="1"), "run.json"),
        (lambda content: content.pop("reward"), "`reward`"),
        (lambda content: content["trace"][1].pop("why"), "$.trace[1]"),
    ],
)
def test_a_field_of_a_wrong_type_or_value_is_named(run: Path, change: Change, field: str) -> None:
    if field == "run.json":
        edit(run, lambda content: (change(content), content.pop("text")))
    else:
        edit(run, change)
    assert field in refusal(run)


SOMETHING_ELSE = (
    "", "[]", "null", "7", '"a"', "{", "[" * 100_000, '{"format": 1}', '{"a": ' + "9" * 5000 + "}", '{"a": NaN}',
)  # fmt: skip


@pytest.mark.parametrize("text", SOMETHING_ELSE)
def test_a_run_json_that_is_something_else_is_refused(run: Path, text: str) -> None:
    (run / "run.json").write_text(text)
    assert "run.json" in refusal(run)


def test_a_line_of_ancestors_has_a_limit(run: Path, cli: Callable[..., Any]) -> None:
    """A cycle of parents, an unknown parent and too many ancestors are refused (`trace` did not end)."""

    def rows(parents: dict[int, int | None]) -> Change:
        def change(content: dict[str, Any]) -> None:
            row = {**content["trace"][0], "checks": []}
            content["trace"] = [
                {**row, "index": index, "parent": parent} for index, parent in parents.items()
            ]

        return change

    edit(run, rows({0: 2, 1: 0, 2: 1}))
    start = time.monotonic()
    outcome = cli("trace", run)
    assert outcome.code == 2 and "its own ancestor" in outcome.err and outcome.err.count("\n") == 1
    edit(run, rows({i: i - 1 if i else None for i in range(3000)}))
    assert "ancestors" in refusal(run)
    assert time.monotonic() - start < 10


def npz(**arrays: Any) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def member(content: bytes, name: str = "codes_0.npy", **options: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content, **options)
    return file.getvalue()


def npy_of(shape: str) -> bytes:
    header = f"{{'descr': '<i4', 'fortran_order': False, 'shape': ({shape}), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


def with_flag(archive: bytes, flag: int) -> bytes:
    """Sets a flag of the first member, here and in the directory; 1 is encryption."""
    changed = bytearray(archive)
    changed[6] |= flag
    changed[archive.rindex(b"PK\x01\x02") + 8] |= flag
    return bytes(changed)


def with_broken_zlib(archive: bytes) -> bytes:
    changed = bytearray(archive)
    start = 30 + len("codes_0.npy")
    changed[start : start + 40] = bytes(40)
    return bytes(changed)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        npz(),
        npz(codes_0=np.zeros(3, np.int64)),
        npz(codes_0=np.zeros((3, 3), np.int32)),
        npz(codes_0=np.array([{}], object)),
        npz(codes_0=np.zeros(50, np.int32))[:-30],
        member(npy_of("1000000000000,")),
        member(npy_of("-1,")),
        member(b"\x00" * 100),
        member(bytes(2**21), compress_type=zipfile.ZIP_BZIP2),
        with_flag(npz(codes_0=np.zeros(50, np.int32)), 1),
        with_broken_zlib(npz(codes_0=np.arange(50, dtype=np.int32))),
    ],
)
def test_a_damaged_archive_is_named(run: Path, content: bytes) -> None:
    """Archives that are encrypted, truncated, or have objects or an impossible header are refused by name."""
    (run / "arrays.npz").write_bytes(content)
    assert "arrays.npz" in refusal(run)


def test_an_archive_that_expands_to_gigabytes_is_refused(run: Path) -> None:
    archive = bytearray(npz(codes_0=np.zeros(50, np.int32)))
    place = archive.rindex(b"PK\x01\x02") + 24  # the size that its directory states
    archive[place : place + 4] = (2**31).to_bytes(4, "little")
    (run / "arrays.npz").write_bytes(archive)
    assert "more than" in refusal(run)


def wav(samples: Any, rate: int = 16_000) -> Callable[[Path], None]:
    return lambda path: soundfile.write(path, samples, rate, format="WAV")


def link(path: Path) -> None:
    (path.parent / "outside.wav").write_bytes(path.read_bytes()) if path.exists() else None
    path.unlink()
    path.symlink_to(DATA / "best_of_n" / "voice.wav")


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", ["run.json", "arrays.npz", "candidate_0.wav", "voice.wav"])
@pytest.mark.parametrize(
    "change", [link, fifo, folder, lambda path: path.write_bytes(b"RIFF"), wav(np.zeros((9, 2)))]
)
def test_a_file_that_is_not_one_of_a_run_is_named(
    tmp_path: Path, name: str, change: Callable[[Path], object]
) -> None:
    run = shutil.copytree(DATA / "best_of_n", tmp_path / "run")
    change(run / name)
    assert name in refusal(run)


def test_audio_of_another_rate_is_refused(run: Path) -> None:
    wav(np.zeros(9000), 8000)(run / "candidate_0.wav")
    assert "16,000 Hz" in refusal(run)


def test_random_damage_gives_a_result_or_a_one_line_error(tmp_path: Path) -> None:
    """Runs in which bytes are changed, removed, repeated or truncated load, or are refused in one line."""
    draw = random.Random(0)
    refused, start = 0, time.monotonic()
    for trial in range(150):
        name = draw.choice(("best_of_n", "beam", "in_context_steps"))
        run = shutil.copytree(DATA / name, tmp_path / f"run{trial}")
        path = draw.choice(sorted(run.iterdir()))
        path.write_bytes(damaged(path.read_bytes(), draw))
        with warnings.catch_warnings(action="ignore"):
            try:
                SearchResult.load_run(run).table()
            except InputError as error:
                message = str(error)
                assert str(run) in message and "\n" not in message and len(message) < 500, message
                refused += 1
        shutil.rmtree(run)
    assert 50 < refused < 150
    assert time.monotonic() - start < 30


def damaged(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    place = draw.randrange(len(changed))
    match draw.randrange(4):
        case 0:
            for _ in range(draw.choice((1, 10))):
                changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        case 1:
            del changed[place:]
        case 2:
            del changed[place : place + draw.randrange(1, 50)]
        case 3:
            changed[place:place] = changed[draw.randrange(len(changed)) :][:100]
    return bytes(changed)


@pytest.mark.parametrize(
    "change",
    [
        lambda run: (run / "arrays.npz").write_bytes((run / "arrays.npz").read_bytes()[:-100]),
        lambda run: (run / "run.json").unlink(),
        lambda run: [path.write_text('{"0": {"value": "x"}}') for path in run.glob("judged-*.json")],
    ],
    ids=["arrays", "no run.json", "judgement"],
)
def test_a_study_repeats_damaged_runs_and_judgements(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    """A damaged file is computed again, with the same rows (it ended the study)."""
    folder = shutil.copytree(DATA / "study", tmp_path / "study")
    run = next((folder / "pool").glob("0000-0-*"))
    change(run)
    arm = Arm("pool", "best_of_n:n=2", verifiers="wer", pool=True)
    with pytest.warns(UserWarning, match=rf"{run.name}.*(made|judged) again"):
        rows = Study(folder, judges={"letters": "ctc"}).rows(read_cases(["A coin.", "Nine boats."]), [arm])
    stored = json.loads((DATA / "study_rows.json").read_text("utf-8"))
    values = [[row["judges"]["letters"]["value"] for row in each] for each in (rows, stored)]
    assert values[0] == pytest.approx(values[1], abs=1e-4)
    assert SearchResult.load_run(run).candidates


def test_a_run_of_a_later_version_is_kept(tmp_path: Path) -> None:
    folder = shutil.copytree(DATA / "study", tmp_path / "study")
    run = next((folder / "pool").glob("0000-0-*"))
    edit(run, at("format", value=2))
    arm = Arm("pool", "best_of_n:n=2", verifiers="wer", pool=True)
    with pytest.raises(Exception, match="format 2"):
        Study(folder, judges={"letters": "ctc"}).rows(read_cases(["A coin.", "Nine boats."]), [arm])
    assert (run / "run.json").exists()

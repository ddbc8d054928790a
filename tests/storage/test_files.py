"""Files and folders are written whole or not at all, under any name that a file can have."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from llasa_search.budget import Ledger
from llasa_search.candidate import Candidate
from llasa_search.errors import InputError
from llasa_search.result import SearchResult
from llasa_search.storage.files import ABANDONED_SECONDS, check_new_folder, to_json, write_bytes
from llasa_search.voice import Voice


@pytest.fixture
def result(candidates: Callable[[int], list[Candidate]]) -> SearchResult:
    found = candidates(2)
    found[0].reward, found[1].reward = 0.5, 0.25
    assert found[0].audio is not None
    return SearchResult(
        text="one two three",
        language="en",
        voice=Voice(found[0].audio, "a voice", sample_rate=16_000),
        candidates=found,
        sample_rate=16_000,
        reward="Loud()",
        ledger=Ledger(),
        settings={"model": "caf\udce9"},
    )


def test_names_that_are_not_utf_8_are_written(result: SearchResult, tmp_path: Path) -> None:
    """A whole search was lost: soundfile takes only names in UTF-8."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    with soundfile.SoundFile(open(result.save(folder / "caf\udce9.wav"), "rb")) as written:
        assert written.frames == 8000
    loaded = SearchResult.load_run(result.save_run(folder / "run\udce9"))
    assert loaded.settings == {"model": "caf\udce9"}
    np.testing.assert_array_equal(loaded.audio, result.audio)


def test_an_existing_run_is_replaced_only_if_asked_for(result: SearchResult, tmp_path: Path) -> None:
    run = result.save_run(tmp_path / "run")
    (run / "notes.txt").touch()
    with pytest.raises(InputError, match="exists"):
        result.save_run(run)
    result.candidates.pop()
    result.save_run(run, overwrite=True)
    assert len(SearchResult.load_run(run).candidates) == 1
    assert os.listdir(tmp_path) == ["run"] and not (run / "notes.txt").exists()


def test_only_run_folders_are_replaced(result: SearchResult, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine.txt").touch()
    with pytest.raises(InputError, match=r"has no run\.json"):
        result.save_run(tmp_path / "home", overwrite=True)
    assert (tmp_path / "home" / "mine.txt").exists()


def test_a_run_that_cannot_be_replaced_stays(
    result: SearchResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails when the new folder is moved into its place."""
    run = result.save_run(tmp_path / "run")

    replace = os.replace

    def failing(source: str, target: str) -> None:
        if Path(target) == run:
            raise OSError(5, "Input/output error")
        replace(source, target)

    with monkeypatch.context() as patched, pytest.raises(OSError, match="Input/output"):
        patched.setattr(os, "replace", failing)
        result.save_run(run, overwrite=True)
    assert os.listdir(tmp_path) == ["run"] and SearchResult.load_run(run).audio is not None


def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path: Path) -> None:
    """Files of another name, and those that a running process may be writing, stay."""
    old, new, other = (
        tmp_path / name for name in (".a.wav.abcdefgh.part", ".a.wav.ABC12345.part", ".a.wav.original")
    )
    folder, recent = tmp_path / ".a.wav.xyz_1234.part", tmp_path / ".a.wav.abc12345.part"
    folder.mkdir()
    for path in (old, new, other, folder / "run.json", recent):
        path.touch()
    ago = time.time() - ABANDONED_SECONDS - 1
    for path in (old, new, other, folder):
        os.utime(path, (ago, ago))
    write_bytes(tmp_path / "a.wav", b"")
    assert sorted(os.listdir(tmp_path)) == sorted(["a.wav", new.name, other.name, recent.name])


def test_json_escapes_what_utf_8_cannot_hold() -> None:
    assert to_json({"a": "caf\udce9 \x9b é"}) == '{"a": "caf\\udce9 \\u009b é"}'


def test_links_and_files_are_no_new_folders(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.symlink("loop", tmp_path / "loop")
    for name in ("file", "loop", "absent/run", "file/run", "x" * 300):
        with pytest.raises(InputError, match="cannot write"):
            check_new_folder(tmp_path / name)

"""The sources of the text of `say`: an argument, standard input, a file."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llasa_search.cli.text_input import given_text
from llasa_search.errors import InputError

TEXT = "the captain found a coin"


def standard_input(content: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content))


def test_say_reads_standard_input_and_files(
    cli: Callable[..., Any], pair_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.txt").write_text(f"\ufeff{TEXT}\n", "utf-8")
    common = ("-n", 1, "--model", pair_path, "--verifier", "pace", "--out", tmp_path / "a.wav", "--json")
    monkeypatch.setattr(sys, "stdin", standard_input(f"{TEXT}\r\n".encode()))
    for source in (("-",), ("--text-file", tmp_path / "text.txt")):
        done = cli("say", *source, *common)
        assert done.code == 0 and f'"text": "{TEXT}"' in done.out


def test_standard_input_is_read_only_for_a_hyphen(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = standard_input(b"other")
    monkeypatch.setattr(sys, "stdin", stdin)
    assert given_text(TEXT, None) == TEXT
    assert stdin.read() == "other"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"caf\xe9", r"not text in UTF-8 \(byte 3\)"), (b"a" * 500_000, "at most 100,000 characters")],
)
def test_a_text_that_cannot_be_read_is_refused(
    content: bytes, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.txt").write_bytes(content)
    monkeypatch.setattr(sys, "stdin", standard_input(content))
    for source in (("-", None), (None, tmp_path / "text.txt")):
        with pytest.raises(InputError, match=complaint):
            given_text(*source)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A FIFO, a device, a folder and a missing file are refused."""
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match=r"cannot be read|does not exist"):
            given_text(None, path)


def test_exactly_one_text_is_required(cli: Callable[..., Any], tmp_path: Path) -> None:
    assert cli("say").err == ('error: no text: give TEXT, "-" to read standard input, or --text-file FILE\n')
    assert "both TEXT and --text-file" in cli("say", TEXT, "--text-file", tmp_path / "a.txt").err

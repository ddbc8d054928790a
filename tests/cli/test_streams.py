"""Closed streams, a missing home folder and little memory: in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = "one"


def run(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of the shell in a folder; `$say` is `llasa-search`."""
    given = {**os.environ, **environment, "say": f"{sys.executable} -m llasa_search"}
    given = {name: value for name, value in given.items() if value}
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, env=given, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
def test_closed_streams_do_no_harm(tmp_path: Path, pair_path: Path) -> None:
    """With standard error closed, nothing was done; and its number must not go to the file that is written."""
    options = f"{TEXT} --model {pair_path} --verifier pace -n 1"
    done = run(f"$say say {options} -o a.wav 2>&- <&-; $say say {options} -o b.wav >&-", tmp_path, HOME="")
    assert done.returncode == 0 and (done.stdout.count("candidate 0"), done.stderr) == (1, "")
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.wav", "b.wav"]


@pytest.mark.parametrize("megabytes", [400, 2000])
def test_too_little_memory_is_one_line(tmp_path: Path, megabytes: int) -> None:
    """It was a traceback of an import."""
    done = run(f"ulimit -v {megabytes * 1000}; $say say {TEXT}", tmp_path)
    assert done.returncode == 1 and done.stderr.startswith("error: "), done.stderr
    assert done.stderr.count("\n") == 1 and not list(tmp_path.iterdir())

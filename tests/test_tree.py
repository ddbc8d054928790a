"""The tracked files are small enough to be copied to another machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIMIT = 55 * 2**20


def test_tracked_files_take_at_most_55_mib() -> None:
    """A larger tree cannot be copied to a machine with a GPU."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert sum(path.lstat().st_size for path in paths if path.exists()) <= LIMIT

"""The short programs of `examples/` run as written and stay short."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAMS = sorted(path for path in EXAMPLES.glob("*.py") if path.stem != "__init__")
PRINTED = {
    "choose_recordings": "is the best",
    "compose_rewards": "a weighted sum: candidate",
    "compute_budget_ablation": "| rejection |",
    "quickstart": "written to quickstart.wav",
    "rerank_a_run": "CTCAlignment",
}


def test_every_program_has_an_expected_output() -> None:
    """Each program is listed here with a part of its output."""
    assert [path.stem for path in PROGRAMS] == sorted(PRINTED)


@pytest.mark.slow
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_runs_from_another_folder(path: Path, tmp_path: Path) -> None:
    """Each program runs without arguments and prints its result; only the embedded models are needed."""
    if path.stem == "compute_budget_ablation":
        pytest.importorskip("scipy")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert PRINTED[path.stem] in done.stdout


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_is_short_and_listed(path: Path) -> None:
    """A reader finds every program in the index and sees it on one screen."""
    assert len(path.read_text("utf-8").splitlines()) < 40
    assert f"[{path.name}]({path.name})" in (EXAMPLES / "README.md").read_text("utf-8")

"""A strategy of someone else's: the documented package, built, installed, and used by its name."""

from __future__ import annotations

import ast
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.helpers.plugins import installed, run

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "custom_strategy_plugin"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment in which the package is installed."""
    return installed(EXAMPLE, tmp_path_factory.mktemp("plugin"))


def test_it_is_listed(python: Path, tmp_path: Path) -> None:
    """Guards against a plug-in that is installed and not found."""
    lines = run(python, "-m", "llasa_search", "strategies", cwd=tmp_path).splitlines()
    (line,) = [line for line in lines if line.startswith("random_restart")]
    assert re.split(r"\s{2,}", line)[1] == "llasa-search-random-restart" and "Begins `n` times" in line


def test_the_command_line_uses_it_by_name(python: Path, pair_path: Path, tmp_path: Path) -> None:
    """Guards against a name that works for built-in strategies only, and a trace that these alone fill."""
    strategy = ("--strategy", "random_restart:n=4,seconds=0.2", "--verifier", "lm_likelihood")
    options = ("--model", pair_path, "-o", "a.wav", "--save-run", "run", "--json")
    printed = run(python, "-m", "llasa_search", "say", "a coin", *strategy, *options, cwd=tmp_path)
    assert json.loads(printed)["settings"]["strategy"] == "RandomRestart(n=4, seconds=0.2)"
    assert "4 rows from 4 roots" in run(python, "-m", "llasa_search", "trace", "run", cwd=tmp_path)


@pytest.mark.slow
def test_its_own_tests_pass(python: Path, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    assert "passed" in run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=tmp_path)


def test_the_page_shows_the_files_that_are_tested() -> None:
    """Guards against a tutorial that has drifted from the example."""
    page = (ROOT / "docs/write_a_strategy.md").read_text()
    blocks = re.findall(r"^```\w+\n(.*?)^```$", page, re.M | re.S)
    for name in ("random_restart.py", "pyproject.toml", "tests/test_random_restart.py"):
        assert (EXAMPLE / name).read_text() in blocks, f"docs/write_a_strategy.md does not show {name}"


def test_it_is_short() -> None:
    """Guards against a contract that grows until a simple strategy is a long one."""
    source = (EXAMPLE / "random_restart.py").read_text()
    assert len(source.splitlines()) < 40 and ast.parse(source)

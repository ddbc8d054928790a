"""The commands and the Python code of the documentation run, and print what the pages show."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from llasa_search import search
from llasa_search.cli.main import main
from tests.docs.blocks import DOCS, PAGES, ROOT, Block, blocks, name

ELSEWHERE = {DOCS / "how-to" / "write_a_verifier.md", DOCS / "how-to" / "write_a_strategy.md"}
"""Tutorials that `test_tutorials.py` follows from an empty folder."""

SLOW = {
    "README.md",
    "docs/how-to/long_text.md",
    "docs/how-to/rewards.md",
    "docs/how-to/scoring_other_tts.md",
    "docs/how-to/strategies.md",
    "docs/tutorial.md",
}
NOT_RUN = 18
"""Blocks that need real weights, a GPU, another environment or an hour. A new one changes this number."""

RUN = [
    page
    for page in PAGES
    if page not in (*ELSEWHERE, ROOT / "CONTRIBUTING.md") and not page.is_relative_to(DOCS / "results")
]


def _param(page: Path) -> Any:
    return pytest.param(page, id=name(page), marks=[pytest.mark.slow] if name(page) in SLOW else [])


@pytest.mark.parametrize("page", [_param(page) for page in RUN if any(each.runs for each in blocks(page))])
def test_a_page_runs_from_top_to_bottom(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """All blocks of a page run in order in one folder; a text block after one shows what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    names: dict[str, Any] = {}
    found = blocks(page)
    for block, following in pairwise([*found, Block("", "", "", 0)]):
        if not block.runs:
            continue
        capfd.readouterr()
        try:
            _run(block, names, monkeypatch)
        except Exception as error:
            raise AssertionError(f"{name(page)}, line {block.line}: {error}") from error
        printed = capfd.readouterr().out
        if following.language == "text":
            assert _shape(following, printed) == _shape(following, following.code), f"line {following.line}"
    search.unload()


def test_blocks_that_do_not_run_are_counted_and_say_why() -> None:
    """The number of blocks that do not run is known, and each states a reason."""
    marked = [block for page in RUN for block in blocks(page) if "not run" in block.mark]
    assert all(re.fullmatch(r"not run: \w.*", block.mark) for block in marked)
    assert len(marked) == NOT_RUN


def test_blocks_that_show_a_file_equal_it() -> None:
    """A block that shows a program of `examples/` equals the file."""
    shown = [(page, block) for page in RUN for block in blocks(page) if block.mark.startswith("file: ")]
    assert shown
    for page, block in shown:
        file = ROOT / block.mark.removeprefix("file: ")
        assert block.code == file.read_text("utf-8"), f"{name(page)}, line {block.line}"


def _run(block: Block, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    if block.language == "python":
        exec(compile(block.code, f"line {block.line}", "exec"), names)
        return
    lines = block.code.replace("\\\n", " ").splitlines()
    if not all(re.fullmatch(r"llasa-search [^|><&$]*|llasa-search .*<=[^|>&$]*", line) for line in lines):
        subprocess.run(["bash", "-euo", "pipefail", "-c", block.code], check=True)
        return
    for line in lines:  # in this process, where torch is imported already
        monkeypatch.setattr(sys, "argv", shlex.split(line, comments=True))
        try:
            main()
        except SystemExit as end:
            assert not end.code, line


def _shape(shown: Block, text: str) -> list[str]:
    """Returns what must be equal: the whole text if the page says so, else the words of the first line."""
    if shown.mark == "exact output":
        return text.strip().splitlines()
    return re.findall(r"[a-zA-Z_]+", text.strip().splitlines()[0])

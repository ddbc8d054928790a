"""The README and the documentation agree with the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer.main

import llasa_search
from llasa_search.cli.main import app
from tests.docs.blocks import DOCS, PAGES, ROOT, blocks, name

README = (ROOT / "README.md").read_text("utf-8")
RELATIVE_LINK = r"\]\(([^)#:]+)(?:#[^)]*)?\)"


def test_there_is_one_command_to_speak_and_one_to_test() -> None:
    """Continuous integration reads both from the README."""
    assert len(re.findall(r"^pip install \. && llasa-search say .* -o \S+\.wav$", README, re.M)) == 1
    assert len(re.findall(r"^pip install .*pytest$", README, re.M)) == 1


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 120


def test_the_result_in_the_readme_is_that_of_the_table() -> None:
    """The sentence states the measured error rates, which a script writes into the model card."""
    card = (ROOT / "llasa_search" / "tiny" / "README.md").read_text("utf-8")
    (row,) = re.findall(r"^\| standard set, bigram judge \|.*", card, re.M)
    one, best = re.findall(r"(\d\.\d+) \[(\d\.\d+), (\d\.\d+)\]", row)[-2:]
    (sentence,) = re.findall(r"\*\*Result:\*\*(?:.+\n)+", README)
    assert re.findall(r"\d\.\d+", sentence) == [*best, *one]


@pytest.mark.parametrize("page", ["docs/results/benchmarks.md", "llasa_search/tiny/README.md"])
def test_measured_sections_have_figures(page: str) -> None:
    """A section that a script fills is not empty."""
    text = (ROOT / page).read_text("utf-8")
    (table,) = re.findall("<!-- quality:begin -->(.*?)<!-- quality:end -->", text, re.S)
    assert table.count("|") > 20


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_and_options_exist(page: Path) -> None:
    """Every command in a code block, run or not, is one of the command line, with options that it has."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    text = "\n".join(block.code for block in blocks(page) if block.language == "bash").replace("\\\n", " ")
    for line in re.findall(r"(?:^|&& )llasa-search ([a-z].*)", text, re.M):
        command, *_ = line.split()
        assert command in commands, line
        known = {option for parameter in commands[command].params for option in parameter.opts} | {"--help"}
        assert set(re.findall(r"(?<=\s)--?[a-z][a-z-]*", line.split(" #")[0])) <= known, line


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_existing_files(page: Path) -> None:
    """Every relative link names a file of the repository."""
    for target in re.findall(RELATIVE_LINK, page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_imports_of_code_blocks_work(page: Path) -> None:
    """Every import in a Python block, run or not, finds its names; modules of the tutorials' packages aside."""
    for block in blocks(page):
        if block.language != "python":
            continue
        tree = ast.parse(block.code) if not block.mark.startswith("not run") else ast.Module([], [])
        for node in tree.body:
            module = node.module if isinstance(node, ast.ImportFrom) else None
            if module and module.startswith("llasa_search"):
                exec(ast.unparse(node), {})


def test_versions_agree() -> None:
    from importlib.metadata import version

    assert version("llasa-search") == llasa_search.__version__
    assert f"version: {llasa_search.__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"## {llasa_search.__version__}\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_architecture_page_lists_every_package_and_module() -> None:
    """The architecture page lists every package, and every module at the package's root."""
    page = (DOCS / "explanation" / "architecture.md").read_text("utf-8")
    package = ROOT / "llasa_search"
    names = {path.name for path in package.glob("*.py") if not path.name.startswith("__")}
    names |= {f"{path.name}/" for path in package.iterdir() if (path / "__init__.py").exists()}
    assert {each for each in names if f"{each}`" not in page} == set()

"""What the README and the docs promise is what there is."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest
import typer.main

import llasa_search
from llasa_search.cli.main import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text("utf-8")


def test_there_is_one_command_to_speak_and_one_to_test() -> None:
    """Guards against a README whose commands have drifted from what continuous integration runs."""
    assert len(re.findall(r"^pip install \. && llasa-search say .* -o \S+\.wav$", README, re.M)) == 1
    assert len(re.findall(r"^pip install .*pytest$", README, re.M)) == 1


@pytest.mark.parametrize("page", ["README.md", "docs/benchmarks.md", "llasa_search/tiny/README.md"])
def test_measured_sections_hold_figures(page: str) -> None:
    """A model card that announces a table, emptied when the models were packed again."""
    text = (ROOT / page).read_text("utf-8")
    (table,) = re.findall("<!-- quality:begin -->(.*?)<!-- quality:end -->", text, re.S)
    assert table.count("|") > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_in_the_docs_exist(page: Path) -> None:
    """Guards against documented options that the command line lacks."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for line in re.findall(r"^llasa-search .*|&& llasa-search .*", page.read_text("utf-8"), re.M):
        name = line.split("llasa-search ", 1)[1].split()[0]
        if name not in commands:
            assert set(name.split("|")) <= set(commands), line
            continue
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert set(re.findall(r"(?<=\s)--?[a-z][a-z-]*", line.split("#")[0])) <= known, line


def test_options_of_the_ablation_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against documented options that the script lacks."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    script = importlib.import_module("compute_budget_ablation")
    app = typer.Typer()
    app.command()(script.main)
    known = {option for parameter in typer.main.get_command(app).params for option in parameter.opts}
    page = (ROOT / "docs" / "compute_budget.md").read_text("utf-8").replace("\\\n", " ")
    commands = re.findall(r"^python examples/compute_budget_ablation.py .*", page, re.M)
    assert len(commands) >= 3
    for command in commands:
        assert set(re.findall(r"(?<=\s)--[a-z-]+", command)) <= known, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_names_imported_in_the_examples_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against an example that fails at its first line."""
    for example in ("custom_verifier_plugin", "custom_strategy_plugin"):
        monkeypatch.syspath_prepend(str(ROOT / "examples" / example))
    for page in PAGES:
        for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.S):
            imports = [line for line in block.splitlines() if line.startswith(("from ", "import "))]
            exec("\n".join(imports), {})
            if imports:
                ast.parse(block)


def test_versions_agree() -> None:
    from importlib.metadata import version

    assert version("llasa-search") == llasa_search.__version__


def test_every_module_is_on_the_map() -> None:
    """Guards against an architecture page that has fallen behind the code."""
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    names = {path.name for path in (ROOT / "llasa_search").glob("*.py") if not path.name.startswith("__")}
    assert {name for name in names if name not in page} == set()

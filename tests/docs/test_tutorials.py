"""Each tutorial for authors of plug-ins works from an empty folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, ROOT, Block, blocks
from tests.helpers.plugins import environment, run

TUTORIALS = {
    "write_a_verifier": ("custom_verifier_plugin", "loudness.py"),
    "write_a_strategy": ("custom_strategy_plugin", "random_restart.py"),
}
every = pytest.mark.parametrize("name", TUTORIALS)


def tutorial(name: str) -> list[Block]:
    return blocks(DOCS / "how-to" / f"{name}.md")


def files(name: str) -> dict[str, str]:
    """Returns the files that a tutorial writes, by path."""
    marked = [block for block in tutorial(name) if block.mark.startswith("file: ")]
    return {block.mark.removeprefix("file: "): block.code for block in marked}


@pytest.mark.slow
@every
def test_a_tutorial_works_from_an_empty_folder(name: str, tmp_path: Path) -> None:
    """Its files are written, and its commands and its Python code run in order, in a new environment."""
    variables = environment(tmp_path / "venv")
    folder = tmp_path / "package"
    folder.mkdir()
    for path, code in files(name).items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(code)
    printed = ""
    for block in tutorial(name):
        if block.runs and block.mark == "":
            command = ("bash", "-euo", "pipefail") if block.language == "bash" else ("python",)
            printed += run(*command, "-c", block.code, cwd=folder, env=variables)
    entry = re.search(r"^(\w+) = \"\w+:(\w+)\"", files(name)["pyproject.toml"], re.M)
    assert entry is not None and re.search(rf"^.*{entry[1]} .*llasa-search-", printed, re.M)
    assert re.search(r"\d+ passed", printed)


@every
def test_the_example_has_the_same_files(name: str) -> None:
    """The folder in `examples/` is what the tutorial builds."""
    example = ROOT / "examples" / TUTORIALS[name][0]
    written = files(name)
    assert {path: (example / path).read_text("utf-8") for path in written} == written
    assert len(written) == 3


@every
def test_a_plug_in_is_short_and_imports_the_plugin_page_only(name: str) -> None:
    """A plug-in imports `llasa_search.plugin` only, and its tests import a contract."""
    written = files(name)
    assert len(written[TUTORIALS[name][1]].splitlines()) <= 40
    imported = {found for code in written.values() for found in re.findall(r"from (llasa_search\S*)", code)}
    assert imported <= {
        "llasa_search.plugin",
        "llasa_search.verifiers.testing",
        "llasa_search.strategies.testing",
    }

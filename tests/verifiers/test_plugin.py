"""A verifier of someone else's: the documented package, built, installed, and used by its name."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from llasa_search import registry
from llasa_search.candidate import Score, Utterance
from llasa_search.cli.listing import verifier_rows
from llasa_search.verifiers import Verifier
from tests.helpers.plugins import installed, run

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "custom_verifier_plugin"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment in which the package is installed."""
    return installed(EXAMPLE, tmp_path_factory.mktemp("plugin"))


def test_it_is_listed(python: Path, tmp_path: Path) -> None:
    """Guards against a plug-in that is installed and not found, or found without its declarations."""
    lines = run(python, "-m", "llasa_search", "verifiers", cwd=tmp_path).splitlines()
    (line,) = [line for line in lines if line.startswith("loudness")]
    assert re.split(r"\s{2,}", line) == [
        "loudness", "Loudness", "-", "yes", "no", "signal", "llasa-search-loudness", "yes",
    ]  # fmt: skip


def test_a_search_uses_it_by_name(python: Path, pair_path: Path, tmp_path: Path) -> None:
    """Guards against a name that works for built-in verifiers only."""
    code = (
        "import sys\n"
        "from llasa_search import search\n"
        "found = search.generate('a coin', verifiers='loudness.given(Loudness(target=-20.0) <= 60)',\n"
        "    gate=None, strategy='best_of_n:n=2', model=sys.argv[1])\n"
        "print(found.reward, [c.scores['Loudness()'].status for c in found.candidates])"
    )
    printed = run(python, "-c", code, pair_path, cwd=tmp_path).splitlines()[-1]
    assert printed == "Loudness().given(Loudness(target=-20.0) <= 60) ['scored', 'scored']"


def test_the_command_line_uses_it_by_name(python: Path, pair_path: Path, tmp_path: Path) -> None:
    options = ("--model", pair_path, "--verifier", "loudness=2", "-n", 2, "-o", "a.wav", "--json")
    printed = run(python, "-m", "llasa_search", "say", "a coin", *options, cwd=tmp_path)
    reward = "(2 * Loudness()).given(Pace() <= 0).given(Signal() <= 0)"
    assert json.loads(printed)["reward"] == reward and (tmp_path / "a.wav").is_file()


def test_its_own_tests_pass(python: Path, tmp_path: Path) -> None:
    """Guards against contract tests that the documented verifier does not pass."""
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    assert "passed" in run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=tmp_path)


def test_the_page_shows_the_files_that_are_tested() -> None:
    """Guards against a tutorial that has drifted from the example."""
    blocks = re.findall(r"^```\w+\n(.*?)^```$", (ROOT / "docs/write_a_verifier.md").read_text(), re.M | re.S)
    for name in ("loudness.py", "pyproject.toml", "tests/test_loudness.py"):
        assert (EXAMPLE / name).read_text() in blocks, f"docs/write_a_verifier.md does not show {name}"


class Needy(Verifier):
    requires = ("no_such_module",)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return []


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a list that breaks with one broken plug-in, or offers what cannot run."""
    for name, value in (("needy", f"{__name__}:Needy"), ("broken", "no_such_module:Verifier")):
        monkeypatch.setitem(
            registry.verifiers.entries, name, EntryPoint(name, value, registry.verifiers.group)
        )
    monkeypatch.setattr(Needy, "requires", ("no_such_module.part",))
    installed = {row[0]: row[-1] for row in verifier_rows()}
    assert installed["wer"] == "yes" and installed["needy"] == "no: needs no_such_module.part"
    assert installed["broken"].startswith("no: ") and "no_such_module" in installed["broken"]


def test_listing_loads_no_back_end() -> None:
    """Guards against a list that takes seconds because a verifier imports its library at the top."""
    code = (
        "import sys; from llasa_search.cli.listing import verifier_rows; verifier_rows()\n"
        "print([m for m in ('torch', 'transformers', 'whisper', 'funasr') if m in sys.modules])"
    )
    assert run(sys.executable, "-c", code, cwd=ROOT).strip() == "[]"

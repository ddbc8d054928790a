"""Verifiers of other packages in the listing, and what importing them loads."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from llasa_search import plugin, registry
from llasa_search.candidate import Score, Utterance
from llasa_search.cli.listing import verifier_rows
from llasa_search.verifiers import Verifier
from tests.helpers.plugins import run

ROOT = Path(__file__).parents[2]


class Needy(Verifier):
    requires = ("no_such_module.part",)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return []


def test_the_listing_says_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plug-in that cannot be imported, or whose module is missing, is listed with the reason."""
    for name, value in (("needy", f"{__name__}:Needy"), ("broken", "no_such_module:Verifier")):
        monkeypatch.setitem(
            registry.verifiers.entries, name, EntryPoint(name, value, registry.verifiers.group)
        )
    installed = {row[0]: row[-1] for row in verifier_rows()}
    assert installed["wer"] == "yes" and installed["needy"] == "no: needs no_such_module.part"
    assert installed["broken"].startswith("no: ") and "no_such_module" in installed["broken"]


@pytest.mark.parametrize(
    "code",
    [
        "from llasa_search.cli.listing import verifier_rows; verifier_rows()",
        "from llasa_search.plugin import Guided, PromptFormat, Verifier, complete",
    ],
)
def test_no_back_end_is_loaded(code: str) -> None:
    """Listing verifiers, and the imports of a plug-in, do not load torch or a back-end."""
    code = f"import sys; {code}; print([m for m in ('torch', 'transformers', 'funasr') if m in sys.modules])"
    assert run(sys.executable, "-c", code, cwd=ROOT).strip() == "[]"


def test_every_name_of_the_plugin_page_exists() -> None:
    for name in plugin.__all__:
        assert getattr(plugin, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        plugin.nonsense  # noqa: B018

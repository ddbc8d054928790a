"""Names find what any package offers, and unknown ones get advice."""

import pytest

from llasa_search import registry
from llasa_search.errors import InputError
from llasa_search.registry import Registry
from llasa_search.strategies import BestOfN
from llasa_search.verifiers import WER


def test_built_ins_are_found_by_name_and_by_class_name() -> None:
    """Guards against a built-in that is not listed in pyproject.toml, or a printed form that is not found."""
    assert registry.verifiers.get("wer") is WER
    assert registry.verifiers.get("WER") is WER
    assert registry.strategies.get("best_of_n") is BestOfN


@pytest.mark.parametrize(("name", "advice"), [("wre", "did you mean 'wer'"), ("loudness_of_x", "known: ")])
def test_unknown_name_suggests(name: str, advice: str) -> None:
    """Guards against a bare KeyError for a misspelt name."""
    with pytest.raises(InputError, match=advice):
        registry.verifiers.get(name)


def test_empty_group_says_how_to_install() -> None:
    """Guards against "known: " with nothing behind it in a checkout that has not been installed."""
    with pytest.raises(InputError, match="pip install"):
        Registry("llasa_search.no_such_group", kind="verifier").get("wer")

"""Verifiers and strategies of any package are found by name; unknown names get advice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from llasa_search import registry
from llasa_search.candidate import Utterance
from llasa_search.errors import InputError
from llasa_search.registry import Registry
from llasa_search.strategies import BestOfN
from llasa_search.verifiers import WER, Verifier
from llasa_search.verifiers.specification import as_reward


def test_built_ins_are_found_by_name_and_by_class_name() -> None:
    """The name of the entry point and the name of the class both work."""
    assert registry.verifiers.get("wer") is WER
    assert registry.verifiers.get("WER") is WER
    assert registry.strategies.get("best_of_n") is BestOfN


@pytest.mark.parametrize(("name", "advice"), [("wre", "did you mean 'wer'"), ("loudness_of_x", "known: ")])
def test_unknown_name_suggests(name: str, advice: str) -> None:
    """The message names the nearest known name, or all of them."""
    with pytest.raises(InputError, match=advice):
        registry.verifiers.get(name)


def test_a_package_cannot_take_a_built_ins_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class of the same name in another package makes the class name ambiguous."""
    stranger = EntryPoint("a_wer", f"{__name__}:WER", registry.verifiers.group)
    monkeypatch.setitem(registry.verifiers.entries, "a_wer", stranger)
    assert registry.verifiers.get("wer") is WER
    with pytest.raises(InputError, match="two packages offer a verifier named 'WER'"):
        registry.verifiers.get("WER")


def loud_enough(utterance: Utterance) -> float:
    return 40.0


LOUDNESS = Verifier.from_function(loud_enough, scale=(0, 80))


def test_a_function_with_its_scale_can_be_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance of `FunctionVerifier` can be an entry point; it takes no arguments."""
    offered = EntryPoint("loudness", f"{__name__}:LOUDNESS", registry.verifiers.group)
    monkeypatch.setitem(registry.verifiers.entries, "loudness", offered)
    reward = as_reward("loudness")
    assert str(reward) == "loudness()" and reward.verifiers[0].scale == (0, 80)
    with pytest.raises(InputError, match="takes no arguments"):
        as_reward("loudness(3)")


def test_empty_group_says_how_to_install() -> None:
    """In a checkout that is not installed, the message says what to run."""
    with pytest.raises(InputError, match="pip install"):
        Registry("llasa_search.no_such_group", kind="verifier").get("wer")


@dataclass
class Walker:
    """A strategy with presets, such as another package could have."""

    steps: int
    pace: float = 1.0

    @classmethod
    def slow(cls, **changes: Any) -> Walker:
        return replace(cls(steps=3, pace=0.5), **changes)

    @classmethod
    def of(cls, steps: int) -> Walker:
        return cls(steps)


def test_a_preset_takes_the_arguments_of_its_class() -> None:
    """A preset that passes on `**changes` has the arguments and defaults of its class."""
    assert registry.taken(Walker.slow) == "steps=3, pace=0.5"
    assert registry.taken(Walker.of) == "steps"
    assert registry.taken(Walker) == "steps, pace=1.0"

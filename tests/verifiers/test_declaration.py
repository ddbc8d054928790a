"""What a verifier's class says of itself, refused before anything is sampled where it cannot be."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from llasa_search.candidate import Score, Utterance
from llasa_search.errors import InputError, ModelError
from llasa_search.scoring.loading import load_verifiers
from llasa_search.verifiers import EmotionSimilarity, Verifier
from llasa_search.verifiers.specification import parse_reward


class Table(Verifier):
    """Declares what its maker gives."""

    def __init__(self, value: object = None) -> None:
        self.value = value

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [Score(0.5) for _ in utterances]


@pytest.mark.parametrize("scale", [(0.0, 0.0), (0.0, np.nan), (np.inf, 0.0), (1.0,), None, ("a", "b"), "01"])
def test_a_scale_without_width_is_refused(scale: tuple[float, float]) -> None:
    """Guards against utilities of 0 / 0: a reward out of nothing, or none, after all has been sampled."""
    verifier = Table()
    verifier.scale = scale
    with pytest.raises(InputError, match=r"Table\(\): scale=.* two different numbers"):
        load_verifiers([verifier])


class OwnUtility(Table):
    def utility(self, values: np.ndarray) -> np.ndarray:
        return np.exp(-values)


def test_a_utility_of_its_own_needs_no_scale() -> None:
    """Guards against a demand that means nothing to who overrides the map."""
    verifier = OwnUtility()
    verifier.scale = (0.0, 0.0)
    load_verifiers([verifier])


def test_a_need_that_nothing_can_meet_is_refused() -> None:
    """Guards against `needs = {"transcript"}`, which no check looks at."""
    verifier = Table()
    verifier.needs = frozenset({"transcript"})
    with pytest.raises(InputError, match=r"transcript.*any of codes, logprobs, text, voice"):
        load_verifiers([verifier])


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (Path("models") / "one", f"Table(value={os.path.join('models', 'one')!r})"),
        (np.float64(0.5), "Table(value=0.5)"),
        (np.int64(3), "Table(value=3)"),
        (np.array([1.0, 2.0]), "Table(value=[1.0, 2.0])"),
        ([1, "a", None], "Table(value=[1, 'a', None])"),
    ],
)
def test_arguments_print_as_what_reads_back(value: object, printed: str) -> None:
    """Guards against `PosixPath('...')` in a stored run, which nothing reads back."""
    verifier = Table(value)
    load_verifiers([verifier])
    assert str(verifier) == printed


def test_an_argument_that_does_not_read_back_is_refused() -> None:
    """Guards against a run that is stored and cannot be ranked again."""
    with pytest.raises(InputError, match=r"Table\(value=.*reads it back"):
        load_verifiers([Table(object())])


def test_built_in_paths_read_back() -> None:
    """Guards against the same in ours."""
    verifier = EmotionSimilarity(Path("ref.wav"))  # type: ignore[arg-type]
    assert parse_reward(str(verifier)) == verifier


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("needs", ["text"]),
        ("needs", "text"),
        ("needs", None),
        ("cost", "cheap"),
        ("cost", np.nan),
        ("min_seconds", None),
        ("window_seconds", "4"),
        ("family", ["a"]),
    ],
)
def test_what_cannot_be_is_named(name: str, value: object) -> None:
    """Guards against a TypeError after everything has been sampled."""
    verifier = Table()
    setattr(verifier, name, value)
    with pytest.raises(InputError, match=rf"Table: {name}="):
        load_verifiers([verifier])


class Leaving(Table):
    def load(self) -> None:
        raise SystemExit(3)


def test_a_loader_that_exits_does_not_end_the_program() -> None:
    """Guards against a program that ends without a word."""
    with pytest.raises(ModelError, match=r"Leaving\(\) cannot be loaded: SystemExit: 3"):
        load_verifiers([Leaving()])


class Defaulted(Table):
    def __init__(self, value: object = np.zeros(2)) -> None:
        self.value = value


def test_an_array_as_a_default() -> None:
    """Guards against "the truth value of an array is ambiguous"."""
    assert str(Defaulted()) == "Defaulted()"

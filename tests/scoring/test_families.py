"""A judge of the family that has chosen: when that is said, and when not."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint

import pytest

from llasa_search import registry, search
from llasa_search.arrays import Audio
from llasa_search.candidate import Score, Utterance
from llasa_search.result import SearchResult
from llasa_search.verifiers import Pace, Signal, Verifier
from llasa_search.voice import Voice

TEXT = "The captain found a silver coin near the lake."


class Ear(Verifier):
    """A judge of a family of its own."""

    family = "ear"
    judge = True

    def __init__(self, side: str = "left") -> None:
        self.side = side

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [Score(0.5) for _ in utterances]


@pytest.fixture
def select(noise: Callable[..., Audio], monkeypatch: pytest.MonkeyPatch) -> Callable[..., SearchResult]:
    """Chooses among two recordings, of which each warning is an error."""
    entry = EntryPoint("ear", f"{__name__}:Ear", registry.verifiers.group)
    monkeypatch.setitem(registry.verifiers.entries, "ear", entry)
    voice = Voice(noise(3.0), TEXT, 16_000)
    wavs = [(noise(2.0, seed), 16_000) for seed in (1, 2)]
    return lambda verifiers: search.select(wavs, TEXT, voice, verifiers=verifiers)


@pytest.fixture(autouse=True)
def warnings_are_errors() -> object:
    with warnings.catch_warnings(action="error", category=UserWarning):
        yield


def test_a_report_only_relative_warns(select: Callable[..., SearchResult]) -> None:
    """Guards against a search that is praised by the verifier that it has pleased."""
    with pytest.warns(UserWarning, match=r"Pace\(relative=True\) judges what Pace\(\) has chosen.*'pace'"):
        select("pace + 0 * Pace(relative=True)")


def test_report_only_strangers_do_not(select: Callable[..., SearchResult]) -> None:
    """Guards against a warning that everyone learns to overlook."""
    select("pace + 0 * ear")
    select("pace + Pace(relative=True)")
    select([Pace(), Signal(), Verifier.from_function(lambda utterance: 0.5, name="own")])
    select("pace + 0 * pace")


def test_a_ranking_by_relatives_warns(select: Callable[..., SearchResult]) -> None:
    """Guards against a judge that had a say in the search, or whose twin had, when it is asked afterwards."""
    searched = select("pace + 0.5 * ear")
    for judges in ("ear", "Ear(side='right')", "signal + ear"):
        with pytest.warns(UserWarning, match="judges what Ear"):
            searched.rerank(judges)
    with pytest.warns(UserWarning, match="judges what Ear"):
        searched.rerank(f"{searched.reward} + 0 * Ear(side='right')")
    searched.rerank("pace")
    select("pace").rerank("ear")


def test_a_search_by_a_nameless_function_can_be_judged(select: Callable[..., SearchResult]) -> None:
    """Guards against an error because a stored reward cannot be read back."""
    select(lambda utterance: 0.5).rerank("ear")


def test_a_judge_keeps_the_choice_that_it_judges(select: Callable[..., SearchResult]) -> None:
    searched = select("pace + signal")
    judged = searched.rerank(f"{searched.reward} + 0 * ear")
    assert judged.best.index == searched.best.index and judged.best.reward == searched.best.reward
    assert judged.best.scores["Ear()"].status == "scored"


def test_embedded_verifiers_of_others_speech_warn(select: Callable[..., SearchResult]) -> None:
    """Guards against real speech judged, without a word, by models that know synthetic voices only."""
    with pytest.warns(
        UserWarning, match=r"SpeakerSimilarity\(\): the package's own .* WER\(model='large-v3'\)"
    ):
        select("speaker + pace")

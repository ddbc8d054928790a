"""Warnings about judges of the same model family as a verifier that chose, and about speech out of domain."""

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


class Other(Verifier):
    """A judge of another model family."""

    family = "other"
    judge = True

    def __init__(self, side: str = "left") -> None:
        self.side = side

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [Score(0.5) for _ in utterances]


@pytest.fixture
def select(noise: Callable[..., Audio], monkeypatch: pytest.MonkeyPatch) -> Callable[..., SearchResult]:
    """Returns a function that chooses between two recordings by a reward."""
    entry = EntryPoint("other", f"{__name__}:Other", registry.verifiers.group)
    monkeypatch.setitem(registry.verifiers.entries, "other", entry)
    voice = Voice(noise(3.0), TEXT, 16_000)
    wavs = [(noise(2.0, seed), 16_000) for seed in (1, 2)]
    return lambda verifiers: search.select(wavs, TEXT, voice, verifiers=verifiers)


@pytest.fixture(autouse=True)
def warnings_are_errors() -> object:
    with warnings.catch_warnings(action="error", category=UserWarning):
        yield


def test_a_judge_of_the_same_family_causes_a_warning(select: Callable[..., SearchResult]) -> None:
    """A verifier of weight 0 whose family also chose causes a warning that names both."""
    with pytest.warns(UserWarning, match=r"Pace\(relative=True\) judges what Pace\(\) has chosen.*'pace'"):
        select("pace + 0 * Pace(relative=True)")


def test_judges_of_other_families_cause_no_warning(select: Callable[..., SearchResult]) -> None:
    """Judges of other families, and verifiers that take part in the choice, cause no warning."""
    select("pace + 0 * other")
    select("pace + Pace(relative=True)")
    select([Pace(), Signal(), Verifier.from_function(lambda utterance: 0.5, name="own")])
    select("pace + 0 * pace")


def test_reranking_by_the_same_family_causes_a_warning(select: Callable[..., SearchResult]) -> None:
    """Reranking by a judge whose family chose in the search causes a warning, also with other arguments."""
    searched = select("pace + 0.5 * other")
    for judges in ("other", "Other(side='right')", "signal + other"):
        with pytest.warns(UserWarning, match="judges what Other"):
            searched.rerank(judges)
    with pytest.warns(UserWarning, match="judges what Other"):
        searched.rerank(f"{searched.reward} + 0 * Other(side='right')")
    searched.rerank("pace")
    select("pace").rerank("other")


def test_a_search_by_an_unregistered_function_can_be_reranked(select: Callable[..., SearchResult]) -> None:
    """A stored reward that names an unregistered function causes no error."""
    select(lambda utterance: 0.5).rerank("other")


def test_adding_a_judge_of_weight_0_keeps_the_choice(select: Callable[..., SearchResult]) -> None:
    searched = select("pace + signal")
    judged = searched.rerank(f"{searched.reward} + 0 * other")
    assert judged.best.index == searched.best.index and judged.best.reward == searched.best.reward
    assert judged.best.scores["Other()"].status == "scored"


def test_embedded_verifiers_warn_about_other_speech(select: Callable[..., SearchResult]) -> None:
    """Speech that the embedded model did not make causes a warning, because it is out of domain."""
    with pytest.warns(
        UserWarning, match=r"SpeakerSimilarity\(\): the package's own .* WER\(model='large-v3'\)"
    ):
        select("speaker + pace")

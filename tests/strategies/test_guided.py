"""Strategies that score unfinished speech, and budgets and traces of all; the rest is in `StrategyContract`."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llasa_search.budget import Budget
from llasa_search.errors import InputError
from llasa_search.llasa.model import Llasa
from llasa_search.result import SearchResult
from llasa_search.reward.base import Reward
from llasa_search.reward.compose import RankAverage
from llasa_search.sampling import Sampling
from llasa_search.search import Searcher
from llasa_search.strategies import (
    DVTS,
    Beam,
    BestOfN,
    InContextSteps,
    Particle,
    SpeculativeRejection,
    Strategy,
    as_strategy,
)
from llasa_search.voice import Prompt
from tests.helpers.verifiers import Codes, FinalOnly

TEXT = "a coin"
SHORT = Sampling(min_seconds=0.1, max_seconds=0.6)
LONGEST = 30
"""Tokens of a candidate under `SHORT`."""

GUIDED = [
    Beam(3, 2, step_tokens=5),
    Beam(2, 2, prefix_seconds=0.2, completions=3, step_tokens=5),
    Beam(2, 2, lookahead=4, max_children=1, step_tokens=5),
    DVTS(6, 3, step_tokens=5),
    Particle(6, temperature=0.01, step_tokens=5),
    SpeculativeRejection(6, alpha=0.4, step_tokens=5),
]
ALL = [*GUIDED, BestOfN(6), BestOfN(6, stop_at=Codes() >= 60), InContextSteps(6)]
every = pytest.mark.parametrize("strategy", ALL, ids=lambda strategy: type(strategy).__name__)
guided = pytest.mark.parametrize("strategy", GUIDED, ids=lambda strategy: type(strategy).__name__)


def search(
    llasa: Llasa,
    strategy: Strategy,
    reward: Reward | None = None,
    budget: Budget | None = None,
    sampling: Sampling = SHORT,
    seed: int = 0,
) -> SearchResult:
    searcher = Searcher(llasa, reward or Codes(), strategy)
    return searcher.generate(TEXT, budget=budget, sampling=sampling, seed=seed)


@guided
def test_a_reward_that_cannot_score_unfinished_speech_is_refused(llasa: Llasa, strategy: Strategy) -> None:
    """Nothing is sampled, and the message names verifiers that can."""
    with pytest.raises(InputError, match=r"FinalOnly\(\) can score.*prefix_verifiers.*signal"):
        search(llasa, strategy, FinalOnly())


@guided
def test_the_part_of_a_reward_that_can_score_unfinished_speech_does(llasa: Llasa, strategy: Strategy) -> None:
    """Other verifiers score finished candidates only."""
    result = search(llasa, strategy, RankAverage(FinalOnly(), Codes()).given(Codes() >= 0))
    checks = [check for node in result.trace.nodes.values() for check in node.checks]
    assert {name for check in checks for name in check.scores} == {"Codes()"}
    assert not any(math.isnan(candidate.reward) for candidate in result.candidates)


@every
def test_the_prompt_is_prefilled_once(llasa: Llasa, strategy: Strategy) -> None:
    assert search(llasa, strategy).ledger.prefills == 1


@settings(max_examples=25)
@given(
    st.sampled_from(ALL),
    st.one_of(st.none(), st.integers(LONGEST, 300)),
    st.one_of(st.none(), st.integers(1, 8)),
)
def test_no_budget_is_exceeded(
    llasa: Llasa, strategy: Strategy, tokens: int | None, candidates: int | None
) -> None:
    """The limits hold for any budget, and the best of the finished candidates is chosen."""
    result = search(llasa, strategy, budget=Budget(tokens=tokens, candidates=candidates))
    assert result.ledger.finished == len(result.candidates) >= 1
    assert tokens is None or result.ledger.row_steps <= tokens
    if candidates is not None:  # several may end with the same token
        ends = Counter(len(candidate.logprobs) for candidate in result.candidates)
        assert ends.total() - max(ends.values()) < candidates
    assert result.best.reward == max(candidate.reward for candidate in result.candidates)


@settings(max_examples=15)
@given(tokens=st.integers(30, 130), lookahead=st.integers(1, 25))
def test_the_budget_reserves_tokens_that_lookahead_samples_again(
    llasa: Llasa, tokens: int, lookahead: int
) -> None:
    """The reserve for finishing a row counts from the length that the row is taken back to."""
    endless = Sampling(min_seconds=0.6, max_seconds=0.6)
    beam = Beam(2, 2, step_tokens=10, lookahead=lookahead)
    assert search(llasa, beam, budget=Budget(tokens=tokens), sampling=endless).ledger.row_steps <= tokens


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ALL), st.integers(LONGEST, 120), st.integers(1, 3))
def test_no_budget_is_exceeded_where_memory_is_short(
    llasa: Llasa, monkeypatch: pytest.MonkeyPatch, strategy: Strategy, tokens: int, at_once: int
) -> None:
    """The token limit holds when rows wait until memory is free."""
    monkeypatch.setattr("llasa_search.generation.sampler.rows_that_fit", lambda *_: at_once)
    result = search(llasa, strategy, budget=Budget(tokens=tokens))
    assert result.ledger.row_steps <= tokens and result.candidates


@every
def test_the_trace_has_every_row(llasa: Llasa, strategy: Strategy) -> None:
    """Each row has its end, parent and length; each candidate is the row of its index."""
    result = search(llasa, strategy)
    nodes = result.trace.nodes
    finished = {index for index, node in nodes.items() if node.end == "finished"}
    assert finished == {candidate.index for candidate in result.candidates}
    for node in nodes.values():
        assert node.end in ("finished", "cut") and node.why and node.start <= node.tokens
        assert node.parent is None or node.start <= nodes[node.parent].tokens
        assert all(check.scores for check in node.checks)
    for candidate in result.candidates:
        assert nodes[candidate.index].parent == candidate.parent
        assert nodes[candidate.index].tokens == len(candidate.codes)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("beam:width=0", "width=0: give a whole number"),
        ("beam:step_tokens=2.5", "step_tokens=2.5"),
        ("beam:prefix_seconds=-1", "prefix_seconds=-1: give a number, 0 or more"),
        ("beam:prefix_seconds=True", "prefix_seconds=True"),
        ("beam_short:prefix_seconds=1,prefix_share=0.5", "not both"),
        ("beam:prefix_verifiers=3", "prefix_verifiers: "),
        ("beam:prefix_seconds=1,prefix_share=0.5", "not both"),
        ("beam:completions=2", "after a prefix"),
        ("beam:completions=2,prefix_seconds=0", "prefix_share, above 0"),
        ("beam:lookahead=-1", "lookahead=-1"),
        ("beam:width=None", "width=None"),
        ("beam:step_tokens=None", "step_tokens=None"),
        ("particle:n=None", "n=None"),
        ("dvts:width=None", "width=None"),
        ("rejection:n=None", "n=None"),
        ("beam:prefix_verifiers=pace", r"Pace\(\) cannot score unfinished speech"),
        ("beam_short:length=3", "length.*takes width=4, expand=4, .*prefix_share=0.25"),
        ("dvts:width=6,expand=4", "not a whole number of trees"),
        ("particle:temperature=0", "above 0"),
        ("rejection:alpha=1", "below 1"),
    ],
)
def test_settings_out_of_range_are_refused(spec: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        as_strategy(spec)


def test_settings_are_read_from_a_name() -> None:
    """Commas inside an expression of verifiers do not separate settings."""
    beam = as_strategy(
        "beam: width=4, prefix_seconds=2, prefix_verifiers=signal + Harmonic(lm_likelihood, signal)"
    )
    assert isinstance(beam, Beam) and (beam.width, beam.prefix_seconds) == (4, 2)
    assert str(beam.prefix_verifiers) == "Signal() + Harmonic(LanguageModelLikelihood(), Signal())"
    assert as_strategy("beam_paper:width=4") == Beam(width=4, prefix_seconds=2.0)
    assert as_strategy("beam_short") == Beam(4, 4, prefix_share=0.25, step_tokens=10)
    assert as_strategy("beam_short:prefix_seconds=1") == Beam(4, 4, prefix_seconds=1, step_tokens=10)
    assert as_strategy("beam_paper:prefix_share=0.5") == Beam(prefix_share=0.5)


def test_a_plain_function_cannot_score_unfinished_speech() -> None:
    """The message says what to write instead."""
    with pytest.raises(InputError, match=r"plain function .write a Verifier with partial = True"):
        Beam(prefix_verifiers=lambda utterance: 0.5)


def test_prefix_verifiers_are_loaded_and_checked_first(llasa: Llasa) -> None:
    """The strategy's own verifiers can refuse a prompt before anything is sampled."""

    class Refusing(Codes):
        loaded = False

        def load(self) -> None:
            self.loaded = True

        def check(self, prompt: Prompt) -> None:
            raise InputError(f"loaded={self.loaded}: not this prompt")

    with pytest.raises(InputError, match="loaded=True: not this prompt"):
        search(llasa, Beam(2, 2, prefix_verifiers=Refusing()))

"""What holds of every strategy, above all of those that cut unfinished speech."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llasa_search.budget import Budget
from llasa_search.errors import InputError
from llasa_search.llasa.model import Llasa
from llasa_search.result import SearchError, SearchResult
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
from llasa_search.verifiers import LanguageModelLikelihood
from llasa_search.voice import Prompt
from tests.helpers.verifiers import Broken, Codes, Deaf, Interrupting, Loud

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


def speech(result: SearchResult) -> dict[int, list[int]]:
    return {candidate.index: candidate.codes.tolist() for candidate in result.candidates}


@every
def test_the_smallest_budget_buys_one_candidate(llasa: Llasa, strategy: Strategy) -> None:
    """A search that spends its budget on rows of which none can be finished."""
    result = search(llasa, strategy, budget=Budget(tokens=LONGEST))
    assert len(result.candidates) == 1 and result.stopped_by == "tokens"
    assert result.ledger.row_steps <= LONGEST


@every
def test_one_verifier_and_three(llasa: Llasa, strategy: Strategy) -> None:
    """A reward of several verifiers that is not combined for unfinished speech."""
    three = 0.5 * Codes() + 0.3 * Loud() + 0.2 * LanguageModelLikelihood()
    for reward in (Codes(), three):
        result = search(llasa, strategy, reward)
        assert result.best.reward == max(candidate.reward for candidate in result.candidates)
        for node in result.trace.nodes.values():
            assert all(set(check.scores) == {str(v) for v in reward.verifiers} for check in node.checks)


@guided
def test_deaf_verifiers_are_refused_before_anything_is_sampled(llasa: Llasa, strategy: Strategy) -> None:
    """A search that cuts rows by what a verifier makes of half a sentence."""
    with pytest.raises(InputError, match=r"Deaf\(\) can score.*prefix_verifiers.*signal"):
        search(llasa, strategy, Deaf())


@guided
def test_what_can_judge_unfinished_speech_does(llasa: Llasa, strategy: Strategy) -> None:
    """A mixed reward refused, or unfinished speech scored by a verifier that says it cannot."""
    result = search(llasa, strategy, RankAverage(Deaf(), Codes()).given(Codes() >= 0))
    heard = {name for node in result.trace.nodes.values() for check in node.checks for name in check.scores}
    assert heard == {"Codes()"}
    assert not any(math.isnan(candidate.reward) for candidate in result.candidates)


@every
def test_when_everything_fails_the_candidates_are_kept(llasa: Llasa, strategy: Strategy) -> None:
    """A division by no weight; speech lost to a broken verifier."""
    with pytest.raises(SearchError, match="out of order") as caught:
        search(llasa, strategy, Broken())
    assert caught.value.result is not None and len(caught.value.result.candidates) > 1


@every
def test_all_rows_may_end_at_once(llasa: Llasa, strategy: Strategy) -> None:
    """A selection among no rows."""
    greedy = Sampling(temperature=0, min_seconds=0.1, max_seconds=0.6)
    result = search(llasa, strategy, sampling=greedy)
    assert len({tuple(codes) for codes in speech(result).values()}) == 1


@every
def test_no_row_may_end_before_the_limit(llasa: Llasa, strategy: Strategy) -> None:
    """A loop that waits for an end which never comes."""
    endless = Sampling(min_seconds=0.5, max_seconds=0.5)
    result = search(llasa, strategy, sampling=endless)
    assert {len(codes) for codes in speech(result).values()} == {25} and result.stopped_by is None


@every
def test_same_seed_same_result(llasa: Llasa, strategy: Strategy) -> None:
    first, again = search(llasa, strategy, seed=3), search(llasa, strategy, seed=3)
    assert speech(first) == speech(again) and first.best.index == again.best.index
    assert speech(first) != speech(search(llasa, strategy, seed=4))


@every
def test_ctrl_c_returns_the_best_so_far(llasa: Llasa, strategy: Strategy) -> None:
    """Rows thrown away because their user lost patience while a verifier listened."""
    result = search(llasa, strategy, Interrupting())
    assert result.stopped_by == "interrupt" and not math.isnan(result.best.reward)


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
    """More spent than was given; the best of what has finished not chosen."""
    result = search(llasa, strategy, budget=Budget(tokens=tokens, candidates=candidates))
    assert result.ledger.finished == len(result.candidates) >= 1
    assert tokens is None or result.ledger.row_steps <= tokens
    if candidates is not None:  # several may end with the same token
        ends = Counter(len(candidate.logprobs) for candidate in result.candidates)
        assert ends.total() - max(ends.values()) < candidates
    assert result.best.reward == max(candidate.reward for candidate in result.candidates)


@settings(max_examples=15)
@given(tokens=st.integers(30, 130), lookahead=st.integers(1, 25))
def test_looking_ahead_keeps_the_price_of_what_is_sampled_again(
    llasa: Llasa, tokens: int, lookahead: int
) -> None:
    """A row that is finished from its fork with what the budget kept for finishing it from further on."""
    endless = Sampling(min_seconds=0.6, max_seconds=0.6)
    beam = Beam(2, 2, step_tokens=10, lookahead=lookahead)
    assert search(llasa, beam, budget=Budget(tokens=tokens), sampling=endless).ledger.row_steps <= tokens


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ALL), st.integers(LONGEST, 120), st.integers(1, 3))
def test_no_budget_is_exceeded_where_memory_is_short(
    llasa: Llasa, monkeypatch: pytest.MonkeyPatch, strategy: Strategy, tokens: int, at_once: int
) -> None:
    """A reserve for the rows that are sampled, spent on one of those that wait for their memory."""
    monkeypatch.setattr("llasa_search.generation.sampler.rows_that_fit", lambda *_: at_once)
    result = search(llasa, strategy, budget=Budget(tokens=tokens))
    assert result.ledger.row_steps <= tokens and result.candidates


@every
def test_the_trace_knows_every_row(llasa: Llasa, strategy: Strategy) -> None:
    """Rows that vanish without a reason, or candidates that came from nowhere."""
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
    """Guards against an expression of verifiers that is cut at its commas."""
    beam = as_strategy(
        "beam: width=4, prefix_seconds=2, prefix_verifiers=signal + Harmonic(lm_likelihood, signal)"
    )
    assert isinstance(beam, Beam) and (beam.width, beam.prefix_seconds) == (4, 2)
    assert str(beam.prefix_verifiers) == "Signal() + Harmonic(LanguageModelLikelihood(), Signal())"
    assert as_strategy("beam_paper:width=4") == Beam(width=4, prefix_seconds=2.0)
    assert as_strategy("beam_short") == Beam(4, 4, prefix_share=0.25, step_tokens=10)
    assert as_strategy("beam_short:prefix_seconds=1") == Beam(4, 4, prefix_seconds=1, step_tokens=10)
    assert as_strategy("beam_paper:prefix_share=0.5") == Beam(prefix_share=0.5)


def test_a_plain_function_is_told_how_to_hear_unfinished_speech() -> None:
    """An error that asks for what was given."""
    with pytest.raises(InputError, match=r"plain function .write a Verifier with partial = True"):
        Beam(prefix_verifiers=lambda utterance: 0.5)


def test_prefix_verifiers_are_loaded_and_checked_first(llasa: Llasa) -> None:
    """A verifier that refuses the prompt only when half of it is said, or loads its model by then."""

    class Fussy(Codes):
        loaded = False

        def load(self) -> None:
            self.loaded = True

        def check(self, prompt: Prompt) -> None:
            raise InputError(f"loaded={self.loaded}: not this prompt")

    with pytest.raises(InputError, match="loaded=True: not this prompt"):
        search(llasa, Beam(2, 2, prefix_verifiers=Fussy()))

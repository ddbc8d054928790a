"""A search keeps its candidates when Ctrl-C, a limit or an error ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from llasa_search.budget import Budget
from llasa_search.candidate import Candidate, Score, Utterance
from llasa_search.errors import InputError, ModelError
from llasa_search.result import SearchError
from llasa_search.sampling import Sampling
from llasa_search.search import Progress, Searcher
from llasa_search.strategies import BestOfN
from tests.helpers.verifiers import Frames

TEXT = "the captain found a coin"
SHORT = Sampling(min_seconds=0.1, max_seconds=0.6)


class InterruptedAfter(BestOfN):
    """Best-of-N that is interrupted after `interrupt_after` candidates have been yielded."""

    interrupt_after = 2

    def run(self, sampler: Any, scorer: Any) -> Iterator[Candidate]:
        for count, candidate in enumerate(super().run(sampler, scorer)):
            if count == self.interrupt_after:
                raise KeyboardInterrupt
            yield candidate


def test_ctrl_c_returns_the_best_of_what_has_finished(searcher: Callable[..., Searcher]) -> None:
    """All finished candidates are scored, including those that were not yielded before Ctrl-C."""
    result = searcher(strategy=InterruptedAfter(n=5)).generate(TEXT, sampling=SHORT)
    assert result.stopped_by == "interrupt" and len(result.candidates) == 5
    assert not any(np.isnan(candidate.reward) for candidate in result.candidates)


class Slow(Frames):
    """Takes a twentieth of a second per candidate."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        time.sleep(0.05 * len(utterances))
        return super().score(utterances)


def test_finished_candidates_are_scored_within_the_limit(searcher: Callable[..., Searcher]) -> None:
    """Sampling stops early enough that most finished candidates can be scored."""
    rounds = BestOfN(n=10_000, stop_at=Frames() >= 1e9)
    result = searcher(Slow(), rounds).generate(TEXT, sampling=SHORT, budget=Budget(seconds=2))
    statuses = [candidate.scores["Slow()"].status for candidate in result.candidates]
    assert result.stopped_by == "seconds" and len(statuses) > 10
    assert statuses.count("scored") > 0.7 * len(statuses)


def test_the_error_of_a_budget_without_a_candidate_names_the_limit(searcher: Callable[..., Searcher]) -> None:
    with pytest.raises(SearchError, match="budget of seconds"):
        searcher().generate(TEXT, budget=Budget(seconds=1e-9))


class InterruptedEarly(BestOfN):
    """Best-of-N that is interrupted while all rows are live, or before there are rows."""

    tokens: int | None = 3

    def run(self, sampler: Any, scorer: Any) -> Iterator[Candidate]:
        if self.tokens is not None:
            sampler.extend(sampler.start(3), self.tokens)
        raise KeyboardInterrupt
        yield


def test_ctrl_c_before_a_candidate_has_finished_finishes_one(searcher: Callable[..., Searcher]) -> None:
    """One live row is finished and scored."""
    result = searcher(strategy=InterruptedEarly()).generate(TEXT, sampling=SHORT)
    assert result.stopped_by == "interrupt" and len(result.candidates) == 1
    assert not np.isnan(result.best.reward)


def test_ctrl_c_before_sampling_is_raised_again(searcher: Callable[..., Searcher]) -> None:
    strategy = InterruptedEarly()
    object.__setattr__(strategy, "tokens", None)
    with pytest.raises(KeyboardInterrupt):
        searcher(strategy=strategy).generate(TEXT, sampling=SHORT)


class Faulty(BestOfN):
    """Best-of-N that raises an error after the second candidate."""

    error: Exception = ValueError("a bug")

    def run(self, sampler: Any, scorer: Any) -> Iterator[Candidate]:
        for number, candidate in enumerate(super().run(sampler, scorer)):
            yield candidate
            if number:
                raise self.error


class FullMemory(Faulty):
    error = ModelError("not even one candidate fits into memory")


class Twice(BestOfN):
    """Best-of-N that yields each candidate twice."""

    def run(self, sampler: Any, scorer: Any) -> Iterator[Candidate]:
        for candidate in super().run(sampler, scorer):
            yield from (candidate, candidate)


def test_an_error_in_a_strategy_loses_no_candidate(searcher: Callable[..., Searcher]) -> None:
    """If a strategy or the progress function raises, the error has the scored candidates."""
    for strategy, kind, says, count in (
        (Faulty(), ValueError, "Faulty.* raised ValueError: a bug", 2),
        (FullMemory(), ModelError, "raised ModelError: not even one", 2),
        (Twice(), InputError, "yielded candidate . twice", 1),
    ):
        with pytest.raises(SearchError, match=says) as caught:
            searcher(strategy=strategy).generate(TEXT, sampling=SHORT)
        assert isinstance(caught.value.__cause__, kind)
        found = caught.value.result
        assert found is not None and len(found.candidates) >= count
        assert not np.isnan(found.best.reward)
        assert len({candidate.index for candidate in found.candidates}) == len(found.candidates)
    for broken_at in (1, 5):

        def progress(seen: Progress, broken_at: int = broken_at) -> None:
            if seen.finished + bool(seen.scored) == broken_at:
                raise ZeroDivisionError

        with pytest.raises(SearchError, match="ZeroDivisionError") as caught:
            searcher().generate(TEXT, sampling=SHORT, progress=progress)
        assert caught.value.result is not None and len(caught.value.result.candidates) > 0


class Empty(BestOfN):
    """Yields something else than a candidate, or raises, before anything is sampled."""

    what: object = None

    def run(self, sampler: Any, scorer: Any) -> Iterator[Candidate]:
        if isinstance(self.what, Exception):
            raise self.what
        yield self.what  # type: ignore[misc]


def test_the_error_of_a_strategy_without_candidates_names_it(searcher: Callable[..., Searcher]) -> None:
    """The error says what the strategy yielded or raised."""
    for what, kind, says in (
        (None, InputError, "it yielded None: a strategy yields the candidates"),
        ("speech", InputError, "it yielded 'speech'"),
        (RuntimeError("a bug"), SearchError, "Empty.* raised RuntimeError: a bug"),
    ):
        strategy = Empty()
        object.__setattr__(strategy, "what", what)
        with pytest.raises(kind, match=says):
            searcher(strategy=strategy).generate(TEXT, sampling=SHORT)

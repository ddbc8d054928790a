"""Costs and ends of sampling: budgets, Ctrl-C, memory."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llasa_search.budget import Budget, BudgetSpent
from llasa_search.errors import InputError, ModelError
from llasa_search.generation.sampler import Sampler
from llasa_search.llasa.model import Llasa
from llasa_search.sampling import Sampling
from tests.helpers.samplers import sampler_maker, speech


@pytest.fixture(scope="module")
def make(llasa: Llasa) -> Callable[..., Sampler]:
    return sampler_maker(llasa)


def test_the_ledger_counts_every_token(make: Callable[..., Sampler]) -> None:
    """The tokens of pruned rows, and END, are counted."""
    sampler = make()
    rows, early = sampler.extend(sampler.start(6), 10)
    cut = len(rows) - 2
    _, late = sampler.extend(sampler.select(rows, [0, 1]))
    ledger = sampler.tracker.ledger
    assert ledger.row_steps == 10 * cut + sum(len(candidate.logprobs) for candidate in early + late)
    assert ledger.finished == len(early + late)
    assert ledger.flops["decode"] > 0
    assert ledger.stage_seconds.keys() >= {"prefill", "decode"}
    assert ledger.peak_memory_bytes > 0


@settings(max_examples=20)
@given(st.integers(50, 400), st.integers(1, 12))
def test_a_budget_of_tokens_is_never_exceeded(make: Callable[..., Sampler], tokens: int, n: int) -> None:
    """Row-steps stay within the limit, and one candidate finishes."""
    sampler = make(Budget(tokens=tokens))
    live, finished = sampler.extend(sampler.start(n))
    assert len(live) == 0
    if not finished:
        finished_row = sampler.finish_best_row()
        assert finished_row is not None
        assert finished_row.finish_reason in ("stop", "length")
        finished = [finished_row]
    ledger = sampler.tracker.ledger
    assert ledger.row_steps <= tokens
    assert ledger.finished == len(finished)
    if len(finished) < n:
        assert sampler.tracker.stopped_by == "tokens"
        with pytest.raises(BudgetSpent, match="tokens"):
            sampler.start(1)


def test_a_budget_of_candidates(make: Callable[..., Sampler]) -> None:
    """No candidate is started after the limit on candidates is reached."""
    sampler = make(Budget(candidates=3))
    assert sampler.affordable() == 3
    _, finished = sampler.extend(sampler.start(8))
    assert len(finished) >= 3
    assert sampler.tracker.stopped_by == "candidates"
    assert sampler.affordable() == 0
    with pytest.raises(BudgetSpent, match="candidates"):
        sampler.start(1)


def test_a_budget_of_seconds(make: Callable[..., Sampler]) -> None:
    """Sampling stops when the wall limit has passed."""
    sampler = make(Budget(seconds=1e-6))
    with pytest.raises(BudgetSpent, match="seconds"):
        sampler.start(4)


def test_a_budget_below_one_candidate_states_the_least_number_of_tokens(make: Callable[..., Sampler]) -> None:
    """A budget that does not cover one candidate is refused before sampling."""
    poor = make(Budget(tokens=49))
    for use in (poor.affordable, lambda: poor.start(1)):
        with pytest.raises(InputError, match="at least 50"):
            use()
    sampler = make(Budget(tokens=50))
    assert sampler.affordable() == 1
    assert len(sampler.extend(sampler.start(1))[1]) == 1


def test_without_limits_everything_is_affordable(make: Callable[..., Sampler]) -> None:
    """Without limits, `affordable` is `sys.maxsize`."""
    assert make().affordable() == sys.maxsize


def test_the_most_probable_live_row_is_finished(make: Callable[..., Sampler]) -> None:
    """If the budget ends early, the row with the highest mean log-probability is finished under its own index."""
    sampler = make()
    whole = speech(sampler.extend(sampler.start(4))[1])
    sampler = make()
    rows, _ = sampler.extend(sampler.start(4), 5)
    best = int(rows.index[rows.logprobs.mean(1).argmax()])
    finished_row = sampler.finish_best_row()
    assert finished_row is not None
    assert speech([finished_row]) == {best: whole[best]}
    assert sampler.finish_best_row() is None


@pytest.fixture
def interrupt() -> Iterator[Callable[[float], object]]:
    """Yields a function that raises KeyboardInterrupt, as Ctrl-C does, after the given seconds."""

    def strike(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, strike)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_ctrl_c_keeps_finished_candidates(
    make: Callable[..., Sampler], interrupt: Callable[[float], None]
) -> None:
    """Candidates that finished before Ctrl-C are kept."""
    sampling = Sampling(temperature=0.8, min_seconds=0.1, max_seconds=30)
    sampler = make(sampling=sampling)
    expected = speech(sampler.extend(sampler.start(8))[1])
    sampler = make(sampling=sampling)
    with pytest.raises(KeyboardInterrupt):
        first = 0
        interrupt(0.2)
        while True:
            sampler.extend(sampler.start(8, first))
            first += 8
    finished = speech(sampler.finished)
    assert {index: finished[index] for index in finished if index < 8}.items() <= expected.items()
    assert len(finished) == sampler.tracker.ledger.finished


def test_rows_that_do_not_fit_into_memory_are_halved(
    make: Callable[..., Sampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If memory runs out, half of the rows are stepped at a time, with the same codes as with enough memory."""
    sampler = make()
    expected = speech(sampler.extend(sampler.start(16))[1])
    limit_rows(monkeypatch, 4)
    sampler = make()
    rows, finished = sampler.extend(sampler.start(16), 9)
    assert rows.codes.shape == (len(rows), 9)
    rows = sampler.select(rows, list(range(len(rows))))
    finished += sampler.extend(rows)[1]
    assert speech(finished) == expected
    limit_rows(monkeypatch, 0)
    sampler = make()
    with pytest.raises(ModelError, match="memory"):
        sampler.extend(sampler.start(16))


def test_forks_that_do_not_fit_into_memory(
    make: Callable[..., Sampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If forks do not fit into memory together, they are stepped in parts, with the same codes."""
    parents = [0, 1, 2, 3] * 4
    sampler = make()
    rows, _ = sampler.extend(sampler.start(4), 3)
    expected = speech(sampler.extend(sampler.select(rows, parents))[1])
    limit_rows(monkeypatch, 8)
    sampler = make()
    rows, _ = sampler.extend(sampler.start(4), 3)
    assert speech(sampler.extend(sampler.select(rows, parents))[1]) == expected


def limit_rows(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Makes torch raise an out-of-memory error for a cache of more than `rows` rows."""
    zeros, new_zeros = torch.zeros, torch.Tensor.new_zeros

    def check(size: tuple[Any, ...]) -> None:
        shape = size[0] if isinstance(size[0], tuple) else size
        if len(shape) == 4 and int(shape[0]) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory")

    def limited_zeros(*size: Any, **options: Any) -> torch.Tensor:
        check(size)
        return zeros(*size, **options)

    def limited_new_zeros(old: torch.Tensor, *size: Any) -> torch.Tensor:
        check(size)
        return new_zeros(old, *size)

    monkeypatch.setattr(torch, "zeros", limited_zeros)
    monkeypatch.setattr(torch.Tensor, "new_zeros", limited_new_zeros)

"""Contract tests for strategies.

Subclass `StrategyContract` in a test file, return the strategy from `make`, and run pytest::

    from llasa_search.strategies.testing import StrategyContract

    class TestRandomRestart(StrategyContract):
        def make(self):
            return RandomRestart(n=4, seconds=0.2)

The tests run searches with the embedded model, each of less than a second of speech. Choose small settings.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import ClassVar

import numpy as np
import pytest

from llasa_search.budget import Budget
from llasa_search.candidate import Score, Utterance
from llasa_search.llasa.model import Llasa
from llasa_search.result import Progress, SearchError, SearchResult
from llasa_search.reward.base import Reward
from llasa_search.sampling import Sampling
from llasa_search.search import Searcher
from llasa_search.strategies.base import Strategy, verifiers_of
from llasa_search.verifiers.base import Verifier
from llasa_search.verifiers.likelihood import LanguageModelLikelihood


class MeanCode(Verifier):
    """Mean of the speech codes so far, modulo 64; reads no audio, and differs between rows."""

    needs = frozenset({"codes"})
    partial = True
    content = True
    window_seconds: ClassVar[float | None] = 0.0
    cost = 0.0
    scale = (0.0, 63.0)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        codes = [utterance.codes for utterance in utterances if utterance.codes is not None]
        return [Score(float((each % 64).mean())) for each in codes]


class MeanPower(Verifier):
    """Mean square of the audio."""

    needs = frozenset()
    partial = True
    content = True

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [Score(float(np.square(utterance.audio).mean())) for utterance in utterances]


class Failing(MeanCode):
    """Raises an error on every call."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        raise RuntimeError("out of order")


class FailingOnUnfinished(MeanCode):
    """Raises on unfinished speech."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        if not all(utterance.final for utterance in utterances):
            raise RuntimeError("out of order")
        return super().score(utterances)


class AbstainingOnUnfinished(MeanCode):
    """Scores no unfinished speech, because its minimum is longer than any."""

    min_seconds = 60.0


class Interrupting(MeanCode):
    """Behaves as if the user pressed Ctrl-C during the first call."""

    def __init__(self) -> None:
        self._called = False

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        if not self._called:
            self._called = True
            raise KeyboardInterrupt
        return super().score(utterances)


@cache
def _embedded_model() -> Llasa:
    return Llasa.from_pretrained("tiny", device="cpu")


class StrategyContract:
    """The properties that every strategy must have, one or more per test.

    Attributes:
        text: what is spoken.
        sampling: limits candidates to 30 tokens.
    """

    text: str = "a coin"
    sampling: Sampling = Sampling(min_seconds=0.1, max_seconds=0.6)

    @abstractmethod
    def make(self) -> Strategy:
        """Returns a new instance of the strategy under test, which starts at least two rows."""

    def model(self) -> Llasa:
        """Returns the model that the tests sample from."""
        return _embedded_model()

    def search(
        self,
        reward: Reward | None = None,
        strategy: Strategy | None = None,
        *,
        budget: Budget | None = None,
        sampling: Sampling | None = None,
        seed: int = 0,
        progress: Callable[[Progress], None] | None = None,
    ) -> SearchResult:
        """Runs one search; also for additional tests."""
        searcher = Searcher(self.model(), reward or MeanCode(), strategy or self.make(), gate=None)
        return searcher.generate(
            self.text, budget=budget, sampling=sampling or self.sampling, seed=seed, progress=progress
        )

    def test_the_smallest_budget_buys_a_candidate(self) -> None:
        """With tokens for one candidate of the greatest length, one candidate finishes."""
        tokens = self._longest()
        result = self.search(budget=Budget(tokens=tokens))
        steps = result.ledger.row_steps
        assert result.candidates, f"nothing finished with {tokens} tokens"
        assert steps <= tokens, f"{steps} row-steps with a budget of {tokens} tokens"

    @pytest.mark.parametrize(
        "budget",
        [
            Budget(tokens=45),
            Budget(tokens=130),
            Budget(candidates=1),
            Budget(candidates=3),
            Budget(seconds=60),
        ],
        ids=str,
    )
    def test_no_budget_is_exceeded(self, budget: Budget) -> None:
        """The limits hold, and the best of the finished candidates is chosen."""
        result = self.search(budget=budget)
        yielded, finished = len(result.candidates), result.ledger.finished
        assert finished == yielded >= 1, f"{finished} candidates finished and {yielded} were yielded"
        steps = result.ledger.row_steps
        assert budget.tokens is None or steps <= budget.tokens, f"{steps} row-steps with {budget}"
        if budget.candidates is not None:  # candidates that end with the same token all count
            ends = Counter(len(candidate.logprobs) for candidate in result.candidates)
            assert ends.total() - max(ends.values()) < budget.candidates, (
                f"{yielded} candidates with {budget}"
            )
        _assert_best(result)

    def test_the_same_seed_gives_the_same_result(self) -> None:
        """Codes and choice depend on the seed only, not on chance or on earlier searches of the instance."""
        strategy = self.make()
        first, second = self.search(strategy=strategy, seed=3), self.search(strategy=strategy, seed=3)
        third = self.search(seed=3)
        assert _codes(first) == _codes(second), "a second search of the same instance differs"
        assert _codes(first) == _codes(third), "a search of another instance differs"
        chosen = {result.best.index for result in (first, second, third)}
        assert len(chosen) == 1, f"searches with one seed chose the candidates {sorted(chosen)}"
        assert _codes(first) != _codes(self.search(seed=4)), "another seed gives the same speech"

    def test_every_finished_row_is_yielded(self) -> None:
        """The finished rows are the candidates of the result; each other row is pruned, with a reason."""
        result = self.search()
        nodes = result.trace.nodes
        finished = {index for index, node in nodes.items() if node.end == "finished"}
        assert finished == set(_codes(result)), "a finished candidate was not yielded"
        silent = [index for index, node in nodes.items() if not node.why]
        assert not silent, f"rows {silent} were pruned without a reason"

    @pytest.mark.parametrize("count", [1, 3])
    def test_any_number_of_verifiers_decides(self, count: int) -> None:
        """Rewards of one and of three verifiers work, and the best final reward wins."""
        reward = (
            MeanCode()
            if count == 1
            else 0.5 * MeanCode() + 0.3 * MeanPower() + 0.2 * LanguageModelLikelihood()
        )
        _assert_best(self.search(reward))

    def test_rows_that_end_at_once(self) -> None:
        """Greedy sampling gives all rows the same codes and the same end."""
        greedy = Sampling(temperature=0, min_seconds=0.1, max_seconds=0.6)
        different = {tuple(codes) for codes in _codes(self.search(sampling=greedy)).values()}
        assert len(different) == 1, f"greedy sampling gave {len(different)} different candidates"

    def test_rows_that_end_at_the_limit_only(self) -> None:
        """The search ends although no row ends by itself."""
        endless = Sampling(min_seconds=0.5, max_seconds=0.5)
        result = self.search(sampling=endless)
        reasons = {candidate.finish_reason for candidate in result.candidates}
        assert reasons == {"length"}, f"all rows reach the limit, and the finish reasons are {reasons}"
        assert result.stopped_by is None, f"without a budget, the search was stopped by {result.stopped_by}"

    def test_a_failing_verifier_loses_no_candidate(self) -> None:
        """If nothing can be scored, the error carries the candidates."""
        with pytest.raises(SearchError, match="out of order") as caught:
            self.search(Failing())
        assert caught.value.result is not None, "the error carries no result"
        assert caught.value.result.candidates, "the candidates are lost"

    def test_a_failing_verifier_of_weight_0_changes_nothing(self) -> None:
        """A verifier that only reports affects neither the candidates nor the choice."""
        expected, result = self.search(), self.search(MeanCode() + 0 * Failing())
        assert _codes(result) == _codes(expected), "the verifier of weight 0 changed the candidates"
        assert result.best.index == expected.best.index, "the verifier of weight 0 changed the choice"

    def test_a_verifier_that_fails_on_unfinished_speech_does_not_end_the_search(self) -> None:
        """Partial rewards of -inf are handled; the finished candidates are scored."""
        _assert_scored(self.search(FailingOnUnfinished()))

    def test_no_row_is_cut_while_its_reward_is_unknown(self) -> None:
        """Partial rewards of NaN prune no row: every row finishes."""
        strategy = self.make()
        if own := verifiers_of(strategy):
            pytest.skip(f"{strategy} prunes by its own verifiers: {', '.join(map(str, own))}")
        nodes = self.search(AbstainingOnUnfinished(), strategy).trace.nodes
        pruned = [index for index, node in nodes.items() if node.end != "finished"]
        assert not pruned, f"rows {pruned} were pruned although no reward was known"

    def test_ctrl_c_in_a_verifier_returns_the_best_so_far(self) -> None:
        """Ctrl-C while speech is scored ends the search with a scored candidate."""
        result = self.search(Interrupting())
        assert result.stopped_by == "interrupt", f"the search was stopped by {result.stopped_by}"
        _assert_scored(result)

    def test_ctrl_c_after_a_candidate_returns_it(self) -> None:
        """Ctrl-C between two candidates ends the search; what has finished is kept."""

        def interrupt(progress: Progress) -> None:
            if progress.finished and not progress.scored:
                raise KeyboardInterrupt

        result = self.search(progress=interrupt)
        assert result.stopped_by == "interrupt", f"the search was stopped by {result.stopped_by}"
        _assert_scored(result)

    def test_an_error_loses_no_candidate(self) -> None:
        """When the function that takes progress raises, the error carries what has finished."""

        def fail(progress: Progress) -> None:
            raise RuntimeError("broken display")

        with pytest.raises(SearchError, match="broken display") as caught:
            self.search(progress=fail)
        assert caught.value.result is not None, "the error carries no result"
        _assert_scored(caught.value.result)

    def _longest(self) -> int:
        seconds = self.sampling.max_seconds
        assert seconds is not None, "sampling: set max_seconds, so that the tests are fast"
        return round(seconds * self.model().frame_rate)


def _assert_best(result: SearchResult) -> None:
    best = max(candidate.reward for candidate in result.candidates)
    assert result.best.reward == best, f"chosen: {result.best.reward:g}, although another has {best:g}"


def _assert_scored(result: SearchResult) -> None:
    assert not math.isnan(result.best.reward), f"candidate {result.best.index} was chosen without a reward"


def _codes(result: SearchResult) -> dict[int, list[int]]:
    return {candidate.index: candidate.codes.tolist() for candidate in result.candidates}

"""One search: runs a strategy, scores the candidates that finish, and returns the result, however it ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict

import numpy as np

from llasa_search.budget import Budget, BudgetSpent, BudgetTracker
from llasa_search.candidate import Candidate
from llasa_search.errors import InputError, LlasaSearchError, format_error, short_repr, warn
from llasa_search.generation.sampler import Sampler
from llasa_search.llasa.model import Llasa
from llasa_search.result import Progress, SearchError, SearchResult
from llasa_search.reward.base import Reward, ranking
from llasa_search.sampling import Sampling
from llasa_search.scoring.loading import verifier_versions
from llasa_search.scoring.rewards import rewards
from llasa_search.scoring.scorer import Scorer
from llasa_search.strategies.base import Strategy, verifiers_of
from llasa_search.voice import Prompt


class SearchRun:
    """One search of one prompt, under one budget. Its clock starts when it is made, after loading.

    Args:
        llasa: loaded.
        prompt: prepared.
        sampling: how tokens are sampled.
        budget: limits; the first one reached ends the search.
        seed: of all draws.
    """

    def __init__(self, llasa: Llasa, prompt: Prompt, sampling: Sampling, budget: Budget, seed: int) -> None:
        self._llasa, self._prompt = llasa, prompt
        self._tracker = BudgetTracker(budget)
        self._sampler = Sampler(llasa, prompt, sampling, seed, self._tracker)
        self._finished: list[Candidate] = []

    def execute(
        self,
        strategy: Strategy,
        reward: Reward,
        progress: Callable[[Progress], None] | None = None,
        failures: Mapping[str, str] | None = None,
    ) -> SearchResult:
        """Runs the strategy and returns its candidates with their final rewards.

        When Ctrl-C, an error or the budget ends the strategy, what has finished is scored too; if nothing has,
        one live row is finished from the reserve. Once the wall limit has passed, it is cut, and nothing is scored.

        Args:
            strategy: its verifiers are loaded.
            reward: its verifiers are loaded.
            progress: called as candidates finish and are scored.
            failures: as in `Scorer`.

        Raises:
            LlasaSearchError: an error ended the strategy and there is no candidate.
            SearchError: nothing finished, nothing could be scored, or the strategy raised another exception.
            KeyboardInterrupt: Ctrl-C, and there is no candidate.
        """
        scorer = Scorer(
            reward,
            self._prompt,
            self._tracker,
            self._sampler.audio,
            self._llasa.sample_rate,
            cascade=True,
            trace=self._sampler.trace,
            on_scored=lambda: self._update(scorer, progress),
            failures=failures,
        )
        ended_by = self._sample(strategy, scorer, progress)
        ended_by = self._score(scorer) or ended_by
        result = self._result(strategy, reward, isinstance(ended_by, KeyboardInterrupt))
        if isinstance(ended_by, Exception):
            raise SearchError(_raised(strategy, ended_by), result) from ended_by
        return result if self._cut_short(result) else result.checked()

    def _sample(
        self, strategy: Strategy, scorer: Scorer, progress: Callable[[Progress], None] | None
    ) -> BaseException | None:
        """Collects the strategy's candidates; returns the exception that ended it, if any."""
        ended_by: BaseException | None = None
        try:
            with suppress(BudgetSpent):
                for candidate in strategy.run(self._sampler, scorer):
                    self._add(candidate)
                    if len(self._finished) == 1 and self._tracker.timed:
                        scorer.final(self._finished)  # measures what scoring costs, to reserve it
                    self._update(scorer, progress)
        except (KeyboardInterrupt, Exception) as error:
            ended_by = error
            known = {candidate.index for candidate in self._finished}
            self._finished += [each for each in self._sampler.finished if each.index not in known]
        try:
            if not self._finished and (last := self._sampler.finish_best_row()) is not None:
                self._finished.append(last)
        except (KeyboardInterrupt, Exception) as error:
            ended_by = ended_by or error
        if ended_by and not self._finished:
            if isinstance(ended_by, LlasaSearchError | KeyboardInterrupt):
                raise ended_by
            raise SearchError(_raised(strategy, ended_by)) from ended_by
        return ended_by

    def _score(self, scorer: Scorer) -> BaseException | None:
        """Gives all candidates their final rewards; returns the exception that interrupted scoring, if any."""
        try:
            scorer.final(self._finished)
        except LlasaSearchError:
            raise
        except (KeyboardInterrupt, Exception) as error:
            scorer.stop()
            scorer.final(self._finished)
            return error
        return None

    def _add(self, given: object) -> None:
        """Adds and counts a candidate that the strategy yielded.

        Raises:
            InputError: it is not a candidate, or was yielded before.
        """
        if not isinstance(given, Candidate):
            what = short_repr(given)
            raise InputError(f"it yielded {what}: a strategy yields the candidates that extend returns")
        if any(given.index == other.index for other in self._finished):
            raise InputError(f"it yielded candidate {given.index} twice")
        self._sampler.count(given)
        self._finished.append(given)

    def _update(self, scorer: Scorer, progress: Callable[[Progress], None] | None) -> None:
        """Reserves the cost of scoring what waits, and reports progress."""
        finished = self._finished
        waiting = self._tracker.reserve.waiting = scorer.waiting(finished)
        if progress is not None and not scorer.stopped:
            known = rewards(scorer.reward, finished) if finished else np.zeros(0)
            best = None if np.isnan(known).all() else finished[ranking(known)[0]]
            progress(Progress(len(finished), len(finished) - waiting, best, self._tracker.seconds))

    def _cut_short(self, result: SearchResult) -> bool:
        """Whether the wall limit passed before any reward was known; warns then, and decodes what is returned."""
        if not result.candidates or not self._tracker.overdue():
            return False
        statuses = {score.status for score in result.best.scores.values()}
        if not math.isnan(result.best.reward) or "failed" in statuses or "skipped" not in statuses:
            return False
        self._sampler.decoder.after_limit(result.best)
        warn(
            f"the limit of {self._tracker.budget.seconds:g} seconds passed before a candidate was scored: the speech "
            "may be cut, and is not the best of several; allow more"
        )
        return True

    def _result(self, strategy: Strategy, reward: Reward, interrupted: bool) -> SearchResult:
        sampler, tracker = self._sampler, self._tracker
        limit = tracker.stopped_by or tracker.reached(clock=False) or tracker.short_of
        stopped_by = "interrupt" if interrupted else limit
        sampler.trace.close(stopped_by)
        return SearchResult(
            text=self._prompt.text,
            language=self._prompt.language,
            voice=self._prompt.voice,
            candidates=sorted(self._finished, key=lambda candidate: candidate.index),
            sample_rate=self._llasa.sample_rate,
            reward=str(reward),
            ledger=tracker.ledger,
            stopped_by=stopped_by,
            settings={
                "model": self._llasa.name,
                "prompt_format": self._llasa.format_name,
                "strategy": str(strategy),
                "sampling": asdict(sampler.sampling),
                "budget": asdict(sampler.budget),
                "seed": sampler.seed,
                "versions": verifier_versions((*reward.verifiers, *verifiers_of(strategy))),
            },
            trace=sampler.trace,
        )


def _raised(strategy: Strategy, error: BaseException) -> str:
    return f"{strategy}, or the function that takes progress, raised {format_error(error)}"

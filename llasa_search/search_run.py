"""Every candidate that a strategy finishes, scored; whatever ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from llasa_search.budget import BudgetSpent
from llasa_search.candidate import Candidate
from llasa_search.errors import InputError, LlasaSearchError, format_error, short_repr
from llasa_search.result import SearchError
from llasa_search.reward.base import ranking
from llasa_search.scoring.rewards import rewards
from llasa_search.strategies.base import Strategy

if TYPE_CHECKING:
    from llasa_search.generation.sampler import Sampler
    from llasa_search.scoring.scorer import Scorer


@dataclass(frozen=True)
class Progress:
    """How far a search is.

    Attributes:
        finished: whole candidates so far.
        heard: how many of them the verifiers have scored.
        best: the best of those, or None.
        seconds: since the models were loaded.
    """

    finished: int
    heard: int
    best: Candidate | None
    seconds: float


def collected(
    strategy: Strategy, sampler: Sampler, scorer: Scorer, progress: Callable[[Progress], None] | None = None
) -> tuple[list[Candidate], BaseException | None]:
    """Runs a strategy to its end, or to that of its budget, and gives its candidates their final rewards.

    What has finished when Ctrl-C or an error comes is scored too; where nothing has, one live row is
    finished from the reserve.

    Returns:
        The candidates, and what cut the search short, if something did.

    Raises:
        LlasaSearchError: there is not one candidate, because of an error.
        KeyboardInterrupt: the same, because of Ctrl-C.
    """
    finished: list[Candidate] = []
    sampler.tracker.reserve.waiting = lambda: scorer.waiting(finished)

    def report() -> None:
        if progress is not None:
            known = rewards(scorer.reward, finished) if finished else np.zeros(0)
            best = None if np.isnan(known).all() else finished[ranking(known)[0]]
            heard = len(finished) - scorer.waiting(finished)
            progress(Progress(len(finished), heard, best, sampler.tracker.seconds))

    scorer.heard = report
    ended_by: BaseException | None = None
    try:
        with suppress(BudgetSpent):
            for candidate in strategy.run(sampler, scorer):
                _check(candidate, finished)
                finished.append(candidate)
                if len(finished) == 1 and sampler.tracker.timed:
                    scorer.final(finished)  # how long that takes is kept back for the others
                report()
    except (KeyboardInterrupt, Exception) as error:
        ended_by = error
        known = {candidate.index for candidate in finished}
        finished += [candidate for candidate in sampler.finished if candidate.index not in known]
    try:
        if not finished and (finished_row := sampler.finish_best_row()) is not None:
            finished.append(finished_row)
    except (KeyboardInterrupt, Exception) as error:
        ended_by = ended_by or error
    if ended_by and not finished:
        if isinstance(ended_by, LlasaSearchError | KeyboardInterrupt):
            raise ended_by
        raise SearchError(raised(strategy, ended_by)) from ended_by
    try:
        scorer.final(finished)
    except LlasaSearchError:
        raise
    except (KeyboardInterrupt, Exception) as error:
        ended_by, scorer.stopped, scorer.heard = error, True, lambda: None
        scorer.final(finished)
    return finished, ended_by


def raised(strategy: Strategy, error: BaseException) -> str:
    """What to say of code that is not ours."""
    return f"{strategy}, or the function that takes progress, raised {format_error(error)}"


def _check(given: object, finished: Sequence[Candidate]) -> None:
    """Refuses what a strategy yields and is no candidate, or one that it has yielded before."""
    if not isinstance(given, Candidate):
        raise InputError(f"it yielded {short_repr(given)}: a strategy yields the candidates that extend returns")
    if any(given.index == other.index for other in finished):
        raise InputError(f"it yielded candidate {given.index} twice")

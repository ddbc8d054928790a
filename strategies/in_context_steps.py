"""In-context steps: a long text sentence by sentence, each chosen among several that continue the last."""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from llasa_search.budget import BudgetSpent, Need
from llasa_search.candidate import Candidate
from llasa_search.errors import InputError
from llasa_search.generation.joining import joined, trimmed
from llasa_search.reward.base import ranking
from llasa_search.strategies.base import check_counts, check_number, complete
from llasa_search.strategies.best_of_n import DEFAULT_N, BestOfN
from llasa_search.text.splitting import split
from llasa_search.voice import Step

if TYPE_CHECKING:
    from llasa_search.generation.sampler import Sampler
    from llasa_search.generation.trace import Trace
    from llasa_search.scoring.scorer import Scorer

ATTEMPTS = 2
"""Times that a step is sampled while every candidate fails a gate. Our choice."""

History: TypeAlias = tuple[Candidate, ...]
"""Accepted steps, in their order, with silent edges trimmed."""


@dataclass(frozen=True)
class InContextSteps:
    """Speaks a text of any length: the language model hears the voice prompt and the steps before.

    The text is cut into sentences, or parts of long ones. Candidates of a step are sampled to their ends,
    scored on the step's own text, and the best histories go on. The oldest steps are no longer heard when
    there is more than `history_seconds`, or the model's window is full. At the end all codes of a history are
    decoded together and scored against the whole text. A text of one step is best-of-N.

    Args:
        n: candidates of a step, all histories together; None takes the budget's candidates, or all that its
            tokens surely buy, or else 4, or `width` where that is more.
        width: histories that stay after each step.
        history_seconds: how much of the steps before the language model hears, the last one in any case, and
            without a voice prompt the first, which has the voice; None for all that fits its window. The
            default is our choice on the dev set: the embedded model loses its text behind longer ones.

    Raises:
        InputError: `n` or `width` is no whole number above 0, `width` is above `n`, or `history_seconds` is
            below 0.
    """

    n: int | None = None
    width: int = 1
    history_seconds: float | None = 4.0

    def __post_init__(self) -> None:
        check_counts(self, "n", "width")
        if self.width > (self.n or sys.maxsize):
            raise InputError(f"InContextSteps: of n={self.n} candidates, width={self.width} cannot stay")
        if self.history_seconds is not None:
            check_number(self, "history_seconds", "a number, 0 or more, or None", lambda value: value >= 0)

    def run(self, sampler: Sampler, scorer: Scorer) -> Iterator[Candidate]:
        from llasa_search.llasa.duration import typical_seconds

        whole = sampler.prompt
        texts = [step.strip() for step in split(whole.text, typical_seconds)]
        if len(texts) == 1:
            yield from BestOfN(self.n).run(sampler, scorer)
            return
        alone = [sampler.at(replace(whole, text=text)) for text in texts]
        histories: list[History] = [()]
        drawn: list[Candidate] = []
        try:
            for place, text in enumerate(texts, start=1):
                rest, drawn = alone[place:], []
                later = Need(sum(each.maximum for each in rest), sum(each.expected for each in rest))
                histories = self._step(sampler, scorer, histories, text, later, drawn)
        except (KeyboardInterrupt, Exception):  # what is said already is not lost
            said = histories[0] or tuple(sorted(drawn, key=_sort_key)[:1])
            if said:
                yield sampler.count(replace(joined(whole.text, said), finish_reason="length"))
            raise
        for history in histories:
            yield sampler.count(joined(whole.text, history))

    def _step(
        self,
        sampler: Sampler,
        scorer: Scorer,
        histories: list[History],
        text: str,
        later: Need,
        drawn: list[Candidate],
    ) -> list[History]:
        """The best histories that are one step longer; candidates of the step are added to `drawn`."""
        prompt = sampler.prompt
        codes = math.inf if self.history_seconds is None else self.history_seconds * sampler.llasa.frame_rate
        anchor = 0 if prompt.voice is not None else 1
        prompts = [
            replace(prompt, text=text, history=_said(_recent(history, codes, anchor)))
            for history in histories
        ]
        samplers = [sampler.at(prompt, later) for prompt in prompts]
        # Histories differ in what they are worth already: then the best step alone does not decide.
        surely = self.width if len(histories) == 1 else sys.maxsize
        for _ in range(ATTEMPTS):
            self._draw(samplers, histories, drawn)
            if not drawn or _passes(scorer, drawn, surely):
                break
        if not drawn:
            drawn += _heard(samplers[0], [samplers[0].spare()], histories[0])
        width = min(self.width, sampler.tracker.budget.candidates or sys.maxsize)
        best = sorted(drawn, key=_sort_key)[:width]
        _note(sampler.trace, drawn, best)
        return [(*step.history, trimmed(step, sampler.llasa.sample_rate)) for step in best]

    def _draw(
        self, samplers: Sequence[Sampler], histories: Sequence[History], drawn: list[Candidate]
    ) -> None:
        """Adds candidates of a step; fewer where the budget has to last for the rest of the text."""
        tracker = samplers[0].tracker
        default = sys.maxsize if tracker.budget.tokens else max(DEFAULT_N, self.width)
        wanted = self.n or tracker.budget.candidates or default
        n = min(wanted, samplers[0].affordable())
        for place, (sampler, history) in enumerate(zip(samplers, histories, strict=True)):
            share, before = n // len(samplers) + (place < n % len(samplers)), len(drawn)
            if not share:
                break
            try:
                for candidate in complete(sampler, sampler.start(share)):
                    drawn.append(candidate)  # one by one: what is there when Ctrl-C comes is not lost
            except BudgetSpent:
                if not tracker.ledger.row_steps:
                    raise
                break
            drawn[before:] = _heard(sampler, drawn[before:], history)


def _recent(history: History, codes: float, anchor: int) -> History:
    """The first `anchor` steps and, of the others, the last ones of up to `codes` codes, one in any case."""
    first, others = history[:anchor], history[anchor:]
    lengths = list(accumulate(len(step.codes) for step in reversed(others)))
    heard = max(1, bisect_right(lengths, codes))
    return (*first, *others[-heard:])


def _said(history: History) -> tuple[Step, ...]:
    return tuple(Step(step.text, step.codes) for step in history)


def _heard(sampler: Sampler, finished: list[Candidate], history: History) -> list[Candidate]:
    """The candidates of one history by index, decoded after what they continue."""
    sampler.audio(finished)
    for candidate in finished:
        candidate.history = history
        if history:
            sampler.trace.follow(candidate.index, history[-1].index)
    return sorted(finished, key=lambda candidate: candidate.index)


def _passes(scorer: Scorer, drawn: Sequence[Candidate], surely: int) -> bool:
    """Scores the candidates; whether the best of them meets all gates."""
    best = drawn[ranking(scorer.final(drawn, surely))[0]]
    return all(scorer.holds(condition, [best]).all() for condition in scorer.reward.conditions)


def _sort_key(candidate: Candidate) -> tuple[int, float]:
    """The number of steps of unknown reward (less one), then the mean reward of the others, negative.

    Rewards count by the length of their text.
    """
    steps = [step for step in (*candidate.history, candidate) if not math.isnan(step.reward)]
    length = sum(len(step.text) for step in steps)
    mean = sum(step.reward * len(step.text) for step in steps) / max(1, length)
    return len(candidate.history) - len(steps), -round(mean, 9)


def _note(trace: Trace, drawn: Sequence[Candidate], best: Sequence[Candidate]) -> None:
    """Shows in the trace what each candidate was worth, and that the others go no further."""
    kept = {candidate.index for candidate in best}
    for each in drawn:
        trace.check([each.index], len(each.codes), np.array([each.reward]), [each.scores])
        if each.index not in kept:
            trace.cut([each.index], len(each.codes), f"not among the best {len(kept)}")

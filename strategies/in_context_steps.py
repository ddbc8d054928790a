"""In-context steps: a long text sentence by sentence, each continuing the best speech so far."""

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
from llasa_search.llasa.duration import typical_seconds
from llasa_search.reward.base import ranking
from llasa_search.strategies.base import check_counts, check_number, complete
from llasa_search.strategies.best_of_n import DEFAULT_N, BestOfN
from llasa_search.text.splitting import split
from llasa_search.voice import Prompt, Step

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
    """Speaks a text of any length: the language model is conditioned on the voice prompt and the steps before.

    The text is split into sentences, or parts of long ones. Candidates of a step are sampled to their ends
    and scored on the step's own text, and the best histories continue. The oldest steps are left out when
    there is more than `history_seconds`, or the context window is full. At the end all codes of a history
    are decoded together and scored against the whole text. A text of one step is best-of-N.

    Args:
        n: candidates per step, all histories together; None takes the budget's candidates, or all that its
            tokens allow for sure, or else 4, or `width` if that is more.
        width: histories that are kept after each step.
        history_seconds: how much of the steps before conditions the language model; the last step always
            does and, without a voice prompt, the first, which sets the voice. None for all that fits the
            context window. The default is our choice on the dev set: behind longer histories the embedded
            model loses its text.

    Raises:
        InputError: `n` or `width` is not a whole number above 0, `width` is above `n`, or `history_seconds`
            is below 0.
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
        whole = sampler.prompt
        texts = [step.strip() for step in split(whole.text, typical_seconds, whole.language)]
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
        except (KeyboardInterrupt, Exception):  # what is finished is kept
            steps = histories[0] or tuple(sorted(drawn, key=_sort_key)[:1])
            if steps:
                yield replace(joined(whole.text, steps), finish_reason="length")
            raise
        for history in histories:
            yield joined(whole.text, history)

    def _step(
        self,
        sampler: Sampler,
        scorer: Scorer,
        histories: list[History],
        text: str,
        later: Need,
        drawn: list[Candidate],
    ) -> list[History]:
        """Returns the best histories with one more step; candidates of the step are added to `drawn`."""
        samplers = [sampler.at(self._prompt(sampler, history, text), later) for history in histories]
        # Histories differ in reward already, so the best step alone does not decide.
        best = self.width if len(histories) == 1 else sys.maxsize
        for _ in range(ATTEMPTS):
            self._draw(samplers, histories, drawn)
            if not drawn or _passes(scorer, drawn, best):
                break
        if not drawn:
            drawn.append(samplers[0].finish_from_reserve())
            drawn[:] = _continuing(samplers[0], drawn, histories[0])
        width = min(self.width, sampler.budget.candidates or sys.maxsize)
        chosen = sorted(drawn, key=_sort_key)[:width]
        _record(sampler.trace, drawn, chosen)
        return [(*step.history, trimmed(step, sampler.sample_rate)) for step in chosen]

    def _prompt(self, sampler: Sampler, history: History, text: str) -> Prompt:
        """The prompt of a step: the voice, the recent steps of a history, and the step's text."""
        codes = math.inf if self.history_seconds is None else self.history_seconds * sampler.frame_rate
        anchor = 0 if sampler.prompt.voice is not None else 1
        steps = tuple(Step(step.text, step.codes) for step in _recent(history, codes, anchor))
        return replace(sampler.prompt, text=text, history=steps)

    def _draw(
        self, samplers: Sequence[Sampler], histories: Sequence[History], drawn: list[Candidate]
    ) -> None:
        """Adds candidates of a step; fewer where the budget must last for the rest of the text."""
        budget = samplers[0].budget
        default = sys.maxsize if budget.tokens else max(DEFAULT_N, self.width)
        wanted = self.n or budget.candidates or default
        n = min(wanted, samplers[0].affordable())
        for place, (sampler, history) in enumerate(zip(samplers, histories, strict=True)):
            share, before = n // len(samplers) + (place < n % len(samplers)), len(drawn)
            if not share:
                break
            try:
                for candidate in complete(sampler, sampler.start(share)):
                    drawn.append(candidate)  # one by one, so that Ctrl-C loses none
            except BudgetSpent:
                if not sampler.ledger.row_steps:
                    raise
                break
            drawn[before:] = _continuing(sampler, drawn[before:], history)


def _recent(history: History, codes: float, anchor: int) -> History:
    """The first `anchor` steps and, of the others, the last ones of up to `codes` codes, at least one."""
    first, others = history[:anchor], history[anchor:]
    lengths = list(accumulate(len(step.codes) for step in reversed(others)))
    count = max(1, bisect_right(lengths, codes))
    return (*first, *others[-count:])


def _continuing(sampler: Sampler, finished: list[Candidate], history: History) -> list[Candidate]:
    """The candidates of one history by index, decoded after what they continue."""
    sampler.audio(finished)
    for candidate in finished:
        candidate.history = history
        if history:
            sampler.trace.follow(candidate.index, history[-1].index)
    return sorted(finished, key=lambda candidate: candidate.index)


def _passes(scorer: Scorer, drawn: Sequence[Candidate], best: int) -> bool:
    """Scores the candidates; whether the best of them meets all gates."""
    first = drawn[ranking(scorer.final(drawn, best))[0]]
    return all(scorer.holds(condition, [first]).all() for condition in scorer.reward.conditions)


def _sort_key(candidate: Candidate) -> tuple[int, float]:
    """Orders histories: fewest steps of unknown reward first, then by mean reward, weighted by text length."""
    steps = [step for step in (*candidate.history, candidate) if not math.isnan(step.reward)]
    length = sum(len(step.text) for step in steps)
    mean = sum(step.reward * len(step.text) for step in steps) / max(1, length)
    return len(candidate.history) - len(steps), -round(mean, 9)


def _record(trace: Trace, drawn: Sequence[Candidate], chosen: Sequence[Candidate]) -> None:
    """Records each candidate's reward in the trace, and cuts those that are not continued."""
    kept = {candidate.index for candidate in chosen}
    for each in drawn:
        trace.check([each.index], len(each.codes), np.array([each.reward]), [each.scores])
        if each.index not in kept:
            trace.cut([each.index], len(each.codes), f"not among the best {len(kept)}")

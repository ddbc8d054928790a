"""Beam search over unfinished speech: the process-reward search of the Llasa paper."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from llasa_search.arrays import FloatArray
from llasa_search.candidate import Candidate
from llasa_search.errors import InputError
from llasa_search.reward.base import ranking
from llasa_search.strategies.base import check_counts, check_number, complete
from llasa_search.strategies.guided import Guided

if TYPE_CHECKING:
    from llasa_search.generation.sampler import Sampler
    from llasa_search.scoring.scorer import Scorer

PREFIXES = ("prefix_seconds", "prefix_share")


@dataclass(frozen=True)
class Beam(Guided):
    """Extends `width` beams by `expand` continuations each, and keeps the best `width` at every step.

    A step of 25 tokens and 16 beams of 16 are those of the Llasa paper (arXiv 2502.04128). There are
    `width * expand` rows at the start, and a finished row is not replaced, so a beam search never has more
    rows than best-of-N with that number. With a prefix (the paper's "partial PRM") the beams are completed
    after it, and only the final reward chooses.

    Args:
        width: beams.
        expand: continuations of each beam per step.
        prefix_seconds: search so far and then complete the beams; None searches to the end.
        prefix_share: the same as a share of the seconds that the text usually takes.
        completions: completions of each beam after the prefix; None keeps the number of rows. The paper does
            not state it; the default is our choice.
        max_children: beams that may come from one beam of the step before; None for any number.
        lookahead: tokens sampled beyond the step to compare rows, and then discarded.
    """

    width: int = 16
    expand: int = 16
    prefix_seconds: float | None = None
    prefix_share: float | None = None
    completions: int | None = None
    max_children: int | None = None
    lookahead: int = 0

    @classmethod
    def paper(cls, **changes: Any) -> Beam:
        """The paper's partial PRM: 2 seconds of beam search, then the final reward chooses.

        The paper's beams are steered by speaker similarity: `prefix_verifiers=SpeakerSimilarity()`.
        """
        return cls(**{**_prefix(changes, prefix_seconds=2.0), **changes})

    @classmethod
    def short(cls, **changes: Any) -> Beam:
        """For short speech on CPUs: 4 beams of 4, 10 tokens per step, a quarter of the text. Our choice."""
        prefix = _prefix(changes, prefix_share=0.25)
        return cls(**{"width": 4, "expand": 4, "step_tokens": 10, **prefix, **changes})

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "width", "expand", "completions", "max_children")
        if type(self.lookahead) is not int or self.lookahead < 0:
            raise InputError(f"Beam: lookahead={self.lookahead!r}: give a whole number of tokens, 0 or more")
        prefixes = [name for name in PREFIXES if getattr(self, name) is not None]
        if len(prefixes) > 1:
            raise InputError("Beam: give prefix_seconds or prefix_share, not both")
        for name in prefixes:
            check_number(self, name, "a number, 0 or more", lambda value: 0 <= value < math.inf)
        if self.completions is not None and not any(getattr(self, name) for name in prefixes):
            raise InputError(f"Beam: completions come after a prefix: give {' or '.join(PREFIXES)}, above 0")

    def run(self, sampler: Sampler, scorer: Scorer) -> Iterator[Candidate]:
        reward, prefix = self.compared_by(scorer), self._prefix_tokens(sampler)
        rows = sampler.start(self.width * self.expand)
        parent = {name: name for name in rows.index.tolist()}
        while len(rows) and rows.length < prefix:
            fork = min(rows.length + self.step_tokens, prefix)
            # At the maximum length rows end, and there is nothing to compare.
            seen = max(fork, min(fork + self.lookahead, sampler.maximum - 1))
            rows, finished = sampler.extend(rows, seen - rows.length, back_to=fork)
            yield from finished
            rewards = scorer.partial(rows, reward)
            rows = sampler.rewind(rows, fork) if seen > fork and len(rows) else rows
            if not len(rows) or np.isnan(rewards).any():
                continue
            names = rows.index.tolist()
            beams = best_rows(rewards, [parent[name] for name in names], self.width, self.max_children)
            children = len(rows)
            if fork == prefix and self.completions is not None:
                children = self.completions * len(beams)
            chosen = [beams[child % len(beams)] for child in range(children)]
            rows = sampler.select(rows, chosen, why=f"not among the best {len(beams)}")
            parent = dict(zip(rows.index.tolist(), (names[beam] for beam in chosen), strict=True))
        yield from complete(sampler, rows)

    def _prefix_tokens(self, sampler: Sampler) -> int:
        if self.prefix_seconds is not None:
            return round(self.prefix_seconds * sampler.frame_rate)
        if self.prefix_share is not None:
            return round(self.prefix_share * sampler.expected)
        return sampler.maximum


def _prefix(changes: Mapping[str, Any], **preset: float) -> dict[str, float]:
    """A preset's prefix, unless another is given in its place."""
    return {} if any(changes.get(name) is not None for name in PREFIXES) else preset


def best_rows(
    rewards: FloatArray, parents: Sequence[int], width: int, max_children: int | None = None
) -> list[int]:
    """Returns positions of the best `width` rows, best first; ties alternate between parents.

    Args:
        rewards: [rows].
        parents: for each row, the beam that it continues.
        width: rows to keep.
        max_children: rows to keep of one parent; None for any number.

    >>> best_rows(np.array([0.5, 0.5, 0.5, 0.9]), [0, 0, 1, 1], width=3)
    [3, 0, 2]
    >>> best_rows(np.array([0.5, 0.5, 0.5, 0.9]), [0, 0, 1, 1], width=3, max_children=1)
    [3, 0]
    """
    turns: Counter[tuple[float, int]] = Counter()
    order = []
    for row in ranking(rewards):
        tie = (-float(rewards[row]), parents[row])
        order.append((tie[0], turns[tie], row))
        turns[tie] += 1
    children: Counter[int] = Counter()
    best = []
    for _, _, row in sorted(order):
        children[parents[row]] += 1
        if max_children is None or children[parents[row]] <= max_children:
            best.append(row)
    return best[:width]

"""The limits of a search (`Budget`), its costs (`Ledger`), and their comparison (`BudgetTracker`)."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import NamedTuple

from llasa_search.arrays import MAX_COUNT, as_python_number, is_finite
from llasa_search.errors import InputError, short_repr


@dataclass(frozen=True)
class Budget:
    """Limits of one search; None means no limit. The first limit reached ends the search.

    Attributes:
        candidates: finished whole utterances; rows that end in the same step all count and are kept.
        tokens: row-steps, that is every sampled speech token of every row, including pruned rows.
        codec_seconds: seconds spent decoding speech codes to audio.
        verifier_seconds: seconds spent in verifiers.
        seconds: wall seconds after loading. Once they have passed, no token is sampled and no verifier is called.
            A running call ends first; calls are sized so that one takes at most a tenth of the limit.

    Limits in seconds are the only ones that may break "same seed, same result", since speed depends on the machine.
    `codec_seconds` and `verifier_seconds` are checked between calls, so one running call may exceed them.
    """

    candidates: int | None = None
    tokens: int | None = None
    codec_seconds: float | None = None
    verifier_seconds: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name, value in list(vars(self).items()):
            kind, wanted = (Real, "a number") if name.endswith("seconds") else (Integral, "a whole number")
            if value is None:
                continue
            if not is_finite(value) or not isinstance(value, kind) or not 0 < float(value) <= MAX_COUNT:
                wanted += " above 0 and at most 2^53, or None for no limit"
                raise InputError(f"Budget({name}={short_repr(value)}): a limit must be {wanted}")
            object.__setattr__(self, name, as_python_number(value))


@dataclass
class Ledger:
    """The costs of a search.

    Attributes:
        prefills: calls that prefilled a prompt.
        prefill_tokens: prompt tokens run through the model.
        row_steps: sampled speech tokens over all rows, including pruned rows and END.
        finished: whole candidates finished.
        verifier_calls: utterances scored, by verifier.
        verifier_seconds: seconds, by verifier.
        verifier_skipped: utterances not scored because they could not become the best candidate, by verifier.
        stage_seconds: wall seconds by stage ("prefill", "decode", "codec", "verify").
        flops: analytic FLOPs by stage ("prefill", "decode", "codec", "verifiers"); NaN where a verifier does
            not know them (`Verifier.flops`).
        peak_memory_bytes: on a GPU the peak; on a CPU the largest resident memory sampled after a call to `extend`.
    """

    prefills: int = 0
    prefill_tokens: int = 0
    row_steps: int = 0
    finished: int = 0
    verifier_calls: dict[str, int] = field(default_factory=dict)
    verifier_seconds: dict[str, float] = field(default_factory=dict)
    verifier_skipped: dict[str, int] = field(default_factory=dict)
    stage_seconds: dict[str, float] = field(default_factory=dict)
    flops: dict[str, float] = field(default_factory=dict)
    peak_memory_bytes: int = 0

    def add_flops(self, stage: str, flops: float) -> None:
        """Adds to `flops[stage]`."""
        self.flops[stage] = self.flops.get(stage, 0.0) + flops

    def verifier_seconds_saved(self) -> dict[str, float]:
        """Returns the seconds that skipped utterances would have cost at the mean cost of a call, by verifier.

        >>> Ledger(
        ...     verifier_calls={"a": 2}, verifier_seconds={"a": 1.0}, verifier_skipped={"a": 6}
        ... ).verifier_seconds_saved()
        {'a': 3.0}
        """
        return {
            name: count * self.verifier_seconds[name] / calls
            for name, count in self.verifier_skipped.items()
            if (calls := self.verifier_calls.get(name))
        }

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the wall seconds of the block to `stage_seconds[name]`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stage_seconds[name] = self.stage_seconds.get(name, 0.0) + time.perf_counter() - start


class Need(NamedTuple):
    """Tokens that one row needs, at most and usually."""

    most: int
    usual: int


NOTHING = Need(0, 0)


class BudgetSpent(Exception):
    """A limit of the budget is reached, so nothing more may be sampled. It ends a search and is not an error.

    Attributes:
        limit: the name of the limit, a field of `Budget`.
    """

    def __init__(self, limit: str) -> None:
        super().__init__(f"the budget of {limit} is spent")
        self.limit = limit


@dataclass
class Reserve:
    """The cost of finishing and scoring one candidate, and what is reserved for it.

    Until a candidate has finished, the cost of one candidate is reserved; afterwards, the cost of scoring
    what has finished.

    Attributes:
        step_seconds: wall seconds of the last step, all rows together.
        decode_seconds: wall seconds of all steps.
        row_steps: tokens sampled in them.
        codec_seconds: seconds to decode one candidate; measured.
        verifier_seconds: seconds to score one candidate; measured.
        waiting: finished candidates that have not been scored.
    """

    step_seconds: float = 0.0
    decode_seconds: float = 0.0
    row_steps: int = 0
    codec_seconds: float = 0.0
    verifier_seconds: float = 0.0
    waiting: int = 0

    def note_step(self, rows: int, seconds: float) -> None:
        """Records a step of `rows` rows."""
        self.step_seconds = seconds
        self.decode_seconds += seconds
        self.row_steps += rows

    def kept(self, tokens: int, usual: int, finished: int) -> dict[str, float]:
        """Returns what must be left of each limit after a step.

        Args:
            tokens: that one row may still need.
            usual: that it usually needs.
            finished: candidates so far.
        """
        return self.scoring_cost() if finished else self._costs(tokens, usual * self.step_seconds)

    def scoring_cost(self) -> dict[str, float]:
        """Returns the cost, by limit, of scoring what has finished."""
        codec, verifiers = (self.waiting * cost for cost in (self.codec_seconds, self.verifier_seconds))
        return {"codec_seconds": codec, "verifier_seconds": verifiers, "seconds": codec + verifiers}

    def candidate_cost(self, tokens: int, usual: int) -> dict[str, float]:
        """Returns the cost, by limit, of another candidate: the most tokens, and the usual time."""
        # Uses a row's mean share of a step: the last row of a batch alone costs several times as much.
        return self._costs(tokens, usual * self.decode_seconds / max(1, self.row_steps))

    def _costs(self, tokens: int, seconds: float) -> dict[str, float]:
        return {
            "candidates": 1,
            "tokens": tokens,
            "codec_seconds": self.codec_seconds,
            "verifier_seconds": self.verifier_seconds,
            "seconds": seconds + self.codec_seconds + self.verifier_seconds,
        }


SHARE_OF_LIMIT = 0.1
"""Share of the wall limit that one call may take."""


class CallTimes:
    """The durations of calls, by kind, which determine the sizes of the next calls.

    A large call takes at most as long per unit of work as a small one. So the largest call of a kind is kept, and any
    that took too long.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, float]] = {}

    def note(self, kind: str, units: int, seconds: float, allowed: float) -> None:
        """Records a call of `units` units of work; `allowed` are the seconds that it should take at most."""
        largest, _ = self._known.get(kind, (0, 0.0))
        if units and (units >= largest or seconds > allowed):
            self._known[kind] = (units, seconds)

    def units(self, kind: str, allowed: float) -> float:
        """Returns how many units of work take `allowed` seconds; 0 before a call has been measured."""
        units, seconds = self._known.get(kind, (0, 1.0))
        return units * allowed / seconds if seconds else math.inf


class BudgetTracker:
    """Compares the costs of a search with its budget; sampler and scorer check it before each call.

    The clock starts when the tracker is made, so make it after the models are loaded; `restart_clock`
    sets it back to zero.

    Attributes:
        budget: the limits.
        ledger: the costs so far.
        reserve: the part of the budget that is kept for finishing and scoring one candidate.
        stopped_by: name of the limit that ended the search, or None.
        short_of: name of the first limit that did not allow another candidate when one was wanted, or None.
    """

    def __init__(self, budget: Budget | None = None, ledger: Ledger | None = None) -> None:
        self.budget = budget or Budget()
        self.ledger = ledger or Ledger()
        self.reserve = Reserve()
        self._calls = CallTimes()
        self.stopped_by: str | None = None
        self.short_of: str | None = None
        self.restart_clock()

    def restart_clock(self) -> None:
        """Counts wall seconds from now."""
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall seconds since the clock started."""
        return time.perf_counter() - self._start

    @property
    def timed(self) -> bool:
        """Whether a limit counts seconds."""
        return any(name.endswith("seconds") for name in self.left())

    @property
    def codec_seconds(self) -> float:
        """Seconds spent decoding codes to audio."""
        return self.ledger.stage_seconds.get("codec", 0.0)

    @property
    def verifier_seconds(self) -> float:
        """Seconds spent in verifiers, all together."""
        return sum(self.ledger.verifier_seconds.values())

    def left(self) -> dict[str, float]:
        """What remains of each given limit, by its name; below 0 where it was exceeded."""
        spent = {
            "candidates": self.ledger.finished,
            "tokens": self.ledger.row_steps,
            "codec_seconds": self.codec_seconds,
            "verifier_seconds": self.verifier_seconds,
            "seconds": self.seconds,
        }
        limits = vars(self.budget)
        return {name: limits[name] - value for name, value in spent.items() if limits[name] is not None}

    def reached(self, rows: int = 0, to_finish: int = 0, usual: int = 0, clock: bool = True) -> str | None:
        """Returns the limit that forbids one more step, or None; the reserve must be left after the step.

        Args:
            rows: rows in the step.
            to_finish: tokens that one row may still need after the step.
            usual: tokens that it usually needs.
            clock: also check the limits in seconds.
        """
        known = self.ledger.finished
        keep = self.reserve.kept(to_finish, usual, known) if clock or not known else {}
        for name, left in self.left().items():
            if name.endswith("seconds") and not clock:
                continue
            if left <= 0 or left < keep.get(name, 0) + (rows if name == "tokens" else 0):
                self.stopped_by = self.stopped_by or name
                return name
        return None

    def out_of_time(self) -> bool:
        """Whether a limit in seconds is spent; `stopped_by` then names it."""
        for limit, left in self.left().items():
            if limit.endswith("seconds") and left <= 0:
                self.stopped_by = self.stopped_by or limit
                return True
        return False

    def overdue(self) -> bool:
        """Whether the wall limit has passed; `stopped_by` then names it."""
        limit = self.budget.seconds
        if limit is None or self.seconds < limit:
            return False
        self.stopped_by = self.stopped_by or "seconds"
        return True

    def require_time(self) -> None:
        """Checks the wall limit.

        Raises:
            BudgetSpent: it has passed.
        """
        if self.overdue():
            raise BudgetSpent("seconds")

    def call_size(self, kind: str, most: int, first: int = 1) -> int:
        """Returns how many units of work the next call may have, so that it takes at most a tenth of the wall limit.

        Args:
            kind: of call; those of one kind take about the same time per unit.
            most: units that are wanted; the size without a wall limit.
            first: size while no call of this kind has been measured, and the smallest afterwards.
        """
        limit = self.budget.seconds
        if limit is None:
            return most
        return int(min(most, max(first, self._calls.units(kind, SHARE_OF_LIMIT * limit))))

    @contextmanager
    def call(self, kind: str, units: int) -> Iterator[None]:
        """Measures the block, a call of `units` units of work, for `call_size`.

        Raises:
            BudgetSpent: the wall limit has passed; the block is not run.
        """
        self.require_time()
        start = time.perf_counter()
        yield
        self._calls.note(
            kind, units, time.perf_counter() - start, SHARE_OF_LIMIT * (self.budget.seconds or math.inf)
        )

    def affordable(self, tokens: int, usual: int) -> int:
        """Returns how many more candidates the budget allows, after scoring what has finished.

        Costs in seconds are 0 until measured. Without a limit, it is `sys.maxsize`. If it is 0,
        `short_of` names the limit.

        Args:
            tokens: that one candidate may take.
            usual: that one candidate usually takes.
        """
        costs, kept = self.reserve.candidate_cost(tokens, usual), self.reserve.scoring_cost()
        counts = {
            name: int((left - kept.get(name, 0)) / costs[name])
            for name, left in self.left().items()
            if costs[name]
        }
        scarcest = min(counts, key=counts.__getitem__, default=None)
        if scarcest is None:
            return sys.maxsize
        if counts[scarcest] < 1:
            self.short_of = self.short_of or scarcest
        return max(0, counts[scarcest])

    def require(self, tokens: int) -> None:
        """Checks the token limit, once the text's longest candidate is known.

        Raises:
            InputError: the budget does not cover one candidate.
        """
        limit = self.budget.tokens
        if limit is not None and limit < tokens:
            raise InputError(
                f"Budget(tokens={limit}) is below the cost of one candidate: this text may "
                f"take {tokens} tokens; allow at least {tokens}, or lower Sampling(max_seconds=...)"
            )

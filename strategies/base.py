"""The contract of a strategy, and strategies by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from llasa_search import registry
from llasa_search.arrays import MAX_COUNT, is_finite
from llasa_search.candidate import Candidate
from llasa_search.errors import InputError, short_repr

if TYPE_CHECKING:
    from llasa_search.generation.rows import Rows
    from llasa_search.generation.sampler import Sampler
    from llasa_search.scoring.scorer import Scorer
    from llasa_search.verifiers.base import Verifier

STEP = 25
"""Tokens after which finished candidates are yielded. Our choice: half a second of speech."""


@runtime_checkable
class Strategy(Protocol):
    """Decides which rows to sample, keep and prune. The search chooses among its candidates by the final reward."""

    def run(self, sampler: Sampler, scorer: Scorer) -> Iterator[Candidate]:
        """Yields each finished candidate. The search may stop iterating at any time."""
        ...


@runtime_checkable
class UsesVerifiers(Protocol):
    """Optional part of a strategy: its own verifiers, which the search loads before its clock starts."""

    @property
    def verifiers(self) -> tuple[Verifier, ...]: ...


StrategyLike: TypeAlias = Strategy | str


def as_strategy(spec: StrategyLike) -> Strategy:
    """Returns the strategy of a name with arguments, such as "best_of_n" or "best_of_n:n=8,stop_at=wer<=0".

    Raises:
        InputError: no strategy has that name, or it does not take these arguments.
    """
    if isinstance(spec, type):
        raise InputError(f"strategy={spec.__name__}: make one of the class, {spec.__name__}()")
    if isinstance(spec, Strategy):
        return spec
    if not isinstance(spec, str):
        raise InputError(f"strategy={spec!r}: give a name such as 'best_of_n', or an object with run()")
    strategy: Strategy = registry.strategies.make(spec)
    return strategy


def verifiers_of(strategy: Strategy) -> tuple[Verifier, ...]:
    """Returns the strategy's own verifiers; none unless it is a `UsesVerifiers`."""
    return strategy.verifiers if isinstance(strategy, UsesVerifiers) else ()


def check_counts(strategy: object, *names: str) -> None:
    """Refuses attributes that are not whole numbers, 1 or more; None passes where it is the default.

    Raises:
        InputError: one of them is.
    """
    for name in names:
        value = getattr(strategy, name)
        if value is None and getattr(type(strategy), name, 1) is None:
            continue
        if type(value) is not int or not 1 <= value <= MAX_COUNT:
            where = f"{type(strategy).__name__}: {name}={short_repr(value)}"
            raise InputError(f"{where}: give a whole number, 1 or more and at most 2^53")


def check_number(strategy: object, name: str, wanted: str, fits: Callable[[float], bool]) -> None:
    """Refuses an attribute that is not a number, or does not fit.

    Raises:
        InputError: it says what is `wanted`.
    """
    value = getattr(strategy, name)
    if not is_finite(value) or not fits(float(value)):
        raise InputError(f"{type(strategy).__name__}: {name}={short_repr(value)}: give {wanted}")


def complete(sampler: Sampler, rows: Rows) -> Iterator[Candidate]:
    """Samples rows to their ends and yields each candidate as it finishes."""
    while len(rows):
        rows, finished = sampler.extend(rows, STEP)
        yield from finished

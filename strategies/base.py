"""What a strategy is, and how one is named."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from llasa_search import registry
from llasa_search.candidate import Candidate
from llasa_search.errors import InputError

if TYPE_CHECKING:
    from llasa_search.sampler import Sampler
    from llasa_search.scorer import Scorer


@runtime_checkable
class Strategy(Protocol):
    """Decides what to sample, keep and cut. The search chooses among what it yields, by the final reward."""

    def run(self, sampler: Sampler, scorer: Scorer) -> Iterator[Candidate]:
        """Yields each finished candidate. The search may stop listening at any time."""
        ...


StrategyLike: TypeAlias = Strategy | str


def as_strategy(spec: StrategyLike) -> Strategy:
    """Makes a strategy of a name with arguments, such as "best_of_n" or "best_of_n:n=8,stop_at=wer<=0".

    Raises:
        InputError: no strategy has that name, or it does not take these arguments.
    """
    if isinstance(spec, type):
        raise InputError(f"strategy={spec.__name__}: make one of the class, {spec.__name__}()")
    if isinstance(spec, Strategy):
        return spec
    if not isinstance(spec, str):
        raise InputError(f"strategy={spec!r}: give a name such as 'best_of_n', or an object with run()")
    name, _, listed = spec.partition(":")
    made = registry.strategies.get(name.strip())
    arguments = dict(_argument(spec, part) for part in listed.split(",") if part.strip())
    try:
        inspect.signature(made).bind(**arguments)
    except TypeError as error:
        raise InputError(f"strategy {spec!r}: {error}; it is {name}{inspect.signature(made)}") from error
    strategy: Strategy = made(**arguments)
    return strategy


def _argument(spec: str, part: str) -> tuple[str, Any]:
    key, equals, value = part.partition("=")
    if not equals:
        raise InputError(f"strategy {spec!r}: {part!r} is not of the form name=value")
    try:
        return key.strip(), ast.literal_eval(value.strip())
    except (ValueError, SyntaxError):
        return key.strip(), value.strip()

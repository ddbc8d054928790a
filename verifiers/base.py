"""What a verifier is: the contract that built-in ones and anyone's own fulfil alike."""

from __future__ import annotations

import ast
import inspect
import math
import os
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from llasa_search.arrays import FloatArray
from llasa_search.candidate import Score, Utterance
from llasa_search.errors import InputError, short_repr
from llasa_search.reward.base import Leaf
from llasa_search.voice import Prompt

NEEDS = frozenset({"text", "voice", "codes", "logprobs"})
"""What a verifier may read of an utterance beside its audio."""


class Verifier(Leaf):
    """Scores utterances in its field's own unit; by itself it is a reward.

    A subclass implements `score`, and sets what differs from the defaults below. It keeps each constructor
    argument in an attribute of the same name, because its printed form (`WER(model='large-v3')`: the
    arguments that differ from their defaults) is its identity.

    Attributes:
        needs: what it reads beside the audio: any of "text", "voice", "codes", "logprobs".
        partial: whether it can judge unfinished speech.
        min_seconds: unfinished speech that is shorter is not scored; the verifier abstains.
        window_seconds: how much of the end of unfinished speech is decoded for it; None for all, 0 for a
            verifier that does not listen. Codes and log-probabilities are those of all of it.
        family: what kind of model hears, such as "whisper". A judge should be of another family.
        judge: whether it is meant to judge what a search found, not to take part in one.
        content: whether it hears what is said. A reward without any such verifier gets a gate, because
            speech that is cut off would win.
        cost: rough seconds for a second of speech on a CPU core, where `flops` does not know; cheaper
            verifiers go first.
        requires: modules that it imports in `load`, such as "funasr": `llasa-search verifiers` says whether
            they are installed.
        part: what `model="tiny"` means for it, in the package's folder of checkpoints; "" for all of them.
        scale: (worst, best) in its unit: where its utility reaches 0 and 1.
    """

    needs: frozenset[str] = frozenset({"text"})
    partial: ClassVar[bool] = False
    min_seconds: ClassVar[float] = 0.0
    window_seconds: ClassVar[float | None] = None
    family: str = ""
    cost: ClassVar[float] = 1.0
    requires: ClassVar[tuple[str, ...]] = ()
    judge: ClassVar[bool] = False
    content: ClassVar[bool] = False
    part: ClassVar[str] = ""
    scale: tuple[float, float] = (0.0, 1.0)

    @abstractmethod
    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        """One score for each utterance, in order. What it raises marks the candidates as failed."""

    def load(self) -> None:
        """Loads its model, once. Called at the start of each search, before its clock."""

    def check(self, prompt: Prompt) -> None:
        """Refuses a prompt that it cannot judge, after `load` and before any speech is sampled.

        Raises:
            InputError: the prompt lacks something that it needs.
        """
        if "voice" in self.needs and prompt.voice is None:
            raise InputError(
                f"{self} compares with a reference voice: give a prompt recording, or leave it out"
            )

    def utility(self, values: FloatArray) -> FloatArray:
        """Maps values in its unit to [0, 1], linear between the ends of `scale`; NaN stays NaN."""
        worst, best = self.scale
        # Adding 0 turns -0 into 0.
        return np.clip((values - worst) / (best - worst), 0.0, 1.0) + 0.0

    def counts(self, text: str, language: str, detail: str) -> tuple[int, int] | None:
        """Edits and length of the text (in words; Chinese: characters) behind an error rate.

        Corpus values are ratios of their sums.

        Args:
            text: what should have been said.
            language: "en" or "zh".
            detail: of the score: the transcript.

        Returns:
            None where the value is no error rate.
        """
        return None

    def flops(self, seconds: float) -> float:
        """Floating-point operations to judge one utterance of so many seconds; NaN where nobody knows."""
        return math.nan

    @staticmethod
    def from_function(
        function: Callable[[Utterance], float],
        scale: tuple[float, float] | None = None,
        name: str | None = None,
    ) -> FunctionVerifier:
        """A verifier out of a plain function.

        Args:
            function: takes an `Utterance`, returns its value.
            scale: (worst, best) value; None says that it returns utilities, and what is outside [0, 1] fails.
            name: how it is printed; the function's own name by default.
        """
        return FunctionVerifier(function, scale, name)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and str(self) == str(other)

    __hash__ = Leaf.__hash__

    def __str__(self) -> str:
        changed = ", ".join(f"{name}={value!r}" for name, value in self._changed_arguments().items())
        return f"{type(self).__name__}({changed})"

    def _changed_arguments(self) -> dict[str, Any]:
        defaults = {each.name: _literal(each.default) for each in _parameters(type(self))}
        return {name: value for name, value in arguments(self).items() if value != defaults[name]}


def arguments(verifier: Verifier) -> dict[str, Any]:
    """Returns the constructor arguments of a verifier by name, paths as text.

    Raises:
        InputError: its class does not keep an argument in an attribute of the same name.
    """
    names = [parameter.name for parameter in _parameters(type(verifier))]
    missing = [name for name in names if not hasattr(verifier, name)]
    if missing:
        raise InputError(
            f"{type(verifier).__name__} must keep its argument {missing[0]!r} in an attribute of that name: "
            "a verifier's printed arguments are its identity"
        )
    return {name: _literal(getattr(verifier, name)) for name in names}


@cache
def _parameters(kind: type[Verifier]) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(kind).parameters.values())


def check_declaration(verifier: Verifier) -> None:
    """Refuses what a class says of itself and cannot be; its scale is checked once it is loaded.

    Raises:
        InputError: something in `needs` that no utterance has, a number that is none, a family that is no
            name, or an argument that cannot be read back from the printed form.
    """
    name, needs = type(verifier).__name__, verifier.needs
    if not isinstance(needs, set | frozenset) or needs - NEEDS:
        raise InputError(f"{name}: needs={short_repr(needs)}: give a set of any of {', '.join(sorted(NEEDS))}")
    for number in ("cost", "min_seconds", "window_seconds"):
        value = getattr(verifier, number)
        optional = number == "window_seconds" and value is None
        if not optional and not (isinstance(value, Real) and 0 <= float(value) < math.inf):
            raise InputError(f"{name}: {number}={short_repr(value)}: give a number, 0 or more")
    if not isinstance(verifier.family, str):
        raise InputError(f"{name}: family={short_repr(verifier.family)}: give a name, such as 'whisper'")
    for argument, value in verifier._changed_arguments().items():
        try:
            ast.literal_eval(repr(value))
        except (ValueError, SyntaxError) as error:
            raise InputError(
                f"{name}({argument}={short_repr(value)}): a stored run reads it back from its printed form, so "
                "that its arguments are numbers, text, None, or lists of these"
            ) from error


def require_width(scale: tuple[float, float], name: str) -> None:
    """Refuses a scale that is not two different finite numbers.

    Raises:
        InputError: named `name`.
    """
    numbers = isinstance(scale, tuple | list) and all(isinstance(end, Real) for end in scale)
    if not numbers or len(scale) != 2 or not 0 < abs(scale[1] - scale[0]) < math.inf:
        raise InputError(f"{name}: worst and best must be two different numbers")


def _literal(value: object) -> object:
    """An argument as it is printed: a path as text, what is numpy's as Python's own."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


class FunctionVerifier(Verifier):
    """A plain function as a verifier; see `Verifier.from_function`. It is taken for a cheap one."""

    cost = 0.0

    def __init__(
        self,
        function: Callable[[Utterance], float],
        scale: tuple[float, float] | None = None,
        name: str | None = None,
    ) -> None:
        if scale is not None:
            require_width(scale, f"scale={short_repr(scale)}")
        self.function = function
        self.name = name or getattr(function, "__name__", type(function).__name__)
        self.scale = scale or (0.0, 1.0)
        self._bounded = scale is None

    def renamed(self, name: str) -> FunctionVerifier:
        """The same function under another name."""
        return FunctionVerifier(self.function, None if self._bounded else self.scale, name)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        values = [float(self.function(utterance)) for utterance in utterances]
        outside = [value for value in values if self._bounded and not 0 <= value <= 1]
        if outside:
            raise InputError(
                f"{self} returned {outside[0]:g}, outside [0, 1]: "
                "wrap it in Verifier.from_function(function, scale=(worst, best))"
            )
        return [Score(value) for value in values]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FunctionVerifier) and (self.function, self.scale, self.name) == (
            other.function,
            other.scale,
            other.name,
        )

    __hash__ = Verifier.__hash__

    def __str__(self) -> str:
        return f"{self.name}()"

    def _changed_arguments(self) -> dict[str, Any]:
        return {}  # it is known by its name

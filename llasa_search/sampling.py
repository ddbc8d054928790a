"""`Sampling`: how tokens are drawn from the language model's distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real

from llasa_search.arrays import as_python_number, is_finite
from llasa_search.errors import InputError, short_repr


@dataclass(frozen=True)
class Sampling:
    """The settings with which each speech token is sampled. The names are those of transformers' `generate`.

    Attributes:
        temperature: divides the logits, 0.01 to 100. 0 takes the most probable token (greedy), so all
            candidates of a prompt are the same.
        top_p: keeps the smallest set of tokens whose total probability reaches this value; 1 keeps all.
        top_k: keeps this many of the most probable tokens; 0 keeps all.
        repetition_penalty: divides the positive and multiplies the negative logits of speech codes that
            occur in the voice prompt or in the row so far, 0.01 to 100; 1 changes nothing.
        min_seconds: END is not sampled before this; None derives it from the length of the text.
        max_seconds: speech ends here at the latest; None derives it from the length of the text.
        guard: ends rows that have repeated themselves, or been silent, for 2.5 s.

    Raises:
        InputError: a value is outside its range.
    """

    temperature: float = 0.8
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    min_seconds: float | None = None
    max_seconds: float | None = None
    guard: bool = True

    def __post_init__(self) -> None:
        self._require("guard", isinstance(self.guard, bool), "True or False")
        for name, value in list(vars(self).items()):
            if name == "guard":
                continue
            if value is not None or name not in ("min_seconds", "max_seconds"):
                kind, wanted = (Integral, "a whole number") if name == "top_k" else (Real, "a number")
                self._require(name, is_finite(value) and isinstance(value, kind), wanted)
                object.__setattr__(self, name, as_python_number(value))
        greedy = self.temperature == 0
        self._require("temperature", greedy or 0.01 <= self.temperature <= 100, "0 (greedy) or 0.01 to 100")
        self._require("top_p", 0 < self.top_p <= 1, "above 0 and at most 1 (1 keeps every token)")
        self._require("top_k", self.top_k >= 0, "0 (keeps all) or a positive count")
        penalty = self.repetition_penalty
        self._require("repetition_penalty", 0.01 <= penalty <= 100, "0.01 to 100 (1 changes nothing)")
        for name in ("min_seconds", "max_seconds"):
            seconds = getattr(self, name)
            if seconds is not None:
                self._require(name, 0 < seconds < math.inf, "above 0, or None to derive it from the text")
        if self.min_seconds is not None and self.max_seconds is not None:
            self._require("max_seconds", self.min_seconds <= self.max_seconds, "at least min_seconds")

    def _require(self, name: str, holds: bool, wanted: str) -> None:
        if not holds:
            raise InputError(f"Sampling({name}={short_repr(getattr(self, name))}): {name} must be {wanted}")

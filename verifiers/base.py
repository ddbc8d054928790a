"""The base class of verifiers, with every hook and its default."""

from __future__ import annotations

import ast
import inspect
import math
import os
from abc import abstractmethod
from collections.abc import Callable, Sequence, Set
from functools import cache
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from llasa_search.arrays import Audio, FloatArray
from llasa_search.candidate import Score, Span, Utterance
from llasa_search.checkpoints.locks import loaded_once
from llasa_search.checkpoints.names import EMBEDDED, resolve_name
from llasa_search.errors import InputError, short_repr
from llasa_search.reward.base import Leaf
from llasa_search.text.language import describe, listed
from llasa_search.voice import Prompt

NEEDS = frozenset({"text", "voice", "resynthesis", "codes", "logprobs"})
"""What a verifier may read of an utterance beside its audio."""


class Verifier(Leaf):
    """Scores utterances in its own unit. A verifier by itself is a reward.

    A subclass implements `score` and declares its `scale`. Everything else has a default: override what differs.
    The constructor keeps each argument in an attribute of the same name, because the printed form
    (`WER(model='large-v3')`: the arguments that differ from their defaults) is the verifier's identity.

    `transcribe` and `error_spans` are optional. A verifier offers them by overriding them; `can_transcribe` and
    `can_find_errors` tell whether it does.

    Attributes:
        scale: (worst, best) in the verifier's unit, where its utility reaches 0 and 1.
        needs: what it reads beside the audio: any of "text"; "voice"; "resynthesis", which is the voice prompt
            encoded and decoded by the codec (`Voice.resynthesis`); "codes"; "logprobs".
        languages: codes of the languages that it scores, such as "en"; None for any. At the latest, `load` sets it.
        partial: whether it can score unfinished speech.
        min_seconds: unfinished speech that is shorter is not scored; the verifier abstains.
        window_seconds: how much of the end of unfinished speech it needs; None for all, 0 if it does not read the
            audio. Only that much is decoded. Codes and log-probabilities are those of all speech so far.
        family: the kind of model that it is built on, such as "whisper". A judge should be of another family.
        judge: whether it is meant to measure what a search has found rather than to take part in one.
        content: whether it scores what is said. A reward without such a verifier gets a gate, because truncated
            speech would win.
        cost: rough seconds per second of speech on one CPU core, used where `flops` returns NaN. Cheaper
            verifiers run first.
        device: where `load` places its model, "auto", "cpu", "cuda", ...; the search that loads the verifier sets
            its own device here unless it is set. `pick_device` gives the torch device.
        dtype: likewise, "auto", "float32", "bfloat16" or "float16".
        requires: modules that it imports in `load`, such as "funasr". `llasa-search verifiers` shows whether they
            are installed.
    """

    scale: tuple[float, float] = (0.0, 1.0)
    needs: frozenset[str] = frozenset({"text"})
    languages: frozenset[str] | None = None
    partial: ClassVar[bool] = False
    min_seconds: ClassVar[float] = 0.0
    window_seconds: ClassVar[float | None] = None
    family: str = ""
    device: str = "auto"
    dtype: str = "auto"
    judge: ClassVar[bool] = False
    content: ClassVar[bool] = False
    cost: ClassVar[float] = 1.0
    requires: ClassVar[tuple[str, ...]] = ()

    _part: ClassVar[str] = ""  # the checkpoint in the package's folder that "tiny" stands for

    @abstractmethod
    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        """Returns one score for each utterance, in order.

        An exception marks the utterances as failed. `Score(math.nan, "why", "abstained")` declines to score one.
        """

    def load(self) -> None:
        """Loads the model, once. Called at the start of each search, before its clock starts."""

    def check(self, prompt: Prompt) -> None:
        """Refuses a prompt that it cannot score, after `load` and before any speech is sampled.

        Raises:
            InputError: the prompt does not have something that the verifier needs, or is in another language.
        """
        if "voice" in self.needs and prompt.voice is None:
            raise InputError(
                f"{self} compares with a reference voice: give a prompt recording, or leave it out"
            )
        if self.languages is not None and prompt.language not in self.languages:
            raise InputError(
                f"{self} knows {listed(self.languages)}, and the text is {describe(prompt.language)}: "
                f"{self._advice(prompt.language)}, or give the text's language if it is another one"
            )

    def _advice(self, language: str) -> str:
        """Returns what to do about a text in a language that it does not know."""
        return "leave it out"

    def utility(self, values: FloatArray) -> FloatArray:
        """Maps values in the verifier's unit to [0, 1], linear between the ends of `scale`; NaN stays NaN."""
        worst, best = self.scale
        # Adding 0 turns -0 into 0.
        return np.clip((values - worst) / (best - worst), 0.0, 1.0) + 0.0

    def flops(self, seconds: float) -> float:
        """Returns the FLOPs to score one utterance of that many seconds; NaN if unknown."""
        return math.nan

    def counts(self, text: str, language: str, detail: str) -> tuple[int, int] | None:
        """Returns the edits, and the length of the text, behind an error rate; None for other verifiers.

        The error rate of a corpus is the ratio of their sums.

        Args:
            text: what should have been said.
            language: of the text.
            detail: of the score: the transcript.
        """
        return None

    def transcribe(self, audios: Sequence[Audio], sample_rates: Sequence[int], language: str) -> list[str]:
        """Returns the transcripts of recordings, "" for one without speech. Optional.

        Args:
            audios: float32 mono [samples] in [-1, 1], each of its own length.
            sample_rates: in Hz, one per recording.
            language: that is spoken.

        Raises:
            InputError: this verifier does not offer transcripts.
        """
        raise InputError(f"{self} cannot transcribe: take a speech recogniser, such as WER()")

    def error_spans(self, utterances: Sequence[Utterance]) -> list[list[Span]]:
        """Returns where each finished utterance does not say its text, in order of time. Optional.

        Raises:
            InputError: this verifier does not find the places of errors.
        """
        raise InputError(f"{self} does not find the places of errors")

    @property
    def can_transcribe(self) -> bool:
        """Whether it offers `transcribe`."""
        return type(self).transcribe is not Verifier.transcribe

    @property
    def can_find_errors(self) -> bool:
        """Whether it offers `error_spans`."""
        return type(self).error_spans is not Verifier.error_spans

    @property
    def is_embedded(self) -> bool:
        """Whether it uses a checkpoint of the package, which is trained on the speech of model "tiny" only."""
        return bool(self._part) and any(value in EMBEDDED for value in arguments(self).values())

    def checkpoints(self) -> list[str]:
        """Returns the existing files and folders that its arguments name."""
        names = [value for value in arguments(self).values() if isinstance(value, str) and value]
        paths = [resolve_name(name, self._part) for name in names]
        return [path for path in paths if os.path.exists(path)]

    @staticmethod
    def from_function(
        function: Callable[[Utterance], float],
        scale: tuple[float, float] | None = None,
        name: str | None = None,
    ) -> FunctionVerifier:
        """Makes a verifier of a plain function.

        Args:
            function: takes an `Utterance`, returns its value.
            scale: (worst, best) value; None if the function returns utilities: values outside [0, 1] then fail.
            name: how the verifier is printed; None for the function's own name.
        """
        return FunctionVerifier(function, scale, name)

    def __getstate__(self) -> dict[str, Any]:
        """Returns its attributes without loaded models: another process loads its own."""
        state = vars(self).items()
        return {
            name: each for name, each in state if not isinstance(getattr(type(self), name, None), loaded_once)
        }

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
        InputError: its constructor does not keep an argument in an attribute of the same name.
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
    """Checks what a search relies on before the verifier is loaded; its scale is checked after that.

    Raises:
        InputError: `needs`, `languages` or `window_seconds` cannot be used, or an argument cannot be read back from
            the printed form.
    """
    name = type(verifier).__name__
    needs, languages, window = verifier.needs, verifier.languages, verifier.window_seconds
    if not isinstance(needs, Set) or set(needs) - NEEDS:
        raise InputError(
            f"{name}: needs={short_repr(needs)}: give a set of any of {', '.join(sorted(NEEDS))}"
        )
    if not (languages is None or isinstance(languages, Set)):
        raise InputError(
            f"{name}: languages={short_repr(languages)}: give a set of codes, such as {{'en'}}, or None"
        )
    if not (window is None or isinstance(window, Real)):
        raise InputError(
            f"{name}: window_seconds={short_repr(window)}: give a number, or None for all of the speech"
        )
    for argument, value in verifier._changed_arguments().items():
        try:
            ast.literal_eval(repr(value))
        except (ValueError, SyntaxError) as error:
            raise InputError(
                f"{name}({argument}={short_repr(value)}): a stored run reads it back from its printed form, so "
                "give a number, text, None, or a list of these"
            ) from error


def require_width(scale: tuple[float, float], name: str) -> None:
    """Checks that a scale is two different finite numbers.

    Args:
        scale: (worst, best).
        name: of the scale, for the message.

    Raises:
        InputError: it is not.
    """
    numbers = isinstance(scale, tuple | list) and all(isinstance(end, Real) for end in scale)
    if not numbers or len(scale) != 2 or not 0 < abs(scale[1] - scale[0]) < math.inf:
        raise InputError(f"{name}: worst and best must be two different numbers")


def _literal(value: object) -> object:
    """Returns an argument as it is printed: paths as text, numpy's numbers and arrays as Python's."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


class FunctionVerifier(Verifier):
    """A plain function as a verifier; see `Verifier.from_function`. It is assumed to be cheap."""

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
        """Returns a verifier of the same function under another name."""
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
        return {}  # its identity is its name

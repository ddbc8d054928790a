"""Makes a reward of what a caller gives as `verifiers`: names, expressions, dictionaries, lists, functions."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import TypeAlias

from llasa_search import registry
from llasa_search.arrays import is_finite
from llasa_search.candidate import Utterance
from llasa_search.errors import InputError, short_repr
from llasa_search.reward.base import Condition, Reward, counting
from llasa_search.reward.expression import parse
from llasa_search.verifiers.base import FunctionVerifier, Verifier

Single: TypeAlias = Reward | str | Callable[[Utterance], float]
RewardLike: TypeAlias = Single | Mapping[str, float] | Mapping[Verifier, float] | Iterable[Single]

DEFAULT_REWARD = "Lexicographic(wer, likelihood)"
"""For the embedded model. Many candidates have a WER of 0; the likelihood of the text ranks those."""

DEFAULT_RECOGNISER = "large-v3-turbo"
"""For any other model: openai-whisper's, 1.6 GB, which knows the languages of large-v3 and is several times faster."""


def default_reward(embedded: bool) -> str:
    """Returns the reward of a search that names no verifiers.

    Args:
        embedded: whether the speech is that of the embedded model, which the embedded recogniser is trained on.
    """
    if embedded:
        return DEFAULT_REWARD
    model = f"(model={DEFAULT_RECOGNISER!r})"
    return f"Lexicographic(WER{model}, TranscriptLikelihood{model})"


def as_reward(spec: RewardLike) -> Reward:
    """Returns the reward that a specification describes.

    Args:
        spec: a `Reward`; an expression such as "0.6 * wer + 0.4 * speaker", "speaker.given(wer <= 0.05)" or
            "Harmonic(wer, speaker)"; a plain function of an `Utterance` to [0, 1]; weights by name,
            {"wer": 0.6}; or several of these in a list, of equal weight.

    Raises:
        InputError: it does not describe a reward, or names a verifier that is not installed.
    """
    try:
        return counting(_read(spec))
    except RecursionError as error:
        raise InputError(f"verifiers={short_repr(spec)} contains itself, or is too deep") from error


def _read(spec: RewardLike) -> Reward:
    if isinstance(spec, Reward):
        return spec
    if isinstance(spec, Condition):
        raise InputError(f"({spec}) is a condition, which cannot be maximised: write {spec.verifier}")
    if isinstance(spec, str):
        return parse_reward(spec)
    if isinstance(spec, type):
        raise InputError(f"verifiers={spec.__name__}: make one of the class, {spec.__name__}()")
    if callable(spec):
        return Verifier.from_function(spec)
    if isinstance(spec, Mapping):
        return _sum(_weight(weight, name) * _read(name) for name, weight in spec.items())
    if isinstance(spec, Iterable):
        return _sum(_read(each) for each in spec)
    raise InputError(
        f"verifiers={short_repr(spec)}: give a verifier, a name, an expression, or a list or dictionary of them"
    )


def parse_reward(text: str) -> Reward:
    """Reads the printed expression of a reward; nothing in it is executed.

    Raises:
        InputError: it is not one, or names a verifier that is not installed.
    """
    parsed = parse(text, _verifier)
    if not isinstance(parsed, Reward):
        raise InputError(
            f"{text!r} is not a verifier or made of verifiers, such as '0.6 * wer'; a condition goes with a reward, "
            "as in 'speaker.given(wer <= 0.1)'"
        )
    return parsed


def parse_condition(text: str) -> Condition:
    """Reads a condition such as "wer <= 0.05".

    Raises:
        InputError: it does not compare one verifier with one number.
    """
    parsed = parse(text, _verifier)
    if not isinstance(parsed, Condition):
        raise InputError(f"{text!r} is not a condition such as 'wer <= 0.05'")
    return parsed


def _verifier(name: str, args: Iterable[object], named: Mapping[str, object]) -> Verifier:
    made = registry.verifiers.get(name)
    if not (isinstance(made, type) and issubclass(made, Verifier)):
        if args or named:
            raise InputError(f"{name} takes no arguments")
        made = made if isinstance(made, FunctionVerifier) else Verifier.from_function(made)
        return made.renamed(name)
    try:
        inspect.signature(made).bind(*args, **named)
        return made(*args, **named)
    except TypeError as error:
        raise InputError(f"{name}: {error}; it takes {registry.taken(made)}") from error


def _sum(rewards: Iterable[Reward]) -> Reward:
    rewards = list(rewards)
    if not rewards:
        raise InputError("no verifier given: name at least one, for example 'wer'")
    return reduce(operator.add, rewards)


def _weight(weight: object, name: object) -> float:
    if not is_finite(weight):
        raise InputError(
            f"verifiers={{{short_repr(name)}: {short_repr(weight)}}}: a weight is a finite number"
        )
    return float(weight)  # type: ignore[arg-type]


def parse_options(given: Iterable[str]) -> Reward:
    """Returns the weighted sum of what follows each `--verifier` on the command line.

    Args:
        given: each NAME or NAME=WEIGHT. A name may be an expression, as in "WER(model='large-v3')=0.5".

    Raises:
        InputError: as `as_reward`.
    """
    return counting(_sum(map(_parse_option, given)))


def _parse_option(text: str) -> Reward:
    name, equals, weight = text.rpartition("=")
    if equals and not name.endswith(("<", ">")) and _is_number(weight):
        return float(weight) * parse_reward(name)
    return parse_reward(text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

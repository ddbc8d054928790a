"""Third-party code: it disturbs neither random states nor the scores of other utterances."""

from __future__ import annotations

import dataclasses
import logging
import math
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from llasa_search.candidate import Score, Utterance
from llasa_search.errors import LlasaSearchError, format_error, short_repr
from llasa_search.verifiers.base import Verifier

_Number = TypeVar("_Number", bound=np.generic)


@contextmanager
def isolated() -> Iterator[None]:
    """Restores after the block what loaders and plug-ins set for the whole program.

    That is: random states, warning filters, handlers of the root logger, numpy's reaction to errors, and
    torch's number of threads, default type and gradients. funasr alone seeds, sets the threads, and silences
    every warning. Nothing of this changes a later draw, in the search or in the caller's own program.
    """
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    state, threads, kind = torch.get_rng_state(), torch.get_num_threads(), torch.get_default_dtype()
    used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cuda = torch.cuda.get_rng_state_all() if used else None
    handlers = logging.root.handlers[:]
    try:
        with np.errstate(), warnings.catch_warnings(), torch.set_grad_enabled(torch.is_grad_enabled()):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(state)
        torch.set_num_threads(threads)
        torch.set_default_dtype(kind)
        logging.root.handlers[:] = handlers
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


def safe_scores(
    verifier: Verifier, utterances: Sequence[Utterance], time_is_up: Callable[[], bool] = lambda: False
) -> list[Score]:
    """One valid score for each utterance, whatever the verifier does.

    A batch that fails as a whole is tried again one by one, so that one bad utterance fails alone; once
    `time_is_up`, what has not been tried again fails as the batch did.
    """
    long_enough = [each.final or each.seconds >= verifier.min_seconds for each in utterances]
    heard = [utterance for utterance, enough in zip(utterances, long_enough, strict=True) if enough]
    judged = iter(_judge(verifier, heard, time_is_up))
    too_short = Score(math.nan, f"unfinished and shorter than {verifier.min_seconds:g} s", "abstained")
    return [next(judged) if enough else too_short for enough in long_enough]


def _judge(
    verifier: Verifier, utterances: Sequence[Utterance], time_is_up: Callable[[], bool]
) -> list[Score]:
    if not utterances:
        return []
    try:
        with isolated():
            scores = list(verifier.score([_copy(utterance) for utterance in utterances]))
        if len(scores) != len(utterances):
            raise LlasaSearchError(f"returned {len(scores)} scores for {len(utterances)} utterances")
    except (Exception, SystemExit) as error:
        failed = Score(math.nan, format_error(error), "failed")
        if len(utterances) == 1:
            return [_unjudged(verifier, utterances[0], failed)]
        return [
            failed if time_is_up() else _judge(verifier, [utterance], time_is_up)[0]
            for utterance in utterances
        ]
    return [_checked(each) for each in scores]


def _unjudged(verifier: Verifier, utterance: Utterance, failed: Score) -> Score:
    """What has failed on finished speech below the verifier's minimum was too short for it."""
    if utterance.seconds >= verifier.min_seconds:
        return failed
    short = f"{utterance.seconds:.2f} s is too short for {verifier}"
    return Score(math.nan, f"{short} ({failed.detail})", "abstained")


def _checked(given: object) -> Score:
    """The score itself where it is sound, else a failed one that says why."""
    try:
        return _sound(given)
    except Exception as error:  # of a value or a detail that cannot be read
        return Score(math.nan, f"returned {short_repr(given)}: {format_error(error)}", "failed")


def _sound(given: object) -> Score:
    if not isinstance(given, Score):
        return Score(math.nan, f"returned {short_repr(given)}, which is not a Score", "failed")
    if isinstance(given.status, str) and given.status in ("failed", "abstained"):
        return Score(math.nan, str(given.detail), given.status)
    if given.status != "scored":
        return Score(math.nan, f"returned the status {short_repr(given.status)}", "failed")
    try:
        value = math.nan if isinstance(given.value, str | bytes) else float(given.value)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        return Score(math.nan, f"returned the value {short_repr(given.value)}", "failed")
    return Score(value, str(given.detail))


def _copy(utterance: Utterance) -> Utterance:
    """The utterance with arrays of its own, not to be written: torch would write through a shared view."""
    voice = copy(utterance.voice)
    if voice is not None:
        voice.audio = _sealed(voice.audio)
        voice.resynthesis = None if voice.resynthesis is None else _sealed(voice.resynthesis)
    return dataclasses.replace(
        utterance,
        voice=voice,
        audio=_sealed(utterance.audio),
        codes=None if utterance.codes is None else _sealed(utterance.codes),
        logprobs=None if utterance.logprobs is None else _sealed(utterance.logprobs),
    )


def _sealed(array: NDArray[_Number]) -> NDArray[_Number]:
    copy = array.copy()
    copy.flags.writeable = False
    return copy

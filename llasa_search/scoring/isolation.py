"""Isolates third-party code, so that it changes neither the process, nor other threads, nor other scores."""

from __future__ import annotations

import dataclasses
import logging
import math
import random
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from llasa_search.candidate import Score, Utterance
from llasa_search.checkpoints.locks import third_party_lock
from llasa_search.errors import LlasaSearchError, format_error, short_repr
from llasa_search.verifiers.base import Verifier

_Number = TypeVar("_Number", bound=np.generic)


@contextmanager
def isolated() -> Iterator[None]:
    """Runs third-party code in one thread at a time, and restores what it changes in the process.

    That is: random states, standard streams, warning filters, handlers and level of the root logger, numpy's error
    handling, and torch's number of threads, default dtype and gradient mode. (funasr reseeds, sets the threads and
    silences all warnings.) So no plug-in changes a later draw or a later call, in a search, in another thread or in
    the caller's program.
    """
    with third_party_lock:
        import torch

        restore = [_restore_random(), _restore_torch(), _restore_logging(), _restore_streams()]
        try:
            with np.errstate(), torch.set_grad_enabled(torch.is_grad_enabled()):
                yield
        finally:
            for each in restore:
                each()


def _restore_random() -> Callable[[], None]:
    import torch

    python, numpy, state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cuda = torch.cuda.get_rng_state_all() if used else None

    def restore() -> None:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(state)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)

    return restore


def _restore_torch() -> Callable[[], None]:
    import torch

    # The number of threads is each thread's own, but new threads begin with the one that was set last.
    threads, kind = torch.get_num_threads(), torch.get_default_dtype()

    def restore() -> None:
        torch.set_num_threads(threads)
        torch.set_default_dtype(kind)

    return restore


def _restore_logging() -> Callable[[], None]:
    """Restores warning filters too, without `catch_warnings`, which makes Python repeat all earlier warnings."""
    handlers, level = logging.root.handlers[:], logging.root.level
    filters, content, show = warnings.filters, warnings.filters[:], warnings.showwarning

    def restore() -> None:
        if logging.root.handlers != handlers:
            logging.root.handlers[:] = handlers
        if logging.root.level != level:
            logging.root.setLevel(level)
        if warnings.filters is not filters or filters != content:
            filters[:] = content  # type: ignore[index]
            warnings.filters = filters
        warnings.showwarning = show

    return restore


def _restore_streams() -> Callable[[], None]:
    streams = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}

    def restore() -> None:
        for name, stream in streams.items():
            # Another thread that redirected a stream before this block may have ended that in the meantime.
            if getattr(sys, name) is not getattr(sys, f"__{name}__"):
                setattr(sys, name, stream)

    return restore


def safe_scores(
    verifier: Verifier, utterances: Sequence[Utterance], out_of_time: Callable[[], bool] = lambda: False
) -> list[Score]:
    """Returns one valid score for each utterance, also if the verifier misbehaves.

    The verifier gets read-only copies. A batch that fails as a whole is scored again one by one, so that one
    bad utterance fails alone; once `out_of_time`, the rest fails as the batch did. Unfinished speech shorter
    than the verifier's minimum is not scored: the verifier abstains.
    """
    long_enough = [each.final or each.seconds >= verifier.min_seconds for each in utterances]
    batch = [utterance for utterance, enough in zip(utterances, long_enough, strict=True) if enough]
    scores = iter(_score(verifier, batch, out_of_time))
    too_short = Score(math.nan, f"unfinished and shorter than {verifier.min_seconds:g} s", "abstained")
    return [next(scores) if enough else too_short for enough in long_enough]


def _score(verifier: Verifier, batch: Sequence[Utterance], out_of_time: Callable[[], bool]) -> list[Score]:
    if not batch:
        return []
    try:
        with isolated():
            scores = list(verifier.score([_copy(utterance) for utterance in batch]))
        if len(scores) != len(batch):
            raise LlasaSearchError(f"returned {len(scores)} scores for {len(batch)} utterances")
    except Exception as error:
        failed = Score(math.nan, format_error(error), "failed")
        if len(batch) == 1:
            return [_failed_or_abstained(verifier, batch[0], failed)]
        return [
            failed if out_of_time() else _score(verifier, [utterance], out_of_time)[0] for utterance in batch
        ]
    return [_valid(each) for each in scores]


def _failed_or_abstained(verifier: Verifier, utterance: Utterance, failed: Score) -> Score:
    """Returns the failed score, or an abstention for finished speech below the verifier's minimum."""
    if utterance.seconds >= verifier.min_seconds:
        return failed
    short = f"{utterance.seconds:.2f} s is too short for {verifier}"
    return Score(math.nan, f"{short} ({failed.detail})", "abstained")


def _valid(given: object) -> Score:
    """Returns the score if it is valid, or else a failed one with the reason."""
    if not isinstance(given, Score):
        return Score(math.nan, f"returned {short_repr(given)}, which is not a Score", "failed")
    if given.status in ("failed", "abstained"):
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
    """Returns the utterance with read-only copies of its arrays, because torch would write through a view."""
    voice = copy(utterance.voice)
    if voice is not None:
        voice.audio = _read_only(voice.audio)
        voice.resynthesis = None if voice.resynthesis is None else _read_only(voice.resynthesis)
    return dataclasses.replace(
        utterance,
        voice=voice,
        audio=_read_only(utterance.audio),
        codes=None if utterance.codes is None else _read_only(utterance.codes),
        logprobs=None if utterance.logprobs is None else _read_only(utterance.logprobs),
    )


def _read_only(array: NDArray[_Number]) -> NDArray[_Number]:
    copy = array.copy()
    copy.flags.writeable = False
    return copy

"""How a strategy gets scores: batches of candidates through verifiers that are not trusted to behave."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from llasa_search.budget import Account
from llasa_search.candidate import Audio, Candidate, FloatArray, Score, Utterance
from llasa_search.errors import LlasaSearchError, ModelError
from llasa_search.isolation import isolated
from llasa_search.reward import Condition, Reward
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt

BATCH = 16


class Scorer:
    """Scores candidates by a reward's verifiers, each utterance once, within the budget.

    Scores are kept in `Candidate.scores`. A verifier that raises, or returns too few scores or what is no
    number, fails the candidate that it failed on and no other. When the time of the budget is spent, what
    has not been scored is skipped, but for one candidate if none has been.

    Args:
        reward: what the search aims at.
        prompt: gives the language and the voice.
        account: the budget and the ledger.
        audio: decodes candidates to speech, float32 mono [samples] each.
        sample_rate: of that speech, in Hz.
    """

    def __init__(
        self,
        reward: Reward,
        prompt: Prompt,
        account: Account,
        audio: Callable[[Sequence[Candidate]], Sequence[Audio]],
        sample_rate: int,
    ) -> None:
        self.reward = reward
        self.stopped = False
        self._prompt = prompt
        self._account = account
        self._audio = audio
        self._sample_rate = sample_rate
        self._cache: dict[tuple[str, bytes], Score] = {}

    def final(self, candidates: Sequence[Candidate]) -> FloatArray:
        """Final rewards [candidates], also kept in `Candidate.reward`; NaN where unknown."""
        self._score(candidates, self.reward.verifiers)
        known = rewards(self.reward, candidates)
        for candidate, reward in zip(candidates, known, strict=True):
            candidate.reward = float(reward)
        return known

    def holds(self, condition: Condition, candidates: Sequence[Candidate]) -> NDArray[np.bool_]:
        """Whether each finished candidate meets `condition`; where its verifier failed, it does not."""
        self._score(candidates, (condition.verifier,))
        return condition.holds(_values(condition.verifier, candidates))

    def _score(self, candidates: Sequence[Candidate], verifiers: Sequence[Verifier]) -> None:
        names = [str(verifier) for verifier in verifiers]
        waiting = [candidate for candidate in candidates if not candidate.scores.keys() >= set(names)]
        while waiting:
            size = BATCH
            if self.stopped or self._time_is_up():
                size = 0 if any(_is_scored(candidate, names) for candidate in candidates) else 1
            batch, waiting = waiting[:size], waiting[size:]
            if not batch:
                break
            start = time.perf_counter()
            for verifier in sorted(verifiers, key=lambda verifier: verifier.cost):
                if unheard := [c for c in batch if str(verifier) not in c.scores]:
                    self._apply(verifier, unheard)
            self._account.reserve.verifier_seconds = (time.perf_counter() - start) / len(batch)
        for candidate in waiting:
            for name in names:
                candidate.scores.setdefault(name, Score(math.nan, "the budget was spent", "skipped"))

    def _time_is_up(self) -> bool:
        for limit, left in self._account.left().items():
            if limit.endswith("seconds") and left <= 0:
                self._account.stopped_by = self._account.stopped_by or limit
                return True
        return False

    def _apply(self, verifier: Verifier, batch: Sequence[Candidate]) -> None:
        """Scores a batch by one verifier, from the cache where the same speech has been heard."""
        name = str(verifier)
        utterances = self._utterances(batch)
        keys = [(name, _digest(utterance)) for utterance in utterances]
        new = {key: i for i, key in enumerate(keys) if key not in self._cache}
        heard = [utterances[i] for i in new.values()]
        start = time.perf_counter()
        with self._account.ledger.stage("verify"):
            self._cache.update(zip(new, score(verifier, heard), strict=True))
        ledger = self._account.ledger
        ledger.verifier_calls[name] = ledger.verifier_calls.get(name, 0) + len(heard)
        spent = time.perf_counter() - start
        ledger.verifier_seconds[name] = ledger.verifier_seconds.get(name, 0.0) + spent
        for candidate, key in zip(batch, keys, strict=True):
            candidate.scores[name] = self._cache[key]

    def _utterances(self, batch: Sequence[Candidate]) -> list[Utterance]:
        return [
            Utterance(
                text=candidate.text,
                language=self._prompt.language,
                audio=audio,
                sample_rate=self._sample_rate,
                codes=candidate.codes if len(candidate.codes) else None,
                voice=self._prompt.voice,
                logprobs=candidate.logprobs if len(candidate.logprobs) else None,
            )
            for candidate, audio in zip(batch, self._audio(batch), strict=True)
        ]


def load_verifiers(verifiers: Sequence[Verifier]) -> None:
    """Loads the verifiers' models.

    Raises:
        LlasaSearchError: what a verifier says itself, or a `ModelError` in place of any other exception.
    """
    for verifier in verifiers:
        with _trying(f"{verifier} cannot be loaded"):
            verifier.load()


def check_verifiers(verifiers: Sequence[Verifier], prompt: Prompt) -> None:
    """Lets loaded verifiers refuse a prompt before anything is sampled.

    Raises:
        LlasaSearchError: what a verifier says itself, or a `ModelError` in place of any other exception.
    """
    for verifier in verifiers:
        with _trying(f"{verifier} cannot check the prompt"):
            verifier.check(prompt)


@contextmanager
def _trying(what_failed: str) -> Iterator[None]:
    try:
        with isolated():
            yield
    except LlasaSearchError:
        raise
    except Exception as error:
        raise ModelError(f"{what_failed}: {type(error).__name__}: {error}") from error


def decoded(candidates: Sequence[Candidate]) -> list[Audio]:
    """The speech of candidates that have it already, for a `Scorer` without a sampler."""
    return [candidate.audio for candidate in candidates if candidate.audio is not None]


def rewards(reward: Reward, candidates: Sequence[Candidate]) -> FloatArray:
    """Rewards [candidates] from the scores that the candidates already have; NaN where one is missing."""
    return reward(
        {str(verifier): verifier.utility(_values(verifier, candidates)) for verifier in reward.verifiers}
    )


def score(verifier: Verifier, utterances: Sequence[Utterance]) -> list[Score]:
    """One valid score for each utterance, whatever the verifier does.

    A batch that fails as a whole is tried again one by one, so that one bad utterance fails alone.
    """
    long_enough = [utterance for utterance in utterances if utterance.seconds >= verifier.min_seconds]
    judged = iter(_judge(verifier, long_enough))
    too_short = Score(math.nan, f"shorter than {verifier.min_seconds:g} s", "abstained")
    return [
        next(judged) if utterance.seconds >= verifier.min_seconds else too_short for utterance in utterances
    ]


def _judge(verifier: Verifier, utterances: Sequence[Utterance]) -> list[Score]:
    if not utterances:
        return []
    try:
        with isolated():
            scores = list(verifier.score([_copy(utterance) for utterance in utterances]))
        if len(scores) != len(utterances):
            raise LlasaSearchError(f"returned {len(scores)} scores for {len(utterances)} utterances")
    except Exception as error:
        if len(utterances) > 1:
            return [each for utterance in utterances for each in _judge(verifier, [utterance])]
        return [Score(math.nan, f"{type(error).__name__}: {error}", "failed")]
    return [_checked(each) for each in scores]


def _checked(given: object) -> Score:
    """The score itself where it is sound, else a failed one that says why."""
    if not isinstance(given, Score):
        return Score(math.nan, f"returned {given!r:.80}, which is not a Score", "failed")
    if given.status != "scored":
        return dataclasses.replace(given, value=math.nan)
    try:
        value = float(given.value)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        return Score(math.nan, f"returned the value {given.value!r:.80}", "failed")
    return dataclasses.replace(given, value=value)


def _copy(utterance: Utterance) -> Utterance:
    """The utterance with audio of its own that cannot be written: torch would write through a shared view."""
    audio = utterance.audio.copy()
    audio.flags.writeable = False
    return dataclasses.replace(utterance, audio=audio)


def _digest(utterance: Utterance) -> bytes:
    """Equal for utterances that no verifier can tell apart within one search."""
    digest = hashlib.blake2b(f"{utterance.text}\0{utterance.sample_rate}\0{utterance.final}\0".encode())
    for array in (utterance.audio, utterance.codes, utterance.logprobs):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.digest()


def _is_scored(candidate: Candidate, names: Sequence[str]) -> bool:
    return all(name in candidate.scores and candidate.scores[name].status == "scored" for name in names)


def _values(verifier: Verifier, candidates: Sequence[Candidate]) -> FloatArray:
    name, missing = str(verifier), Score(math.nan, status="skipped")
    return np.array([candidate.scores.get(name, missing).value for candidate in candidates], np.float64)

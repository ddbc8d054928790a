"""Scoring for strategies: `Scorer` scores candidates and unfinished rows by a reward, within the budget."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio, FloatArray
from llasa_search.budget import BudgetSpent, BudgetTracker
from llasa_search.candidate import Candidate, Score, Utterance
from llasa_search.checkpoints.locks import third_party_lock
from llasa_search.generation.trace import Trace
from llasa_search.reward.base import Condition, Reward
from llasa_search.scoring.cascade import by_cost, flops_of, is_scored, score_contenders
from llasa_search.scoring.isolation import safe_scores
from llasa_search.scoring.partial import cropped_for, partial_reward, window_seconds
from llasa_search.scoring.rewards import combined, rewards, scores_of, values
from llasa_search.scoring.score_all import BATCH, score_all, unscored
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt

if TYPE_CHECKING:
    from llasa_search.generation.rows import Rows


class Scorer:
    """Scores candidates by a reward's verifiers, each utterance once, within the budget.

    Scores are stored in `Candidate.scores`. An utterance that a verifier cannot score fails alone (`safe_scores`).
    When the budget's time is spent, unscored candidates are skipped, except one if none has been scored.

    With the cascade, the cheapest verifier scores every candidate, and the others only those that can still
    be the best (`score_contenders`). The choice is the same as when everything is scored; skipped candidates have no
    reward. Rewards that compare candidates have no bound and need every score.

    Args:
        reward: what the search maximises.
        prompt: gives the language and the voice.
        tracker: the budget and the ledger.
        audio: decodes candidates, to float32 mono [samples] each.
        sample_rate: of that audio, in Hz.
        cascade: skip verifiers for candidates that cannot become the best.
        trace: records partial scores; needed for unfinished speech only.
        on_scored: called after a verifier has scored a batch.
        failures: verifiers of weight 0 that could not be loaded, or refused the prompt, and why (`failing`).

    Attributes:
        stopped: whether `stop` was called.
    """

    def __init__(
        self,
        reward: Reward,
        prompt: Prompt,
        tracker: BudgetTracker,
        audio: Callable[[Sequence[Candidate]], Sequence[Audio]],
        sample_rate: int,
        *,
        cascade: bool = False,
        trace: Trace | None = None,
        on_scored: Callable[[], None] = lambda: None,
        failures: Mapping[str, str] | None = None,
    ) -> None:
        self.reward = reward
        self.stopped = False
        self._prompt = prompt
        self._tracker = tracker
        self._audio = audio
        self._sample_rate = sample_rate
        self._cascade = cascade and reward.pointwise
        self._trace = trace
        self._on_scored = on_scored
        self._failures = failures or {}
        self._cost_seconds: dict[str, float] = {}
        self._cache: dict[tuple[str, bytes], Score] = {}

    def stop(self) -> None:
        """Ends scoring: nothing more is scored from now on."""
        self.stopped = True

    def final(self, candidates: Sequence[Candidate], best: int = 1) -> FloatArray:
        """Returns final rewards [candidates], also kept in `Candidate.reward`; NaN where unknown.

        Args:
            candidates: finished.
            best: with the cascade, how many of the best are scored in full.
        """
        if self._cascade:
            self._score_cascade(candidates, best)
            self._score(candidates, self.reward.reporting)
        else:
            self._score(candidates, self.reward.verifiers)
        known = rewards(self.reward, candidates)
        for candidate, reward in zip(candidates, known, strict=True):
            candidate.reward = float(reward)
        return known

    def waiting(self, candidates: Sequence[Candidate]) -> int:
        """Returns how many candidates the reward's verifiers have not scored yet."""
        return sum(bool(unscored(self.reward.required, candidate)) for candidate in candidates)

    def holds(self, condition: Condition, candidates: Sequence[Candidate]) -> NDArray[np.bool_]:
        """Returns whether each finished candidate meets `condition`; False where its verifier failed."""
        self._score(candidates, (condition.verifier,))
        return condition.holds(values(condition.verifier, scores_of(candidates)))

    def partial(self, rows: Rows, reward: Reward | None = None) -> FloatArray:
        """Returns rewards [rows] of unfinished speech; they compare these rows only. The rows are not used up.

        NaN where unknown: the speech is too short for a verifier (then none runs), or a limit of the budget
        is reached. No row should be pruned while any reward is NaN. -inf where a verifier failed: that row ranks
        last.

        Args:
            rows: live.
            reward: compares them; None for the part of the search's reward that can score unfinished speech.

        Raises:
            InputError: a verifier cannot score unfinished speech.
        """
        reward = partial_reward(reward, self.reward)
        scores = self._partial_scores(rows, reward.required)
        known = combined(reward, scores)
        failed = [any(each.status == "failed" for each in found.values()) for found in scores]
        known = np.where(failed, -np.inf, known)
        if self._trace is not None:
            self._trace.check(rows.index.tolist(), rows.length, known, scores)
        return known

    def _partial_scores(self, rows: Rows, verifiers: Sequence[Verifier]) -> list[dict[str, Score]]:
        """Returns the scores of each row, by printed verifier; skipped scores are left out."""
        scores: list[dict[str, Score]] = [{} for _ in range(len(rows))]
        if rows.seconds < max(verifier.min_seconds for verifier in verifiers):
            return scores
        utterances = list[Utterance]()
        for verifier, start in product(verifiers, range(0, len(rows), BATCH)):
            if self.stopped or self._tracker.reached(0, *rows.need) is not None:
                break
            utterances = utterances or rows.utterances(window_seconds(verifiers))
            part = slice(start, start + BATCH)
            batch = [cropped_for(verifier, each) for each in utterances[part]]
            for found, score in zip(scores[part], self._score_batch(verifier, batch), strict=True):
                if score.status != "skipped":
                    found[str(verifier)] = score
        return scores

    def _score(self, candidates: Sequence[Candidate], verifiers: Sequence[Verifier]) -> None:
        """Scores all candidates, batch by batch, until the time is spent."""
        waiting = [candidate for candidate in candidates if unscored(verifiers, candidate)]
        while waiting:
            size = self._batch_size(waiting)
            if self._out_of_time():
                size = 0 if any(is_scored(candidate, verifiers) for candidate in candidates) else 1
            batch, waiting = waiting[:size], waiting[size:]
            if not batch:
                break
            self._score_now(batch, verifiers)
        skip(candidates, verifiers, self._why_skipped)

    def _batch_size(self, candidates: Sequence[Candidate]) -> int:
        """Returns how many candidates one call of the codec may decode, at most `BATCH`."""
        longest = max(1, *(len(candidate.codes) for candidate in candidates))
        return max(1, self._tracker.call_size("codec", BATCH * longest) // longest)

    def _score_cascade(self, candidates: Sequence[Candidate], best: int) -> None:
        """Scores the candidates that can still be the best by the required verifiers."""
        required = by_cost(self.reward.required)
        self._score(candidates, required[:1])
        late = score_contenders(self.reward, candidates, best, self._score_now, self._out_of_time)
        late_ids = {candidate.index for candidate in late}
        beaten = [candidate for candidate in candidates if candidate.index not in late_ids]
        skipped = self._tracker.ledger.verifier_skipped
        for verifier in required:
            if count := sum(str(verifier) not in candidate.scores for candidate in beaten):
                skipped[str(verifier)] = skipped.get(str(verifier), 0) + count
        skip(late, required, self._why_skipped)
        skip(beaten, required, "cannot become the best candidate")

    def _score_now(self, batch: Sequence[Candidate], verifiers: Sequence[Verifier]) -> None:
        for verifier in verifiers:
            if any(unscored([verifier], candidate) for candidate in batch):
                with suppress(BudgetSpent):  # while decoding; what is not scored is skipped
                    score_all([verifier], batch, self._utterances, self._score_batch)
                self._on_scored()

    @property
    def _why_skipped(self) -> str:
        return "interrupted" if self.stopped else "the budget was spent"

    def _out_of_time(self) -> bool:
        return self.stopped or self._tracker.out_of_time()

    def _score_batch(self, verifier: Verifier, utterances: Sequence[Utterance]) -> list[Score]:
        """Returns one score for each utterance; speech that was scored before is not scored again.

        Once the wall limit has passed, the rest is skipped.
        """
        name = str(verifier)
        if name in self._failures:
            return [Score(math.nan, self._failures[name], "failed")] * len(utterances)
        keys = [(name, _digest(utterance)) for utterance in utterances]
        new = {key: utterances[i] for i, key in enumerate(keys) if key not in self._cache}
        waiting = list(new.items())
        while waiting:
            with third_party_lock:  # taken first: waiting for another thread is not counted
                if self._tracker.overdue():
                    break
                size = self._tracker.call_size(name, len(waiting))
                part, waiting = dict(waiting[:size]), waiting[size:]
                self._cache.update(zip(part, self._call(verifier, list(part.values())), strict=True))
        skipped = Score(math.nan, self._why_skipped, "skipped")
        return [self._cache.get(key, skipped) for key in keys]

    def _call(self, verifier: Verifier, batch: Sequence[Utterance]) -> list[Score]:
        """Calls a verifier once, and counts the cost."""
        name, ledger = str(verifier), self._tracker.ledger
        start = time.perf_counter()
        with ledger.stage("verify"), self._tracker.call(name, len(batch)):
            scores = safe_scores(verifier, batch, self._out_of_time)
        spent = time.perf_counter() - start
        ledger.verifier_calls[name] = ledger.verifier_calls.get(name, 0) + len(batch)
        ledger.verifier_seconds[name] = ledger.verifier_seconds.get(name, 0.0) + spent
        ledger.add_flops("verifiers", sum(flops_of(verifier, each.seconds) for each in batch))
        self._cost_seconds[name] = spent / len(batch)
        costs = [self._cost_seconds.get(str(each), 0.0) for each in self.reward.verifiers]
        self._tracker.reserve.verifier_seconds = sum(costs)
        return scores

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


def decoded(candidates: Sequence[Candidate]) -> list[Audio]:
    """Returns the audio of candidates that are decoded already, for a `Scorer` without a sampler."""
    return [candidate.audio for candidate in candidates if candidate.audio is not None]


def skip(candidates: Sequence[Candidate], verifiers: Sequence[Verifier], why: str) -> None:
    """Marks candidates as skipped by those of `verifiers` that have not scored them."""
    for candidate in candidates:
        for verifier in unscored(verifiers, candidate):
            candidate.scores[str(verifier)] = Score(math.nan, why, "skipped")


def _digest(utterance: Utterance) -> bytes:
    """Returns a digest that is equal for utterances that are the same to every verifier of a search."""
    digest = hashlib.blake2b(f"{utterance.text}\0{utterance.sample_rate}\0{utterance.final}\0".encode())
    for array in (utterance.audio, utterance.codes, utterance.logprobs):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.digest()

"""How a strategy gets scores: batches of candidates through verifiers that are not trusted to behave."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio, FloatArray
from llasa_search.budget import BudgetTracker
from llasa_search.candidate import Candidate, Score, Utterance
from llasa_search.reward.base import Condition, Reward, ranking
from llasa_search.scoring.isolation import safe_scores
from llasa_search.scoring.partial import able_verifiers, cropped_for, unfinished
from llasa_search.scoring.rewards import combined, rewards, scores_of, values
from llasa_search.scoring.score_all import BATCH, unscored
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt

if TYPE_CHECKING:
    from llasa_search.generation.rows import Rows

FIRST_BATCH = 2  # of the cascade: small, so that there soon is a reward to beat
TYPICAL_SECONDS = 3.0  # of an utterance
OPERATIONS_A_SECOND = 3e10
"""About what a CPU core does of the built-in verifiers' models, measured: from 2 to 5 of these."""


class Scorer:
    """Scores candidates by a reward's verifiers, each utterance once, within the budget.

    Scores are kept in `Candidate.scores`. A verifier that raises, or returns too few scores or what is no
    number, fails the candidate that it failed on and no other. When the time of the budget is spent, what
    has not been scored is skipped, but for one candidate if none has been.

    With the cascade, every candidate hears the cheapest verifier. Then the most promising ones hear the
    others, cheapest first, until nobody left can win: the reward with unknown utilities at 1 bounds what a
    candidate can reach. The choice is that of scoring everything; those that were skipped have no reward.
    Rewards that compare candidates have no such bound, and need every score.

    Attributes:
        heard: called whenever a verifier has scored some candidates.
        stopped: set, nothing more is heard.

    Args:
        reward: what the search aims at.
        prompt: gives the language and the voice.
        tracker: the budget and the ledger.
        audio: decodes candidates to speech, float32 mono [samples] each.
        sample_rate: of that speech, in Hz.
        cascade: skip verifiers for candidates that can no longer win.
    """

    def __init__(
        self,
        reward: Reward,
        prompt: Prompt,
        tracker: BudgetTracker,
        audio: Callable[[Sequence[Candidate]], Sequence[Audio]],
        sample_rate: int,
        cascade: bool = False,
    ) -> None:
        self.reward = reward
        self.stopped = False
        self.heard: Callable[[], None] = lambda: None
        self._prompt = prompt
        self._tracker = tracker
        self._audio = audio
        self._sample_rate = sample_rate
        self._cascade = cascade and reward.pointwise
        self._prices: dict[str, float] = {}
        self._cache: dict[tuple[str, bytes], Score] = {}

    def final(self, candidates: Sequence[Candidate], best: int = 1) -> FloatArray:
        """Final rewards [candidates], also kept in `Candidate.reward`; NaN where unknown.

        Args:
            candidates: finished.
            best: with the cascade, how many of the best are sure to be scored in full.
        """
        if self._cascade:
            self._score_contenders(candidates, best)
            required = {str(verifier) for verifier in self.reward.required}
            self._score(candidates, [v for v in self.reward.verifiers if str(v) not in required])
        else:
            self._score(candidates, self.reward.verifiers)
        known = rewards(self.reward, candidates)
        for candidate, reward in zip(candidates, known, strict=True):
            candidate.reward = float(reward)
        return known

    def waiting(self, candidates: Sequence[Candidate]) -> int:
        """How many of these the reward's verifiers have yet to hear."""
        return sum(bool(unscored(self.reward.required, candidate)) for candidate in candidates)

    def holds(self, condition: Condition, candidates: Sequence[Candidate]) -> NDArray[np.bool_]:
        """Whether each finished candidate meets `condition`; where its verifier failed, it does not."""
        self._score(candidates, (condition.verifier,))
        return condition.holds(values(condition.verifier, scores_of(candidates)))

    def partial(self, rows: Rows, reward: Reward) -> FloatArray:
        """Rewards [rows] of unfinished speech, which compare these rows alone; the rows are not used up.

        NaN where unknown, because the speech is too short for a verifier (then none is asked) or because a
        limit of the budget is reached: no row is to be cut while any is unknown. -inf where a verifier
        failed: that row comes last.

        Args:
            rows: live.
            reward: by what they are compared; see `llasa_search.scoring.partial.partial_reward`.

        Raises:
            InputError: a verifier of `reward` cannot judge unfinished speech.
        """
        scores = self._unfinished_scores(rows, able_verifiers(reward))
        known = combined(reward, scores)
        failed = [any(each.status == "failed" for each in found.values()) for found in scores]
        known = np.where(failed, -np.inf, known)
        rows.sampler.trace.check(rows.index.tolist(), rows.length, known, scores)
        return known

    def _unfinished_scores(self, rows: Rows, verifiers: Sequence[Verifier]) -> list[dict[str, Score]]:
        """Scores of each row, by printed verifier; none of what is skipped."""
        scores: list[dict[str, Score]] = [{} for _ in range(len(rows))]
        if rows.seconds < max(verifier.min_seconds for verifier in verifiers):
            return scores
        remaining = rows.sampler.remaining(rows.length)
        utterances = list[Utterance]()
        for verifier, start in product(verifiers, range(0, len(rows), BATCH)):
            if self.stopped or self._tracker.reached(0, *remaining) is not None:
                break
            utterances = utterances or unfinished(rows, verifiers)
            part = slice(start, start + BATCH)
            verdicts = self._verdicts(verifier, [cropped_for(verifier, each) for each in utterances[part]])
            for found, verdict in zip(scores[part], verdicts, strict=True):
                found[str(verifier)] = verdict
        return scores

    def _score(self, candidates: Sequence[Candidate], verifiers: Sequence[Verifier]) -> None:
        """Scores all, a batch at a time."""
        waiting = [candidate for candidate in candidates if unscored(verifiers, candidate)]
        while waiting:
            size = BATCH
            if self._time_is_up():
                size = 0 if any(_is_scored(candidate, verifiers) for candidate in candidates) else 1
            batch, waiting = waiting[:size], waiting[size:]
            if not batch:
                break
            self._hear(batch, verifiers)
        skip(waiting, verifiers, self._why_unheard)

    def _score_contenders(self, candidates: Sequence[Candidate], best: int) -> None:
        """Scores by the required verifiers what can still win, the most promising first."""
        required = sorted(self.reward.required, key=_price)
        self._score(candidates, required[:1])
        size = FIRST_BATCH
        while contenders := self._contenders(candidates, best):
            if not self._time_is_up():
                cheapest = _next(required, contenders[0])
                batch = [candidate for candidate in contenders if _next(required, candidate) is cheapest]
                self._hear(batch[:size], [cheapest])
                size = min(2 * size, BATCH)
            elif not any(_is_scored(candidate, required) for candidate in candidates):
                self._hear(contenders[:1], required)
            else:
                break
        late = set(map(id, contenders))
        beaten = [candidate for candidate in candidates if id(candidate) not in late]
        for verifier in required:
            if count := sum(str(verifier) not in candidate.scores for candidate in beaten):
                skipped = self._tracker.ledger.verifier_skipped
                skipped[str(verifier)] = skipped.get(str(verifier), 0) + count
        skip(contenders, required, self._why_unheard)
        skip(beaten, required, "could no longer win")

    def _contenders(self, candidates: Sequence[Candidate], best: int) -> list[Candidate]:
        """Candidates not fully scored that may still be among the best, from the highest bound down."""
        by_index = sorted(candidates, key=lambda candidate: candidate.index)
        bounds = rewards(self.reward, by_index, bound=True)
        contenders, known = list[Candidate](), 0
        for i in ranking(bounds):
            # What comes after those that are fully scored is bounded by their rewards, and loses a tie.
            if math.isnan(bounds[i]) or known == best:
                break
            if unscored(self.reward.required, by_index[i]):
                contenders.append(by_index[i])
            else:
                known += 1
        return contenders

    def _hear(self, batch: Sequence[Candidate], verifiers: Sequence[Verifier]) -> None:
        for verifier in verifiers:
            if waiting := [candidate for candidate in batch if unscored([verifier], candidate)]:
                verdicts = self._verdicts(verifier, self._utterances(waiting))
                for candidate, verdict in zip(waiting, verdicts, strict=True):
                    candidate.scores[str(verifier)] = verdict
                self.heard()

    @property
    def _why_unheard(self) -> str:
        return "interrupted" if self.stopped else "the budget was spent"

    def _time_is_up(self) -> bool:
        if self.stopped:
            return True
        for limit, left in self._tracker.left().items():
            if limit.endswith("seconds") and left <= 0:
                self._tracker.stopped_by = self._tracker.stopped_by or limit
                return True
        return False

    def _verdicts(self, verifier: Verifier, utterances: Sequence[Utterance]) -> list[Score]:
        """One score for each utterance, from the cache where the same speech has been heard."""
        name = str(verifier)
        keys = [(name, _digest(utterance)) for utterance in utterances]
        new = {key: i for i, key in enumerate(keys) if key not in self._cache}
        heard = [utterances[i] for i in new.values()]
        start = time.perf_counter()
        with self._tracker.ledger.stage("verify"):
            self._cache.update(zip(new, safe_scores(verifier, heard, self._time_is_up), strict=True))
        ledger = self._tracker.ledger
        ledger.verifier_calls[name] = ledger.verifier_calls.get(name, 0) + len(heard)
        spent = time.perf_counter() - start
        ledger.verifier_seconds[name] = ledger.verifier_seconds.get(name, 0.0) + spent
        ledger.add_flops("verifiers", sum(_operations(verifier, each.seconds) for each in heard))
        if heard:
            self._prices[name] = spent / len(heard)
            prices = [self._prices.get(str(each), 0.0) for each in self.reward.verifiers]
            self._tracker.reserve.verifier_seconds = sum(prices)
        return [self._cache[key] for key in keys]

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
    """The speech of candidates that have it already, for a `Scorer` without a sampler."""
    return [candidate.audio for candidate in candidates if candidate.audio is not None]


def _digest(utterance: Utterance) -> bytes:
    """Equal for utterances that no verifier can tell apart within one search."""
    digest = hashlib.blake2b(f"{utterance.text}\0{utterance.sample_rate}\0{utterance.final}\0".encode())
    for array in (utterance.audio, utterance.codes, utterance.logprobs):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.digest()


def _operations(verifier: Verifier, seconds: float) -> float:
    try:
        return float(verifier.flops(seconds))
    except (Exception, SystemExit):  # anyone's code; what it does not know is no reason to lose a search
        return math.nan


def _price(verifier: Verifier) -> float:
    """Seconds of a CPU core for one utterance: by its operations, else as it declares."""
    operations = _operations(verifier, TYPICAL_SECONDS)
    return TYPICAL_SECONDS * verifier.cost if math.isnan(operations) else operations / OPERATIONS_A_SECOND


def _next(verifiers: Sequence[Verifier], candidate: Candidate) -> Verifier:
    return unscored(verifiers, candidate)[0]


def skip(candidates: Sequence[Candidate], verifiers: Sequence[Verifier], why: str) -> None:
    """Marks the candidates as skipped by those of `verifiers` that have not judged them."""
    for candidate in candidates:
        for verifier in unscored(verifiers, candidate):
            candidate.scores[str(verifier)] = Score(math.nan, why, "skipped")


def _is_scored(candidate: Candidate, verifiers: Sequence[Verifier]) -> bool:
    scores = [candidate.scores.get(str(verifier)) for verifier in verifiers]
    return all(score is not None and score.status == "scored" for score in scores)

"""Contract tests for anyone's verifier.

Subclass `VerifierContract` in a test file, say how the verifier is made, and run pytest::

    from llasa_search.verifiers.testing import VerifierContract

    class TestLoudness(VerifierContract):
        def make(self) -> Loudness:
            return Loudness()
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.candidate import Score, Utterance
from llasa_search.errors import InputError
from llasa_search.scoring.isolation import safe_scores
from llasa_search.verifiers.base import NEEDS, Verifier
from llasa_search.voice import Prompt, Voice

SAMPLE_RATE = 16_000


class VerifierContract:
    """What a search relies on; each test says which fault it guards.

    Attributes:
        tolerance: by how much an utterance's value may differ from one batch to another, as a share of the
            scale.
    """

    tolerance: float = 1e-3

    @abstractmethod
    def make(self) -> Verifier:
        """The verifier under test."""

    def utterances(self) -> list[Utterance]:
        """At least two that the verifier can score; override where these buzzing sounds are none."""
        voice = Voice(buzz(1.5, 110), "one two three", SAMPLE_RATE)
        return [
            Utterance(
                text="one two three",
                language="en",
                audio=gain * buzz(seconds, pitch),
                sample_rate=SAMPLE_RATE,
                codes=np.arange(int(50 * seconds), dtype=np.int32),
                voice=voice,
                logprobs=np.full(int(50 * seconds), -1.0, np.float32),
            )
            for seconds, pitch, gain in ((1.15, 120, 1.0), (2.3, 200, 0.5), (1.2, 90, 2.0))
        ]

    def test_each_utterance_is_scored_in_order(self) -> None:
        """Guards against scores that are missing, of another type, or sorted."""
        verifier, utterances = self._ready(), self.utterances()
        scores = list(verifier.score([_sealed(utterance) for utterance in utterances]))
        assert len(scores) == len(utterances), f"{len(scores)} scores for {len(utterances)} utterances"
        for each in scores:
            assert isinstance(each, Score), f"{each!r} is not a Score"
            assert each.status == "scored" and math.isfinite(each.value), f"{each}: override `utterances`?"
        backwards = list(verifier.score([_sealed(utterance) for utterance in utterances[::-1]]))
        self._same(scores, backwards[::-1], "scores depend on the order of the batch")

    def test_batch_equals_single(self) -> None:
        """Guards against padding, or a mean of the batch, that reaches the scores."""
        verifier, utterances = self._ready(), self.utterances()
        together = safe_scores(verifier, utterances)
        alone = [safe_scores(verifier, [utterance])[0] for utterance in utterances]
        self._same(together, alone, "a batch scores otherwise than its utterances alone")

    def test_same_speech_same_score(self) -> None:
        """Guards against randomness, and state that one call leaves for the next."""
        verifier, utterances = self._ready(), self.utterances()
        first = safe_scores(verifier, utterances)
        self._same(first, safe_scores(verifier, utterances), "the same speech scores otherwise the second time")
        self._same(first, safe_scores(self._ready(), utterances), "a second instance scores otherwise")

    def test_no_audio(self) -> None:
        """Guards against a crash, or a made-up number beside a sound one, for empty speech."""
        self._harmless(np.zeros(0, np.float32))

    def test_silence(self) -> None:
        """Guards against a division by no energy."""
        self._harmless(np.zeros(SAMPLE_RATE, np.float32))

    def test_not_a_number(self) -> None:
        """Guards against one broken recording that spoils its batch."""
        self._harmless(np.full(SAMPLE_RATE, np.nan, np.float32))

    def test_declared_scale(self) -> None:
        """Guards against utilities outside [0, 1], turned round, or invented for unknown values."""
        verifier = self._ready()
        worst, best = verifier.scale
        assert math.isfinite(worst) and math.isfinite(best) and worst != best, f"scale={verifier.scale}"
        margin = best - worst
        values = np.array([worst - margin, worst, (worst + best) / 2, best, best + margin, math.nan])
        utilities = verifier.utility(values)
        assert utilities.shape == values.shape, "utility gives one number for each value"
        known = utilities[:-1]
        assert math.isnan(utilities[-1]), "the utility of an unknown value (NaN) is unknown"
        assert (known >= 0).all() and (known <= 1).all(), f"utilities outside [0, 1]: {known}"
        assert utilities[3] > utilities[1], f"the best end of the scale has a lower utility: {known}"
        for value, utility in zip(values, utilities, strict=True):
            np.testing.assert_equal(verifier.utility(np.array([value]))[0], utility)

    def test_printed_form_is_its_identity(self) -> None:
        """Guards against two settings that share one name, and a stored run that cannot be ranked again."""
        verifier, again = self.make(), self.make()
        assert str(verifier) == str(again) and verifier == again and hash(verifier) == hash(again)
        assert str(verifier).startswith(type(verifier).__name__), f"{verifier} is not how it is made"

    def test_says_what_it_needs(self) -> None:
        """Guards against a search that samples speech which the verifier then cannot judge."""
        verifier, (utterance, *_) = self._ready(), self.utterances()
        unknown = verifier.needs - NEEDS
        assert not unknown, f"needs={set(unknown)}: only text, voice, codes and logprobs exist"
        without = replace(
            utterance,
            text=utterance.text if "text" in verifier.needs else "",
            voice=utterance.voice if "voice" in verifier.needs else None,
            codes=utterance.codes if "codes" in verifier.needs else None,
            logprobs=utterance.logprobs if "logprobs" in verifier.needs else None,
        )
        self._same(
            safe_scores(verifier, [utterance]), safe_scores(verifier, [without]), "reads what `needs` does not list"
        )
        if "voice" in verifier.needs:
            try:
                verifier.check(Prompt(utterance.text, utterance.language, None))
            except InputError:
                return
            raise AssertionError("needs a voice, and `check` does not refuse a prompt without one")

    def test_unfinished_speech(self) -> None:
        """Guards against `partial = True` on a verifier that fails on a prefix."""
        verifier, (utterance, *_) = self._ready(), self.utterances()
        if verifier.partial:
            window = verifier.window_seconds
            assert window is None or window >= verifier.min_seconds, "window_seconds: too short to be scored"
            seconds = max(verifier.min_seconds, 0.5)
            prefix = replace(utterance, audio=utterance.audio[: int(seconds * SAMPLE_RATE)], final=False)
            (each,) = safe_scores(verifier, [prefix])
            assert each.status == "scored", f"partial = True, and a prefix of {seconds} s got {each}"

    def _ready(self) -> Verifier:
        verifier, (utterance, *_) = self.make(), self.utterances()
        verifier.load()
        verifier.check(Prompt(utterance.text, utterance.language, utterance.voice))
        return verifier

    def _harmless(self, audio: Audio) -> None:
        """Bad speech is scored with a number or fails, and its neighbours do not notice."""
        verifier, (first, second, *_) = self._ready(), self.utterances()
        bad = replace(first, audio=audio)
        before, hit, after = safe_scores(verifier, [first, bad, second])
        self._same([before, after], safe_scores(verifier, [first, second]), "bad speech changed its neighbours")
        if hit.status == "scored":
            utility = verifier.utility(np.array([hit.value]))[0]
            assert 0 <= utility <= 1, f"bad speech got {hit}"
        else:
            assert hit.detail, "bad speech failed without a reason"

    def _same(self, scores: Sequence[Score], others: Sequence[Score], otherwise: str) -> None:
        assert [s.status for s in scores] == [s.status for s in others], f"{otherwise}: {scores}, {others}"
        worst, best = self.make().scale
        first, second = (np.array([s.value for s in each]) / abs(best - worst) for each in (scores, others))
        np.testing.assert_allclose(first, second, rtol=0, atol=self.tolerance, err_msg=otherwise)


def buzz(seconds: float, pitch: float) -> Audio:
    """A voice-like sound: ten harmonics of `pitch` Hz in syllables of a quarter of a second, float32."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    harmonics = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 11))
    return (0.1 * harmonics * np.abs(np.sin(4 * np.pi * time))).astype(np.float32)


def _sealed(utterance: Utterance) -> Utterance:
    audio = utterance.audio.copy()
    audio.flags.writeable = False
    return replace(utterance, audio=audio)

"""Contract tests for verifiers.

Subclass `VerifierContract` in a test file, return the verifier from `make`, and run pytest::

    from llasa_search.verifiers.testing import VerifierContract

    class TestLoudness(VerifierContract):
        def make(self):
            return Loudness()
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import get_args

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.candidate import Score, Span, SpanKind, Utterance
from llasa_search.errors import InputError
from llasa_search.scoring.isolation import safe_scores
from llasa_search.verifiers.base import NEEDS, Verifier
from llasa_search.voice import Prompt, Voice

SAMPLE_RATE = 16_000


class VerifierContract:
    """The properties of a verifier that a search relies on, one per test.

    Attributes:
        tolerance: how much a value may differ between two batches, as a share of the scale.
    """

    tolerance: float = 1e-3

    @abstractmethod
    def make(self) -> Verifier:
        """Returns a new instance of the verifier under test."""

    def utterances(self) -> list[Utterance]:
        """Returns at least two utterances that the verifier can score; override if it cannot score these sounds."""
        voice = Voice(buzz(1.5, 110), "one two three", SAMPLE_RATE)
        voice.resynthesis = buzz(1.5, 115)
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
        """There is one `Score` per utterance, in the order of the utterances, and none writes to its audio."""
        verifier, utterances = self._ready(), self.utterances()
        scores = list(verifier.score([_read_only(utterance) for utterance in utterances]))
        assert len(scores) == len(utterances), f"{len(scores)} scores for {len(utterances)} utterances"
        for each in scores:
            assert isinstance(each, Score), f"{each!r} is not a Score"
            assert each.status == "scored" and math.isfinite(each.value), f"{each}: override `utterances`?"
        backwards = list(verifier.score([_read_only(utterance) for utterance in utterances[::-1]]))
        self._assert_same(scores, backwards[::-1], "scores depend on the order of the batch")

    def test_batch_equals_single(self) -> None:
        """The other utterances of a batch, and the padding that they cause, do not change a score."""
        verifier, utterances = self._ready(), self.utterances()
        together = safe_scores(verifier, utterances)
        alone = [safe_scores(verifier, [utterance])[0] for utterance in utterances]
        self._assert_same(together, alone, "a batch and its utterances alone are scored differently")

    def test_same_speech_same_score(self) -> None:
        """Scores are not random and do not depend on earlier calls."""
        verifier, utterances = self._ready(), self.utterances()
        first = safe_scores(verifier, utterances)
        self._assert_same(first, safe_scores(verifier, utterances), "a second call scores differently")
        self._assert_same(
            first, safe_scores(self._ready(), utterances), "a second instance scores differently"
        )

    def test_no_audio(self) -> None:
        """Empty speech is scored or fails, and the scores of its batch stay the same."""
        self._assert_harmless(np.zeros(0, np.float32))

    def test_silence(self) -> None:
        """Silence is scored or fails, and the scores of its batch stay the same."""
        self._assert_harmless(np.zeros(SAMPLE_RATE, np.float32))

    def test_not_a_number(self) -> None:
        """Audio of NaN is scored or fails, and the scores of its batch stay the same."""
        self._assert_harmless(np.full(SAMPLE_RATE, np.nan, np.float32))

    def test_declared_scale(self) -> None:
        """Utilities lie in [0, 1], rise towards the best end of the scale, and are NaN for NaN."""
        verifier = self._ready()
        worst, best = verifier.scale
        assert math.isfinite(worst) and math.isfinite(best) and worst != best, f"scale={verifier.scale}"
        margin = best - worst
        values = np.array([worst - margin, worst, (worst + best) / 2, best, best + margin, math.nan])
        utilities = verifier.utility(values)
        assert utilities.shape == values.shape, "utility returns one number per value"
        known = utilities[:-1]
        assert math.isnan(utilities[-1]), "the utility of NaN is NaN"
        assert (known >= 0).all() and (known <= 1).all(), f"utilities outside [0, 1]: {known}"
        assert utilities[3] > utilities[1], f"the best end of the scale has a lower utility: {known}"
        for value, utility in zip(values, utilities, strict=True):
            np.testing.assert_equal(verifier.utility(np.array([value]))[0], utility)

    def test_declarations(self) -> None:
        """The attributes that the class declares have the types and ranges of `Verifier`."""
        verifier = self._ready()
        assert verifier.needs <= NEEDS, f"needs={set(verifier.needs)}: give any of {', '.join(sorted(NEEDS))}"
        assert verifier.languages is None or verifier.languages, "languages: give None for any language"
        assert isinstance(verifier.family, str), f"family={verifier.family!r}: give a name, such as 'whisper'"
        assert all(isinstance(name, str) for name in verifier.requires), f"requires={verifier.requires!r}"
        for number in (verifier.cost, verifier.min_seconds, verifier.window_seconds or 0):
            assert 0 <= number < math.inf, "cost, min_seconds and window_seconds are numbers, 0 or more"

    def test_printed_form_is_its_identity(self) -> None:
        """Two instances with the same arguments print the same and are equal."""
        verifier, again = self.make(), self.make()
        assert str(verifier) == str(again) and verifier == again and hash(verifier) == hash(again)
        assert str(verifier).startswith(type(verifier).__name__), f"{verifier} does not begin with its class"

    def test_reads_only_what_it_needs(self) -> None:
        """What `needs` does not list changes no score, and a prompt without a needed voice is refused."""
        verifier, (utterance, *_) = self._ready(), self.utterances()
        without = _without(utterance, NEEDS - verifier.needs)
        self._assert_same(
            safe_scores(verifier, [utterance]),
            safe_scores(verifier, [without]),
            "reads what `needs` does not list",
        )
        if "voice" in verifier.needs:
            try:
                verifier.check(Prompt(utterance.text, utterance.language, None))
            except InputError:
                return
            raise AssertionError("needs a voice, and `check` does not refuse a prompt without one")

    def test_unfinished_speech(self) -> None:
        """A verifier with `partial = True` scores a prefix of its minimum length."""
        verifier, (utterance, *_) = self._ready(), self.utterances()
        if verifier.partial:
            window = verifier.window_seconds
            assert window is None or window >= verifier.min_seconds, "window_seconds is below min_seconds"
            seconds = max(verifier.min_seconds, 0.5)
            prefix = replace(utterance, audio=utterance.audio[: int(seconds * SAMPLE_RATE)], final=False)
            (each,) = safe_scores(verifier, [prefix])
            assert each.status == "scored", f"partial = True, and a prefix of {seconds} s got {each}"

    def test_transcripts(self) -> None:
        """A verifier that offers `transcribe` returns one text per recording."""
        verifier, utterances = self._ready(), self.utterances()
        if verifier.can_transcribe:
            audios, rates = [u.audio for u in utterances], [u.sample_rate for u in utterances]
            transcripts = verifier.transcribe(audios, rates, utterances[0].language)
            assert len(transcripts) == len(utterances), f"{len(transcripts)} for {len(utterances)} recordings"
            assert all(isinstance(each, str) for each in transcripts), f"not all are text: {transcripts}"

    def test_error_spans(self) -> None:
        """A verifier that offers `error_spans` returns, for each utterance, spans inside its audio."""
        verifier, utterances = self._ready(), self.utterances()
        if verifier.can_find_errors:
            spans = verifier.error_spans(utterances)
            assert len(spans) == len(utterances), f"{len(spans)} lists for {len(utterances)} utterances"
            for utterance, found in zip(utterances, spans, strict=True):
                for span in found:
                    _check_span(span, utterance.seconds)
                starts = [span.start_seconds for span in found]
                assert starts == sorted(starts), f"spans are not in order of time: {found}"

    def _ready(self) -> Verifier:
        verifier, (utterance, *_) = self.make(), self.utterances()
        verifier.load()
        verifier.check(Prompt(utterance.text, utterance.language, utterance.voice))
        return verifier

    def _assert_harmless(self, audio: Audio) -> None:
        """Asserts that bad audio gets a valid score or fails with a reason, and changes no other score."""
        verifier, (first, second, *_) = self._ready(), self.utterances()
        before, bad, after = safe_scores(verifier, [first, replace(first, audio=audio), second])
        expected = safe_scores(verifier, [first, second])
        self._assert_same([before, after], expected, "bad audio changed the scores of other utterances")
        if bad.status == "scored":
            utility = verifier.utility(np.array([bad.value]))[0]
            assert 0 <= utility <= 1, f"bad audio got {bad}"
        else:
            assert bad.detail, "bad audio failed without a reason"

    def _assert_same(self, scores: Sequence[Score], others: Sequence[Score], problem: str) -> None:
        assert [s.status for s in scores] == [s.status for s in others], f"{problem}: {scores}, {others}"
        worst, best = self.make().scale
        first, second = (np.array([s.value for s in each]) / abs(best - worst) for each in (scores, others))
        np.testing.assert_allclose(first, second, rtol=0, atol=self.tolerance, err_msg=problem)


def buzz(seconds: float, pitch: float) -> Audio:
    """Returns a sound like a voice: ten harmonics of `pitch` Hz, in syllables of a quarter of a second."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    harmonics = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 11))
    return (0.1 * harmonics * np.abs(np.sin(4 * np.pi * time))).astype(np.float32)


def _read_only(utterance: Utterance) -> Utterance:
    audio = utterance.audio.copy()
    audio.flags.writeable = False
    return replace(utterance, audio=audio)


def _without(utterance: Utterance, parts: frozenset[str]) -> Utterance:
    """Returns an utterance without some of what a verifier may need."""
    voice = None if "voice" in parts else copy(utterance.voice)
    if voice is not None and "resynthesis" in parts:
        voice.resynthesis = None
    return replace(
        utterance,
        voice=voice,
        text="" if "text" in parts else utterance.text,
        codes=None if "codes" in parts else utterance.codes,
        logprobs=None if "logprobs" in parts else utterance.logprobs,
    )


def _check_span(span: object, seconds: float) -> None:
    assert isinstance(span, Span), f"{span!r} is not a Span"
    assert 0 <= span.start_seconds <= span.end_seconds <= seconds, f"{span} is outside {seconds:.2f} s"
    assert span.kind in get_args(SpanKind), f"{span}: kind is one of {', '.join(get_args(SpanKind))}"
    assert bool(span.expected) == (span.kind != "inserted"), f"{span}: `expected` is empty only if inserted"
    assert bool(span.said) == (span.kind != "deleted"), f"{span}: `said` is empty only if deleted"

"""The embedded verifiers, end to end: the trained checkpoints through the classes that load the real ones."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from llasa_search import Budget, SearchResult, Voice, search
from llasa_search.candidate import Utterance
from llasa_search.verifiers import (
    CTCAlignment,
    EmotionProbability,
    EmotionSimilarity,
    SpeakerSimilarity,
    Verifier,
)
from llasa_search.verifiers.testing import VerifierContract

MIX = {"wer": 0.5, "speaker": 0.3, "emotion": 0.2}
TEXT = "The captain found a silver coin near the lake."
VOICES = [Voice.builtin(name, style) for name in Voice.builtins() for style in Voice.styles(name)]
NAMES = [name for name in Voice.builtins() for _ in Voice.styles(name)]
STYLES = [style for name in Voice.builtins() for style in Voice.styles(name)]


def spoken(voice: Voice, text: str | None = None, prompt: Voice | None = None) -> Utterance:
    return Utterance(text or voice.text or "", "en", voice.audio, 16_000, voice=prompt or voice)


@pytest.fixture(scope="module")
def mixed() -> SearchResult:
    return search.generate(TEXT, "slt", verifiers=MIX, budget=Budget(candidates=6), seed=0)


class TestEmbedded(VerifierContract):
    """The contract, for each checkpoint."""

    @pytest.fixture(
        autouse=True,
        params=[
            SpeakerSimilarity,
            EmotionSimilarity,
            partial(EmotionProbability, "happy"),
            CTCAlignment,
        ],
        ids=["speaker", "emotion", "emotion_probability", "ctc"],
    )
    def _of_each(self, request: pytest.FixtureRequest) -> None:
        self.kind = request.param

    def make(self) -> Verifier:
        verifier: Verifier = self.kind()
        return verifier

    def utterances(self) -> list[Utterance]:
        return [spoken(voice) for voice in VOICES[:3]]


def test_the_mix_runs_offline(mixed: SearchResult) -> None:
    """Guards the paper's three aims on the embedded default: each hears the chosen candidate."""
    statuses = {name: score.status for name, score in mixed.best.scores.items()}
    assert statuses == {"WER()": "scored", "SpeakerSimilarity()": "scored", "EmotionSimilarity()": "scored"}


def test_the_mix_takes_the_best_reward(mixed: SearchResult) -> None:
    """Guards the cascade under three real verifiers of unequal cost."""
    everything = mixed.rerank(mixed.reward)
    assert everything.best.index == mixed.best.index
    assert everything.best.reward == max(candidate.reward for candidate in everything.candidates)


def test_the_cascade_hears_the_cheap_ones_first(mixed: SearchResult) -> None:
    """Guards against costs by guess: a Whisper is ten times as dear as the other two together."""
    calls = mixed.ledger.verifier_calls
    assert calls["WER()"] <= calls["SpeakerSimilarity()"] <= calls["EmotionSimilarity()"]
    assert calls["WER()"] < len(mixed.candidates)


def test_the_encoder_tells_voices_apart() -> None:
    """Guards the encoder's features: with wrong ones all voices are alike, and no search helps."""
    cosines = np.array(
        [
            [score.value for score in SpeakerSimilarity().score([spoken(v, prompt=p) for v in VOICES])]
            for p in VOICES
        ]
    )
    same = np.array(NAMES)[:, None] == np.array(NAMES)
    another_recording = same & ~np.eye(len(VOICES), dtype=bool)
    assert cosines[another_recording].mean() > cosines[~same].mean() + 0.3


def test_the_emotion_model_names_the_built_in_styles() -> None:
    """Guards the order of labels: a swapped one would steer to another mood."""
    labels = sorted(set(STYLES))
    found = np.array(
        [
            [score.value for score in EmotionProbability(label).score([spoken(v) for v in VOICES])]
            for label in labels
        ]
    )
    named = [labels[i] for i in found.argmax(0)]
    assert np.mean([a == b for a, b in zip(named, STYLES, strict=True)]) >= 0.75, named


def test_the_aligner_prefers_the_text_that_is_said() -> None:
    """Guards the order of the CTC model's symbols: with a wrong one no text fits any speech."""
    aligner = CTCAlignment()
    said = [score.value for score in aligner.score([spoken(voice) for voice in VOICES])]
    others = [voice.text for voice in (*VOICES[1:], VOICES[0])]
    unsaid = [
        score.value for score in aligner.score([spoken(v, t) for v, t in zip(VOICES, others, strict=True)])
    ]
    assert np.median(said) < 0.5 * np.median(unsaid)
    assert np.mean(np.array(said) < np.array(unsaid)) >= 0.9


def test_the_aligner_follows_unfinished_speech() -> None:
    """Guards partial scores of trained weights: half a recording fits its text better than another's half."""
    halves = [replace(spoken(v), audio=v.audio[: len(v.audio) // 2], final=False) for v in VOICES]
    other = [replace(half, text=VOICES[i - 1].text or "") for i, half in enumerate(halves)]
    own, wrong = (np.array([score.value for score in CTCAlignment().score(each)]) for each in (halves, other))
    assert np.mean(own < wrong) >= 0.9


def test_selecting_by_voice_takes_the_recording_of_that_voice() -> None:
    """Guards `select` with the voice alone: among takes of three voices in another mood, its own wins."""
    prompt, takes = Voice.builtin("rms"), [Voice.builtin(name, "sad") for name in ("slt", "rms", "kal16")]
    wavs = [(take.audio, 16_000) for take in takes]
    chosen = search.select(wavs, TEXT, prompt, verifiers=SpeakerSimilarity(), gate=None)
    assert chosen.best.index == 1


def test_a_beam_by_the_voice_hears_unfinished_speech() -> None:
    """Guards the paper's process reward: the encoder compares rows before they end."""
    result = search.generate(
        TEXT, "slt", verifiers="wer", strategy="beam_short:prefix_share=0.5,prefix_verifiers=speaker", seed=0
    )
    # A row of less than half a second is not heard.
    checks = [check for node in result.trace.nodes.values() for check in node.checks if check.tokens >= 25]
    heard = [check.scores["SpeakerSimilarity()"] for check in checks]
    assert heard
    assert {score.status for score in heard} == {"scored"}

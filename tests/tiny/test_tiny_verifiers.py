"""The embedded verifiers from end to end, with their trained checkpoints."""

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
    """The contract of verifiers, for each embedded checkpoint."""

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


def test_a_mix_of_three_verifiers_runs(mixed: SearchResult) -> None:
    """The chosen candidate has scores for WER, speaker and emotion, as in the paper."""
    statuses = {name: score.status for name, score in mixed.best.scores.items()}
    assert statuses == {"WER()": "scored", "SpeakerSimilarity()": "scored", "EmotionSimilarity()": "scored"}


def test_a_mix_chooses_the_best_reward(mixed: SearchResult) -> None:
    """The choice with a cascade equals the choice when all candidates get all scores."""
    everything = mixed.rerank(mixed.reward)
    assert everything.best.index == mixed.best.index
    assert everything.best.reward == max(candidate.reward for candidate in everything.candidates)


def test_the_cascade_runs_cheap_verifiers_first(mixed: SearchResult) -> None:
    """WER, which costs ten times as much as the other two together, scores the fewest candidates."""
    calls = mixed.ledger.verifier_calls
    assert calls["WER()"] <= calls["SpeakerSimilarity()"] <= calls["EmotionSimilarity()"]
    assert calls["WER()"] < len(mixed.candidates)


def test_the_speaker_encoder_separates_voices() -> None:
    """Recordings of one voice have a mean cosine at least 0.3 above that of different voices."""
    cosines = np.array(
        [
            [score.value for score in SpeakerSimilarity().score([spoken(v, prompt=p) for v in VOICES])]
            for p in VOICES
        ]
    )
    same = np.array(NAMES)[:, None] == np.array(NAMES)
    other_recording = same & ~np.eye(len(VOICES), dtype=bool)
    assert cosines[other_recording].mean() > cosines[~same].mean() + 0.3


def test_the_emotion_model_recognises_the_built_in_styles() -> None:
    """The most probable label is the style of the recording in at least 75% of cases."""
    labels = sorted(set(STYLES))
    found = np.array(
        [
            [score.value for score in EmotionProbability(label).score([spoken(v) for v in VOICES])]
            for label in labels
        ]
    )
    named = [labels[i] for i in found.argmax(0)]
    assert np.mean([a == b for a, b in zip(named, STYLES, strict=True)]) >= 0.75, named


def test_ctc_alignment_prefers_the_spoken_text() -> None:
    """A recording's own text has a lower loss than another's in at least 90% of cases."""
    verifier = CTCAlignment()
    said = [score.value for score in verifier.score([spoken(voice) for voice in VOICES])]
    others = [voice.text for voice in (*VOICES[1:], VOICES[0])]
    unsaid = [
        score.value for score in verifier.score([spoken(v, t) for v, t in zip(VOICES, others, strict=True)])
    ]
    assert np.median(said) < 0.5 * np.median(unsaid)
    assert np.mean(np.array(said) < np.array(unsaid)) >= 0.9


def test_ctc_alignment_prefers_the_text_of_unfinished_speech() -> None:
    """Half a recording has a lower loss with its own text than with another's in at least 90% of cases."""
    halves = [replace(spoken(v), audio=v.audio[: len(v.audio) // 2], final=False) for v in VOICES]
    other = [replace(half, text=VOICES[i - 1].text or "") for i, half in enumerate(halves)]
    own, wrong = (np.array([score.value for score in CTCAlignment().score(each)]) for each in (halves, other))
    assert np.mean(own < wrong) >= 0.9


def test_selecting_by_speaker_chooses_the_recording_of_that_voice() -> None:
    """`select` with speaker similarity alone chooses, among three voices in another style, that of the prompt."""
    prompt, takes = Voice.builtin("rms"), [Voice.builtin(name, "sad") for name in ("slt", "rms", "kal16")]
    wavs = [(take.audio, 16_000) for take in takes]
    chosen = search.select(wavs, TEXT, prompt, verifiers=SpeakerSimilarity(), gate=None)
    assert chosen.best.index == 1


def test_a_beam_by_speaker_similarity_scores_unfinished_speech() -> None:
    """Every row of at least half a second gets a partial score."""
    result = search.generate(
        TEXT, "slt", verifiers="wer", strategy="beam_short:prefix_share=0.5,prefix_verifiers=speaker", seed=0
    )
    # Shorter rows get no score.
    checks = [check for node in result.trace.nodes.values() for check in node.checks if check.tokens >= 25]
    scores = [check.scores["SpeakerSimilarity()"] for check in checks]
    assert scores
    assert {score.status for score in scores} == {"scored"}

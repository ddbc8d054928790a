"""The embedded default from end to end, with its trained checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from llasa_search import Budget, SearchResult, Voice, search
from llasa_search.checkpoints.names import TINY
from llasa_search.llasa.model import Llasa
from llasa_search.verifiers import WER
from llasa_search.verifiers.word_errors import errors

TEXT = "The captain found a silver coin near the lake."


@pytest.fixture(scope="module")
def result() -> SearchResult:
    return search.generate(TEXT, "slt", budget=Budget(candidates=8), seed=0)


def test_the_package_stays_small() -> None:
    """The embedded files take at most 60 MB."""
    megabytes = sum(path.stat().st_size for path in TINY.rglob("*") if path.is_file()) / 1e6
    assert megabytes <= 60


def test_checkpoints_are_safetensors_in_half_precision() -> None:
    from safetensors import safe_open

    for part in ("language_model", "codec"):
        with safe_open(TINY / part / "model.safetensors", "pt") as tensors:
            names = list(tensors.keys())
            kinds = {str(tensors.get_tensor(name).dtype) for name in names}
        assert kinds == {"torch.float16"}, part


def test_the_recogniser_transcribes_the_built_in_voices() -> None:
    """The mean word error rate of the built-in recordings is below 0.4."""
    asr = WER()
    voices = [Voice.builtin(name) for name in Voice.builtins()]
    transcripts = asr.transcribe([voice.audio for voice in voices], [16_000] * len(voices), "en")
    rates = [
        errors(voice.text or "", said, "en").rate for voice, said in zip(voices, transcripts, strict=True)
    ]
    assert np.mean(rates) < 0.4, list(zip(rates, transcripts, strict=True))


def test_the_transcript_of_silence_is_empty() -> None:
    """The recogniser writes nothing for silence, so speech without words does not win."""
    assert WER().transcribe([np.zeros(32_000, np.float32)], [16_000], "en") == [""]


def test_resynthesised_speech_is_intelligible() -> None:
    """A recording has about its length and a word error rate below 0.5 after the codec."""
    llasa, voice = Llasa.from_pretrained("tiny"), Voice.builtin("rms")
    (again,) = llasa.decode([llasa.encode(voice.audio)], None)
    assert abs(len(again) - len(voice.audio)) <= 640
    (transcript,) = WER().transcribe([again], [16_000], "en")
    assert errors(voice.text or "", transcript, "en").rate < 0.5, transcript


def test_a_search_returns_its_best_candidate(result: SearchResult) -> None:
    """Candidates differ, and the chosen one has the lowest word error rate."""
    rates = [candidate.scores["WER()"].value for candidate in result.candidates]
    assert len(rates) == 8
    assert len(set(rates)) > 1
    assert min(rates) < 0.7
    assert result.best.scores["WER()"].value == min(rates)


def test_every_candidate_has_a_plausible_length(result: SearchResult) -> None:
    assert all(1.0 < len(c.codes) / 50 < 10 for c in result.candidates)


def test_the_evaluation_texts_are_distinct() -> None:
    """No text is in two of the sets dev, standard and hard."""
    spoken = [
        json.loads(line)["spoken"]
        for name in ("dev", "standard", "hard")
        for line in (TINY / "texts" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert len(spoken) == len(set(spoken)) == 250


def test_say_writes_speech_and_prints_the_candidates(cli: Callable[..., object], tmp_path: Path) -> None:
    out = tmp_path / "hello.wav"
    outcome = cli("say", TEXT, "-o", out, "-n", 4)
    assert outcome.code == 0  # type: ignore[attr-defined]
    audio, rate = soundfile.read(out)
    assert rate == 16_000
    assert np.sqrt(np.mean(audio**2)) > 0.01
    assert "candidate" in outcome.out  # type: ignore[attr-defined]


def test_check_passes_on_the_embedded_default(cli: Callable[..., object]) -> None:
    outcome = cli("check", "--model", "tiny")
    assert outcome.code == 0, outcome.out  # type: ignore[attr-defined]
    assert "FAIL" not in outcome.out  # type: ignore[attr-defined]

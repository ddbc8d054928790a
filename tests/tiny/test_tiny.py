"""The embedded default, end to end: the trained checkpoints, as a user gets them."""

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

TEXT = "The captain found a silver coin near the lake."


@pytest.fixture(scope="module")
def result() -> SearchResult:
    return search.generate(TEXT, "slt", budget=Budget(candidates=8), seed=0)


def test_the_package_stays_small() -> None:
    """Guards the wheel's size: checkpoints are in half precision and nothing of training is packed."""
    megabytes = sum(path.stat().st_size for path in TINY.rglob("*") if path.is_file()) / 1e6
    assert megabytes <= 60


def test_checkpoints_are_in_half_precision_safetensors() -> None:
    from safetensors import safe_open

    for part in ("language_model", "codec"):
        with safe_open(TINY / part / "model.safetensors", "pt") as tensors:
            names = list(tensors.keys())
            kinds = {str(tensors.get_tensor(name).dtype) for name in names}
        assert kinds == {"torch.float16"}, part


def test_the_recogniser_understands_the_built_in_voices() -> None:
    """Guards spelling, windows and features of the packaged ASR: a broken one hears noise."""
    asr = WER()
    voices = [Voice.builtin(name) for name in Voice.builtins()]
    heard = asr.transcribe([voice.audio for voice in voices], [16_000] * len(voices), "en")
    rates = [asr_rate(voice.text or "", transcript) for voice, transcript in zip(voices, heard, strict=True)]
    assert np.mean(rates) < 0.4, list(zip(rates, heard, strict=True))


def asr_rate(text: str, transcript: str) -> float:
    from llasa_search.verifiers.word_errors.alignment import errors

    return errors(text, transcript, "en").rate


def test_silence_is_heard_as_nothing() -> None:
    """A recogniser that makes words out of silence would let empty speech win."""
    assert WER().transcribe([np.zeros(32_000, np.float32)], [16_000], "en") == [""]


def test_the_codec_keeps_what_is_said() -> None:
    """Guards the codec's pairing with its features: resynthesis stays understandable."""
    llasa, voice = Llasa.from_pretrained("tiny"), Voice.builtin("rms")
    (again,) = llasa.decode([llasa.encode(voice.audio)], None)
    assert abs(len(again) - len(voice.audio)) <= 640
    (heard,) = WER().transcribe([again], [16_000], "en")
    assert asr_rate(voice.text or "", heard) < 0.5, heard


def test_a_search_finds_better_than_the_first_sample(result: SearchResult) -> None:
    """Guards the whole way from text to choice: the chosen one is the best of candidates that differ."""
    rates = [candidate.scores["WER()"].value for candidate in result.candidates]
    assert len(rates) == 8
    assert len(set(rates)) > 1
    assert min(rates) < 0.7
    assert result.best.scores["WER()"].value == min(rates)


def test_every_candidate_lasts_as_long_as_such_a_text_may(result: SearchResult) -> None:
    assert all(1.0 < len(c.codes) / 50 < 10 for c in result.candidates)


def test_the_evaluation_texts_are_distinct() -> None:
    """A text in two sets would let settings chosen on one leak into the other."""
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

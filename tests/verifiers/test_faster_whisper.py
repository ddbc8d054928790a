"""faster-whisper as a recogniser: a converted checkpoint transcribes as the one that it was made from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from llasa_search import InputError, ModelError, search
from llasa_search.arrays import Audio
from llasa_search.verifiers import WER
from llasa_search.verifiers.backends.asr import load_asr
from tests.helpers.tiny_recognisers import write_whisper

pytest.importorskip("faster_whisper")
Noise = Callable[..., Audio]


def convert(whisper: Path, folder: Path) -> Path:
    from ctranslate2.converters import TransformersConverter

    files = ["tokenizer.json", "preprocessor_config.json"]
    TransformersConverter(str(whisper), copy_files=files).convert(str(folder))
    return folder


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whisper(tmp_path_factory.mktemp("asr") / "whisper", multilingual=False)


@pytest.fixture(scope="module")
def converted(whisper: Path) -> Path:
    return convert(whisper, whisper.parent / "converted")


def test_it_transcribes_as_the_checkpoint_it_was_made_from(
    whisper: Path, converted: Path, noise: Noise
) -> None:
    """Recordings of several lengths, one of them longer than the window of 2 s, in one batch and alone."""
    audios = [noise(seconds, seed=i) for i, seconds in enumerate((0.3, 1.5, 1.5, 3.1))]
    expected = load_asr(str(whisper)).transcribe(audios, "en")
    recogniser = load_asr(f"faster-whisper:{converted}")
    assert recogniser.transcribe(audios, "en") == expected
    assert [recogniser.transcribe([audio], "en")[0] for audio in audios] == expected
    assert all(expected)


def test_a_folder_is_recognised_by_its_files(converted: Path, noise: Noise) -> None:
    """The name's beginning is not needed for a folder; scores are those of the transcript."""
    result = search.select([(noise(1.0), 16_000)], "One two.", verifiers=WER(str(converted)))
    (score,) = result.best.scores.values()
    assert score.status == "scored" and WER(str(converted)).family == "whisper"


def test_silence_has_an_empty_transcript(tmp_path: Path, noise: Noise) -> None:
    """The end may be the first token."""
    silent = convert(
        write_whisper(tmp_path / "silent", multilingual=False, silent=True), tmp_path / "converted"
    )
    assert load_asr(str(silent)).transcribe([noise(1.0), np.zeros(100, np.float32)], "en") == ["", ""]


def test_an_english_checkpoint_refuses_other_languages(converted: Path) -> None:
    """Before anything is sampled."""
    with pytest.raises(InputError, match="'zh'"):
        search.select(
            [(np.ones(16_000), 16_000)], "今天天气很好", verifiers=WER(str(converted)), language="zh"
        )


def test_unknown_names_and_incomplete_folders_are_refused(converted: Path, tmp_path: Path) -> None:
    """One line that says what to do."""
    with pytest.raises(InputError, match=r"no faster-whisper model 'smal'; did you mean .*small"):
        load_asr("faster-whisper:smal")
    (tmp_path / "model.bin").touch()
    with pytest.raises(ModelError, match="ct2-transformers-converter"):
        load_asr(f"faster-whisper:{tmp_path}")

"""Voice: recordings of any rate and format are read, and invalid ones are refused by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from llasa_search.arrays import Audio
from llasa_search.errors import InputError
from llasa_search.voice import Voice


def tone(rate: int, seconds: float = 0.5, hertz: float = 300.0) -> Audio:
    time = np.arange(int(rate * seconds)) / rate
    return (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def pitch(audio: Audio) -> float:
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    return float(spectrum.argmax() * 16_000 / len(audio))


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_files_of_any_rate_and_format_are_read(tmp_path: Path, rate: int, suffix: str) -> None:
    """The audio is at 16 kHz with the length and pitch of the file."""
    path = tmp_path / f"ref.{suffix}"
    soundfile.write(path, tone(rate), rate)
    voice = Voice(path, "la")
    assert voice.audio.dtype == np.float32
    assert voice.seconds == pytest.approx(0.5, abs=0.01)
    assert pitch(voice.audio) == pytest.approx(300, abs=4)
    assert (voice.name, voice.text) == ("ref", "la")


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = tone(16_000, hertz=300), tone(16_000, hertz=500)
    soundfile.write(tmp_path / "ref.wav", np.stack((left, right), axis=1), 16_000)
    audio = Voice(tmp_path / "ref.wav").audio
    np.testing.assert_allclose(audio, (left + right) / 2, atol=1e-4)


def test_a_long_recording_is_cut_with_a_warning() -> None:
    """A recording longer than 15 s is cut and loses its transcript; one of 15 s is used without a warning."""
    with pytest.warns(UserWarning, match=r"20\.0 s.*first 15 s"):
        voice = Voice(tone(16_000, 20.0), "one two three", sample_rate=16_000)
    assert (voice.seconds, voice.text) == (15.0, None)  # with the whole text, its rest would be spoken first
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Voice(tone(16_000, 15.0), sample_rate=16_000).seconds == 15.0


def test_the_transcript_is_read_beside_the_file(tmp_path: Path) -> None:
    """`ref.txt` is used unless the caller gives a transcript."""
    soundfile.write(tmp_path / "ref.wav", tone(16_000), 16_000)
    assert Voice(tmp_path / "ref.wav").text is None
    (tmp_path / "ref.txt").write_text(" Hello,\nyou. \n", encoding="utf-8")
    assert Voice(str(tmp_path / "ref.wav")).text == "Hello, you."
    assert Voice(tmp_path / "ref.wav", "Other words").text == "Other words"
    assert Voice(tmp_path / "ref.wav", "  ").text is None


def test_invalid_files_are_refused_by_name(tmp_path: Path) -> None:
    """Each error names the file and what is wrong with it."""
    cases = {
        "does not exist": tmp_path / "missing.wav",
        "is a folder": tmp_path,
        "empty file": tmp_path / "empty.wav",
        "not audio": tmp_path / "text.wav",
        "silent": tmp_path / "silent.wav",
        "NaN": tmp_path / "nan.wav",
        "no samples": tmp_path / "header.wav",
        "samplerate": tmp_path / "headerless.raw",
    }
    cases["empty file"].touch()
    cases["samplerate"].write_bytes(bytes(9000))
    cases["not audio"].write_text("this is no audio at all" * 20)
    soundfile.write(cases["silent"], np.zeros(8000), 16_000)
    soundfile.write(cases["NaN"], np.full(8000, np.nan), 16_000, subtype="FLOAT")
    soundfile.write(cases["no samples"], np.zeros(0), 16_000)
    for fault, path in cases.items():
        with pytest.raises(InputError, match=fault) as error:
            Voice(path)
        assert str(path) in str(error.value)


def test_a_text_file_called_mp3_is_refused_without_output(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The MP3 library prints nothing to stderr."""
    (tmp_path / "text.mp3").write_text("this is no audio at all")
    with pytest.raises(InputError, match="not audio"):
        Voice(tmp_path / "text.mp3")
    assert capfd.readouterr().err == ""


def test_invalid_samples_are_refused() -> None:
    """Samples without a rate, or with an invalid shape or value, are refused."""
    with pytest.raises(InputError, match="sample rate"):
        Voice(tone(16_000))
    for samples, fault in (
        (np.zeros((2, 2, 2)), "no samples"),
        (np.zeros(0), "no samples"),
        (np.full(8000, np.inf), "infinite"),
        (np.full(8000, 1e30), r"reach 1e\+30"),
        ((32767 * tone(16_000)).astype(np.int16), "scale them"),
        (np.stack([tone(16_000)] * 2), "transpose"),
        (tone(16_000)[:1000], "at least 0.1 s"),
        ("abc" * 3, "does not exist"),
        ([["a"]], "give numbers"),
    ):
        with pytest.raises(InputError, match=fault):
            Voice(samples, sample_rate=16_000)
    with pytest.raises(InputError, match="0 Hz"):
        Voice(tone(16_000), sample_rate=0)


def test_the_audio_of_a_voice_is_a_read_only_copy() -> None:
    """Later changes of the caller's samples do not change the voice."""
    samples = tone(16_000)
    voice = Voice(samples, "la", 16_000)
    before = voice.id
    samples[:] = 0
    assert np.abs(voice.audio).max() > 0.2
    with pytest.raises(ValueError, match="read-only"):
        voice.audio[0] = 1
    assert voice.id == before


@settings(max_examples=20)
@given(st.sampled_from([300.0, 400.0]), st.sampled_from(["one", "two", None]))
def test_the_id_depends_on_audio_and_transcript(hertz: float, text: str | None) -> None:
    """Two voices have equal ids exactly if their audio and transcripts are equal."""
    voice, other = Voice(tone(16_000, hertz=hertz), text, 16_000), Voice(tone(16_000), "one", 16_000)
    same = (hertz, text) == (300.0, "one")
    assert (voice.id == other.id) == (voice == other) == (hash(voice) == hash(other)) == same


def test_a_transcript_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """The error names the file; UTF-8 with a byte order mark is read."""
    soundfile.write(tmp_path / "ref.wav", tone(16_000), 16_000)
    (tmp_path / "ref.txt").write_text("Caf\u00e9.", encoding="latin-1")
    with pytest.raises(InputError, match=r"ref.txt is not UTF-8 .*: save it as UTF-8"):
        Voice(tmp_path / "ref.wav")
    (tmp_path / "ref.txt").write_text("Caf\u00e9.", encoding="utf-8-sig")
    assert Voice(tmp_path / "ref.wav").text == "Caf\u00e9."


def test_with_text_returns_another_voice(noise: Callable[..., Audio]) -> None:
    """The original voice keeps its transcript."""
    voice = Voice(noise(1.0), sample_rate=16_000, name="mine")
    named = voice.with_text("hello")
    assert (voice.text, named.text, named.name) == (None, "hello", "mine")
    assert np.array_equal(voice.audio, named.audio)
    assert voice.id != named.id


def test_built_in_voices_can_be_read() -> None:
    """Every built-in voice has a recording of 0.5 to 15 s and a transcript."""
    names = Voice.builtins()
    assert "slt" in names
    for name in names:
        voice = Voice.builtin(name)
        assert voice.text
        assert 0.5 < voice.seconds <= 15
        assert voice.name.startswith(name)
    assert Voice.builtin("slt", style="sad").id != Voice.builtin("slt").id


def test_unknown_built_in_voices_are_refused_with_the_list() -> None:
    """Unknown names and styles are refused with the known ones."""
    with pytest.raises(InputError, match=r"'stl'.*slt"):
        Voice.builtin("stl")
    with pytest.raises(InputError, match=r"'sade'.*sad"):
        Voice.builtin("slt", style="sade")
    with pytest.raises(InputError, match=r"'stl'.*slt"):
        Voice.styles("stl")

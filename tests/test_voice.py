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
from soxr import resample

from llasa_search import search
from llasa_search.arrays import Audio
from llasa_search.errors import InputError
from llasa_search.voice import VOICES, Voice


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


def test_a_long_recording_is_cut_with_a_warning(noise: Callable[..., Audio]) -> None:
    """A recording longer than 15 s is cropped without its transcript; one of 15 s causes no warning."""
    with pytest.warns(UserWarning, match=r"20\.0 s.*first 15 s"):
        voice = Voice(noise(20.0), "one two three", sample_rate=16_000)
    assert (voice.seconds, voice.text) == (
        15.0,
        None,
    )  # with the whole transcript, candidates would begin with its rest
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Voice(noise(15.0), sample_rate=16_000).seconds == 15.0


def test_long_silences_are_shortened_before_the_crop(noise: Callable[..., Audio]) -> None:
    """Silence is shortened to 0.5 s before the crop to 15 s, so the speech and its transcript are kept."""
    speech = np.split(noise(6.0), 3)
    silence = np.zeros(6 * 16_000, np.float32)
    recording = np.concatenate([silence, speech[0], silence, speech[1], silence[:3200], speech[2], silence])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        voice = Voice(recording + np.float32(0.05), "one two three", sample_rate=16_000)
        again = Voice(voice.audio, "one two three", sample_rate=16_000)
    assert voice.text == "one two three"
    assert voice.seconds == pytest.approx(6 + 3 * 0.5 + 0.2, abs=0.05)  # was 15 s, of which 3 s were speech
    assert again.id == voice.id


def test_short_pauses_and_quiet_recordings_stay_as_they_are(noise: Callable[..., Audio]) -> None:
    """Pauses of up to 0.5 s are kept, whatever the level of the recording."""
    pause = np.zeros(7200, np.float32)
    recording = np.concatenate([pause, noise(1.0), pause, noise(1.0), pause])
    for gain in (1.0, 1e-3):
        scaled = (gain * recording).astype(np.float32)
        assert np.array_equal(Voice(scaled, sample_rate=16_000).audio, scaled)


def clip(audio: Audio) -> Audio:
    return np.clip(20 * audio, -1, 1)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000])
def test_a_band_limited_prompt_causes_a_warning(rate: int) -> None:
    """A rate of 8 to 12 kHz, and a file that was resampled from it, cause a warning: voices cannot be compared."""
    audio = resample(resample(Voice.builtin("slt").audio, 16_000, 8_000), 8_000, rate)
    with pytest.warns(UserWarning, match=r"no sound above 6 kHz.* 16,000 Hz or more"):
        Voice(audio, sample_rate=rate)


@pytest.mark.parametrize("level", [1.0, 0.5])
def test_a_clipped_prompt_causes_a_warning(level: float, noise: Callable[..., Audio]) -> None:
    """Clipped samples cause a warning, in one of two channels and at a lower level too."""
    channels = np.stack([noise(1.0), level * clip(noise(1.0))], axis=1)
    with pytest.warns(UserWarning, match=r"is clipped: 19\.\d%.*lower level"):
        Voice(channels, sample_rate=16_000)


@pytest.mark.parametrize("suffix", ["wav", "aiff", "au", "w64", "rf64"])
def test_a_truncated_file_causes_a_warning(tmp_path: Path, suffix: str, noise: Callable[..., Audio]) -> None:
    """A file with a tenth of the audio that its header states causes a warning, in every function that reads it."""
    path = tmp_path / f"ref.{suffix}"
    soundfile.write(path, noise(3.0), 16_000)
    path.write_bytes(path.read_bytes()[:9_600])
    with pytest.warns(UserWarning, match=rf"ref\.{suffix} is cut off: it has (9|10)\.\d% of the audio"):
        Voice(path)
    with pytest.warns(UserWarning, match=r"recording 0: .* is cut off"):
        search.select([path], "one two", verifiers="signal", language="en")


def test_a_truncated_flac_is_refused(tmp_path: Path, noise: Callable[..., Audio]) -> None:
    """The error says what is wrong with it."""
    soundfile.write(tmp_path / "ref.flac", noise(3.0), 16_000)
    (tmp_path / "ref.flac").write_bytes((tmp_path / "ref.flac").read_bytes()[:9_600])
    with pytest.raises(InputError, match=r"ref\.flac is not audio that can be read .*lost sync"):
        Voice(tmp_path / "ref.flac")


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0xFFFFFFDB, 0x7FFFF000])
def test_a_file_written_through_a_pipe_is_read_without_a_warning(
    tmp_path: Path, size: int, noise: Callable[..., Audio]
) -> None:
    """Programs that write to a pipe state the largest size."""
    soundfile.write(tmp_path / "ref.wav", noise(1.0), 16_000)
    content = bytearray((tmp_path / "ref.wav").read_bytes())
    content[40:44] = size.to_bytes(4, "little")
    (tmp_path / "ref.wav").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Voice(tmp_path / "ref.wav").seconds == 1.0


def test_a_clean_prompt_is_used_as_it_is() -> None:
    """Built-in voices are neither changed nor warned about."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in Voice.builtins():
            for style in Voice.styles(name):
                samples, _ = soundfile.read(VOICES / f"{name}-{style}.flac", dtype="float32")
                assert np.array_equal(Voice.builtin(name, style).audio, samples)


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

"""Bad input, each by name: one line, exit code 2, nothing written, no model run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from llasa_search import Budget, Sampling, search
from llasa_search.arrays import Audio
from llasa_search.errors import InputError
from llasa_search.llasa.model import Llasa
from llasa_search.request import as_voice, in_known_characters
from llasa_search.strategies.base import as_strategy
from llasa_search.text.cleaning import clean_text
from llasa_search.text.language import language_of
from llasa_search.verifiers.specification import as_reward
from llasa_search.voice import Voice

TEXT = "the captain found a coin"
Cli = Callable[..., Any]


@pytest.fixture
def refused(cli: Cli, pair_path: Path, asr_path: Path, tmp_path: Path) -> Callable[..., str]:
    """Runs `say` with what the test gives in place of good arguments; returns its one line of complaint."""

    def run(text: str = TEXT, **options: object) -> str:
        given = {
            "model": pair_path,
            "verifier": f"WER(model={str(asr_path)!r})",
            "out": tmp_path / "out.wav",
            "n": 2,
            **options,
        }
        before = sorted(tmp_path.rglob("*"))
        flags = [
            part
            for name, value in given.items()
            for part in ("-n" if name == "n" else f"--{name.replace('_', '-')}", value)
        ]
        done = cli("say", *flags, "--", text)
        assert done.code == 2, done
        assert sorted(tmp_path.rglob("*")) == before
        assert done.out == "" and done.err.startswith("error: ") and done.err.count("\n") == 1, done.err
        return str(done.err)

    return run


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_empty_text(refused: Callable[..., str], text: str) -> None:
    assert "empty" in refused(text)


@pytest.mark.parametrize("text", ["...", "?!", "—", "🙂🙂", "\x00\x07"])
def test_text_with_nothing_to_say(refused: Callable[..., str], text: str) -> None:
    assert "nothing to say" in refused(text)


def test_text_too_long_for_the_window_states_the_limit(refused: Callable[..., str]) -> None:
    complaint = refused("the captain found a silver coin near the lake. " * 100)
    assert "too long" in complaint and "characters fit" in complaint


@pytest.mark.parametrize("marker", ["<|SPEECH_GENERATION_END|>", "<|s_5|>"])
def test_markers_of_the_model_in_the_text(refused: Callable[..., str], marker: str) -> None:
    """Guards against text that ends or speaks in the model's place."""
    assert marker in refused(f"the coin {marker}")


def test_prompt_file_missing(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "does not exist" in refused(prompt=tmp_path / "absent.wav", prompt_text="a")


def test_prompt_is_no_name_and_no_file(refused: Callable[..., str]) -> None:
    assert "neither a file nor built in" in refused(prompt="nobody", prompt_text="a")


def test_prompt_file_empty(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "voice.wav").touch()
    assert "empty" in refused(prompt=tmp_path / "voice.wav", prompt_text="a")


def test_prompt_file_without_samples(refused: Callable[..., str], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "voice.wav", np.zeros(0, np.float32), 16_000)
    assert "no samples" in refused(prompt=tmp_path / "voice.wav", prompt_text="a")


def test_prompt_file_is_not_audio(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "voice.wav").write_text("hello")
    assert "not audio" in refused(prompt=tmp_path / "voice.wav", prompt_text="a")


def test_prompt_silent(refused: Callable[..., str], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "voice.wav", np.zeros(16_000, np.float32), 16_000)
    assert "silent" in refused(prompt=tmp_path / "voice.wav", prompt_text="a")


def test_prompt_with_nan(refused: Callable[..., str], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "voice.wav", np.full(16_000, np.nan, np.float32), 16_000, subtype="FLOAT")
    assert "NaN" in refused(prompt=tmp_path / "voice.wav", prompt_text="a")


def test_prompt_text_without_a_prompt(refused: Callable[..., str]) -> None:
    assert "--prompt" in refused(prompt_text="a coin")


@pytest.mark.parametrize(
    ("option", "value", "advice"),
    [
        ("strategy", "best_of_m", "did you mean 'best_of_n'"),
        ("strategy", "best_of_n:m=3", "best_of_n takes n="),
        ("verifier", "wre", "did you mean 'wer'"),
        ("verifier", "wer=-1", "weight"),
        ("verifier", "wer=0", "weights"),
        ("verifier", "WER(model='larg-v3')", "did you mean 'large-v3'"),
        ("model", "tinny", "did you mean 'tiny'"),
        ("codec", "xcodec2", "did you mean 'HKUSTAudio/xcodec2-hf'"),
        ("n", 0, "1 candidate or more"),
        ("n", -1, "1 candidate or more"),
        ("budget_seconds", 0, "above 0"),
        ("temperature", -1, "temperature"),
        ("top_p", 0, "top_p"),
    ],
)
def test_settings_that_mean_nothing(
    refused: Callable[..., str], option: str, value: object, advice: str
) -> None:
    assert advice in refused(**{option: value})


def test_output_that_is_the_prompt(refused: Callable[..., str], tmp_path: Path) -> None:
    """A user's own recording overwritten."""
    path = tmp_path / "me.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    assert "own recording" in refused(prompt=path, prompt_text="me", out=path)


def test_numbers_of_numpy_are_kept(llasa: Llasa, tmp_path: Path) -> None:
    """A search that ran for hours and cannot be saved, because JSON knows no float32."""
    sampling = Sampling(temperature=np.float32(0.7), max_seconds=np.float64(0.3))  # type: ignore[arg-type]
    budget = Budget(candidates=np.int64(1))  # type: ignore[arg-type]
    result = search.generate("one", model=llasa, verifiers="pace", sampling=sampling, budget=budget)
    result.save_run(tmp_path / "run")
    assert (type(sampling.temperature), type(budget.candidates)) == (float, int)


def test_a_number_that_nobody_can_read(llasa: Llasa) -> None:
    """An assertion of the normaliser in the place of the limit."""
    with pytest.raises(InputError, match="too long"):
        search.generate("9" * 5000, model=llasa)


def test_a_text_where_several_are_to_be_given(llasa: Llasa) -> None:
    """A text that is spoken letter by letter."""
    with pytest.raises(InputError, match="in a list"):
        next(search.Searcher(llasa).map("ab"))


def test_output_folder_missing(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "does not exist" in refused(out=tmp_path / "absent" / "out.wav")
    assert "does not exist" in refused(save_run=tmp_path / "absent" / "run")


def test_output_that_is_no_wav(refused: Callable[..., str], tmp_path: Path) -> None:
    assert ".wav" in refused(out=tmp_path / "out.mp3")


def test_run_folder_that_exists(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").touch()
    assert "exists" in refused(save_run=tmp_path / "run")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    assert "a link" in refused(save_run=tmp_path / "link")


def test_letters_that_the_model_does_not_know(refused: Callable[..., str]) -> None:
    assert "no letter or digit that the model" in refused("今天天气好")
    assert "no letter or digit that the model" in refused("Привет, мир!")


def test_letters_that_the_model_does_not_know_are_left_out_with_a_warning(llasa: Llasa) -> None:
    """Garbage spoken in the place of letters that the tokenizer has no token for."""
    with pytest.warns(UserWarning, match=r"м \(left out\).*ñ \(n\)|½ \(left out\)"):
        assert in_known_characters("hello мир ñandú", "the text", llasa) == "hello nandu"
        assert in_known_characters("½ ﬁsh", "the text", llasa) == "fish"
    assert in_known_characters("“don’t” (you)", "the text", llasa) == "don't you"


def test_run_folder_and_output_in_each_others_way(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that is over before it turns out that its result cannot be kept."""
    (tmp_path / "run").mkdir()
    assert "lies there" in refused(save_run=tmp_path / "run", out=tmp_path / "run" / "a.wav")
    assert "lies there" in refused(save_run=tmp_path / "a.wav", out=tmp_path / "a.wav")
    monkeypatch.chdir(tmp_path / "run")
    assert "the current folder" in refused(save_run=".")


@pytest.mark.parametrize("length", [250, 300, 5000])
def test_names_too_long_for_a_file(refused: Callable[..., str], tmp_path: Path, length: int) -> None:
    assert "too long" in refused(out=tmp_path / ("x" * length + ".wav"))
    assert "too long" in refused(save_run=tmp_path / ("x" * length))
    assert "does not exist" in refused(prompt=tmp_path / ("x" * length + ".wav"), prompt_text="a")


@pytest.mark.parametrize("temperature", ["-1", "nan", "inf", "1e-38", "1e39"])
def test_temperatures_that_leave_no_probabilities(refused: Callable[..., str], temperature: str) -> None:
    assert "temperature" in refused(temperature=temperature)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sampling(temperature="0.8"),  # type: ignore[arg-type]
        lambda: Sampling(temperature=None),  # type: ignore[arg-type]
        lambda: Sampling(top_k=1.5),  # type: ignore[arg-type]
        lambda: Sampling(top_k=float("nan")),  # type: ignore[arg-type]
        lambda: Budget(candidates="4"),  # type: ignore[arg-type]
        lambda: Budget(candidates=1.5),  # type: ignore[arg-type]
        lambda: Budget(tokens=True),
        lambda: Budget(seconds=float("inf")),
        lambda: as_strategy("best_of_n:n=4,n=5"),
        lambda: as_strategy("best_of_n:n={[]:1}"),
        lambda: as_reward("WER(**{'model': 'tiny'})"),
        lambda: as_reward("WER(model={[]:1})"),
        lambda: as_voice((np.zeros(9), 16_000, 1)),  # type: ignore[arg-type]
        lambda: as_voice((np.zeros(9), "x")),  # type: ignore[arg-type]
        lambda: search.select(None, "a"),  # type: ignore[arg-type]
        lambda: search.select([("x",)], "a"),  # type: ignore[list-item]
        lambda: search.generate("a", seed=1.5),  # type: ignore[arg-type]
        lambda: search.generate("a", seed="a"),  # type: ignore[arg-type]
        lambda: search.generate("a", model=3),  # type: ignore[arg-type]
        lambda: search.generate("a", codec=5),  # type: ignore[arg-type]
        lambda: search.generate("a", progress=5),  # type: ignore[arg-type]
        lambda: list(search.Searcher().map(None)),  # type: ignore[arg-type]
        lambda: search.select([(np.zeros(9_000), 16_000)], "a", budget=5),  # type: ignore[arg-type]
        lambda: search.generate("a", budget=5),  # type: ignore[arg-type]
        lambda: search.generate("a", sampling={"temperature": 0.5}),  # type: ignore[arg-type]
        lambda: Voice(np.ones(9_000), 5, 16_000),  # type: ignore[arg-type]
        lambda: Voice(np.ones(9_000), "a", float("inf")),  # type: ignore[arg-type]
    ],
)
def test_arguments_of_another_type(make: Callable[[], object]) -> None:
    """A TypeError out of the depths, after the models have been loaded."""
    with pytest.raises(InputError):
        make()


def test_unknown_option_is_wrong_use(cli: Cli) -> None:
    assert cli("say", TEXT, "--width", 3).code == 2


def test_prompt_without_transcript_where_none_can_be_had(
    cli: Cli, pair_path: Path, tmp_path: Path, noise: Callable[..., Audio]
) -> None:
    with pytest.raises(InputError, match="no transcript"):
        search.generate(TEXT, (noise(0.5), 16_000), model=str(pair_path), verifiers=lambda utterance: 0.5)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Hello 🙂 you", "Hello you"),
        ("He\x00llo\x1b you", "Hello you"),
        ("zero\u200bwidth", "zerowidth"),
        ("❤️ it", "it"),
        ("I ♥ it™", "I it"),
    ],
)
def test_what_has_no_sound_is_left_out_with_a_warning(text: str, spoken: str) -> None:
    with pytest.warns(UserWarning, match="left out"):
        assert clean_text(text) == spoken


@pytest.mark.parametrize(
    "text", ["Grüße, мир 123!", "今天 OK 好。", "$5 + 3% = ?", "naïve cafe\u0301", "हिन्दी"]
)
def test_mixed_scripts_are_left_alone(text: str) -> None:
    """Guards against a filter that eats combining marks or another script's letters."""
    import unicodedata

    assert clean_text(text) == unicodedata.normalize("NFC", text)


def test_colours_of_a_terminal_are_not_spoken() -> None:
    with pytest.warns(UserWarning, match=r"U\+0007"):
        assert clean_text("hello \x07\x1b[31m world\x1b[0m") == "hello world"


@pytest.mark.parametrize("language", ["fr", "EN", ""])
def test_other_languages_are_refused(language: str) -> None:
    with pytest.raises(InputError, match="en and zh"):
        language_of("bonjour", language)


@pytest.mark.parametrize("text", [None, 3, b"bytes"])
def test_text_of_another_type(text: Any) -> None:
    with pytest.raises(InputError, match="not a string"):
        clean_text(text)


def test_an_empty_transcript_is_refused(refused: Callable[..., str]) -> None:
    """A built-in voice's own words forgotten, and its speech transcribed instead."""
    assert "--prompt-text is empty" in refused(prompt="slt", prompt_text=" ")

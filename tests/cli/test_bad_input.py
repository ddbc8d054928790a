"""Bad input is refused in one line with exit code 2; nothing is written and no model runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from llasa_search import Budget, Sampling, search
from llasa_search.arrays import Audio
from llasa_search.checkpoints.loading import pick_device
from llasa_search.errors import InputError
from llasa_search.llasa.model import Llasa
from llasa_search.request import as_voice, in_known_characters
from llasa_search.storage.files import check_new_folder, check_wav
from llasa_search.strategies import BestOfN
from llasa_search.strategies.base import as_strategy
from llasa_search.text.cleaning import clean_text
from llasa_search.verifiers import Pace
from llasa_search.verifiers.specification import as_reward
from llasa_search.voice import Voice

TEXT = "the captain found a coin"
Cli = Callable[..., Any]


@pytest.fixture
def refused(cli: Cli, pair_path: Path, asr_path: Path, tmp_path: Path) -> Callable[..., str]:
    """Runs `say` with valid arguments, except those that the test gives; returns the line of the error."""

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
def test_empty_text_is_refused(refused: Callable[..., str], text: str) -> None:
    assert "empty" in refused(text)


@pytest.mark.parametrize("text", ["...", "?!", "—", "🙂🙂", "\x00\x07"])
def test_text_without_letters_is_refused(refused: Callable[..., str], text: str) -> None:
    assert "nothing to say" in refused(text)


def test_the_error_of_a_text_that_is_too_long_states_the_limit(refused: Callable[..., str]) -> None:
    message = refused("the captain found a silver coin near the lake. " * 100)
    assert "too long" in message and "characters fit" in message


@pytest.mark.parametrize("marker", ["<|SPEECH_GENERATION_END|>", "<|s_5|>"])
def test_special_tokens_in_the_text_are_refused(refused: Callable[..., str], marker: str) -> None:
    """They would end the speech or replace it."""
    assert marker in refused(f"the coin {marker}")


def test_a_missing_prompt_file_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "does not exist" in refused(prompt=tmp_path / "absent.wav", prompt_text="a")


def test_a_prompt_that_is_neither_a_voice_nor_a_file_is_refused(refused: Callable[..., str]) -> None:
    assert "neither a file nor built in" in refused(prompt="nobody", prompt_text="a")


def test_an_empty_prompt_file_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "voice.wav").touch()
    assert "empty" in refused(prompt=tmp_path / "voice.wav", prompt_text="a")


def test_a_prompt_without_samples_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "voice.wav", np.zeros(0, np.float32), 16_000)
    assert "no samples" in refused(prompt=tmp_path / "voice.wav", prompt_text="a")


def test_a_prompt_that_is_not_audio_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "voice.wav").write_text("hello")
    assert "not audio" in refused(prompt=tmp_path / "voice.wav", prompt_text="a")


def test_a_silent_prompt_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "voice.wav", np.zeros(16_000, np.float32), 16_000)
    assert "silent" in refused(prompt=tmp_path / "voice.wav", prompt_text="a")


def test_a_prompt_with_nan_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "voice.wav", np.full(16_000, np.nan, np.float32), 16_000, subtype="FLOAT")
    assert "NaN" in refused(prompt=tmp_path / "voice.wav", prompt_text="a")


def test_a_transcript_without_a_prompt_is_refused(refused: Callable[..., str]) -> None:
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
def test_invalid_options_are_refused(
    refused: Callable[..., str], option: str, value: object, advice: str
) -> None:
    assert advice in refused(**{option: value})


def test_an_output_that_is_the_prompt_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    """The search must not overwrite the user's recording."""
    path = tmp_path / "me.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    assert "own recording" in refused(prompt=path, prompt_text="me", out=path)


def test_numpy_numbers_become_python_numbers(llasa: Llasa, tmp_path: Path) -> None:
    """A search with numbers of NumPy can be saved as JSON."""
    sampling = Sampling(temperature=np.float32(0.7), max_seconds=np.float64(0.3))  # type: ignore[arg-type]
    budget = Budget(candidates=np.int64(1))  # type: ignore[arg-type]
    result = search.generate("one", model=llasa, verifiers="pace", sampling=sampling, budget=budget)
    result.save_run(tmp_path / "run")
    assert (type(sampling.temperature), type(budget.candidates)) == (float, int)


def test_a_number_with_too_many_digits_is_refused(llasa: Llasa) -> None:
    with pytest.raises(InputError, match="too long"):
        search.generate("9" * 5000, model=llasa, verifiers="wer")


def test_map_refuses_a_single_text(llasa: Llasa) -> None:
    """A string is not taken as a list of its characters."""
    with pytest.raises(InputError, match="in a list"):
        next(search.Searcher(llasa).map("ab"))


def test_an_output_in_a_missing_folder_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "does not exist" in refused(out=tmp_path / "absent" / "out.wav")
    assert "does not exist" in refused(save_run=tmp_path / "absent" / "run")


def test_an_output_that_is_not_a_wav_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    assert ".wav" in refused(out=tmp_path / "out.mp3")


def test_an_existing_run_folder_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").touch()
    assert "exists" in refused(save_run=tmp_path / "run")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    assert "a link" in refused(save_run=tmp_path / "link")


def test_a_text_of_unknown_letters_only_is_refused(refused: Callable[..., str]) -> None:
    """Texts in another script are refused by their language, and as English by their letters."""
    assert "speaks en and zh, and the text is Russian ('ru')" in refused("Привет, как у тебя дела сегодня?")
    assert "no letter or digit that the model" in refused("Привет, мир!", language="en")
    assert "no letter or digit that the model" in refused("今天天气好")


def test_unknown_letters_are_left_out_with_a_warning(llasa: Llasa) -> None:
    """The model would say something else for letters without a token."""
    with pytest.warns(UserWarning, match=r"м \(left out\).*ñ \(n\)|½ \(left out\)"):
        assert in_known_characters("hello мир ñandú", "the text", llasa, "en") == "hello nandu"
        assert in_known_characters("½ ﬁsh", "the text", llasa, "en") == "fish"
    assert in_known_characters("“don’t” (you)", "the text", llasa, "en") == "don't you"


def test_an_output_inside_the_run_folder_is_refused(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    assert "lies there" in refused(save_run=tmp_path / "run", out=tmp_path / "run" / "a.wav")
    assert "lies there" in refused(save_run=tmp_path / "a.wav", out=tmp_path / "a.wav")
    monkeypatch.chdir(tmp_path / "run")
    assert "the current folder" in refused(save_run=".")


@pytest.mark.parametrize("length", [250, 300, 5000])
def test_file_names_that_are_too_long_are_refused(
    refused: Callable[..., str], tmp_path: Path, length: int
) -> None:
    assert "too long" in refused(out=tmp_path / ("x" * length + ".wav"))
    assert "too long" in refused(save_run=tmp_path / ("x" * length))
    message = refused(prompt=tmp_path / ("x" * length + ".wav"), prompt_text="a")
    assert ("does not exist" if length < 255 else "too long") in message


@pytest.mark.parametrize("temperature", ["-1", "nan", "inf", "1e-38", "1e39"])
def test_invalid_temperatures_are_refused(refused: Callable[..., str], temperature: str) -> None:
    assert "temperature" in refused(temperature=temperature)


HUGE: Any = 10**400
"""No float is as large: converting it raises an OverflowError."""


def itself() -> list[Any]:
    """Returns a list that contains itself."""
    verifiers: list[Any] = ["pace"]
    verifiers.append(verifiers)
    return verifiers


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
        lambda: Sampling(max_seconds=HUGE),
        lambda: Sampling(top_k=HUGE),
        lambda: Budget(tokens=HUGE),
        lambda: Budget(seconds=HUGE),
        lambda: BestOfN(HUGE),
        lambda: as_reward({"pace": HUGE}),
        lambda: HUGE * Pace(),
        lambda: Pace() <= HUGE,
        lambda: as_reward(f"{HUGE} * pace"),
        lambda: as_reward(itself()),
        lambda: search.generate("a", seed=HUGE),
        lambda: search.generate("a", seed=2**64),
        lambda: search.generate("a", prompt="\0"),
        lambda: search.select(["\0"], "a", verifiers="pace"),
        lambda: pick_device(None),  # type: ignore[arg-type]
        lambda: pick_device("meta"),
        lambda: pick_device("privateuseone"),
        lambda: check_wav("\0.wav"),
        lambda: check_wav(b"a.wav"),  # type: ignore[arg-type]
        lambda: check_new_folder(3),  # type: ignore[arg-type]
        lambda: clean_text("a" * 100_001),
        lambda: clean_text("a\udce9"),
    ],
)
def test_arguments_of_a_wrong_type_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(InputError):
        make()


def test_an_unknown_option_exits_with_2(cli: Cli) -> None:
    assert cli("say", TEXT, "--width", 3).code == 2


def test_a_prompt_that_nothing_can_transcribe_is_refused(
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
def test_symbols_and_control_characters_are_left_out_with_a_warning(text: str, spoken: str) -> None:
    with pytest.warns(UserWarning, match="left out"):
        assert clean_text(text) == spoken


@pytest.mark.parametrize(
    "text", ["Grüße, мир 123!", "今天 OK 好。", "$5 + 3% = ?", "naïve cafe\u0301", "हिन्दी"]
)
def test_letters_and_combining_marks_of_all_scripts_are_kept(text: str) -> None:
    import unicodedata

    assert clean_text(text) == unicodedata.normalize("NFC", text)


def test_escape_sequences_are_left_out_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"U\+0007"):
        assert clean_text("hello \x07\x1b[31m world\x1b[0m") == "hello world"


@pytest.mark.parametrize("language", ["english", "EN", "", "xx", 3])
def test_a_language_that_is_no_code_of_the_list_is_refused(language: Any) -> None:
    for call in (
        lambda: search.generate("bonjour", language=language),
        lambda: search.select([(np.ones(16_000), 16_000)], "bonjour", language=language),
    ):
        with pytest.raises(InputError, match=r"give a code of Whisper's list, such as '(en|af)'"):
            call()


@pytest.mark.parametrize("text", [None, 3, b"bytes"])
def test_a_text_that_is_not_a_string_is_refused(text: Any) -> None:
    with pytest.raises(InputError, match="not a string"):
        clean_text(text)


def test_an_empty_transcript_is_refused(refused: Callable[..., str]) -> None:
    assert "--prompt-text is empty" in refused(prompt="slt", prompt_text=" ")

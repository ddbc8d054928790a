"""The command line: output, exit codes, options, progress."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from llasa_search.arrays import Audio
from llasa_search.result import SearchResult
from llasa_search.table import text_table

Cli = Callable[..., Any]
TEXT = "the captain found a coin"


@pytest.fixture
def say(cli: Cli, pair_path: Path, asr_path: Path, tmp_path: Path) -> Cli:
    """Runs `say` with random checkpoints; it writes `tmp_path/a.wav`."""

    def run(*arguments: object) -> Any:
        fixed = (
            "--model",
            pair_path,
            "--verifier",
            f"WER(model={str(asr_path)!r})",
            "--out",
            tmp_path / "a.wav",
        )
        return cli("say", *arguments, *fixed)

    return run


def test_say_writes_speech_and_prints_every_candidate(say: Cli, tmp_path: Path) -> None:
    done = say(TEXT, "-n", 3)
    assert done.code == 0, done.err
    assert soundfile.info(tmp_path / "a.wav").samplerate == 16_000
    lines = done.out.splitlines()
    assert lines[0].startswith("rank") and len(lines) == 5
    assert str(tmp_path / "a.wav") in lines[-1] and "stopped by" not in lines[-1]
    assert re.search(r"\(prefill \S+ s, sampling \S+ s, codec \S+ s, scoring \S+ s\)$", lines[-1])


def test_stderr_is_empty_if_it_is_not_a_terminal(say: Cli) -> None:
    """A log file gets neither a progress bar nor messages of loaders."""
    assert say(TEXT, "-n", 2).err == ""


def test_a_terminal_gets_a_progress_bar(pair_path: Path, asr_path: Path, tmp_path: Path) -> None:
    """The bar shows how many candidates have finished and been scored, and the best score."""
    terminal, stderr = pty.openpty()
    termios.tcsetwinsize(stderr, (24, 100))
    verifier = f"WER(model={str(asr_path)!r})=1"
    arguments = ["--model", pair_path, "--verifier", verifier, "-n", 2, "-o", tmp_path / "a.wav"]
    command = [sys.executable, "-m", "llasa_search", "say", TEXT, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, timeout=300)
    os.set_blocking(terminal, False)
    shown = os.read(terminal, 65_536).decode()
    os.close(stderr)
    os.close(terminal)
    assert done.returncode == 0 and "2 of 2" in shown and "2 scored, best WER(" in shown
    assert b"rank" in done.stdout and b"scored, best" not in done.stdout


def test_stdout_is_json(say: Cli) -> None:
    """With --json, stdout is one JSON document."""
    done = say(TEXT, "-n", 2, "--json")
    assert len(json.loads(done.out)["candidates"]) == 2


def test_whole_numbers_that_json_readers_round_are_text(say: Cli, tmp_path: Path) -> None:
    """JavaScript and jq read 2^53 + 1 as 2^53."""
    done = say(TEXT, "-n", 1, "--seed", 2**53 + 1, "--json", "--save-run", tmp_path / "run")
    printed = json.loads(done.out)
    assert printed["settings"]["seed"] == str(2**53 + 1)
    loaded = SearchResult.load_run(tmp_path / "run")
    assert printed["candidates"][0]["key"] == str(loaded.candidates[0].key)
    stored = json.loads((tmp_path / "run" / "run.json").read_text())
    assert stored["candidates"][0]["key"] == str(loaded.candidates[0].key)


@pytest.mark.parametrize("command", ["voices", "verifiers", "strategies"])
def test_lists_are_printed_as_json(cli: Cli, command: str) -> None:
    assert all(isinstance(each, dict) for each in json.loads(cli(command, "--json").out))


def test_save_run_writes_a_run_folder(say: Cli, tmp_path: Path) -> None:
    assert say(TEXT, "-n", 2, "--seed", 5, "--save-run", tmp_path / "run").code == 0
    loaded = SearchResult.load_run(tmp_path / "run")
    assert loaded.settings["seed"] == 5 and len(loaded.candidates) == 2


def test_options_reach_the_search(say: Cli, tmp_path: Path) -> None:
    sampling = ("--temperature", 0.5, "--top-p", 0.9, "--top-k", 50, "--repetition-penalty", 1.1)
    options = ("--strategy", "best_of_n:n=2", "--language", "en", "--device", "cpu", "--dtype", "float32")
    limits = ("--budget-seconds", 60, "--budget-tokens", 100_000)
    done = say(TEXT, *sampling, *options, *limits, "--json")
    settings = json.loads(done.out)["settings"]
    assert settings["sampling"]["temperature"] == 0.5 and settings["sampling"]["top_p"] == 0.9
    assert settings["sampling"]["top_k"] == 50 and settings["sampling"]["repetition_penalty"] == 1.1
    assert settings["budget"]["seconds"] == 60 and settings["budget"]["tokens"] == 100_000
    assert settings["strategy"] == "BestOfN(n=2, stop_at=None)"


def test_a_prompt_has_the_given_transcript(say: Cli, tmp_path: Path, noise: Callable[..., Audio]) -> None:
    soundfile.write(tmp_path / "voice.wav", noise(0.5), 22_050)
    done = say(TEXT, "-n", 1, "--prompt", tmp_path / "voice.wav", "--prompt-text", "a coin", "--json")
    assert json.loads(done.out)["voice"] == {"text": "a coin", "name": "voice"}


def test_repeated_verifiers_are_a_weighted_sum(
    cli: Cli, pair_path: Path, asr_path: Path, tmp_path: Path
) -> None:
    name = f"WER(model={str(asr_path)!r})"
    verifiers = ("--verifier", f"{name}=0.75", "--verifier", f"{name}=0.25")
    done = cli("say", TEXT, "-n", 1, "--model", pair_path, *verifiers, "-o", tmp_path / "a.wav", "--json")
    assert json.loads(done.out)["reward"] == f"0.75 * {name} + 0.25 * {name}"


def test_a_warning_is_one_line(say: Cli) -> None:
    done = say(TEXT + " 🙂", "-n", 1)
    assert done.code == 0 and done.err.startswith("warning: left out") and done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "known"),
    [("verifiers", "wer "), ("strategies", "best_of_n "), ("voices", "slt    neutral, ")],
)
def test_lists_name_what_is_installed(cli: Cli, command: str, known: str) -> None:
    done = cli(command)
    assert done.code == 0 and known in done.out


def test_module_runs_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "llasa_search", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "say" in done.stdout


def test_characters_that_a_terminal_cannot_print_become_question_marks() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "llasa_search", "say", "hello", "--verifier", "声音"]
    done = subprocess.run(command, capture_output=True, env=environment)
    assert done.returncode == 2 and b"verifier '??'" in done.stderr and b"Traceback" not in done.stderr


def test_check_exits_with_1_for_a_bad_checkpoint_and_2_for_an_unknown_name(cli: Cli, pair_path: Path) -> None:
    failed = cli("check", "--model", pair_path)
    assert failed.code == 1 and "FAIL" in failed.out.splitlines()[-1]
    assert cli("check", "--model", "tinny").code == 2


def test_tables_keep_wide_cells_whole_and_wrap_them_in_a_terminal() -> None:
    rows = [["name", "detail"], ["[bold]", "word " * 5000 + "end"], ["天气", ":smile:"]]
    heading, wide, last = text_table(rows).split("\n")
    assert heading == "name    detail" and last == "天气    :smile:"  # aligned by width, not by characters
    assert wide == "[bold]  " + "word " * 5000 + "end"
    assert max(map(len, text_table(rows, width=60).split("\n"))) <= 60

"""Hostile inputs and injected faults: each gives a result or one line, a documented exit code, and no other file."""

from __future__ import annotations

import io
import json
import os
import re
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import soundfile

from llasa_search.arrays import Audio

pytestmark = pytest.mark.slow

Run = Callable[..., Any]
TEXT = "one"
SECONDS = 20
"""An input that takes longer is counted as one that hangs."""

CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
LONG = "x" * 300
ESCAPE = "\x1b]0;title\x07\x1b[31m\x9b2J\u202e"
NOT_UTF8 = "caf\udce9"
DIGITS = "9" * 400

NUMBERS = [DIGITS, f"-{DIGITS}", "9" * 5000, "-1", "0", "nan", "inf", "1e400", "5e-324", "", "1,5", "0x10", ESCAPE,
           NOT_UTF8, LONG]  # fmt: skip
NUMERIC = ["-n", "--budget-tokens", "--budget-seconds", "--temperature", "--top-p", "--top-k", "--repetition-penalty",
           "--seed"]  # fmt: skip
TEXTS = ["", " ", "\x00", ESCAPE, NOT_UTF8, "one\udcff", "\ud800", "x" * 1_000_001, "one " * 30_000, "<|s_1|> one",
         "<|SPEECH_GENERATION_END|>", "\u202eone", "\u2028", "1" * 5000, "🙂", "{text}", "%s%n", "one\r\ntwo\x85",
         "天气", "\uffff", "o" + "\u0301" * 5000]  # fmt: skip
PATHS = ["", " ", "\0", "a\0b.wav", NOT_UTF8, f"{NOT_UTF8}.wav", LONG, f"{LONG}.wav", "x/" * 3000 + "a.wav", ESCAPE,
         f"{ESCAPE}.wav", "/dev/zero", "/dev/full", "/dev/null", "/proc/x.wav", "/", ".", "..", "~", "fifo",
         "fifo.wav", "folder", "folder.wav", "loop", "loop.wav", "absent/a.wav", "text.wav/a.wav", "text.wav",
         "http://a/b.wav", "-"]  # fmt: skip
NAMES = ["", " ", "\0", ESCAPE, NOT_UTF8, LONG, "x" * 300_000, "__class__", "wer.__init__", "None", "[]", "()",
         "(" * 5000, "pace" + " + pace" * 3000, f"{DIGITS} * pace", f"pace={DIGITS}", "pace=1e400", "pace=nan",
         "pace=-inf", "pace <= 1", "pace.given(pace <= nan)", "__import__('os').system('touch made')",
         "WER(model=__import__('os'))", "WER(model='\x1b[31m')", "WER(model='/dev/zero')",
         f"WER(model='{LONG}')"]  # fmt: skip
STRATEGIES = ["", ESCAPE, LONG, "best_of_n:n=" + DIGITS, "best_of_n:n=-1", "beam:width=0", "best_of_n:stop_at=pace",
              "best_of_n:n=__import__('os')", "best_of_n:" + "(" * 5000, "best_of_n:n=1," * 1000]  # fmt: skip
DEVICES = [
    "",
    "\0",
    ESCAPE,
    NOT_UTF8,
    LONG,
    "privateuseone",
    "meta",
    "cuda:99",
    "cpu:-1",
    "hpu",
    "None",
    DIGITS,
]
LANGUAGES = ["", "\0", ESCAPE, NOT_UTF8, LONG, "xx", "EN", "zh\n", "x" * 300_000]

SAYS = [
    *(("say", TEXT, option, value) for option in NUMERIC for value in NUMBERS),
    *(("say", "--", text) for text in TEXTS),
    *(
        ("say", TEXT, option, path)
        for option in ("--out", "--save-run", "--prompt", "--text-file")
        for path in PATHS
    ),
    *(
        ("say", TEXT, "--prompt", "slt", "--prompt-text", text)
        for text in ("", NOT_UTF8, "<|s_1|>", "x" * 200_000)
    ),
    *(("say", TEXT, "--verifier", name) for name in NAMES),
    *(("say", TEXT, "--strategy", name) for name in STRATEGIES),
    *(("say", TEXT, option, name) for option in ("--device", "--dtype") for name in DEVICES),
    *(("say", TEXT, "--language", name) for name in LANGUAGES),
    *(
        ("say", TEXT, option, name)
        for option in ("--model", "--codec")
        for name in (*PATHS[:12], *NAMES[:11])
    ),
]
OTHERS = [
    (), ("--", "--help"), (ESCAPE,), (NOT_UTF8,), (LONG,), ("say", "one", "two"), ("say", "--widht", "3"),
    ("say", f"--{ESCAPE}"), ("say", TEXT, "--top-k"), ("say", TEXT, "--json=yes"), ("say", "-", "--text-file", "a"),
    *(("trace", path) for path in PATHS),
    *(("score", path) for path in PATHS),
    *(("score", "meta.lst", option, path) for option in ("--wavs", "--out") for path in PATHS),
    *(("score", "meta.lst", "--language", name) for name in LANGUAGES),
    *(("score", "meta.lst", "--protocol", name) for name in NAMES[:7]),
    *(("check", "--model", name) for name in NAMES[:7]),
    *(("check", "--device", name) for name in DEVICES),
]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: Callable[..., Audio]) -> Path:
    """The current folder, with what a path should not be: FIFOs, folders, links to themselves, texts."""
    monkeypatch.chdir(tmp_path)
    for name in ("fifo", "fifo.wav"):
        os.mkfifo(name)
    for name in ("folder", "folder.wav"):
        os.mkdir(name)
        Path(name, "mine.txt").touch()
    for name in ("loop", "loop.wav"):
        os.symlink(name, name)
    Path("text.wav").write_text("not audio")
    soundfile.write("a.wav", noise(0.3), 16_000)
    Path("meta.lst").write_text("a|one|a.wav|one two three|a.wav\n")
    return tmp_path


@pytest.fixture
def harmless(cli: Run, place: Path, pair_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command with arguments that are valid where they are not given, and checks what must always hold."""
    defaults = {
        "say": (
            "--model",
            pair_path,
            "--verifier",
            "pace",
            "-n",
            1,
            "--budget-seconds",
            9,
            "--language",
            "en",
            "--out",
            "out.wav",
        ),
        "score": ("--verifier", "pace", "--language", "en", "--out", "scores"),
        "check": ("--model", pair_path, "--device", "nowhere"),
    }

    def run(*arguments: str, errors_are_lost: bool = False, in_memory: bool = False) -> Any:
        command, *given = arguments or ("",)
        added = list(map(str, defaults.get(command, ())))
        kept = [
            part
            for pair in zip(added[::2], added[1::2], strict=True)
            for part in pair
            if pair[0] not in given
        ]
        before = listed(place)
        out, err = io.StringIO(), io.StringIO()
        with time_limit(), monkeypatch.context() as patched:
            if in_memory:
                patched.setattr(sys, "stdout", out)
                patched.setattr(sys, "stderr", err)
            done = cli(*arguments[:1], *kept, *given)
            done = done._replace(out=done.out + out.getvalue(), err=done.err + err.getvalue())
        check(done, before, listed(place), errors_are_lost)
        return done

    return run


def listed(folder: Path) -> set[str]:
    return {
        os.path.join(root, name) for root, folders, files in os.walk(folder) for name in (*folders, *files)
    }


def check(done: Any, before: set[str], after: set[str], errors_are_lost: bool) -> None:
    """One line of at most 500 characters for an error, no control characters, nothing written but results."""
    assert done.code in (0, 1, 2), done
    assert before <= after
    assert not [name for name in after if name.endswith(".part")]
    errors = [line for line in done.err.splitlines() if not line.startswith("warning: ")]
    assert not CONTROL.search(done.out + done.err)
    assert max(map(len, done.err.splitlines()), default=0) <= 510
    if done.code == 0:
        assert not errors, done.err
    elif not errors_are_lost:
        assert len(errors) == 1 and errors[0].startswith("error: "), done.err
    if done.code == 2:
        assert after == before and done.out == ""


@contextmanager
def time_limit() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    "arguments", SAYS, ids=lambda given: repr(given[-2:])[:80].encode("ascii", "replace").decode()
)
def test_say(harmless: Run, arguments: tuple[str, ...]) -> None:
    harmless(*arguments)


@pytest.mark.parametrize(
    "arguments", OTHERS, ids=lambda given: repr(given[-3:])[:80].encode("ascii", "replace").decode()
)
def test_other_commands(harmless: Run, arguments: tuple[str, ...]) -> None:
    harmless(*arguments)


HUGE_FLAC = (
    b"fLaC\x00\x00\x00\x22\x10\x00\x10\x00" + bytes(6) + b"\x03\xe8\x00\xff\xff\xff\xff\xff" + bytes(16)
)
LINES = [
    b"", b"\n\n", b"\xff\xfe", b"|", b"a|", b"|a", b"a|b|c", b"a|one|two three|one", b"{", b"[]", b"{}", b"null", b"1",
    b'{"id": 1, "text": "one"}', b'{"id": "a", "text": ["one"]}', b'{"id": "a", "text": "one", "wav": 1}',
    b'{"id": "a", "text": "one", "wavs": {"a": 1}}', b'{"id": "a", "text": "one", "wav": "\\ud800"}',
    b'{"id": "a", "text": "one", "wav": "\\u0000"}', b'{"id": "\\ud800", "text": "one", "wav": "a.wav"}',
    b'{"id": "a", "text": "\\udc80", "wav": "a.wav"}', b'{"id": "a", "text": "one", "wav": "%s"}' % (b"x" * 300),
    b'{"id": "a", "text": "one", "wav": "a.wav", "x": %s}' % (b"[" * 200_000),
    b'{"id": "a", "text": "one", "wav": "a.wav", "x": %s}' % (b"1" * 5000),
    b'{"id": "a", "text": "%s", "wav": "a.wav"}' % (b"one " * 50_000),
    b'{"id": "a", "text": "one", "wav": "a.wav", "language": "xx"}',
    b'{"audio_filepath": "a.wav", "text": "one", "offset": 2}', b'{"audio_filepath": "", "text": "one"}',
    b"\x1b[31ma|one|\x1b[31m|two", b"a\x00b", b"x" * 1_100_000,
    b'{"id": "a", "text": "one", "wav": "fifo.wav"}', b'{"id": "a", "text": "one", "wav": "folder"}',
    b'{"id": "a", "text": "one", "wav": "/dev/zero"}', b'{"id": "a", "text": "one", "wav": "loop.wav"}',
    b'{"id": "a", "text": "one", "wav": "huge.flac"}',
    b'{"id": "\\u001b[2J", "text": "one", "wav": "text.wav"}', b'{"id": "a", "text": "one", "wav": "http://a/b.wav"}',
    b'{"id": "../../a", "text": "one", "wav": "text.wav"}',
]  # fmt: skip
"""Lines that are refused with their numbers, or recordings that fail alone."""


@pytest.mark.parametrize("line", range(len(LINES)))
def test_manifests(harmless: Run, line: int) -> None:
    """A list with one hostile line is refused, or all other lines are scored, also when the command is repeated."""
    Path("huge.flac").write_bytes(HUGE_FLAC)
    good = b'{"id": "good", "text": "one", "wav": "a.wav", "prompt": "a.wav"}'
    Path("list.jsonl").write_bytes(good + b"\n" + LINES[line])
    done = harmless("score", "list.jsonl")
    if done.code == 2:
        assert "list.jsonl, line 2" in done.err
        return
    assert done.code == 0 and "scored 1" in done.out
    assert harmless("score", "list.jsonl").code == 0
    records = [json.loads(line) for line in Path("scores/scores.jsonl").read_text().splitlines()]
    assert records[0]["recordings"][0]["status"] == "scored"


@contextmanager
def limited(kind: int, most: int) -> Iterator[None]:
    """Sets the soft limit of a resource: writing past RLIMIT_FSIZE fails as on a full disk."""
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


FILE_SIZES = [0, 1, 43, 44, 100, 400, 800, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 12_000]


@pytest.mark.parametrize("most", FILE_SIZES)
def test_a_full_disk_during_say(harmless: Run, most: int) -> None:
    """Every output is tried, each failure is named, and no half file is left."""
    with limited(resource.RLIMIT_FSIZE, most):
        done = harmless("say", TEXT, "--json", "--save-run", "run", in_memory=True)
    written = [name for name in ("out.wav", "run") if Path(name).exists()]
    named = [name for name in ("out.wav", "run") if f"{name} was not written: " in done.err]
    assert written == [name for name in ("out.wav", "run") if name not in named]
    assert done.code == (1 if named else 0)
    assert json.loads(done.out)["candidates"]


@pytest.mark.parametrize("most", FILE_SIZES)
def test_a_full_disk_during_score(harmless: Run, most: int) -> None:
    """The same command resumes when there is room."""
    with limited(resource.RLIMIT_FSIZE, most):
        done = harmless("score", "meta.lst", in_memory=True)
    assert done.code == (0 if Path("scores/summary.txt").exists() else 1)
    assert harmless("score", "meta.lst").code == 0
    assert len(Path("scores/scores.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("more", range(0, 10))
def test_no_file_can_be_opened(harmless: Run, more: int) -> None:
    """EMFILE at one place after the other."""
    used = len(os.listdir("/proc/self/fd"))
    for arguments in (("say", TEXT, "--save-run", "run"), ("score", "meta.lst"), ("trace", "run")):
        with limited(resource.RLIMIT_NOFILE, used + more):
            harmless(*arguments)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("kind", ["full", "broken pipe", "closed"])
@pytest.mark.parametrize(
    "arguments", [("say", TEXT, "--json"), ("score", "meta.lst"), ("say", TEXT, "-n", "0")]
)
def test_a_stream_that_cannot_be_written(
    harmless: Run, monkeypatch: pytest.MonkeyPatch, stream: str, kind: str, arguments: tuple[str, ...]
) -> None:
    """The files are written all the same; only a full standard output is an error, since what it held is lost."""
    reading, writing = os.pipe()
    os.close(reading)
    number = writing if kind == "broken pipe" else os.open("/dev/full", os.O_WRONLY)
    with os.fdopen(number, "w") as target:
        monkeypatch.setattr(sys, stream, None if kind == "closed" else target)
        done = harmless(*arguments, errors_are_lost=stream == "stderr")
    lost = (stream, kind) == ("stdout", "full")
    assert done.code == (2 if "0" in arguments else 1 if lost else 0)
    assert Path("out.wav").exists() == (arguments[-1] == "--json")
    assert Path("scores/summary.json").exists() == ("score" in arguments)


@pytest.mark.parametrize("after", [0.001, 0.01, 0.05, 0.1, 0.2])
@pytest.mark.parametrize(
    "arguments", [("say", "one " * 30, "-n", "64", "--save-run", "run"), ("score", "meta.lst")]
)
def test_ctrl_c(cli: Run, place: Path, pair_path: Path, after: float, arguments: tuple[str, ...]) -> None:
    """Nothing half is left, whenever it comes."""
    model = ("--model", pair_path) if arguments[0] == "say" else ()
    previous = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, after)
    try:
        done = cli(*arguments, *model, "--verifier", "pace")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert done.code in (0, 130) and done.err.count("\n") <= 1
    assert not list(place.rglob("*.part"))
    assert Path("out.wav").exists() or done.code == 130 or arguments[0] == "score"

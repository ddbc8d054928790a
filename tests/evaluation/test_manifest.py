"""Manifests: the published format, JSON lines, and errors that name the invalid line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from llasa_search.errors import InputError
from llasa_search.evaluation.manifest import Entry, read_manifest


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in lines))
    return path


def only(path: Path, wavs: Path | None = None) -> Entry:
    (entry,) = read_manifest(path, wavs)
    return entry


@pytest.mark.parametrize(
    ("line", "prompt", "prompt_text"),
    [
        ("a1|What they say.|prompts/p.wav|Say this.", "prompts/p.wav", "What they say."),
        ("a1|What they say.|prompts/p.wav|Say this.|human/a1.wav", "prompts/p.wav", "What they say."),
        ("a1|Say this.", None, None),
        ("a1.wav|Say this.|prompts/p.wav", "prompts/p.wav", None),
        (" a1 | What they say. | /elsewhere/p.wav | Say this. \r", "/elsewhere/p.wav", "What they say."),
    ],
)
def test_published_lists_are_read(
    tmp_path: Path, line: str, prompt: str | None, prompt_text: str | None
) -> None:
    """Fields come in seed-tts-eval's order; paths are relative to the manifest's folder."""
    read = only(write(tmp_path / "meta.lst", line), tmp_path)
    expected = None if prompt is None else tmp_path / prompt
    assert read == Entry("a1", "Say this.", None, (tmp_path / "a1.wav",), expected, prompt_text)


def test_without_a_folder_the_manifest_names_the_recordings(tmp_path: Path) -> None:
    assert only(write(tmp_path / "meta.lst", "a|b|c.wav|Say this.|human.wav")).wavs == (
        tmp_path / "human.wav",
    )


def test_json_lines_are_read(tmp_path: Path) -> None:
    lines = [
        {"id": "a", "text": "Say this.", "wav": "a.wav", "mos": 4.1},
        {"id": "b", "text": "OK", "wavs": ["x/b0.wav", "x/b1.wav"], "language": "zh", "prompt": "p.wav"},
        {
            "id": "c",
            "text": "今天天气好。",
            "wav": "/c.wav",
            "prompt": "p.wav",
            "prompt_text": "Hi.",
            "wavs": [],
        },
    ]
    a, b, c = read_manifest(write(tmp_path / "m.jsonl", *lines))
    assert a == Entry("a", "Say this.", None, (tmp_path / "a.wav",))
    assert b == Entry(
        "b", "OK", "zh", (tmp_path / "x/b0.wav", tmp_path / "x/b1.wav"), tmp_path / "p.wav", None
    )
    assert c == Entry("c", "今天天气好。", None, (Path("/c.wav"),), tmp_path / "p.wav", "Hi.")


def test_a_given_folder_takes_precedence_over_recordings_in_the_manifest(tmp_path: Path) -> None:
    """The recording in the folder is scored, and not the human recording in the list."""
    path = write(tmp_path / "m.jsonl", {"id": "a", "text": "Say this.", "wav": "human.wav"})
    assert only(path, tmp_path).wavs == (tmp_path / "a.wav",)


def test_blank_lines_and_a_byte_order_mark_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "meta.lst").write_bytes("\ufeffa|Say this.\r\n\r\nb|今天\u2028天气。".encode())
    assert [(each.id, each.text) for each in read_manifest(tmp_path / "meta.lst", tmp_path)] == [
        ("a", "Say this."),
        ("b", "今天天气。"),
    ]


@pytest.mark.parametrize(
    ("name", "line", "complaint"),
    [
        ("meta.lst", "only-an-id", "1 fields"),
        ("meta.lst", "a|b|c.wav|one | two|d.wav", "6 fields"),
        ("meta.lst", "|Say this.", "no id"),
        ("meta.lst", "a|", "no text"),
        ("meta.lst", "a|...", "nothing to say"),
        ("meta.lst", "a|Say this.", "names no recording"),
        ("meta.lst", "good|b|c.wav|Again.|d.wav", "earlier line"),
        ("m.jsonl", "{", "not JSON"),
        ("m.jsonl", "[]", "not a JSON object"),
        ("m.jsonl", {"text": "Say this.", "wav": "a.wav"}, "no id"),
        ("m.jsonl", {"id": 7, "text": "Say this.", "wav": "a.wav"}, "id=7 is not a string"),
        ("m.jsonl", {"id": "a", "wav": "a.wav"}, "no text"),
        ("m.jsonl", {"id": "a", "text": "Say this."}, "names no recording"),
        ("m.jsonl", {"id": "a", "text": "Say this.", "wavs": "a.wav"}, "not a list of paths"),
        ("m.jsonl", {"id": "a", "text": "Say this.", "wavs": [1]}, "not a list of paths"),
        ("m.jsonl", {"id": "a", "text": "Say this.", "wav": "a.wav", "wavs": ["b.wav"]}, "both wav and wavs"),
        ("m.jsonl", {"id": "a", "text": "Say this.", "wav": "a.wav", "language": "xx"}, "'xx'"),
    ],
)
def test_the_error_names_the_invalid_line(tmp_path: Path, name: str, line: object, complaint: str) -> None:
    good = "good|b|c.wav|Say this.|d.wav"
    if name == "m.jsonl":
        good = json.dumps({"id": "good", "text": "Say this.", "wav": "d.wav"})
    with pytest.raises(InputError, match=complaint) as refused:
        read_manifest(write(tmp_path / name, good, line))
    assert f"{tmp_path / name}, line 2: " in str(refused.value)


def test_the_error_names_a_line_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "meta.lst").write_bytes(b"a|Say this.\nb|\xff\xfe\n")
    with pytest.raises(InputError, match=r"line 2 is not text in UTF-8"):
        read_manifest(tmp_path / "meta.lst", tmp_path)


def test_a_file_that_is_not_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_manifest(tmp_path / "absent.lst", tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(tmp_path, tmp_path)
    with pytest.raises(InputError, match="is empty"):
        read_manifest(write(tmp_path / "meta.lst", ""), tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        read_manifest(write(tmp_path / "meta.lst", "a|Say this."), tmp_path / "absent")


def test_a_bar_in_a_text_is_refused(tmp_path: Path) -> None:
    """A text is not split at a bar (the WER of a correct recording was 0.8)."""
    for line in (
        "slt|He said that the basement | was modern and rusty.",
        "slt|He said|that the basement|was modern.",
        "slt|Hello.|p.wav|He said that the basement|was modern.",
    ):
        with pytest.raises(InputError, match=r"line 1: 'was modern.*|line 1: 'that.* a text cannot contain"):
            read_manifest(write(tmp_path / "meta.lst", line), tmp_path)


def test_a_prompt_without_a_usual_ending_is_read_if_it_exists(tmp_path: Path) -> None:
    (tmp_path / "prompt").touch()
    assert (
        only(write(tmp_path / "meta.lst", "a|Hi.|prompt|Say this."), tmp_path).prompt == tmp_path / "prompt"
    )


@pytest.mark.parametrize("name", ["caf\u00e9.flac", "cafe\u0301.WAV", "caf\u00e9.Ogg", "cafe\u0301.mp3"])
def test_recordings_of_usual_endings_are_found_by_id(tmp_path: Path, name: str) -> None:
    """Both Unicode forms of an accented letter are found (they counted as missing)."""
    (tmp_path / name).touch()
    for identity in ("caf\u00e9", "cafe\u0301"):
        path = write(tmp_path / "meta.lst", f"{identity}|Say this.")
        assert only(path, tmp_path).wavs == (tmp_path / name,)
        named = write(
            tmp_path / "m.jsonl", {"id": "a", "text": "Hi.", "wav": identity + name[name.index(".") :]}
        )
        assert only(named).wavs == (tmp_path / name,)


def test_two_recordings_of_one_id_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "a.flac").touch()
    with pytest.raises(InputError, match=r"line 1: .*a\.flac and a\.wav for one id"):
        read_manifest(write(tmp_path / "meta.lst", "a|Say this."), tmp_path)


def test_nemo_manifests_are_read(tmp_path: Path) -> None:
    line = {"audio_filepath": "wavs/a1.wav", "text": "Say this.", "duration": 1.5}
    assert only(write(tmp_path / "manifest.json", line)) == Entry(
        "a1", "Say this.", None, (tmp_path / "wavs/a1.wav",)
    )
    with pytest.raises(InputError, match=r"line 1: offset=3\.5"):
        read_manifest(write(tmp_path / "manifest.json", {**line, "offset": 3.5}))


def test_kaldi_lists_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "text", "a1 Say this.", "a2\tThat  too.")
    assert [entry.wavs for entry in read_manifest(path, tmp_path)] == [
        (tmp_path / "a1.wav",),
        (tmp_path / "a2.wav",),
    ]
    write(tmp_path / "wav.scp", "a2 /there/a2.flac", "a1 here.wav")
    first, second = read_manifest(path)
    assert first == Entry("a1", "Say this.", None, (tmp_path / "here.wav",))
    assert second == Entry("a2", "That too.", None, (Path("/there/a2.flac"),))


def test_commands_and_segments_of_kaldi_are_refused(tmp_path: Path) -> None:
    """Nothing in a manifest is executed."""
    path = write(tmp_path / "text", "a1 Say this.")
    write(tmp_path / "wav.scp", "a1 touch made |")
    with pytest.raises(InputError, match=r"wav\.scp, line 1: .* not a command"):
        read_manifest(path)
    (tmp_path / "segments").touch()
    with pytest.raises(InputError, match="segments"):
        read_manifest(path)


def test_a_language_is_given_for_all_lines_or_by_a_line(tmp_path: Path) -> None:
    lines = [
        {"id": "a", "text": "OK", "wav": "a.wav"},
        {"id": "b", "text": "OK", "wav": "b", "language": "en"},
    ]
    path = write(tmp_path / "m.jsonl", *lines)
    assert [entry.language for entry in read_manifest(path, language="zh")] == ["zh", "en"]


HALF = "a\\ud800"
GOOD = '{"id": "good", "text": "Say this.", "wav": "d.wav"}'


@pytest.mark.parametrize(
    "line",
    [
        f'{{"id": "{HALF}", "text": "Say this.", "wav": "a.wav"}}',
        f'{{"id": "a", "text": "{HALF}", "wav": "a.wav"}}',
        f'{{"id": "a", "text": "Say this.", "wav": "{HALF}"}}',
        f'{{"id": "a", "text": "Say this.", "wavs": ["b.wav", "{HALF}"]}}',
        f'{{"id": "a", "text": "Say this.", "wav": "a.wav", "prompt": "{HALF}"}}',
        f'{{"id": "a", "text": "Say this.", "wav": "a.wav", "prompt_text": "{HALF}"}}',
        f'{{"id": "a", "text": "Say this.", "wav": "a.wav", "language": "{HALF}"}}',
        '{"id": "a", "text": "Say this.", "wav": "a\\u0000.wav"}',
        f'{{"id": "a", "text": "Say this.", "wav": "{"x" * 300}.wav"}}',
        f'{{"id": "a", "text": "Say this.", "wav": "a.wav", "prompt": "{"é" * 130}.wav"}}',
        '{"id": "goo\\u0064", "text": "Say this.", "wav": "a.wav"}',
        '{"id": "a", "text": "Say this.", "wav": "a.wav", "x": ' + "[" * 100_000 + "}",
        '{"id": "a", "text": "Say this.", "wav": "a.wav", "x": ' + "1" * 5000 + "}",
        '{"id": "a", "text": "' + "Say this. " * 20_000 + '", "wav": "a.wav"}',
        '{"id": "a", "text": "' + "Say this. " * 110_000 + '", "wav": "a.wav"}',
    ],
)
def test_a_hostile_line_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    """The error names the line (each of these ended the run with a traceback or after a long wait)."""
    with pytest.raises(InputError, match=r"m\.jsonl, line 2"):
        read_manifest(write(tmp_path / "m.jsonl", GOOD, line))


@pytest.mark.parametrize("name", ["../a", "/a", "x" * 252, "a/../../b", "a\0b"])
def test_an_id_that_cannot_be_a_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"line 1: "):
        read_manifest(write(tmp_path / "m.jsonl", {"id": name, "text": "Say this."}), tmp_path)


def test_a_manifest_that_never_ends_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 10**12)
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path / "sparse"):
        with pytest.raises(InputError, match=r"cannot be read|longer than"):
            read_manifest(path, tmp_path)

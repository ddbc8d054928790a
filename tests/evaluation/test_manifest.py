"""Manifests: the published format, JSON lines, and errors that name the invalid line."""

from __future__ import annotations

import json
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
    assert read == Entry("a1", "Say this.", "en", (tmp_path / "a1.wav",), expected, prompt_text)


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
    assert a == Entry("a", "Say this.", "en", (tmp_path / "a.wav",))
    assert b == Entry(
        "b", "OK", "zh", (tmp_path / "x/b0.wav", tmp_path / "x/b1.wav"), tmp_path / "p.wav", None
    )
    assert c == Entry("c", "今天天气好。", "zh", (Path("/c.wav"),), tmp_path / "p.wav", "Hi.")


def test_a_given_folder_takes_precedence_over_recordings_in_the_manifest(tmp_path: Path) -> None:
    """The human's recording must not be scored as the synthesiser's."""
    path = write(tmp_path / "m.jsonl", {"id": "a", "text": "Say this.", "wav": "human.wav"})
    assert only(path, tmp_path).wavs == (tmp_path / "a.wav",)


def test_blank_lines_and_a_byte_order_mark_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "meta.lst").write_bytes("\ufeffa|Say this.\r\n\r\nb|今天\u2028天气。".encode())
    assert [(each.id, each.language) for each in read_manifest(tmp_path / "meta.lst", tmp_path)] == [
        ("a", "en"),
        ("b", "zh"),
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
        ("m.jsonl", {"id": "a", "text": "Say this.", "wav": "a.wav", "language": "fr"}, "'fr'"),
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
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(tmp_path / "absent.lst", tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(tmp_path, tmp_path)
    with pytest.raises(InputError, match="is empty"):
        read_manifest(write(tmp_path / "meta.lst", ""), tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        read_manifest(write(tmp_path / "meta.lst", "a|Say this."), tmp_path / "absent")

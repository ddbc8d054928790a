"""Formats of lists. Each line is parsed into fields, which have the names of JSON lines.

A format is a function that makes the parser of a file's lines; `parser_of` chooses it. Fields are `id`, `text`,
`wav` or `wavs`, `prompt`, `prompt_text` and `language`; no format has all of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, TypeAlias

from llasa_search.errors import InputError, short_repr
from llasa_search.storage.reading import open_regular

Fields: TypeAlias = Mapping[str, Any]
Parser: TypeAlias = Callable[[str], Fields]

MAX_LINE = 1_000_000
"""Bytes of one line; the longest text has 400,000."""

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".aif", ".aiff", ".au", ".sph")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines of a file that are not blank, stripped, with their numbers from 1.

    Raises:
        InputError: the file cannot be read or is not a regular file, or a line is not UTF-8 or over 1 MB.
    """
    with open_regular(path, f"the list {path}") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), start=1):
            if len(line) > MAX_LINE:
                raise InputError(f"{path}, line {number} is longer than {MAX_LINE:,} bytes")
            try:
                text = line.decode("utf-8-sig").strip()
            except UnicodeDecodeError as error:
                message = f"{path}, line {number} is not text in UTF-8: save the file in UTF-8"
                raise InputError(message) from error
            if text:
                yield number, text


def parser_of(path: Path, lines: Sequence[str]) -> Parser:
    """Returns the parser of a list.

    Args:
        path: a list that ends in `.jsonl`, or whose first line starts with a brace, holds JSON lines.
        lines: those of the file. One with a `|` makes it a list of columns; else it is Kaldi's.
    """
    if path.suffix.lower() == ".jsonl" or lines[0].startswith("{"):
        return parse_json
    if any("|" in line for line in lines):
        return columns_of(path)
    return kaldi_of(path)


def parse_json(line: str) -> Fields:
    """Returns the fields of a JSON line: our own, or one of a NeMo manifest.

    NeMo has `audio_filepath` for `wav`, and no `id`: the file's name without its ending is taken.

    Raises:
        InputError: it is not a JSON object, or a NeMo line is a part of a recording.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
        raise InputError(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise InputError('not a JSON object such as {"id": "a", "text": "Hello.", "wav": "a.wav"}')
    wav = fields.get("audio_filepath")
    if not isinstance(wav, str):
        return fields
    if fields.get("offset"):
        raise InputError(f"offset={short_repr(fields['offset'])}: cut the recording into one file per line")
    return {"id": PurePath(wav).stem, "wav": wav, **fields}


def columns_of(path: Path) -> Parser:
    """Returns the parser of seed-tts-eval's lists (https://github.com/BytedanceSpeech/seed-tts-eval).

    A line is `id|prompt text|prompt wav|text`, optionally with a human's recording as a fifth field; or, as its
    scripts also accept, `id|text` and `id|text|prompt wav`. A file must be one that exists, or have the ending of
    a recording; without this rule, a text with a `|` would be split there.
    """

    def parse(line: str) -> Fields:
        match [column.strip() for column in line.split("|")]:
            case [name, text]:
                fields = {"id": name, "text": text}
            case [name, text, prompt]:
                fields = {"id": name, "text": text, "prompt": prompt}
            case [name, prompt_text, prompt, text, *wav] if len(wav) < 2:
                fields = {"id": name, "text": text, "prompt": prompt, "prompt_text": prompt_text}
                fields |= {"wav": wav[0]} if wav else {}
            case columns:
                raise InputError(
                    f"{len(columns)} fields: give id|prompt text|prompt wav|text, and optionally a recording "
                    "as a fifth field (texts cannot contain '|')"
                )
        for name in ("prompt", "wav"):
            if fields.get(name) and not _is_recording(path.parent / fields[name]):
                raise InputError(
                    f"{short_repr(fields[name])} stands where a recording's path belongs, and is neither a file "
                    "nor named as one: a text cannot contain '|', except in JSON lines"
                )
        return fields | {"id": fields["id"].removesuffix(".wav")}

    return parse


def _is_recording(path: Path) -> bool:
    return path.suffix.lower() in AUDIO_SUFFIXES or os.path.isfile(path)


def kaldi_of(path: Path) -> Parser:
    """Returns the parser of Kaldi's `text`: an id, white space, and the text.

    A `wav.scp` beside it names the recordings: an id, white space, and a path. Commands, which Kaldi
    would run, are refused.

    Raises:
        InputError: `wav.scp` cannot be read, or `segments` cuts its recordings into utterances.
    """
    wavs = dict[str, str]()
    scp = path.parent / "wav.scp"
    if scp.exists():
        if (path.parent / "segments").exists():
            raise InputError(f"{path.parent / 'segments'} cuts recordings: make one file of each utterance")
        for number, line in read_lines(scp):
            name, wav = _two(line)
            if not wav or wav.endswith("|"):
                raise InputError(f"{scp}, line {number}: give an id and the path of a file, not a command")
            wavs[name] = wav

    def parse(line: str) -> Fields:
        name, text = _two(line)
        return {"id": name, "text": text, "wav": wavs.get(name)}

    return parse


def _two(line: str) -> tuple[str, str]:
    """Splits a line at its first white space."""
    name, *rest = line.split(maxsplit=1)
    return name, rest[0] if rest else ""

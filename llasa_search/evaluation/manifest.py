"""Reads manifests, which list texts and their recordings: seed-tts-eval's `meta.lst`, or JSON lines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llasa_search.errors import InputError
from llasa_search.text.cleaning import clean_text
from llasa_search.text.language import language_of


@dataclass(frozen=True)
class Entry:
    """One text, and its recordings.

    Attributes:
        id: unique in the manifest.
        text: what the recordings should say.
        language: "en" or "zh".
        wavs: paths of the recordings: one, several candidates, or none yet. The files need not exist.
        prompt: a recording of the voice that they should have, or None.
        prompt_text: the transcript of the prompt, or None.
    """

    id: str
    text: str
    language: str
    wavs: tuple[Path, ...]
    prompt: Path | None = None
    prompt_text: str | None = None


def read_manifest(
    path: str | os.PathLike[str],
    wavs: str | os.PathLike[str] | None = None,
    recorded: bool = True,
    language: str | None = None,
) -> list[Entry]:
    """Reads a manifest. Paths in it are relative to its folder; blank lines are ignored.

    A file that ends in `.jsonl` holds one object per line: `id` and `text`; `wav` (a path) or `wavs` (a list
    of paths); and optionally `prompt` (a path), `prompt_text` and `language` ("en" or "zh"). Other fields are
    ignored. Any other file is a list as in seed-tts-eval (https://github.com/BytedanceSpeech/seed-tts-eval):
    `id|prompt text|prompt wav|text`, optionally with a human's recording as a fifth field; or, as its scripts
    also accept, `id|text` and `id|text|prompt wav`.

    Args:
        path: the manifest, in UTF-8.
        wavs: a folder that holds the recording of each entry as `<id>.wav`. None: the manifest names the
            recordings.
        recorded: whether each entry must have recordings.
        language: of lines without one; None detects it.

    Raises:
        InputError: the manifest cannot be read, or a line is invalid; the message names the file and line.
    """
    path, folder = Path(path), None if wavs is None else Path(wavs)
    if folder is not None and not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give the one that holds the recordings as <id>.wav")
    parse = _object if path.suffix.lower() == ".jsonl" else _columns
    entries: dict[str, Entry] = {}
    for number, line in read_lines(path):
        try:
            entry = _entry({"language": language, **parse(line)}, path.parent, folder)
            if recorded and not entry.wavs:
                raise InputError(
                    "it names no recording: give the folder that holds the recordings (--wavs DIR)"
                )
            if entry.id in entries:
                raise InputError(
                    f"the id {entry.id!r} is already used on an earlier line: ids must be unique"
                )
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
        entries[entry.id] = entry
    if not entries:
        raise InputError(f"{path} is empty: a manifest has one utterance per line")
    return list(entries.values())


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines of a file that are not blank, stripped, with their numbers from 1.

    Raises:
        InputError: the file cannot be read, or a line is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"the list {path} cannot be read: {error.strerror}") from error
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            text = line.decode("utf-8-sig").strip()
        except UnicodeDecodeError as error:
            raise InputError(f"{path}, line {number} is not text in UTF-8: save the file in UTF-8") from error
        if text:
            yield number, text


def _columns(line: str) -> Mapping[str, Any]:
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
    return fields | {"id": fields["id"].removesuffix(".wav")}


def _object(line: str) -> Mapping[str, Any]:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise InputError('not a JSON object such as {"id": "a", "text": "Hello.", "wav": "a.wav"}')
    return fields


def _entry(fields: Mapping[str, Any], parent: Path, folder: Path | None) -> Entry:
    name, text = _string(fields, "id"), _string(fields, "text")
    if not name or not text:
        raise InputError(f"no {'text' if name else 'id'}")
    prompt = _string(fields, "prompt")
    text = clean_text(text)
    return Entry(
        id=name,
        text=text,
        language=language_of(text, _string(fields, "language")),
        wavs=_own_wavs(fields, parent) if folder is None else (folder / f"{name}.wav",),
        prompt=parent / prompt if prompt else None,
        prompt_text=_string(fields, "prompt_text"),
    )


def _own_wavs(fields: Mapping[str, Any], parent: Path) -> tuple[Path, ...]:
    if fields.get("wav") and fields.get("wavs"):
        raise InputError("both wav and wavs: give one of them")
    wavs = fields.get("wavs") or [path for path in [_string(fields, "wav")] if path]
    if not isinstance(wavs, list) or not all(isinstance(path, str) and path for path in wavs):
        raise InputError(f"wavs={wavs!r:.80} is not a list of paths")
    return tuple(parent / path for path in wavs)


def _string(fields: Mapping[str, Any], name: str) -> str | None:
    """Returns the field, or None if it is absent, null or empty."""
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{name}={value!r:.80} is not a string")
    return value or None

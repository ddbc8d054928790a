"""Reads manifests, which list texts and their recordings; for the formats, see `evaluation.list_formats`."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llasa_search.errors import InputError, short_repr
from llasa_search.evaluation.list_formats import Fields, parser_of, read_lines
from llasa_search.text.cleaning import clean_text
from llasa_search.text.language import require_language

BESIDE = (".wav", ".flac", ".ogg", ".mp3")
"""Endings, in any case, of recordings that are found by an id."""

MAX_NAME = 255
"""Bytes of a file's name, in common file systems."""

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Entry:
    """One text, and its recordings.

    Attributes:
        id: unique in the manifest.
        text: what the recordings should say.
        language: as given; None to detect it once the verifiers are known.
        wavs: paths of the recordings: one, several candidates, or none yet. The files need not exist.
        prompt: a recording of the voice that they should have, or None.
        prompt_text: the transcript of the prompt, or None.
    """

    id: str
    text: str
    language: str | None
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

    JSON lines hold one object each: `id` and `text`; `wav` (a path) or `wavs` (a list of paths); and optionally
    `prompt` (a path), `prompt_text` and `language` (a code of Whisper's list). Other fields are ignored. NeMo's
    manifests, seed-tts-eval's lists and Kaldi's `text` with `wav.scp` are also read.

    Args:
        path: the manifest, in UTF-8.
        wavs: a folder that holds the recording of each entry as `<id>.wav`, `.flac`, `.ogg` or `.mp3`. None: the
            manifest names the recordings.
        recorded: whether each entry must have recordings.
        language: of lines without one.

    Raises:
        InputError: the manifest cannot be read, or a line is invalid; the message names the file and line.
    """
    path, folder = Path(path), None if wavs is None else _Folder(Path(wavs))
    lines = list(read_lines(path))
    if not lines:
        raise InputError(f"{path} is empty: a manifest has one utterance per line")
    parse = parser_of(path, [line for _, line in lines])
    entries: dict[str, Entry] = {}
    for number, line in lines:
        try:
            entry = _entry(parse(line), path.parent, folder, language)
            if recorded and not entry.wavs:
                raise InputError(
                    "it names no recording: give the folder that holds the recordings (--wavs DIR)"
                )
            if _composed(entry.id) in entries:
                raise InputError(
                    f"the id {short_repr(entry.id)} is already used on an earlier line: ids must be unique"
                )
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
        entries[_composed(entry.id)] = entry
    return list(entries.values())


class _Folder:
    """A folder with recordings, found by their ids."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise InputError(f"{path} is not a folder: give the one that holds the recordings as <id>.wav")
        self._path = path
        self._found: dict[Path, dict[str, list[Path]]] = {}

    def recording(self, name: str) -> Path:
        """Returns the path of an id's recording; `<id>.wav` if there is none.

        Raises:
            InputError: there are several, or the id leads out of the folder.
        """
        if os.path.isabs(name) or ".." in Path(name).parts:
            raise InputError(f"the id {short_repr(name)} leads out of the folder {self._path}")
        usual = _checked(self._path / f"{name}.wav")
        if usual.parent not in self._found:
            self._found[usual.parent] = _recordings(usual.parent)
        match self._found[usual.parent].get(_composed(usual.name.removesuffix(".wav")), []):
            case []:
                return usual
            case [found]:
                return found
            case several:
                names = " and ".join(sorted(each.name for each in several))
                raise InputError(f"{usual.parent} holds {names} for one id: keep one of them")


def _recordings(folder: Path) -> dict[str, list[Path]]:
    """Returns the recordings in a folder by their composed names without ending."""
    found = defaultdict[str, list[Path]](list)
    try:
        for name in os.listdir(folder):
            stem, ending = os.path.splitext(name)
            if ending.lower() in BESIDE:
                found[_composed(stem)].append(folder / name)
    except OSError:  # a missing folder holds no recordings
        pass
    return found


def _composed(text: str) -> str:
    """Returns text with each accented letter as one character; some systems store two, and both look the same."""
    return unicodedata.normalize("NFC", text)


def _entry(fields: Fields, parent: Path, folder: _Folder | None, language: str | None) -> Entry:
    name, text = _string(fields, "id"), _string(fields, "text")
    if not name or not text:
        raise InputError(f"no {'text' if name else 'id'}")
    prompt, text = _string(fields, "prompt"), clean_text(text)
    if given := _string(fields, "language") or language:
        require_language(given)
    return Entry(
        id=name,
        text=text,
        language=given,
        wavs=tuple(_own_wavs(fields, parent)) if folder is None else (folder.recording(name),),
        prompt=_path(parent, prompt) if prompt else None,
        prompt_text=_string(fields, "prompt_text"),
    )


def _own_wavs(fields: Fields, parent: Path) -> Iterator[Path]:
    if fields.get("wav") and fields.get("wavs"):
        raise InputError("both wav and wavs: give one of them")
    wavs = fields.get("wavs") or [path for path in [_string(fields, "wav")] if path]
    if not isinstance(wavs, list) or not all(isinstance(path, str) and path for path in wavs):
        raise InputError(f"wavs={short_repr(wavs)} is not a list of paths")
    return (_path(parent, _utf8(wav, "wavs")) for wav in wavs)


def _path(parent: Path, name: str) -> Path:
    """Returns the path of a file, as it is stored if that is another form of the same accented letters."""
    path = _checked(parent / name)
    forms = [path, *(parent / unicodedata.normalize(form, name) for form in ("NFC", "NFD"))]
    return next((form for form in forms if os.path.exists(form)), path)


def _checked(path: Path) -> Path:
    if "\0" in str(path) or any(len(os.fsencode(part)) > MAX_NAME for part in path.parts):
        raise InputError(
            f"{short_repr(path.name)} cannot be a file: a name has at most {MAX_NAME} bytes, and no NUL"
        )
    return path


def _string(fields: Fields, name: str) -> str | None:
    """Returns the field, or None if it is absent, null or empty."""
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{name}={short_repr(value)} is not a string")
    return _utf8(value or "", name) or None


def _utf8(text: str, name: str) -> str:
    if surrogate := _SURROGATE.search(text):
        code = ord(surrogate.group())
        raise InputError(f"{name}={short_repr(text)} is not UTF-8: it holds half a character, U+{code:04X}")
    return text

"""Writes files and folders atomically, after checks that run before a search.

What is written has a temporary name beside its own until it is complete: `.NAME.XXXXXXXX.part`. A process that
is killed leaves it behind, and the next write to the same place removes it, once it is an hour old.
"""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llasa_search.arrays import Audio
from llasa_search.errors import InputError
from llasa_search.storage.reading import as_path
from llasa_search.table import printable

TEMPORARY = ".part"
ABANDONED_SECONDS = 3600
"""Temporary files that have not changed for this long are left by a process that was killed."""


def check_wav(path: str | os.PathLike[str]) -> Path:
    """Returns the path of a `.wav` file, after checking that it can be written.

    Raises:
        InputError: it has another ending, exists and is not a file, or its folder does not exist or is not
            writable.
    """
    path = as_path(path)
    if path.suffix.lower() != ".wav":
        raise InputError(
            f"cannot write {path}: the output is a wav file, so give it a name that ends in .wav"
        )
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"cannot write {path}: it is {'a folder' if path.is_dir() else 'not a file'}")
    return check_writable(path)


def check_new_folder(path: str | os.PathLike[str], replaces: str = "") -> Path:
    """Returns the path of a folder, after checking that it is absent or empty and can be made.

    Args:
        path: of the folder.
        replaces: a folder that holds a file of this name may exist; `new_folder` replaces it.

    Raises:
        InputError: the path exists and may not be replaced, or its parent is missing or not writable.
    """
    path = as_path(path)
    if os.path.islink(path):
        raise InputError(f"cannot write {path}: it is a link; give a new folder")
    try:
        if os.path.exists(path) and os.path.samefile(path, os.curdir):
            raise InputError(f"cannot write {path}: it is the current folder; give a new one")
        used = os.path.exists(path) and not (path.is_dir() and not any(path.iterdir()))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    if used and not (replaces and (path / replaces).is_file()):
        why = f"it exists and has no {replaces}" if replaces else "it exists"
        raise InputError(f"cannot write {path}: {why}; give a new folder")
    return check_writable(path)


def check_writable(path: Path) -> Path:
    """Returns the path, after checking that something can be made beside it.

    Raises:
        InputError: its folder does not exist, or is not writable.
    """
    try:  # the only reliable test is to write
        parent = path.absolute().parent
        if not os.path.isdir(parent):
            raise InputError(f"cannot write {path}: the folder {parent} does not exist")
        os.rmdir(_temporary_folder(path))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    return path


def write_wav(path: Path, audio: Audio, sample_rate: int, subtype: str = "PCM_16") -> Path:
    """Writes float32 mono [samples] as a wav file; samples outside [-1, 1] are clipped."""
    import soundfile

    content = io.BytesIO()  # soundfile takes only names in UTF-8, and its errors are not OSErrors
    soundfile.write(content, audio, sample_rate, format="WAV", subtype=subtype)
    return write_bytes(path, content.getvalue())


def to_json(content: object, indent: int | None = None) -> str:
    """Returns one JSON document; what UTF-8 cannot hold, as in names of files, and control characters are escaped."""
    return printable(json.dumps(content, indent=indent, ensure_ascii=False), lines=True, json=True)


def write_text(path: Path, text: str) -> Path:
    """Writes a file in UTF-8; an existing file is replaced."""
    return write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> Path:
    """Writes a file atomically; an existing file is replaced.

    Raises:
        OSError: it cannot be written.
    """
    _remove_abandoned(path)
    temporary = _temporary_name(path)
    try:
        with open(temporary, "xb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    return path


@contextmanager
def new_folder(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yields a temporary folder, which is moved to `path` unless the block raises.

    Args:
        path: absent, or an empty folder.
        overwrite: whether a folder there is replaced.
    """
    _remove_abandoned(path)
    temporary = Path(_temporary_folder(path))
    try:
        yield temporary
        (_replace_folder if overwrite and path.is_dir() else os.replace)(temporary, path)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def _replace_folder(new: Path, path: Path) -> None:
    old = _temporary_folder(path)
    os.rmdir(old)
    os.rename(path, old)
    try:
        os.replace(new, path)
    except BaseException:
        os.rename(old, path)
        raise
    shutil.rmtree(old)


def _temporary_folder(path: Path) -> str:
    name = _temporary_name(path)
    os.mkdir(name)
    return name


def _temporary_name(path: Path) -> str:
    return os.path.join(path.absolute().parent, f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")


def _remove_abandoned(path: Path) -> None:
    """Removes temporary files and folders that a killed process has left beside `path`."""
    temporary = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}{re.escape(TEMPORARY)}")
    with os.scandir(path.absolute().parent) as entries:
        for entry in entries:
            if not temporary.fullmatch(entry.name):
                continue
            if time.time() - entry.stat(follow_symlinks=False).st_mtime > ABANDONED_SECONDS:
                remove = shutil.rmtree if entry.is_dir(follow_symlinks=False) else os.unlink
                remove(entry.path)

"""Writes files and folders atomically, after checks that run before a search."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llasa_search.arrays import Audio
from llasa_search.errors import InputError


def check_wav(path: str | os.PathLike[str]) -> Path:
    """Returns the path of a `.wav` file, after checking that it can be written.

    Raises:
        InputError: it has another ending, is a folder, or its folder does not exist or is not writable.
    """
    path = Path(path)
    if path.suffix.lower() != ".wav":
        raise InputError(
            f"cannot write {path}: the output is a wav file, so give it a name that ends in .wav"
        )
    if os.path.isdir(path):
        raise InputError(f"cannot write {path}: it is a folder")
    return _check_parent(path)


def check_new_folder(path: str | os.PathLike[str]) -> Path:
    """Returns the path of a folder, after checking that it is absent or empty and can be made.

    Raises:
        InputError: the path exists and is not an empty folder, or its parent is missing or not writable.
    """
    path = Path(path)
    if path.resolve() == Path.cwd():
        raise InputError(f"cannot write {path}: it is the current folder; give a new one")
    if os.path.islink(path):
        raise InputError(f"cannot write {path}: it is a link; give a new folder")
    if os.path.exists(path) and not (path.is_dir() and not any(path.iterdir())):
        raise InputError(f"cannot write {path}: it exists; give a new folder")
    return _check_parent(path)


def _check_parent(path: Path) -> Path:
    parent = path.absolute().parent
    if not os.path.isdir(parent):
        raise InputError(f"cannot write {path}: the folder {parent} does not exist")
    try:  # the only reliable test is to write
        os.rmdir(tempfile.mkdtemp(dir=parent, prefix=f".{path.name}."))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    return path


def write_wav(path: Path, audio: Audio, sample_rate: int, subtype: str = "PCM_16") -> Path:
    """Writes float32 mono [samples] as a wav file; samples outside [-1, 1] are clipped."""
    import soundfile

    with _replacing(path) as temporary:
        soundfile.write(temporary, audio, sample_rate, format="WAV", subtype=subtype)
    return path


def write_text(path: Path, text: str) -> Path:
    """Writes a file in UTF-8; an existing file is replaced."""
    with _replacing(path) as temporary:
        Path(temporary).write_text(text, "utf-8")
    return path


@contextmanager
def _replacing(path: Path) -> Iterator[str]:
    """Yields a temporary file, which replaces `path` unless the block raises."""
    handle, temporary = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    try:
        os.close(handle)
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder, which is moved to `path` unless the block raises."""
    temporary = Path(tempfile.mkdtemp(dir=path.absolute().parent, prefix=f".{path.name}."))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary)
        raise


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask

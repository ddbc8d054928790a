"""Reads files that others may have written: regular files only, and no more than a stated size.

Everything that opens a file to read it does so here, except libraries that read checkpoints; those get their folders
from `checkpoints.hub`, which checks them.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from llasa_search.errors import InputError, short_repr

MAX_TEXT = 64 * 2**20
"""Bytes of the longest JSON, YAML or text file that is read: a run of 10,000 rows has about 10 MB."""


def as_path(given: object) -> Path:
    """Returns a path.

    Raises:
        InputError: it is not text, or cannot be a path.
    """
    try:
        text = os.fspath(given)  # type: ignore[call-overload]
        if isinstance(text, str) and "\0" not in text:
            return Path(text)
    except TypeError:
        pass
    raise InputError(f"{short_repr(given)} is not a path")


@contextmanager
def open_regular(path: str | os.PathLike[str], what: str) -> Iterator[BinaryIO]:
    """Opens a regular file to read. Others could block, as a FIFO does, or never end.

    Args:
        path: of the file.
        what: its name in messages.

    Raises:
        InputError: it does not exist, cannot be read, or is not a regular file.
    """
    require_regular(path, what)  # opening a device can change its state
    try:
        with open(as_path(path), "rb", opener=_without_waiting) as file:
            _require_mode(os.fstat(file.fileno()).st_mode, what)
            yield file
    except OSError as error:
        raise InputError(f"{what} cannot be read: {error.strerror or error}") from error


def require_regular(path: str | os.PathLike[str], what: str) -> None:
    """Checks that a path leads to a regular file.

    Raises:
        InputError: there is none, or it is a folder, a FIFO, a device or a socket.
    """
    try:
        mode = os.stat(as_path(path)).st_mode
    except FileNotFoundError as error:
        raise InputError(f"{what} does not exist") from error
    except OSError as error:
        raise InputError(f"{what} cannot be read: {error.strerror or error}") from error
    _require_mode(mode, what)


def own_file(folder: Path, name: str) -> Path:
    """Returns the path of a file in a folder that others may have written.

    Raises:
        InputError: it is a link, which could lead out of the folder.
    """
    if os.path.islink(path := folder / name):
        raise InputError(f"{path} is a link: give a folder without links")
    return path


def read_regular(path: str | os.PathLike[str], what: str, most: int = MAX_TEXT) -> bytes:
    """Returns the content of a regular file of at most `most` bytes.

    Raises:
        InputError: as of `open_regular`, or it is larger.
    """
    with open_regular(path, what) as file:
        content = file.read(min(most, os.fstat(file.fileno()).st_size) + 1)
    if len(content) > most:
        raise InputError(f"{what} has more than {most:,} bytes")
    return content


def read_text(path: str | os.PathLike[str], what: str) -> str:
    """Returns the text of a regular file, without a byte order mark.

    Raises:
        InputError: as of `read_regular`, or it is not UTF-8.
    """
    try:
        return read_regular(path, what).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"{error.reason} at byte {error.start}"
        raise InputError(f"{what} is not UTF-8 ({reason}): save it as UTF-8") from error


def read_json(path: str | os.PathLike[str], what: str) -> Any:
    """Returns the content of a JSON file.

    Raises:
        InputError: as of `read_text`, or it is not JSON.
    """
    text = read_text(path, what)
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise InputError(f"{what} is not JSON that can be read: it is nested too deeply") from error
    except ValueError as error:  # also a whole number of more than 4,300 digits
        raise InputError(f"{what} is not JSON: {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def _require_mode(mode: int, what: str) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    kind = kinds.get(stat.S_IFMT(mode), "a device")
    raise InputError(f"{what} cannot be read: it is {kind}; give a regular file")


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))

"""Reads `arrays.npz`, which others may have written: one-dimensional arrays of numbers, of bounded size."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from llasa_search.errors import InputError
from llasa_search.storage.reading import open_regular
from llasa_search.storage.run_schema import DamagedFile

Array: TypeAlias = NDArray[Any]

MAX_BYTES = 2**30
"""Bytes of all arrays together: the codes of 745 hours of speech, and their log-probabilities."""


def read_arrays(path: Path) -> dict[str, Array]:
    """Returns the arrays of a file that `numpy.savez_compressed` has written, by name.

    Raises:
        DamagedFile: it cannot be read, holds anything else, or more than 1 GiB.
    """
    try:
        with open_regular(path, str(path)) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > MAX_BYTES:
                raise DamagedFile(f"{path} has more than {MAX_BYTES:,} bytes of arrays")
            return {member.filename.removesuffix(".npy"): _array(archive.read(member)) for member in members}
    except DamagedFile:
        raise
    except InputError as error:
        raise DamagedFile(str(error)) from error
    except Exception as error:  # each method of compression raises other errors
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DamagedFile(f"{path} is damaged: {reason}") from error


def _array(content: bytes) -> Array:
    """Returns the array of an npy file; memory is not allocated by its header."""
    file = io.BytesIO(content)
    if (version := npy.read_magic(file)) != (1, 0):
        raise ValueError(f"an array has the version {version}")
    shape, _, dtype = npy.read_array_header_1_0(file)
    values = content[file.tell() :]
    if len(shape) != 1 or dtype not in (np.int32, np.float32) or shape[0] * dtype.itemsize != len(values):
        raise ValueError(f"an array of shape {shape!r:.50} and type {dtype!s:.50} has {len(values)} bytes")
    return np.frombuffer(values, dtype).copy()

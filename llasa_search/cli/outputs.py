"""Checks the outputs of a search before it starts, and writes each of them after it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from llasa_search.errors import InputError, LlasaSearchError
from llasa_search.storage.files import check_wav
from llasa_search.storage.reading import as_path
from llasa_search.storage.run_folder import check_run_folder


def check_outputs(out: Path, save_run: Path | None, overwrite: bool, prompt: str | None) -> None:
    """Refuses paths that cannot be written, before anything is searched.

    Args:
        out: the wav file.
        save_run: the run folder, or None.
        overwrite: whether the run folder may exist.
        prompt: the recording of the voice, which is not overwritten.

    Raises:
        InputError: a path cannot be written, or one output lies in another.
    """
    check_wav(out)
    if prompt and os.path.realpath(as_path(prompt)) == os.path.realpath(out):
        raise InputError(f"--out {out} is the prompt's own recording: give another file")
    if save_run is not None:
        check_run_folder(save_run, overwrite)
        real, folder = Path(os.path.realpath(out)), Path(os.path.realpath(save_run))
        if folder in (real, *real.parents):
            raise InputError(f"--save-run {save_run} must be a new folder, and {out} lies there")


def write_all(outputs: Mapping[str, Callable[[], object]]) -> None:
    """Writes every output, also after one of them has failed.

    Args:
        outputs: for each name, the function that writes it.

    Raises:
        LlasaSearchError: names each output that could not be written.
    """
    failures = []
    for name, output in outputs.items():
        try:
            output()
        except (LlasaSearchError, OSError) as error:
            failures.append(f"{name} was not written: {error}")
    if failures:
        raise LlasaSearchError("; ".join(failures))

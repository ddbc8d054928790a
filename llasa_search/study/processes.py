"""Runs jobs in several single-threaded processes."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TypeVar

from filelock import FileLock, Timeout

from llasa_search.errors import InputError, LlasaSearchError

J = TypeVar("J")
R = TypeVar("R")


def run_jobs(
    work: Callable[[J], R], jobs: Sequence[J], named: str, processes: int, hidden: str = ""
) -> Iterator[R]:
    """Yields each job's result in order, with a progress bar.

    Args:
        work: a function of a module. Several processes import that module again, so a script must keep its
            work behind `if __name__ == "__main__":`.
        jobs: the arguments of `work`.
        named: label of the progress bar.
        processes: number of single-threaded processes; 1 runs all jobs in this process. They end with this one.
        hidden: pattern of warnings that are not shown; "" shows all.

    Raises:
        LlasaSearchError: a process died, for example for lack of memory.
    """
    from tqdm import tqdm

    if processes == 1:
        with warnings.catch_warnings():
            _hide(hidden)
            yield from map(work, tqdm(jobs, named, disable=None))
        return
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin, (hidden,))
    try:
        with _single_threaded():
            done = pool.map(work, jobs)  # starts the processes
        yield from tqdm(done, named, len(jobs), disable=None)
    except BrokenProcessPool as error:
        raise LlasaSearchError(
            f"one of {processes} processes died, possibly for lack of memory: finished work is kept, so "
            "run this again, with fewer processes if necessary"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(hidden: str) -> None:
    """Prepares a process: it ends as soon as the one that started it has ended, even if that was killed."""
    _hide(hidden)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    Thread(target=end_with_parent, daemon=True).start()


def _hide(warnings_like: str) -> None:
    if warnings_like:
        warnings.filterwarnings("ignore", warnings_like)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a folder for one study; the system ends that when the process ends, even if it is killed.

    Raises:
        InputError: another study holds it.
    """
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"another study is running in {folder}: wait until it has ended, or give another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Limits processes that start inside the block to one thread each, so that they do not compete for cores."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before

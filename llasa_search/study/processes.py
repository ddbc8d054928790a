"""Runs jobs in several single-threaded processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from llasa_search.errors import LlasaSearchError

J = TypeVar("J")
R = TypeVar("R")


def run_jobs(work: Callable[[J], R], jobs: Sequence[J], named: str, processes: int) -> Iterator[R]:
    """Yields each job's result in order, with a progress bar.

    Args:
        work: a function of a module. Several processes import that module again, so a script must keep its
            work behind `if __name__ == "__main__":`.
        jobs: the arguments of `work`.
        named: label of the progress bar.
        processes: number of single-threaded processes; 1 runs all jobs in this process.

    Raises:
        LlasaSearchError: a process died, for example for lack of memory.
    """
    from tqdm import tqdm

    if processes == 1:
        yield from map(work, tqdm(jobs, named, disable=None))
        return
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))
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

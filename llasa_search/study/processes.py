"""Work that is run_jobs over processes, each of one thread."""

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
    """Yields each job's result in order, with a progress bar called `named`.

    Args:
        work: a module's function, for with several processes it runs in fresh ones, which import that module
            again: a script keeps what it does behind `if __name__ == "__main__":`.
        jobs: what it is called with.
        named: what the jobs are.
        processes: how many run at once, each in one thread; 1 leaves all threads to this process.

    Raises:
        LlasaSearchError: a process died, as those do that the system kills for want of memory.
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
            f"one of {processes} processes died, perhaps for want of memory: what was done is kept, so run "
            "this again, with fewer processes if need be"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """What starts meanwhile has one thread: several a process would wait for each other's cores."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before

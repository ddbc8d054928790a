"""Jobs that run in several processes."""

from __future__ import annotations

import os
import signal

import pytest

from llasa_search.errors import LlasaSearchError
from llasa_search.study.processes import run_jobs


def _threads(job: int) -> tuple[int, str]:
    return job, os.environ["OMP_NUM_THREADS"]


def _killed(job: int) -> int:
    if job == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return job


def test_results_come_in_order_from_processes_of_one_thread() -> None:
    """Each process has one thread, and the caller's own setting is restored."""
    before = os.environ.get("OMP_NUM_THREADS")
    assert list(run_jobs(_threads, range(5), "jobs", 2)) == [(job, "1") for job in range(5)]
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_a_process_that_is_killed_ends_the_work() -> None:
    """A process killed by the system raises an error instead of blocking."""
    with pytest.raises(LlasaSearchError, match=r"one of 2 processes died.*run this again"):
        list(run_jobs(_killed, range(5), "jobs", 2))

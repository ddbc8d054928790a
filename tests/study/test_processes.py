"""Jobs that run in several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from llasa_search.errors import InputError, LlasaSearchError
from llasa_search.study.processes import locked, run_jobs


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


WORK = """
import sys, time
from llasa_search.study.processes import run_jobs

def work(seconds):
    time.sleep(seconds)

if __name__ == "__main__":
    for _ in run_jobs(work, [0, *[600] * 5], "jobs", 2):
        print("begun", flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_processes_end_with_the_one_that_started_them(how: signal.Signals, tmp_path: Path) -> None:
    """They finished all that was queued, and held the memory and the pipes of the study."""
    (tmp_path / "script.py").write_text(WORK)
    started = subprocess.Popen([sys.executable, "script.py"], cwd=tmp_path, stdout=subprocess.PIPE)
    assert started.stdout is not None and started.stdout.readline() == b"begun\n"
    workers = psutil.Process(started.pid).children(recursive=True)
    assert len(workers) >= 2
    started.send_signal(how)
    started.wait(30)
    started.stdout.close()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


def test_a_folder_is_held_by_one_study(tmp_path: Path) -> None:
    """A second study is refused at once; after the first has been killed, the folder is free."""
    hold = "import pathlib, time\nfrom llasa_search.study.processes import locked\n"
    hold += "with locked(pathlib.Path('.')):\n print('held', flush=True)\n time.sleep(600)"
    other = subprocess.Popen([sys.executable, "-c", hold], cwd=tmp_path, stdout=subprocess.PIPE)
    assert other.stdout is not None and other.stdout.readline() == b"held\n"
    began = time.monotonic()
    with pytest.raises(InputError, match="another study is running in"), locked(tmp_path):
        pass
    assert time.monotonic() - began < 5
    other.kill()
    other.wait(30)
    other.stdout.close()
    with locked(tmp_path):
        pass

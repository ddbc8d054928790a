"""Several threads of one process search and score at the same time, with the results of one thread."""

from __future__ import annotations

import json
import pickle
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch

from llasa_search import search
from llasa_search.candidate import Score, Utterance
from llasa_search.llasa.model import Llasa
from llasa_search.sampling import Sampling
from llasa_search.search import Searcher
from llasa_search.verifiers import WER, CTCAlignment, Verifier
from llasa_search.voice import Voice
from tests.helpers.verifiers import Frames

T = TypeVar("T")
THREADS = 8
SHORT = Sampling(min_seconds=0.1, max_seconds=0.6)


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Returns the results of the calls; each runs in its own thread, and all start together."""
    barrier = threading.Barrier(len(calls))

    def begin(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(begin, calls))


PROGRAM = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from llasa_search import Budget, search
from llasa_search.search import Searcher
from llasa_search.voice import Voice

REWARD = "wer + likelihood + ctc + speaker + emotion"
voice = Voice.builtin("slt")
shared, stdout = Searcher(verifiers=REWARD), sys.stdout
wavs = [(voice.audio[:end], 16_000) for end in (None, 24_000, 32_000)]
options = {"budget": Budget(candidates=2), "seed": 3}
ways = [
    lambda: search.generate("One coin.", voice, verifiers=REWARD, **options),
    lambda: shared.generate("One coin.", voice, **options),
    lambda: search.select(wavs, voice.text, voice, verifiers=REWARD),
]
barrier = Barrier(8)


def found(i):
    result = ways[i % 3]()
    return [
        (each.codes.tolist(), each.reward, {name: score.value for name, score in each.scores.items()})
        for each in result.candidates
    ]


def first(i):
    barrier.wait()
    return found(i)


with ThreadPoolExecutor(8) as pool:
    several = list(pool.map(first, range(8)))
same = sys.stdout is stdout
print(json.dumps({"several": several, "one": [found(i) for i in range(3)], "same": same}))
"""


@pytest.mark.slow
def test_the_first_calls_of_eight_threads_give_the_results_of_one(tmp_path: Path) -> None:
    """Codes, rewards and scores equal those of one thread (the WER was 1.0 to 2.6, or an import failed)."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["same"]
    assert found["several"] == [found["one"][i % 3] for i in range(THREADS)]


def test_one_verifier_may_be_used_by_many_threads_without_a_search() -> None:
    """Each thread's transcripts and scores are those of one thread, and the recogniser is loaded once."""
    voices = [Voice.builtin(name) for name in Voice.builtins()[:3]]
    audios, rates = [voice.audio for voice in voices], [16_000] * 3
    utterances = [Utterance(voice.text or "", "en", voice.audio, 16_000) for voice in voices]
    wer, ctc = WER(), CTCAlignment()

    def scores() -> tuple[list[str], list[float], object]:
        transcripts = wer.transcribe(audios, rates, "en")
        return transcripts, [score.value for score in ctc.score(utterances)], wer._asr

    several = at_once([scores] * THREADS)
    assert several == [scores()] * THREADS
    assert [pickle.loads(pickle.dumps(each)) for each in (wer, ctc)] == [wer, ctc]  # for another process
    assert all(len(transcript.split()) > 4 for transcript in several[0][0])


class ChangesState(Frames):
    """Prints, and changes random states, the number of threads, the default type and standard output."""

    def load(self) -> None:
        self._change_state()

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        self._change_state()
        return super().score(utterances)

    def _change_state(self) -> None:
        print("a plug-in prints")
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.set_default_dtype(torch.float64)
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_plug_in_in_one_thread_changes_nothing_in_the_others(llasa: Llasa) -> None:
    """Codes, log-probabilities and rewards are those of one thread; the process is left as it was."""
    voice = Voice.builtin("slt")

    def searched(verifier: Verifier) -> list[tuple[list[int], list[float], float]]:
        result = Searcher(llasa, verifier, "best_of_n:n=3", gate=None).generate(
            "a coin", voice, sampling=SHORT
        )
        return [(each.codes.tolist(), each.logprobs.tolist(), each.reward) for each in result.candidates]

    alone, streams, threads = searched(Frames()), (sys.stdin, sys.stdout, sys.stderr), torch.get_num_threads()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    verifiers: list[Verifier] = [ChangesState(), Frames(), ChangesState(), *[Frames() for _ in range(5)]]
    assert at_once([lambda each=each: searched(each) for each in verifiers]) == [alone] * THREADS  # type: ignore[misc]
    assert (sys.stdin, sys.stdout, sys.stderr) == streams
    assert torch.get_default_dtype() == torch.float32 and torch.get_num_threads() == threads
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == threads
    assert torch.equal(torch.rand(1), expected)


def test_threads_that_start_together_load_a_model_once(
    pair_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of eight first calls loads the model, and the others use it."""
    loads, load = list[object](), Llasa.from_pretrained

    def counted(*args: Any, **kwargs: Any) -> Llasa:
        loads.append(args)
        return load(*args, **kwargs)

    monkeypatch.setattr(Llasa, "from_pretrained", counted)

    def call() -> list[list[int]]:
        result = search.generate("a coin", model=pair_path, verifiers=Frames(), sampling=SHORT)
        return [each.codes.tolist() for each in result.candidates]

    search.unload()
    assert at_once([call] * THREADS) == [call()] * THREADS
    search.unload()
    assert len(loads) == 1


def test_a_forked_process_can_use_torch(tmp_path: Path) -> None:
    """A process that is forked after torch has used two threads computes (it waited forever for them)."""
    program = """
import os, signal
import torch
torch.set_num_threads(2)
import llasa_search
torch.ones(2_000_000).exp().sum()
child = os.fork()
if not child:
    signal.alarm(60)
    torch.ones(2_000_000).exp().sum()
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, timeout=200)
    assert done.stdout == b"0\n", done.stderr

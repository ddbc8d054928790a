"""A search ends at most one call after the wall limit, whatever is slow, and keeps its candidates."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from llasa_search.budget import Budget
from llasa_search.candidate import Score, Utterance
from llasa_search.engine.language_model import LanguageModel
from llasa_search.llasa.model import Llasa
from llasa_search.result import SearchError, SearchResult
from llasa_search.sampling import Sampling
from llasa_search.search import Searcher
from llasa_search.strategies.testing import MeanPower
from tests.conftest import Outcome
from tests.helpers.stepping import TEXT, VOICE

LIMIT = 8.0
TENTH = LIMIT / 10
ENDLESS = Sampling(min_seconds=3, max_seconds=3)
STRATEGIES = [
    "best_of_n:n=4",
    "best_of_n:n=40,stop_at=pace<=-1",
    "beam:width=4,expand=4,step_tokens=5",
    "beam:width=2,expand=2,step_tokens=5,lookahead=3",
    "dvts:width=4,expand=2,step_tokens=5",
    "particle:n=4,step_tokens=5",
    "rejection:n=6,step_tokens=5",
    "in_context_steps:n=2,width=2",
]
every = pytest.mark.parametrize("strategy", STRATEGIES)


class Clock:
    """Replaces time.perf_counter; slow functions advance it.

    Attributes:
        calls: for each slow call, its kind, when it started, its units of work and its seconds.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[str, float, int, float]] = []

    def __call__(self) -> float:
        return self.now

    def slowed(
        self, kind: str, function: Callable[..., Any], units: Callable[..., int], seconds: float
    ) -> Any:
        """Returns the function, which now takes a twentieth of a second and `seconds` per unit."""

        def slow(*arguments: Any) -> Any:
            count = units(*arguments)
            self.calls.append((kind, self.now, count, 0.05 + seconds * count))
            self.now += 0.05 + seconds * count
            return function(*arguments)

        return slow

    def last(self, kind: str) -> float:
        """Returns when the last call of a kind began."""
        return max((start for each, start, *_ in self.calls if each == kind), default=0.0)


class SlowPower(MeanPower):
    """Takes the time that `delay` adds."""

    delay: Callable[[int], None]

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        self.delay(len(utterances))
        return super().score(utterances)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


@pytest.fixture
def search(llasa: Llasa, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SearchResult]:
    """Returns a function that searches within `LIMIT`, with seconds per prompt token, row, frame and utterance."""

    def run(
        strategy: str,
        token: float = 0.0,
        row: float = 0.0,
        frame: float = 0.0,
        utterance: float = 0.0,
        **options: Any,
    ) -> SearchResult:
        model, codec = llasa.language_model, llasa.codec
        for owner, name, kind, units, seconds in (
            (model, "prefill", "prefill", lambda ids, before=None: len(ids), token),
            (model, "step", "step", lambda tokens, cache: len(tokens), row),
            (codec, "decode", "codec", lambda rows, context=None: sum(map(len, rows)), frame),
        ):
            monkeypatch.setattr(owner, name, clock.slowed(kind, getattr(owner, name), units, seconds))
        verifier = SlowPower()
        verifier.delay = clock.slowed("verifier", lambda count: None, int, utterance)
        searcher = Searcher(llasa, verifier, strategy, gate=None)
        given = {"prompt": VOICE, "sampling": ENDLESS, "budget": Budget(seconds=LIMIT), **options}
        return searcher.generate(TEXT, **given)

    return run


@every
def test_no_token_is_sampled_after_the_limit(
    strategy: str, search: Callable[..., SearchResult], clock: Clock
) -> None:
    """A row that cannot end in time is cut at the limit, decoded, and returned unscored.

    Before, one row was sampled to its end: for 25 s here.
    """
    with pytest.warns(UserWarning, match="limit of 8 seconds passed"):
        result = search(strategy, token=0.001, row=0.03)
    assert clock.last("step") < LIMIT and clock.now < LIMIT + TENTH + 0.1  # a step, and decoding one row
    (only,) = result.candidates
    assert (only.finish_reason, result.stopped_by) == ("length", "seconds")
    assert np.isnan(only.reward) and {score.status for score in only.scores.values()} == {"skipped"}
    assert 10 < len(only.codes) < 150 and len(result.audio) == 320 * len(only.codes)
    assert result.trace.nodes[only.index].end == "finished"


@every
@pytest.mark.filterwarnings("ignore:the limit of 8 seconds")
@pytest.mark.parametrize("slow", [{"utterance": 0.7}, {"frame": 0.01}])
def test_slow_verifiers_and_codecs_end_in_time(
    strategy: str, slow: dict[str, float], search: Callable[..., SearchResult], clock: Clock
) -> None:
    """Nothing is scored after the limit; a call of the verifier or the codec has one row where two take too long.

    Before, all 16 rows of a beam were scored in one call.
    """
    short = Sampling(min_seconds=0.3, max_seconds=0.6)
    result = search(strategy, **slow, sampling=short)
    assert clock.last("step") < LIMIT and clock.last("verifier") < LIMIT
    assert clock.now < LIMIT + 2 * TENTH  # the last call of the verifier or codec, and decoding one row
    assert result.candidates and len(result.audio)
    for _, _, units, seconds in clock.calls:
        assert seconds <= TENTH or units <= 120  # frames of one row and its context


@pytest.mark.filterwarnings("ignore:the limit of 8 seconds")
def test_no_step_takes_more_than_a_tenth_of_the_limit(
    search: Callable[..., SearchResult], clock: Clock
) -> None:
    """64 rows of 0.02 s each are stepped in groups: together they would take 1.3 s of 8."""
    search("beam:width=8,expand=8", row=0.02, token=0.02)
    steps = [(units, seconds) for kind, _, units, seconds in clock.calls if kind == "step"]
    assert max(units for units, _ in steps) >= 8
    assert max(seconds for _, seconds in steps) <= TENTH


def test_a_prompt_is_prefilled_in_parts_and_given_up_at_the_limit(
    search: Callable[..., SearchResult], clock: Clock
) -> None:
    """A prefill of 70 tokens at 0.15 s each, which takes 10 s, stops at the limit of 8 s."""
    with pytest.raises(SearchError, match="nothing finished within the budget of seconds"):
        search("best_of_n:n=4", token=0.15)
    assert LIMIT <= clock.now < LIMIT + TENTH


def test_the_parts_of_a_prompt_give_the_logits_of_the_whole(llasa: Llasa) -> None:
    import torch

    ids = torch.arange(40) % 30
    whole = llasa.language_model.prefill(ids)
    parts = llasa.language_model.prefill(ids[:7])
    for start, stop in ((7, 8), (8, 30), (30, 40)):
        parts = llasa.language_model.prefill(ids[start:stop], parts)
    torch.testing.assert_close(parts.logits, whole.logits, rtol=1e-5, atol=1e-5)
    for some, all_of_it in zip((*parts.keys, *parts.values), (*whole.keys, *whole.values), strict=True):
        torch.testing.assert_close(some, all_of_it, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:the limit of 8 seconds")
def test_a_long_text_keeps_its_accepted_steps(search: Callable[..., SearchResult], clock: Clock) -> None:
    """In-context steps: when the limit passes in a later step, the accepted steps are returned."""
    result = search("in_context_steps:n=2", row=0.03, sampling=Sampling(min_seconds=0.4, max_seconds=1))
    assert clock.last("step") < LIMIT and result.stopped_by == "seconds"
    assert 0 < len(result.best.history) < 3 and result.best.finish_reason == "length"


def test_the_command_line_writes_truncated_speech(
    pair_path: Path,
    tmp_path: Path,
    clock: Clock,
    cli: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`say -n 4 --budget-seconds 8` with a model that takes 0.2 s per step: exit code 0, and a wav file."""
    step = clock.slowed("step", LanguageModel.step, lambda model, tokens, cache: len(tokens), 0.04)
    monkeypatch.setattr(LanguageModel, "step", step)
    out = tmp_path / "o.wav"
    options = ("--model", pair_path, "--verifier", "signal", "-n", 4, "--budget-seconds", LIMIT, "-o", out)
    code, printed, _ = cli("say", "The captain found a silver coin near the lake.", *options)
    assert code == 0 and "stopped by seconds" in printed
    assert 0 < soundfile.info(out).duration < 1 and clock.last("step") < LIMIT

"""The guard ends rows that repeat themselves or are silent, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llasa_search.generation.guard import why_ended
from llasa_search.llasa.model import Llasa
from llasa_search.result import SearchResult
from llasa_search.sampling import Sampling
from llasa_search.search import Searcher
from llasa_search.strategies.testing import MeanCode
from tests.conftest import Outcome
from tests.helpers.stepping import TEXT, VOICE
from tests.helpers.tiny_random import write_pair

pytestmark = pytest.mark.filterwarnings("ignore:temperature=0 takes")

LOOPING = Sampling(temperature=0, min_seconds=6, max_seconds=6)
"""Greedy sampling from `looping_path` repeats one code."""


class Numbers(NamedTuple):
    """What the guard needs of a codec: that of X-codec2."""

    frame_rate: float = 50.0
    sample_rate: int = 16_000
    codebook_size: int = 65_536


def found(codes: np.ndarray, level: np.ndarray | float = 0.1) -> list[str | None]:
    """Returns why each row [rows, length] is ended, if its frames are noise of this level."""

    def decode(row: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(0).standard_normal((len(row), 320))
        return (noise * np.broadcast_to(level, len(row))[:, None]).ravel().astype(np.float32)

    reasons = why_ended(codes.astype(np.int32), decode, Numbers())  # type: ignore[arg-type]
    return [reasons.get(row) for row in range(len(codes))]


@settings(max_examples=30)
@given(st.integers(2, 100), st.integers(0, 2**32 - 1))
def test_exact_and_near_repetition_of_any_period_is_found(period: int, seed: int) -> None:
    """So is a sound that wanders among eight codes; other speech is not a loop."""
    rng = np.random.default_rng(seed)
    other, loop = rng.integers(0, 65_536, 225), np.resize(rng.integers(0, 65_536, period), 225)
    near = np.where(rng.random(225) < 0.03, other, loop)
    held = rng.choice(rng.integers(0, 65_536, 8), 225)
    assert found(np.stack([loop, near, held, other])) == ["loop", "loop", "loop", None]


@pytest.mark.parametrize(("seconds", "reason"), [(1.6, None), (2.5, "loop")])
def test_a_row_must_repeat_itself_for_some_time(seconds: float, reason: str | None) -> None:
    """A part of 0.4 s, said once and then repeated for so long after other speech."""
    codes = np.random.default_rng(0).integers(0, 65_536, 120)
    assert found(np.concatenate([codes, np.resize(codes[-20:], round(50 * seconds))])[None]) == [reason]


@pytest.mark.parametrize(
    ("seconds", "level", "reason"),
    [(2.0, 0.0, None), (2.5, 0.0, "silence"), (2.5, 0.0008, "silence"), (2.5, 0.1, "loop")],
)
def test_silence_is_40_db_below_the_speech(seconds: float, level: float, reason: str | None) -> None:
    """Two seconds of one silent code are a pause, and no loop; faint noise is silent, a held sound is a loop."""
    frames = round(50 * seconds)
    codes = np.concatenate([np.arange(150), np.full(frames, 7)])
    assert found(codes[None], np.concatenate([np.full(150, 0.1), np.full(frames, level)])) == [reason]


@settings(max_examples=30)
@given(st.integers(125, 400), st.integers(0, 2**32 - 1))
def test_codes_that_repeat_by_chance_are_no_loop(length: int, seed: int) -> None:
    """In a codebook of 64, most codes of any speech occurred in the two seconds before."""
    codes = np.random.default_rng(seed).integers(0, 64, (1, length)).astype(np.int32)
    small = Numbers(codebook_size=64)
    assert why_ended(codes, lambda row: np.ones(320 * len(row), np.float32), small) == {}  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def looping_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints whose small weights leave the last code the most probable one."""
    return write_pair(tmp_path_factory.mktemp("looping"), spread=0.02)


@pytest.fixture(scope="module")
def looping(looping_path: Path) -> Llasa:
    return Llasa.from_pretrained(looping_path, device="cpu")


@pytest.fixture
def search(looping: Llasa) -> Callable[..., SearchResult]:
    def run(
        strategy: str = "best_of_n:n=2", guard: bool = True, llasa: Llasa = looping, **options: Any
    ) -> SearchResult:
        sampling = replace(LOOPING, guard=guard, **options)
        return Searcher(llasa, MeanCode(), strategy, gate=None).generate(TEXT, VOICE, sampling=sampling)

    return run


@pytest.mark.parametrize(
    "strategy",
    [
        "best_of_n:n=2",
        "beam:width=2,expand=2",
        "dvts:width=4,expand=2",
        "particle:n=4",
        "rejection:n=4",
        "in_context_steps:n=2",
    ],
)
def test_looping_rows_end_early_in_every_strategy(strategy: str, search: Callable[..., SearchResult]) -> None:
    """They are finished candidates, scored like others, whose reason is in the result and the trace."""
    result, free = search(strategy), search(strategy, guard=False)
    assert {candidate.finish_reason for candidate in result.candidates} == {"loop"}
    assert {candidate.finish_reason for candidate in free.candidates} == {"length"}
    assert not np.isnan(result.best.reward)
    assert {node.why for node in result.trace.nodes.values() if node.end == "finished"} == {"loop"}
    assert result.ledger.row_steps < 0.8 * free.ledger.row_steps


def test_codes_do_not_change_before_the_guard_ends_a_row(search: Callable[..., SearchResult]) -> None:
    for one, other in zip(search().candidates, search(guard=False).candidates, strict=True):
        assert one.codes.tolist() == other.codes[: len(one.codes)].tolist()


def test_where_no_row_loops_nothing_changes(llasa: Llasa, search: Callable[..., SearchResult]) -> None:
    """The same codes and row-steps, and no row is decoded for the guard."""
    guarded, free = (search(guard=guard, llasa=llasa, temperature=0.8) for guard in (True, False))
    assert [each.codes.tolist() for each in guarded.candidates] == [
        each.codes.tolist() for each in free.candidates
    ]
    for spent in ("decode", "codec"):
        assert guarded.ledger.flops[spent] == free.ledger.flops[spent]


def test_silent_rows_end_early(
    looping: Llasa, search: Callable[..., SearchResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is silent is decided by the codec at hand: this one decodes everything to silence."""
    monkeypatch.setattr(
        looping.codec,
        "decode",
        lambda rows, context=None: [np.zeros(320 * len(row), np.float32) for row in rows],
    )
    assert {candidate.finish_reason for candidate in search().candidates} == {"silence"}


@pytest.mark.parametrize(("option", "reason"), [("--guard", "loop"), ("--no-guard", "length")])
def test_the_command_line_turns_it_off(
    option: str, reason: str, looping_path: Path, tmp_path: Path, cli: Callable[..., Outcome]
) -> None:
    text = "the captain found a silver coin near the lake and gave it to the old king"
    sure = ("--model", looping_path, "--verifier", "pace", "--temperature", 0, "-n", 1)
    code, printed, _ = cli("say", text, *sure, option, "-o", tmp_path / "o.wav")
    assert code == 0 and reason in printed

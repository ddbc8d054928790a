"""The trace of a search: it is stored with the run, read back unchanged, and drawn."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llasa_search.budget import Budget, Ledger
from llasa_search.candidate import Candidate, Score
from llasa_search.generation.trace import Check, Node, Trace
from llasa_search.llasa.model import Llasa
from llasa_search.result import SearchResult
from llasa_search.sampling import Sampling
from llasa_search.search import Searcher
from llasa_search.strategies import Beam, BestOfN, SpeculativeRejection
from tests.helpers.verifiers import Broken, Codes


@pytest.fixture
def result() -> SearchResult:
    """Returns a result: row 0 was pruned, 1 and its fork 4 have finished, 2 and 3 were pruned together."""
    scores = {"Codes()": Score(12.0, "a detail")}
    checks = [Check(25, reward, scores) for reward in (-math.inf, 0.75, 0.25, 0.5, math.nan)]
    nodes = [
        Node(0, "one two", checks=[checks[0]], tokens=25, end="cut", why="not among the best 1"),
        Node(1, "one two", checks=[checks[1]], tokens=60, end="finished", why="stop"),
        Node(2, "one two", checks=[checks[2]], tokens=25, end="cut", why="not among the best 1"),
        Node(3, "one two", checks=[checks[3]], tokens=25, end="cut", why="not among the best 1"),
        Node(4, "one two", parent=1, start=25, tokens=75, end="finished", why="length"),
        Node(5, "one two", parent=4, start=50, checks=[checks[4]], tokens=55, end="cut", why="[stopped]"),
    ]
    candidates = [
        Candidate(
            index, index, "one two", np.zeros(50, np.int32), np.zeros(50, np.float32), "stop", reward=reward
        )
        for index, reward in ((1, 0.5), (4, 0.625))
    ]
    return SearchResult(
        "one two", "en", None, candidates, 16_000, "Codes()", Ledger(),
        settings={"strategy": "Beam(width=1)"}, trace=Trace(nodes),
    )  # fmt: skip


def test_a_trace_is_stored_with_the_run(result: SearchResult, tmp_path: Path) -> None:
    """The stored trace is valid JSON, and equals the original when it is read back."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    run = result.save_run(tmp_path / "run")
    stored = json.loads((run / "run.json").read_text(), parse_constant=refuse)
    assert [check["reward"] for node in stored["trace"] for check in node["checks"]] == [
        "-inf", 0.75, 0.25, 0.5, None,
    ]  # fmt: skip
    assert stored["trace"][4]["parent"] == 1 and stored["trace"][0]["why"] == "not among the best 1"
    again = SearchResult.load_run(run).trace.nodes
    assert repr(again) == repr(result.trace.nodes)


def test_a_trace_is_drawn_as_a_tree(result: SearchResult, tmp_path: Path, cli: Callable[..., Any]) -> None:
    """Each row is drawn below its parent, with the reason for its end."""
    done = cli("trace", result.save_run(tmp_path / "run"))
    assert done.code == 0
    assert done.out.splitlines() == [
        "Beam(width=1): 6 rows from 4 roots; the 2 finished rows descend from 1 root",
        "├── 0, 2, 3: failed to 0.500 at 0.50 s, pruned at 0.50 s: not among the best 1",
        "└── 1: 0.750 at 0.50 s, finished at 1.20 s (stop), reward 0.500",
        "    └── 4 from 0.50 s: finished at 1.50 s (length), reward 0.625 <- chosen",
        "        └── 5 from 1.00 s: unknown at 0.50 s, pruned at 1.10 s: [stopped]",
    ]


def test_a_folder_that_is_not_a_run_is_refused(tmp_path: Path, cli: Callable[..., Any]) -> None:
    done = cli("trace", tmp_path)
    assert done.code == 2 and "not a run folder" in done.err


def test_a_search_has_a_trace(llasa: Llasa, tmp_path: Path, cli: Callable[..., Any]) -> None:
    """The trace of a search also has the rows that were pruned."""
    short = Sampling(min_seconds=0.6, max_seconds=0.6)
    searcher = Searcher(llasa, Codes(), Beam(2, 2, step_tokens=8, prefix_verifiers=Codes()))
    drawn = cli("trace", searcher.generate("a coin", sampling=short).save_run(tmp_path / "run")).out
    assert "pruned at 0.16 s: not among the best 2" in drawn and "<- chosen" in drawn


def test_rows_that_the_budget_ended_name_the_limit(llasa: Llasa) -> None:
    short = Sampling(min_seconds=0.6, max_seconds=0.6)
    result = Searcher(llasa, Codes(), BestOfN(3)).generate("a coin", sampling=short, budget=Budget(tokens=70))
    assert {node.why for node in result.trace.nodes.values()} == {"length"}
    rejection = SpeculativeRejection(4, step_tokens=5)
    result = Searcher(llasa, Codes(), rejection).generate("a coin", sampling=short, budget=Budget(tokens=70))
    assert "stopped by tokens" in {node.why for node in result.trace.nodes.values()}


def test_failures_on_unfinished_speech_are_recorded(llasa: Llasa) -> None:
    """The trace has the error of a verifier that failed on unfinished speech."""
    short = Sampling(min_seconds=0.1, max_seconds=0.6)
    searcher = Searcher(llasa, Codes(), SpeculativeRejection(4, step_tokens=5, prefix_verifiers=Broken()))
    result = searcher.generate("a coin", sampling=short)
    details = {
        check.scores["Broken()"].detail for node in result.trace.nodes.values() for check in node.checks
    }
    assert details == {"RuntimeError: out of order"}

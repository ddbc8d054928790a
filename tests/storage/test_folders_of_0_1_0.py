"""Run and study folders of version 0.1.0 (commit dd163da) load completely."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from llasa_search import SearchResult
from llasa_search.study import Arm, Study, read_cases

DATA = Path(__file__).parents[1] / "data" / "v0.1.0"
RUNS = ("best_of_n", "beam", "in_context_steps")


@pytest.mark.parametrize("name", RUNS)
def test_a_stored_run_keeps_every_field(name: str, tmp_path: Path) -> None:
    """A run of version 0.1.0 is loaded and saved again with the same fields."""
    stored = json.loads((DATA / name / "run.json").read_text("utf-8"))
    result = SearchResult.load_run(DATA / name)
    assert result.best.index == stored["best"]
    assert [each.index for each in result.candidates] == [each["index"] for each in stored["candidates"]]
    assert sorted(result.trace.nodes) == sorted(node["index"] for node in stored["trace"])
    for each in stored["candidates"]:  # since then, keys are written as text
        for candidate in (each, *each["history"]):
            candidate["key"] = str(candidate["key"])
    again = result.save_run(tmp_path / "run")
    assert json.loads((again / "run.json").read_text("utf-8")) == stored
    for candidate, kept in zip(result.candidates, SearchResult.load_run(again).candidates, strict=True):
        np.testing.assert_array_equal(candidate.codes, kept.codes)
        np.testing.assert_array_equal(candidate.audio, kept.audio)


def test_a_stored_run_is_reranked_without_scoring() -> None:
    result = SearchResult.load_run(DATA / "best_of_n")
    again = result.rerank(result.reward)
    assert [each.reward for each in again.candidates] == [each.reward for each in result.candidates]
    assert again.ledger.verifier_calls == {}


def test_a_stored_study_is_not_run_again(tmp_path: Path) -> None:
    """A study of version 0.1.0 gives its rows from the stored runs and judgements, without new files."""
    shutil.copytree(DATA / "study", tmp_path / "study")
    before = sorted(tmp_path.rglob("*"))
    study = Study(tmp_path / "study", judges={"letters": "ctc"})
    arm = Arm("pool", "best_of_n:n=2", verifiers="wer", pool=True)
    rows = study.rows(read_cases(["A coin.", "Nine boats."]), [arm])
    without_times = [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
    assert without_times == json.loads((DATA / "study_rows.json").read_text("utf-8"))
    assert [path for path in sorted(tmp_path.rglob("*")) if path.name != ".lock"] == before

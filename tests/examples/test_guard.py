"""The benchmark of the guard: what it counts as wrong and as right."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pocketsphinx")

from examples.benchmarks import guard
from examples.benchmarks.speaking import load_codec_of
from llasa_search.voice import Voice

CODES = np.random.default_rng(0).integers(0, 4096, 300).tolist()
LOOP = np.resize(CODES[:30], 400).tolist()


def test_the_page_counts_ended_recordings_and_rows(tmp_path: Path) -> None:
    """A good recording that is ended is wrong; a row that is ended, and over twice as long as expected, is right."""
    for name in guard.SETS:
        made = [guard.Recording("a", "", CODES), guard.Recording("b", "pauses", LOOP)]
        lines = "".join(json.dumps(asdict(each)) + "\n" for each in made)
        (tmp_path / f"recordings-{name}.jsonl").write_text(lines, encoding="utf-8")
    rows = [
        guard.Row("top_k 2", "a coin", 150, "length", LOOP),
        guard.Row("top_k 2", "a coin", 150, "stop", CODES),
    ]
    (tmp_path / "rows").mkdir()
    path = tmp_path / "rows" / "top_k 2, hard-000.json"
    path.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
    guard.main(2, 2, 1, "top_k 2", "tiny", tmp_path, tmp_path / "guard.md")
    page = (tmp_path / "guard.md").read_text("utf-8")
    assert "| count | plain | 1 | 0 | 0.0" in page and "| count | pauses | 1 | 1 | 1.00 | 1.00 |" in page
    assert "| top_k 2 | 2 | 1 | 1 | 0 | 1 | 39.3% |" in page  # ended after 125 of 400 codes, of 700


@pytest.mark.skipif(shutil.which("flite") is None, reason="needs the program flite")
def test_recordings_are_kept_and_not_made_again(tmp_path: Path) -> None:
    (first,) = guard.recordings("count", 1, "tiny", tmp_path)
    again, second = guard.recordings("count", 2, "tiny", tmp_path)
    assert first == again and first.codes and first != second


def test_a_good_recording_is_not_bad() -> None:
    """The judge decides where a row is not too long."""
    codec = load_codec_of("tiny")
    codes = codec.encode(Voice.builtin("slt").audio).tolist()
    row = guard.Row("", "text", len(codes), "stop", codes)
    assert not guard.is_bad(row, codec, lambda utterance: 0.4)
    assert guard.is_bad(row, codec, lambda utterance: 0.5)

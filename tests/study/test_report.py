"""From rows to points, tables, plots, and the whole ablation as a newcomer runs it."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from llasa_search.scoring.score_record import ScoreRecord
from llasa_search.study.cases import Case
from llasa_search.study.plots import plot, styles
from llasa_search.study.points import arm_point, pool_points
from llasa_search.study.report import as_csv, as_jsonl, markdown, seconds_as_jsonl
from tests.study.test_curves import POOL, _row

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

ROOT = Path(__file__).parents[2]
BEAM = [
    _row(case, 0, 1.0, edits, arm="beam:width=2", row_steps=200, finished=1)
    for case, edits in (("a", 3), ("b", 5))
]


def test_an_arm_is_compared_with_best_of_n_at_its_own_cost() -> None:
    """A gain over a best-of-n that was cheaper."""
    point = arm_point(BEAM, "ear", POOL)
    assert (point.curve, point.name) == ("beam", "beam:width=2")
    (same,) = pool_points(POOL, "ear", [2])
    assert same.costs["row_steps"] == point.costs["row_steps"]
    assert point.gain is not None
    assert point.gain.value == pytest.approx(point.value.value - same.value.value)


@pytest.mark.parametrize("row_steps", [50, 500])
def test_an_arm_beyond_the_pool_is_not_compared(row_steps: int) -> None:
    """A comparison with the pool's end, as if that cost the same; hours of searches that end in an error."""
    beam = [{**row, "row_steps": row_steps} for row in BEAM]
    point = arm_point(beam, "ear", POOL)  # type: ignore[arg-type]
    assert (point.gain, point.p) == (None, None)
    assert "the pool has none" in markdown([point], "judged WER")


def test_tables_hold_what_is_known() -> None:
    """An unknown cost that is printed as 0, or p-values that are not corrected together."""
    points = [*pool_points(POOL, "ear", [1, 4]), arm_point(BEAM, "ear", POOL)]
    lines = markdown(points, "judged WER").splitlines()
    assert len(lines) == 2 + len(points)
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    unknown = pool_points([{**row, "flops": {"verifiers": None}} for row in POOL], "ear", [4])
    assert "unknown" in markdown(unknown, "judged WER")
    deaf: ScoreRecord = {"value": None, "detail": "hears no voice", "status": "failed"}
    unheard = [{**row, "judges": {"ear": deaf} if row["index"] == 3 else row["judges"]} for row in POOL]
    (told,) = markdown(pool_points(unheard, "ear", [2]), "judged WER").splitlines()[2:]  # type: ignore[arg-type]
    assert told.split(" | ")[1] == "2 (2 unheard)"
    read = list(csv.DictReader(io.StringIO(as_csv(points))))
    assert [float(row["value"]) for row in read] == [point.value.value for point in points]


def test_p_values_of_a_table_are_corrected_for_their_number() -> None:
    """A table of many strategies, of which one is sure to be better by chance."""
    arms = [arm_point([{**row, "arm": name} for row in BEAM], "ear", POOL) for name in ("a", "b")]  # type: ignore[list-item]
    alone, both = (markdown(each, "judged WER").splitlines()[2:] for each in (arms[:1], arms))
    assert [line.split(" | ")[-1] for line in alone] == ["0.500 |"]
    assert [line.split(" | ")[-1] for line in both] == ["1.000 |", "1.000 |"]


def test_what_is_equal_is_said() -> None:
    """Equal row-steps taken for equal operations, of which listening on the way takes several times more."""
    dear = [{**row, "flops": {"decode": 5e3}} for row in BEAM]
    steps, flops = (arm_point(dear, "ear", POOL, axis) for axis in ("row_steps", "flops"))  # type: ignore[arg-type]
    assert "at equal row-steps" in markdown([steps], "") and "at equal operations" in markdown([flops], "")
    assert steps.gain is not None and flops.gain is None
    lines = list(csv.DictReader(io.StringIO(as_csv([*pool_points(POOL, "ear", [4]), steps]))))
    assert [(line["n"], line["equal"]) for line in lines] == [("4", ""), ("", "row_steps")]


def test_a_choice_without_verifiers_pays_for_none() -> None:
    """Controls that look as dear as what they are the controls of."""
    paid, free = (
        pool_points(POOL, "ear", [4], verified=verified)[0].costs["flops"] for verified in (True, False)
    )
    assert (paid, free) == (640, 600)


def test_no_two_curves_look_alike() -> None:
    """The search's own curve drawn like one of its controls."""
    looks = [tuple(style.values()) for style in styles([str(i) for i in range(21)]).values()]
    assert len(set(looks)) == 21


def test_names_of_two_parts_share_a_colour_and_a_marker() -> None:
    """Three sizes x three searches in nine colours, of which a reader can see no order."""
    looks = styles(["small, direct", "small, best of n", "large, direct"])
    assert looks["small, direct"]["color"] == looks["small, best of n"]["color"]
    assert looks["small, direct"]["marker"] == looks["large, direct"]["marker"]
    assert len({tuple(style.values()) for style in looks.values()}) == 3


def test_rows_as_lines_are_the_same_whatever_the_clock_says() -> None:
    """Two runs that cannot be compared byte for byte; lines that do not say what was to be heard."""
    cases = [Case(row["case"], f"text of {row['case']}", "en", None, "") for row in BEAM]
    later = [{**row, "seconds": {"decode": 99.0}} for row in BEAM]
    written, again = (as_jsonl(rows, cases, set="mine") for rows in (BEAM, later))  # type: ignore[arg-type]
    assert written == again
    first = json.loads(written.splitlines()[0])
    assert (first["set"], first["text"], first["voice"]) == ("mine", f"text of {first['case']}", None)
    assert '"seconds": {"decode": 99.0}' in seconds_as_jsonl(later)  # type: ignore[arg-type]


def test_the_same_points_make_the_same_picture(tmp_path: Path) -> None:
    """Figures that differ from run to run, so that nobody sees what has changed."""
    points = [*pool_points(POOL, "ear", [1, 4]), arm_point(BEAM, "ear", POOL)]
    first, second = (plot(points, "row_steps", tmp_path / name, "judged WER") for name in ("a", "b"))
    assert [file.suffix for file in first] == [".png", ".svg"]
    assert first[1].read_bytes() == second[1].read_bytes()
    assert first[0].read_bytes()[:4] == b"\x89PNG"


def test_the_quick_ablation_runs_and_says_how_it_was_made(tmp_path: Path) -> None:
    """A script that only its author's machine can run, or a report without what is needed to reproduce it."""
    pytest.importorskip("pocketsphinx")
    command = [sys.executable, str(ROOT / "examples" / "compute_budget_ablation.py"), "--quick"]
    options = ["--folder", str(tmp_path / "work")]
    done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "work" / "report.md").read_text()
    for stated in (
        "openai-whisper",
        "temperature",
        "4 texts",
        "PocketsphinxWER(",
        "WER(model='tiny-ctc')",
        "rejection:n=4",
        "language model tiny, codec that belongs to it",
        "model tiny, normaliser and metric of protocol whisper",
    ):
        assert stated in report
    rows = [json.loads(line) for line in (tmp_path / "work" / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == 4 * 4 + 4
    assert all(math.isfinite(row["judges"]["bigram"]["value"]) for row in rows)
    for axis in ("row_steps", "flops", "candidates", "seconds"):
        assert (tmp_path / "work" / f"{axis}.svg").stat().st_size > 1000

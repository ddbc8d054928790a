"""Points, tables and plots of rows, and the whole command `llasa-search study`."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from llasa_search import InputError
from llasa_search.scoring.score_record import ScoreRecord
from llasa_search.study.cases import Case, read_cases
from llasa_search.study.plots import plot, styles
from llasa_search.study.points import arm_point, pool_points
from llasa_search.study.tables import as_csv, as_jsonl, markdown, seconds_as_jsonl
from llasa_search.study.temperature import dev_cases
from tests.conftest import Outcome
from tests.study.test_curves import POOL, _row

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

BEAM = [
    _row(case, 0, 1.0, edits, arm="beam:width=2", row_steps=200, finished=1)
    for case, edits in (("a", 3), ("b", 5))
]


def test_an_arm_is_compared_with_best_of_n_at_its_own_cost() -> None:
    """The gain is relative to best-of-N at the same cost."""
    point = arm_point(BEAM, "words", POOL)
    assert (point.curve, point.name) == ("beam", "beam:width=2")
    (same,) = pool_points(POOL, "words", [2])
    assert same.costs["row_steps"] == point.costs["row_steps"]
    assert point.gain is not None
    assert point.gain.value == pytest.approx(point.value.value - same.value.value)


@pytest.mark.parametrize("row_steps", [50, 500])
def test_an_arm_beyond_the_pool_is_not_compared(row_steps: int) -> None:
    """An arm that costs more or less than the whole curve has no gain and no p-value."""
    beam = [{**row, "row_steps": row_steps} for row in BEAM]
    point = arm_point(beam, "words", POOL)  # type: ignore[arg-type]
    assert (point.gain, point.p) == (None, None)
    assert "not comparable" in markdown([point], "WER (judge)")


def test_tables_hold_what_is_known() -> None:
    """Unknown costs and unscored candidates are shown, and the CSV has every value."""
    points = [*pool_points(POOL, "words", [1, 4]), arm_point(BEAM, "words", POOL)]
    lines = markdown(points, "WER (judge)").splitlines()
    assert len(lines) == 2 + len(points)
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    unknown = pool_points([{**row, "flops": {"verifiers": None}} for row in POOL], "words", [4])
    assert "unknown" in markdown(unknown, "WER (judge)")
    failed: ScoreRecord = {"value": None, "detail": "no voice", "status": "failed"}
    some_failed = [
        {**row, "judges": {"words": failed} if row["index"] == 3 else row["judges"]} for row in POOL
    ]
    (line,) = markdown(pool_points(some_failed, "words", [2]), "WER (judge)").splitlines()[2:]  # type: ignore[arg-type]
    assert line.split(" | ")[1] == "2 (2 unscored)"
    read = list(csv.DictReader(io.StringIO(as_csv(points))))
    assert [float(row["value"]) for row in read] == [point.value.value for point in points]


def test_p_values_of_a_table_are_corrected_for_their_number() -> None:
    """With more comparisons in a table, each p-value is larger."""
    arms = [arm_point([{**row, "arm": name} for row in BEAM], "words", POOL) for name in ("a", "b")]
    alone, both = (markdown(each, "WER (judge)").splitlines()[2:] for each in (arms[:1], arms))
    assert [line.split(" | ")[-1] for line in alone] == ["0.500 |"]
    assert [line.split(" | ")[-1] for line in both] == ["1.000 |", "1.000 |"]


def test_tables_name_the_axis_of_equal_cost() -> None:
    """Equal row-steps are not equal FLOPs: scoring partial speech costs FLOPs only."""
    costly = [{**row, "flops": {"decode": 5e3}} for row in BEAM]
    steps, flops = (arm_point(costly, "words", POOL, axis) for axis in ("row_steps", "flops"))  # type: ignore[arg-type]
    assert "at equal row-steps" in markdown([steps], "") and "at equal FLOPs" in markdown([flops], "")
    assert steps.gain is not None and flops.gain is None
    lines = list(csv.DictReader(io.StringIO(as_csv([*pool_points(POOL, "words", [4]), steps]))))
    assert [(line["n"], line["equal"]) for line in lines] == [("4", ""), ("", "row_steps")]


def test_a_choice_without_verifiers_costs_no_scoring() -> None:
    """Controls that need no verifier cost less than the search."""
    scored, unscored = (
        pool_points(POOL, "words", [4], verified=verified)[0].costs["flops"] for verified in (True, False)
    )
    assert (scored, unscored) == (640, 600)


def test_no_two_curves_look_alike() -> None:
    """Up to 21 curves differ in colour, marker or line."""
    looks = [tuple(style.values()) for style in styles([str(i) for i in range(21)]).values()]
    assert len(set(looks)) == 21


def test_names_of_two_parts_share_a_colour_and_a_marker() -> None:
    """Sizes differ in colour and searches in marker, so that the order can be seen."""
    looks = styles(["small, direct", "small, best of n", "large, direct"])
    assert looks["small, direct"]["color"] == looks["small, best of n"]["color"]
    assert looks["small, direct"]["marker"] == looks["large, direct"]["marker"]
    assert len({tuple(style.values()) for style in looks.values()}) == 3


def test_rows_as_lines_do_not_depend_on_the_clock() -> None:
    """Two runs give the same bytes, and each line has its text and voice."""
    cases = [Case(row["case"], f"text of {row['case']}", "en", None, "") for row in BEAM]
    later = [{**row, "seconds": {"decode": 99.0}} for row in BEAM]
    written, again = (as_jsonl(rows, cases, set="mine") for rows in (BEAM, later))  # type: ignore[arg-type]
    assert written == again
    first = json.loads(written.splitlines()[0])
    assert (first["set"], first["text"], first["voice"]) == ("mine", f"text of {first['case']}", None)
    assert '"seconds": {"decode": 99.0}' in seconds_as_jsonl(later)  # type: ignore[arg-type]


def test_the_same_points_make_the_same_picture(tmp_path: Path) -> None:
    """The same points give the same SVG file, byte for byte."""
    points = [*pool_points(POOL, "words", [1, 4]), arm_point(BEAM, "words", POOL)]
    first, second = (plot(points, "row_steps", tmp_path / name, "WER (judge)") for name in ("a", "b"))
    assert [file.suffix for file in first] == [".png", ".svg"]
    assert first[1].read_bytes() == second[1].read_bytes()
    assert first[0].read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_study_quick_writes_a_reproducible_report(cli: Callable[..., Outcome], tmp_path: Path) -> None:
    """`llasa-search study --quick` writes rows, plots, and a report with everything needed to repeat it."""
    pytest.importorskip("pocketsphinx")
    folder = tmp_path / "work"
    done = cli("study", "--quick", "--folder", folder)
    assert done.code == 0, done.err
    report = (folder / "report.md").read_text()
    for stated in (
        "openai-whisper",
        "temperature",
        "4 texts",
        "PocketsphinxWER(",
        "WER(model='tiny-ctc')",
        "rejection:n=4",
        "language model: tiny; codec: the default of the model",
        "model tiny, protocol whisper",
    ):
        assert stated in report
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == 4 * 4 + 4
    assert all(math.isfinite(row["judges"]["bigram"]["value"]) for row in rows)
    for axis in ("row_steps", "flops", "candidates", "seconds"):
        assert (folder / f"{axis}.svg").stat().st_size > 1000


def test_study_refuses_wrong_options(cli: Callable[..., Outcome], tmp_path: Path) -> None:
    """Wrong options exit with 2 and name the option, before a model is loaded."""
    for options, message in (
        (["--ns", "1,two"], "--ns '1,two'"),
        (["--temperatures", "-1"], "-1.0 is not a number of at least 0"),
        (["--judge", "pocketsphinx_wer"], "give it a name"),
        (["--judge", "a=wer", "--judge", "a=ctc"], "the same name"),
    ):
        done = cli("study", "--folder", tmp_path / "work", *options)
        assert (done.code, message in done.err) == (2, True), done.err
    assert not (tmp_path / "work").exists()
    (tmp_path / "file").touch()
    assert "--folder" in cli("study", "--folder", tmp_path / "file").err


def test_a_temperature_is_not_chosen_on_the_measured_texts() -> None:
    """Texts in both sets would make the reported error rate too low."""
    with pytest.raises(InputError, match=r"dev: 2 of its texts are also evaluated"):
        dev_cases("dev", 2, read_cases("dev"))
    assert len(dev_cases("dev", 2, read_cases("standard", 2))) == 2

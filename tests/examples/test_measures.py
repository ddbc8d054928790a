"""The benchmarks of verifiers, strategies and long texts: results that they report as met and as missed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llasa_search import Sampling
from llasa_search.candidate import Score
from llasa_search.errors import InputError
from llasa_search.evaluation.statistics import Estimate
from llasa_search.generation.trace import Check, Node
from llasa_search.scoring.score_record import ScoreRecord
from llasa_search.study import curves, report, temperature
from llasa_search.study.plan import Row
from llasa_search.verifiers import WER, SpeakerSimilarity
from tests.study.test_curves import _row

pytest.importorskip("scipy")
pytest.importorskip("librosa")
pytest.importorskip("matplotlib")

from examples.benchmarks import (
    long_texts,
    prefix_prediction,
    prosody,
    reward_hacking,
    rewards,
    scaling_claims,
    scaling_study,
    strategies,
)

SCORES = {
    "WER()": 0.0,
    "SpeakerSimilarity()": 0.9,
    "EmotionSimilarity()": 0.9,
    "Pace()": 0.0,
    "Signal()": 0.0,
    "TranscriptLikelihood()": -0.1,
}


def _record(value: float, detail: str = "") -> ScoreRecord:
    return {"value": value, "detail": detail, "status": "scored"}


def _pool(better: float) -> list[Row]:
    """Returns two candidates per text: the second is `better` under every verifier and judge."""
    rows = []
    for number in range(12):
        for index, gain in ((0, 0.0), (1, better)):
            scores = {
                name: _record(value + (gain - better) * (-0.5 if value <= 0 else 0.5))
                for name, value in SCORES.items()
            }
            edits = 6 - round(4 * gain) + number % 2
            judges: dict[str, Any] = {
                judge: {**_record(edits / 10), "edits": edits, "length": 10}
                for judge in ("unigram", "bigram", "ctc")
            }
            judges |= {"voice": _record(0.5 + 0.4 * gain), "style": _record(float(gain > 0.5))}
            rows.append(_row(f"t{number:02d}", index, gain, edits, scores=scores, judges=judges, finished=2))
    return rows


def _recordings(cosine: float) -> list[Row]:
    judges: dict[str, Any] = {
        judge: {**_record(0.1), "edits": 1, "length": 10} for judge in ("unigram", "bigram")
    }
    judges |= {"voice": _record(cosine), "style": _record(1.0)}
    return [_row(f"t{number:02d}", 0, None, 1, arm="resynthesis", judges=judges) for number in range(12)]


def test_a_search_that_improves_its_verifiers_passes() -> None:
    """The requirements can be met."""
    text = rewards.compare_rewards(_pool(1.0), _recordings(0.95), n=2)
    assert text.count("- pass") == 3
    assert "**fail**" not in text
    assert "reward hacking" not in text


def test_a_search_that_improves_nothing_fails() -> None:
    """The requirements can be missed."""
    text = rewards.compare_rewards(_pool(0.0), _recordings(0.95), n=2)
    assert text.count("**fail**") == 3


def test_a_speaker_similarity_above_that_of_recordings_is_flagged() -> None:
    """A speaker similarity above that of resynthesised recordings is reported as reward hacking."""
    assert "reward hacking" in rewards.compare_rewards(_pool(1.0), _recordings(0.7), n=2)


def test_variance_within_texts_is_what_differs_between_candidates() -> None:
    """Differences between texts do not count as differences between candidates."""
    assert rewards.variance_within_texts(_pool(1.0)).count("- pass") == 4
    assert rewards.variance_within_texts(_pool(0.0)).count("**fail**") == 4


def test_strategies_are_compared_with_best_of_n() -> None:
    """Every arm is compared under every judge, and only significant differences are called better or worse."""
    pool = _pool(1.0)
    second = [row for row in pool if row["index"] == 1]
    arm: list[Row] = [{**row, "arm": "rejection", "row_steps": 300, "chosen": True} for row in second]
    points = strategies.compared({"best of n": pool, "rejection": arm}, "row_steps", (1, 2))
    compared = [point for point in points if point.gain is not None]
    assert [point.judge for point in compared] == ["unigram", "bigram", "ctc"]
    assert all(point.gain is not None and point.gain.high < 0 for point in compared)
    lines = [strategies.finding(compared[0], p) for p in (0.01, 0.3)]
    assert "better than best-of-N, significant at 5% after Holm: -0." in lines[0]
    assert "not significant: -0." in lines[1]
    adaptive: list[Row] = [{**row, "finished": 1 + i % 2} for i, row in enumerate(arm)]
    both = {"best of n": pool, "adaptive best-of-N": adaptive}
    fewer, more = strategies.early_stopping_table("hard", both).splitlines()[-2:]
    assert fewer.startswith("| fewer than the mean | 6 | 1 | +0.") and more.startswith(
        "| more than the mean | 6 | 2 | -0."
    )
    worse = replace(compared[0], gain=Estimate(0.2, 0.1, 0.3))
    assert "worse than best-of-N, significant at 5% after Holm: +0.2" in strategies.finding(worse, 0.01)
    process_reward: list[Row] = [{**row, "arm": "full PRM"} for row in arm]
    voices = strategies.process_reward_section(
        "hard", {"best of n": pool, "full PRM": process_reward}, (1, 2)
    )
    assert voices.count("better than best-of-N, significant at 5% after Holm: -0.") == 3
    assert "full PRM: higher: +0." in voices
    costly: list[Row] = [{**row, "flops": {"decode": 9e12, "verifiers": 0.0}} for row in process_reward]
    table = strategies.at_equal_flops(pool, [costly], 2)  # the whole pool costs less
    assert table.splitlines()[-1].startswith("| full PRM | 9 | 2 | +0.")


def test_the_setting_with_the_largest_gain_at_its_cost_is_chosen() -> None:
    """The setting with the largest gain is chosen, and one that costs more than the pool comes last."""
    pool = _pool(1.0)
    dev = {"best of n": pool}
    for i, strategy in enumerate(each for listed in strategies.TUNED.values() for each in listed):
        index, steps = (1, 300) if i in (1, 7) else (1, 9000) if i in (0, 6) else (0, 300)
        dev[strategy] = [
            {**row, "arm": strategy, "row_steps": steps, "chosen": True}
            for row in pool
            if row["index"] == index
        ]
    settings = strategies.best_settings(dev)
    assert settings["rejection"] == strategies.TUNED["rejection"][1]
    assert settings["adaptive best-of-N"] == strategies.TUNED["adaptive best-of-N"][1]
    lines = strategies.settings_table(dev).splitlines()
    assert len(lines) == 4 + 2 + len(dev) - 1
    assert sum(line.count("not comparable") for line in lines) == 2 * 3


def _of_a_size(worse: int, cost: float = 1.0, steered: int = 0) -> dict[str, list[Row]]:
    """Returns the arms of one model of the scaling study.

    Args:
        worse: errors that its speech has beyond those of the pool.
        cost: factor of its FLOPs.
        steered: errors that the process reward adds; the voice is then less similar.
    """

    def of(row: Row, arm: str, more: int, **changed: Any) -> Row:
        judges = {
            judge: {**record, "edits": record["edits"] + more}
            if "edits" in record
            else {**record, "value": (record["value"] or 0.0) - 0.1 * (more - worse)}
            for judge, record in row["judges"].items()
        }
        flops = {stage: count and count * cost for stage, count in row["flops"].items()}
        return {**row, "arm": arm, "judges": judges, "flops": flops, **changed}  # type: ignore[typeddict-item]

    pool, best = _pool(1.0), [row for row in _pool(1.0) if row["index"] == 1]
    return {
        "direct": [of(row, "direct", worse) for row in pool],
        "pool": [of(row, "pool", worse) for row in pool],
        "PRM + ORM": [of(row, "PRM + ORM", worse + steered, chosen=True) for row in best],
    }


def _cells(runs: scaling_claims.Runs) -> dict[str, dict[str, str]]:
    """Returns the cells of the page's table, by the two sides and the judge."""
    lines = scaling_claims.findings(scaling_claims.claims(runs, 2)).splitlines()
    rows = [[cell.strip() for cell in line.split("|")[2:-1]] for line in lines if line.startswith("| ")]
    return {row[0]: dict(zip(scaling_claims.JUDGES, row[1:], strict=True)) for row in rows[1:]}


def test_the_scaling_study_says_which_claims_hold(tmp_path: Path) -> None:
    """Each claim has the right sign, and all parts of the page can be written."""
    runs = {"small": _of_a_size(2), "base": _of_a_size(1), "large": _of_a_size(0, steered=5)}
    cells = _cells(runs)
    assert cells["small, best of 2; small, single sample"]["ctc"].startswith("holds: -0.")
    assert cells["base, best of 2; large, single sample"]["bigram"].startswith("holds: -0.")
    assert cells["large, PRM + ORM; large, single sample"]["bigram"].startswith("**the opposite holds**: +0.")
    assert cells["large, PRM + ORM; large, single sample"]["voice"].startswith("**the opposite holds**: -0.")
    assert cells["small, PRM + ORM; small, single sample"]["voice"].startswith("holds: +0.")
    assert cells["small, PRM + ORM; small, best of 2"]["ctc"].startswith("not significant: +0.000")
    text = scaling_claims.findings(scaling_claims.claims(runs, 2))
    assert f"- **{scaling_claims.MORE_COMPUTE}**: holds in 6 of 6" in text
    assert len(scaling_study.table(runs, 2).splitlines()) == 4 + 9
    assert "sampling" in scaling_study.flops_by_stage(runs)
    assert len(scaling_study.draw_curves(runs, 2, "standard", tmp_path)) == 2 * 3 * (1 + 2 + 1)
    assert (tmp_path / "scaling_standard.svg").exists()
    assert scaling_study.comparison_with_paper({"standard": runs}).count("| 8B |") == 2


def test_equal_flops_are_those_of_the_other_side() -> None:
    """The small model gets as many candidates as the large one's sample costs."""
    # A sample of the pool costs 350 of 640 FLOPs, the best of its two all 640.
    cells = _cells({"small": _of_a_size(0), "base": _of_a_size(0, 1.4), "large": _of_a_size(0, 9.0)})
    assert "small, best of 1.48; base, single sample" in cells
    assert "small, best of 2 (20% of the cost); large, single sample" in cells
    cells = _cells({"small": _of_a_size(0, 9.0), "base": _of_a_size(0), "large": _of_a_size(0)})
    assert set(cells["small, best of nan; large, single sample"].values()) == {""}


def test_temperatures_are_chosen_by_fewest_errors() -> None:
    """The temperature with the fewest errors is chosen, and a judge that counts errors is needed."""
    pools = {}
    for value, worse in ((0.4, 3), (0.6, 0), (0.8, 2)):
        rows = _of_a_size(worse)["pool"]
        pools[Sampling(temperature=value)] = [*rows, *_copies(rows)]
    for n in (1, 4):
        assert temperature.fewest_errors(pools, scaling_claims.WER_JUDGES, n).temperature == 0.6
    with pytest.raises(InputError, match="no judge counts errors"):
        temperature.fewest_errors(pools, ["voice"])


def _copies(rows: list[Row]) -> list[Row]:
    """Returns copies of the candidates with new indices, so that a pool has four."""
    for row in rows:
        row["finished"] = 4
    return [{**row, "index": row["index"] + 2} for row in rows]


def test_the_report_compares_a_search_with_its_judge() -> None:
    """The judge's error rate minus the search's own is positive, and bad speech is counted."""
    pool = _of_a_size(0)["pool"]
    for row in pool:
        row["scores"]["WER()"] |= {"edits": 0, "length": 10}
    best = curves.best_of(pool, "bigram", 2)
    own, _, judged = report.verifier_error_rate(pool, "WER()", best, 2).rpartition("; ")
    assert "is 0.000 [0.000, 0.000] by the verifier `WER()`" in own and "+0.2" in judged
    text = report.remarks(pool, "bigram", ["bigram"])
    assert (
        "above 0.5 is 0.500 [0.500, 0.500] for single samples and 0.000 [0.000, 0.000] for the best of 2"
        in text
    )
    assert "significant at 5% after Holm" in text
    assert "by the verifier" not in report.remarks(pool, "voice", ["voice"])


def test_scores_by_verifier_and_judges_are_in_their_own_columns(tmp_path: Path) -> None:
    """The verifier's own value and the judges' scores are in their own columns."""
    pool = [
        {**row, "scores": {**row["scores"], "CTCAlignment()": row["scores"]["WER()"]}} for row in _pool(1.0)
    ]
    table = reward_hacking.table(pool, "speaker", "SpeakerSimilarity()", [1, 2])  # type: ignore[arg-type]
    one, two = (line.split("|") for line in table.splitlines()[4:6])
    assert [cell.split()[0] for cell in one[2:6]] == ["0.650", "0.450", "0.450", "0.700"]
    assert [cell.split()[0] for cell in two[2:6]] == ["0.900", "0.250", "0.250", "0.900"]
    ranked = reward_hacking.table(pool, "RankAverage(wer, ctc)", None, [1, 2])  # type: ignore[arg-type]
    assert "verifier" not in ranked
    lines = reward_hacking.changes(pool, [1, 2]).splitlines()  # type: ignore[arg-type]
    assert (
        lines[5].startswith("| wer | better: -0.") and lines[5].count("better: +0.") == 2
    )  # voice and style
    assert "| RankAverage(wer, ctc) minus wer, n = 2 | not significant: +0.000" in lines[-1]
    reward_hacking.draw(pool, [1, 2], tmp_path / "figure.png")  # type: ignore[arg-type]
    assert (tmp_path / "figure.png").stat().st_size > 1000


def _scored_row(*errors: float) -> Node:
    """Returns a row of 100 tokens with the scores of `WER` after every 25."""
    checks = [Check(25 * (i + 1), 0.0, {"WER()": Score(value)}) for i, value in enumerate(errors)]
    return Node(0, "text", checks=checks, tokens=100)


def test_a_prefix_has_the_last_score_before_its_end() -> None:
    """Later scores are not used, and errors and similarities have opposite directions."""
    nodes = [_scored_row(0.3, 0.1), _scored_row(0.2, 0.2), _scored_row(0.1, 0.3)]
    assert [prefix_prediction.latest_score(node, WER(), 49) for node in nodes] == [0.3, 0.2, 0.1]
    assert [prefix_prediction.latest_score(node, WER(), 50) for node in nodes] == [0.1, 0.2, 0.3]
    assert np.isnan(prefix_prediction.latest_score(nodes[0], WER(), 24))
    assert (prefix_prediction.direction(WER()), prefix_prediction.direction(SpeakerSimilarity())) == (-1, 1)
    finished = np.array([0.7, 0.8, 0.9])
    assert prefix_prediction.correlation(np.array([1.0, 2.0, 9.0]), finished) == pytest.approx(1)
    assert prefix_prediction.correlation(np.array([3.0, np.nan, 1.0]), finished) == 0
    assert prefix_prediction.correlation(np.array([1.0, 1.0, 1.0]), finished) == 0
    assert np.isnan(prefix_prediction.correlation(np.array([1.0, 2.0, 9.0]), np.array([0.7, 0.7, np.nan])))
    found = [
        prefix_prediction.PrefixCorrelation(f"t{i}", "WER()", share, "ctc", value)
        for i in range(3)
        for share, value in zip(prefix_prediction.SHARES, (0.25, 0.5, 0.75, np.nan), strict=True)
    ]
    found += [prefix_prediction.PrefixCorrelation("t3", "WER()", 1.0, "ctc", 1.0)]
    row = prefix_prediction.table(found).splitlines()[-1]
    assert [cell.split()[0] for cell in row.split("|")[3:7]] == ["+0.250", "+0.500", "+0.750", "+1.000"]


def _measurements(way: str, edits: int, cosine: float, jump: float) -> list[long_texts.Measurement]:
    return [
        long_texts.Measurement(
            text=number, way=way, row_steps=100, edits={"unigram": edits + number % 2}, words=20,
            cosines=[cosine, cosine + 0.01 * number], pitch_differences=[jump, jump + 0.1 * number],
            level_at_joins=[1.0], level_inside=[2.0], to_prompt=[0.8, 0.7],
        )
        for number in range(8)
    ]  # fmt: skip


@pytest.mark.parametrize(("edits", "cosine", "jump", "failures"), [(4, 0.9, 0.5, 0), (9, 0.6, 3.0, 3)])
def test_long_texts_are_compared_step_by_step(edits: int, cosine: float, jump: float, failures: int) -> None:
    """A higher WER and less similar adjacent steps are reported as failures."""
    from llasa_search import Sampling

    measurements = _measurements(long_texts.IN_CONTEXT, edits, cosine, jump)
    measurements += _measurements(long_texts.CHUNKS, 5, 0.75, 1.5)
    text = long_texts.section(measurements, 8, 4, Sampling())
    assert text.count("**fail**") == failures


def test_long_texts_need_several_steps() -> None:
    """Texts of a single step are refused, because there are no steps to compare."""
    for written, spoken in long_texts.long_texts(5):
        assert 300 <= len(written) <= 600
        assert len(spoken) >= 4
        assert all(words == words.lower() for words in spoken.values())


def test_prosody_tells_high_from_low_and_fast_from_slow() -> None:
    """Pitch and pace features follow the audio and the text."""
    time = np.arange(32_000) / 16_000
    low, high = (0.3 * np.sin(2 * np.pi * hertz * time).astype(np.float32) for hertz in (110, 220))
    assert prosody.features(high, "word")[0] - prosody.features(low, "word")[0] == pytest.approx(12, abs=0.5)
    assert prosody.features(low, "word" * 9)[4] == pytest.approx(9 * prosody.features(low, "word")[4])
    assert np.isfinite(prosody.features(np.zeros(300, np.float32), "")).all()

"""Best-of-N from a pool, costs, intervals and tests equal slow implementations and known values."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.errors import InputError
from llasa_search.scoring.score_record import ScoreRecord
from llasa_search.study import costs, curves, outcomes
from llasa_search.study.outcomes import Outcome
from llasa_search.study.plan import Row

pytest.importorskip("scipy")

REWARDS = st.lists(st.sampled_from([0.1, 0.5, 0.9, float("nan")]), min_size=1, max_size=6)


def _mean_over_subsets(rewards: list[float], values: list[float], n: int) -> float:
    """Computes the same over every subset in turn, with the mean of the candidates that tie as its best."""
    known = np.nan_to_num(rewards, nan=-1.0)
    found = []
    for subset in combinations(range(len(rewards)), n):
        best = max(known[i] for i in subset)
        # Which of equal candidates is taken must not depend on their order.
        found.append(np.mean([values[i] for i in range(len(values)) if known[i] == best]))
    return float(np.mean(found))


@given(rewards=REWARDS, data=st.data())
def test_weights_are_the_mean_over_all_subsets(rewards: list[float], data: st.DataObject) -> None:
    """Weights equal the mean over all subsets, also with ties and unknown rewards."""
    n = data.draw(st.integers(1, len(rewards)))
    values = data.draw(st.lists(st.floats(0, 1), min_size=len(rewards), max_size=len(rewards)))
    weights = curves.subset_weights(np.array(rewards), n)
    assert weights.sum() == pytest.approx(1)
    assert weights @ np.array(values) == pytest.approx(_mean_over_subsets(rewards, values, n))


@given(rewards=REWARDS.filter(lambda r: len(r) > 1), share=st.floats(0, 1))
def test_between_whole_numbers_weights_are_interpolated(rewards: list[float], share: float) -> None:
    """A comparison at equal cost does not round n."""
    one, two = (curves.subset_weights(np.array(rewards), n) for n in (1, 2))
    between = curves.subset_weights(np.array(rewards), 1 + share)
    assert between == pytest.approx((1 - share) * one + share * two)


@pytest.mark.parametrize("n", [0, 4, 0.5, 3.5])
def test_a_subset_larger_than_the_pool_is_refused(n: float) -> None:
    """A curve ends at the size of its pool."""
    with pytest.raises(InputError, match="a pool of 3 candidates"):
        curves.subset_weights(np.array([1.0, 2.0, 3.0]), n)


FAILED: ScoreRecord = {"value": None, "detail": "", "status": "failed"}


def _row(case: str, index: int, reward: float | None, edits: int | None, **changed: Any) -> Row:
    record: ScoreRecord = {"value": None, "detail": "", "status": "failed"}
    if edits is not None:
        record = {"value": edits / 10, "detail": "", "status": "scored", "edits": edits, "length": 10}
    row: Row = {
        "case": case, "kind": "", "arm": "pool", "seed": 0, "index": index, "chosen": index == 0,
        "reward": reward, "finish": "stop", "tokens": 100 - index, "mean_logprob": -1.0 * index, "scores": {},
        "judges": {"words": record}, "finished": 4, "row_steps": 400, "prefill_tokens": 100,
        "flops": {"prefill": 100.0, "decode": 400.0, "codec": 100.0, "verifiers": 40.0},
        "seconds": {"prefill": 1.0, "decode": 4.0, "verify": 2.0},
    }  # fmt: skip
    row.update(changed)  # type: ignore[typeddict-item]
    return row


POOL = [
    _row(case, i, reward, edits)
    for case in ("a", "b")
    for i, (reward, edits) in enumerate([(0.2, 5), (None, 9), (0.9, 1), (0.6, 3)])
]


def test_each_key_chooses_its_candidate() -> None:
    """Each key chooses the candidate that its name describes."""
    found = {
        name: outcomes.rate(curves.best_of(POOL, "words", 4, key)).value
        for name, key in {
            "reward": curves.by_reward,
            "random": curves.at_random,
            "likeliest": curves.highest_logprob,
            "shortest": curves.shortest,
            "oracle": curves.oracle("words"),
        }.items()
    }
    assert found == {
        "reward": pytest.approx(0.1),
        "random": pytest.approx(0.45),
        "likeliest": pytest.approx(0.5),
        "shortest": pytest.approx(0.3),
        "oracle": pytest.approx(0.1),
    }


def test_another_reward_chooses_by_stored_scores() -> None:
    """A new reward chooses from stored scores; missing ones are named."""

    def scored(i: int, wer: float, likelihood: float) -> Row:
        scores: dict[str, ScoreRecord] = {
            "WER()": {"value": wer, "detail": "", "status": "scored"},
            "TranscriptLikelihood()": {"value": likelihood, "detail": "", "status": "scored"},
        }
        return _row("a", i, None, i, scores=scores)

    pool = [scored(0, 0.5, -0.1), scored(1, 0.0, -1.0), scored(2, 0.0, -0.5), scored(3, 0.9, -2.0)]
    assert curves.by("Lexicographic(wer, likelihood)")(pool).argmax() == 2
    assert curves.by("likelihood")(pool).argmax() == 0
    assert curves.by("wer")(pool).tolist() == [0.5, 1.0, 1.0, pytest.approx(0.1)]
    with pytest.raises(InputError, match=r"SpeakerSimilarity\(\) and Pace\(\) and Signal\(\), with"):
        curves.by("speaker")(pool)


def test_a_pool_of_one_is_a_plain_sample() -> None:
    """The first point of the curve involves no choice."""
    assert outcomes.rate(curves.best_of(POOL, "words", 1)).value == pytest.approx(0.45)


def test_costs_of_a_part_of_the_pool() -> None:
    """The prefill counts once per search, and judges never count."""
    assert costs.cost(POOL, "row_steps", 1) == 100
    assert costs.cost(POOL, "candidates", 2) == 2
    assert costs.cost(POOL, "seconds", 2) == pytest.approx(1 + (4 + 2) / 2)
    assert costs.cost(POOL, "flops", 4) == costs.cost(POOL, "flops") == 640
    assert costs.cost(POOL, "flops", 2) == pytest.approx(100 + 540 / 2)
    assert costs.n_at(POOL, "row_steps", 250) == pytest.approx(2.5)


def test_a_single_sample_needs_no_verifier() -> None:
    """One sample costs no scoring, because nothing is chosen."""
    assert costs.cost(POOL, "flops", 1) == pytest.approx(100 + 500 / 4)
    assert costs.cost(POOL, "flops", 1.5) == pytest.approx((225 + 370) / 2)
    assert costs.n_at(POOL, "flops", 225) == 1
    assert costs.n_at(POOL, "flops", (225 + 370) / 2) == pytest.approx(1.5)


def test_a_cost_beyond_the_pool_gives_nan() -> None:
    """A cost outside the curve is not compared with its nearest end."""
    assert np.isnan(costs.n_at(POOL, "row_steps", 9999)) and np.isnan(costs.n_at(POOL, "row_steps", 50))
    alone = [row | {"finished": 1} for row in POOL if row["index"] == 0]
    assert costs.n_at(alone, "row_steps", 400) == 1


def test_costs_on_unknown_axes_and_of_unknown_flops() -> None:
    """An unknown axis is refused; unknown FLOPs are NaN, not 0."""
    with pytest.raises(InputError, match="axis 'joules'"):
        costs.cost(POOL, "joules")
    unknown = [_row("a", 0, 1.0, 1, flops={"decode": 1.0, "verifiers": None})]
    assert np.isnan(costs.cost(unknown, "flops"))


def test_a_text_without_a_score_is_left_out_on_both_sides() -> None:
    """A failed judgement does not count as 0 errors, and both sides use the same texts."""
    failed = [_row("a", 0, 1.0, None), _row("b", 0, 1.0, 4)]
    other = [_row("a", 0, 1.0, 9), _row("b", 0, 1.0, 1)]
    one, two = outcomes.chosen(failed, "words"), outcomes.chosen(other, "words")
    assert one.known.tolist() == [False, True]
    assert outcomes.rate(one).value == pytest.approx(0.4)
    assert outcomes.difference(one, two).value == pytest.approx(0.3)


def test_a_candidate_without_a_score_does_not_remove_its_text() -> None:
    """Subsets are averaged over those whose best the judge has scored."""
    pool = [
        _row("a", i, reward, edits) for i, (reward, edits) in enumerate([(0.9, None), (0.5, 2), (0.1, 8)])
    ]
    assert outcomes.rate(curves.best_of(pool, "words", 1)).value == pytest.approx(0.5)
    assert outcomes.rate(curves.best_of(pool, "words", 2)).value == pytest.approx(0.2)
    assert np.isnan(outcomes.rate(curves.best_of(pool, "words", 3)).value)


def test_a_share_that_some_resamples_do_not_have_keeps_its_interval() -> None:
    """Resamples without headroom (0 divided by 0) are left out of the interval."""
    plain, chosen, oracle = (
        _outcome([[9], [4], [7], [5]]),
        _outcome([[7], [4], [6], [4]]),
        _outcome([[5], [4], [5], [3]]),
    )
    share = outcomes.recovered(plain, chosen, oracle)
    assert 0 < share.low <= share.value <= share.high <= 1


def test_one_text_has_no_p_value() -> None:
    """One text gives NaN and not an error after all searches."""
    one, other = (outcomes.chosen([_row("a", 0, 1.0, edits)], "words") for edits in (1, 5))
    assert np.isnan(outcomes.p_value(one, other))


def test_rows_that_cannot_be_compared_are_refused() -> None:
    """Rows of several arms, of unequal seeds, or of other texts are refused."""
    with pytest.raises(InputError, match="give those of one"):
        outcomes.chosen([*POOL, _row("a", 0, 1.0, 1, arm="beam")], "words")
    with pytest.raises(InputError, match="more seeds"):
        outcomes.chosen([_row("a", 0, 1.0, 1), _row("b", 0, 1.0, 1), _row("b", 0, 1.0, 1, seed=1)], "words")
    few = outcomes.chosen([_row("a", 0, 1.0, 1)], "words")
    with pytest.raises(InputError, match="different texts"):
        outcomes.difference(few, outcomes.chosen(POOL, "words"))


def _outcome(totals: Any) -> Outcome:
    array = np.asarray(totals, np.float64)
    return Outcome(tuple(map(str, range(len(array)))), array, np.full(len(array), 10.0))


def test_seeds_that_differ_widen_the_interval() -> None:
    """The variance between seeds widens the interval."""
    rng = np.random.default_rng(0)
    texts = rng.integers(0, 5, 40).astype(float)
    steady = outcomes.rate(_outcome(np.stack([texts] * 3, axis=1)))
    shaky = outcomes.rate(_outcome(texts[:, None] + np.array([-4.0, 0.0, 4.0])))
    assert steady.value == pytest.approx(shaky.value)
    assert shaky.high - shaky.low > 1.3 * (steady.high - steady.low)


def test_equal_arms_do_not_differ_and_unequal_ones_do() -> None:
    """Equal arms have p = 1, clearly better ones a small p, and noise an interval around 0."""
    rng = np.random.default_rng(1)
    base = rng.integers(2, 6, (40, 1)).astype(float)
    same, better = _outcome(base), _outcome(base - 1)
    assert outcomes.p_value(same, same) == 1
    assert outcomes.p_value(better, same) < 0.001
    assert outcomes.difference(better, same).high < 0
    noise = _outcome(base + rng.choice([-1, 1], (40, 1)))
    assert outcomes.difference(noise, same).low < 0 < outcomes.difference(noise, same).high


def test_holm_does_not_count_nan() -> None:
    """A comparison that was not tested does not make the others stricter."""
    assert outcomes.holm([0.01, float("nan"), 0.04]) == pytest.approx([0.02, float("nan"), 0.04], nan_ok=True)


@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_corrected_p_values_keep_their_order_and_never_shrink(p_values: list[float]) -> None:
    """Holm never lowers a p-value or changes the order."""
    corrected = outcomes.holm(p_values)
    assert all(0 <= old <= new <= 1 for old, new in zip(p_values, corrected, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


def test_an_unknown_judge_is_refused_by_name() -> None:
    """The message names the judge and suggests one that exists."""
    with pytest.raises(InputError, match="there is no judge 'wrods'; did you mean 'words'"):
        curves.best_of(POOL, "wrods", 2)
    with pytest.raises(InputError, match="there is no judge 'wrods'; did you mean 'words'"):
        curves.best_of(POOL, "words", 2, curves.oracle("wrods"))


def test_judges_are_compared_over_the_texts_that_all_have_scored() -> None:
    """A judge that failed on every recording is left out."""
    record = POOL[0]["judges"]["words"]
    judges = [
        {"words": record, "voice": FAILED if i == 1 else record, "none": FAILED} for i in range(len(POOL))
    ]
    rows: list[Any] = [{**row, "judges": each} for row, each in zip(POOL, judges, strict=True)]
    kept = outcomes.shared(rows, ["words", "voice", "none"])
    assert {row["case"] for row in kept} == {"b"} and len(kept) == 4
    assert outcomes.shared(rows, ["words", "none"]) == rows

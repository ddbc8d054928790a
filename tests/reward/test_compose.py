"""Gates and combinations: what each one prefers, the rule for failures, and their printed form."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llasa_search.arrays import FloatArray
from llasa_search.errors import InputError
from llasa_search.reward.base import Reward, ranking
from llasa_search.reward.compose import Harmonic, Lexicographic, MaxRank, Pareto, RankAverage, ZScore, part_of
from llasa_search.verifiers import WER, Pace, Verifier
from llasa_search.verifiers.specification import as_reward, parse_reward

A, B, C = WER(model="a"), WER(model="b"), WER(model="c")
VERIFIERS: list[Verifier] = [A, B, C]
GATE = C <= 0.25
REWARDS: list[Reward] = [
    A.given(GATE),
    (0.7 * A + 0.3 * B).given(GATE),
    A.given(GATE).given(B <= 0.4),
    0.7 * A.given(GATE) + 0.3 * B,
    Harmonic(A, B),
    Harmonic(A, B).given(GATE),
    0.2 * Harmonic(A, 0.5 * B + 0.5 * C) + 0.8 * C,
    Lexicographic(A, B),
    Lexicographic(A.given(GATE), B),
    RankAverage(A, B, C),
    MaxRank(A, B),
    Pareto(A, B, C),
    Lexicographic(Pareto(A, B), 0.5 * A + 0.5 * B),
    0.6 * ZScore(A) + 0.4 * ZScore(B),
    RankAverage(A, B).given(GATE),
]
FEWER = settings(max_examples=25)
EACH = pytest.mark.parametrize("reward", REWARDS, ids=str)
# Few levels, so that ties are common.
levels = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 1.0])
group = st.lists(st.tuples(levels, levels, levels), min_size=1, max_size=7)


def evaluate(reward: Reward, rows: Sequence[tuple[float, float, float]]) -> FloatArray:
    """Rewards of candidates with these utilities of A, B and C; WER's scale is (1, 0)."""
    utilities = dict(zip(VERIFIERS, np.array(rows, np.float64).reshape(-1, 3).T, strict=True))
    conditions = {str(c): c.utility(1 - utilities[c.verifier]) for c in reward.conditions}
    return reward({str(verifier): column for verifier, column in utilities.items()} | conditions)


@EACH
@FEWER
@given(rows=group, which=st.integers(0, 2), at=st.integers(0, 6), better=levels)
def test_monotone_in_each_utility(
    reward: Reward, rows: list[tuple[float, float, float]], which: int, at: int, better: float
) -> None:
    """The reward of a candidate does not fall when one of its utilities rises."""
    at %= len(rows)
    raised = [list(row) for row in rows]
    raised[at][which] = max(rows[at][which], better)
    after = evaluate(reward, [(a, b, c) for a, b, c in raised])
    assert after[at] >= evaluate(reward, rows)[at] - 1e-9


@EACH
@FEWER
@given(rows=group, seed=st.integers(0, 99))
def test_order_of_candidates_does_not_matter(
    reward: Reward, rows: list[tuple[float, float, float]], seed: int
) -> None:
    """Rewards do not depend on the order of sampling."""
    order = np.random.default_rng(seed).permutation(len(rows))
    np.testing.assert_array_equal(evaluate(reward, rows)[order], evaluate(reward, [rows[i] for i in order]))


@EACH
@FEWER
@given(rows=group, failed=st.sets(st.tuples(st.integers(0, 6), st.integers(0, 2))))
def test_nan_never_wins(
    reward: Reward, rows: list[tuple[float, float, float]], failed: set[tuple[int, int]]
) -> None:
    """A candidate with a failed verifier has no reward and never wins."""
    table = np.array(rows)
    for i, which in failed:
        table[i % len(rows), which] = math.nan
    read = [VERIFIERS.index(verifier) for verifier in reward.required]
    unknown = np.isnan(table[:, read]).any(axis=1)
    values = evaluate(reward, [(a, b, c) for a, b, c in table])
    np.testing.assert_array_equal(np.isnan(values), unknown)
    assert unknown.all() or not unknown[ranking(values)[0]]


@EACH
@FEWER
@given(rows=group)
def test_range(reward: Reward, rows: list[tuple[float, float, float]]) -> None:
    """Pointwise rewards lie in [0, 1], less 1 per gate; the cascade relies on it."""
    if reward.pointwise:
        values, gates = evaluate(reward, rows), len(reward.conditions)
        assert (values <= 1).all() and (values >= -gates).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda a, b: (a * A + b * B).given(GATE),
        lambda a, b: Harmonic(a * A + b * B, C),
        lambda a, b: a * ZScore(A) + b * RankAverage(A, B),
        lambda a, b: Lexicographic(a * A + b * B, C),
    ],
)
@FEWER
@given(rows=group, factor=st.floats(1e-3, 1e3))
def test_scaling_all_weights_changes_nothing(
    make: Callable[[float, float], Reward], rows: list[tuple[float, float, float]], factor: float
) -> None:
    """Only the proportions of weights count."""
    values, scaled = evaluate(make(0.25, 0.75), rows), evaluate(make(0.25 * factor, 0.75 * factor), rows)
    np.testing.assert_allclose(scaled, values, atol=1e-9)


@EACH
def test_printed_form_reads_back(reward: Reward) -> None:
    """A reward is rebuilt from its printed form."""
    assert parse_reward(str(reward)) == reward
    assert str(parse_reward(str(reward))) == str(reward)
    assert parse_reward(str(reward)).pointwise == reward.pointwise


def test_a_gate_subtracts_1_and_failures_rank_among_themselves() -> None:
    """Candidates that fail the gate keep their order."""
    rows = [(0.9, 0.0, 0.7), (0.1, 0.0, 0.75), (0.95, 0.0, 0.5)]
    np.testing.assert_allclose(evaluate(A.given(GATE), rows), [-0.1, 0.1, -0.05])


def test_a_gate_beyond_the_scale_reads_values() -> None:
    """A bound is compared with the value, not with the clipped utility."""
    condition = WER() <= 1.5
    assert condition.utility(np.array([1.2, 3.0, math.nan])).tolist()[:2] == [1.0, 0.0]
    assert math.isnan(condition.utility(np.array([math.nan]))[0])


def test_the_second_term_of_lexicographic_breaks_ties_only() -> None:
    values = evaluate(Lexicographic(A, B), [(0.5, 1.0, 0), (0.7, 0.0, 0), (0.7, 0.1, 0)])
    assert values.tolist() == [0.0, 0.5, 1.0]


def test_rank_average_and_max_rank_differ_where_one_rank_is_bad() -> None:
    """Both use ranks, not utilities."""
    rows = [(1.0, 0.0, 0), (0.7, 0.1, 0), (0.1, 0.25, 0), (0.0, 0.5, 0)]
    assert evaluate(RankAverage(A, B), rows).tolist() == [0.5, 0.5, 0.5, 0.5]
    assert evaluate(MaxRank(A, B), rows).tolist() == pytest.approx([0, 1 / 3, 1 / 3, 0])


def test_harmonic_is_0_where_one_is() -> None:
    np.testing.assert_allclose(
        evaluate(Harmonic(A, B), [(1.0, 0.0, 0), (1.0, 0.5, 0), (0.5, 0.5, 0)]), [0, 2 / 3, 0.5]
    )


def test_pareto_fronts() -> None:
    """No candidate of a front dominates another; equal candidates share a front."""
    rows = [(1.0, 0.0, 0), (0.5, 0.5, 0), (0.5, 0.25, 0), (0.25, 0.25, 0), (0.5, 0.5, 0)]
    assert evaluate(Pareto(A, B), rows).tolist() == [1.0, 1.0, 0.75, 0.5, 1.0]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("0.5 * wer + 0.5 * pace", "0.5 * WER()"),
        ("(wer + pace).given(pace >= 0.5)", "1 * WER()"),
        ("Harmonic(wer, pace)", "WER()"),
        ("pace.given(wer <= 0.1)", "None"),
        ("Lexicographic(Harmonic(wer, pace), pace)", "WER()"),
    ],
)
def test_a_verifier_is_left_out(text: str, left: str) -> None:
    """Terms and gates of a verifier that is left out are left out."""
    assert str(part_of(as_reward(text), lambda verifier: not isinstance(verifier, Pace))) == left


def test_z_scores_of_equals_are_0() -> None:
    """Equal values give 0, also where rounding makes them differ."""
    assert evaluate(ZScore(A) + ZScore(B), [(0.1, 0.0, 0), (0.1, 1.0, 0), (0.1, 0.5, 0)]).tolist() == [
        pytest.approx(-math.sqrt(1.5) / 2),
        pytest.approx(math.sqrt(1.5) / 2),
        0.0,
    ]
    assert evaluate(ZScore(A), [(0.1, 0, 0)] * 3).tolist() == [0.0, 0.0, 0.0]


def test_report_only_parts_do_not_decide() -> None:
    """A verifier of weight 0 is not required, also inside a combination."""
    reward = Harmonic(A + 0 * C, B)
    assert reward.verifiers == (A, C, B) and reward.required == (A, B)
    assert (A + 0 * B.given(GATE)).conditions == ()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Harmonic(), "has no terms"),
        (lambda: Harmonic("wer", A), "'wer'"),  # type: ignore[arg-type]
        (lambda: RankAverage(A, 0 * B), "weights"),
        (lambda: (0 * A).given(GATE), "weights"),
        (lambda: Harmonic(A.given(GATE), B), "add the gate after it"),
        (lambda: Harmonic(ZScore(A), B), "no meaning"),
        (lambda: ZScore(A, B), "one by one"),
        (lambda: A.given(B), "condition"),  # type: ignore[arg-type]
        (lambda: as_reward("wer.given(wer)"), "not made of verifiers"),
        (lambda: as_reward("Harmonic(wer, 1)"), "not made of verifiers"),
        (lambda: as_reward("Harmonic()"), "has no terms"),
        (lambda: as_reward("wer.load()"), "not made of verifiers"),
        (lambda: as_reward("Lexicographic(wer, first=wer)"), "cannot be read"),
        (lambda: as_reward("wer <= 1e999"), "finite"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Callable[[], Reward], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        make()

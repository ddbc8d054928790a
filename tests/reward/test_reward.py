"""Rewards: arithmetic of utilities, the rule for failures, and their printed form."""

import contextlib
import math
import operator
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.arrays import FloatArray
from llasa_search.candidate import Score, Utterance
from llasa_search.errors import InputError
from llasa_search.reward.base import Reward, WeightedSum, ranking
from llasa_search.verifiers import WER, Pace, Verifier
from llasa_search.verifiers.specification import as_reward, parse_condition, parse_reward

A, B = WER(model="a"), WER(model="b")
unit = st.floats(0, 1)
weights = st.floats(0.01, 100)
utility_lists = st.lists(st.tuples(unit, unit), min_size=1, max_size=8)


def evaluate(reward: Reward, rows: list[tuple[float, float]]) -> FloatArray:
    columns = np.array(rows, np.float64).T
    return reward({str(A): columns[0], str(B): columns[1]})


@given(weights, weights, utility_lists)
def test_a_sum_lies_between_its_utilities(a: float, b: float, rows: list[tuple[float, float]]) -> None:
    """Weights are normalised."""
    columns = np.array(rows)
    reward = evaluate(a * A + b * B, rows)
    assert (reward >= columns.min(axis=1) - 1e-9).all() and (reward <= columns.max(axis=1) + 1e-9).all()


@given(weights, weights, unit, unit, unit)
def test_monotone_in_each_utility(a: float, b: float, u: float, v: float, better: float) -> None:
    """The reward does not fall when a utility rises."""
    low, high = sorted((u, better))
    reward = evaluate(a * A + b * B, [(low, v), (high, v)])
    assert reward[0] <= reward[1]


@given(weights, weights, utility_lists, st.integers(0, 99))
def test_order_of_candidates_does_not_matter(
    a: float, b: float, rows: list[tuple[float, float]], seed: int
) -> None:
    """The reward of a candidate does not depend on the others."""
    order = np.random.default_rng(seed).permutation(len(rows))
    reward = a * A + b * B
    np.testing.assert_array_equal(evaluate(reward, rows)[order], evaluate(reward, [rows[i] for i in order]))


@given(weights, weights, st.floats(1e-3, 1e3), utility_lists)
def test_scaling_all_weights_changes_nothing(
    a: float, b: float, factor: float, rows: list[tuple[float, float]]
) -> None:
    """Only the proportions of weights count."""
    reward = a * A + b * B
    np.testing.assert_allclose(evaluate(factor * reward, rows), evaluate(reward, rows), rtol=1e-9)


@given(st.lists(st.one_of(unit, st.just(math.nan)), min_size=1, max_size=8))
def test_nan_never_wins(values: list[float]) -> None:
    """NaN ranks last."""
    order = ranking(np.array(values))
    assert sorted(order) == list(range(len(values)))
    known = [value for value in values if not math.isnan(value)]
    assert [values[i] for i in order[: len(known)]] == sorted(known, reverse=True)


def test_ties_go_to_the_lowest_index() -> None:
    assert ranking(np.array([0.1, 0.7, 0.7])) == [1, 2, 0]


def test_failure_of_a_part_makes_the_sum_unknown_unless_its_weight_is_0() -> None:
    """A failed verifier does not count as 0, and one of weight 0 changes nothing."""
    rows = [(1.0, math.nan)]
    assert np.isnan(evaluate(0.5 * A + 0.5 * B, rows)).all()
    assert evaluate(0.5 * A + 0 * B, rows).tolist() == [1.0]


def test_weight_0_is_still_scored() -> None:
    assert (1 * A + 0 * B).verifiers == (A, B)
    assert (1 * A + 0 * B).required == (A,)


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_invalid_weights_are_refused(weight: float) -> None:
    with pytest.raises(InputError, match="weight"):
        weight * A


def test_all_weights_0_is_refused() -> None:
    with pytest.raises(InputError, match="all weights"):
        as_reward(0 * A + 0 * B)


@pytest.mark.parametrize(
    ("value", "utility"), [(0.0, 1.0), (0.25, 0.75), (0.5, 0.5), (1.0, 0.0), (3.0, 0.0), (math.nan, math.nan)]
)
def test_utility_is_the_clipped_scale(value: float, utility: float) -> None:
    """Values beyond the scale are clipped; NaN stays NaN."""
    np.testing.assert_equal(WER().utility(np.array([value]))[0], utility)


@given(st.lists(st.tuples(weights, st.text(max_size=8)), min_size=1, max_size=4))
def test_printed_form_reads_back(terms: list[tuple[float, str]]) -> None:
    """The printed form keeps every digit, quote and argument."""
    reward = WeightedSum([(weight, WER(model=model)) for weight, model in terms])
    assert parse_reward(str(reward)) == reward
    assert str(parse_reward(str(reward))) == str(reward)


@given(st.text(alphabet="wer()+*.=<>'\"0123456789 -_,[]{}:\n", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the parser raise another error than `InputError`."""
    with contextlib.suppress(InputError):
        parse_reward(text)


@pytest.mark.parametrize(
    "text",
    ["__import__('os').getcwd()", "wer.__class__", "[wer]", "wer if 1 else wer", "wer(model=open('x'))", "2"],
)
def test_nothing_is_executed(text: str) -> None:
    """An expression holds verifiers, numbers and operators only."""
    with pytest.raises(InputError):
        parse_reward(text)


def test_every_spelling_means_the_same() -> None:
    expected = 0.6 * WER() + 0.4 * A
    assert as_reward("0.6 * wer + 0.4 * WER(model='a')") == expected
    assert as_reward({"wer": 0.6, "wer(model='a')": 0.4}) == expected
    assert as_reward({WER(): 0.6, A: 0.4}) == expected
    assert as_reward(["wer", A]) == WER() + A
    assert as_reward("wer") == WER()


@pytest.mark.parametrize("spec", [[], {}, {"wer": "much"}, {"wer": True}, 3, None, WER, WER() <= 0])
def test_specs_that_describe_no_reward_are_refused(spec: object) -> None:
    with pytest.raises(InputError):
        as_reward(spec)  # type: ignore[arg-type]


def test_wrong_argument_of_a_verifier_is_named() -> None:
    with pytest.raises(InputError, match="size"):
        parse_reward("wer(size='large')")


def test_plain_function_is_a_verifier_and_same_names_clash() -> None:
    """Two functions of one name are refused, because scores are stored by name."""
    assert str(as_reward([abs_loudness, "wer"])) == "abs_loudness() + WER()"
    with pytest.raises(InputError, match="two different verifiers"):
        as_reward([lambda utterance: 0.1, lambda utterance: 0.2])


def abs_loudness(utterance: Utterance) -> float:
    return float(np.abs(utterance.audio).mean())


def test_conditions() -> None:
    condition = parse_condition("wer <= 0.1")
    assert condition == (WER() <= 0.1)
    assert str(condition) == "WER() <= 0.1"
    assert condition.holds(np.array([0.1, 0.2, math.nan])).tolist() == [True, False, False]
    assert (WER() >= 0.1).holds(np.array([0.1, 0.05])).tolist() == [True, False]


@pytest.mark.parametrize("text", ["wer", "wer < 0.1", "0.1 <= wer <= 0.2", "wer <= wer", "wer <= nan"])
def test_text_that_is_not_a_condition_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_condition(text)


def test_a_condition_may_begin_with_its_bound() -> None:
    """Python and expressions both accept `0.05 >= wer`."""
    assert parse_condition("0.05 >= wer") == operator.ge(0.05, WER()) == (WER() <= 0.05)
    with pytest.raises(InputError, match="takes <= or >="):
        operator.gt(0.05, WER())
    with pytest.raises(InputError, match="takes <= or >="):
        parse_reward("wer.given(wer < 0.05)")


@pytest.mark.parametrize("bound", ["0.05", None, Pace(), math.nan])
def test_a_bound_that_is_not_a_number_is_refused(bound: float) -> None:
    """The message names the verifier and the bound."""
    with pytest.raises(InputError, match="the bound is not a finite number"):
        WER() <= bound  # noqa: B015


def test_weights_with_an_infinite_sum_are_refused() -> None:
    """Weights with an infinite sum are refused before anything is sampled."""
    with pytest.raises(InputError, match="give smaller ones"):
        1e308 * WER() + 1e308 * Pace()


@pytest.mark.parametrize("compare", [lambda: WER() < 0.05, lambda: WER() > 0.05])
def test_a_strict_comparison_says_what_to_write(compare: Callable[[], object]) -> None:
    """The message says to use <= or >=."""
    with pytest.raises(InputError, match=r"takes <= or >=, as in WER\(\) [<>]= 0.05"):
        compare()


def test_the_built_in_sum_joins_rewards() -> None:
    """`sum([a, b])` is `a + b`."""
    assert str(sum([WER(), Pace()])) == "WER() + Pace()"


def test_a_chained_condition_is_refused() -> None:
    """Python would keep the second half of `0 <= WER() <= 1` only."""
    with pytest.raises(InputError, match="truth value"):
        0 <= WER() <= 1  # noqa: B015


class Forgetful(Verifier):
    """Keeps its argument under another name."""

    def __init__(self, size: int) -> None:
        self.other = size

    def score(self, utterances: object) -> list[Score]:
        return []


def test_verifier_that_hides_an_argument_is_named() -> None:
    """The printed form needs each constructor argument as an attribute."""
    with pytest.raises(InputError, match="size"):
        str(Forgetful(size=3))

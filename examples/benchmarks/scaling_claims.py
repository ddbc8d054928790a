"""Tests the claims of the scaling study: the comparisons for each claim, and their results."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from llasa_search.evaluation.statistics import RESAMPLES, Estimate
from llasa_search.study import Row, costs, curves, outcomes
from llasa_search.study.outcomes import Outcome
from llasa_search.study.tables import signed

WER_JUDGES = ("bigram", "ctc")
JUDGES = (*WER_JUDGES, "voice")
PAIRS = (("small", "base"), ("small", "large"), ("base", "large"))
MORE_COMPUTE = "best-of-N is better than a single sample"
SMALLER_MODEL = "best-of-N with a smaller model is better than a single sample of a larger model"
EQUAL_FLOPS = "the same at equal FLOPs, verifiers included"
PROCESS_REWARD = "a process reward with an outcome reward is better than a single sample"
PROCESS_REWARD_EQUAL_FLOPS = (
    "a process reward with an outcome reward is better than best-of-N at equal or lower FLOPs"
)
HOLDS, OPPOSITE, NOT_SIGNIFICANT = "holds", "**the opposite holds**", "not significant"
SEARCHES = {"direct": "single sample", "PRM + ORM": "PRM + ORM"}
"""The printed names of arms; the best of n has its size in its name."""
ALPHA = 0.05

Runs = Mapping[str, Mapping[str, Sequence[Row]]]
"""By size, then by arm: "direct", "pool" and "PRM + ORM"."""

Sides = Callable[[str], tuple[Outcome, Outcome]]
"""Takes the name of a judge and returns its scores of both sides of a comparison."""


@dataclass(frozen=True)
class Claim:
    """The claim that the first side of a comparison is better than the second.

    Attributes:
        family: the general claim.
        text: printed names of the two sides.
        sides: the scores of both sides; None if they cannot be compared.
        judges: names of the judges.
    """

    family: str
    text: str
    sides: Sides | None
    judges: Sequence[str] = WER_JUDGES


def scored(runs: Runs, size: str, search: str, judge: str, n: float = 1) -> Outcome:
    """Returns a judge's scores of one search with one model."""
    if search == "PRM + ORM":
        return outcomes.chosen(runs[size][search], judge)
    return curves.best_of(runs[size]["pool" if search == "best of n" else "direct"], judge, n)


def claims(runs: Runs, n: int) -> list[Claim]:
    """Returns the paper's claims as comparisons of these runs."""

    def against(one: tuple[str, str, float], other: tuple[str, str, float]) -> Sides:
        return lambda judge: (
            scored(runs, one[0], one[1], judge, one[2]),
            scored(runs, other[0], other[1], judge, other[2]),
        )

    def pool_of(size: str, cost: float) -> tuple[str, tuple[str, str, float] | None]:
        """Returns the best-of-N with this cost, or the best of all candidates if that costs less."""
        pool = runs[size]["pool"]
        k, whole = costs.n_at(pool, "flops", cost), costs.cost(pool, "flops")
        if math.isnan(k) and cost > whole:
            return f"{size}, best of {n} ({whole / cost:.0%} of the cost)", (size, "best of n", n)
        return f"{size}, best of {k:.3g}", None if math.isnan(k) else (size, "best of n", k)

    found = []
    for size in runs:
        sides = against((size, "best of n", n), (size, "direct", 1))
        found.append(Claim(MORE_COMPUTE, f"{size}, best of {n}; {size}, single sample", sides))
    for small, large in PAIRS:
        direct, named = (large, "direct", 1), f"{large}, single sample"
        found.append(
            Claim(SMALLER_MODEL, f"{small}, best of {n}; {named}", against((small, "best of n", n), direct))
        )
        text, equal = pool_of(small, costs.cost(runs[large]["direct"], "flops", 1))
        found.append(Claim(EQUAL_FLOPS, f"{text}; {named}", equal and against(equal, direct)))
    for small, large in (*((size, size) for size in runs), PAIRS[1]):
        sides = against((small, "PRM + ORM", 1), (large, "direct", 1))
        found.append(Claim(PROCESS_REWARD, f"{small}, PRM + ORM; {large}, single sample", sides, JUDGES))
    for size, arms in runs.items():
        text, equal = pool_of(size, costs.cost(arms["PRM + ORM"], "flops"))
        process = (size, "PRM + ORM", 1)
        found.append(
            Claim(
                PROCESS_REWARD_EQUAL_FLOPS,
                f"{size}, PRM + ORM; {text}",
                equal and against(process, equal),
                JUDGES,
            )
        )
    return found


def findings(tested: Sequence[Claim]) -> str:
    """Returns how often each claim holds, and a table of all comparisons; p-values are corrected for all of them."""
    sides = {(claim, judge): claim.sides(judge) for claim in tested if claim.sides for judge in claim.judges}
    p_values = outcomes.holm([outcomes.p_value(*each) for each in sides.values()])
    counts: dict[str, Counter[str]] = {claim.family: Counter() for claim in tested}
    cells: dict[Claim, dict[str, str]] = {claim: {} for claim in tested}
    for ((claim, judge), each), p in zip(sides.items(), p_values, strict=True):
        gain = outcomes.difference(*each)
        result = test_result(judge, gain, p)
        counts[claim.family][result] += 1
        cells[claim][judge] = f"{result}: {signed(gain)}, p = {p:.3f}"
    lines = []
    for family, count in counts.items():
        found = [each for each in (HOLDS, OPPOSITE, NOT_SIGNIFICANT) if count[each]]
        listed = ", ".join(f"{each} in {count[each]}" for each in found)
        lines.append(
            f"- **{family}**: " + (f"{listed} of {count.total()} comparisons" if listed else "not compared")
        )
    smallest = 2 * len(sides) / (RESAMPLES + 1)  # two-sided
    lines += [
        "",
        f"There are {len(sides)} comparisons. The smallest possible p-value after Holm is {smallest:.3f}.",
    ]
    lines += [
        "",
        "The table shows the difference, its interval and its corrected p-value by comparison and judge.",
    ]
    lines += ["", "| claim | sides | " + " | ".join(JUDGES) + " |", "|---" * (2 + len(JUDGES)) + "|"]
    for claim, by_judge in cells.items():
        row = [claim.family, claim.text, *(by_judge.get(judge, "") for judge in JUDGES)]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def test_result(judge: str, gain: Estimate, p: float) -> str:
    """Returns whether the first side is significantly better than the second by a judge."""
    if not p < ALPHA:
        return NOT_SIGNIFICANT
    better = gain.value > 0 if judge == "voice" else gain.value < 0
    return HOLDS if better else OPPOSITE

"""The claims of the scaling study: the comparisons behind each, and whether it holds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from llasa_search.evaluation.statistics import RESAMPLES, Estimate
from llasa_search.study import Row, costs, curves, outcomes
from llasa_search.study.outcomes import Outcome
from llasa_search.study.tables import signed

WORD_JUDGES = ("bigram", "ctc")
JUDGES = (*WORD_JUDGES, "voice")
PAIRS = (("small", "base"), ("small", "large"), ("base", "large"))
HELPS = "more inference compute helps"
BEATS = "a searched small model beats an unsearched larger one"
EQUALLY = "the same at equal FLOPs, verifiers included"
STEERS = "a process reward, then an outcome reward, helps"
BEYOND = "it is better than best-of-n at the same or less cost"
HOLDS, OPPOSITE, NOT_SIGNIFICANT = "holds", "**the opposite holds**", "not significant"
ALPHA = 0.05

Runs = Mapping[str, Mapping[str, Sequence[Row]]]
"""By size, then by arm: "direct", "pool" and "PRM + ORM"."""

Sides = Callable[[str], tuple[Outcome, Outcome]]
"""Takes a judge and returns its scores of both sides of a comparison."""


@dataclass(frozen=True)
class Claim:
    """That one side is better than the other.

    Attributes:
        family: the claim that it is evidence for.
        text: the two sides.
        sides: the scores of a judge; None if they cannot be compared.
        judges: names of the judges.
    """

    family: str
    text: str
    sides: Sides | None
    judges: Sequence[str] = WORD_JUDGES


def scored(runs: Runs, size: str, search: str, judge: str, n: float = 1) -> Outcome:
    """Returns a judge's scores of one line of the table."""
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
        """Returns the best of as many as cost the same, or of all if these cost less."""
        pool = runs[size]["pool"]
        k, whole = costs.n_at(pool, "flops", cost), costs.cost(pool, "flops")
        if math.isnan(k) and cost > whole:
            return f"{size}, best of {n} ({whole / cost:.0%} of the cost)", (size, "best of n", n)
        return f"{size}, best of {k:.3g}", None if math.isnan(k) else (size, "best of n", k)

    made = []
    for size in runs:
        sides = against((size, "best of n", n), (size, "direct", 1))
        made.append(Claim(HELPS, f"{size}, best of {n}; {size}, direct", sides))
    for small, large in PAIRS:
        direct, named = (large, "direct", 1), f"{large}, direct"
        made.append(Claim(BEATS, f"{small}, best of {n}; {named}", against((small, "best of n", n), direct)))
        text, equal = pool_of(small, costs.cost(runs[large]["direct"], "flops", 1))
        made.append(Claim(EQUALLY, f"{text}; {named}", equal and against(equal, direct)))
    for small, large in (*((size, size) for size in runs), PAIRS[1]):
        sides = against((small, "PRM + ORM", 1), (large, "direct", 1))
        made.append(Claim(STEERS, f"{small}, PRM + ORM; {large}, direct", sides, JUDGES))
    for size, arms in runs.items():
        text, equal = pool_of(size, costs.cost(arms["PRM + ORM"], "flops"))
        process = (size, "PRM + ORM", 1)
        made.append(Claim(BEYOND, f"{size}, PRM + ORM; {text}", equal and against(process, equal), JUDGES))
    return made


def findings(made: Sequence[Claim]) -> str:
    """Returns how often each claim holds, then every comparison; p-values are corrected for all of them."""
    sides = {(claim, judge): claim.sides(judge) for claim in made if claim.sides for judge in claim.judges}
    p_values = outcomes.holm([outcomes.p_value(*each) for each in sides.values()])
    counts: dict[str, Counter[str]] = {claim.family: Counter() for claim in made}
    cells: dict[Claim, dict[str, str]] = {claim: {} for claim in made}
    for ((claim, judge), each), p in zip(sides.items(), p_values, strict=True):
        gain = outcomes.difference(*each)
        result = judged_claim(judge, gain, p)
        counts[claim.family][result] += 1
        cells[claim][judge] = f"{result}: {signed(gain)}, p = {p:.3f}"
    lines = []
    for family, count in counts.items():
        found = [each for each in (HOLDS, OPPOSITE, NOT_SIGNIFICANT) if count[each]]
        listed = ", ".join(f"{each} in {count[each]}" for each in found)
        lines.append(f"- **{family}**: " + (f"{listed} of {count.total()}" if listed else "not compared"))
    least = 2 * len(sides) / (RESAMPLES + 1)  # of two sides
    lines += ["", f"{len(sides)} comparisons; after Holm, no p can be below {least:.3f}."]
    lines += ["", "The table shows each comparison with its interval and corrected p-value, by judge."]
    lines += ["", "| claim | sides | " + " | ".join(JUDGES) + " |", "|---" * (2 + len(JUDGES)) + "|"]
    for claim, told_by in cells.items():
        row = [claim.family, claim.text, *(told_by.get(judge, "") for judge in JUDGES)]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def judged_claim(judge: str, gain: Estimate, p: float) -> str:
    """Returns whether the first side is better than the other by a judge, if that is significant."""
    if not p < ALPHA:
        return NOT_SIGNIFICANT
    better = gain.value > 0 if judge == "voice" else gain.value < 0
    return HOLDS if better else OPPOSITE

"""Chooses a temperature on texts that are for choosing: by small pools, and what judges make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

import typer

from llasa_search import Sampling
from llasa_search.study import Arm, Case, Row, Study, curves, outcomes, read_cases

SIZE = 4
"""Candidates of each text and temperature."""


def others(dev: str, limit: int | None, cases: Sequence[Case]) -> list[Case]:
    """Texts for choosing, of which none is measured on.

    Raises:
        typer.BadParameter: one is.
    """
    measured = {case.text for case in cases}
    found = read_cases(dev, limit)
    if shared := [case.text for case in found if case.text in measured]:
        raise typer.BadParameter(
            f"{dev}: {len(shared)} of its texts are also measured on, such as {shared[0]!r}: choose the "
            "temperature on others (--dev), or give the one of --temperatures"
        )
    return found


def pools(
    study: Study, cases: Sequence[Case], choices: Sequence[Sampling], verifiers: str
) -> dict[Sampling, list[Row]]:
    """A small pool of each text at each temperature."""
    strategy = f"best_of_n:n={SIZE}"
    arms = {
        each: Arm(f"dev, {each.temperature:g}", strategy, verifiers, sampling=each, pool=True)
        for each in choices
    }
    found = study.by_arm(cases, list(arms.values()))
    return {each: found[arm.name] for each, arm in arms.items()}


def counts_errors(rows: Sequence[Row], judge: str) -> bool:
    """Whether a judge measures an error rate, of which lower is better."""
    return any("edits" in row["judges"][judge] for row in rows)


def errors(rows: Sequence[Row], judges: Sequence[str], n: int = SIZE) -> float:
    """Error rate of the best of n, the mean of all judges that count errors.

    Raises:
        typer.BadParameter: none does.
    """
    counting = [judge for judge in judges if counts_errors(rows, judge)]
    if not counting:
        raise typer.BadParameter("no judge counts errors: give one of --temperatures yourself")
    return mean(outcomes.rate(curves.best_of(rows, judge, n)).value for judge in counting)


def fewest_errors(tried: Mapping[Sampling, Sequence[Row]], judges: Sequence[str], n: int = SIZE) -> Sampling:
    """The sampling whose best of n has the fewest errors."""
    return min(tried, key=lambda each: errors(tried[each], judges, n))

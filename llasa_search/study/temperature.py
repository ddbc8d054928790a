"""Chooses a sampling temperature on texts of their own, by small pools and the judges' error rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

from llasa_search.errors import InputError
from llasa_search.sampling import Sampling
from llasa_search.study import curves, outcomes
from llasa_search.study.cases import Case, read_cases
from llasa_search.study.plan import Arm, Row
from llasa_search.study.runs import Study

SIZE = 4
"""Candidates of each text and temperature."""


def dev_cases(dev: str, limit: int | None, cases: Sequence[Case]) -> list[Case]:
    """Returns the texts on which the temperature is chosen.

    Args:
        dev: a set or file, as in `read_cases`.
        limit: at most so many texts.
        cases: those that results are reported on.

    Raises:
        InputError: a text is also in `cases`.
    """
    measured = {case.text for case in cases}
    found = read_cases(dev, limit)
    if shared := [case.text for case in found if case.text in measured]:
        raise InputError(
            f"{dev}: {len(shared)} of its texts are also measured on, such as {shared[0]!r}: choose the "
            "temperature on others (--dev), or give one temperature (--temperatures)"
        )
    return found


def pools(
    study: Study, cases: Sequence[Case], choices: Sequence[Sampling], verifiers: str
) -> dict[Sampling, list[Row]]:
    """Returns a pool of `SIZE` candidates of each text, for each sampling."""
    strategy = f"best_of_n:n={SIZE}"
    arms = {
        each: Arm(f"dev, {each.temperature:g}", strategy, verifiers, sampling=each, pool=True)
        for each in choices
    }
    found = study.by_arm(cases, list(arms.values()))
    return {each: found[arm.name] for each, arm in arms.items()}


def error_rate(rows: Sequence[Row], judges: Sequence[str], n: int = SIZE) -> float:
    """Returns the error rate of the best of n, the mean over all judges that count errors.

    Raises:
        InputError: no judge counts errors.
    """
    counting = [judge for judge in judges if outcomes.counts_errors(rows, judge)]
    if not counting:
        raise InputError("no judge counts errors: give one temperature (--temperatures)")
    return mean(outcomes.rate(curves.best_of(rows, judge, n)).value for judge in counting)


def fewest_errors(tried: Mapping[Sampling, Sequence[Row]], judges: Sequence[str], n: int = SIZE) -> Sampling:
    """Returns the sampling whose best of n has the fewest errors."""
    return min(tried, key=lambda each: error_rate(tried[each], judges, n))

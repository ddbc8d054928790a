"""Chooses the sampling temperature on separate texts, by the judges' error rates of small pools."""

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


def dev_cases(dev: str, limit: int | None, cases: Sequence[Case], language: str | None = None) -> list[Case]:
    """Returns the texts on which the temperature is chosen.

    Args:
        dev: a set or file, as in `read_cases`.
        limit: maximum number of texts.
        cases: the texts on which results are reported.
        language: as in `read_cases`.

    Raises:
        InputError: a text is also in `cases`.
    """
    evaluated = {case.text for case in cases}
    found = read_cases(dev, limit, language)
    if shared := [case.text for case in found if case.text in evaluated]:
        raise InputError(
            f"{dev}: {len(shared)} of its texts are also evaluated, such as {shared[0]!r}: choose the "
            "temperature on other texts (--dev), or give one temperature (--temperatures)"
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
    """Returns the error rate of the best of n, averaged over all judges that count errors.

    Raises:
        InputError: no judge counts errors.
    """
    counting = [judge for judge in judges if outcomes.counts_errors(rows, judge)]
    if not counting:
        raise InputError("no judge counts errors: give one temperature (--temperatures)")
    rows = outcomes.shared(rows, counting) or rows
    return mean(outcomes.rate(curves.best_of(rows, judge, n)).value for judge in counting)


def fewest_errors(pools: Mapping[Sampling, Sequence[Row]], judges: Sequence[str], n: int = SIZE) -> Sampling:
    """Returns the sampling with the lowest error rate of the best of n."""
    return min(pools, key=lambda each: error_rate(pools[each], judges, n))

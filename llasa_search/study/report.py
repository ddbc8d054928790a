"""Writes the report of an ablation: settings, figures, tables and findings."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llasa_search.evaluation.statistics import RESAMPLES
from llasa_search.sampling import Sampling
from llasa_search.scoring.families import same_family
from llasa_search.scoring.loading import verifier_versions
from llasa_search.study import curves, outcomes, temperature
from llasa_search.study.outcomes import counts_errors
from llasa_search.study.plan import Arm, Row
from llasa_search.study.points import Point
from llasa_search.study.runs import Study
from llasa_search.study.tables import markdown, signed
from llasa_search.verifiers.base import Verifier

MEASURE, VALUE = "WER (judge)", "value (judge; higher is better)"
TESTED_N = 16
"""The gain of best-of-N is tested at this n and at the size of the pool."""
BAD = 0.5
"""Speech with a higher word error rate counts as bad."""
ALPHA = 0.05


@dataclass(frozen=True)
class Setup:
    """The settings of a study.

    Attributes:
        command: the command line.
        texts: name or file of the set.
        count: number of texts.
        left_out: number of texts that a verifier cannot score.
        dev: the texts on which the sampling was chosen.
        dev_pools: the rows of each sampling that was tested on `dev`; empty if the sampling was given.
        sampling: of all searches.
        verifiers: the reward's expression.
        study: the study, with its model, codec and judges.
        arms: the pool of best-of-N, then the other strategies.
    """

    command: str
    texts: str
    count: int
    left_out: int
    dev: str
    dev_pools: Mapping[Sampling, Sequence[Row]]
    sampling: Sampling
    verifiers: str
    study: Study
    arms: Sequence[Arm]


def report(
    setup: Setup, by_arm: Mapping[str, Sequence[Row]], points: Sequence[Point], figures: Sequence[str]
) -> str:
    """Returns the report in Markdown.

    Args:
        setup: the settings of the study.
        by_arm: the judged candidates.
        points: compared at equal row-steps and at equal FLOPs.
        figures: file names of the plots.
    """
    pool = next(iter(by_arm.values()))
    judges = [name for name, _ in setup.study.judges]
    images = "\n\n".join(f"![{Path(each).stem}]({each})" for each in figures)
    introduction = f"""# Quality against compute

{settings(setup)}

The study has {sum(map(len, by_arm.values())):,} judged candidates for {setup.count} texts of the set
{setup.texts}{_left_out(setup)}. The reward is `{setup.verifiers}`, at temperature {setup.sampling.temperature:g} and
top-p {setup.sampling.top_p:g}. {_choice_of_temperature(setup)}

The values of best-of-N are exact means over all subsets of a pool of {curves.pool_size(pool)}
candidates{_seeds(setup)}. Error rates are corpus error rates (all errors divided by all words); other values are means.
Intervals are 95% bootstrap intervals over texts, then over the seeds of each text. P-values are from paired permutation
tests, exact or with {RESAMPLES:,} resamples. Costs are means per text. They include the verifiers where the choice
needs them, and never the judges.{_one_text(setup)}{_shared(by_arm, judges)}

{images}"""
    return "\n\n".join([introduction, *(_judged(pool, judge, judges, points) for judge in judges)]) + "\n"


def settings(setup: Setup) -> str:
    """Returns the command, the versions, and the models of search, verifiers and judges."""
    verifiers = {str(each): each for arm in setup.arms for each in arm.all_verifiers()}
    judges = dict(setup.study.judges)
    known = verifier_versions([*verifiers.values(), *judges.values()])
    software = ", ".join(f"{name} {version}" for name, version in known.items())
    return "\n".join(
        [
            f"`{setup.command}` wrote this report ({software}; Python {platform.python_version()}, "
            f"{platform.machine()}, {os.cpu_count()} cores).",
            "",
            f"- language model: {setup.study.model}; codec: {setup.study.codec or 'the default of the model'}",
            *(f"- verifier: {settings_of(each)}" for each in verifiers.values()),
            *(f"- judge {name}: {settings_of(each)}" for name, each in judges.items()),
            *(f"- **Warning**: {why}." for why in same_family(judges.values(), verifiers.values())),
        ]
    )


def settings_of(verifier: Verifier) -> str:
    """Returns a verifier's model and protocol, including defaults; without these, the first line of its docstring."""
    known = vars(verifier)
    found = [f"{name} {known[name]}" for name in ("model", "protocol") if name in known]
    first, *_ = (type(verifier).__doc__ or "").splitlines() or [""]
    return f"`{verifier}`, {', '.join(found) or first}"


def same_measure(pool: Sequence[Row], judge: str, judges: Sequence[str]) -> list[str]:
    """Returns the judges that measure the same as this one: errors, or a value."""
    return [other for other in judges if counts_errors(pool, other) == counts_errors(pool, judge)]


def remarks(pool: Sequence[Row], judge: str, judges: Sequence[str]) -> str:
    """Returns a judge's results for best-of-N: gain, share of the oracle's gain, bad speech, verifier's error rate."""
    size = curves.pool_size(pool)
    single, best = curves.best_of(pool, judge, 1), curves.best_of(pool, judge, size)
    lines = _gains(pool, judge, single, size)
    for other in same_measure(pool, judge, judges):
        if other != judge:
            lines.append(_share_of_oracle(pool, judge, other, single, best))
    if counts_errors(pool, judge):
        bad = outcomes.share_above(pool, judge, BAD)
        before, after = (outcomes.rate(curves.best_of(bad, judge, n)) for n in (1, size))
        lines.append(
            f"- The share of candidates with a WER above {BAD:g} is {before} for single samples and {after} for "
            f"the best of {size}."
        )
        scores = pool[0]["scores"]
        lines += [
            verifier_error_rate(pool, name, best, size) for name, score in scores.items() if "edits" in score
        ]
    return "\n".join(lines)


def verifier_error_rate(pool: Sequence[Row], verifier: str, best: outcomes.Outcome, size: int) -> str:
    """Returns the error rate of the chosen candidates by the verifier, and the judge's error rate minus it."""
    own = curves.best_of(outcomes.self_judged(pool), verifier, size)
    more = signed(outcomes.difference(best, own))
    rate = outcomes.rate(own)
    return (
        f"- The error rate of the chosen candidates is {rate} by the verifier `{verifier}`; this judge's error rate "
        f"minus the verifier's is {more}."
    )


def _judged(pool: Sequence[Row], judge: str, judges: Sequence[str], points: Sequence[Point]) -> str:
    """Returns the section of one judge."""
    measure = MEASURE if counts_errors(pool, judge) else VALUE
    at_row_steps = [point for point in points if point.judge == judge and point.equal != "flops"]
    at_flops = [point for point in points if point.judge == judge and point.equal == "flops"]
    parts = [
        f"## Judge: {judge}",
        "The table shows this judge's score of the chosen speech, and the cost of each search per text.",
        markdown(at_row_steps, measure),
    ]
    if at_flops:
        parts += [
            "The next table compares the other strategies with best-of-N at equal FLOPs, verifiers included.",
            markdown(at_flops, measure),
        ]
    return "\n\n".join([*parts, remarks(pool, judge, judges)])


def _gains(pool: Sequence[Row], judge: str, single: outcomes.Outcome, size: int) -> list[str]:
    """Returns a line for each tested n: best-of-N minus a single sample."""
    sizes = list(dict.fromkeys(n for n in (TESTED_N, size) if n <= size))
    chosen = [curves.best_of(pool, judge, n) for n in sizes]
    corrected = outcomes.holm([outcomes.p_value(each, single) for each in chosen])
    return [
        f"- The score of the best of {n} minus that of a single sample is {signed(outcomes.difference(each, single))}, "
        f"p = {p:.4f} (Holm correction, {len(sizes)} comparisons): {significance(p)}."
        for n, each, p in zip(sizes, chosen, corrected, strict=True)
    ]


def significance(p: float) -> str:
    """Returns the statement whether a corrected p-value is significant."""
    return "significant at 5% after Holm" if p < ALPHA else "not significant"


def _share_of_oracle(
    pool: Sequence[Row], judge: str, other: str, single: outcomes.Outcome, best: outcomes.Outcome
) -> str:
    """Returns the search's gain as a share of an oracle's gain, if that is not 0."""
    oracle = curves.best_of(pool, judge, curves.pool_size(pool), curves.oracle(other))
    gain = outcomes.difference(single, oracle)
    if gain.low > 0 or gain.high < 0:
        share = str(outcomes.recovered(single, best, oracle))
    else:
        share = f"unknown, because the interval of the oracle's gain contains 0 ({signed(gain)})"
    return f"- The search's gain as a share of the gain of the oracle by {other} is {share}."


def _seeds(setup: Setup) -> str:
    pool, *arms = setup.arms
    seeds = f" with seed {', '.join(map(str, pool.seeds))}"
    return (
        f"{seeds}; the other strategies run with seeds {', '.join(map(str, arms[-1].seeds))}"
        if arms
        else seeds
    )


def _shared(by_arm: Mapping[str, Sequence[Row]], judges: Sequence[str]) -> str:
    """Returns over how many texts the figures of several judges can be compared, if not over all."""
    rows = [row for rows in by_arm.values() for row in rows]
    texts, shared = ({row["case"] for row in some} for some in (rows, outcomes.shared(rows, judges)))
    if len(judges) < 2 or len(shared) == len(texts):
        return ""
    return (
        f" All judges have scored {len(shared)} of the {len(texts)} texts. The values of a judge are over the texts "
        "that it has scored itself, so those of two judges are not over the same texts."
    )


def _one_text(setup: Setup) -> str:
    return " With a single text, intervals and tests are undefined." if setup.count == 1 else ""


def _left_out(setup: Setup) -> str:
    left_out = setup.left_out
    return (
        f" (without {left_out} texts that have no voice prompt, which a verifier needs)" if left_out else ""
    )


def _choice_of_temperature(setup: Setup) -> str:
    """Returns how the sampling was chosen."""
    if not setup.dev_pools:
        return "No other temperature was tested."
    judges = [name for name, _ in setup.study.judges]
    found = [
        f"{sampling.temperature:g} ({temperature.error_rate(rows, judges):.3f})"
        for sampling, rows in setup.dev_pools.items()
    ]
    chosen = (
        f"The temperature was chosen on the set {setup.dev}, by the error rate of the best of {temperature.SIZE}, "
        f"averaged over the judges: {', '.join(found)}."
    )
    edges = {pick(each.temperature for each in setup.dev_pools) for pick in (min, max)}
    at_edge = setup.sampling.temperature in edges
    return f"{chosen} It is at an end of the tested range." if at_edge else chosen

"""Writes the report of an ablation: how it was made, its figures, and what they show."""

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

MEASURE, VALUE = "judged WER", "judged value (higher is better)"
MIDDLE = 16
"""The gain of best-of-n is tested at this n and at the size of the pool."""
BAD = 0.5
"""Speech with a higher word error rate counts as bad."""
ALPHA = 0.05


@dataclass(frozen=True)
class Setup:
    """How a study was made.

    Attributes:
        command: that started it.
        texts: the set's name or file.
        count: texts that were spoken.
        left_out: texts that some verifier cannot score.
        dev: the texts on which the sampling was chosen.
        tried: the rows of each sampling that was tried.
        sampling: of all searches.
        verifiers: expression of the reward.
        study: gives model, codec and judges.
        arms: the pool of best-of-n, then the other strategies.
    """

    command: str
    texts: str
    count: int
    left_out: int
    dev: str
    tried: Mapping[Sampling, Sequence[Row]]
    sampling: Sampling
    verifiers: str
    study: Study
    arms: Sequence[Arm]


def report(
    setup: Setup, by_arm: Mapping[str, Sequence[Row]], points: Sequence[Point], pictures: Sequence[str]
) -> str:
    """Returns the report in Markdown.

    Args:
        setup: how the study was made.
        by_arm: the judged candidates.
        points: at equal row-steps and at equal FLOPs.
        pictures: file names of the plots.
    """
    pool = next(iter(by_arm.values()))
    judges = [name for name, _ in setup.study.judges]
    shown = "\n\n".join(f"![{Path(each).stem}]({each})" for each in pictures)
    introduction = f"""# Quality against compute

{stated(setup)}

{setup.count} texts of {setup.texts}{_left_out(setup)}, {sum(map(len, by_arm.values())):,} judged candidates.
The reward is `{setup.verifiers}`, at temperature {setup.sampling.temperature:g} and top-p
{setup.sampling.top_p:g}.
{_choice_of_temperature(setup)}

Best-of-n is the exact mean over all subsets of a pool of {curves.pool_size(pool)}{_seeds(setup)}. Error rates
are corpus error rates (all errors over all words), other values are means, with 95% bootstrap intervals over
texts, then seeds. P-values are of paired permutation tests, exact or by {RESAMPLES:,} draws. Costs
are means per text. They include verifiers where the choice needs them, and never judges.{_one_text(setup)}

{shown}"""
    return "\n\n".join([introduction, *(_judged(pool, judge, judges, points) for judge in judges)]) + "\n"


def stated(setup: Setup) -> str:
    """Returns the command, the versions, and the models of search, verifiers and judges."""
    verifiers = {str(each): each for arm in setup.arms for each in arm.all_verifiers()}
    judges = dict(setup.study.judges)
    known = verifier_versions([*verifiers.values(), *judges.values()])
    software = ", ".join(f"{name} {version}" for name, version in known.items())
    return "\n".join(
        [
            f"Made by `{setup.command}` ({software}; Python {platform.python_version()}, "
            f"{platform.machine()}, {os.cpu_count()} cores).",
            "",
            f"- language model {setup.study.model}, codec {setup.study.codec or 'that belongs to it'}",
            *(f"- verifier {settings_of(each)}" for each in verifiers.values()),
            *(f"- judge {name}: {settings_of(each)}" for name, each in judges.items()),
            *(f"- **Warning**: {why}." for why in same_family(judges.values(), verifiers.values())),
        ]
    )


def settings_of(verifier: Verifier) -> str:
    """Returns a verifier's model and protocol, also where these are defaults; else its first line of help."""
    known = vars(verifier)
    found = [
        f"{label} {known[name]}"
        for name, label in (("model", "model"), ("protocol", "normaliser and metric of protocol"))
        if name in known
    ]
    first, *_ = (type(verifier).__doc__ or "").splitlines() or [""]
    return f"{verifier}: {', '.join(found) or first}"


def alike(pool: Sequence[Row], judge: str, judges: Sequence[str]) -> list[str]:
    """Returns the judges that measure the same as this one: errors, or a value."""
    return [other for other in judges if counts_errors(pool, other) == counts_errors(pool, judge)]


def remarks(pool: Sequence[Row], judge: str, judges: Sequence[str]) -> str:
    """Returns a judge's findings on best-of-n: gain, headroom, bad speech, and the search's own view."""
    size = curves.pool_size(pool)
    plain, best = curves.best_of(pool, judge, 1), curves.best_of(pool, judge, size)
    lines = _gains(pool, judge, plain, size)
    for other in alike(pool, judge, judges):
        if other != judge:
            lines.append(_headroom(pool, judge, other, plain, best))
    if counts_errors(pool, judge):
        bad = outcomes.share_above(pool, judge, BAD)
        one, chosen = (outcomes.rate(curves.best_of(bad, judge, n)) for n in (1, size))
        lines.append(
            f"- Share of speech with a WER above {BAD:g}: {one} for one sample, {chosen} for best of {size}."
        )
        scores = pool[0]["scores"]
        lines += [own_view(pool, name, best, size) for name, score in scores.items() if "edits" in score]
    return "\n".join(lines)


def own_view(pool: Sequence[Row], verifier: str, best: outcomes.Outcome, size: int) -> str:
    """Returns a verifier's own error rate of what it chose, and by how much a judge's is higher."""
    own = curves.best_of(outcomes.self_judged(pool), verifier, size)
    more = signed(outcomes.difference(best, own))
    rate = outcomes.rate(own)
    return f"- The search's own error rate by `{verifier}` is {rate}; this judge's minus that: {more}."


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
            "The next table compares the other strategies with best-of-n at equal FLOPs, verifiers included.",
            markdown(at_flops, measure),
        ]
    return "\n\n".join([*parts, remarks(pool, judge, judges)])


def _gains(pool: Sequence[Row], judge: str, plain: outcomes.Outcome, size: int) -> list[str]:
    """Returns a line for each tested n: best-of-n minus one sample."""
    sizes = list(dict.fromkeys(n for n in (MIDDLE, size) if n <= size))
    chosen = [curves.best_of(pool, judge, n) for n in sizes]
    corrected = outcomes.holm([outcomes.p_value(each, plain) for each in chosen])
    return [
        f"- Best of {n} minus one sample: {signed(outcomes.difference(each, plain))}, p = {p:.4f} "
        f"(Holm, {len(sizes)} of this judge), {significance(p)}."
        for n, each, p in zip(sizes, chosen, corrected, strict=True)
    ]


def significance(p: float) -> str:
    """Returns in words whether a corrected p-value is significant."""
    return "significant at 5% after Holm" if p < ALPHA else "not significant"


def _headroom(
    pool: Sequence[Row], judge: str, other: str, plain: outcomes.Outcome, best: outcomes.Outcome
) -> str:
    """Returns the share of an oracle's gain that the search reaches, if the oracle has a gain."""
    oracle = curves.best_of(pool, judge, curves.pool_size(pool), curves.oracle(other))
    room = outcomes.difference(plain, oracle)
    if room.low > 0 or room.high < 0:
        share = str(outcomes.recovered(plain, best, oracle))
    else:
        share = f"unknown, because the interval of the headroom holds 0 ({signed(room)})"
    return f"- Share of the headroom of the oracle by {other} that the search recovers: {share}."


def _seeds(setup: Setup) -> str:
    pool, *arms = setup.arms
    seeds = ", seed " + ", ".join(map(str, pool.seeds))
    return f"{seeds}; seeds of each other strategy: {', '.join(map(str, arms[-1].seeds))}" if arms else seeds


def _one_text(setup: Setup) -> str:
    return " One text has neither intervals nor tests." if setup.count == 1 else ""


def _left_out(setup: Setup) -> str:
    left_out = setup.left_out
    return f" ({left_out} more without a voice prompt, which a verifier needs)" if left_out else ""


def _choice_of_temperature(setup: Setup) -> str:
    """Returns how the sampling was chosen."""
    if not setup.tried:
        return "No other temperature was tried."
    judges = [name for name, _ in setup.study.judges]
    found = [
        f"{sampling.temperature:g} ({temperature.error_rate(rows, judges):.3f})"
        for sampling, rows in setup.tried.items()
    ]
    chosen = (
        f"That temperature was chosen on {setup.dev}, by the error rate of the best of {temperature.SIZE}, "
        f"the mean of the judges: {', '.join(found)}."
    )
    edges = {pick(each.temperature for each in setup.tried) for pick in (min, max)}
    at_edge = setup.sampling.temperature in edges
    return f"{chosen} It is at the end of the range that was tried." if at_edge else chosen

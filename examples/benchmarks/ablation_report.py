"""The report of `compute_budget_ablation.py`: what is needed to read its figures, and the figures."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.benchmarks import choosing
from examples.benchmarks.choosing import counts_errors
from llasa_search import Sampling
from llasa_search.scoring.families import kin
from llasa_search.scoring.loading import verifier_versions
from llasa_search.study import Arm, Row, Study, curves, outcomes
from llasa_search.study.points import Point
from llasa_search.study.report import markdown, signed
from llasa_search.verifiers.base import Verifier

MEASURE, VALUE = "judged WER", "judged value (higher is better)"
MIDDLE = 16  # beside the whole pool, the size whose gain is tested
BAD = 0.5


@dataclass(frozen=True)
class Made:
    """What a study was made of.

    Attributes:
        texts: the set's name or file; `count` of them were spoken, `left_out` could not be heard by every
            verifier.
        dev: where the sampling was chosen, after each of `tried`, with its rows.
        sampling: that of all searches.
        verifiers: the reward's expression.
        study: its judges.
        arms: best-of-n's pool, then the other strategies.
    """

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
    made: Made, by_arm: Mapping[str, Sequence[Row]], points: Sequence[Point], pictures: Sequence[str]
) -> str:
    """Everything that is needed to read the figures, and the figures."""
    pool = next(iter(by_arm.values()))
    judges = [name for name, _ in made.study.judges]
    parts = []
    for judge in judges:
        measure = MEASURE if counts_errors(pool, judge) else VALUE
        mine = [point for point in points if point.judge == judge]
        parts.append(f"## Judge: {judge}\n\n{markdown([p for p in mine if p.equal != 'flops'], measure)}")
        if compared := [point for point in mine if point.equal == "flops"]:
            parts.append(f"The same at equal operations, verifiers counted:\n\n{markdown(compared, measure)}")
        parts.append(remarks(pool, judge, judges))
    shown = "\n\n".join(f"![{Path(each).stem}]({each})" for each in pictures)
    return f"""# Quality against compute

{stated(made)}

{made.count} texts of {made.texts}{missing(made)}, {sum(map(len, by_arm.values())):,} judged candidates.
Search by `{made.verifiers}` at temperature {made.sampling.temperature:g}, top-p {made.sampling.top_p:g}.
{tries(made)}

Best-of-n is the exact mean over all subsets of a pool of {curves.pool_size(pool)}{others(made)}. Error rates
are those of the corpus (all errors over all words), other values means, with 95 % bootstrap intervals over
texts, then seeds; p-values are of paired permutation tests, exact or by {outcomes.RESAMPLES:,} draws.
Costs are means a text; those of judges count nowhere, and what is chosen without the verifiers does not pay
for them.{alone(made)}

{shown}

""" + "\n\n".join(parts)


def stated(made: Made) -> str:
    """The command, versions, and what listens: the verifiers of all arms, and the judges."""
    all_verifiers = {str(each): each for arm in made.arms for each in arm.all_verifiers()}
    judges = dict(made.study.judges)
    known = verifier_versions([*all_verifiers.values(), *judges.values()])
    software = ", ".join(f"{name} {version}" for name, version in known.items())
    return "\n".join(
        [
            f"Made by `python {shlex.join(sys.argv)}` ({software}; Python {platform.python_version()}, "
            f"{platform.machine()}, {os.cpu_count()} cores).",
            "",
            f"- language model {made.study.model}, codec {made.study.codec or 'that belongs to it'}",
            *(f"- verifier {settings_of(each)}" for each in all_verifiers.values()),
            *(f"- judge {name}: {settings_of(each)}" for name, each in judges.items()),
            *(f"- **Beware**: {why}." for why in kin(judges.values(), all_verifiers.values())),
        ]
    )


def others(made: Made) -> str:
    """The seeds, and those of the other strategies where there are some."""
    pool, *arms = made.arms
    seeds = ", seed " + ", ".join(map(str, pool.seeds))
    return f"{seeds}; seeds of each other strategy: {', '.join(map(str, arms[-1].seeds))}" if arms else seeds


def alone(made: Made) -> str:
    """A warning where there is nothing to resample."""
    return " One text gives neither intervals nor tests." if made.count == 1 else ""


def missing(made: Made) -> str:
    """How many texts could not be spoken."""
    return f" ({made.left_out} more without a voice prompt, which a verifier needs)" if made.left_out else ""


def tries(made: Made) -> str:
    """How the sampling was chosen."""
    if not made.tried:
        return "No other temperature was tried."
    judges = [name for name, _ in made.study.judges]
    found = [
        f"{sampling.temperature:g} ({choosing.errors(rows, judges):.3f})"
        for sampling, rows in made.tried.items()
    ]
    chosen = (
        f"That temperature was chosen on {made.dev}, by the judged error rate of the best of "
        f"{choosing.SIZE}, the mean of the judges: {', '.join(found)}."
    )
    edges = {pick(each.temperature for each in made.tried) for pick in (min, max)}
    at_edge = made.sampling.temperature in edges
    return f"{chosen} It is the last of those that were tried." if at_edge else chosen


def settings_of(verifier: Verifier) -> str:
    """What a verifier listens with, also where that is its default and so not printed; or what it does."""
    found = [
        f"{told} {getattr(verifier, name)}"
        for name, told in (("model", "model"), ("protocol", "normaliser and metric of protocol"))
        if hasattr(verifier, name)
    ]
    first, *_ = (type(verifier).__doc__ or "").splitlines() or [""]
    return f"{verifier}: {', '.join(found) or first}"


def alike(pool: Sequence[Row], judge: str, judges: Sequence[str]) -> list[str]:
    """The judges that measure the same as this one: errors, or a value."""
    return [other for other in judges if counts_errors(pool, other) == counts_errors(pool, judge)]


def remarks(pool: Sequence[Row], judge: str, judges: Sequence[str]) -> str:
    """What else a judge says of the largest best-of-n: the search's own view, headroom, bad speech."""
    size = curves.pool_size(pool)
    plain, best = curves.best_of(pool, judge, 1), curves.best_of(pool, judge, size)
    sizes = [n for n in (MIDDLE, size) if n <= size]
    chosen = [curves.best_of(pool, judge, n) for n in dict.fromkeys(sizes)]
    tested = outcomes.holm([outcomes.p_value(each, plain) for each in chosen])
    lines = [
        f"- Best of {n} minus one sample: {signed(outcomes.difference(each, plain))}, p = {p:.4f} "
        f"(Holm, {len(tested)} of this judge)."
        for n, each, p in zip(dict.fromkeys(sizes), chosen, tested, strict=True)
    ]
    for other in alike(pool, judge, judges):
        if other != judge:
            oracle = curves.best_of(pool, judge, size, curves.oracle(other))
            room = outcomes.difference(plain, oracle)
            if room.low > 0 or room.high < 0:
                share = str(outcomes.recovered(plain, best, oracle))
            else:
                share = f"not known, for there is no certain headroom ({signed(room)})"
            lines.append(
                f"- Share of the headroom of the oracle by {other} that the search recovers: {share}."
            )
    if counts_errors(pool, judge):
        bad = outcomes.share_above(pool, judge, BAD)
        shares = [outcomes.rate(curves.best_of(bad, judge, n)) for n in (1, size)]
        lines.append(f"- Share of speech with a WER above {BAD:g}: {shares[0]} plain, {shares[1]} searched.")
        lines += [
            gap(pool, name, best, size) for name, score in pool[0]["scores"].items() if "edits" in score
        ]
    return "\n".join(lines)


def gap(pool: Sequence[Row], verifier: str, best: outcomes.Outcome, size: int) -> str:
    """How much worse than a verifier a judge hears what the search has chosen."""
    own = curves.best_of(outcomes.self_judged(pool), verifier, size)
    more = signed(outcomes.difference(best, own))
    believed = f"- What the search itself believes to have found: {outcomes.rate(own)} by `{verifier}`"
    return f"{believed}; this judge hears {more} more."

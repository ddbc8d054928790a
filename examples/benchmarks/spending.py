"""Strategies compared with best-of-n at equal row-steps, and at equal FLOPs.

Every setting is run on the dev set with one seed. The best settings of the strategies that promise more than
best-of-n are then run once on the other sets, with every seed; so is the process reward of the paper, by the
voice. Searches that score words at every step take ten times the FLOPs of best-of-n: they stay on the dev set.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from examples.benchmarks import sections
from llasa_search import Sampling
from llasa_search.scoring.loading import load_verifiers
from llasa_search.study import Arm, Case, Row, Study, costs, curves, outcomes, read_cases
from llasa_search.study.embedded_judges import embedded_judges, pocketsphinx_judges
from llasa_search.study.plots import plot
from llasa_search.study.points import Point, arm_point, pool_points
from llasa_search.study.report import significance
from llasa_search.study.tables import corrected, markdown, signed
from llasa_search.verifiers.specification import RewardLike, as_reward

WORDS = "Lexicographic(wer, likelihood)"
WORD_JUDGES = ("unigram", "bigram", "ctc")
SIZES = (1, 2, 4, 8, 16, 32)
TUNED = {
    "rejection": [
        f"rejection:n={n},alpha={alpha},prefix_verifiers={by}"
        for n, alpha in ((16, 0.25), (16, 0.5), (32, 0.5))
        for by in ("wer", "lm_likelihood")
    ],
    "adaptive best-of-n": [
        *(f"best_of_n:n={n},stop_at=wer<={bound}" for n in (16, 32) for bound in (0, 0.15, 0.3)),
        *(f"best_of_n:n=32,stop_at=likelihood>={bound}" for bound in (-0.05, -0.1, -0.2)),
    ],
    "particle": [f"particle:n=16,temperature={t},prefix_verifiers=wer" for t in (0.05, 0.1, 0.3)],
    "dvts": [f"dvts:width=16,expand={expand},prefix_verifiers=wer" for expand in (2, 4)],
    "beam": [f"beam_short:prefix_share={share},prefix_verifiers=wer" for share in (0.25, 0.5)],
}
ALPHA = 0.05
EVALUATED = ("rejection", "adaptive best-of-n")
SHARES = (0.25, 0.5, 1.0)
BEAM = "beam:width=4,expand=4,step_tokens=10,prefix_verifiers=speaker"


def main(
    sets: Annotated[str, typer.Option(help="Evaluation sets, comma-separated.")] = "standard,hard",
    limit: Annotated[int | None, typer.Option(help="Texts of each set; all by default.")] = None,
    seeds: int = 2,
    temperature: float = 0.8,
    top_p: float = 0.9,
    processes: Annotated[int, typer.Option(help="Of one thread each.")] = 2,
    folder: Annotated[Path, typer.Option(help="For all that is made.")] = Path("work-judging"),
    page: Annotated[Path, typer.Option(help="Where the tables go.")] = sections.BENCHMARKS,
) -> None:
    """Writes the section on strategies, its figure, and `spending.jsonl`."""
    load_verifiers(as_reward(f"{WORDS} + speaker").verifiers)  # errors come before hours of work
    judges: dict[str, RewardLike] = {
        **pocketsphinx_judges(folder),
        **embedded_judges(folder),
        "voice": "resemblyzer_similarity",
    }
    study = Study(folder / "spending", judges, processes=processes)
    sampling = Sampling(temperature=temperature, top_p=top_p)
    dev = tried(study, read_cases("dev", limit), sampling)
    settings = chosen(dev)
    parts, points = [of_settings(dev)], []
    rows = [{**row, "set": "dev"} for arm in dev.values() for row in arm]
    for name in sets.split(","):
        cases = read_cases(name, limit)
        by_arm = searched(study, cases, {each: settings[each] for each in EVALUATED}, sampling, seeds)
        voiced = steered(study, cases, by_arm["best of n"], sampling, seeds)
        everything = {**voiced, **by_arm}
        rows += [{**row, "set": name} for arm in everything.values() for row in arm]
        points = compared(by_arm, "row_steps")
        parts += [of_words(name, by_arm, points), where_it_went(name, by_arm), of_voices(name, voiced)]
        plot(points, "row_steps", page.parent / f"strategies_{name}", "judged WER", f"{name} set")
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "spending.jsonl").write_text(lines, encoding="utf-8")
    text = "\n\n".join([_introduction(settings, sampling, seeds), *parts])
    sections.write(page, "strategies", text)
    typer.echo(text)


def _introduction(settings: Mapping[str, str], sampling: Sampling, seeds: int) -> str:
    listed = "\n".join(f"- {name}: `{strategy}`" for name, strategy in settings.items())
    return f"""
## Strategies

{sections.made_by()}

The reward is `{WORDS}` at temperature {sampling.temperature:g}, top-p {sampling.top_p:g}; one seed on the
dev set, {seeds} {"seed" if seeds == 1 else "seeds"} on the others. Best-of-n is the exact mean over all
subsets of one pool of {SIZES[-1]}. These settings were chosen on the dev set, by the judged WER minus that
of best-of-n at the same row-steps, summed over the judges:

{listed}

Of these, {" and ".join(EVALUATED)} promise more than best-of-n and are run on the other sets.
"""


def tried(study: Study, cases: Sequence[Case], sampling: Sampling) -> dict[str, list[Row]]:
    """Returns the pool, and every strategy in every setting."""
    every = [strategy for strategies in TUNED.values() for strategy in strategies]
    arms = [Arm(strategy, strategy, WORDS, sampling=sampling) for strategy in every]
    return study.by_arm(cases, [_pool(sampling), *arms])


def chosen(by_arm: Mapping[str, Sequence[Row]]) -> dict[str, str]:
    """Returns the setting of each strategy that gains most over best-of-n at its own cost, under all judges."""
    pool = next(iter(by_arm.values()))

    def gain(strategy: str) -> float:
        gains = [arm_point(by_arm[strategy], judge, pool).gain for judge in WORD_JUDGES]
        # What costs more or less than any n cannot be compared, and is taken last.
        return sum(math.inf if each is None else each.value for each in gains)

    return {name: min(strategies, key=gain) for name, strategies in TUNED.items()}


def of_settings(by_arm: Mapping[str, Sequence[Row]]) -> str:
    """Returns a table of all settings: FLOPs, and the difference to best-of-n at equal row-steps."""
    pool, *others = by_arm.values()
    lines = [
        "### dev set: every setting\n\nThe table shows differences to best-of-n at equal row-steps, uncorrected. "
        "Settings were chosen on these texts, so the best are overestimated.\n",
        "| search | row-steps | TFLOPs | " + " | ".join(WORD_JUDGES) + " |",
        "|---" * (3 + len(WORD_JUDGES)) + "|",
    ]
    for rows in others:
        points = [arm_point(rows, judge, pool) for judge in WORD_JUDGES]
        gains = ["no n costs as much" if each.gain is None else signed(each.gain) for each in points]
        spent = points[0].costs
        cost = f"{spent['row_steps']:,.0f} | {spent['flops'] / 1e12:.3g}"
        lines.append(f"| `{points[0].name}` | {cost} | " + " | ".join(gains) + " |")
    return "\n".join(lines)


def searched(
    study: Study, cases: Sequence[Case], settings: Mapping[str, str], sampling: Sampling, seeds: int
) -> dict[str, list[Row]]:
    """Returns the pool, and every strategy in its chosen setting, by arm."""
    draws = tuple(range(seeds))
    arms = [_pool(sampling)]
    arms += [
        Arm(name, strategy, WORDS, sampling=sampling, seeds=draws) for name, strategy in settings.items()
    ]
    return study.by_arm(cases, arms)


def steered(
    study: Study, cases: Sequence[Case], pool: Sequence[Row], sampling: Sampling, seeds: int
) -> dict[str, list[Row]]:
    """Returns the paper's process reward by the voice, on texts with one: to the end, and over prefixes
    before the words choose.
    """
    voiced, draws = {case.id: case for case in cases if case.voice is not None}, tuple(range(seeds))
    arms = [
        Arm("full PRM", BEAM, "speaker", sampling=sampling, seeds=draws),
    ]
    for share in SHARES:
        name, strategy = f"PRM over {share:.0%}, then ORM", f"{BEAM},prefix_share={share}"
        arms.append(Arm(name, strategy, WORDS, sampling=sampling, seeds=draws))
    found = study.by_arm(list(voiced.values()), arms)
    return {"best of n": [row for row in pool if row["case"] in voiced], **found}


def compared(by_arm: Mapping[str, Sequence[Row]], axis: str, sizes: Sequence[int] = SIZES) -> list[Point]:
    """Returns the pool's curve, and every strategy."""
    pool, *others = by_arm.values()
    points = []
    for judge in WORD_JUDGES:
        points += pool_points(pool, judge, sizes)
        points += [arm_point(rows, judge, pool, axis) for rows in others]
    return points


def of_words(name: str, by_arm: Mapping[str, Sequence[Row]], points: Sequence[Point]) -> str:
    """Returns tables at equal row-steps and at equal FLOPs, verifiers included."""
    parts = [f"### {name} set: words\n\n![{name}](strategies_{name}.png)"]
    for axis, title in (("row_steps", "row-steps"), ("flops", "FLOPs, verifiers included")):
        of_axis = points if axis == "row_steps" else compared(by_arm, axis)
        for judge in WORD_JUDGES:
            mine = [point for point in of_axis if point.judge == judge]
            parts.append(
                f"Judged WER by {judge}, compared with best-of-n at equal {title}:\n\n{markdown(mine, 'judged WER')}"
            )
    arms = [point for point in points if point.n is None]
    return "\n\n".join([*parts, findings(arms)])


def findings(arms: Sequence[Point]) -> str:
    """Returns one line for each arm: its difference to best-of-n in words, corrected together."""
    lines = "\n".join(finding(point, p) for point, p in zip(arms, corrected(arms), strict=True))
    return f"At equal row-steps, with p-values corrected for all comparisons of the list (Holm):\n\n{lines}"


def finding(point: Point, p: float | None) -> str:
    """Returns an arm's difference to best-of-n in words, with its corrected p-value."""
    about = f"{point.name} ({point.judge})"
    if point.gain is None:
        return f"- {about}: no n of the pool costs as much"
    worth = "not significant"
    if p is not None and p < ALPHA:
        direction = "better" if point.gain.value < 0 else "worse"
        worth = f"{direction} than best-of-n, {significance(p)}"
    return f"- {about}: {worth}: {signed(point.gain)}" + ("" if p is None else f", p = {p:.3f}")


def where_it_went(name: str, by_arm: Mapping[str, Sequence[Row]]) -> str:
    """Returns what stopping early cost, and what it gained elsewhere; both as exact means of the pool."""
    pool, adaptive = by_arm["best of n"], by_arm["adaptive best-of-n"]
    n = costs.n_at(pool, "row_steps", costs.cost(adaptive, "row_steps"))
    if math.isnan(n):
        return ""
    used = {
        case: float(np.mean([row["finished"] for row in adaptive if row["case"] == case]))
        for case in {row["case"] for row in pool}
    }
    lines = [
        f"### {name} set: where adaptive best-of-n spends\n\nThe table compares the best of as many "
        "candidates as it took for a text, on average, with the best of "
        f"{n:.3g} for every text, which cost the same.\n",
        "| texts that took | texts | candidates | " + " | ".join(WORD_JUDGES) + " |",
        "|---" * (3 + len(WORD_JUDGES)) + "|",
    ]
    for group, many in (("fewer", False), ("more", True)):
        taken = {case: count for case, count in used.items() if (count >= n) == many}
        rows = [row for row in pool if row["case"] in taken]
        if not rows:
            continue
        mean = math.fsum(taken.values()) / len(taken)
        gains = [
            outcomes.difference(curves.best_of(rows, judge, mean), curves.best_of(rows, judge, n))
            for judge in WORD_JUDGES
        ]
        lines.append(f"| {group} | {len(taken)} | {mean:.3g} | " + " | ".join(map(signed, gains)) + " |")
    return "\n".join(lines)


def of_voices(name: str, by_arm: Mapping[str, Sequence[Row]], sizes: Sequence[int] = SIZES) -> str:
    """Returns the effect of a process reward by the voice on voice and words."""
    pool, *others = by_arm.values()
    parts = [f"### {name} set: a process reward by the voice\n\nThe tables show texts with a voice prompt."]
    words = list[Point]()
    for judge, measure in (
        ("voice", "Resemblyzer's cosine"),
        *((judge, "judged WER") for judge in WORD_JUDGES),
    ):
        points = pool_points(pool, judge, sizes)
        arms = [arm_point(rows, judge, pool) for rows in others]
        words += arms if judge in WORD_JUDGES else []
        parts.append(
            f"Judge {judge}, compared with best-of-n at equal row-steps:\n\n{markdown([*points, *arms], measure)}"
        )
    parts += [at_equal_flops(pool, others, sizes[-1]), f"Words. {findings(words)}\n\nVoice:"]
    plain = curves.best_of(pool, "voice", 1)
    lines = []
    for rows in others:
        gain = outcomes.difference(outcomes.chosen(rows, "voice"), plain)
        raised = "raises" if gain.low > 0 else "does not raise"
        lines.append(f"- {rows[0]['arm']} {raised} the cosine above that of single samples: {signed(gain)}")
    return "\n\n".join([*parts, "\n".join(lines)])


def at_equal_flops(pool: Sequence[Row], arms: Sequence[Sequence[Row]], most: int) -> str:
    """Returns differences to best-of-n at equal FLOPs, or to the best of `most` if that costs less."""
    judges = ("voice", *WORD_JUDGES)
    lines = [
        "The table shows differences to best-of-n at equal FLOPs, verifiers included, or to the best of "
        f"{most} where that costs less. They are not corrected.\n",
        "| search | TFLOPs | minus best of n = | cosine | " + " | ".join(WORD_JUDGES) + " |",
        "|---" * (3 + len(judges)) + "|",
    ]
    for rows in arms:
        spent = costs.cost(rows, "flops")
        n = most if spent > costs.cost(pool, "flops") else costs.n_at(pool, "flops", spent)
        if math.isnan(n):
            lines.append(f"| {rows[0]['arm']} | {spent / 1e12:.3g} | none |" + " |" * len(judges))
            continue
        gains = [
            signed(outcomes.difference(outcomes.chosen(rows, judge), curves.best_of(pool, judge, n)))
            for judge in judges
        ]
        lines.append(f"| {rows[0]['arm']} | {spent / 1e12:.3g} | {n:.3g} | " + " | ".join(gains) + " |")
    return "\n".join(lines)


def _pool(sampling: Sampling) -> Arm:
    return Arm("best of n", f"best_of_n:n={SIZES[-1]}", WORDS, sampling=sampling, pool=True)


if __name__ == "__main__":
    sections.run(main)

"""Compares strategies with best-of-N at equal row-steps and at equal FLOPs.

Every setting is run on the dev set with one seed. The best settings of the strategies in `EVALUATED` are then run on
the other sets with every seed, and so is the paper's process reward, the speaker similarity. Strategies that compute
the WER at every step take ten times the FLOPs of best-of-N and are run on the dev set only.
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
from llasa_search.study.report import MEASURE, significance
from llasa_search.study.tables import NOT_COMPARABLE, corrected, markdown, signed
from llasa_search.verifiers.specification import RewardLike, as_reward

REWARD = "Lexicographic(wer, likelihood)"
WER_JUDGES = ("unigram", "bigram", "ctc")
SIZES = (1, 2, 4, 8, 16, 32)
TUNED = {
    "rejection": [
        f"rejection:n={n},alpha={alpha},prefix_verifiers={by}"
        for n, alpha in ((16, 0.25), (16, 0.5), (32, 0.5))
        for by in ("wer", "lm_likelihood")
    ],
    "adaptive best-of-N": [
        *(f"best_of_n:n={n},stop_at=wer<={bound}" for n in (16, 32) for bound in (0, 0.15, 0.3)),
        *(f"best_of_n:n=32,stop_at=likelihood>={bound}" for bound in (-0.05, -0.1, -0.2)),
    ],
    "particle": [f"particle:n=16,temperature={t},prefix_verifiers=wer" for t in (0.05, 0.1, 0.3)],
    "dvts": [f"dvts:width=16,expand={expand},prefix_verifiers=wer" for expand in (2, 4)],
    "beam": [f"beam_short:prefix_share={share},prefix_verifiers=wer" for share in (0.25, 0.5)],
}
ALPHA = 0.05
EVALUATED = ("rejection", "adaptive best-of-N")
SHARES = (0.25, 0.5, 1.0)
BEAM = "beam:width=4,expand=4,step_tokens=10,prefix_verifiers=speaker"


def main(
    sets: Annotated[str, typer.Option(help="Evaluation sets, comma-separated.")] = "standard,hard",
    limit: Annotated[int | None, typer.Option(help="Number of texts of each set; default: all.")] = None,
    seeds: Annotated[int, typer.Option(help="Number of seeds on the sets other than dev.")] = 2,
    temperature: float = 0.8,
    top_p: float = 0.9,
    processes: Annotated[int, typer.Option(help="Number of single-threaded processes.")] = 2,
    folder: Annotated[Path, typer.Option(help="Folder for all output.")] = Path("work-judging"),
    page: Annotated[Path, typer.Option(help="Markdown page to write the tables to.")] = sections.BENCHMARKS,
) -> None:
    """Compare the strategies; write `strategies.jsonl`, the figures and the section of the page."""
    load_verifiers(as_reward(f"{REWARD} + speaker").verifiers)  # an error is raised before hours of work
    judges: dict[str, RewardLike] = {
        **pocketsphinx_judges(folder),
        **embedded_judges(folder),
        "voice": "resemblyzer_similarity",
    }
    study = Study(folder / "strategies", judges, processes=processes)
    sampling = Sampling(temperature=temperature, top_p=top_p)
    dev = dev_rows(study, read_cases("dev", limit), sampling)
    settings = best_settings(dev)
    parts, points = [settings_table(dev)], []
    rows = [{**row, "set": "dev"} for arm in dev.values() for row in arm]
    for name in sets.split(","):
        cases = read_cases(name, limit)
        by_arm = searched(study, cases, {each: settings[each] for each in EVALUATED}, sampling, seeds)
        prm_by_arm = process_reward_rows(study, cases, by_arm["best of n"], sampling, seeds)
        rows += [{**row, "set": name} for arm in {**prm_by_arm, **by_arm}.values() for row in arm]
        points = compared(by_arm, "row_steps")
        parts += [
            wer_section(name, by_arm, points),
            early_stopping_table(name, by_arm),
            process_reward_section(name, prm_by_arm),
        ]
        plot(points, "row_steps", page.parent / f"strategies_{name}", MEASURE, f"{name} set")
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "strategies.jsonl").write_text(lines, encoding="utf-8")
    text = "\n\n".join([_introduction(settings, sampling, seeds), *parts])
    sections.write(page, "strategies", text)
    typer.echo(text)


def _introduction(settings: Mapping[str, str], sampling: Sampling, seeds: int) -> str:
    listed = "\n".join(f"- {name}: `{strategy}`" for name, strategy in settings.items())
    return f"""
## Strategies

{sections.made_by()}

The reward is `{REWARD}`, at temperature {sampling.temperature:g} and top-p {sampling.top_p:g}. The searches run
with one seed on the dev set and with {seeds} {"seed" if seeds == 1 else "seeds"} on the other sets. The values of
best-of-N are exact means over all subsets of one pool of {SIZES[-1]} candidates. For each strategy, one setting was
chosen on the dev set: the one with the lowest WER minus the WER of best-of-N at equal row-steps, summed over the
judges:

{listed}

Of these strategies, {" and ".join(EVALUATED)} are also run on the other sets.
"""


def dev_rows(study: Study, cases: Sequence[Case], sampling: Sampling) -> dict[str, list[Row]]:
    """Returns the rows of the pool and of every setting of every strategy, by arm."""
    specs = [strategy for strategies in TUNED.values() for strategy in strategies]
    arms = [Arm(strategy, strategy, REWARD, sampling=sampling) for strategy in specs]
    return study.by_arm(cases, [_pool(sampling), *arms])


def best_settings(by_arm: Mapping[str, Sequence[Row]]) -> dict[str, str]:
    """Returns the setting of each strategy with the lowest WER minus that of best-of-N, summed over the judges."""
    pool = next(iter(by_arm.values()))

    def gain(strategy: str) -> float:
        gains = [arm_point(by_arm[strategy], judge, pool).gain for judge in WER_JUDGES]
        # A setting that costs more or less than every subset of the pool cannot be compared, and comes last.
        return sum(math.inf if each is None else each.value for each in gains)

    return {name: min(strategies, key=gain) for name, strategies in TUNED.items()}


def settings_table(by_arm: Mapping[str, Sequence[Row]]) -> str:
    """Returns a table of all settings: FLOPs, and the difference from best-of-N at equal row-steps."""
    pool, *others = by_arm.values()
    lines = [
        "### dev set: all settings\n\nThe table shows the WER of each setting minus that of best-of-N at equal "
        "row-steps. The intervals are not corrected for the number of comparisons. The settings were chosen on these "
        "texts, so the differences of the best settings are overestimated.\n",
        "| search | row-steps | TFLOPs | " + " | ".join(WER_JUDGES) + " |",
        "|---" * (3 + len(WER_JUDGES)) + "|",
    ]
    for rows in others:
        points = [arm_point(rows, judge, pool) for judge in WER_JUDGES]
        gains = [NOT_COMPARABLE if each.gain is None else signed(each.gain) for each in points]
        costs_of = points[0].costs
        cost = f"{costs_of['row_steps']:,.0f} | {costs_of['flops'] / 1e12:.3g}"
        lines.append(f"| `{points[0].name}` | {cost} | " + " | ".join(gains) + " |")
    return "\n".join(lines)


def searched(
    study: Study, cases: Sequence[Case], settings: Mapping[str, str], sampling: Sampling, seeds: int
) -> dict[str, list[Row]]:
    """Returns the rows of the pool and of every strategy with its chosen setting, by arm."""
    seed_numbers = tuple(range(seeds))
    arms = [_pool(sampling)]
    arms += [
        Arm(name, strategy, REWARD, sampling=sampling, seeds=seed_numbers)
        for name, strategy in settings.items()
    ]
    return study.by_arm(cases, arms)


def process_reward_rows(
    study: Study, cases: Sequence[Case], pool: Sequence[Row], sampling: Sampling, seeds: int
) -> dict[str, list[Row]]:
    """Returns the rows of beam searches by speaker similarity on the texts with a voice prompt, by arm.

    The beam search runs to the end, or over a prefix before the reward chooses.
    """
    with_prompt = {case.id: case for case in cases if case.voice is not None}
    seed_numbers = tuple(range(seeds))
    arms = [
        Arm("full PRM", BEAM, "speaker", sampling=sampling, seeds=seed_numbers),
    ]
    for share in SHARES:
        name, strategy = f"PRM over {share:.0%}, then ORM", f"{BEAM},prefix_share={share}"
        arms.append(Arm(name, strategy, REWARD, sampling=sampling, seeds=seed_numbers))
    found = study.by_arm(list(with_prompt.values()), arms)
    return {"best of n": [row for row in pool if row["case"] in with_prompt], **found}


def compared(by_arm: Mapping[str, Sequence[Row]], axis: str, sizes: Sequence[int] = SIZES) -> list[Point]:
    """Returns the points of best-of-N and of every other strategy."""
    pool, *others = by_arm.values()
    points = []
    for judge in WER_JUDGES:
        points += pool_points(pool, judge, sizes)
        points += [arm_point(rows, judge, pool, axis) for rows in others]
    return points


def wer_section(name: str, by_arm: Mapping[str, Sequence[Row]], points: Sequence[Point]) -> str:
    """Returns tables at equal row-steps and at equal FLOPs, verifiers included."""
    parts = [f"### {name} set: WER\n\n![WER against row-steps, {name} set](strategies_{name}.png)"]
    for axis, title in (("row_steps", "row-steps"), ("flops", "FLOPs, verifiers included")):
        of_axis = points if axis == "row_steps" else compared(by_arm, axis)
        for judge in WER_JUDGES:
            of_judge = [point for point in of_axis if point.judge == judge]
            parts.append(
                f"The table compares the WER by {judge} with that of best-of-N at equal {title}.\n\n"
                f"{markdown(of_judge, MEASURE)}"
            )
    arms = [point for point in points if point.n is None]
    return "\n\n".join([*parts, findings(arms)])


def findings(arms: Sequence[Point]) -> str:
    """Returns one line for each arm: its difference from best-of-N, with p-values corrected for all lines."""
    lines = "\n".join(finding(point, p) for point, p in zip(arms, corrected(arms), strict=True))
    return (
        "The list gives the WER minus that of best-of-N at equal row-steps, with p-values corrected for all "
        f"comparisons of the list (Holm).\n\n{lines}"
    )


def finding(point: Point, p: float | None) -> str:
    """Returns an arm's difference from best-of-N as a sentence part, with its corrected p-value."""
    about = f"{point.name} ({point.judge})"
    if point.gain is None:
        return f"- {about}: {NOT_COMPARABLE}"
    result = "not significant"
    if p is not None and p < ALPHA:
        direction = "better" if point.gain.value < 0 else "worse"
        result = f"{direction} than best-of-N, {significance(p)}"
    return f"- {about}: {result}: {signed(point.gain)}" + ("" if p is None else f", p = {p:.3f}")


def early_stopping_table(name: str, by_arm: Mapping[str, Sequence[Row]]) -> str:
    """Returns the change in WER on texts that stop early and on the other texts, as exact means of the pool."""
    pool, adaptive = by_arm["best of n"], by_arm["adaptive best-of-N"]
    n = costs.n_at(pool, "row_steps", costs.cost(adaptive, "row_steps"))
    if math.isnan(n):
        return ""
    candidates_of = {
        case: float(np.mean([row["finished"] for row in adaptive if row["case"] == case]))
        for case in {row["case"] for row in pool}
    }
    lines = [
        f"### {name} set: early stopping\n\nAdaptive best-of-N samples {n:.3g} candidates per text on average. The "
        "table divides the texts into those with fewer and those with more candidates. It shows the WER with the mean "
        f"number of candidates of each group minus the WER with {n:.3g} candidates.\n",
        "| number of candidates | texts | mean candidates | " + " | ".join(WER_JUDGES) + " |",
        "|---" * (3 + len(WER_JUDGES)) + "|",
    ]
    for group, many in (("fewer than the mean", False), ("more than the mean", True)):
        group_counts = {case: count for case, count in candidates_of.items() if (count >= n) == many}
        rows = [row for row in pool if row["case"] in group_counts]
        if not rows:
            continue
        mean = math.fsum(group_counts.values()) / len(group_counts)
        gains = [
            outcomes.difference(curves.best_of(rows, judge, mean), curves.best_of(rows, judge, n))
            for judge in WER_JUDGES
        ]
        lines.append(
            f"| {group} | {len(group_counts)} | {mean:.3g} | " + " | ".join(map(signed, gains)) + " |"
        )
    return "\n".join(lines)


def process_reward_section(
    name: str, by_arm: Mapping[str, Sequence[Row]], sizes: Sequence[int] = SIZES
) -> str:
    """Returns the effect of speaker similarity as a process reward on speaker similarity and WER."""
    pool, *others = by_arm.values()
    parts = [
        f"### {name} set: speaker similarity as a process reward\n\nThe tables are for the texts with a voice prompt."
    ]
    wer_points = list[Point]()
    for judge, measure in (
        ("voice", "speaker similarity"),
        *((judge, MEASURE) for judge in WER_JUDGES),
    ):
        points = pool_points(pool, judge, sizes)
        arms = [arm_point(rows, judge, pool) for rows in others]
        wer_points += arms if judge in WER_JUDGES else []
        parts.append(
            f"The table compares the scores of the judge {judge} with those of best-of-N at equal row-steps.\n\n"
            f"{markdown([*points, *arms], measure)}"
        )
    parts += [at_equal_flops(pool, others, sizes[-1]), findings(wer_points)]
    single = curves.best_of(pool, "voice", 1)
    lines = ["The next list gives the speaker similarity minus that of single samples.", ""]
    for rows in others:
        gain = outcomes.difference(outcomes.chosen(rows, "voice"), single)
        result = "higher" if gain.low > 0 else "not significantly higher"
        lines.append(f"- {rows[0]['arm']}: {result}: {signed(gain)}")
    return "\n\n".join([*parts, "\n".join(lines)])


def at_equal_flops(pool: Sequence[Row], arms: Sequence[Sequence[Row]], most: int) -> str:
    """Returns differences from best-of-N at equal FLOPs, or from the best of `most` if that costs less."""
    judges = ("voice", *WER_JUDGES)
    lines = [
        "The table shows differences from best-of-N at equal FLOPs, verifiers included, or from the best of "
        f"{most} where that costs less. The intervals are not corrected for the number of comparisons.\n",
        "| search | TFLOPs | N of best-of-N | speaker similarity | " + " | ".join(WER_JUDGES) + " |",
        "|---" * (3 + len(judges)) + "|",
    ]
    for rows in arms:
        amount = costs.cost(rows, "flops")
        n = most if amount > costs.cost(pool, "flops") else costs.n_at(pool, "flops", amount)
        if math.isnan(n):
            lines.append(f"| {rows[0]['arm']} | {amount / 1e12:.3g} | none |" + " |" * len(judges))
            continue
        gains = [
            signed(outcomes.difference(outcomes.chosen(rows, judge), curves.best_of(pool, judge, n)))
            for judge in judges
        ]
        lines.append(f"| {rows[0]['arm']} | {amount / 1e12:.3g} | {n:.3g} | " + " | ".join(gains) + " |")
    return "\n".join(lines)


def _pool(sampling: Sampling) -> Arm:
    return Arm("best of n", f"best_of_n:n={SIZES[-1]}", REWARD, sampling=sampling, pool=True)


if __name__ == "__main__":
    sections.run(main)

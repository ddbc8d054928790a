"""Quality against compute: best-of-n for every n out of one pool, and other strategies beside it.

    python examples/compute_budget_ablation.py --quick
    python examples/compute_budget_ablation.py --strategy "rejection:n={n}" --strategy "beam_short"

The first of `--ns` up to the last are points of one curve; a strategy with `{n}` is run at each of them, with
every seed. A killed run goes on where it was. Writes `rows.jsonl` (every judged candidate) and
`seconds.jsonl`, `points.csv`, plots, and `report.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from examples.benchmarks import choosing, sections
from examples.benchmarks.ablation_report import MEASURE, VALUE, Made, alike, report
from examples.benchmarks.choosing import counts_errors
from examples.benchmarks.options import numbers
from llasa_search import Sampling
from llasa_search.study import Arm, Row, Study, costs, curves, read_cases, usable_cases
from llasa_search.study.plots import plot
from llasa_search.study.points import Point, arm_point, pool_points
from llasa_search.study.report import as_csv, as_jsonl, seconds_as_jsonl
from llasa_search.verifiers.specification import as_reward


def main(
    texts: Annotated[
        str, typer.Option(help="A built-in set, a meta.lst, JSON lines or a .txt file.")
    ] = "standard",
    dev: Annotated[str, typer.Option(help="The texts on which the temperature is chosen.")] = "dev",
    limit: Annotated[int | None, typer.Option(help="Of each set; all by default.")] = None,
    ns: Annotated[
        str, typer.Option(help="Points of the curve; the last is the pool's size.")
    ] = "1,2,4,8,16,32,64",
    verifiers: Annotated[str, typer.Option(help="What the search aims at.")] = "wer",
    strategy: Annotated[list[str] | None, typer.Option(help="Another one; {n} is each of --ns.")] = None,
    seeds: Annotated[int, typer.Option(help="Of each other strategy.")] = 3,
    temperatures: Annotated[str, typer.Option(help="To choose from on the dev texts.")] = "0.4,0.6,0.8,1.0",
    top_p: float = 0.9,
    judge: Annotated[list[str] | None, typer.Option(help="name=verifier; pocketsphinx by default.")] = None,
    model: str = "tiny",
    codec: str | None = None,
    processes: Annotated[int, typer.Option(help="Of one thread each.")] = 2,
    folder: Annotated[Path, typer.Option(help="For all that is made.")] = Path("work-ablation"),
    quick: Annotated[
        bool,
        typer.Option(
            help="Under four minutes: a few texts and a small pool, whatever --limit, --ns, --temperatures, "
            "--strategy and --seeds say."
        ),
    ] = False,
) -> None:
    """Draws the curves, and writes the report."""
    if quick:
        limit, ns, temperatures, strategy, seeds = 4, "1,2,4", "0.6", ["rejection:n=4"], 1
    sizes = sorted({int(n) for n in numbers("--ns", ns, int, least=1)})
    tried_at = sorted(set(numbers("--temperatures", temperatures, float, least=0)))
    choices = [Sampling(temperature=t, top_p=top_p) for t in tried_at]
    sections.make_folder(folder)
    judges = named_judges(judge) if judge else embedded_judges(folder)
    study = Study(folder / "runs", judges, model=model, codec=codec, processes=processes)
    curve_of = expanded(strategy or [], sizes)
    planned = arms_of(verifiers, sizes[-1], list(curve_of), seeds, choices[0])
    given = read_cases(texts, limit)
    cases = usable_cases(given, planned)
    study.check(cases, planned)  # before hours are spent on the choice of a temperature
    dev_cases = usable_cases(choosing.others(dev, limit, cases), planned) if len(choices) > 1 else []
    tried = choosing.pools(study, dev_cases, choices, verifiers) if len(choices) > 1 else {}
    sampling = choosing.fewest_errors(tried, list(judges)) if tried else choices[0]
    arms = [replace(arm, sampling=sampling) for arm in planned]
    by_arm = study.by_arm(cases, arms)
    made = [(dev, dev_cases, s, rows) for s, rows in tried.items()]
    made += [(texts, cases, sampling, rows) for rows in by_arm.values()]
    lines = "".join(
        as_jsonl(rows, said, set=name, model=model, temperature=s.temperature, top_p=s.top_p)
        for name, said, s, rows in made
    )
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
    times = "".join(seconds_as_jsonl(rows) for *_, rows in made)
    (folder / "seconds.jsonl").write_text(times, encoding="utf-8")
    points = drawn(measured(by_arm, list(judges), sizes, curve_of))
    equal_flops = against(by_arm, list(judges), "flops")
    (folder / "points.csv").write_text(as_csv([*points, *equal_flops]), encoding="utf-8")
    errors = {judge for judge in judges if counts_errors(by_arm[arms[0].name], judge)}
    pictures = []
    for axis in costs.AXES:
        for group, name, measure in (
            (errors, axis, MEASURE),
            (set(judges) - errors, f"{axis}_values", VALUE),
        ):
            if mine := [point for point in points if point.judge in group]:
                pictures.append(plot(mine, axis, folder / name, f"{measure} of the chosen speech")[0].name)
    left_out = len(given) - len(cases)
    about = Made(texts, len(cases), left_out, dev, tried, sampling, str(as_reward(verifiers)), study, arms)
    text = report(about, by_arm, [*points, *equal_flops], pictures)
    (folder / "report.md").write_text(text, encoding="utf-8")
    typer.echo(text)


def arms_of(verifiers: str, size: int, specs: Sequence[str], seeds: int, sampling: Sampling) -> list[Arm]:
    """The pool that best-of-n comes from, and the other strategies."""
    pool = Arm("best of n", f"best_of_n:n={size}", verifiers, sampling=sampling, pool=True)
    each = tuple(range(seeds))
    return [pool, *(replace(pool, name=spec, strategy=spec, seeds=each, pool=False) for spec in specs)]


def expanded(specs: Sequence[str], sizes: Sequence[int]) -> dict[str, str]:
    """Strategies, those with `{n}` at each size above 1; and the curve that each is a point of."""
    return {
        spec.replace("{n}", str(n)): spec if "{n}" in spec else ""
        for spec in specs
        for n in (sizes if "{n}" in spec else [1])
        if n > 1 or "{n}" not in spec
    }


def measured(
    by_arm: Mapping[str, Sequence[Row]],
    judges: Sequence[str],
    sizes: Sequence[int],
    curve_of: Mapping[str, str],
) -> list[Point]:
    """Every point under every judge: the pool's curve and its controls, then the other strategies."""
    pool = next(iter(by_arm.values()))
    points = []
    for judge in judges:
        points += pool_points(pool, judge, sizes)
        # The same for every n: two points make its line.
        ends = sorted({sizes[0], sizes[-1]})
        points += pool_points(pool, judge, ends, curves.at_random, "a random one", verified=False)
        controls = {
            "likeliest": curves.likeliest,
            "shortest": curves.shortest,
        }
        controls |= {f"oracle: {other}": curves.oracle(other) for other in alike(pool, judge, judges)}
        for name, key in controls.items():
            points += pool_points(pool, judge, sizes, key, name, verified=False)
        points += against(by_arm, [judge], "row_steps", curve_of)
    return points


def against(
    by_arm: Mapping[str, Sequence[Row]],
    judges: Sequence[str],
    axis: str,
    curve_of: Mapping[str, str] = MappingProxyType({}),
) -> list[Point]:
    """The other strategies, each beside the best of as many of the pool as cost the same."""
    pool, *others = by_arm.values()
    return [
        arm_point(rows, judge, pool, axis, curve_of.get(rows[0]["arm"], ""))
        for judge in judges
        for rows in others
    ]


def drawn(points: Sequence[Point]) -> list[Point]:
    """Without the oracle that a judge makes for itself: it is no bound on what a search could find."""
    return [point for point in points if point.curve != f"oracle: {point.judge}"]


def named_judges(given: Sequence[str]) -> dict[str, str]:
    """From `name=verifier` to both."""
    named = [each.split("=", 1) for each in given]
    for each in given:
        name, _, verifier = each.partition("(")[0].partition("=")
        if not (name and verifier):
            raise typer.BadParameter(f"--judge {each}: give it a name, such as words={each.lstrip('=')}")
    if len({name for name, _ in named}) < len(named):
        raise typer.BadParameter("two --judge have one name: give each its own")
    return {name: judge for name, judge in named}


def embedded_judges(folder: Path) -> dict[str, str]:
    """The judges of the embedded model's own sets, of two families: see `judging/listening.py`."""
    from examples.benchmarks import listening

    return {name: str(judge) for name, judge in listening.families(folder / "judges").items()}


if __name__ == "__main__":
    sections.run(main)

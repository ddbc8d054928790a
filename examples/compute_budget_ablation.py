"""Quality against compute: best-of-n for every n out of one pool, and other strategies beside it.

    python examples/compute_budget_ablation.py --quick
    python examples/compute_budget_ablation.py --strategy "rejection:n={n}" --strategy "beam_short"

The first of `--ns` up to the last are points of one curve; a strategy with `{n}` is run at each of them, with
every seed. A killed run goes on where it was. Writes `rows.jsonl` (every judged candidate), `points.csv`,
plots, and `report.md`.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from llasa_search import Sampling
from llasa_search.expression import as_reward
from llasa_search.study import Arm, Case, Row, Study, costs, curves, outcomes, read_cases
from llasa_search.study.plots import plot
from llasa_search.study.points import Point, arm_point, pool_points
from llasa_search.study.report import as_csv, markdown, signed
from llasa_search.verifiers.base import Verifier
from llasa_search.versions import versions

MEASURE, VALUE = "judged WER", "judged value"
DEV_N = 4  # candidates of each dev text and temperature
MIDDLE = 16  # beside the whole pool, the size whose gain is tested
BAD = 0.5


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
    temperatures: Annotated[str, typer.Option(help="To choose from on the dev texts.")] = "0.4,0.6,0.8",
    top_p: float = 0.9,
    judge: Annotated[list[str] | None, typer.Option(help="name=verifier; pocketsphinx by default.")] = None,
    model: str = "tiny",
    codec: str | None = None,
    processes: Annotated[int, typer.Option(help="Of one thread each.")] = 2,
    folder: Annotated[Path, typer.Option(help="For all that is made.")] = Path("work-ablation"),
    quick: Annotated[bool, typer.Option(help="A few texts, a small pool: under four minutes.")] = False,
) -> None:
    """Draws the curves, and writes the report."""
    if quick:
        limit, ns, temperatures, strategy, seeds = 4, "1,2,4", "0.6", ["rejection:n=4"], 1
    sizes = sorted({int(n) for n in ns.split(",")})
    folder.mkdir(parents=True, exist_ok=True)
    judges = named_judges(judge) if judge else embedded_judges(folder)
    study = Study(folder / "runs", judges, model=model, codec=codec, processes=processes)
    choices = [Sampling(temperature=float(t), top_p=top_p) for t in temperatures.split(",")]
    sampling = choose(study, read_cases(dev, limit), choices, verifiers)
    cases = read_cases(texts, limit)
    pool = Arm("best of n", f"best_of_n:n={sizes[-1]}", verifiers, sampling=sampling, pool=True)
    arms = [
        replace(pool, name=spec, strategy=spec, seeds=tuple(range(seeds)), pool=False)
        for spec in expanded(strategy or [], sizes)
    ]
    by_arm = study.by_arm(cases, [pool, *arms])
    points = measured(by_arm, list(judges), sizes)
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for rows in by_arm.values() for row in rows)
    (folder / "rows.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "points.csv").write_text(as_csv(points), encoding="utf-8")
    errors = {judge for judge in judges if counts_errors(by_arm[pool.name], judge)}
    for axis in costs.AXES:
        for group, name, measure in (
            (errors, axis, MEASURE),
            (set(judges) - errors, f"{axis}_values", VALUE),
        ):
            if mine := [point for point in drawn(points) if point.judge in group]:
                plot(mine, axis, folder / name, f"{measure} of the chosen speech")
    judged_by = {name: str(each) for name, each in study.judges}
    text = report(by_arm, points, cases, judged_by, sampling, str(as_reward(verifiers)))
    (folder / "report.md").write_text(text, encoding="utf-8")
    typer.echo(text)


def choose(study: Study, cases: Sequence[Case], choices: Sequence[Sampling], verifiers: str) -> Sampling:
    """The sampling whose best of four has the fewest errors; on texts that are for choosing."""
    if len(choices) == 1:
        return choices[0]

    def errors(sampling: Sampling) -> float:
        name = f"dev, temperature {sampling.temperature:g}"
        rows = study.rows(cases, [Arm(name, f"best_of_n:n={DEV_N}", verifiers, sampling=sampling, pool=True)])
        counting = [judge for judge, _ in study.judges if counts_errors(rows, judge)]
        if not counting:
            raise typer.BadParameter("no judge counts errors: choose among temperatures yourself")
        return sum(outcomes.rate(curves.best_of(rows, judge, DEV_N)).value for judge in counting)

    return min(choices, key=errors)


def expanded(specs: Sequence[str], sizes: Sequence[int]) -> list[str]:
    """Strategies, those with `{n}` at each size above 1."""
    return [
        made
        for spec in specs
        for made in ([spec.replace("{n}", str(n)) for n in sizes if n > 1] if "{n}" in spec else [spec])
    ]


def measured(by_arm: Mapping[str, Sequence[Row]], judges: Sequence[str], sizes: Sequence[int]) -> list[Point]:
    """Every point under every judge: the pool's curve and its controls, then the other strategies."""
    pool, *others = by_arm.values()
    points = []
    for judge in judges:
        points += pool_points(pool, judge, sizes)
        controls = {
            "a random one": curves.at_random,
            "likeliest": curves.likeliest,
            "shortest": curves.shortest,
        }
        controls |= {f"oracle: {other}": curves.oracle(other) for other in alike(pool, judge, judges)}
        for name, key in controls.items():
            points += pool_points(pool, judge, sizes, key, name)
        points += [arm_point(rows, judge, pool) for rows in others]
    return points


def alike(pool: Sequence[Row], judge: str, judges: Sequence[str]) -> list[str]:
    """The judges that measure the same as this one: errors, or a value."""
    return [other for other in judges if counts_errors(pool, other) == counts_errors(pool, judge)]


def drawn(points: Sequence[Point]) -> list[Point]:
    """Without the oracle that a judge makes for itself: it is no bound on what a search could find."""
    return [point for point in points if point.curve != f"oracle: {point.judge}"]


def report(
    by_arm: Mapping[str, Sequence[Row]],
    points: Sequence[Point],
    cases: Sequence[Case],
    judges: Mapping[str, str],
    sampling: Sampling,
    verifiers: str,
) -> str:
    """Everything that is needed to read the figures, and the figures."""
    pool = next(iter(by_arm.values()))
    size = curves.pool_size(pool)
    tables = []
    for judge in judges:
        mine = [point for point in drawn(points) if point.judge == judge]
        table = markdown(mine, MEASURE if counts_errors(pool, judge) else VALUE)
        tables.append(f"## Judge: {judge}\n\n{table}\n\n{remarks(pool, judge, judges, size)}")
    listed = ", ".join(f"{name} = `{judge}`" for name, judge in judges.items())
    listeners = "; ".join(map(settings_of, as_reward(verifiers).verifiers))
    seeds = max(row["seed"] for rows in by_arm.values() for row in rows) + 1
    listening = [each for spec in (verifiers, *judges.values()) for each in as_reward(spec).verifiers]
    stated = ", ".join(f"{name} {version}" for name, version in versions(listening).items())
    return f"""# Quality against compute

Made by `python {" ".join(sys.argv)}` ({stated}; Python {platform.python_version()}, {platform.machine()}).

{len(cases)} texts, {sum(map(len, by_arm.values())):,} judged candidates. Search by `{verifiers}` at
temperature {sampling.temperature:g}, top-p {sampling.top_p:g}. What listens: {listeners}.

Judges: {listed}; their values are corpus rates (all errors over all words), with 95 % bootstrap intervals
over texts, then seeds ({seeds} of each strategy beside best-of-n). Best-of-n is the exact mean over all
subsets of a pool of {size}. Costs are means a text; those of judges count nowhere.

![row-steps](row_steps.png)

""" + "\n\n".join(tables)


def settings_of(verifier: Verifier) -> str:
    """What a verifier listens with, also where that is its default and so not printed."""
    found = [f"{name} {getattr(verifier, name)}" for name in ("model", "protocol") if hasattr(verifier, name)]
    return f"{verifier}: {', '.join(found) or 'no model'}"


def counts_errors(rows: Sequence[Row], judge: str) -> bool:
    return any("edits" in row["judges"][judge] for row in rows)


def remarks(pool: Sequence[Row], judge: str, judges: Mapping[str, str], size: int) -> str:
    """What else a judge says of the largest best-of-n: the search's own view, headroom, bad speech."""
    plain, best = curves.best_of(pool, judge, 1), curves.best_of(pool, judge, size)
    sizes = [n for n in (MIDDLE, size) if n <= size]
    chosen = [curves.best_of(pool, judge, n) for n in dict.fromkeys(sizes)]
    tested = outcomes.holm([outcomes.p_value(each, plain) for each in chosen])
    lines = [
        f"- Best of {n} less a plain sample: {signed(outcomes.difference(each, plain))}, p = {p:.4f} (Holm)."
        for n, each, p in zip(dict.fromkeys(sizes), chosen, tested, strict=True)
    ]
    for other in alike(pool, judge, list(judges)):
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
    for name, score in pool[0]["scores"].items():
        if "edits" in score:
            own = curves.best_of(outcomes.self_judged(pool), name, size)
            gap = outcomes.difference(best, own)
            believed = f"- What the search itself believes to have found: {outcomes.rate(own)} by `{name}`"
            lines.append(f"{believed}; this judge hears {signed(gap)} more.")
    return "\n".join(lines)


def named_judges(given: Sequence[str]) -> dict[str, str]:
    """From `name=verifier` to both."""
    if wrong := [each for each in given if "=" not in each.partition("(")[0]]:
        raise typer.BadParameter(f"--judge {wrong[0]}: give it a name, such as words={wrong[0]}")
    return dict(each.split("=", 1) for each in given)


def embedded_judges(folder: Path) -> dict[str, str]:
    """The judges of the embedded model's own sets, of two families: see `judging/listening.py`."""
    sys.path.append(str(Path(__file__).parent / "judging"))
    import listening

    return {name: str(judge) for name, judge in listening.families(folder / "judges").items()}


if __name__ == "__main__":
    typer.run(main)

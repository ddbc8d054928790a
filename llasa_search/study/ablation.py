"""The study behind `llasa-search study`: best-of-N from one pool, and other strategies."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from llasa_search.errors import InputError
from llasa_search.sampling import Sampling
from llasa_search.study import costs, curves, outcomes, temperature
from llasa_search.study.cases import Case, read_cases
from llasa_search.study.embedded_judges import embedded_judges
from llasa_search.study.plan import Arm, Row, usable_cases
from llasa_search.study.plots import plot
from llasa_search.study.points import Point, arm_point, pool_points
from llasa_search.study.processes import locked
from llasa_search.study.report import MEASURE, VALUE, Setup, report, same_measure
from llasa_search.study.runs import Study
from llasa_search.study.tables import as_csv, as_jsonl, seconds_as_jsonl
from llasa_search.verifiers.specification import as_reward

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Ablation:
    """What `run` compares.

    Attributes:
        texts: a built-in set or a file, as in `read_cases`.
        dev: the texts on which the temperature is chosen; a set or a file.
        limit: maximum number of texts of each set; None for all.
        ns: points of the best-of-N curve; the largest is the size of the pool.
        verifiers: expression of the reward.
        strategies: other strategies, such as "beam_short"; "{n}" in one stands for each of `ns` above 1.
        seeds: number of seeds of each other strategy.
        temperatures: candidates for the temperature, which is chosen on `dev`.
        sampling: of all searches, apart from the temperature.
        language: of texts without one; None detects it.
        judges: verifiers by name; empty for the judges of the embedded model.
        model: as in `search.generate`.
        codec: as in `search.generate`.
        prompt_format: as in `search.generate`.
        device: as in `search.generate`.
        dtype: as in `search.generate`.
        processes: how many searches run at once.
        folder: for all output.
        command: the command line, for the report.
    """

    texts: str = "standard"
    dev: str = "dev"
    limit: int | None = None
    ns: Sequence[int] = (1, 2, 4, 8, 16, 32, 64)
    verifiers: str = "wer"
    strategies: Sequence[str] = ()
    seeds: int = 3
    temperatures: Sequence[float] = (0.4, 0.6, 0.8, 1.0)
    sampling: Sampling = field(default_factory=lambda: Sampling(top_p=0.9))
    language: str | None = None
    judges: Mapping[str, str] = field(default_factory=dict)
    model: str = "tiny"
    codec: str | None = None
    prompt_format: str = "auto"
    device: str = "auto"
    dtype: str = "auto"
    processes: int = 2
    folder: Path = Path("work-ablation")
    command: str = "llasa_search.study.ablation.run"


def run(ablation: Ablation) -> str:
    """Runs the study and returns its report.

    Writes to the folder: `rows.jsonl` (every judged candidate), `seconds.jsonl`, `points.csv`, plots, and
    `report.md`. Searches are kept in `runs/`, so a killed study resumes.

    Raises:
        LlasaSearchError: as in `Study.rows`, or another study is running in the folder, or the folder cannot be
            created, or a temperature cannot be chosen.
    """
    make_folder(ablation.folder)
    with locked(ablation.folder):
        return _run(ablation)


def _run(ablation: Ablation) -> str:
    judges = dict(ablation.judges) or {
        name: str(judge) for name, judge in embedded_judges(ablation.folder / "judges").items()
    }
    study = _study(ablation, judges)
    sizes = sorted(set(ablation.ns))
    choices = [replace(ablation.sampling, temperature=each) for each in sorted(set(ablation.temperatures))]
    curve_of = expanded(ablation.strategies, sizes)
    planned = arms_of(ablation.verifiers, sizes[-1], list(curve_of), ablation.seeds, choices[0])
    given = read_cases(ablation.texts, ablation.limit, ablation.language)
    cases = usable_cases(given, planned)
    study.check(cases, planned)  # before the temperature is chosen, which takes hours
    dev, dev_pools = _dev_pools(ablation, study, choices, cases, planned)
    sampling = temperature.fewest_errors(dev_pools, list(judges)) if dev_pools else choices[0]
    arms = [replace(arm, sampling=sampling) for arm in planned]
    by_arm = study.by_arm(cases, arms)
    dev_rows = [(ablation.dev, dev, each, rows) for each, rows in dev_pools.items()]
    _write_rows(ablation, [*dev_rows, *((ablation.texts, cases, sampling, rows) for rows in by_arm.values())])
    points = _without_own_oracle(all_points(by_arm, list(judges), sizes, curve_of))
    points += compared(by_arm, list(judges), "flops")
    (ablation.folder / "points.csv").write_text(as_csv(points), encoding="utf-8")
    setup = Setup(
        ablation.command, ablation.texts, len(cases), len(given) - len(cases), ablation.dev, dev_pools, sampling,
        str(as_reward(ablation.verifiers)), study, arms,
    )  # fmt: skip
    text = report(setup, by_arm, points, _plots(points, by_arm[arms[0].name], list(judges), ablation.folder))
    (ablation.folder / "report.md").write_text(text, encoding="utf-8")
    return text


def _study(ablation: Ablation, judges: Mapping[str, str]) -> Study:
    return Study(
        ablation.folder / "runs",
        judges,
        model=ablation.model,
        codec=ablation.codec,
        prompt_format=ablation.prompt_format,
        device=ablation.device,
        dtype=ablation.dtype,
        processes=ablation.processes,
    )


def make_folder(folder: Path) -> None:
    """Creates a folder with its parents.

    Raises:
        InputError: the folder cannot be created, for example because a file has that name.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--folder {folder}: {error.strerror}") from error


def numbers(option: str, given: str, kind: Callable[[str], Number], least: float) -> list[Number]:
    """Returns the numbers of a comma-separated list.

    Args:
        option: its name, for messages.
        given: such as "1,2,4".
        kind: `int` or `float`.
        least: the smallest number allowed.

    Raises:
        InputError: the list holds something else.
    """
    try:
        found = [kind(each) for each in given.split(",")]
    except ValueError as error:
        raise InputError(f"{option} {given!r}: give numbers, separated by commas") from error
    if wrong := [each for each in found if not least <= each < math.inf]:
        raise InputError(f"{option} {given!r}: {wrong[0]} is not a number of at least {least:g}")
    return found


def named_judges(given: Sequence[str]) -> dict[str, str]:
    """Returns verifiers by name, from texts such as "words=pocketsphinx_wer".

    Raises:
        InputError: one has no name, or two share one.
    """
    pairs = [each.split("=", 1) for each in given]
    for each in given:
        name, _, verifier = each.partition("(")[0].partition("=")
        if not (name and verifier):
            raise InputError(f"--judge {each}: give it a name, such as words={each.lstrip('=')}")
    if len({name for name, _ in pairs}) < len(pairs):
        raise InputError("two --judge have the same name: rename one")
    return {name: verifier for name, verifier in pairs}


def arms_of(verifiers: str, size: int, specs: Sequence[str], seeds: int, sampling: Sampling) -> list[Arm]:
    """Returns the arm of the pool, from which best-of-N is computed, and those of the other strategies."""
    pool = Arm("best of n", f"best_of_n:n={size}", verifiers, sampling=sampling, pool=True)
    seed_numbers = tuple(range(seeds))
    return [
        pool,
        *(replace(pool, name=spec, strategy=spec, seeds=seed_numbers, pool=False) for spec in specs),
    ]


def expanded(specs: Sequence[str], sizes: Sequence[int]) -> dict[str, str]:
    """Returns strategies, those with "{n}" at each size above 1, with the curve that each is a point of."""
    return {
        spec.replace("{n}", str(n)): spec if "{n}" in spec else ""
        for spec in specs
        for n in (sizes if "{n}" in spec else [1])
        if n > 1 or "{n}" not in spec
    }


def all_points(
    by_arm: Mapping[str, Sequence[Row]],
    judges: Sequence[str],
    sizes: Sequence[int],
    curve_of: Mapping[str, str],
) -> list[Point]:
    """Returns every point under every judge: the pool's curve and its controls, then the other strategies."""
    pool = next(iter(by_arm.values()))
    points = []
    for judge in judges:
        points += pool_points(pool, judge, sizes)
        # The value is the same for every n, so two points are enough for the curve.
        ends = sorted({sizes[0], sizes[-1]})
        points += pool_points(pool, judge, ends, curves.at_random, "a random one", verified=False)
        controls: dict[str, curves.Key] = {"likeliest": curves.highest_logprob, "shortest": curves.shortest}
        controls |= {f"oracle: {other}": curves.oracle(other) for other in same_measure(pool, judge, judges)}
        for name, key in controls.items():
            points += pool_points(pool, judge, sizes, key, name, verified=False)
        points += compared(by_arm, [judge], "row_steps", curve_of)
    return points


def compared(
    by_arm: Mapping[str, Sequence[Row]],
    judges: Sequence[str],
    axis: str,
    curve_of: Mapping[str, str] = MappingProxyType({}),
) -> list[Point]:
    """Returns the points of the other strategies, each compared with best-of-N at the same cost on an axis."""
    pool, *others = by_arm.values()
    return [
        arm_point(rows, judge, pool, axis, curve_of.get(rows[0]["arm"], ""))
        for judge in judges
        for rows in others
    ]


def _without_own_oracle(points: Sequence[Point]) -> list[Point]:
    """Leaves out the oracle by the judge itself, which is not an upper bound for a search."""
    return [point for point in points if point.curve != f"oracle: {point.judge}"]


def _dev_pools(
    ablation: Ablation,
    study: Study,
    choices: Sequence[Sampling],
    cases: Sequence[Case],
    planned: Sequence[Arm],
) -> tuple[list[Case], dict[Sampling, list[Row]]]:
    """Returns the dev texts, and a small pool of each at each sampling; nothing if there is one sampling."""
    if len(choices) == 1:
        return [], {}
    dev = usable_cases(temperature.dev_cases(ablation.dev, ablation.limit, cases, ablation.language), planned)
    return dev, temperature.pools(study, dev, choices, ablation.verifiers)


def _write_rows(
    ablation: Ablation, groups: Sequence[tuple[str, Sequence[Case], Sampling, Sequence[Row]]]
) -> None:
    """Writes the rows, and the seconds of their searches."""
    lines = (
        as_jsonl(rows, cases, set=name, model=ablation.model, temperature=each.temperature, top_p=each.top_p)
        for name, cases, each, rows in groups
    )
    (ablation.folder / "rows.jsonl").write_text("".join(lines), encoding="utf-8")
    seconds = "".join(seconds_as_jsonl(rows) for *_, rows in groups)
    (ablation.folder / "seconds.jsonl").write_text(seconds, encoding="utf-8")


def _plots(points: Sequence[Point], pool: Sequence[Row], judges: Sequence[str], folder: Path) -> list[str]:
    """Plots quality against each cost, with separate figures for error rates and other values; returns file names."""
    points = [point for point in points if point.equal != "flops"]
    errors = {judge for judge in judges if outcomes.counts_errors(pool, judge)}
    names = []
    for axis in costs.AXES:
        for group, name, measure in (
            (errors, axis, MEASURE),
            (set(judges) - errors, f"{axis}_values", VALUE),
        ):
            if of_group := [point for point in points if point.judge in group]:
                names.append(plot(of_group, axis, folder / name, measure)[0].name)
    return names

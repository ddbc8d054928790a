"""Tests whether a search with a small model is better than a single sample of a large model.

    python -m examples.benchmarks.scaling_study --limit 10     # a trial, written to work-scaling/
    python -m examples.benchmarks.scaling_study                # the study, written to docs/results/

Three language models of one family with one codec are compared: single samples, best-of-N by WER, and the paper's
process reward by speaker similarity with a final choice by WER. Writes `scaling_study.md` and its figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from examples.benchmarks import sections
from examples.benchmarks.scaling_claims import (
    JUDGES,
    SEARCHES,
    WER_JUDGES,
    Runs,
    claims,
    findings,
    scored,
)
from examples.benchmarks.scaling_models import CODEC, SIZES, find_language_model
from llasa_search import Sampling
from llasa_search.llasa.loading import find_model
from llasa_search.scoring.loading import load_verifiers
from llasa_search.study import Arm, Case, Row, Study, costs, outcomes, read_cases, temperature
from llasa_search.study.ablation import make_folder, numbers
from llasa_search.study.embedded_judges import embedded_judges
from llasa_search.study.plots import plot
from llasa_search.study.points import Point, arm_point, pool_points
from llasa_search.study.report import MEASURE
from llasa_search.study.tables import as_csv, as_jsonl
from llasa_search.verifiers.specification import as_reward

REWARD = "Lexicographic(wer, likelihood)"
BEAM = "beam:width=4,expand=4,step_tokens=10,prefix_share=0.25,prefix_verifiers=speaker"
SAMPLES = 4  # single samples per text
STAGES = {"decode": "sampling", "codec": "codec", "verifiers": "scoring"}
"""The printed names of the stages."""

PAPER = {
    ("small", "direct"): ("1B", "3.22 / 0.572", "12.13 / 0.638"),
    ("small", "PRM + ORM"): ("1B", "1.46 / 0.782", "5.24 / 0.750"),
    ("large", "direct"): ("8B", "2.97 / 0.574", "11.09 / 0.660"),
    ("large", "PRM + ORM"): ("8B", "1.39 / 0.783", "4.38 / 0.767"),
}
"""arXiv 2502.04128: model, error in % and similarity on seed-tts-eval's English and hard Chinese texts."""


def main(
    sets: Annotated[str, typer.Option(help="Evaluation sets, comma-separated.")] = "standard,hard",
    limit: Annotated[int | None, typer.Option(help="Number of texts of each set; default: all.")] = None,
    n: Annotated[int, typer.Option("-n", help="Number of candidates per text.")] = 16,
    seeds: Annotated[int, typer.Option(help="Number of seeds of the process reward.")] = 3,
    temperatures: Annotated[
        str, typer.Option(help="Temperatures to choose from on the dev set, comma-separated.")
    ] = "0.2,0.4,0.6,0.8,1.0",
    top_p: float = 0.9,
    small: Annotated[
        str, typer.Option(help="Folder of the small model; default: from the git history.")
    ] = "",
    large: Annotated[
        str, typer.Option(help="Folder of the large model; default: from the git history.")
    ] = "",
    processes: Annotated[int, typer.Option(help="Number of single-threaded processes.")] = 2,
    folder: Annotated[Path, typer.Option(help="Folder for all output.")] = Path("work-scaling"),
) -> None:
    """Run the study with every model size and write the page with its figures."""
    load_verifiers(as_reward(f"{REWARD} + speaker").verifiers)  # an error is raised before hours of work
    make_folder(folder)
    page = (folder if limit else sections.RESULTS) / "scaling_study.md"
    judges = {**_wer_judges(folder), "voice": "resemblyzer_similarity"}
    given = {"small": small, "base": "", "large": large}
    models = {size: given[size] or find_language_model(size, folder / "models") for size in SIZES}
    studies = {
        size: Study(folder / size, judges, model=model, codec=CODEC, processes=processes)
        for size, model in models.items()
    }
    values = numbers("--temperatures", temperatures, float, least=0)
    choices = [Sampling(temperature=t, top_p=top_p) for t in values]
    cases = {name: _with_voice_prompt(name, limit) for name in sets.split(",")}
    all_cases = [case for each in cases.values() for case in each]
    planned = arms_of(choices[0], choices[0], n, seeds)
    for study in studies.values():
        study.check(all_cases, planned)  # before the temperatures are chosen, which takes hours
    dev = _with_voice_prompt("dev", limit)
    dev_pools = {size: temperature.pools(study, dev, choices, REWARD) for size, study in studies.items()}
    chosen = choose_temperatures(dev_pools)
    arms = {size: arms_of(*each, n, seeds) for size, each in chosen.items()}
    by_set, points = dict[str, Runs](), list[Point]()
    for name, texts in cases.items():
        by_set[name] = {size: study.by_arm(texts, arms[size]) for size, study in studies.items()}
        points += draw_curves(by_set[name], n, name, page.parent)
    (folder / "scaling_study.csv").write_text(as_csv(points), encoding="utf-8")
    lines = [
        as_jsonl(rows, dev, set="dev", model=size, temperature=sampling.temperature)
        for size, pools in dev_pools.items()
        for sampling, rows in pools.items()
    ] + [
        as_jsonl(runs[size][arm.name], texts, set=name, model=size, temperature=arm.sampling.temperature)
        for (name, runs), texts in zip(by_set.items(), cases.values(), strict=True)
        for size in studies
        for arm in arms[size]
    ]
    (folder / "scaling_study.jsonl").write_text("".join(lines), encoding="utf-8")
    parts = [section(name, runs, n) for name, runs in by_set.items()]
    intro = introduction(by_set, chosen, sizes(models), n, seeds)
    _write_page(page, "\n\n".join([intro, *parts, comparison_with_paper(by_set)]))


def _write_page(page: Path, body: str) -> None:
    if not page.exists():
        page.write_text("# Scaling: model size against search\n", encoding="utf-8")
    sections.write(page, "scaling", body)
    typer.echo(body)


def choose_temperatures(
    dev_pools: Mapping[str, Mapping[Sampling, Sequence[Row]]],
) -> dict[str, tuple[Sampling, Sampling]]:
    """Returns the samplings of each size with the lowest error rates of single samples and of best-of-N."""
    chosen = {}
    for size, pools in dev_pools.items():
        direct, best = (temperature.fewest_errors(pools, WER_JUDGES, n) for n in (1, temperature.SIZE))
        chosen[size] = direct, best
    return chosen


def section(name: str, runs: Runs, n: int) -> str:
    """Returns the section of one set."""
    return (
        f"## {name} set\n\n{findings(claims(runs, n))}\n\n![WER against FLOPs, {name} set](scaling_{name}.png)\n\n"
        f"{table(runs, n)}\n\n{flops_by_stage(runs)}"
    )


def arms_of(direct: Sampling, best: Sampling, n: int, seeds: int) -> list[Arm]:
    """Returns the arms of one model: single samples, the pool of best-of-N, and the process reward."""
    return [
        Arm("direct", f"best_of_n:n={SAMPLES}", REWARD, sampling=direct, pool=True),
        Arm("pool", f"best_of_n:n={n}", REWARD, sampling=best, pool=True),
        Arm("PRM + ORM", BEAM, REWARD, sampling=best, seeds=tuple(range(seeds))),
    ]


def table(runs: Runs, n: int) -> str:
    """Returns the table of FLOPs and judges' scores by model size and search."""
    lines = ["The table shows the FLOPs per text and the judges' scores for every model size and search.", ""]
    lines += ["| model | search | TFLOPs | " + " | ".join(JUDGES) + " |", "|---" * (3 + len(JUDGES)) + "|"]
    for size, arms in runs.items():
        flops = {
            "direct": costs.cost(arms["direct"], "flops", 1),
            "best of n": costs.cost(arms["pool"], "flops"),
            "PRM + ORM": costs.cost(arms["PRM + ORM"], "flops"),
        }
        for search, cost in flops.items():
            found = [
                outcomes.rate(scored(runs, size, search, judge, n if search == "best of n" else 1))
                for judge in JUDGES
            ]
            name = SEARCHES.get(search, f"best of {n}")
            lines.append(f"| {size} | {name} | {cost / 1e12:.3g} | " + " | ".join(map(str, found)) + " |")
    return "\n".join(lines)


def flops_by_stage(runs: Runs) -> str:
    """Returns the FLOPs per candidate by stage; a small model reduces those of sampling only."""
    lines = []
    for size, arms in runs.items():
        searches = {(row["case"], row["seed"]): row for row in arms["pool"]}.values()
        count = math.fsum(row["finished"] for row in searches)
        stages = {
            stage: math.fsum(row["flops"].get(stage) or math.nan for row in searches) / count / 1e9
            for stage in STAGES
        }
        listed = ", ".join(f"{STAGES[stage]} {each:.2f}" for stage, each in stages.items())
        lines.append(f"- The {size} model takes these GFLOPs per candidate: {listed}.")
    return "\n".join(lines)


def draw_curves(runs: Runs, n: int, name: str, home: Path) -> list[Point]:
    """Draws the curves of a set into the page's folder and returns their points."""
    sizes = [2**power for power in range(n.bit_length()) if 2**power <= n]
    points = []
    for judge in WER_JUDGES:
        for size, arms in runs.items():
            points += pool_points(arms["direct"], judge, [1], name=f"{size}, single sample", verified=False)
            points += pool_points(arms["pool"], judge, sizes, name=f"{size}, best of n")
            beams: list[Row] = [{**row, "arm": f"{size}, PRM + ORM"} for row in arms["PRM + ORM"]]
            points.append(arm_point(beams, judge, arms["pool"], "flops", f"{size}, PRM + ORM"))
    plot(points, "flops", home / f"scaling_{name}", MEASURE, f"{name} set")
    return points


def introduction(
    by_set: Mapping[str, Runs],
    chosen: Mapping[str, tuple[Sampling, Sampling]],
    models: str,
    n: int,
    seeds: int,
) -> str:
    counts = {name: len({row["case"] for row in runs["base"]["pool"]}) for name, runs in by_set.items()}
    texts = ", ".join(f"{count} {name}" for name, count in counts.items())
    temperatures = "; ".join(
        f"{size} {direct.temperature:g} and {best.temperature:g}" for size, (direct, best) in chosen.items()
    )
    return f"""
{sections.made_by()}

The language models are {models}. They share a codec and the kind of their training data; the
large model was initialised from the base model (see the model card). The texts have a voice prompt: {texts}.
The temperatures for single samples and for the best of {temperature.SIZE} were chosen on the dev set: {temperatures};
top-p is {chosen["base"][0].top_p:g}.

The searches are:

- "single sample": the mean over {SAMPLES} samples, which need no verifier;
- "best of {n}": best-of-N by the reward `{REWARD}`;
- "PRM + ORM": `{BEAM}`,
  then the same reward, with {seeds} {"seed" if seeds == 1 else "seeds"}.

The judges take no part in the searches: pocketsphinx with a bigram language model and the package's CTC model (corpus
word error rates), and Resemblyzer (the cosine to the prompt, in the column "voice"). The WER of the CTC model on
recordings is about 50% (see the model card), so its differences are more informative than its values. Intervals are
95% bootstrap intervals over texts, then over the seeds of each text. P-values are from paired permutation tests,
corrected for all comparisons of a set (Holm). Single samples are sampled at a different temperature, so their WER
differs from the first point of the best-of-N curve. FLOPs are those of language model, codec and verifiers.

The value of a comparison is the judge's score of the first side minus that of the second. A value below 0 is better
for WER, and a value above 0 is better for speaker similarity. A claim *holds* if the first side is better, significant
at 5% after Holm; each judge counts separately.
"""


def sizes(models: Mapping[str, str]) -> str:
    """Returns the model sizes with their numbers of parameters."""
    from safetensors.torch import load_file

    counts = {}
    for size, model in models.items():
        weights = load_file(Path(find_model(model, None)[0]) / "model.safetensors")
        counts[size] = sum(each.numel() for each in weights.values())
    return ", ".join(f"{size} {count / 1e6:.1f} M parameters" for size, count in counts.items())


def comparison_with_paper(by_set: Mapping[str, Runs]) -> str:
    """Returns a table of this study's values and the paper's, and the differences between both studies."""
    names = list(by_set)
    lines = [
        "The table shows the values of this study and those of the paper.",
        "",
        "| model | search | " + " | ".join(f"{name}, bigram / cosine" for name in names)
        + " | paper's model | paper, en | paper, zh hard |",
        "|---" * (5 + len(names)) + "|",
    ]  # fmt: skip
    for (size, search), paper in PAPER.items():
        cells = [
            f"{100 * outcomes.rate(scored(runs, size, search, 'bigram')).value:.1f} / "
            f"{outcomes.rate(scored(runs, size, search, 'voice')).value:.3f}"
            for runs in by_set.values()
        ]
        lines.append(f"| {size} | {SEARCHES[search]} | " + " | ".join([*cells, *paper]) + " |")
    return """## Comparison with the paper

The values are error rates in % and speaker similarities (arXiv 2502.04128). The studies differ in several ways. The
paper's models have 1 and 8 billion parameters, its beam searches have 16 x 16 rows over two seconds, its speech is
human, and its verifiers are also its judges. Here, beam searches have 4 x 4 rows over a quarter of the expected length,
and the judges belong to other model families, whose errors affect every value.

""" + "\n".join(lines)


def _with_voice_prompt(name: str, limit: int | None) -> list[Case]:
    """Returns the texts of a set that have a voice prompt, which the process reward needs."""
    return [case for case in read_cases(name) if case.voice is not None][:limit]


def _wer_judges(folder: Path) -> dict[str, str]:
    return {name: str(judge) for name, judge in embedded_judges(folder / "judges").items()}


if __name__ == "__main__":
    sections.run(main)

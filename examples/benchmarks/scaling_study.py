"""Whether a searched small model beats an unsearched large one: size x search, on models that anyone can rerun.

    python -m examples.benchmarks.scaling_study --limit 10     # a first look, written to work-scaling/
    python -m examples.benchmarks.scaling_study                # everything, written to docs/results/

Three language models of one family and one codec: direct samples, best-of-n by the words, and the paper's
process reward by the voice before the words choose. Writes `scaling_study.md` and its figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from examples.benchmarks import sections
from examples.benchmarks.scaling_claims import JUDGES, WORD_JUDGES, Runs, claims, findings, scored
from examples.benchmarks.scaling_models import CODEC, SIZES, find_language_model
from llasa_search import Sampling
from llasa_search.llasa.loading import find_model
from llasa_search.scoring.loading import load_verifiers
from llasa_search.study import Arm, Case, Row, Study, costs, outcomes, read_cases, temperature
from llasa_search.study.ablation import make_folder, numbers
from llasa_search.study.embedded_judges import embedded_judges
from llasa_search.study.plots import plot
from llasa_search.study.points import Point, arm_point, pool_points
from llasa_search.study.tables import as_csv, as_jsonl
from llasa_search.verifiers.specification import as_reward

WORDS = "Lexicographic(wer, likelihood)"
BEAM = "beam:width=4,expand=4,step_tokens=10,prefix_share=0.25,prefix_verifiers=speaker"
SAMPLES = 4  # per text, of a model without search
PAPER = {
    ("small", "direct"): ("1B", "3.22 / 0.572", "12.13 / 0.638"),
    ("small", "PRM + ORM"): ("1B", "1.46 / 0.782", "5.24 / 0.750"),
    ("large", "direct"): ("8B", "2.97 / 0.574", "11.09 / 0.660"),
    ("large", "PRM + ORM"): ("8B", "1.39 / 0.783", "4.38 / 0.767"),
}
"""arXiv 2502.04128: model, error in % and similarity on seed-tts-eval's English and hard Chinese texts."""


def main(
    sets: Annotated[str, typer.Option(help="Evaluation sets, comma-separated.")] = "standard,hard",
    limit: Annotated[int | None, typer.Option(help="Texts of each set; all by default.")] = None,
    n: Annotated[int, typer.Option("-n", help="Candidates per text.")] = 16,
    seeds: Annotated[int, typer.Option(help="Of the process reward.")] = 3,
    temperatures: Annotated[str, typer.Option(help="To choose from on the dev set.")] = "0.2,0.4,0.6,0.8,1.0",
    top_p: float = 0.9,
    small: Annotated[str, typer.Option(help="The small model's folder; from git history by default.")] = "",
    large: Annotated[str, typer.Option(help="The large model's folder; from git history by default.")] = "",
    processes: Annotated[int, typer.Option(help="Of one thread each.")] = 2,
    folder: Annotated[Path, typer.Option(help="For all that is made.")] = Path("work-scaling"),
) -> None:
    """Runs every size, and writes the page with its figures."""
    load_verifiers(as_reward(f"{WORDS} + speaker").verifiers)  # errors come before hours of work
    make_folder(folder)
    page = (folder if limit else sections.RESULTS) / "scaling_study.md"
    judges = {**_word_judges(folder), "voice": "resemblyzer_similarity"}
    given = {"small": small, "base": "", "large": large}
    models = {size: given[size] or find_language_model(size, folder / "models") for size in SIZES}
    studies = {
        size: Study(folder / size, judges, model=model, codec=CODEC, processes=processes)
        for size, model in models.items()
    }
    tried_at = numbers("--temperatures", temperatures, float, least=0)
    choices = [Sampling(temperature=t, top_p=top_p) for t in tried_at]
    cases = {name: _voiced(name, limit) for name in sets.split(",")}
    everything = [case for each in cases.values() for case in each]
    planned = arms_of(choices[0], choices[0], n, seeds)
    for study in studies.values():
        study.check(everything, planned)  # before hours are spent on the choice of temperatures
    dev = _voiced("dev", limit)
    tried = {size: temperature.pools(study, dev, choices, WORDS) for size, study in studies.items()}
    chosen = choose_temperatures(tried)
    arms = {size: arms_of(*each, n, seeds) for size, each in chosen.items()}
    by_set, points = dict[str, Runs](), list[Point]()
    for name, texts in cases.items():
        by_set[name] = {size: study.by_arm(texts, arms[size]) for size, study in studies.items()}
        points += drawn(by_set[name], n, name, page.parent)
    (folder / "scaling_study.csv").write_text(as_csv(points), encoding="utf-8")
    lines = [
        as_jsonl(rows, dev, set="dev", model=size, temperature=sampling.temperature)
        for size, pools in tried.items()
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
    _write_page(page, "\n\n".join([intro, *parts, beside_the_paper(by_set)]))


def _write_page(page: Path, body: str) -> None:
    if not page.exists():
        page.write_text("# Scaling: model size against search\n", encoding="utf-8")
    sections.write(page, "scaling", body)
    typer.echo(body)


def choose_temperatures(
    tried: Mapping[str, Mapping[Sampling, Sequence[Row]]],
) -> dict[str, tuple[Sampling, Sampling]]:
    """Returns the sampling of each size with the fewest errors: of single samples, and of best-of-n."""
    chosen = {}
    for size, pools in tried.items():
        direct, best = (temperature.fewest_errors(pools, WORD_JUDGES, n) for n in (1, temperature.SIZE))
        chosen[size] = direct, best
    return chosen


def section(name: str, runs: Runs, n: int) -> str:
    """Returns the section of one set."""
    return (
        f"## {name} set\n\n{findings(claims(runs, n))}\n\n![{name}](scaling_{name}.png)\n\n"
        f"{table(runs, n)}\n\n{spent(runs)}"
    )


def arms_of(direct: Sampling, best: Sampling, n: int, seeds: int) -> list[Arm]:
    """Returns the arms of one model: direct samples, its pool, and its process reward."""
    return [
        Arm("direct", f"best_of_n:n={SAMPLES}", WORDS, sampling=direct, pool=True),
        Arm("pool", f"best_of_n:n={n}", WORDS, sampling=best, pool=True),
        Arm("PRM + ORM", BEAM, WORDS, sampling=best, seeds=tuple(range(seeds))),
    ]


def table(runs: Runs, n: int) -> str:
    """Returns the table of size x search: FLOPs, words, and voice."""
    lines = ["The table shows FLOPs per text and the judges' scores of every size and search.", ""]
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
            name = f"best of {n}" if search == "best of n" else search
            lines.append(f"| {size} | {name} | {cost / 1e12:.3g} | " + " | ".join(map(str, found)) + " |")
    return "\n".join(lines)


def spent(runs: Runs) -> str:
    """Returns the FLOPs of a candidate by stage: a small model saves only in sampling."""
    lines = []
    for size, arms in runs.items():
        searches = {(row["case"], row["seed"]): row for row in arms["pool"]}.values()
        count = math.fsum(row["finished"] for row in searches)
        stages = {
            stage: math.fsum(row["flops"].get(stage) or math.nan for row in searches) / count / 1e9
            for stage in ("decode", "codec", "verifiers")
        }
        listed = ", ".join(f"{stage} {each:.2f}" for stage, each in stages.items())
        lines.append(f"- GFLOPs per candidate of the {size} model: {listed}")
    return "\n".join(lines)


def drawn(runs: Runs, n: int, name: str, home: Path) -> list[Point]:
    """Draws the curves of a set next to the page, and returns their points."""
    sizes = [2**power for power in range(n.bit_length()) if 2**power <= n]
    points = []
    for judge in WORD_JUDGES:
        for size, arms in runs.items():
            points += pool_points(arms["direct"], judge, [1], name=f"{size}, direct", verified=False)
            points += pool_points(arms["pool"], judge, sizes, name=f"{size}, best of n")
            beams: list[Row] = [{**row, "arm": f"{size}, PRM + ORM"} for row in arms["PRM + ORM"]]
            points.append(arm_point(beams, judge, arms["pool"], "flops", f"{size}, PRM + ORM"))
    plot(points, "flops", home / f"scaling_{name}", "judged WER", f"{name} set")
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
    settled = "; ".join(
        f"{size} {direct.temperature:g} and {best.temperature:g}" for size, (direct, best) in chosen.items()
    )
    return f"""
{sections.made_by()}

Language models: {models}; they share
a codec and the kind of their data; the large one began as the base one (see the model card). Texts with a
voice prompt: {texts}.
Temperatures chosen on the dev set, for single samples and for the best of {temperature.SIZE}: {settled}; top-p
{chosen["base"][0].top_p:g}. Direct: the mean over {SAMPLES} samples, which no verifier scores. Best of {n}: by
`{WORDS}`. PRM + ORM:
`{BEAM}`, then the same
reward; {seeds} {"seed" if seeds == 1 else "seeds"}.
Judges, none of them a verifier: pocketsphinx with a bigram language model and the
package's CTC model (corpus word error rates), Resemblyzer (cosine to the prompt). The CTC model also gets about half
of the words of recordings wrong (see the model card), so its differences say more than its values.
95% bootstrap intervals over texts, then seeds; p-values by paired permutation, corrected for all
comparisons of a set (Holm). Direct samples have a temperature of their own, so they differ from the
first point of the best-of-n curve. FLOPs are those of language model, codec and verifiers; a sample without a choice
needs no verifier.

A comparison is the judge's score of the first side minus that of the second: below 0 is better for words, above 0
for the voice. A claim *holds* if the first side is better, significant at 5% after Holm; each judge counts once.
"""


def sizes(models: Mapping[str, str]) -> str:
    """Returns the models with their numbers of parameters."""
    from safetensors.torch import load_file

    counts = {}
    for size, model in models.items():
        weights = load_file(Path(find_model(model, None)[0]) / "model.safetensors")
        counts[size] = sum(each.numel() for each in weights.values())
    return ", ".join(f"{size} {count / 1e6:.1f} M parameters" for size, count in counts.items())


def beside_the_paper(by_set: Mapping[str, Runs]) -> str:
    """Returns the paper's table next to the same figures of this study, and the differences."""
    names = list(by_set)
    lines = [
        "The table shows the figures of this study next to the paper's.",
        "",
        "| model | search | " + " | ".join(f"{name}, bigram / cosine" for name in names)
        + " | the paper's | en | zh, hard |",
        "|---" * (5 + len(names)) + "|",
    ]  # fmt: skip
    for (size, search), paper in PAPER.items():
        cells = [
            f"{100 * outcomes.rate(scored(runs, size, search, 'bigram')).value:.1f} / "
            f"{outcomes.rate(scored(runs, size, search, 'voice')).value:.3f}"
            for runs in by_set.values()
        ]
        lines.append(f"| {size} | {search} | " + " | ".join([*cells, *paper]) + " |")
    return """## Beside the paper's table

Error rate in % and similarity (arXiv 2502.04128). The differences: the paper's models have 1 and 8 billion
parameters, its beams 16 x 16 over two seconds, its speech is human, and its verifiers are also its judges;
here beams are 4 x 4 over a quarter of the expected length, and judges are of other families, whose own errors
affect every number.

""" + "\n".join(lines)


def _voiced(name: str, limit: int | None) -> list[Case]:
    """Returns the texts of a set with a voice prompt: a process reward by the voice needs one."""
    return [case for case in read_cases(name) if case.voice is not None][:limit]


def _word_judges(folder: Path) -> dict[str, str]:
    return {name: str(judge) for name, judge in embedded_judges(folder / "judges").items()}


if __name__ == "__main__":
    sections.run(main)

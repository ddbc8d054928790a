"""Does a searched small model beat an unsearched large one? Size x search, on models that anyone can rerun.

    python examples/scaling_study.py --limit 10        # a first look
    python examples/scaling_study.py                   # everything

Three language models of one family and one codec, trained on the same data: direct samples, best-of-n by the
words, and the paper's process reward by the voice before the words choose. Writes `docs/scaling_study.md`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import sections
import typer

from llasa_search import Sampling
from llasa_search.expression import as_reward
from llasa_search.scorer import load_verifiers
from llasa_search.statistics import Estimate
from llasa_search.study import Arm, Case, Row, Study, costs, curves, outcomes, read_cases
from llasa_search.study.plots import plot
from llasa_search.study.points import pool_points
from llasa_search.study.report import signed

MODELS = {"small": "tiny-small", "base": "tiny", "large": "tiny-large"}
WORDS = "Lexicographic(wer, likelihood)"
BEAM = "beam:width=4,expand=4,step_tokens=10,prefix_share=0.25,prefix_verifiers=speaker"
WORD_JUDGES = ("unigram", "bigram")
PAPER = """\
| | zh | en | zh, hard |
|---|---|---|---|
| 1B, direct | 1.89 / .669 | 3.22 / .572 | 12.13 / .638 |
| 1B, partial PRM + ORM | .45 / .818 | 1.46 / .782 | 5.24 / .750 |
| 8B, direct | 1.59 / .684 | 2.97 / .574 | 11.09 / .660 |
| 8B, partial PRM + ORM | .47 / .825 | 1.39 / .783 | 4.38 / .767 |
"""

Runs = Mapping[str, Mapping[str, Sequence[Row]]]
"""By size, then by arm: "pool" and "PRM + ORM"."""


def main(
    sets: Annotated[str, typer.Option(help="Evaluation sets, comma-separated.")] = "standard,hard",
    limit: Annotated[int | None, typer.Option(help="Texts of each set; all by default.")] = None,
    n: Annotated[int, typer.Option("-n", help="Candidates a text.")] = 16,
    seeds: Annotated[int, typer.Option(help="Of the process reward.")] = 3,
    temperature: float = 0.8,
    top_p: float = 0.9,
    processes: Annotated[int, typer.Option(help="Of one thread each.")] = 2,
    folder: Annotated[Path, typer.Option(help="For all that is made.")] = Path("work-scaling"),
    page: Annotated[Path, typer.Option(help="What is written.")] = sections.ROOT
    / "docs"
    / "scaling_study.md",
) -> None:
    """Runs every size, and writes the page with its figures."""
    load_verifiers(as_reward(f"{WORDS} + speaker").verifiers)  # what is missing is to be known now
    judges = {**_word_judges(folder), "voice": "resemblyzer_similarity"}
    sampling = Sampling(temperature=temperature, top_p=top_p)
    parts, lines = [], list[str]()
    for name in sets.split(","):
        cases = read_cases(name, limit)
        runs = {
            size: searched(
                Study(folder / size, judges, model=model, processes=processes), cases, sampling, n, seeds
            )
            for size, model in MODELS.items()
        }
        rows = [(size, row) for size, arms in runs.items() for arm in arms.values() for row in arm]
        lines += [json.dumps({**row, "set": name, "size": size}) + "\n" for size, row in rows]
        parts.append(of_set(name, runs, n, page.parent))
    (folder / "scaling_study.jsonl").write_text("".join(lines), encoding="utf-8")
    body = f"""
{sections.made_by()}

Candidates at temperature {temperature:g}, top-p {top_p:g}. Direct: the mean over all single samples. Best of
{n}: by `{WORDS}`. PRM + ORM: `{BEAM}`, then the
same reward; {seeds} seeds. Judges: pocketsphinx with two language models, Resemblyzer. 95 % bootstrap
intervals over texts, then seeds. Operations are those of language model, codec and verifiers.

""" + "\n\n".join(
        [*parts, "## The paper's table\n\nError rate in % and similarity (arXiv 2502.04128):\n\n" + PAPER]
    )
    page.parent.mkdir(parents=True, exist_ok=True)
    if not page.exists():
        page.write_text("# Scaling: model size against search\n", encoding="utf-8")
    sections.write(page, "scaling", body)
    typer.echo(body)


def searched(
    study: Study, cases: Sequence[Case], sampling: Sampling, n: int, seeds: int
) -> dict[str, list[Row]]:
    """One model's pool, and its process reward on the cases with a voice."""
    voiced = [case for case in cases if case.voice is not None]
    pool = Arm("pool", f"best_of_n:n={n}", WORDS, sampling=sampling, pool=True)
    beam = Arm("PRM + ORM", BEAM, WORDS, sampling=sampling, seeds=tuple(range(seeds)))
    return {"pool": study.rows(cases, [pool]), "PRM + ORM": study.rows(voiced, [beam])}


def of_set(name: str, runs: Runs, n: int, home: Path) -> str:
    """One set: the table, the claims, and the figure."""
    points = [
        point
        for judge in WORD_JUDGES
        for size, arms in runs.items()
        for point in pool_points(arms["pool"], judge, _powers(n), name=size)
    ]
    plot(points, "flops", home / f"scaling_{name}", "judged WER", f"{name} set")
    return f"## {name} set\n\n{table(runs, n)}\n\n{claims(runs, n)}\n\n![{name}](scaling_{name}.png)"


def table(runs: Runs, n: int) -> str:
    """Size x search: words, voice, and operations."""
    judges = [*WORD_JUDGES, "voice"]
    lines = ["| model | search | TFLOPs | " + " | ".join(judges) + " |", "|---" * (3 + len(judges)) + "|"]
    for size, arms in runs.items():
        pool, beam = arms["pool"], arms["PRM + ORM"]
        heard = {
            "direct": (costs.cost(pool, "flops", 1), [curves.best_of(pool, judge, 1) for judge in judges]),
            f"best of {n}": (costs.cost(pool, "flops"), [curves.best_of(pool, judge, n) for judge in judges]),
            "PRM + ORM": (costs.cost(beam, "flops"), [outcomes.chosen(beam, judge) for judge in judges]),
        }
        for search, (flops, found) in heard.items():
            cells = " | ".join(str(outcomes.rate(each)) for each in found)
            lines.append(f"| {size} | {search} | {flops / 1e12:.3g} | {cells} |")
    return "\n".join([*lines, "", "PRM + ORM: texts with a voice prompt alone."])


def claims(runs: Runs, n: int) -> str:
    """The paper's claims, each with the difference that decides."""
    lines = []
    for judge in WORD_JUDGES:
        for size, arms in runs.items():
            gain = outcomes.difference(*(curves.best_of(arms["pool"], judge, k) for k in (n, 1)))
            lines.append(
                _claim(f"more compute helps the {size} model ({judge}): best of {n} less direct", gain)
            )
        for small, large in (("small", "base"), ("small", "large"), ("base", "large")):
            direct = curves.best_of(runs[large]["pool"], judge, 1)
            searched = curves.best_of(runs[small]["pool"], judge, n)
            name = f"the {small} model, best of {n}, beats the {large} one unsearched ({judge})"
            lines.append(_claim(name, outcomes.difference(searched, direct)))
            lines.append(at_equal_cost(runs[small]["pool"], runs[large]["pool"], judge))
    return "\n".join([*lines, *of_the_process_reward(runs)])


def at_equal_cost(small: Sequence[Row], large: Sequence[Row], judge: str) -> str:
    """The small model's best of as many as cost what one sample of the large one does."""
    k = costs.n_at(small, "flops", costs.cost(large, "flops", 1))
    if math.isnan(k):
        return f"- no comparison: no n of the smaller model costs as much as one larger sample ({judge})"
    found = curves.best_of(small, judge, k), curves.best_of(large, judge, 1)
    return _claim(f"also at equal operations, best of {k:.2f} ({judge})", outcomes.difference(*found))


def of_the_process_reward(runs: Runs) -> list[str]:
    """What the paper's own method does to words and voice, on the texts that have a voice prompt."""
    voiced = {row["case"] for row in next(iter(runs.values()))["PRM + ORM"]}
    direct = {size: [row for row in arms["pool"] if row["case"] in voiced] for size, arms in runs.items()}
    lines = []
    for judge, better in (*((judge, -1) for judge in WORD_JUDGES), ("voice", 1)):
        for small, large in (("small", "small"), ("base", "base"), ("large", "large"), ("small", "large")):
            found = outcomes.chosen(runs[small]["PRM + ORM"], judge), curves.best_of(direct[large], judge, 1)
            against = "itself" if small == large else f"the {large} one"
            name = f"the {small} model by PRM + ORM beats {against} unsearched ({judge})"
            lines.append(_claim(name, outcomes.difference(*found), better))
    return lines


def _claim(text: str, gain: Estimate, better: int = -1) -> str:
    low, high = sorted((better * gain.low, better * gain.high))
    verdict = "holds" if low > 0 else "**does not hold**" if high < 0 else "undecided"
    return f"- {verdict}: {text}: {signed(gain)}"


def _powers(n: int) -> list[int]:
    return [2**power for power in range(n.bit_length()) if 2**power <= n]


def _word_judges(folder: Path) -> dict[str, str]:
    sys.path.append(str(Path(__file__).parent / "judging"))
    import listening

    return {name: str(judge) for name, judge in listening.judges(folder / "judges").items()}


if __name__ == "__main__":
    typer.run(main)

"""The cost of forking: a beam of 4 x 4 against best-of-16, without verifiers.

Both have 16 rows at a time; the beam rearranges their caches every half second. Times are per row-step. The table
is in docs/results/benchmarks.md.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Annotated

import typer

from examples.benchmarks import sections
from llasa_search import SearchResult, Voice
from llasa_search.llasa.model import Llasa
from llasa_search.search import Searcher

TEXT = "The captain found a silver coin near the lake, and nobody asked him why."
STRATEGIES = {
    "best of 16": "best_of_n:n=16",
    "beam 4 x 4": "beam:width=4,expand=4,prefix_verifiers=lm_likelihood",
}
LIMIT = 2.0


def main(
    repeats: int = 7,
    model: str = "tiny",
    page: Annotated[Path, typer.Option(help="Where the table goes.")] = sections.BENCHMARKS,
) -> None:
    """Runs both alternately, and writes the section."""
    llasa, voice = Llasa.from_pretrained(model), Voice.builtin("slt")
    searchers = {name: Searcher(llasa, "lm_likelihood", strategy) for name, strategy in STRATEGIES.items()}
    results: dict[str, list[SearchResult]] = {name: [] for name in STRATEGIES}
    for turn in range(repeats + 1):
        for name, searcher in searchers.items():
            result = searcher.generate(TEXT, voice, seed=turn)
            if turn:  # the first one warms up
                results[name].append(result)
    paces = {name: [_milliseconds(result) for result in found] for name, found in results.items()}
    ratios = [beam / plain for plain, beam in zip(*paces.values(), strict=True)]
    ratio = statistics.median(ratios)
    lines = ["| search | row-steps | prefills | ms per row-step, median (range) |", "|---|---|---|---|"]
    for name, found in results.items():
        steps = statistics.median(result.ledger.row_steps for result in found)
        prefills = max(result.ledger.prefills for result in found)
        spread = f"{statistics.median(paces[name]):.3f} ({min(paces[name]):.3f}-{max(paces[name]):.3f})"
        lines.append(f"| {name} | {steps:,.0f} | {prefills} | {spread} |")
    table = "\n".join(lines)
    outcome = "pass" if ratio <= LIMIT else "**fail**"
    text = f"""
## A beam's overhead

{sections.made_by()}

The table shows the time per row-step of prefill, sampling and codec, without verifiers;
{repeats} searches each, alternating.

{table}

- {outcome}: at equal row-steps the beam takes {ratio:.2f} ({min(ratios):.2f}-{max(ratios):.2f}) times as
  long, at most {LIMIT:g}
"""
    sections.write(page, "beam", text)
    typer.echo(text)


def _milliseconds(result: SearchResult) -> float:
    """Returns the milliseconds per row-step of everything except verifiers."""
    stages = result.ledger.stage_seconds
    return (
        1000
        * sum(stages.get(stage, 0.0) for stage in ("prefill", "decode", "codec"))
        / result.ledger.row_steps
    )


if __name__ == "__main__":
    typer.run(main)

"""Measures the overhead of forking: a beam search of 4 x 4 rows against the best of 16, without verifiers.

Both step 16 rows at a time; the beam search reorders the key-value cache every half second. Times are per row-step. The
table is in docs/results/benchmarks.md.
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
    "beam search, 4 x 4": "beam:width=4,expand=4,prefix_verifiers=lm_likelihood",
}
MAX_RATIO = 2.0


def main(
    repeats: Annotated[int, typer.Option(help="Number of searches of each kind.")] = 7,
    model: Annotated[str, typer.Option(help="Language model: an id or a folder.")] = "tiny",
    page: Annotated[Path, typer.Option(help="Markdown page to write the table to.")] = sections.BENCHMARKS,
) -> None:
    """Run both searches alternately and write the section of the page."""
    llasa, voice = Llasa.from_pretrained(model), Voice.builtin("slt")
    searchers = {name: Searcher(llasa, "lm_likelihood", strategy) for name, strategy in STRATEGIES.items()}
    results: dict[str, list[SearchResult]] = {name: [] for name in STRATEGIES}
    for turn in range(repeats + 1):
        for name, searcher in searchers.items():
            result = searcher.generate(TEXT, voice, seed=turn)
            if turn:  # the first search is a warm-up
                results[name].append(result)
    times = {name: [_milliseconds(result) for result in found] for name, found in results.items()}
    ratios = [beam / best_of_n for best_of_n, beam in zip(*times.values(), strict=True)]
    ratio = statistics.median(ratios)
    lines = ["| search | row-steps | prefills | ms per row-step, median (range) |", "|---|---|---|---|"]
    for name, found in results.items():
        steps = statistics.median(result.ledger.row_steps for result in found)
        prefills = max(result.ledger.prefills for result in found)
        spread = f"{statistics.median(times[name]):.3f} ({min(times[name]):.3f}-{max(times[name]):.3f})"
        lines.append(f"| {name} | {steps:,.0f} | {prefills} | {spread} |")
    table = "\n".join(lines)
    outcome = "pass" if ratio <= MAX_RATIO else "**fail**"
    text = f"""
## Overhead of beam search

{sections.made_by()}

The table shows the time per row-step of prefill, sampling and codec, without verifiers, over {repeats} searches of each
kind, which alternate.

{table}

- {outcome}: beam search takes {ratio:.2f} ({min(ratios):.2f}-{max(ratios):.2f}) times as long per row-step
  (required: at most {MAX_RATIO:g})
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

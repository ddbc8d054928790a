"""Measures the time of complete commands and writes a table to docs/results/benchmarks.md."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from examples.benchmarks import sections

PYTHON = Path(sys.executable)
PROGRAM = str(PYTHON.with_name("llasa-search"))
SAY = ["say", "The captain found a silver coin near the lake.", "-n", "16", "-o", "hello.wav"]
COMMANDS = {
    "`import llasa_search`": ([str(PYTHON), "-c", "import llasa_search"], 0.3),
    "`llasa-search --help`": ([PROGRAM, "--help"], 0.6),
    "`llasa-search say` with 16 candidates": ([PROGRAM, *SAY], 25.0),
}
"""The commands, each with its limit in seconds."""


def main(
    repeats: Annotated[int, typer.Option(help="Number of runs of each command.")] = 5,
    page: Annotated[Path, typer.Option(help="Markdown page to write the table to.")] = sections.BENCHMARKS,
) -> None:
    """Run the commands alternately in an empty folder and write the section of the page."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with TemporaryDirectory() as folder:
        for _ in range(repeats):
            for name, (command, _) in COMMANDS.items():
                started = time.perf_counter()
                subprocess.run(command, cwd=folder, check=True, capture_output=True)
                seconds[name].append(time.perf_counter() - started)
    lines = ["| command | seconds, median (range) | limit | result |", "|---|---|---|---|"]
    for name, (_, limit) in COMMANDS.items():
        median = statistics.median(seconds[name])
        spread = f"{median:.2f} ({min(seconds[name]):.2f}-{max(seconds[name]):.2f})"
        lines.append(f"| {name} | {spread} | {limit:g} | {'pass' if median <= limit else '**fail**'} |")
    text = f"""
## Commands

{sections.made_by()}

The table shows how long complete processes take with the embedded model, including loading, over {repeats} runs
of each.

""" + "\n".join(lines)
    sections.write(page, "commands", text)
    typer.echo(text)


if __name__ == "__main__":
    typer.run(main)

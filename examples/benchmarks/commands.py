"""Times whole commands; the table goes into docs/results/benchmarks.md."""

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
    repeats: int = 5, page: Annotated[Path, typer.Option(help="Where the table goes.")] = sections.BENCHMARKS
) -> None:
    """Runs the commands alternately, in an empty folder, and writes the section."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with TemporaryDirectory() as folder:
        for _ in range(repeats):
            for name, (command, _) in COMMANDS.items():
                started = time.perf_counter()
                subprocess.run(command, cwd=folder, check=True, capture_output=True)
                taken[name].append(time.perf_counter() - started)
    lines = ["| command | seconds, median (range) | limit | |", "|---|---|---|---|"]
    for name, (_, limit) in COMMANDS.items():
        median = statistics.median(taken[name])
        spread = f"{median:.2f} ({min(taken[name]):.2f}-{max(taken[name]):.2f})"
        lines.append(f"| {name} | {spread} | {limit:g} | {'pass' if median <= limit else '**fail**'} |")
    text = f"""
## Commands

{sections.made_by()}

The table shows how long whole processes take with the embedded model, loading included; {repeats} runs each.

""" + "\n".join(lines)
    sections.write(page, "commands", text)
    typer.echo(text)


if __name__ == "__main__":
    typer.run(main)

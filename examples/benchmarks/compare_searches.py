"""Checks that two checkouts have the same search results: codes, scores, rewards, choices and costs.

    python -m examples.benchmarks.compare_searches path/to/other/checkout

Every strategy runs with three seeds, with and without a voice prompt. Both checkouts use the current Python
environment. Times are not compared.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[2]
TEXT = "The captain found a silver coin."
LONG = "The captain found a silver coin near the lake. Nine boats left the harbour before the rain."
STRATEGIES = (
    "best_of_n:n=4",
    "best_of_n:n=4,stop_at=wer<=0.2",
    "beam_short:prefix_verifiers=ctc",
    "beam:width=2,expand=2,prefix_seconds=0.5,prefix_verifiers=wer",
    "dvts:width=4,expand=2",
    "particle:n=4",
    "rejection:n=6",
    "in_context_steps:n=2",
)
SEEDS = (0, 1, 2)
ROUNDING = 1e-4
"""Of log-probabilities, scores and rewards: the order in which a sum is computed changes their last digits."""
VOICES = (None, "slt:sad")
VERIFIERS = {
    None: "0.6 * wer + 0.4 * ctc + 0 * likelihood",
    "slt:sad": "Harmonic(wer, speaker).given(pace <= 0)",
}
PREFIX = {None: "0.6 * wer + 0.4 * ctc", "slt:sad": "speaker"}


def searches() -> list[dict[str, Any]]:
    """Runs every search with the checkout that Python imports, and returns the results."""
    from llasa_search import Budget, search

    found = []
    for strategy, voice, seed in product(STRATEGIES, VOICES, SEEDS):
        result = search.generate(
            LONG if strategy.startswith("in_context") else TEXT,
            voice,
            verifiers=VERIFIERS[voice],
            strategy=strategy,
            budget=Budget(tokens=4000),
            seed=seed,
        )
        ledger = result.ledger
        found.append(
            {
                "search": [strategy, voice, seed],
                "best": result.best.index,
                "stopped_by": result.stopped_by,
                "counts": [ledger.prefills, ledger.prefill_tokens, ledger.row_steps, ledger.finished],
                "calls": ledger.verifier_calls,
                "flops": ledger.flops,
                "candidates": [
                    {
                        "index": each.index,
                        "codes": each.codes.tolist(),
                        "logprobs": each.logprobs.tolist(),
                        "reward": each.reward,
                        "scores": {name: [s.value, s.status] for name, s in each.scores.items()},
                    }
                    for each in result.candidates
                ],
            }
        )
        print(strategy, voice, seed, file=sys.stderr)
    return found


def run(checkout: Path) -> list[dict[str, Any]]:
    """Runs the searches of one checkout in a separate process and returns the results."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    command = [sys.executable, str(Path(__file__).resolve()), "--dump"]
    done = subprocess.run(
        command, cwd=checkout, env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(one: Any, two: Any, where: str = "") -> tuple[set[str], float]:
    """Returns the names of the fields that differ in anything but a float, and the largest difference of two floats."""
    if isinstance(one, float) and isinstance(two, float):
        return set(), 0.0 if one == two or (math.isnan(one) and math.isnan(two)) else abs(one - two)
    if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        parts = [compare(one[name], two[name], name) for name in one]
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        parts = [compare(first, second, where) for first, second in zip(one, two, strict=True)]
    else:
        return (set() if one == two else {where}), 0.0
    return set().union(*(names for names, _ in parts)), max((gap for _, gap in parts), default=0.0)


def main(other: Path) -> int:
    """Compares both checkouts; the exit code is 1 if a result differs by more than rounding."""
    here, there = run(HERE), run(other.resolve())
    exact = rounded = 0
    for one, two in zip(here, there, strict=True):
        names, gap = compare(one, two)
        exact += not names and not gap
        rounded += not names and 0 < gap <= ROUNDING
        found = (
            f"differ in {', '.join(sorted(names))}"
            if names
            else f"numbers differ by {gap:.1g}"
            if gap
            else "same"
        )
        print(found, *one["search"])
    print(
        f"of {len(here)} searches, {exact} have the same results, and {rounded} more have the same codes, choice and "
        f"counts, and numbers within {ROUNDING:g}"
    )
    return int(exact + rounded < len(here))


if __name__ == "__main__":
    if sys.argv[1:] == ["--dump"]:
        print(json.dumps(searches()))
    elif len(sys.argv) == 2:
        sys.exit(main(Path(sys.argv[1])))
    else:
        sys.exit(__doc__)

"""Checks that two checkouts have the same search results: codes, scores, rewards, choices and costs.

    python -m examples.benchmarks.compare_searches path/to/other/checkout

Every strategy runs with three seeds, with and without a voice prompt. Both checkouts use the current Python
environment. Times are not compared.
"""

from __future__ import annotations

import json
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


def main(other: Path) -> int:
    """Compares both checkouts; the exit code is 1 if a result differs."""
    here, there = run(HERE), run(other.resolve())
    differing = 0
    for one, two in zip(here, there, strict=True):
        fields = [name for name in one if json.dumps(one[name]) != json.dumps(two[name])]
        differing += bool(fields)
        print("same" if not fields else f"differ in {', '.join(fields)}", *one["search"])
    print(f"{len(here) - differing} of {len(here)} searches have the same results")
    return min(1, differing)


if __name__ == "__main__":
    if sys.argv[1:] == ["--dump"]:
        print(json.dumps(searches()))
    elif len(sys.argv) == 2:
        sys.exit(main(Path(sys.argv[1])))
    else:
        sys.exit(__doc__)

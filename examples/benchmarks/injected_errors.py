"""Measures how often the judges and the verifier detect one error that is injected into a recording.

Word errors are injected into the text, which the same voice then reads. Truncation and silence are injected into
the audio. A recogniser flags a recording if its WER against the intended text is higher than for the recording
without an error (one more error is enough). A second recording of the same text, 3% slower, gives the rate of
false alarms.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from examples.benchmarks import material, sections, speaking
from examples.benchmarks.material import Item, items
from llasa_search.arrays import Audio
from llasa_search.study import Row as StudyRow
from llasa_search.study import Study, read_cases
from llasa_search.study.embedded_judges import pocketsphinx_judges
from llasa_search.verifiers import WER

CLEAN, SECOND = "no error", "no error, 3% slower"
KEPT = 0.75  # share of a recording that is kept when its end is removed
DURATION_RATIO = 1.03

Row = Mapping[str, Any]


def delete(words: list[str], rng: random.Random) -> list[str]:
    at = rng.randrange(len(words))
    return words[:at] + words[at + 1 :]


def repeat(words: list[str], rng: random.Random) -> list[str]:
    at = rng.randrange(len(words))
    return words[: at + 1] + words[at:]


def swap(words: list[str], rng: random.Random) -> list[str]:
    """Returns the words after swapping two different words."""
    pairs = [(i, j) for j in range(len(words)) for i in range(j) if words[i] != words[j]]
    i, j = rng.choice(pairs)
    changed = list(words)
    changed[i], changed[j] = words[j], words[i]
    return changed


def substitute(words: list[str], rng: random.Random) -> list[str]:
    """Returns the words after replacing one by a frequent word of similar length."""
    from examples.train_tiny.words import trainable

    at = rng.randrange(len(words))
    others = [w for w in trainable() if w != words[at] and abs(len(w) - len(words[at])) < 2]
    return [*words[:at], rng.choice(others), *words[at + 1 :]]


CHANGES: dict[str, Callable[[list[str], random.Random], list[str]]] = {
    "deleted word": delete,
    "repeated word": repeat,
    "swapped words": swap,
    "substituted word": substitute,
}
ERRORS = (*CHANGES, "truncated", "silence")


def recorded(item: Item) -> dict[str, Audio]:
    """Returns two recordings of a text without an error, and one with each error: float32 [samples] at 16 kHz."""
    rng, words = random.Random(f"planted in {item.id}"), item.spoken.split()
    clean = material.record(item.spoken, item.voice, item.style)
    second = material.record(item.spoken, item.voice, item.style, DURATION_RATIO)
    audios = {CLEAN: clean, SECOND: second}
    for kind, change in CHANGES.items():
        audios[kind] = material.record(" ".join(change(words, rng)), item.voice, item.style)
    return {**audios, "truncated": clean[: int(KEPT * len(clean))], "silence": np.zeros_like(clean)}


def main(
    sets: Annotated[str, typer.Option(help="Evaluation sets, comma-separated.")] = "standard,hard",
    limit: Annotated[int, typer.Option(help="Number of texts of each set.")] = 50,
    processes: Annotated[int, typer.Option(help="Number of single-threaded processes.")] = 2,
    model: Annotated[str, typer.Option(help="Language model whose codec is used.")] = "tiny",
    asr: Annotated[str, typer.Option(help="Recogniser of the WER verifier.")] = "tiny",
    folder: Annotated[Path, typer.Option(help="Folder for all output.")] = Path("work-judging"),
    page: Annotated[Path, typer.Option(help="Markdown page to write the tables to.")] = sections.BENCHMARKS,
) -> None:
    """Measure the detection of injected errors; write `injected_errors.jsonl` and the section of the page."""
    judges = {**pocketsphinx_judges(folder), "asr": WER(asr)}
    study = Study(folder / "study", judges, model=model, processes=processes)
    group = [item for name in sets.split(",") for item in items(name, limit)]
    recordings = speaking.recordings(group, recorded, model, folder / "injected", processes)
    cases = {case.id: case for name in sets.split(",") for case in read_cases(name, limit)}
    wavs = {f"{each.item.id} {each.channel} {each.kind}": each.wav for each in recordings}
    with_errors = [replace(cases[name.split(" ")[0]], id=name) for name in wavs]
    rows = [flat for row in study.recorded("injected", with_errors, wavs) for flat in flattened(row)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "injected_errors.jsonl").write_text(lines, encoding="utf-8")
    text = section(rows)
    sections.write(page, "injected-errors", text)
    typer.echo(text)


def flattened(row: StudyRow) -> list[dict[str, Any]]:
    """Returns each recogniser's transcript and WER of a recording."""
    text, channel, kind = row["case"].split(" ", 2)
    about = {"id": text, "channel": channel, "error": kind}
    return [
        {
            **about,
            "recogniser": name,
            "transcript": record["detail"],
            "wer": record["edits"] / record["length"],
        }
        for name, record in row["judges"].items()
    ]


def section(rows: Sequence[Row]) -> str:
    """Returns the section on injected errors."""
    return f"""
## Injected errors

{sections.made_by()}

The tables show how often each recogniser detects an injected error. Each of {len({row["id"] for row in rows})} texts
is recorded without an error and with one error: a word is deleted, repeated, swapped with another word of the text or
replaced by another word; the last quarter is removed; or the recording is silent. The columns "codec" are for the
recordings after the codec. `asr` is the verifier of a search; `unigram` and `bigram` are the judges. Each cell is the
share of recordings that are flagged, with its 95% Wilson interval.

The first table flags a recording if its WER is higher than without the error. Its first row is the rate of false
alarms, on a recording of the same text that is 3% slower.

{_table(rows, (SECOND, *ERRORS), above_clean=True)}

The second table flags a recording if its WER is above 0. Its first row is the rate of false alarms, on recordings
without an error.

{_table(rows, (CLEAN, *ERRORS), above_clean=False)}
"""


def _table(rows: Sequence[Row], kinds: Sequence[str], above_clean: bool) -> str:
    rates: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in rows:
        of_column = rates.setdefault((row["recogniser"], row["channel"]), {})
        of_column.setdefault(row["error"], []).append(row["wer"])
    lines = ["| flagged | " + " | ".join(map(", ".join, rates)) + " |", "|---" * (len(rates) + 1) + "|"]
    for kind in kinds:
        cells = []
        for found in rates.values():
            bounds = found[CLEAN] if above_clean else [0.0] * len(found[CLEAN])
            cells.append(_share([rate > bound for rate, bound in zip(found[kind], bounds, strict=True)]))
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _share(flags: Sequence[bool]) -> str:
    from scipy.stats import binomtest

    interval = binomtest(sum(flags), len(flags)).proportion_ci(method="wilson")
    return f"{sum(flags) / len(flags):.2f} [{interval.low:.2f}, {interval.high:.2f}]"


if __name__ == "__main__":
    sections.run(main)

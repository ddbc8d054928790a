"""How often judges and verifier detect errors: recordings with one planted error each, and intact ones.

Words are changed in the text and spoken by the same voice; the end is cut, or silence made, in the audio. A
recogniser flags a recording if its WER against the intended text is above that on the intact recording (one
more error is enough). The same text spoken again, 3% slower, shows how often that is a false alarm.
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

INTACT, AGAIN = "intact", "intact, again"
KEPT = 0.75  # of the recording whose end is cut
PACE = 1.03

Row = Mapping[str, Any]


def drop(words: list[str], rng: random.Random) -> list[str]:
    at = rng.randrange(len(words))
    return words[:at] + words[at + 1 :]


def repeat(words: list[str], rng: random.Random) -> list[str]:
    at = rng.randrange(len(words))
    return words[: at + 1] + words[at:]


def exchange(words: list[str], rng: random.Random) -> list[str]:
    """Returns the words with two different ones exchanged."""
    pairs = [(i, j) for j in range(len(words)) for i in range(j) if words[i] != words[j]]
    i, j = rng.choice(pairs)
    changed = list(words)
    changed[i], changed[j] = words[j], words[i]
    return changed


def substitute(words: list[str], rng: random.Random) -> list[str]:
    """Returns the words with one replaced by a frequent word of about the same length."""
    from examples.train_tiny.words import trainable

    at = rng.randrange(len(words))
    others = [w for w in trainable() if w != words[at] and abs(len(w) - len(words[at])) < 2]
    return [*words[:at], rng.choice(others), *words[at + 1 :]]


CHANGES: dict[str, Callable[[list[str], random.Random], list[str]]] = {
    "dropped": drop,
    "repeated": repeat,
    "exchanged": exchange,
    "replaced": substitute,
}
ERRORS = (*CHANGES, "end cut", "silence")


def recorded(item: Item) -> dict[str, Audio]:
    """Returns the intact recording of a text, a second take, and one with each error: float32 [samples] at 16 kHz."""
    rng, words = random.Random(f"planted in {item.id}"), item.spoken.split()
    intact = material.record(item.spoken, item.voice, item.style)
    made = {INTACT: intact, AGAIN: material.record(item.spoken, item.voice, item.style, PACE)}
    for kind, change in CHANGES.items():
        made[kind] = material.record(" ".join(change(words, rng)), item.voice, item.style)
    return {**made, "end cut": intact[: int(KEPT * len(intact))], "silence": np.zeros_like(intact)}


def main(
    sets: Annotated[str, typer.Option(help="Evaluation sets, comma-separated.")] = "standard,hard",
    limit: Annotated[int, typer.Option(help="Texts of each set.")] = 50,
    processes: Annotated[int, typer.Option(help="Of one thread each.")] = 2,
    model: Annotated[str, typer.Option(help="Whose codec.")] = "tiny",
    asr: Annotated[str, typer.Option(help="The model of the WER verifier.")] = "tiny",
    folder: Annotated[Path, typer.Option(help="For all that is made.")] = Path("work-judging"),
    page: Annotated[Path, typer.Option(help="Where the tables go.")] = sections.BENCHMARKS,
) -> None:
    """Writes `planted.jsonl` to the folder, and the tables to a Markdown page."""
    judges = {**pocketsphinx_judges(folder), "asr": WER(asr)}
    study = Study(folder / "study", judges, model=model, processes=processes)
    group = [item for name in sets.split(",") for item in items(name, limit)]
    made = speaking.recordings(group, recorded, model, folder / "planted", processes)
    cases = {case.id: case for name in sets.split(",") for case in read_cases(name, limit)}
    wavs = {f"{each.item.id} {each.channel} {each.kind}": each.wav for each in made}
    planted = [replace(cases[name.split(" ")[0]], id=name) for name in wavs]
    rows = [flat for row in study.recorded("planted", planted, wavs) for flat in flattened(row)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "planted.jsonl").write_text(lines, encoding="utf-8")
    text = section(rows)
    sections.write(page, "planted", text)
    typer.echo(text)


def flattened(row: StudyRow) -> list[dict[str, Any]]:
    """Returns the transcript and WER of a recording by each recogniser."""
    text, channel, kind = row["case"].split(" ", 2)
    about = {"id": text, "channel": channel, "planted": kind}
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
    """Returns the section on planted errors."""
    return f"""
## Planted errors

{sections.made_by()}

The tables show how often each recogniser detects a planted error. {len({row["id"] for row in rows})} texts, each
recorded intact and with one error: a word dropped, repeated,
exchanged with another of the text, or replaced by another; the last quarter cut off; silence. "codec" is the
same after the codec. `asr` is the verifier that a search uses; `unigram` and `bigram` are the judges.
Each cell is the share of recordings flagged, with its 95% Wilson interval.

WER above that of the intact recording (first line, false alarms: the same text spoken 3% slower):

{_table(rows, (AGAIN, *ERRORS), above_intact=True)}

WER above 0 (first line, false alarms: intact recordings):

{_table(rows, (INTACT, *ERRORS), above_intact=False)}
"""


def _table(rows: Sequence[Row], kinds: Sequence[str], above_intact: bool) -> str:
    rates: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in rows:
        of_column = rates.setdefault((row["recogniser"], row["channel"]), {})
        of_column.setdefault(row["planted"], []).append(row["wer"])
    lines = ["| flagged | " + " | ".join(map(", ".join, rates)) + " |", "|---" * (len(rates) + 1) + "|"]
    for kind in kinds:
        cells = []
        for found in rates.values():
            least = found[INTACT] if above_intact else [0.0] * len(found[INTACT])
            cells.append(_share([rate > floor for rate, floor in zip(found[kind], least, strict=True)]))
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _share(flags: Sequence[bool]) -> str:
    from scipy.stats import binomtest

    interval = binomtest(sum(flags), len(flags)).proportion_ci(method="wilson")
    return f"{sum(flags) / len(flags):.2f} [{interval.low:.2f}, {interval.high:.2f}]"


if __name__ == "__main__":
    sections.run(main)

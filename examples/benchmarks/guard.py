"""What the guard against loops and silence ends: good recordings, and samples of the embedded model.

    python -m examples.benchmarks.guard

Good recordings are made by the synthesiser behind the training speech. The thresholds were chosen on one set; the
other set has other speakers. Some recordings have several sentences with pauses, background noise, or texts that
repeat themselves. The guard must not end any of them.

Rows of the embedded model are sampled without the guard, which is then applied to their codes. It decides by
nothing else, so it would have ended the same rows there. Ending a row is right if the whole row is bad: pocketsphinx
finds half of its words wrong, or it lasts more than twice as long as the text usually takes. Needs `flite` and the
extra `judges`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from examples.benchmarks import sections
from examples.benchmarks.speaking import load_codec_of
from llasa_search.arrays import Audio
from llasa_search.budget import BudgetTracker
from llasa_search.candidate import Utterance
from llasa_search.generation.guard import CHECK_TOKENS, SECONDS, repeated_shares, why_ended
from llasa_search.generation.sampler import Sampler
from llasa_search.llasa.codec import Codec
from llasa_search.llasa.model import Llasa
from llasa_search.sampling import Sampling
from llasa_search.study import Case, read_cases
from llasa_search.study.embedded_judges import pocketsphinx_judges
from llasa_search.voice import Prompt

SAMPLE_RATE = 16_000
ROWS = 8
"""Rows sampled of each text with each setting."""

SETTINGS: dict[str, dict[str, Any]] = {
    "temperature 0.6": {"temperature": 0.6},
    "temperature 0.8": {"temperature": 0.8},
    "temperature 1.0": {"temperature": 1.0},
    "temperature 1.2": {"temperature": 1.2},
    "top_k 2": {"top_k": 2},
    "temperature 0.3": {"temperature": 0.3},
    "top_p 0.5": {"top_p": 0.5},
    "temperature 0.6, top_k 5": {"temperature": 0.6, "top_k": 5},
}
BAD_WER = 0.5
TOO_LONG = 2.0
"""Times the expected duration."""

SETS = {"thresholds": "training", "count": "held out"}
"""Sets of recordings, and whose voices they have."""

REPEATED = (
    "no",
    "ha",
    "very",
    "five",
    "never",
    "go",
    "row",
    "the boat",
    "knock",
    "seven nine",
    "la",
    "tick tock",
)
"""Words that a text may repeat 2 to 12 times."""


@dataclass(frozen=True)
class Recording:
    """A good recording: its text, what is special about it ("" if nothing), and its codes."""

    text: str
    kind: str
    codes: list[int]


def recordings(name: str, count: int, model: str, folder: Path) -> list[Recording]:
    """Returns the first `count` recordings of a set; those that are in `folder` are not made again."""
    path = folder / f"recordings-{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    with path.open("a", encoding="utf-8") as file:
        for number in range(len(lines), count):
            text, kind, audio = recorded(random.Random(f"{name} {number}"), SETS[name])
            made = Recording(text, kind, load_codec_of(model).encode(audio).tolist())
            lines.append(json.dumps(asdict(made)))
            file.write(lines[-1] + "\n")
            file.flush()
    return [Recording(**json.loads(line)) for line in islice(lines, count)]


def recorded(rng: random.Random, population: str) -> tuple[str, str, Audio]:
    """Returns a random text, what is special about its recording, and the recording: float32 [samples] at 16 kHz."""
    from examples.train_tiny import speech, texts

    speaker = rng.choice(speech.POPULATIONS[population].speakers)
    style, strength = rng.choice(list(speech.STYLES)), rng.uniform(*speech.STRENGTHS)
    how = speech.Delivery(speaker, style, strength, rng.uniform(0.9, 1.15), rng.uniform(0.95, 1.05))
    kind = rng.choices(("", "noise", "pauses", "repeated words"), (60, 15, 15, 10))[0]
    if kind == "repeated words":
        text = rng.choice((" ", ", ")).join([rng.choice(REPEATED)] * rng.randint(2, 12))
        return text, kind, speech.speak(text, how)
    said = [texts.training_text(rng).text for _ in range(rng.randint(2, 3) if kind == "pauses" else 1)]
    audio = [speech.speak(each, how) for each in said]
    pauses = [np.zeros(int(rng.uniform(0.2, 1.8) * SAMPLE_RATE), np.float32) for _ in said[1:]]
    whole = np.concatenate(
        [part for pair in zip(audio, [*pauses, audio[0][:0]], strict=True) for part in pair]
    )
    if kind == "noise":
        noise = np.random.default_rng(rng.getrandbits(32)).standard_normal(len(whole))
        whole = whole + 10 ** rng.uniform(-4, -2.3) * noise
    return " ".join(said), kind, whole.astype(np.float32)


@dataclass(frozen=True)
class Row:
    """A row of the embedded model: its setting, text, expected frames, why it ended, and its codes."""

    setting: str
    text: str
    expected: int
    finish: str
    codes: list[int]


def sampled(setting: str, case: Case, llasa: Llasa) -> list[Row]:
    """Samples `ROWS` rows of a text without the guard."""
    sampling = Sampling(**SETTINGS[setting], guard=False)
    sampler = Sampler(llasa, Prompt(case.text, "en", case.voice), sampling, 0, BudgetTracker())
    _, finished = sampler.extend(sampler.start(ROWS))
    return [
        Row(setting, case.spoken, sampler.expected, each.finish_reason, each.codes.tolist())
        for each in finished
    ]


def samples(texts: int, settings: Sequence[str], llasa: Llasa, folder: Path) -> list[Row]:
    """Returns the rows of so many texts with each setting; those that are in `folder` are not sampled again."""
    cases = [*read_cases("hard", texts - texts // 2), *read_cases("standard", max(1, texts // 2))][:texts]
    rows: list[Row] = []
    for setting in settings:
        for case in cases:
            path = folder / "rows" / f"{setting}, {case.id}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                made = [asdict(row) for row in sampled(setting, case, llasa)]
                path.write_text(json.dumps(made), encoding="utf-8")
            rows += [Row(**each) for each in json.loads(path.read_text(encoding="utf-8"))]
    return rows


def ended(codes: Sequence[int], codec: Codec) -> tuple[int, str] | None:
    """Returns the length at which the guard would end a row, and why; None if it would not."""

    def decode(row: NDArray[np.int32]) -> Audio:
        return codec.decode([row])[0]

    for length in range(CHECK_TOKENS, len(codes), CHECK_TOKENS):
        so_far = np.array([codes[:length]], np.int32)
        if found := why_ended(so_far, decode, codec):
            return length, found[0]
    return None


def most_repeated(codes: Sequence[int], codec: Codec) -> tuple[float, float]:
    """Returns the largest shares that the guard finds in a recording: of changing codes, and of held ones."""
    first = CHECK_TOKENS * ceil(SECONDS * codec.frame_rate / CHECK_TOKENS)
    ends = (np.array([codes[:length]], np.int32) for length in range(first, len(codes), CHECK_TOKENS))
    shares = [repeated_shares(end, codec.frame_rate) for end in ends]
    return max((float(each.changing[0]) for each in shares), default=0.0), max(
        (float(each.held[0]) for each in shares), default=0.0
    )


def is_bad(row: Row, codec: Codec, wer: Callable[[Utterance], float]) -> bool:
    """Whether a whole row is bad by its duration or by the judge."""
    if len(row.codes) > TOO_LONG * row.expected:
        return True
    audio = codec.decode([np.array(row.codes, np.int32)])[0]
    return wer(Utterance(row.text, "en", audio, codec.sample_rate)) >= BAD_WER


def main(
    tuned: Annotated[int, typer.Option(help="Recordings by which the thresholds were chosen.")] = 1000,
    counted: Annotated[int, typer.Option(help="Other recordings.")] = 3000,
    texts: Annotated[int, typer.Option(help="Texts that the model speaks.")] = 16,
    settings: Annotated[str, typer.Option(help="Sampling settings, separated by semicolons.")] = ";".join(
        SETTINGS
    ),
    model: Annotated[str, typer.Option(help="The model, and whose codec.")] = "tiny",
    folder: Annotated[Path, typer.Option(help="For all that is made.")] = Path("work-guard"),
    page: Annotated[Path, typer.Option(help="Where the tables go.")] = sections.RESULTS / "guard.md",
) -> None:
    """Writes the tables to a Markdown page."""
    llasa, judge = Llasa.from_pretrained(model), pocketsphinx_judges(folder)["bigram"]
    judge.load()
    sizes = {"thresholds": tuned, "count": counted}
    good = {name: recordings(name, count, model, folder) for name, count in sizes.items()}
    rows = samples(texts, settings.split(";"), llasa, folder)
    text = f"""
## Good recordings and sampled rows

{sections.made_by()}

Good recordings that the guard would end, and the largest share of repeated codes in one of them: of codes that differ
from the one before (the guard ends a row at 0.75), and of all codes, pauses included (0.9).

{recordings_table(good, llasa.codec)}

Rows of the embedded model, {ROWS} for each of {texts} texts. "Right" are ended rows that are bad as a whole.

{rows_table(rows, llasa.codec, lambda utterance: judge.score([utterance])[0].value)}
"""
    sections.write(page, "guard", text)
    typer.echo(text)


def recordings_table(good: dict[str, list[Recording]], codec: Codec) -> str:
    """Returns the table of recordings, by set and kind."""
    lines = ["| set | kind | recordings | ended | changing codes | all codes |", "|---|---|---|---|---|---|"]
    for name, made in good.items():
        for kind in sorted({each.kind for each in made}):
            group = [each.codes for each in made if each.kind == kind]
            wrong = sum(ended(codes, codec) is not None for codes in group)
            changing, held = np.max([most_repeated(codes, codec) for codes in group], axis=0)
            lines.append(
                f"| {name} | {kind or 'plain'} | {len(group)} | {wrong} | {changing:.2f} | {held:.2f} |"
            )
    return "\n".join(lines)


def rows_table(rows: Iterable[Row], codec: Codec, wer: Callable[[Utterance], float]) -> str:
    """Returns the table of sampled rows, by setting."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.setting, []).append(row)
    lines = [
        "| setting | rows | over twice as long | ended: loop | ended: silence | right | row-steps saved |",
        "|---|---|---|---|---|---|---|",
    ]
    for setting, group in groups.items():
        found = [(row, end) for row in group if (end := ended(row.codes, codec)) is not None]
        saved = sum(len(row.codes) - length for row, (length, _) in found)
        cells = (
            setting,
            len(group),
            sum(len(row.codes) > TOO_LONG * row.expected for row in group),
            sum(why == "loop" for _, (_, why) in found),
            sum(why == "silence" for _, (_, why) in found),
            sum(is_bad(row, codec, wer) for row, _ in found),
            f"{saved / sum(len(row.codes) for row in group):.1%}",
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sections.run(main)

"""Long texts: in-context steps, which are conditioned on the earlier ones, against independent chunks.

Both choose among n candidates per step, by the same reward and in the same voice; only the context of the language
model differs. Measured are the words, and how a step differs from the one before: in voice (Resemblyzer), pitch,
and loudness at the join.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import librosa
import numpy as np
import typer

from examples.benchmarks import sections
from examples.benchmarks.material import SAMPLE_RATE
from examples.train_tiny import texts
from llasa_search import Sampling, Searcher
from llasa_search.arrays import Audio
from llasa_search.candidate import Candidate, Utterance
from llasa_search.errors import InputError
from llasa_search.evaluation.statistics import Estimate, estimate
from llasa_search.generation.joining import joined, trimmed
from llasa_search.llasa.duration import typical_seconds
from llasa_search.strategies import BestOfN, InContextSteps
from llasa_search.study.embedded_judges import pocketsphinx_judges
from llasa_search.study.processes import run_jobs
from llasa_search.text.splitting import split
from llasa_search.verifiers import ResemblyzerSimilarity
from llasa_search.verifiers.pocketsphinx_wer import PocketsphinxWER
from llasa_search.voice import Voice

LETTERS = (300, 600)
MARGIN = 0.10  # by which the words may be worse
EDGE = 0.05  # seconds beside a join, or a place inside a step, whose loudness is compared
IN_CONTEXT, CHUNKS = "in context", "independent chunks"
JOINS, INSIDE = "loudness jump at joins, dB", "loudness jump inside steps, dB"
DRIFT = 8  # steps in the figure


@dataclass(frozen=True)
class Spoken:
    """The measurements of one text, spoken in one way.

    Attributes:
        text: its number.
        way: `IN_CONTEXT` or `CHUNKS`.
        row_steps: sampled tokens, all rows.
        edits: word errors of all steps, by judge.
        words: of all steps.
        cosines: Resemblyzer's, between neighbouring steps.
        pitch_jumps: between the median pitches of neighbouring steps, semitones.
        energy_joins: absolute difference in loudness across a join, dB.
        energy_inside: the same at random places inside of steps.
        to_voice: cosine of each step to the voice prompt.
    """

    text: int
    way: str
    row_steps: int
    edits: dict[str, int]
    words: int
    cosines: list[float]
    pitch_jumps: list[float]
    energy_joins: list[float]
    energy_inside: list[float]
    to_voice: list[float]


@dataclass(frozen=True)
class Job:
    """One text to speak, with the words of its sentences and the judges."""

    number: int
    written: str
    said: Mapping[str, str]
    n: int
    sampling: Sampling
    judges: Mapping[str, PocketsphinxWER]


def main(
    count: Annotated[int, typer.Option(help="Texts.")] = 24,
    n: Annotated[int, typer.Option("-n", help="Candidates per step.")] = 4,
    temperature: float = 0.8,
    top_p: float = 0.9,
    processes: Annotated[int, typer.Option(help="Of one thread each.")] = 2,
    folder: Annotated[Path, typer.Option(help="For all that is made.")] = Path("work-judging"),
    page: Annotated[Path, typer.Option(help="Where the tables go.")] = sections.BENCHMARKS,
) -> None:
    """Writes the section on long texts, its figure, and `long_texts.jsonl`."""
    sampling = Sampling(temperature=temperature, top_p=top_p)
    judges = pocketsphinx_judges(folder)
    jobs = [
        Job(number, written, said, n, sampling, judges)
        for number, (written, said) in enumerate(long_texts(count))
    ]
    spoken = [each for both in run_jobs(in_both_ways, jobs, "long texts", processes) for each in both]
    lines = "".join(json.dumps(asdict(each)) + "\n" for each in spoken)
    (folder / "long_texts.jsonl").write_text(lines, encoding="utf-8")
    drift(spoken, page.parent / "drift.png")
    text = section(spoken, count, n, sampling)
    sections.write(page, "long-texts", text)
    typer.echo(text)


def long_texts(count: int) -> list[tuple[str, dict[str, str]]]:
    """Returns texts of 300 to 600 letters, and the words of each sentence in them."""
    rng = random.Random("long texts")
    made: list[tuple[str, dict[str, str]]] = []
    while len(made) < count:
        wanted, chosen = rng.randint(*LETTERS), list[texts.Text]()
        while sum(len(each.text) + 1 for each in chosen) < wanted - 40:
            chosen.append(texts.sentence(rng))
        written = " ".join(each.text for each in chosen)
        if LETTERS[0] <= len(written) <= LETTERS[1]:
            made.append((written, {each.text: each.spoken for each in chosen}))
    return made


def in_both_ways(job: Job) -> list[Spoken]:
    """Speaks one text in context, and in independent chunks."""
    voice = Voice.builtin(Voice.builtins()[job.number % len(Voice.builtins())])
    in_context, chunk = searchers(job.n)
    llasa = chunk.load()
    whole = in_context.generate(job.written, voice, sampling=job.sampling, seed=job.number)
    steps, spent = [], 0
    for place, part in enumerate(split(job.written, typical_seconds)):
        result = chunk.generate(part.strip(), voice, sampling=job.sampling, seed=1000 * job.number + place)
        steps.append(trimmed(result.best, result.sample_rate))
        spent += result.ledger.row_steps
    apart = joined(job.written, steps)
    apart.audio = llasa.decode([apart.codes], llasa.voice_codes(voice))[0]
    return [
        measured(job, IN_CONTEXT, whole.best, voice, whole.ledger.row_steps),
        measured(job, CHUNKS, apart, voice, spent),
    ]


@cache
def searchers(n: int) -> tuple[Searcher, Searcher]:
    """Returns the searchers of whole texts and of chunks, with one model."""
    in_context = Searcher(strategy=InContextSteps(n))
    return in_context, Searcher(in_context.load(), strategy=BestOfN(n))


def measured(job: Job, way: str, speech: Candidate, voice: Voice, row_steps: int) -> Spoken:
    """Measures the steps of one text, whose codes were decoded together."""
    assert speech.audio is not None
    hop = len(speech.audio) // len(speech.codes)
    ends = np.cumsum([len(step.codes) for step in speech.history]) * hop
    audios = np.split(speech.audio, ends[:-1])
    edits, words = {}, 0
    for name, judge in job.judges.items():
        transcripts = judge.transcribe(audios, [SAMPLE_RATE] * len(audios), "en")
        pairs = zip(speech.history, transcripts, strict=True)
        errors = [judge.errors(_words_of(step.text, job.said), each) for step, each in pairs]
        edits[name], words = sum(e.total for e in errors), sum(e.words for e in errors)
    pitches = [_pitch(audio) for audio in audios]
    rng, edge = np.random.default_rng(job.number), round(EDGE * SAMPLE_RATE)
    return Spoken(
        text=job.number,
        way=way,
        row_steps=row_steps,
        edits=edits,
        words=words,
        cosines=[_cosine(b, a) for a, b in pairwise(audios)],
        pitch_jumps=[abs(b - a) for a, b in pairwise(pitches)],
        energy_joins=[_jump(a[-edge:], b[:edge]) for a, b in pairwise(audios)],
        energy_inside=[_inside(audio, rng, edge) for audio in audios],
        to_voice=[_cosine(audio, voice.audio) for audio in audios],
    )


def section(spoken: Sequence[Spoken], count: int, n: int, sampling: Sampling) -> str:
    """Returns the table, and whether each requirement is met."""
    ways = {way: [each for each in spoken if each.way == way] for way in (IN_CONTEXT, CHUNKS)}
    judges = list(spoken[0].edits)
    measures = {f"WER, {judge}": _rates(ways, judge) for judge in judges}
    measures |= {
        "cosine of neighbours": _means(ways, "cosines"),
        "pitch jump of neighbours, semitones": _means(ways, "pitch_jumps"),
        JOINS: _means(ways, "energy_joins"),
        INSIDE: _means(ways, "energy_inside"),
        "cosine to the voice prompt": _means(ways, "to_voice"),
    }
    lines = [f"| | {IN_CONTEXT} | {CHUNKS} | difference |", "|---|---|---|---|"]
    lines += [f"| {name} | {one} | {two} | {less} |" for name, (one, two, less) in measures.items()]
    spent = [np.mean([each.row_steps for each in group]) for group in ways.values()]
    joins, inside = (
        measures[JOINS][0],
        measures[INSIDE][0],
    )
    checks = [
        (f"WER by {judge} is at most {MARGIN:.0%} worse", _worse(ways, judge).high <= 0) for judge in judges
    ]
    checks += [
        ("neighbours have more similar voices", measures["cosine of neighbours"][2].low > 0),
        ("neighbours have more similar pitch", measures["pitch jump of neighbours, semitones"][2].high < 0),
        ("loudness jumps are not larger at joins than inside steps", joins.value <= inside.value),
    ]
    results = [f"- {'pass' if holds else '**fail**'}: {text}" for text, holds in checks]
    return f"""
## Long texts

{sections.made_by()}

The table compares in-context steps with independent chunks on {count} texts of {LETTERS[0]} to {LETTERS[1]}
letters, {n} candidates per step by the default reward, at
temperature {sampling.temperature:g}, top-p {sampling.top_p:g}; {spent[0]:,.0f} row-steps per text in context,
{spent[1]:,.0f} in chunks. Both use the same built-in voices. 95% bootstrap intervals over texts.

""" + "\n".join([*lines, "", *results, "", "![similarity to the voice prompt by step](drift.png)"])


def drift(spoken: Sequence[Spoken], path: Path) -> None:
    """Draws the similarity to the voice prompt, step by step."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panel = pyplot.subplots(figsize=(5.5, 3.6), layout="constrained")
    beside = 0.06  # so that the bars of one way do not hide the other's
    for way, colour, marker, aside in (
        (IN_CONTEXT, "#0072B2", "o", -beside),
        (CHUNKS, "#D55E00", "s", beside),
    ):
        rows = [each.to_voice for each in spoken if each.way == way]
        steps = range(1, 1 + min(DRIFT, max(map(len, rows))))
        by_step = [[row[i - 1] for row in rows if len(row) >= i] for i in steps]
        found = [estimate(lambda v, k: v / k, each, np.ones(len(each))) for each in by_step]
        middle = np.array([each.value for each in found])
        lengths = [middle - [each.low for each in found], [each.high for each in found] - middle]
        panel.errorbar(
            np.array(steps) + aside, middle, yerr=lengths, label=way, color=colour, marker=marker, capsize=2
        )
    panel.set(xlabel="step of the text", ylabel="Resemblyzer's cosine to the voice prompt")
    panel.grid(alpha=0.3)
    panel.legend(frameon=False)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


Ways = Mapping[str, Sequence[Spoken]]


def _rates(ways: Ways, judge: str) -> tuple[Estimate, Estimate, Estimate]:
    edits = [[each.edits[judge] for each in ways[way]] for way in (IN_CONTEXT, CHUNKS)]
    words = [[each.words for each in ways[way]] for way in (IN_CONTEXT, CHUNKS)]
    one, two = (estimate(lambda e, w: e / w, *pair) for pair in zip(edits, words, strict=True))
    return one, two, estimate(lambda a, v, b, w: a / v - b / w, edits[0], words[0], edits[1], words[1])


def _worse(ways: Ways, judge: str) -> Estimate:
    """Returns the WER in context minus that of chunks with the margin."""
    pairs = zip(ways[IN_CONTEXT], ways[CHUNKS], strict=True)
    rows = [(a.edits[judge], a.words, b.edits[judge], b.words) for a, b in pairs]
    return estimate(lambda a, v, b, w: a / v - (1 + MARGIN) * b / w, *zip(*rows, strict=True))


def _means(ways: Ways, name: str) -> tuple[Estimate, Estimate, Estimate]:
    values = [[getattr(each, name) for each in ways[way]] for way in (IN_CONTEXT, CHUNKS)]
    sums = [[float(np.nansum(row)) for row in rows] for rows in values]
    counts = [[int(np.isfinite(row).sum()) for row in rows] for rows in values]
    one, two = (estimate(lambda s, k: s / k, *pair) for pair in zip(sums, counts, strict=True))
    return one, two, estimate(lambda a, j, b, k: a / j - b / k, sums[0], counts[0], sums[1], counts[1])


def _words_of(step: str, said: Mapping[str, str]) -> str:
    """Returns the words of a step: of its sentences, or of the written text for a part of a sentence."""
    whole = [words for text, words in said.items() if text in step]
    return " ".join(whole) or texts.spoken(step)


def _cosine(audio: Audio, other: Audio) -> float:
    try:
        utterance = Utterance("", "en", audio, SAMPLE_RATE, voice=Voice(other, sample_rate=SAMPLE_RATE))
        return ResemblyzerSimilarity().score([utterance])[0].value
    except InputError:  # it finds no voice
        return float("nan")


def _pitch(audio: Audio) -> float:
    """Returns the median pitch in semitones above 100 Hz."""
    pitch = librosa.yin(np.pad(audio, (0, max(0, 2048 - len(audio)))), fmin=60, fmax=420, sr=SAMPLE_RATE)
    voiced = pitch[(pitch > 62) & (pitch < 410)]
    return float(12 * np.log2(np.median(voiced) / 100)) if len(voiced) else float("nan")


def _jump(before: Audio, after: Audio) -> float:
    """Returns the absolute difference in loudness, dB; anything below -60 dB counts as -60 dB."""
    low, high = (10 * np.log10(max(1e-6, float(np.mean(np.square(each))))) for each in (before, after))
    return abs(high - low)


def _inside(audio: Audio, rng: np.random.Generator, edge: int) -> float:
    """Returns the jump at a random place within a step."""
    if len(audio) < 4 * edge:
        return float("nan")
    place = int(rng.integers(edge, len(audio) - edge))
    return _jump(audio[place - edge : place], audio[place : place + edge])


if __name__ == "__main__":
    typer.run(main)

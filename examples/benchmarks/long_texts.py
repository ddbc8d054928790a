"""Compares two ways to synthesise long texts: in-context steps and independent chunks.

In-context steps are conditioned on the earlier steps. Both ways choose among n candidates per step by the same
reward and with the same voice prompt. The program measures the WER, and how each step differs from the step before in
voice (Resemblyzer), pitch and level.
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

CHARACTERS = (300, 600)
MARGIN = 0.10  # by which the WER may be higher
EDGE = 0.05  # seconds on each side of a join, or of a position inside a step, whose levels are compared
IN_CONTEXT, CHUNKS = "in-context steps", "independent chunks"
COSINE, PITCH = "cosine of adjacent steps", "pitch difference of adjacent steps, semitones"
JOINS, INSIDE = "level difference at joins, dB", "level difference inside steps, dB"
FIGURE_STEPS = 8


@dataclass(frozen=True)
class Measurement:
    """The measurements of one text, synthesised in one way.

    Attributes:
        text: number of the text.
        way: `IN_CONTEXT` or `CHUNKS`.
        row_steps: tokens sampled over all rows.
        edits: word errors in all steps, by judge.
        words: number of words in all steps.
        cosines: Resemblyzer's cosines of adjacent steps.
        pitch_differences: absolute differences between the median pitches of adjacent steps, in semitones.
        level_at_joins: absolute differences in level across a join, in dB.
        level_inside: the same at random positions inside steps.
        to_prompt: cosine of each step to the voice prompt.
    """

    text: int
    way: str
    row_steps: int
    edits: dict[str, int]
    words: int
    cosines: list[float]
    pitch_differences: list[float]
    level_at_joins: list[float]
    level_inside: list[float]
    to_prompt: list[float]


@dataclass(frozen=True)
class Job:
    """One text to synthesise, the spoken form of its sentences, and the judges."""

    number: int
    written: str
    spoken: Mapping[str, str]
    n: int
    sampling: Sampling
    judges: Mapping[str, PocketsphinxWER]


def main(
    count: Annotated[int, typer.Option(help="Number of texts.")] = 24,
    n: Annotated[int, typer.Option("-n", help="Number of candidates per step.")] = 4,
    temperature: float = 0.8,
    top_p: float = 0.9,
    processes: Annotated[int, typer.Option(help="Number of single-threaded processes.")] = 2,
    folder: Annotated[Path, typer.Option(help="Folder for all output.")] = Path("work-judging"),
    page: Annotated[Path, typer.Option(help="Markdown page to write the tables to.")] = sections.BENCHMARKS,
) -> None:
    """Compare both ways; write `long_texts.jsonl`, the figure and the section of the page."""
    sampling = Sampling(temperature=temperature, top_p=top_p)
    judges = pocketsphinx_judges(folder)
    jobs = [
        Job(number, written, spoken, n, sampling, judges)
        for number, (written, spoken) in enumerate(long_texts(count))
    ]
    results = run_jobs(measure_both_ways, jobs, "long texts", processes)
    measurements = [each for both in results for each in both]
    lines = "".join(json.dumps(asdict(each)) + "\n" for each in measurements)
    (folder / "long_texts.jsonl").write_text(lines, encoding="utf-8")
    draw_similarity(measurements, page.parent / "drift.png")
    text = section(measurements, count, n, sampling)
    sections.write(page, "long-texts", text)
    typer.echo(text)


def long_texts(count: int) -> list[tuple[str, dict[str, str]]]:
    """Returns texts of 300 to 600 characters, each with the spoken form of its sentences."""
    rng = random.Random("long texts")
    found: list[tuple[str, dict[str, str]]] = []
    while len(found) < count:
        length, chosen = rng.randint(*CHARACTERS), list[texts.Text]()
        while sum(len(each.text) + 1 for each in chosen) < length - 40:
            chosen.append(texts.sentence(rng))
        written = " ".join(each.text for each in chosen)
        if CHARACTERS[0] <= len(written) <= CHARACTERS[1]:
            found.append((written, {each.text: each.spoken for each in chosen}))
    return found


def measure_both_ways(job: Job) -> list[Measurement]:
    """Synthesises one text with in-context steps and with independent chunks, and measures both."""
    voice = Voice.builtin(Voice.builtins()[job.number % len(Voice.builtins())])
    in_context, chunk = searchers(job.n)
    llasa = chunk.load()
    whole = in_context.generate(job.written, voice, sampling=job.sampling, seed=job.number)
    steps, row_steps = [], 0
    for position, part in enumerate(split(job.written, typical_seconds)):
        result = chunk.generate(part.strip(), voice, sampling=job.sampling, seed=1000 * job.number + position)
        steps.append(trimmed(result.best, result.sample_rate))
        row_steps += result.ledger.row_steps
    chunks = joined(job.written, steps)
    chunks.audio = llasa.decode([chunks.codes], llasa.voice_codes(voice))[0]
    return [
        measure(job, IN_CONTEXT, whole.best, voice, whole.ledger.row_steps),
        measure(job, CHUNKS, chunks, voice, row_steps),
    ]


@cache
def searchers(n: int) -> tuple[Searcher, Searcher]:
    """Returns the searchers of whole texts and of chunks, with one model."""
    in_context = Searcher(strategy=InContextSteps(n))
    return in_context, Searcher(in_context.load(), strategy=BestOfN(n))


def measure(job: Job, way: str, speech: Candidate, voice: Voice, row_steps: int) -> Measurement:
    """Measures the steps of one text. Their codes were decoded together."""
    assert speech.audio is not None
    hop = len(speech.audio) // len(speech.codes)
    ends = np.cumsum([len(step.codes) for step in speech.history]) * hop
    audios = np.split(speech.audio, ends[:-1])
    edits, words = {}, 0
    for name, judge in job.judges.items():
        transcripts = judge.transcribe(audios, [SAMPLE_RATE] * len(audios), "en")
        pairs = zip(speech.history, transcripts, strict=True)
        errors = [judge.errors(_spoken_form(step.text, job.spoken), each) for step, each in pairs]
        edits[name], words = sum(e.total for e in errors), sum(e.words for e in errors)
    pitches = [_pitch(audio) for audio in audios]
    rng, edge = np.random.default_rng(job.number), round(EDGE * SAMPLE_RATE)
    return Measurement(
        text=job.number,
        way=way,
        row_steps=row_steps,
        edits=edits,
        words=words,
        cosines=[_cosine(b, a) for a, b in pairwise(audios)],
        pitch_differences=[abs(b - a) for a, b in pairwise(pitches)],
        level_at_joins=[_level_difference(a[-edge:], b[:edge]) for a, b in pairwise(audios)],
        level_inside=[_inside(audio, rng, edge) for audio in audios],
        to_prompt=[_cosine(audio, voice.audio) for audio in audios],
    )


def section(measurements: Sequence[Measurement], count: int, n: int, sampling: Sampling) -> str:
    """Returns the section with its table and requirements."""
    ways = {way: [each for each in measurements if each.way == way] for way in (IN_CONTEXT, CHUNKS)}
    judges = list(measurements[0].edits)
    measures = {f"WER ({judge})": _rates(ways, judge) for judge in judges}
    measures |= {
        COSINE: _means(ways, "cosines"),
        PITCH: _means(ways, "pitch_differences"),
        JOINS: _means(ways, "level_at_joins"),
        INSIDE: _means(ways, "level_inside"),
        "cosine to the voice prompt": _means(ways, "to_prompt"),
    }
    lines = [f"| | {IN_CONTEXT} | {CHUNKS} | difference |", "|---|---|---|---|"]
    lines += [f"| {name} | {one} | {two} | {less} |" for name, (one, two, less) in measures.items()]
    row_steps = [np.mean([each.row_steps for each in group]) for group in ways.values()]
    joins, inside = measures[JOINS][0], measures[INSIDE][0]
    higher = f"of in-context steps is at most {MARGIN:.0%} higher"
    checks = [(f"the WER ({judge}) {higher}", _excess(ways, judge).high <= 0) for judge in judges]
    checks += [
        ("adjacent steps have more similar voices", measures[COSINE][2].low > 0),
        ("adjacent steps have more similar pitches", measures[PITCH][2].high < 0),
        ("level differences are not larger at joins than inside steps", joins.value <= inside.value),
    ]
    results = [f"- {'pass' if holds else '**fail**'}: {text}" for text, holds in checks]
    return f"""
## Long texts

{sections.made_by()}

The table compares in-context steps with independent chunks on {count} texts of {CHARACTERS[0]} to {CHARACTERS[1]}
characters. Both ways use the same built-in voices, the default reward, and {n} candidates per step at temperature
{sampling.temperature:g} and top-p {sampling.top_p:g}. In-context steps take {row_steps[0]:,.0f} row-steps per text,
and independent chunks take {row_steps[1]:,.0f}. Intervals are 95% bootstrap intervals over texts.

""" + "\n".join([*lines, "", *results, "", "![Speaker similarity to the voice prompt by step](drift.png)"])


def draw_similarity(measurements: Sequence[Measurement], path: Path) -> None:
    """Draws the speaker similarity to the voice prompt by step."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panel = pyplot.subplots(figsize=(5.5, 3.6), layout="constrained")
    shift = 0.06  # so that the bars do not overlap
    for way, colour, marker, offset in (
        (IN_CONTEXT, "#0072B2", "o", -shift),
        (CHUNKS, "#D55E00", "s", shift),
    ):
        rows = [each.to_prompt for each in measurements if each.way == way]
        steps = range(1, 1 + min(FIGURE_STEPS, max(map(len, rows))))
        by_step = [[row[i - 1] for row in rows if len(row) >= i] for i in steps]
        found = [estimate(lambda v, k: v / k, each, np.ones(len(each))) for each in by_step]
        values = np.array([each.value for each in found])
        lengths = [values - [each.low for each in found], [each.high for each in found] - values]
        panel.errorbar(
            np.array(steps) + offset, values, yerr=lengths, label=way, color=colour, marker=marker, capsize=2
        )
    panel.set(xlabel="step of the text", ylabel="speaker similarity to the voice prompt")
    panel.grid(alpha=0.3)
    panel.legend(frameon=False)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


Ways = Mapping[str, Sequence[Measurement]]


def _rates(ways: Ways, judge: str) -> tuple[Estimate, Estimate, Estimate]:
    edits = [[each.edits[judge] for each in ways[way]] for way in (IN_CONTEXT, CHUNKS)]
    words = [[each.words for each in ways[way]] for way in (IN_CONTEXT, CHUNKS)]
    one, two = (estimate(lambda e, w: e / w, *pair) for pair in zip(edits, words, strict=True))
    return one, two, estimate(lambda a, v, b, w: a / v - b / w, edits[0], words[0], edits[1], words[1])


def _excess(ways: Ways, judge: str) -> Estimate:
    """Returns the WER of in-context steps minus that of chunks times (1 + `MARGIN`)."""
    pairs = zip(ways[IN_CONTEXT], ways[CHUNKS], strict=True)
    rows = [(a.edits[judge], a.words, b.edits[judge], b.words) for a, b in pairs]
    return estimate(lambda a, v, b, w: a / v - (1 + MARGIN) * b / w, *zip(*rows, strict=True))


def _means(ways: Ways, name: str) -> tuple[Estimate, Estimate, Estimate]:
    values = [[getattr(each, name) for each in ways[way]] for way in (IN_CONTEXT, CHUNKS)]
    sums = [[float(np.nansum(row)) for row in rows] for rows in values]
    counts = [[int(np.isfinite(row).sum()) for row in rows] for rows in values]
    one, two = (estimate(lambda s, k: s / k, *pair) for pair in zip(sums, counts, strict=True))
    return one, two, estimate(lambda a, j, b, k: a / j - b / k, sums[0], counts[0], sums[1], counts[1])


def _spoken_form(step: str, spoken: Mapping[str, str]) -> str:
    """Returns the spoken form of a step, which is one or more sentences or a part of a sentence."""
    whole = [words for text, words in spoken.items() if text in step]
    return " ".join(whole) or texts.spoken(step)


def _cosine(audio: Audio, other: Audio) -> float:
    try:
        utterance = Utterance("", "en", audio, SAMPLE_RATE, voice=Voice(other, sample_rate=SAMPLE_RATE))
        return ResemblyzerSimilarity().score([utterance])[0].value
    except InputError:  # the encoder finds no voice
        return float("nan")


def _pitch(audio: Audio) -> float:
    """Returns the median pitch in semitones above 100 Hz."""
    pitch = librosa.yin(np.pad(audio, (0, max(0, 2048 - len(audio)))), fmin=60, fmax=420, sr=SAMPLE_RATE)
    voiced = pitch[(pitch > 62) & (pitch < 410)]
    return float(12 * np.log2(np.median(voiced) / 100)) if len(voiced) else float("nan")


def _level_difference(before: Audio, after: Audio) -> float:
    """Returns the absolute difference in level in dB; levels below -60 dB count as -60 dB."""
    low, high = (10 * np.log10(max(1e-6, float(np.mean(np.square(each))))) for each in (before, after))
    return abs(high - low)


def _inside(audio: Audio, rng: np.random.Generator, edge: int) -> float:
    """Returns the level difference at a random position inside a step."""
    if len(audio) < 4 * edge:
        return float("nan")
    position = int(rng.integers(edge, len(audio) - edge))
    return _level_difference(audio[position - edge : position], audio[position : position + edge])


if __name__ == "__main__":
    typer.run(main)

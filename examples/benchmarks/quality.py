"""Measures the WER of original recordings, resynthesis, single samples and chosen candidates with two judges.

Every stage stores its results in the folder, so a killed run resumes. Temperature and top-p are those with the
lowest WER of single samples on the dev set; the other sets are evaluated once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer

from examples.benchmarks import sections, speaking, summary
from examples.benchmarks.material import CHANNELS, Item, items, record
from llasa_search import Sampling
from llasa_search.arrays import Audio
from llasa_search.study import Arm, Study, read_cases
from llasa_search.study.embedded_judges import N_GRAMS, pocketsphinx_judges
from llasa_search.study.plan import Row
from llasa_search.verifiers.pocketsphinx_wer import PocketsphinxWER

TEMPERATURES = (0.5, 0.6, 0.7, 0.8)
TOP_PS = (0.9, 1.0)
DEV_REWARD = "LanguageModelLikelihood()"  # costs nothing; on the dev set, single samples are compared
GRID_N = 4  # single samples per dev text and setting, whose mean WER is compared

Rates = Mapping[Sampling, Mapping[str, float]]


def main(
    sets: Annotated[str, typer.Option(help="Evaluation sets, comma-separated.")] = "standard,hard",
    limit: Annotated[int | None, typer.Option(help="Number of texts of each set; default: all.")] = None,
    n: Annotated[int, typer.Option("-n", help="Number of candidates per text.")] = 16,
    processes: Annotated[int, typer.Option(help="Number of single-threaded processes.")] = 2,
    model: Annotated[str, typer.Option(help="Language model, as in `llasa-search say --model`.")] = "tiny",
    asr: Annotated[str, typer.Option(help="Recogniser of both verifiers.")] = "tiny",
    folder: Annotated[Path, typer.Option(help="Folder for all output.")] = Path("work-judging"),
    page: Annotated[Path, typer.Option(help="Markdown page to write the tables to.")] = sections.BENCHMARKS,
) -> None:
    """Measure quality; write `quality.jsonl`, the section of the page, and a short table in the model card."""
    names = sets.split(",")
    judges = pocketsphinx_judges(folder)
    study = Study(folder / "study", judges, model=model, processes=processes)
    grid = [Sampling(temperature=t, top_p=p) for t, p in product(TEMPERATURES, TOP_PS)]
    rates = {
        sampling: pooled_rates(searched(study, "dev", limit, DEV_REWARD, sampling, GRID_N))
        for sampling in grid
    }
    reward = f"Lexicographic(WER({asr!r}), TranscriptLikelihood({asr!r}))"
    sampling = min(grid, key=lambda each: sum(rates[each].values()))

    rows: list[dict[str, Any]] = []
    for name in names:
        rows += recorded(study, name, limit, processes)
        rows += searched(study, name, limit, reward, sampling, n)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "quality.jsonl").write_text(lines, encoding="utf-8")
    how = f"temperature {sampling.temperature:g} and top-p {sampling.top_p:g}"
    about = f"The model {model!r} samples {n} candidates per text at {how}; the reward is `{reward}`"
    tables = [summary.Judged.of(rows, name, judge) for name in names for judge in N_GRAMS]
    text = section(tables, about, n, rates)
    sections.write(page, "quality", text)
    if page == sections.BENCHMARKS:
        sections.write(sections.CARD, "quality", summary.brief(tables, n))
    typer.echo(text)


def recorded(study: Study, name: str, limit: int | None, processes: int) -> list[dict[str, Any]]:
    """Returns the judges' scores of each text's original recording and of its resynthesis."""
    group, cases, folder = items(name, limit), read_cases(name, limit), study.folder.parent / "recordings"
    recordings = speaking.recordings(group, original, study.model, folder, processes)
    rows = []
    for channel in CHANNELS:
        wavs = {each.item.id: each.wav for each in recordings if each.channel == channel}
        rows += _flat(study, group, channel, study.recorded(channel, cases, wavs))
    return rows


def original(item: Item) -> dict[str, Audio]:
    """Returns the original recording of a text, in the voice and style of the model's prompt."""
    return {"original": record(item.text, item.voice, item.style)}


def searched(
    study: Study, name: str, limit: int | None, reward: str, sampling: Sampling, n: int
) -> list[dict[str, Any]]:
    """Returns every judged candidate of a search for each text of a set."""
    about = f"{n} at temperature {sampling.temperature:g}, top-p {sampling.top_p:g}"
    arm = Arm(about, f"best_of_n:n={n}", reward, sampling=sampling, pool=True)
    return _flat(study, items(name, limit), "candidate", study.rows(read_cases(name, limit), [arm]))


def _flat(study: Study, group: Sequence[Item], role: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Returns the rows with their texts, and each judge's error counts under its name."""
    by_id, flat = {item.id: item for item in group}, []
    for row in rows:
        item = by_id[row["case"]]
        transcripts = {judge: row["judges"][judge]["detail"] for judge, _ in study.judges}
        errors = {
            judge: {
                "transcript": transcripts[judge],
                **recogniser.errors(item.spoken, transcripts[judge])._asdict(),
            }
            for judge, recogniser in study.judges
            if isinstance(recogniser, PocketsphinxWER)
        }
        flat.append({**vars(item), **row, "set": item.set, "role": role, **errors})
    return flat


def pooled_rates(rows: Sequence[summary.Row]) -> dict[str, float]:
    """Returns the corpus WER over all samples, by judge."""
    return {
        judge: sum(sum(summary.errors_of(row, judge)) for row in rows)
        / sum(row[judge]["words"] for row in rows)
        for judge in N_GRAMS
    }


def section(tables: Sequence[summary.Judged], about: str, n: int, rates: Rates) -> str:
    """Returns the section on quality; `about` is a sentence about the search."""
    return f"""
## Quality

{sections.made_by()}

{about}.
The judge is pocketsphinx, which takes no part in the search, with a unigram and with a bigram language model of
generated training texts. All voices and styles occur; a fifth of the texts have no voice prompt. The values are corpus
word error rates relative to the spoken form of the text (words that sound alike count as equal), with 95% bootstrap
intervals over texts. The rows of the tables are:

- "original": recordings by the TTS system that made the training speech;
- "codec": the resynthesis of these recordings; "excess" means the WER minus that of the resynthesis;
- "single sample": the first candidate;
- "best by WER, then likelihood": the default reward, in which `TranscriptLikelihood`, the likelihood of the text given
  the speech, decides between candidates of equal WER;
- "best by WER" and "best by likelihood": one of these verifiers alone;
- "highest log-probability": the candidate with the highest mean log-probability per speech token;
- "oracle: unigram" and "oracle: bigram": the candidate with the fewest errors by this judge;
- "mean of all candidates".

The table shows the WER of single samples on the dev set ({GRID_N} per text) by the judges unigram / bigram:

{_grid(rates)}

""" + "\n\n".join(summary.markdown(each, n) for each in tables)


def _grid(rates: Rates) -> str:
    lines = ["| temperature | " + " | ".join(f"top-p {top_p:g}" for top_p in TOP_PS) + " |"]
    lines.append("|---" * (len(TOP_PS) + 1) + "|")
    for temperature in TEMPERATURES:
        row = [rate for sampling, rate in rates.items() if sampling.temperature == temperature]
        cells = [f"{rate['unigram']:.3f} / {rate['bigram']:.3f}" for rate in row]
        lines.append(f"| {temperature:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sections.run(main)

"""How good is the speech? Originals, resynthesis, plain samples, what a search chooses: under two judges.

Every stage keeps what it has made in the folder, and a killed run goes on where it was. Temperature and top-p
are those that are best for a single sample on the dev set; the other sets are then judged once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import listening
import sections
import speaking
import summary
import typer
from material import Item, items, record
from speaking import Setting

from llasa_search import SearchResult
from llasa_search.arrays import Audio

TEMPERATURES = (0.3, 0.5, 0.6, 0.7, 0.8, 1.0)
TOP_PS = (0.9, 1.0)
GRID_N = 4  # single samples a dev text and setting; their mean error is compared

Rates = Mapping[Setting, Mapping[str, float]]


def main(
    sets: Annotated[str, typer.Option(help="Evaluation sets, comma-separated.")] = "standard,hard",
    limit: Annotated[int | None, typer.Option(help="Texts of each set; all by default.")] = None,
    n: Annotated[int, typer.Option("-n", help="Candidates a text.")] = 16,
    processes: Annotated[int, typer.Option(help="Of one thread each.")] = 2,
    model: Annotated[str, typer.Option(help="As in `llasa-search say --model`.")] = "tiny",
    asr: Annotated[str, typer.Option(help="The model of the WER verifier.")] = "tiny",
    folder: Annotated[Path, typer.Option(help="For all that is made.")] = Path("work-judging"),
    page: Annotated[Path, typer.Option(help="Where the tables go.")] = sections.BENCHMARKS,
) -> None:
    """Writes `quality.jsonl` to the folder, and the tables to a Markdown page."""
    names = sets.split(",")
    grid = [
        Setting(model, asr, temperature, top_p, GRID_N)
        for temperature, top_p in product(TEMPERATURES, TOP_PS)
    ]
    dev = searched_rows(list(product(items("dev", limit), grid)), folder, processes)
    rates = {setting: single_rates(dev, setting) for setting in grid}
    setting = replace(min(grid, key=lambda each: sum(rates[each].values())), n=n)

    group = [item for name in names for item in items(name, limit)]
    rows = recorded_rows(group, model, folder, processes)
    rows += searched_rows([(item, setting) for item in group], folder, processes)
    lines = "".join(json.dumps(row) + "\n" for row in [*dev, *rows])
    (folder / "quality.jsonl").write_text(lines, encoding="utf-8")
    text = section(rows, names, setting, rates)
    sections.write(page, "quality", text)
    typer.echo(text)


def recorded_rows(group: Sequence[Item], model: str, folder: Path, processes: int) -> list[dict[str, Any]]:
    """The original recording of each text and its resynthesis, judged."""
    recordings = speaking.recordings(group, intact, model, folder / "recordings", processes)
    rows = [
        {**vars(each.item), "set": each.item.set, "role": each.channel, "wav": str(each.wav)}
        for each in recordings
    ]
    return _judged(rows, folder, processes)


def intact(item: Item) -> dict[str, Audio]:
    """The original recording of a text, in the voice and style that the model is prompted with."""
    return {"intact": record(item.text, item.voice, item.style)}


def searched_rows(
    wanted: Sequence[tuple[Item, Setting]], folder: Path, processes: int
) -> list[dict[str, Any]]:
    """Every candidate of each search, judged."""
    rows, runs = [], speaking.searches(wanted, folder / "searches", processes)
    for (item, setting), run in zip(wanted, runs, strict=True):
        for candidate in SearchResult.load_run(run).candidates:
            (score,) = candidate.scores.values()
            rows.append({
                **vars(item),
                "set": item.set,
                "role": "candidate",
                "wav": str(run / f"candidate_{candidate.index}.wav"),
                "temperature": setting.temperature,
                "top_p": setting.top_p,
                "index": candidate.index,
                "frames": len(candidate.codes),
                "finish": candidate.finish_reason,
                "mean_logprob": candidate.mean_logprob,
                "reward": candidate.reward,
                "asr": {"wer": score.value, "transcript": score.detail},
            })  # fmt: skip
    return _judged(rows, folder, processes)


def _judged(rows: list[dict[str, Any]], folder: Path, processes: int) -> list[dict[str, Any]]:
    """The rows, with each judge's transcript and the errors in it under the judge's name."""
    for judge in listening.judges(folder):
        wavs = [Path(row["wav"]) for row in rows]
        heard = listening.hear(judge, wavs, folder / "heard.jsonl", processes)
        for row, transcript in zip(rows, heard, strict=True):
            errors = judge.recogniser.errors(row["spoken"], transcript)
            row[judge.name] = {"transcript": transcript, **errors._asdict()}
    return rows


def single_rates(rows: Sequence[summary.Row], setting: Setting) -> dict[str, float]:
    """Corpus WER of all of a setting's samples, by judge."""
    mine = [row for row in rows if (row["temperature"], row["top_p"]) == (setting.temperature, setting.top_p)]
    return {
        judge: sum(sum(summary.errors_of(row, judge)) for row in mine)
        / sum(row[judge]["words"] for row in mine)
        for judge in listening.ORDERS
    }


def section(rows: Sequence[summary.Row], names: Sequence[str], setting: Setting, rates: Rates) -> str:
    """The whole quality section."""
    tables = [summary.Judged.of(rows, name, judge) for name in names for judge in listening.ORDERS]
    return f"""
## Quality

{sections.made_by()}

Model {setting.model!r}, {setting.n} candidates a text at temperature {setting.temperature:g}, top-p
{setting.top_p:g}, the best by `WER({setting.asr!r})` chosen. Judged by pocketsphinx, which takes no part in
the search, with a unigram and with a bigram language model over generated training texts. Voices and styles
are mixed; a fifth of the texts have no voice prompt. Corpus word error rates against the words as spoken
(words that sound alike count as the same), with 95 % bootstrap intervals over texts. "codec" is the
original's resynthesis; "excess" the errors beyond it; "likeliest" has the highest mean log-probability a
token; "oracle: unigram" the fewest errors under the unigram judge; "a random one" is the mean over all.

Single samples on the dev set ({GRID_N} a text), WER under unigram / bigram:

{_grid(rates)}

""" + "\n\n".join(summary.markdown(each, setting.n) for each in tables)


def _grid(rates: Rates) -> str:
    lines = ["| temperature | " + " | ".join(f"top-p {top_p:g}" for top_p in TOP_PS) + " |"]
    lines.append("|---" * (len(TOP_PS) + 1) + "|")
    for temperature in TEMPERATURES:
        row = [rate for setting, rate in rates.items() if setting.temperature == temperature]
        cells = [f"{rate['unigram']:.3f} / {rate['bigram']:.3f}" for rate in row]
        lines.append(f"| {temperature:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)

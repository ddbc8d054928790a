"""How good is the speech? Originals, resynthesis, plain samples, and what a search chooses, under two judges.

Every stage keeps what it has made in the folder, and a killed run goes on where it was. Temperature and top-p are
those that are best for a single sample on the dev set; the other sets are then judged once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import listening
import page
import speaking
import summary
import typer
from material import Item, items
from speaking import Setting

from llasa_search import SearchResult

TEMPERATURES = (0.3, 0.5, 0.6, 0.7, 0.8, 1.0)
TOP_PS = (0.9, 1.0)
GRID_N = 4  # single samples a dev text and setting; their mean error is compared


def main(
    sets: Annotated[str, typer.Option(help="Evaluation sets, comma-separated.")] = "standard,hard",
    limit: Annotated[int | None, typer.Option(help="Texts of each set; all by default.")] = None,
    n: Annotated[int, typer.Option("-n", help="Candidates a text.")] = 16,
    processes: Annotated[int, typer.Option(help="Of one thread each.")] = 2,
    model: Annotated[str, typer.Option(help="As in `llasa-search say --model`.")] = "tiny",
    asr: Annotated[str, typer.Option(help="The model of the WER verifier.")] = "tiny",
    folder: Annotated[Path, typer.Option(help="For all that is made.")] = Path("work-judging"),
) -> None:
    """Writes `quality.jsonl` to the folder and the quality section of docs/benchmarks.md."""
    names = sets.split(",")
    setting, grid = tune(items("dev", limit), Setting(model, asr, 0, 1, GRID_N), folder, processes)
    setting = Setting(model, asr, setting.temperature, setting.top_p, n)
    rows = [row for name in names for row in judged_rows(items(name, limit), setting, folder, processes)]
    text = "\n".join(json.dumps(row) for row in rows) + "\n"
    (folder / "quality.jsonl").write_text(text, encoding="utf-8")
    page.write_section("quality", section(rows, names, setting, grid))
    typer.echo(section(rows, names, setting, grid))


def tune(
    dev: Sequence[Item], base: Setting, folder: Path, processes: int
) -> tuple[Setting, dict[Setting, dict[str, float]]]:
    """The setting that is best for N = 1, and every setting's corpus WER on the dev set by judge."""
    grid: dict[Setting, dict[str, float]] = {}
    for temperature, top_p in product(TEMPERATURES, TOP_PS):
        setting = Setting(base.model, base.asr, temperature, top_p, base.n)
        rows = list(_candidates(dev, setting, folder, processes))
        _judge(rows, folder, processes)
        grid[setting] = {
            name: sum(sum(summary.errors_of(row, name)) for row in rows) / sum(row[name]["words"] for row in rows)
            for name in listening.ORDERS
        }
    return min(grid, key=lambda setting: sum(grid[setting].values())), grid


def judged_rows(group: Sequence[Item], setting: Setting, folder: Path, processes: int) -> list[dict[str, Any]]:
    """One row for each recording of each text, with what each judge heard."""
    pairs = speaking.recordings(group, setting.model, folder, processes)
    rows = [
        {**_about(item), "role": role, "wav": str(wav)}
        for item in group
        for role, wav in zip(("original", "resynthesis"), pairs[item.id], strict=True)
    ]
    rows += _candidates(group, setting, folder, processes)
    _judge(rows, folder, processes)
    return rows


def _about(item: Item) -> dict[str, Any]:
    return {"id": item.id, "set": item.set, "kind": item.kind, "spoken": item.spoken, "voice": item.voice,
            "style": item.style, "prompted": item.prompted}  # fmt: skip


def _candidates(group: Sequence[Item], setting: Setting, folder: Path, processes: int) -> Iterator[dict[str, Any]]:
    runs = speaking.searches(group, setting, folder, processes)
    for item in group:
        result = SearchResult.load_run(runs[item.id])
        for candidate in result.candidates:
            (score,) = candidate.scores.values()
            yield {**_about(item), "role": "candidate", "wav": str(runs[item.id] / f"candidate_{candidate.index}.wav"),
                   "index": candidate.index, "frames": len(candidate.codes), "finish": candidate.finish_reason,
                   "mean_logprob": candidate.mean_logprob, "reward": candidate.reward, "asr_wer": score.value,
                   "asr": score.detail}  # fmt: skip


def _judge(rows: Sequence[dict[str, Any]], folder: Path, processes: int) -> None:
    """Adds to each row, under each judge's name, its transcript and the errors in it."""
    for judge in listening.judges(folder):
        wavs = [Path(row["wav"]) for row in rows]
        heard = listening.hear(judge, wavs, folder / "heard.jsonl", processes)
        for row, transcript in zip(rows, heard, strict=True):
            errors = judge.recogniser.errors(row["spoken"], transcript)
            row[judge.name] = {"transcript": transcript, **errors._asdict()}


def section(
    rows: Sequence[summary.Row], names: Sequence[str], setting: Setting, grid: dict[Setting, dict[str, float]]
) -> str:
    """The whole quality section, from the rows alone."""
    packages = ("llasa-search", "pocketsphinx", "openai-whisper", "torch", "transformers")
    lines = [
        "## Quality",
        "",
        f"Made by `{page.command()}` ({page.versions(packages)}).",
        "",
        f"Model {setting.model!r}, {setting.n} candidates a text at temperature {setting.temperature:g}, top-p "
        f"{setting.top_p:g}, chosen by WER({setting.asr!r}). Judged by pocketsphinx, which takes no part in the search, "
        "with a unigram and a bigram language model over generated training texts. Voices and styles are mixed; a "
        "fifth of the texts have no voice prompt. Corpus word error rates against the words as spoken (words that "
        "sound alike count as the same), with 95 % bootstrap intervals over texts. `oracle: unigram` is the candidate "
        "with the fewest errors under the unigram judge, and so on; `likeliest` has the highest mean log-probability "
        "a token. Excess: errors beyond those of the resynthesis.",
        "",
        f"Single samples on the dev set ({GRID_N} a text), WER under unigram / bigram:",
        "",
        "| temperature | " + " | ".join(f"top-p {top_p:g}" for top_p in TOP_PS) + " |",
        "|---" * (len(TOP_PS) + 1) + "|",
    ]
    for temperature in TEMPERATURES:
        cells = [f"{wer['unigram']:.3f} / {wer['bigram']:.3f}" for each, wer in grid.items() if each.temperature == temperature]
        lines.append(f"| {temperature:g} | " + " | ".join(cells) + " |")
    tables = [summary.Judged.of(rows, name, judge) for name in names for judge in listening.ORDERS]
    return "\n".join([*lines, "", *(summary.markdown(each, setting.n) + "\n" for each in tables)])


if __name__ == "__main__":
    typer.run(main)

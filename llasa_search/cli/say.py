"""`llasa-search say`: searches with a progress bar, writes the speech, prints the candidates."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from llasa_search import search
from llasa_search.budget import Budget
from llasa_search.cli.options import Codec, Model, Verifiers
from llasa_search.errors import InputError
from llasa_search.request import as_voice
from llasa_search.result import Progress, SearchResult
from llasa_search.sampling import Sampling
from llasa_search.storage.files import check_new_folder, check_wav
from llasa_search.storage.run_folder import run_to_json
from llasa_search.verifiers.specification import DEFAULT_REWARD, parse_options
from llasa_search.voice import Voice

STAGE_LABELS = {"decode": "sampling", "verify": "scoring"}
"""How a stage is printed whose stored name differs."""


def say(
    text: Annotated[str, typer.Argument(help="What to say.")],
    prompt: Annotated[
        str | None,
        typer.Option(help="The voice: an audio file, or a built-in voice such as slt or slt:sad."),
    ] = None,
    prompt_text: Annotated[str | None, typer.Option(help="The transcript of the prompt recording.")] = None,
    model: Model = "tiny",
    codec: Codec = None,
    verifier: Verifiers = None,
    strategy: Annotated[
        str, typer.Option(help="How to search, such as best_of_n or best_of_n:stop_at=wer<=0.")
    ] = "best_of_n",
    n: Annotated[int | None, typer.Option("-n", help="Stop after this many finished candidates.")] = None,
    budget_seconds: Annotated[
        float | None, typer.Option(help="Stop after this many seconds; loading does not count.")
    ] = None,
    budget_tokens: Annotated[
        int | None, typer.Option(help="Stop after this many sampled speech tokens, over all rows.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Sampling temperature; 0 is greedy.")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Sample from the most probable tokens whose sum reaches this.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same speech.")] = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="The wav file to write.")] = Path("out.wav"),
    save_run: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write every candidate to this new folder.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON instead of a table.")
    ] = False,
) -> None:
    """Say TEXT and write the best candidate to a wav file."""
    _check_outputs(out, save_run, prompt)
    if n is not None and n < 1:
        raise InputError(f"-n {n}: ask for 1 candidate or more")
    sampling: dict[str, Any] = {"temperature": temperature, "top_p": top_p}
    with _progress_bar(n) as progress:
        result = search.generate(
            text,
            _voice(prompt, prompt_text),
            verifiers=parse_options(verifier or [DEFAULT_REWARD]),
            strategy=strategy,
            budget=Budget(n, budget_tokens, seconds=budget_seconds),
            model=model,
            codec=codec,
            sampling=Sampling(**{name: value for name, value in sampling.items() if value is not None}),
            seed=seed,
            progress=progress,
        )
    result.save(out)
    if save_run is not None:
        result.save_run(save_run)
    if as_json:
        print(json.dumps(run_to_json(result, result.best.index), ensure_ascii=False))
    else:
        print(_report(result, out))


def _check_outputs(out: Path, save_run: Path | None, prompt: str | None) -> None:
    """Refuses paths that cannot be written, before anything is searched."""
    check_wav(out)
    if prompt and Path(prompt).resolve() == out.resolve():
        raise InputError(f"--out {out} is the prompt's own recording: give another file")
    if save_run is not None:
        check_new_folder(save_run)
        if save_run.resolve() in (out.resolve(), *out.resolve().parents):
            raise InputError(f"--save-run {save_run} must be a new folder, and {out} lies there")


def _voice(prompt: str | None, prompt_text: str | None) -> Voice | None:
    if prompt_text is not None and prompt is None:
        raise InputError("--prompt-text without --prompt: give the recording that it is the transcript of")
    if prompt_text is not None and not prompt_text.strip():
        raise InputError("--prompt-text is empty: give the transcript of the prompt, or leave it out")
    return as_voice(prompt, prompt_text)


def _report(result: SearchResult, out: Path) -> str:
    stages = result.ledger.stage_seconds.items()
    seconds = ", ".join(f"{STAGE_LABELS.get(stage, stage)} {spent:.1f} s" for stage, spent in stages)
    early = result.stopped_by not in (None, "candidates")
    stopped = f"; stopped by {result.stopped_by}" if early else ""
    chosen = f"candidate {result.best.index}, the best of {len(result.candidates)}"
    return f"{result.table()}\n{out}: {chosen} ({seconds}{stopped})"


@contextmanager
def _progress_bar(total: int | None) -> Iterator[Callable[[Progress], None]]:
    """Shows a progress bar on stderr if that is a terminal; yields the function that updates it."""
    from tqdm import tqdm

    count = "{n_fmt}" if total is None else "{n_fmt} of {total_fmt}"
    bar_format = count + " candidates |{bar:20}| {postfix}"
    with tqdm(total=total, bar_format=bar_format, file=sys.stderr, disable=not sys.stderr.isatty()) as bar:

        def show(progress: Progress) -> None:
            bar.n = progress.finished
            best = ""
            if progress.best is not None:
                name, score = next(iter(progress.best.scores.items()))
                best = f", best {name} {score.value:.3f}"
            bar.set_postfix_str(f"{progress.scored} scored{best}, {progress.seconds:.1f} s", refresh=True)

        yield show

"""`llasa-search say`: searches with a progress bar, writes the speech, prints the candidates."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from llasa_search import search
from llasa_search.cli.options import (
    AsJson,
    BudgetSeconds,
    BudgetTokens,
    Candidates,
    CheckPrompt,
    Codec,
    Device,
    DType,
    Guard,
    Language,
    Model,
    Overwrite,
    PromptFormat,
    PromptText,
    RepetitionPenalty,
    SaveRun,
    Seed,
    Strategy,
    Temperature,
    TopK,
    TopP,
    Verifiers,
    VoicePrompt,
    given_budget,
    given_sampling,
    given_voice,
)
from llasa_search.cli.outputs import check_outputs, write_all
from llasa_search.cli.terminal import write, write_json
from llasa_search.cli.text_input import given_text
from llasa_search.result import Progress, SearchResult
from llasa_search.storage.run_folder import run_to_json
from llasa_search.text.language import describe
from llasa_search.verifiers.specification import parse_options

STAGE_LABELS = {"decode": "sampling", "verify": "scoring"}
"""Labels of stages that are printed under another name than the stored one."""


def say(
    text: Annotated[
        str | None, typer.Argument(help='What to say; "-" reads it from standard input.', show_default=False)
    ] = None,
    text_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read the text from this file, in UTF-8.")
    ] = None,
    language: Language = None,
    prompt: VoicePrompt = None,
    prompt_text: PromptText = None,
    check_prompt: CheckPrompt = True,
    model: Model = "tiny",
    codec: Codec = None,
    prompt_format: PromptFormat = "auto",
    device: Device = "auto",
    dtype: DType = "auto",
    verifier: Verifiers = None,
    strategy: Strategy = "best_of_n",
    n: Candidates = None,
    budget_seconds: BudgetSeconds = None,
    budget_tokens: BudgetTokens = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    top_k: TopK = None,
    repetition_penalty: RepetitionPenalty = None,
    guard: Guard = True,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="The wav file to write.")] = Path("out.wav"),
    save_run: SaveRun = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Say TEXT and write the best candidate to a wav file."""
    check_outputs(out, save_run, overwrite, prompt)
    with _progress_bar(n) as progress:
        result = search.generate(
            given_text(text, text_file),
            given_voice(prompt, prompt_text),
            language=language,
            verifiers=parse_options(verifier) if verifier else None,
            strategy=strategy,
            budget=given_budget(n, budget_tokens, budget_seconds),
            model=model,
            codec=codec,
            prompt_format=prompt_format,
            device=device,
            dtype=dtype,
            check_prompt=check_prompt,
            sampling=given_sampling(temperature, top_p, top_k, repetition_penalty, guard),
            seed=seed,
            progress=progress,
        )
    outputs: dict[str, Callable[[], object]] = {str(out): lambda: result.save(out)}
    if save_run is not None:
        outputs[str(save_run)] = lambda: result.save_run(save_run, overwrite=overwrite)
    if as_json:
        outputs["standard output"] = lambda: write_json(run_to_json(result, result.best.index))
    else:
        outputs["standard output"] = lambda: write(_report(result, out))
    write_all(outputs)


def _report(result: SearchResult, out: Path) -> str:
    stages = result.ledger.stage_seconds.items()
    seconds = ", ".join(f"{STAGE_LABELS.get(stage, stage)} {spent:.1f} s" for stage, spent in stages)
    early = result.stopped_by not in (None, "candidates")
    stopped = f"; stopped by {result.stopped_by}" if early else ""
    chosen = (
        f"candidate {result.best.index}, the best of {len(result.candidates)}; {describe(result.language)}"
    )
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

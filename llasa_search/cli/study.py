"""`llasa-search study`: measures quality against compute."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from llasa_search.cli.options import (
    Codec,
    Device,
    DType,
    Guard,
    Language,
    Model,
    PromptFormat,
    RepetitionPenalty,
    TopK,
    TopP,
    given_sampling,
)
from llasa_search.cli.terminal import write, write_error


def study(
    texts: Annotated[
        str, typer.Option(help="Texts: a built-in set, a meta.lst, JSON lines or a .txt file.")
    ] = "standard",
    dev: Annotated[str, typer.Option(help="Texts on which the temperature is chosen.")] = "dev",
    limit: Annotated[int | None, typer.Option(help="Number of texts of each set; default: all.")] = None,
    ns: Annotated[
        str, typer.Option(help="Values of N for best-of-N; the largest is the size of the pool.")
    ] = "1,2,4,8,16,32,64",
    verifiers: Annotated[str, typer.Option(help="Reward, as an expression.")] = "wer",
    strategy: Annotated[
        list[str] | None,
        typer.Option(help="Another strategy; {n} stands for each value of --ns. May be repeated."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Number of seeds of each other strategy.")] = 3,
    temperatures: Annotated[
        str, typer.Option(help="Temperatures to choose from, comma-separated.")
    ] = "0.4,0.6,0.8,1.0",
    top_p: TopP = 0.9,
    top_k: TopK = None,
    repetition_penalty: RepetitionPenalty = None,
    guard: Guard = True,
    language: Language = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(help="Judge, as NAME=VERIFIER; default: pocketsphinx and CTC. May be repeated."),
    ] = None,
    model: Model = "tiny",
    codec: Codec = None,
    prompt_format: PromptFormat = "auto",
    device: Device = "auto",
    dtype: DType = "auto",
    processes: Annotated[int, typer.Option(help="Number of single-threaded processes.")] = 2,
    folder: Annotated[Path, typer.Option(help="Folder for all output.")] = Path("work-ablation"),
    quick: Annotated[
        bool,
        typer.Option(
            help="Use a few texts and a small pool, which takes under four minutes; ignores --limit, --ns, "
            "--temperatures, --strategy and --seeds."
        ),
    ] = False,
) -> None:
    """Plot quality against compute for best-of-N and other strategies, and write a report."""
    from llasa_search.study.ablation import Ablation, named_judges, numbers, run

    ablation = Ablation(
        texts=texts,
        dev=dev,
        limit=limit,
        ns=numbers("--ns", ns, int, least=1),
        verifiers=verifiers,
        strategies=strategy or [],
        seeds=seeds,
        temperatures=numbers("--temperatures", temperatures, float, least=0),
        sampling=given_sampling(None, top_p, top_k, repetition_penalty, guard),
        language=language,
        judges=named_judges(judge or []),
        model=model,
        codec=codec,
        prompt_format=prompt_format,
        device=device,
        dtype=dtype,
        processes=processes,
        folder=folder,
        command=shlex.join(["llasa-search", *sys.argv[1:]]),
    )
    if quick:
        ablation = replace(
            ablation, limit=4, ns=(1, 2, 4), temperatures=(0.6,), strategies=("rejection:n=4",), seeds=1
        )
    try:
        write(run(ablation))
    except KeyboardInterrupt:
        write_error("interrupted: the same command continues from here")
        raise typer.Exit(130) from None

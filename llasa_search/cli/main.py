"""The command line: `llasa-search say`, `score`, `trace`, `check`, `voices`, `verifiers`, `strategies`."""

from __future__ import annotations

import sys
import warnings
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, TextIO

import typer

from llasa_search.errors import InputError, LlasaSearchError

app = typer.Typer(
    name="llasa-search",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Model = Annotated[str, typer.Option(help='"tiny", a hub id such as HKUSTAudio/Llasa-1B, or a local folder.')]
Codec = Annotated[str | None, typer.Option(help="The codec's id or folder, where it is not the model's own.")]

Verifiers = Annotated[
    list[str] | None, typer.Option(help="What to aim at, as NAME or NAME=WEIGHT; repeat it for a mix.")
]


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"llasa-search {version('llasa-search')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Make Llasa speak better by searching: sample candidates, score them with verifiers, keep the best."""


@app.command()
def say(
    text: Annotated[str, typer.Argument(help="What to say.")],
    prompt: Annotated[
        str | None,
        typer.Option(help="Whose voice: an audio file, or a built-in voice such as slt or slt:sad."),
    ] = None,
    prompt_text: Annotated[str | None, typer.Option(help="What the prompt recording says.")] = None,
    model: Model = "tiny",
    codec: Codec = None,
    verifier: Verifiers = None,
    strategy: Annotated[
        str, typer.Option(help="How to search, such as best_of_n or best_of_n:stop_at=wer<=0.")
    ] = ("best_of_n"),
    n: Annotated[int | None, typer.Option("-n", help="End once so many candidates have finished.")] = None,
    budget_seconds: Annotated[
        float | None, typer.Option(help="Seconds to spend at most, after loading.")
    ] = None,
    budget_tokens: Annotated[
        int | None, typer.Option(help="Speech tokens to sample at most, in all rows together.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Of sampling; 0 is greedy.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Share of probability to sample from.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same speech.")] = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="The wav file to write.")] = Path("out.wav"),
    save_run: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also keep every candidate in this new folder.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, not as a table.")] = False,
) -> None:
    """Say TEXT and write the best attempt to a wav file."""
    from llasa_search.cli.say import Request, speak

    given = {"temperature": temperature, "top_p": top_p}
    speak(
        Request(
            text=text,
            prompt=prompt,
            prompt_text=prompt_text,
            model=model,
            codec=codec,
            verifiers=verifier or [],
            strategy=strategy,
            candidates=n,
            seconds=budget_seconds,
            tokens=budget_tokens,
            sampling={name: value for name, value in given.items() if value is not None},
            seed=seed,
            out=out,
            run=save_run,
            json=json,
        )
    )


@app.command()
def score(
    manifest: Annotated[
        Path, typer.Argument(help="seed-tts-eval's meta.lst, or JSON lines in a file that ends in .jsonl.")
    ],
    wavs: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where the recordings lie, as <id>.wav; else the manifest names them."
        ),
    ] = None,
    verifier: Verifiers = None,
    protocol: Annotated[
        str | None, typer.Option(help='How every WER compares text: "whisper" or "seed-tts-eval".')
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="The folder to write, or to go on with.")
    ] = Path("scores"),
) -> None:
    """Score the recordings of a MANIFEST, from any synthesiser."""
    from llasa_search.cli import score as scoring
    from llasa_search.scoring.gate import gated
    from llasa_search.verifiers.specification import parse_options

    reward = parse_options(verifier or ["wer"])
    if protocol is not None:
        reward = scoring.with_protocol(reward, protocol)
    if not scoring.score(manifest, wavs, gated(reward), out):
        typer.echo("interrupted: the same command goes on from here", err=True)
        raise typer.Exit(130)


@app.command()
def trace(run: Annotated[Path, typer.Argument(help="A folder that --save-run has written.")]) -> None:
    """Draw the tree of a search: what went on, what was cut, and why."""
    from rich.console import Console

    from llasa_search.cli.trace import Drawing
    from llasa_search.result import SearchResult

    Console(highlight=False, width=_width()).print(Drawing(SearchResult.load_run(run)).tree())


@app.command()
def check(
    model: Model = "tiny",
    codec: Codec = None,
    device: Annotated[str, typer.Option(help='"auto", "cpu", "cuda", ...')] = "auto",
    dtype: Annotated[str, typer.Option(help='"auto", "float32", "bfloat16", ...')] = "auto",
) -> None:
    """Load a checkpoint and its codec, and try them."""
    from llasa_search.cli.check import check as run_checks
    from llasa_search.table import aligned

    results = run_checks(model, codec, device, dtype)
    typer.echo(aligned([["pass" if each.passed else "FAIL", each.name, each.detail] for each in results]))
    if not all(each.passed for each in results):
        raise typer.Exit(1)


@app.command()
def voices() -> None:
    """List the built-in voices and their styles."""
    from llasa_search.table import aligned
    from llasa_search.voice import Voice

    rows = [[name, ", ".join(Voice.styles(name))] for name in Voice.builtins()]
    typer.echo(aligned([["voice", "styles"], *rows]))


@app.command()
def verifiers() -> None:
    """List the verifiers, what they need, and whether that is installed."""
    from llasa_search.cli.listing import verifier_rows
    from llasa_search.table import aligned

    typer.echo(aligned(verifier_rows()))


@app.command()
def strategies() -> None:
    """List the strategies, what they do, and their settings with their defaults."""
    from rich.console import Console
    from rich.table import Table

    from llasa_search.cli.listing import strategy_rows

    heading, *rows = strategy_rows()
    table = Table(*heading, box=None, padding=(0, 2, 0, 0), header_style="")
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False, width=_width()).print(table)


def main() -> None:
    """Runs the command line: exit code 0, 1 for what failed, 2 for wrong use."""
    for stream in (sys.stdout, sys.stderr):  # a terminal of few letters shall not end a search that is done
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            app()
    except InputError as error:
        _fail(error, 2)
    except (LlasaSearchError, OSError) as error:  # such as a full disk
        _fail(error, 1)


def _width() -> int | None:
    """Of what rich prints: a terminal's own, within which it wraps; a file has lines whole."""
    return None if sys.stdout.isatty() else 10_000


def _fail(error: Exception, code: int) -> None:
    typer.echo(f"error: {' '.join(str(error).split())}", err=True)
    sys.exit(code)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if issubclass(category, UserWarning):
        typer.echo(f"warning: {message}", err=True)

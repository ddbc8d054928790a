"""What `llasa-search say` does: checks the request, searches with a progress bar, writes, reports."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llasa_search import search
from llasa_search.budget import Budget
from llasa_search.candidate import Candidate
from llasa_search.errors import InputError
from llasa_search.request import as_voice
from llasa_search.result import SearchResult
from llasa_search.sampling import Sampling
from llasa_search.storage.files import check_new_folder, check_wav
from llasa_search.storage.run_folder import as_json
from llasa_search.verifiers.specification import DEFAULT_REWARD, parse_options
from llasa_search.voice import Voice


@dataclass(frozen=True)
class Request:
    """What the command line asks for; see its help."""

    text: str
    prompt: str | None
    prompt_text: str | None
    model: str
    codec: str | None
    verifiers: list[str]
    strategy: str
    candidates: int | None
    seconds: float | None
    tokens: int | None
    sampling: dict[str, Any]
    seed: int
    out: Path
    run: Path | None
    json: bool


def speak(request: Request) -> None:
    """Searches, writes the speech, prints the candidates.

    Raises:
        LlasaSearchError: as `search.generate`; nothing has been written.
    """
    check_wav(request.out)
    if request.prompt and Path(request.prompt).resolve() == request.out.resolve():
        raise InputError(f"--out {request.out} is the prompt's own recording: give another file")
    if request.run is not None:
        check_new_folder(request.run)
        if request.run.resolve() in (request.out.resolve(), *request.out.resolve().parents):
            raise InputError(f"--save-run {request.run} is to be a new folder, and {request.out} lies there")
    if request.candidates is not None and request.candidates < 1:
        raise InputError(f"-n {request.candidates}: ask for 1 candidate or more")
    with _bar(request.candidates) as progress:
        result = search.generate(
            request.text,
            _voice(request),
            verifiers=parse_options(request.verifiers or [DEFAULT_REWARD]),
            strategy=request.strategy,
            budget=Budget(request.candidates, request.tokens, seconds=request.seconds),
            model=request.model,
            codec=request.codec,
            sampling=Sampling(**request.sampling),
            seed=request.seed,
            progress=progress,
        )
    result.save(request.out)
    if request.run is not None:
        result.save_run(request.run)
    print(json.dumps(as_json(result), ensure_ascii=False) if request.json else _report(result, request))


def _voice(request: Request) -> Voice | None:
    if request.prompt_text is not None and request.prompt is None:
        raise InputError("--prompt-text without --prompt: give the recording that it is the transcript of")
    if request.prompt_text is not None and not request.prompt_text.strip():
        raise InputError("--prompt-text is empty: give what the prompt says, or leave it out")
    return as_voice(request.prompt, request.prompt_text)


def _report(result: SearchResult, request: Request) -> str:
    ledger = result.ledger
    seconds = ", ".join(f"{stage} {spent:.1f} s" for stage, spent in ledger.stage_seconds.items())
    early = result.stopped_by not in (None, "candidates")
    stopped = f"; stopped by {result.stopped_by}" if early else ""
    chosen = f"candidate {result.best.index}, the best of {len(result.candidates)}"
    return f"{result.table()}\n{request.out}: {chosen} ({seconds}{stopped})"


@contextmanager
def _bar(total: int | None) -> Iterator[Callable[[search.Progress], None]]:
    """A progress bar on stderr, silent where that is no terminal."""
    from tqdm import tqdm

    count = "{n_fmt}" if total is None else "{n_fmt} of {total_fmt}"
    form = count + " candidates |{bar:20}| {postfix}"
    with tqdm(total=total, bar_format=form, file=sys.stderr, disable=not sys.stderr.isatty()) as bar:

        def show(progress: search.Progress) -> None:
            bar.n = progress.finished
            best = "" if progress.best is None else f", best {_first_value(progress.best)}"
            bar.set_postfix_str(f"{progress.heard} heard{best}, {progress.seconds:.1f} s", refresh=True)

        yield show


def _first_value(candidate: Candidate) -> str:
    """What its first verifier found."""
    name, score = next(iter(candidate.scores.items()))
    return f"{name} {score.value:.3f}"

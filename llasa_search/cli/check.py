"""`llasa-search check`: tests in several steps whether a checkpoint and its codec can be used."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
import typer

from llasa_search.arrays import Audio
from llasa_search.audio import resampled
from llasa_search.cli.options import AsJson, Codec, Device, DType, Model, PromptFormat
from llasa_search.cli.terminal import write, write_json
from llasa_search.errors import LlasaSearchError, format_error
from llasa_search.search import Searcher
from llasa_search.strategies import BestOfN
from llasa_search.table import terminal_width, text_table
from llasa_search.verifiers import WER
from llasa_search.voice import Voice

if TYPE_CHECKING:
    from llasa_search.llasa.model import Llasa

TEXT = "The quick brown fox jumps over the lazy dog."
CANDIDATES = 4
MIN_CORRELATION = 0.5
"""Least correlation of spectra before and after the codec: about 0 for noise, near 0.9 for a good codec."""


@dataclass(frozen=True)
class Check:
    """One step of the check.

    Attributes:
        name: of the step.
        passed: whether it worked.
        detail: what was found, or the error.
    """

    name: str
    passed: bool
    detail: str


def check(
    model: Model = "tiny",
    codec: Codec = None,
    prompt_format: PromptFormat = "auto",
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: AsJson = False,
) -> None:
    """Load a checkpoint and its codec, and try them."""
    checks = run_checks(model, codec, device, dtype, prompt_format)
    if as_json:
        write_json([vars(each) for each in checks])
    else:
        rows = [["pass" if each.passed else "FAIL", each.name, each.detail] for each in checks]
        write(text_table(rows, terminal_width()))
    if not all(each.passed for each in checks):
        raise typer.Exit(1)


def run_checks(
    model: str | PathLike[str] = "tiny",
    codec: str | PathLike[str] | None = None,
    device: str = "auto",
    dtype: str = "auto",
    prompt_format: str = "auto",
) -> list[Check]:
    """Checks the prompt format, loading, the codec and a short search, in this order, until one fails.

    It does not measure whether the speech is good.

    Args:
        model, codec, device, dtype, prompt_format: as for `Llasa.from_pretrained`.

    Returns:
        The steps that ran; if one failed, it is the last.

    Raises:
        InputError: there is no such model, codec, device, type or prompt format.
    """
    from llasa_search.checkpoints.loading import pick_device
    from llasa_search.llasa.choose_format import require_known
    from llasa_search.llasa.loading import find_model, pick_dtype

    codec = None if codec is None else str(codec)
    require_known(prompt_format)
    folder, _ = find_model(str(model), codec)
    pick_dtype(dtype, pick_device(device))
    return list(_run(str(model), codec, folder, device, dtype, prompt_format))


def _run(
    model: str, codec: str | None, folder: str, device: str, dtype: str, prompt_format: str
) -> Iterator[Check]:
    from llasa_search.llasa.model import Llasa

    packages = ("llasa-search", "torch", "transformers", "numpy")
    found = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)]
    yield Check("versions", True, ", ".join(found))
    loaded: list[Llasa] = []

    def load() -> str:
        llasa = Llasa.from_pretrained(
            model, codec=codec, device=device, dtype=dtype, prompt_format=prompt_format
        )
        loaded.append(llasa)
        return f"{llasa}: {len(llasa.language_model.layers)} layers, {llasa.language_model.outputs - 1} codes"

    steps: list[tuple[str, Callable[[], str]]] = [
        ("prompt format", lambda: _prompt_format(folder, prompt_format)),
        ("language model and codec", load),
        ("codec round trip", lambda: _round_trip(loaded[0])),
        ("short search", lambda: _short_search(loaded[0])),
    ]
    for name, step in steps:
        try:
            yield Check(name, True, step())
        except Exception as error:  # a third-party checkpoint can fail in any way
            detail = str(error) if isinstance(error, LlasaSearchError) else format_error(error)
            yield Check(name, False, detail)
            return


def _prompt_format(folder: str, given: str) -> str:
    """Finds the prompt format, and shows the prompt of a text."""
    from llasa_search.llasa.choose_format import choose_format
    from llasa_search.llasa.loading import load_tokenizer

    tokenizer = load_tokenizer(folder)
    name, form = choose_format(given, tokenizer, folder)
    ids = form.prompt_ids(TEXT, np.zeros(0, np.int32))
    unknown = form.unknown_characters(TEXT)
    if unknown:
        raise LlasaSearchError(f"the tokenizer cannot represent {unknown}")
    languages = ", ".join(sorted(form.languages))
    return (
        f"{name}: {form.codebook_size} codes, END is {form.end_id}, languages {languages}, a prompt of {len(ids)} "
        f"tokens: {tokenizer.decode(ids)!r}"
    )


def _round_trip(llasa: Llasa) -> str:
    """Encodes and decodes a recording, and compares the spectra before and after."""
    voice = Voice.builtin("slt")
    codes = llasa.voice_codes(voice)
    speech = llasa.decode([codes])[0]
    if len(speech) != len(codes) * llasa.codec.hop or not np.isfinite(speech).all():
        raise LlasaSearchError(
            f"{len(codes)} codes became {len(speech)} samples, or samples that are not finite"
        )
    found = f"{len(codes)} codes, {len(set(codes.tolist()))} of them different"
    correlation = _correlation(voice.audio, resampled(speech, llasa.sample_rate))
    if correlation < MIN_CORRELATION:
        raise LlasaSearchError(
            f"a decoded recording differs from the original: {found}, spectra correlate by "
            f"{correlation:.2f}. Are these the weights of a trained codec?"
        )
    return f"{found}, spectra correlate by {correlation:.2f}"


def _correlation(one: Audio, other: Audio) -> float:
    """Returns the correlation of two recordings' log-mel spectra; the mean of each band is subtracted."""
    import torch
    from whisper import log_mel_spectrogram

    length = min(len(one), len(other))
    mels = [log_mel_spectrogram(torch.tensor(audio[:length])).numpy() for audio in (one, other)]
    varying = [(mel - mel.mean(axis=1, keepdims=True)).ravel() for mel in mels]
    return float(np.nan_to_num(np.corrcoef(varying)[0, 1]))


def _short_search(llasa: Llasa) -> str:
    """Searches by word error rate; tests that candidates end, and not that the transcript is correct."""
    with warnings.catch_warnings(action="ignore"):  # WER() warns that it is trained on the embedded voices
        result = Searcher(llasa, WER(), BestOfN(CANDIDATES)).generate(TEXT)
    ended = sum(candidate.finish_reason == "stop" for candidate in result.candidates)
    if not ended:
        longest = max(len(candidate.codes) for candidate in result.candidates)
        raise LlasaSearchError(f"none of {CANDIDATES} candidates ended by itself within {longest} tokens")
    rate = result.ledger.row_steps / max(result.ledger.stage_seconds["decode"], 1e-9)
    seconds = len(result.best.codes) / llasa.frame_rate
    (transcript,) = (score.detail for score in result.best.scores.values())
    return (
        f"{ended} of {CANDIDATES} ended, {rate:.0f} tokens per second; the best lasts {seconds:.1f} s, "
        f"and the embedded recogniser transcribed {transcript!r}"
    )

"""Whether a checkpoint and its codec can be used: one thing after the other, so that what fails is named."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from os import PathLike

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.errors import LlasaSearchError
from llasa_search.llasa import loading
from llasa_search.llasa.model import Llasa
from llasa_search.llasa.prompt_format import PromptFormat
from llasa_search.search import Searcher
from llasa_search.strategies import BestOfN
from llasa_search.verifiers import WER
from llasa_search.voice import Voice

TEXT = "The quick brown fox jumps over the lazy dog."
ROWS = 4
ALIKE = 0.5
"""Least correlation of spectra before and after the codec: noise is at about 0, a good codec near .9."""


@dataclass(frozen=True)
class Check:
    """One thing that was tried.

    Attributes:
        name: what.
        passed: whether it worked.
        detail: what was found, or the error.
    """

    name: str
    passed: bool
    detail: str


def check(
    model: str | PathLike[str] = "tiny",
    codec: str | PathLike[str] | None = None,
    device: str = "auto",
    dtype: str = "auto",
) -> list[Check]:
    """Tries the prompt format, loading, the codec and a short search, in this order, until one fails.

    Whether the speech is good, it does not tell.

    Args:
        model, codec, device, dtype: as `Llasa.from_pretrained` takes them.

    Returns:
        What was tried; the last is the first failure, if there is one.

    Raises:
        InputError: there is no such model, codec, device or type.
    """
    codec = None if codec is None else str(codec)
    folder, _ = loading.find_model(str(model), codec)
    loading.pick_dtype(dtype, loading.pick_device(device))
    return list(_run(str(model), codec, folder, device, dtype))


def _run(model: str, codec: str | None, folder: str, device: str, dtype: str) -> Iterator[Check]:
    names = ("llasa-search", "torch", "transformers", "numpy")
    yield Check(
        "versions",
        True,
        ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in names)]),
    )
    found: dict[str, Llasa] = {}

    def load() -> str:
        found["llasa"] = Llasa.from_pretrained(model, codec=codec, device=device, dtype=dtype)
        language_model = found["llasa"].language_model
        return f"{found['llasa']}: {len(language_model.layers)} layers, {language_model.outputs - 1} codes"

    steps: list[tuple[str, Callable[[], str]]] = [
        ("markers and template", lambda: _prompt_format(folder)),
        ("language model and codec", load),
        ("codec round trip", lambda: _round_trip(found["llasa"])),
        ("short search", lambda: _short_search(found["llasa"])),
    ]
    for name, attempt in steps:
        try:
            yield Check(name, True, attempt())
        except Exception as error:  # whatever goes wrong in a foreign checkpoint is the finding
            said = str(error) if isinstance(error, LlasaSearchError) else f"{type(error).__name__}: {error}"
            yield Check(name, False, said)
            return


def _prompt_format(where: str) -> str:
    tokenizer = loading.load_tokenizer(where)
    form = PromptFormat(tokenizer)
    ids = form.ids(TEXT, np.arange(2, dtype=np.int32))
    spoken = tokenizer.convert_tokens_to_ids(["<|SPEECH_GENERATION_START|>", "<|s_0|>", "<|s_1|>"])
    if ids[-3:] != spoken:
        raise LlasaSearchError(
            f"the template does not leave the assistant's turn open: ids end in {ids[-3:]}"
        )
    unknown = form.unknown_characters(TEXT)
    if unknown:
        raise LlasaSearchError(f"the tokenizer cannot represent {unknown}")
    return f"{form.codebook_size} codes, END is {form.end_id}, a prompt of {len(ids)} tokens"


def _round_trip(llasa: Llasa) -> str:
    """Takes a recording through the codec, and compares what comes back."""
    recording = Voice.builtin("slt").audio
    codes = llasa.encode(recording)
    speech = llasa.decode([codes])[0]
    if len(speech) != len(codes) * llasa.codec.hop or not np.isfinite(speech).all():
        raise LlasaSearchError(f"{len(codes)} codes became {len(speech)} samples, or not finite ones")
    found = f"{len(codes)} codes, {len(set(codes.tolist()))} of them different"
    alike = _likeness(recording, speech)
    if alike < ALIKE:
        raise LlasaSearchError(
            f"a recording comes back as something else: {found}, spectra correlate by {alike:.2f}. "
            "Are these the weights of a trained codec?"
        )
    return f"{found}, spectra correlate by {alike:.2f}"


def _likeness(one: Audio, other: Audio) -> float:
    """Correlation of two recordings' log-mel spectra, each band less its mean."""
    import torch
    from whisper import log_mel_spectrogram

    length = min(len(one), len(other))
    mels = [log_mel_spectrogram(torch.tensor(audio[:length])).numpy() for audio in (one, other)]
    varying = [(mel - mel.mean(axis=1, keepdims=True)).ravel() for mel in mels]
    return float(np.nan_to_num(np.corrcoef(varying)[0, 1]))


def _short_search(llasa: Llasa) -> str:
    """A search by word error rate: that it runs and ends is what counts, not what the recogniser hears."""
    with warnings.catch_warnings(action="ignore"):  # that it knows the embedded voices only
        result = Searcher(llasa, WER(), BestOfN(ROWS)).generate(TEXT)
    ended = sum(candidate.finish_reason == "stop" for candidate in result.candidates)
    if not ended:
        longest = max(len(candidate.codes) for candidate in result.candidates)
        raise LlasaSearchError(f"none of {ROWS} candidates ended by itself within {longest} tokens")
    rate = result.ledger.row_steps / max(result.ledger.stage_seconds["decode"], 1e-9)
    seconds = len(result.best.codes) / llasa.frame_rate
    (heard,) = (score.detail for score in result.best.scores.values())
    return (
        f"{ended} of {ROWS} ended, {rate:.0f} tokens a second; the best lasts {seconds:.1f} s, "
        f"and the embedded recogniser heard {heard!r}"
    )

"""Whether a checkpoint and its codec can be used: one thing after the other, so that what fails is named."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from os import PathLike

import numpy as np

from llasa_search.budget import Account
from llasa_search.errors import LlasaSearchError
from llasa_search.llasa import Llasa, loading
from llasa_search.llasa.prompt_format import PromptFormat
from llasa_search.sampler import Sampler
from llasa_search.sampling import Sampling
from llasa_search.voice import Prompt

TEXT = "The quick brown fox jumps over the lazy dog."
ROWS = 4


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

    Args:
        model, codec, device, dtype: as `Llasa.from_pretrained` takes them.

    Returns:
        What was tried; the last is the first failure, if there is one.
    """
    return list(_run(str(model), None if codec is None else str(codec), device, dtype))


def _run(model: str, codec: str | None, device: str, dtype: str) -> Iterator[Check]:
    names = ("llasa-search", "torch", "transformers", "numpy")
    yield Check(
        "versions",
        True,
        ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in names)]),
    )
    found: dict[str, Llasa] = {}

    def load() -> str:
        found["llasa"] = Llasa.from_pretrained(model, codec=codec, device=device, dtype=dtype)
        decoder = found["llasa"].decoder
        return f"{found['llasa']}: {len(decoder.layers)} layers, {decoder.outputs - 1} codes"

    steps: list[tuple[str, Callable[[], str]]] = [
        ("markers and template", lambda: _prompt_format(loading.locate(model, codec)[0])),
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
    unknown = form.unspeakable(TEXT)
    if unknown:
        raise LlasaSearchError(f"the tokenizer cannot represent {unknown}")
    return f"{form.codebook_size} codes, END is {form.end_id}, a prompt of {len(ids)} tokens"


def _round_trip(llasa: Llasa) -> str:
    """Encodes and decodes a second of a falling tone with overtones, which no sound codec renders silent."""
    time = np.arange(llasa.sample_rate) / llasa.sample_rate
    phase = 2 * np.pi * (180 * time - 30 * time**2)
    tone = np.sum([0.2 * np.sin(k * phase) / k for k in range(1, 8)], axis=0)
    codes = llasa.encode(np.asarray(tone, dtype=np.float32))
    speech = llasa.decode([codes])[0]
    loudness = float(np.sqrt(np.mean(speech**2)))
    if len(speech) != len(codes) * llasa.codec.hop or not np.isfinite(speech).all() or loudness < 1e-4:
        raise LlasaSearchError(f"{len(codes)} codes became {len(speech)} samples of loudness {loudness:.5f}")
    return f"{len(codes)} codes, {len(set(codes.tolist()))} of them different, loudness {loudness:.3f}"


def _short_search(llasa: Llasa) -> str:
    sampler = Sampler(llasa, Prompt(TEXT, "en"), Sampling(), 0, Account())
    candidates = sampler.extend(sampler.start(ROWS))[1]
    for audio in sampler.audio(candidates):
        if not np.isfinite(audio).all():
            raise LlasaSearchError("the decoded speech holds NaN or infinite samples")
    ended = sum(candidate.finish_reason == "stop" for candidate in candidates)
    if not ended:
        raise LlasaSearchError(f"none of {ROWS} candidates ended by itself within {sampler.maximum} tokens")
    ledger = sampler.account.ledger
    rate = ledger.row_steps / max(ledger.stage_seconds["decode"], 1e-9)
    seconds = np.mean([len(candidate.codes) for candidate in candidates]) / llasa.frame_rate
    return f"{ended} of {ROWS} ended, {seconds:.1f} s on average, {rate:.0f} tokens a second"

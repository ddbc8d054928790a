"""Fixtures: small random checkpoints in the real formats, noise, candidates, manifests and searchers."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
import soundfile
from hypothesis import settings

from llasa_search.arrays import Audio
from llasa_search.candidate import Candidate
from llasa_search.search import Searcher
from llasa_search.strategies.base import StrategyLike
from llasa_search.verifiers import Verifier
from llasa_search.verifiers.backends.speaker_encoders import forget_lazy_modules
from tests.helpers.tiny_random import write_pair
from tests.helpers.verifiers import Frames

if TYPE_CHECKING:
    from llasa_search.llasa.model import Llasa

# Imports of torch and whisper happen inside the first example of some property.
settings.register_profile("llasa_search", deadline=None)
settings.load_profile("llasa_search")


class Outcome(NamedTuple):
    """The exit code and the output of one command."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def asr_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes an English-only openai-whisper checkpoint with random weights and windows of 2 seconds."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    dims = ModelDimensions(
        n_mels=80,
        n_audio_ctx=100,
        n_audio_state=16,
        n_audio_head=2,
        n_audio_layer=1,
        n_vocab=51864,
        n_text_ctx=448,
        n_text_state=16,
        n_text_head=2,
        n_text_layer=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Whisper(dims)
        torch.nn.init.normal_(model.decoder.positional_embedding, std=0.5)
    path = tmp_path_factory.mktemp("asr") / "asr.pt"
    torch.save({"dims": dataclasses.asdict(dims), "model_state_dict": model.state_dict()}, path)
    return path


@pytest.fixture(scope="session")
def pair_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes a folder with a language model and a codec, both with random weights."""
    return write_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="session")
def llasa(pair_path: Path) -> Llasa:
    """Loads the language model and the codec of `pair_path`."""
    from llasa_search.llasa.model import Llasa

    return Llasa.from_pretrained(pair_path, device="cpu")


@pytest.fixture(autouse=True)
def forget_placeholders() -> Iterator[None]:
    """Removes the placeholder modules that speechbrain's own loaders leave behind; hypothesis fails on them."""
    yield
    forget_lazy_modules()


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Returns a function that runs `llasa-search` with some arguments in this process."""
    from llasa_search.cli.main import main

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["llasa-search", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capfd.readouterr()
        code = stopped.value.code
        assert code is None or isinstance(code, int)
        return Outcome(code or 0, out, err)

    return run


@pytest.fixture
def noise() -> Callable[..., Audio]:
    """Returns a function that makes noise, float32 [samples] at 16 kHz, from a length in seconds and a seed."""

    def make(seconds: float, seed: int = 0) -> Audio:
        samples = np.random.default_rng(seed).standard_normal(int(seconds * 16_000))
        return (0.1 * samples).astype(np.float32)

    return make


@pytest.fixture
def candidates(noise: Callable[..., Audio]) -> Callable[..., list[Candidate]]:
    """Returns a function that makes n finished candidates of half a second of noise each."""

    def make(n: int) -> list[Candidate]:
        return [
            Candidate(
                index=i,
                key=i,
                text="one two three",
                codes=np.full(25, i, np.int32),
                logprobs=np.full(25, -1.0, np.float32),
                finish_reason="stop",
                audio=noise(0.5, seed=i),
            )
            for i in range(n)
        ]

    return make


@pytest.fixture
def manifest(tmp_path: Path, noise: Callable[..., Audio]) -> Callable[..., Path]:
    """Returns a function that writes a manifest: one utterance for each list of lengths in seconds.

    Each length is a recording of noise; None is a recording whose file is missing.
    """

    def write(*utterances: Sequence[float | None], prompt: str | None = None) -> Path:
        lines = []
        for i, takes in enumerate(utterances):
            wavs = [f"{i}-{j}.wav" for j in range(len(takes))]
            for wav, seconds in zip(wavs, takes, strict=True):
                if seconds is not None:
                    soundfile.write(tmp_path / wav, noise(seconds, i), 16_000)
            lines.append({"id": str(i), "text": "one two three", "wavs": wavs, "prompt": prompt})
        path = tmp_path / "manifest.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return write


@pytest.fixture
def searcher(llasa: Llasa) -> Callable[..., Searcher]:
    """Returns a function that makes a searcher without a gate; by default `Frames` and best-of-N."""

    def make(verifiers: Verifier | None = None, strategy: StrategyLike = "best_of_n") -> Searcher:
        return Searcher(llasa, verifiers or Frames(), strategy, gate=None)

    return make

"""Every built-in verifier passes the contract tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from llasa_search import registry
from llasa_search.cli.listing import missing_modules
from llasa_search.verifiers import Verifier
from llasa_search.verifiers.testing import VerifierContract
from tests.helpers.tiny_verifiers import write_ctc, write_ecapa, write_emotion2vec, write_unigram

NAMES = [
    name
    for name, entry in registry.verifiers.entries.items()
    if entry.dist is not None and entry.dist.name == "llasa-search"
]

ONLY_IN_JUDGES = {"resemblyzer", "speechmos", "onnxruntime"}
"""Modules that the extra `test` does not install; verifiers that need them may be skipped."""


@pytest.fixture(scope="module")
def arguments(
    asr_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Callable[[], dict[str, Any]]]:
    """Arguments of verifiers with a checkpoint: a random one, written on first use."""
    folder = tmp_path_factory.mktemp("verifiers")

    @cache
    def once(write: Callable[[Path], Any]) -> Any:
        return write(folder / write.__name__)

    return {
        "wer": lambda: {"model": asr_path},
        "likelihood": lambda: {"model": asr_path},
        "pocketsphinx_wer": lambda: dict(
            zip(("language_model", "dictionary"), once(write_unigram), strict=True)
        ),
        "ctc": lambda: {"model": once(write_ctc)},
        "speaker": lambda: {"model": once(write_ecapa)},
        "emotion": lambda: {"model": once(write_emotion2vec)},
        "emotion_probability": lambda: {"label": "sad", "model": once(write_emotion2vec)},
    }


class TestBuiltins(VerifierContract):
    """The contract, for each name."""

    @pytest.fixture(autouse=True, params=NAMES)
    def _of_each_name(
        self, request: pytest.FixtureRequest, arguments: dict[str, Callable[[], dict[str, Any]]]
    ) -> None:
        self.kind = registry.verifiers.get(request.param)
        if missing := missing_modules(self.kind):
            assert set(missing) <= ONLY_IN_JUDGES
            pytest.skip(f"{', '.join(missing)} not installed")
        self.made_with = arguments[request.param]() if request.param in arguments else {}

    def make(self) -> Verifier:
        made: Verifier = self.kind(**self.made_with)
        return made

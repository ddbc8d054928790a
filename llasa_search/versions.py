"""The versions that a score depends on."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from llasa_search import registry
from llasa_search.verifiers.base import FunctionVerifier, Verifier

PACKAGES = ("llasa-search", "torch", "transformers", "openai-whisper", "speechbrain", "funasr", "jiwer")


def versions(verifiers: Iterable[Verifier]) -> dict[str, str]:
    """Versions by package: of what this library hears with, and of where each verifier comes from."""
    found = {name: version(name) for name in PACKAGES}
    for verifier in verifiers:
        made = verifier.function if isinstance(verifier, FunctionVerifier) else type(verifier)
        package = getattr(made, "__module__", "").partition(".")[0]
        for entry in registry.verifiers.entries.values():
            if entry.dist is not None and entry.module.partition(".")[0] == package:
                found[entry.dist.name] = entry.dist.version
        for name in verifier.requires:
            with suppress(PackageNotFoundError):
                found[name] = version(name)
    return found

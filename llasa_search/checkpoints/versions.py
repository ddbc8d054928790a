"""Versions of the libraries that a score depends on."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from llasa_search import registry

PACKAGES = ("llasa-search", "torch", "transformers", "openai-whisper", "speechbrain", "funasr", "jiwer")


def versions(modules: Iterable[str], libraries: Iterable[str] = ()) -> dict[str, str]:
    """Returns versions by package name; packages that are not installed are left out.

    They are those of this library, of its model libraries, of the plug-in packages that define the verifiers,
    and of the libraries that the verifiers import.

    Args:
        modules: where the verifiers are defined.
        libraries: what they import.
    """
    found: dict[str, str] = {}
    packages = {module.partition(".")[0] for module in modules}
    for entry in registry.verifiers.entries.values():
        if entry.dist is not None and entry.module.partition(".")[0] in packages:
            found[entry.dist.name] = entry.dist.version
    for name in (*PACKAGES, *libraries):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found

"""The versions that a score depends on."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from llasa_search import registry

PACKAGES = ("llasa-search", "torch", "transformers", "openai-whisper", "speechbrain", "funasr", "jiwer")


def versions(modules: Iterable[str], libraries: Iterable[str] = ()) -> dict[str, str]:
    """Versions by package: of what this library runs on, and of what the verifiers come from and import.

    Args:
        modules: where the verifiers are defined; the packages that offer plug-ins from there are found.
        libraries: other packages; those that are not installed are left out.
    """
    found = {name: version(name) for name in PACKAGES}
    packages = {module.partition(".")[0] for module in modules}
    for entry in registry.verifiers.entries.values():
        if entry.dist is not None and entry.module.partition(".")[0] in packages:
            found[entry.dist.name] = entry.dist.version
    for name in libraries:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found

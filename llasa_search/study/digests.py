"""Digests of content, by which a study finds the searches and scores that it has already computed."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from llasa_search.storage.reading import open_regular

BLOCK_BYTES = 2**24


def digest(content: str | bytes) -> str:
    """Returns 12 hexadecimal digits that identify the content."""
    given = content.encode() if isinstance(content, str) else content
    return hashlib.blake2b(given, digest_size=6).hexdigest()


@cache
def fingerprint(*models: str) -> str:
    """Returns a digest of the content of checkpoints: files, folders (without .md), or hub ids."""
    content = hashlib.blake2b(digest_size=8)
    for model in models:
        path = Path(model)
        inside = (each for each in path.rglob("*") if each.is_file() and each.suffix != ".md")
        files = sorted(inside) if path.is_dir() else [path]
        for file in files:
            if file.is_file():
                with open_regular(file, str(file)) as opened:
                    while block := opened.read(BLOCK_BYTES):
                        content.update(block)
            else:
                content.update(model.encode())
    return content.hexdigest()

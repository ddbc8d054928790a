"""Finds the language models of the scaling study: the embedded model and two models in this repository's history.

The small and the large model were part of the package up to version 0.1.0. They use the embedded codec.
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from llasa_search.checkpoints.names import TINY
from llasa_search.errors import ModelError

ROOT = Path(__file__).resolve().parents[2]
SIZES = ("small", "base", "large")
CODEC = str(TINY / "codec")
COMMIT = "dd163dafad570c23135b131a07fe03e39b33899b"
WEIGHTS = "model.safetensors"
SHARED = {
    "chat_template.jinja": "3c98fc168ac55bc7cb6bd593a92fa56fb5ad91e07ae33253e47722a9cc478f7d",
    "generation_config.json": "98e7bce50478fd8e41ef00ea4540c83f453ac64ec4089f0940ad8a4ab9d19809",
    "tokenizer.json": "ba47526a9e24109e8ee1b27a9226cc56096bd931f4e27aca80aac5dbe4618c3f",
    "tokenizer_config.json": "95bef550eab353a70f100b0510a7b56f7383311d083e3efb268dc3f3f47b13cb",
}
SHA256 = {
    "small": {
        "config.json": "650c27bb791a22c21f5b33e1bab7009e5cb254c127bff1491b0de2446e5715fb",
        WEIGHTS: "27691f4181f43f530675b2d034c53bafbdcfa8c5b18943faac68da4dac6ede56",
        **SHARED,
    },
    "large": {
        "config.json": "ab164b6643272d20561ad0d897bf30d486b26ae839819a28b2d3b904e39d2c6e",
        WEIGHTS: "63a58979b051fb6571195275646c04e0a5caf740d343058ab9b3a1213c99cbd4",
        **SHARED,
    },
}
"""The files of the two models, with their SHA-256 digests."""


def find_language_model(size: str, cache: Path) -> str:
    """Returns the `--model` argument for a size: "tiny", or a folder in `cache`, which is filled from git if necessary.

    Args:
        size: one of `SIZES`.
        cache: folder with a subfolder for each size.

    Raises:
        ModelError: the repository's history does not have the model (a shallow clone), or a file has another digest.
    """
    if size == "base":
        return "tiny"
    folder = cache / size
    for name, expected in SHA256[size].items():
        path = folder / name
        if not path.exists():
            content = _from_history(size, name)
            folder.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(f"{name}.unfinished")
            unfinished.write_bytes(content)
            unfinished.rename(path)
        if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != expected:
            raise ModelError(
                f"{path} has the SHA-256 digest {found}, not {expected}: delete the file and run this again"
            )
    return str(folder)


def _from_history(size: str, name: str) -> bytes:
    """Returns the content of a file of the package at `COMMIT`."""
    path = f"llasa_search/tiny/language_model-{size}/{name}"
    shown = subprocess.run(["git", "show", f"{COMMIT}:{path}"], cwd=ROOT, capture_output=True)
    if shown.returncode:
        raise ModelError(
            f"{path} is not in this repository's history ({shown.stderr.decode().strip()}). Fetch the "
            "history with `git fetch --unshallow`, or train such a model with `python -m examples.train_tiny` "
            f"and give its folder, work-tiny/language_model-{size}, with --{size}"
        )
    return shown.stdout

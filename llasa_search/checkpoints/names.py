"""Names and paths of the checkpoints that come with the package."""

from __future__ import annotations

from pathlib import Path

TINY = Path(__file__).parent.parent / "tiny"
"""Folder of the embedded checkpoints, voices and texts."""

EMBEDDED = ("tiny", "tiny-ctc")
"""Names of the embedded checkpoints."""


def resolve_name(model: str, part: str) -> str:
    """Returns the path of an embedded checkpoint, or any other name unchanged.

    Args:
        model: "tiny", "tiny-ctc", a path, or a hub id.
        part: what "tiny" means for the caller, such as "speaker"; "" for the whole folder.
    """
    part = "ctc" if model == "tiny-ctc" else part
    return str(TINY / part) if model in EMBEDDED else model

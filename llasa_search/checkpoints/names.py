"""Names of the checkpoints that come with the package, and where they are."""

from __future__ import annotations

from pathlib import Path

TINY = Path(__file__).parent.parent / "tiny"
"""The package's own checkpoints, voices and texts."""

EMBEDDED = ("tiny", "tiny-ctc")
"""Names of the package's own checkpoints."""


def resolve_name(model: str, part: str) -> str:
    """What `find_checkpoint` finds a model by: for "tiny" the package's own `part`, such as "speaker" ("" is all)."""
    part = "ctc" if model == "tiny-ctc" else part
    return str(TINY / part) if model in EMBEDDED else model

"""A checkpoint that lacks weights is refused: transformers would make them up at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llasa_search.errors import ModelError


def require_complete(
    report: Mapping[str, Any], kind: str, where: Path | str, unused: Sequence[str] = ()
) -> None:
    """Looks at what transformers' `from_pretrained(..., output_loading_info=True)` reports.

    Args:
        report: its second value.
        kind: what was to be loaded.
        where: from where.
        unused: prefixes of weights that only training needs.

    Raises:
        ModelError: a weight is missing.
    """
    # Masks are for training.
    wanted = (name for name in report["missing_keys"] if not name.endswith("masked_spec_embed"))
    if missing := sorted(name for name in wanted if not name.startswith(tuple(unused))):
        raise ModelError(f"{where} is no {kind}: it lacks {missing[0]}, {len(missing)} weights in all")

"""Who judges what a search has chosen? A relative shares the chooser's errors, and flatters it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from llasa_search.verifiers.base import Verifier


def warn_of_kin(judges: Iterable[Verifier], choosers: Iterable[Verifier]) -> None:
    """Warns of each judge that shares a family with a verifier that decides.

    Args:
        judges: those whose verdict on the chosen speech counts, such as the ones of weight 0.
        choosers: those by which it was, or will be, chosen.
    """
    families = {chooser.family: chooser for chooser in choosers if chooser.family}
    for judge in judges:
        if judge.family in families:
            warnings.warn(
                f"{judge} judges what {families[judge.family]} has chosen, and both are of the family "
                f"{judge.family!r}: shared errors flatter the search; take a judge of another family",
                stacklevel=3,
            )

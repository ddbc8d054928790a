"""Who may judge? A relative of the chooser shares its errors; an embedded model knows no other speech."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from llasa_search.checkpoints.names import EMBEDDED
from llasa_search.verifiers.base import Verifier


def kin(judges: Iterable[Verifier], choosers: Iterable[Verifier]) -> list[str]:
    """What is to be said of each judge that shares a family with a verifier that decides.

    Args:
        judges: those whose verdict on the chosen speech counts, such as the ones of weight 0.
        choosers: those by which it was, or will be, chosen.
    """
    families = {chooser.family: chooser for chooser in choosers if chooser.family}
    return [
        f"{judge} judges what {families[judge.family]} has chosen, and both are of the family "
        f"{judge.family!r}: shared errors flatter the search; take a judge of another family"
        for judge in judges
        if judge.family in families
    ]


def warn_same_family(judges: Iterable[Verifier], choosers: Iterable[Verifier]) -> None:
    """Warns of what `kin` says."""
    for said in kin(judges, choosers):
        warnings.warn(said, stacklevel=3)


def warn_out_of_domain(verifiers: Iterable[Verifier]) -> None:
    """Warns of verifiers whose checkpoint is the package's own, where others' speech is to be judged.

    Args:
        verifiers: those that listen to speech that the embedded model has not made.
    """
    embedded = dict.fromkeys(
        str(each) for each in verifiers if each.part and getattr(each, "model", "") in EMBEDDED
    )
    if embedded:
        warnings.warn(
            f"{', '.join(embedded)}: the package's own checkpoints know the speech of model 'tiny' and "
            "nothing else; for other speech give each its `model`, such as WER(model='large-v3')",
            stacklevel=3,
        )

"""Warns about judges of the same model family as a verifier, and about speech out of a verifier's domain."""

from __future__ import annotations

from collections.abc import Iterable

from llasa_search.errors import warn
from llasa_search.verifiers.base import Verifier


def same_family(judges: Iterable[Verifier], verifiers: Iterable[Verifier]) -> list[str]:
    """Returns one message for each judge that shares a family with a verifier that decides.

    Args:
        judges: score the chosen speech, such as the verifiers of weight 0.
        verifiers: by which it was, or will be, chosen.
    """
    families = {verifier.family: verifier for verifier in verifiers if verifier.family}
    return [
        f"{judge} judges what {families[judge.family]} has chosen, and both are of the family "
        f"{judge.family!r}: shared errors flatter the search; take a judge of another family"
        for judge in judges
        if judge.family in families
    ]


def warn_same_family(judges: Iterable[Verifier], verifiers: Iterable[Verifier]) -> None:
    """Warns with the messages of `same_family`."""
    for message in same_family(judges, verifiers):
        warn(message)


def warn_out_of_domain(verifiers: Iterable[Verifier]) -> None:
    """Warns about embedded verifiers, for speech that the embedded model did not generate."""
    embedded = dict.fromkeys(str(each) for each in verifiers if each.is_embedded)
    if embedded:
        warn(
            f"{', '.join(embedded)}: the package's own checkpoints are trained on the speech of model 'tiny' "
            "only; for other speech give each its `model`, such as WER(model='large-v3')"
        )

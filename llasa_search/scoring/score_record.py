"""A score as files keep it: with what its rate is made of, and null where there is no number."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, NotRequired, TypedDict

from llasa_search.candidate import Score, Status
from llasa_search.errors import format_error

if TYPE_CHECKING:
    from llasa_search.verifiers.base import Verifier


class ScoreRecord(TypedDict):
    """One verifier's or judge's score of one recording; `value` is null where it failed or was skipped.

    For error rates of a transcript, `edits` and `length` (in words, Chinese: in characters) give corpus
    values.
    """

    value: float | None
    detail: str
    status: Status
    edits: NotRequired[int]
    length: NotRequired[int]


def score_to_record(verifier: Verifier, text: str, language: str, found: Score) -> ScoreRecord:
    """A score with the counts behind it; failed where the verifier cannot count them.

    Args:
        verifier: whose score it is.
        text: what should have been said.
        language: "en" or "zh".
        found: the score.
    """
    value = None if math.isnan(found.value) else found.value
    verdict: ScoreRecord = {"value": value, "detail": found.detail, "status": found.status}
    if found.status != "scored":
        return verdict
    try:
        if (counts := verifier.counts(text, language, found.detail)) is not None:
            edits, length = map(operator.index, counts)
            if edits < 0 or length < 1:
                raise ValueError(f"{edits} edits of {length}")
            verdict |= {"edits": edits, "length": length}
    except (Exception, SystemExit) as error:
        why = f"its counts of edits and length failed: {format_error(error)}"
        return {"value": None, "detail": why, "status": "failed"}
    return verdict


def record_to_score(verdict: ScoreRecord) -> Score:
    """The score that a verdict keeps."""
    value = math.nan if verdict["value"] is None else verdict["value"]
    return Score(value, verdict["detail"], verdict["status"])

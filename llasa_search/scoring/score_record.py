"""The stored form of a score: it has the counts behind an error rate, and null for unknown values."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, NotRequired, TypedDict

from llasa_search.candidate import Score, Status
from llasa_search.errors import format_error

if TYPE_CHECKING:
    from llasa_search.verifiers.base import Verifier


class ScoreRecord(TypedDict):
    """One verifier's score of one recording; `value` is null unless it was scored.

    For error rates of a transcript, `edits` and `length` (in words; Chinese: in characters) give corpus values.
    """

    value: float | None
    detail: str
    status: Status
    edits: NotRequired[int]
    length: NotRequired[int]


def score_to_record(verifier: Verifier, text: str, language: str, score: Score) -> ScoreRecord:
    """Returns a score with the counts behind it; it has failed if the verifier cannot count them.

    Args:
        verifier: whose score it is.
        text: what should be spoken.
        language: a code of Whisper's list, such as "en".
        score: to record.
    """
    value = None if math.isnan(score.value) else score.value
    record: ScoreRecord = {"value": value, "detail": score.detail, "status": score.status}
    if score.status != "scored":
        return record
    try:
        if (counts := verifier.counts(text, language, score.detail)) is not None:
            edits, length = map(operator.index, counts)
            if edits < 0 or length < 1:
                raise ValueError(f"{edits} edits of {length}")
            record |= {"edits": edits, "length": length}
    except Exception as error:
        why = f"its counts of edits and length failed: {format_error(error)}"
        return {"value": None, "detail": why, "status": "failed"}
    return record


def record_to_score(record: ScoreRecord) -> Score:
    """Returns the score of a record."""
    value = math.nan if record["value"] is None else record["value"]
    return Score(value, record["detail"], record["status"])

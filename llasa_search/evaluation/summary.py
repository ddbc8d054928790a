"""Figures over all records of an evaluation, and the text that shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from llasa_search.evaluation.evaluate import Record, Recording
from llasa_search.scoring.score_record import ScoreRecord
from llasa_search.table import printable, text_table

HIGH = 0.5
"""The share of recordings with a higher WER is reported, as in seed-tts-eval's average_wer.py."""

MAX_ERRORS = 3
"""How many different errors are printed."""


class Measure(TypedDict):
    """One figure over the `n` recordings that a verifier has scored; None if there are none."""

    name: str
    value: float | None
    n: int


class Shared(TypedDict):
    """Figures over the recordings that every verifier has scored; those of different verifiers can be compared.

    A verifier that has scored no recording is left out.

    Attributes:
        verifiers: that have scored any.
        utterances: number of those whose chosen recording all of them have scored.
        chosen: measures over these chosen recordings.
        all: measures over all recordings that all of them have scored.
    """

    verifiers: list[str]
    utterances: int
    chosen: list[Measure]
    all: list[Measure]


class Summary(TypedDict):
    """The content of `summary.json`.

    Attributes:
        settings: of the run.
        utterances: their number by status. An utterance is "scored" if one of its recordings was chosen,
            "missing" if none of its files exists, "pending" if an interrupted run has not reached it.
        languages: the number of utterances by language, the most frequent first; "unknown" where it is uncertain.
        recordings: their number by status.
        errors: the number of recordings by error, the most frequent first; also of verifiers of weight 0, with
            their names.
        failed: the number of recordings on which a verifier failed, by verifier.
        abstained: the number of recordings on which a verifier abstained, by verifier. If it abstains on all
            recordings of an utterance, the other verifiers choose.
        chosen: measures over the best recording of each utterance.
        all: measures over every recording.
        shared: measures over what all verifiers have scored.
    """

    settings: Mapping[str, Any]
    utterances: dict[str, int]
    languages: dict[str, int]
    recordings: dict[str, int]
    errors: dict[str, int]
    failed: dict[str, int]
    abstained: dict[str, int]
    chosen: list[Measure]
    all: list[Measure]
    shared: Shared


def summarise(records: Sequence[Record], pending: int, settings: Mapping[str, Any]) -> Summary:
    """Returns the figures over all records.

    The corpus WER is the sum of all edits over the sum of all lengths. The mean WER gives each utterance the
    same weight; it is the figure that seed-tts-eval publishes. Recordings without a score are left out of a
    mean, and `n` is the number of those that are in it.

    Args:
        records: in any order.
        pending: entries of the manifest without a record.
        settings: copied to the summary.
    """
    recordings = [recording for record in records for recording in record["recordings"]]
    chosen = [record["recordings"][record["best"]] for record in records if record["best"] is not None]
    return {
        "settings": settings,
        "utterances": {**_counts(map(_status, records)), **({"pending": pending} if pending else {})},
        "languages": dict(Counter(record["language"] or "unknown" for record in records).most_common()),
        "recordings": _counts(recording["status"] for recording in recordings),
        "errors": dict(Counter(error for each in recordings for error in _errors(each)).most_common()),
        "failed": _by_verifier(recordings, "failed"),
        "abstained": _by_verifier(recordings, "abstained"),
        "chosen": _measures(chosen),
        "all": _measures(recordings),
        "shared": _shared(chosen, recordings),
    }


def summary_table(summary: Summary) -> str:
    """Returns the summary as text; the columns "chosen" and "all" if an utterance has several recordings.

    A column "shared" is added if verifiers have scored different utterances.
    """
    several = sum(summary["recordings"].values()) > sum(summary["utterances"].values())
    columns = {"chosen": summary["chosen"], "all": summary["all"]} if several else {"value": summary["all"]}
    if any(each["n"] > summary["shared"]["utterances"] for each in next(iter(columns.values()))):
        columns["shared"] = summary["shared"]["chosen"]
    rows = [["measure", *(cell for name in columns for cell in (name, "n"))]]
    for measure in summary["all"]:
        row = [measure["name"]]
        for measures in columns.values():
            row += _cells(next((each for each in measures if each["name"] == measure["name"]), None))
        rows.append(row)
    lines = [text_table(rows), "", f"utterances: {_listed(summary['utterances'])}"]
    lines.append(f"languages: {_listed(summary['languages'])}")
    if several:
        lines.append(f"recordings: {_listed(summary['recordings'])}")
    errors = list(summary["errors"].items())
    lines += [f"failed: {count} x {printable(error)}" for error, count in errors[:MAX_ERRORS]]
    if errors[MAX_ERRORS:]:
        lines.append(f"failed: {sum(count for _, count in errors[MAX_ERRORS:])} x for other reasons")
    if summary["failed"]:
        lines.append(f"failed, by verifier: {_listed(summary['failed'])}")
    if summary["abstained"]:
        lines.append(f"abstained: {_listed(summary['abstained'])}")
    if len(summary["settings"]["verifiers"]) > 1:
        share = f"{summary['shared']['utterances']} of {summary['utterances']['scored']}"
        lines.append(f"scored by {len(summary['shared']['verifiers'])} verifiers: {share} utterances")
    lines += [
        f"{name}: {_listed(given)}" for name, given in summary["settings"]["verifiers"].items() if given
    ]
    lines.append(f"reward: {summary['settings']['reward']}")
    lines.append(f"versions: {_listed(summary['settings']['versions'])}")
    return printable("\n".join(lines), lines=True)


def _status(record: Record) -> str:
    if record["best"] is not None:
        return "scored"
    statuses = {recording["status"] for recording in record["recordings"]}
    return "missing" if statuses == {"missing"} else "failed"


def _counts(statuses: Any) -> dict[str, int]:
    counted = Counter(statuses)
    return {status: counted[status] for status in ("scored", "failed", "missing")}


def _errors(recording: Recording) -> list[str]:
    """Returns why a recording has no reward; if it has one, why verifiers of weight 0 failed."""
    if recording["status"] == "failed":
        return [recording["error"]]
    failed = {
        name: each["detail"] for name, each in recording["scores"].items() if each["status"] == "failed"
    }
    return [detail if name in detail else f"{name}: {detail}" for name, detail in failed.items()]


def _by_verifier(recordings: Sequence[Recording], status: str) -> dict[str, int]:
    """Returns on how many recordings the score of each verifier has this status."""
    scores = (item for recording in recordings for item in recording["scores"].items())
    return dict(Counter(name for name, found in scores if found["status"] == status))


def _shared(chosen: Sequence[Recording], recordings: Sequence[Recording]) -> Shared:
    names = list(_by_verifier(recordings, "scored"))

    def scored_by_all(recording: Recording) -> bool:
        statuses = (recording["scores"][name]["status"] for name in names if name in recording["scores"])
        return list(statuses) == ["scored"] * len(names)

    both = [[each for each in some if scored_by_all(each)] for some in (chosen, recordings)]
    return {
        "verifiers": names,
        "utterances": len(both[0]),
        "chosen": _measures(both[0]),
        "all": _measures(both[1]),
    }


def _measures(recordings: Sequence[Recording]) -> list[Measure]:
    names = dict.fromkeys(name for recording in recordings for name in recording["scores"])
    measures = []
    for name in names:
        scores = [recording["scores"][name] for recording in recordings if name in recording["scores"]]
        measures += _verifier_measures(name, [score for score in scores if score["status"] == "scored"])
    known = [each["reward"] for each in recordings if each["reward"] is not None]
    return [*measures, _mean("reward, mean", known)]


def _verifier_measures(name: str, scores: Sequence[ScoreRecord]) -> list[Measure]:
    values = [score["value"] for score in scores if score["value"] is not None]
    mean = _mean(f"{name}, mean", values)
    lengths = [score["length"] for score in scores if "length" in score]
    if not lengths:
        return [mean]
    edits = [score["edits"] for score in scores if "edits" in score]
    corpus: Measure = {"name": f"{name}, corpus", "value": sum(edits) / sum(lengths), "n": len(lengths)}
    return [corpus, mean, _mean(f"{name}, share above {HIGH:g}", [float(value > HIGH) for value in values])]


def _mean(name: str, values: Sequence[float]) -> Measure:
    return {"name": name, "value": sum(values) / len(values) if values else None, "n": len(values)}


def _cells(measure: Measure | None) -> list[str]:
    if measure is None or measure["value"] is None:
        return ["-", "0"]
    return [f"{measure['value']:.4f}", str(measure["n"])]


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())

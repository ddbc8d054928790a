"""The figures over all records of an evaluation, and how they are printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from llasa_search.evaluation.evaluate import Record, Recording
from llasa_search.scoring.score_record import ScoreRecord
from llasa_search.table import aligned

HIGH = 0.5
"""The WER above which recordings are counted apart, as in seed-tts-eval's average_wer.py."""


SHOWN = 3
"""How many different errors are printed."""


class Measure(TypedDict):
    """One figure over the recordings that a verifier has scored; None over none."""

    name: str
    value: float | None
    n: int


class Summary(TypedDict):
    """What `summary.json` holds.

    `settings` are those of the run. `utterances` and `recordings` count them by status; an utterance is
    scored where one of its recordings could be chosen, and missing where it has no file at all; "pending" is
    what an interrupted run has not come to. `errors` counts the recordings that failed, by the reason, the
    commonest first; `abstained` those that a verifier did not want to judge, by its name (where it abstains
    on all of an utterance, the others choose). `chosen` are the measures over the best recording of each
    utterance, `all` those over every recording.
    """

    settings: Mapping[str, Any]
    utterances: dict[str, int]
    recordings: dict[str, int]
    errors: dict[str, int]
    abstained: dict[str, int]
    chosen: list[Measure]
    all: list[Measure]


def summarise(records: Sequence[Record], pending: int, settings: Mapping[str, Any]) -> Summary:
    """The figures over all records.

    The corpus WER is the sum of all edits over the sum of all lengths; the mean is that over utterances, each
    of the same weight, which is the figure that seed-tts-eval publishes. Recordings without a score count in
    no mean: `n` says how many did.

    Args:
        records: in any order.
        pending: entries of the manifest without a record.
        settings: kept as they are.
    """
    recordings = [recording for record in records for recording in record["recordings"]]
    failed = [recording["error"] for recording in recordings if recording["status"] == "failed"]
    chosen = [record["recordings"][record["best"]] for record in records if record["best"] is not None]
    return {
        "settings": settings,
        "utterances": {**_counts(map(_status, records)), **({"pending": pending} if pending else {})},
        "recordings": _counts(recording["status"] for recording in recordings),
        "errors": dict(Counter(failed).most_common()),
        "abstained": dict(
            Counter(
                name
                for recording in recordings
                for name, found in recording["scores"].items()
                if found["status"] == "abstained"
            )
        ),
        "chosen": _measures(chosen),
        "all": _measures(recordings),
    }


def summary_table(summary: Summary) -> str:
    """The summary as aligned text; with one recording an utterance there is nothing to choose or compare."""
    several = sum(summary["recordings"].values()) > sum(summary["utterances"].values())
    columns = {"chosen": summary["chosen"], "all": summary["all"]} if several else {"value": summary["all"]}
    rows = [["measure", *(cell for name in columns for cell in (name, "n"))]]
    for measure in summary["all"]:
        row = [measure["name"]]
        for measures in columns.values():
            row += _cells(next((each for each in measures if each["name"] == measure["name"]), None))
        rows.append(row)
    lines = [aligned(rows), "", f"utterances: {_listed(summary['utterances'])}"]
    if several:
        lines.append(f"recordings: {_listed(summary['recordings'])}")
    errors = list(summary["errors"].items())
    lines += [f"failed: {count} x {error}" for error, count in errors[:SHOWN]]
    if errors[SHOWN:]:
        lines.append(f"failed: {sum(count for _, count in errors[SHOWN:])} x for other reasons")
    if summary["abstained"]:
        lines.append(f"abstained: {_listed(summary['abstained'])}")
    lines += [
        f"{name}: {_listed(given)}" for name, given in summary["settings"]["verifiers"].items() if given
    ]
    lines.append(f"reward: {summary['settings']['reward']}")
    lines.append(f"versions: {_listed(summary['settings']['versions'])}")
    return "\n".join(lines)


def _status(record: Record) -> str:
    if record["best"] is not None:
        return "scored"
    statuses = {recording["status"] for recording in record["recordings"]}
    return "missing" if statuses == {"missing"} else "failed"


def _counts(statuses: Any) -> dict[str, int]:
    counted = Counter(statuses)
    return {status: counted[status] for status in ("scored", "failed", "missing")}


def _measures(recordings: Sequence[Recording]) -> list[Measure]:
    names = dict.fromkeys(name for recording in recordings for name in recording["scores"])
    measures = []
    for name in names:
        verdicts = [recording["scores"][name] for recording in recordings if name in recording["scores"]]
        measures += _of_verifier(name, [each for each in verdicts if each["status"] == "scored"])
    known = [each["reward"] for each in recordings if each["reward"] is not None]
    return [*measures, _mean("reward, mean", known)]


def _of_verifier(name: str, verdicts: Sequence[ScoreRecord]) -> list[Measure]:
    values = [each["value"] for each in verdicts if each["value"] is not None]
    mean = _mean(f"{name}, mean", values)
    lengths = [each["length"] for each in verdicts if "length" in each]
    if not lengths:
        return [mean]
    edits = [each["edits"] for each in verdicts if "edits" in each]
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

"""Computes error rates of recordings and chosen candidates by a judge, with intervals, and checks requirements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from examples.benchmarks.material import CHANNELS
from llasa_search.arrays import FloatArray
from llasa_search.evaluation.statistics import Estimate, difference, error_rate, share_removed, share_within
from llasa_search.reward.base import ranking

Row = Mapping[str, Any]

CODEC_FACTOR, CODEC_MARGIN = 1.6, 0.02
MAX_EXCESS = 0.25
MIN_REMOVED, MIN_REMOVED_LOW = 0.5, 0.25
SMALL_EXCESS = 0.03
MIN_VARIANCE_WITHIN = 0.2
BAD = 0.5


def errors_of(row: Row, judge: str) -> list[int]:
    """Returns substitutions, deletions and insertions."""
    counts = row[judge]
    return [counts["substitutions"], counts["deletions"], counts["insertions"]]


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _scored(row: Row, verifier: str) -> float:
    """Returns the score by the verifier with that name and any arguments."""
    (value,) = (score["value"] for name, score in row["scores"].items() if name.startswith(f"{verifier}("))
    return _number(value)


SAMPLE, MEAN = "single sample", "mean of all candidates"
BY_WER, BEST = "best by WER", "best by WER, then likelihood"
CHOOSERS: dict[str, Callable[[Row], float]] = {
    SAMPLE: lambda row: -row["index"],
    BY_WER: lambda row: -_scored(row, "WER"),
    BEST: lambda row: _number(row["reward"]),
    "best by likelihood": lambda row: _scored(row, "TranscriptLikelihood"),
    "highest log-probability": lambda row: _number(row["mean_logprob"]),
    "shortest": lambda row: -row["tokens"],
    "oracle: unigram": lambda row: -sum(errors_of(row, "unigram")),
    "oracle: bigram": lambda row: -sum(errors_of(row, "bigram")),
}


@dataclass(frozen=True)
class Judged:
    """The errors of one set by one judge.

    Attributes:
        set: its name.
        judge: the judge's name.
        kinds: kind of each text.
        words: number of words of each text, [texts].
        errors: [texts, 3] as in `errors_of`, by kind of speech: "original", "codec" (its resynthesis), or a
            choice; for "mean of all candidates" the mean.
        bad: share of utterances with a WER above 0.5, by kind of speech.
        candidate_rates: WER of every candidate, [texts, candidates].
    """

    set: str
    judge: str
    kinds: Sequence[str]
    words: FloatArray
    errors: Mapping[str, FloatArray]
    bad: Mapping[str, float]
    candidate_rates: FloatArray

    def totals(self, speech: str) -> FloatArray:
        """The errors of each text, [texts]."""
        return np.asarray(self.errors[speech].sum(axis=1))

    def rate(self, speech: str) -> Estimate:
        return error_rate(self.totals(speech), self.words)

    def removed(self, speech: str) -> Estimate:
        """The share of the single samples' excess errors that a choice removes."""
        return share_removed(self.totals(SAMPLE), self.totals(speech), self.totals("codec"))

    @property
    def excess(self) -> float:
        """The WER of single samples minus that of the resynthesis."""
        return self.rate(SAMPLE).value - self.rate("codec").value

    @property
    def other_oracle(self) -> str:
        """The oracle by the other judge."""
        return "oracle: bigram" if self.judge == "unigram" else "oracle: unigram"

    @classmethod
    def of(cls, rows: Sequence[Row], name: str, judge: str) -> Judged:
        """Returns the errors of set `name`; every text must have the same number of candidates."""
        of_set = [row for row in rows if row["set"] == name]
        recorded = {role: [row for row in of_set if row["role"] == role] for role in CHANNELS}
        candidates_of: dict[str, list[Row]] = {row["id"]: [] for row in recorded["original"]}
        for row in of_set:
            if row["role"] == "candidate":
                candidates_of[row["id"]].append(row)
        texts = list(candidates_of.values())
        words = np.array([row[judge]["words"] for row in recorded["original"]], np.float64)
        candidates = np.array([[errors_of(c, judge) for c in each] for each in texts], np.float64)
        rates = candidates.sum(axis=2) / words[:, None]

        errors, bad = {}, {}
        for role, group in recorded.items():
            errors[role] = np.array([errors_of(row, judge) for row in group], np.float64)
            bad[role] = float((errors[role].sum(axis=1) / words > BAD).mean())
        for choice, weight in chosen(texts).items():
            errors[choice] = np.einsum("tc,tce->te", weight, candidates)
            bad[choice] = float((weight * (rates > BAD)).sum(axis=1).mean())
        kinds = [row["kind"] for row in recorded["original"]]
        return cls(name, judge, kinds, words, errors, bad, rates)


def chosen(texts: Sequence[Sequence[Row]]) -> dict[str, FloatArray]:
    """Returns weights [texts, candidates] by choice: 1 for the chosen candidate, or equal weights for the mean."""
    count = len(texts[0])
    weights = {MEAN: np.full((len(texts), count), 1 / count)}
    for name, key in CHOOSERS.items():
        first = [ranking(np.array([key(row) for row in candidates], np.float64))[0] for candidates in texts]
        weights[name] = np.eye(count)[first]
    return weights


def requirements(judged: Judged, n: int) -> list[tuple[str, bool | None]]:
    """Returns each requirement with its values, and whether it is met; None if it does not apply."""
    original, codec = judged.rate("original").value, judged.rate("codec").value
    most = CODEC_FACTOR * original + CODEC_MARGIN
    bound = f"{CODEC_FACTOR} x original + {CODEC_MARGIN} = {most:.3f}"
    small = judged.set != "hard" and judged.excess < SMALL_EXCESS
    note = f" (not required: the excess is below {SMALL_EXCESS})" if small else ""
    by = {choice: judged.removed(choice) for choice in (BY_WER, BEST)}
    enough = {k: share.value >= MIN_REMOVED and share.low > MIN_REMOVED_LOW for k, share in by.items()}
    within = share_within(judged.candidate_rates)
    gain = difference(judged.totals(judged.other_oracle), judged.totals(SAMPLE), judged.words)
    return [
        (f"the WER of the resynthesis is {codec:.3f} (required: at most {bound})", codec <= most),
        (f"the excess of single samples is {judged.excess:.3f} (required: at most {MAX_EXCESS})",
         judged.excess <= MAX_EXCESS),
        *((f"{choice} with {n} candidates removes {share} of the excess (required: at least {MIN_REMOVED}, with "
           f"an interval above {MIN_REMOVED_LOW}){note}", None if small else enough[choice])
          for choice, share in by.items()),
        (f"{within:.2f} of the variance of the WER lies within texts (required: at least {MIN_VARIANCE_WITHIN})",
         within >= MIN_VARIANCE_WITHIN),
        (f"the WER of the other judge's oracle minus that of single samples is {gain} (required: an interval below 0)",
         gain.high < 0),
    ]  # fmt: skip


def markdown(judged: Judged, n: int) -> str:
    """Returns the table of one set by one judge, the error rates by kind of text, and the requirements."""
    lines = [
        f"#### {judged.set}, {judged.judge}",
        "",
        f"The table shows word error rates on the {judged.set} set by the judge {judged.judge}, and the share of the "
        "excess errors that\neach choice removes.",
        "",
        "| speech | WER | substituted | deleted | inserted | WER > 0.5 | excess removed |",
        "|---|---|---|---|---|---|---|",
    ]
    for speech in (*CHANNELS, *CHOOSERS, MEAN):
        parts = judged.errors[speech].sum(axis=0) / judged.words.sum()
        is_choice = speech not in (*CHANNELS, SAMPLE) and judged.excess > 0
        removed = str(judged.removed(speech)) if is_choice else ""
        lines.append(f"| {speech} | {judged.rate(speech)} | " + " | ".join(f"{part:.3f}" for part in parts)
                     + f" | {judged.bad[speech]:.2f} | {removed} |")  # fmt: skip
    lines += ["", *_by_kind(judged), ""]
    marks = {True: "pass", False: "**fail**", None: "not required"}
    return "\n".join([*lines, *(f"- {marks[passed]}: {text}" for text, passed in requirements(judged, n))])


def brief(tables: Sequence[Judged], n: int) -> str:
    """Returns a short table with one row for each set and judge."""
    columns = {
        "original": "original recording",
        "codec": "after the codec",
        SAMPLE: "single sample",
        BEST: f"best of {n}",
    }
    lines = ["| WER | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 1) + "|"]
    for each in tables:
        rates = " | ".join(str(each.rate(speech)) for speech in columns)
        lines.append(f"| {each.set} set, {each.judge} judge | {rates} |")
    return "\n".join(lines)


def _by_kind(judged: Judged) -> list[str]:
    speech = [*CHANNELS, SAMPLE, BEST]
    lines = ["The next table shows the WER by kind of text.", ""]
    lines += ["| WER by kind | texts | " + " | ".join(speech) + " |", "|---" * (len(speech) + 2) + "|"]
    for kind in sorted(set(judged.kinds)):
        of_kind = np.array([each == kind for each in judged.kinds])
        rates = [judged.totals(each)[of_kind].sum() / judged.words[of_kind].sum() for each in speech]
        lines.append(f"| {kind} | {of_kind.sum()} | " + " | ".join(f"{rate:.3f}" for rate in rates) + " |")
    return lines

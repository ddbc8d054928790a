"""Error rates of judged recordings and choices, with intervals, and the limits that they must keep."""

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
PLAIN_EXCESS = 0.25
REMOVED, REMOVED_AT_LEAST = 0.5, 0.25
SMALL_EXCESS = 0.03
WITHIN = 0.2
BAD = 0.5


def errors_of(row: Row, judge: str) -> list[int]:
    """Returns substitutions, deletions and insertions."""
    counts = row[judge]
    return [counts["substitutions"], counts["deletions"], counts["insertions"]]


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _scored(row: Row, verifier: str) -> float:
    """Returns the score of the verifier of that name, whatever its arguments."""
    (value,) = (score["value"] for name, score in row["scores"].items() if name.startswith(f"{verifier}("))
    return _number(value)


PLAIN, RANDOM = "plain (first)", "a random one"
BY_WER, BEST = "best by WER", "best by WER, then text"
CHOOSERS: dict[str, Callable[[Row], float]] = {
    PLAIN: lambda row: -row["index"],
    BY_WER: lambda row: -_scored(row, "WER"),
    BEST: lambda row: _number(row["reward"]),
    "best by text": lambda row: _scored(row, "TranscriptLikelihood"),
    "likeliest": lambda row: _number(row["mean_logprob"]),
    "shortest": lambda row: -row["tokens"],
    "oracle: unigram": lambda row: -sum(errors_of(row, "unigram")),
    "oracle: bigram": lambda row: -sum(errors_of(row, "bigram")),
}


@dataclass(frozen=True)
class Judged:
    """One set under one judge.

    Attributes:
        set: its name.
        judge: the judge's name.
        kinds: of each text.
        words: in each text, [texts].
        errors: [texts, 3] as in `errors_of`, by kind of speech: "original", "codec" (its resynthesis), or a
            choice; for "a random one" a mean over all candidates.
        bad: share of recordings with a WER above 0.5, by kind of speech.
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
        """Errors of each text, [texts]."""
        return np.asarray(self.errors[speech].sum(axis=1))

    def rate(self, speech: str) -> Estimate:
        return error_rate(self.totals(speech), self.words)

    def removed(self, speech: str) -> Estimate:
        """Share of the plain samples' errors in excess of resynthesis that a choice avoids."""
        return share_removed(self.totals(PLAIN), self.totals(speech), self.totals("codec"))

    @property
    def excess(self) -> float:
        """Of the plain samples' WER over that of resynthesis."""
        return self.rate(PLAIN).value - self.rate("codec").value

    @property
    def other_oracle(self) -> str:
        """The oracle by the other judge."""
        return "oracle: bigram" if self.judge == "unigram" else "oracle: unigram"

    @classmethod
    def of(cls, rows: Sequence[Row], name: str, judge: str) -> Judged:
        """Gathers the rows of set `name`; every text needs the same number of candidates."""
        mine = [row for row in rows if row["set"] == name]
        single = {role: [row for row in mine if row["role"] == role] for role in CHANNELS}
        candidates_of: dict[str, list[Row]] = {row["id"]: [] for row in single["original"]}
        for row in mine:
            if row["role"] == "candidate":
                candidates_of[row["id"]].append(row)
        texts = list(candidates_of.values())
        words = np.array([row[judge]["words"] for row in single["original"]], np.float64)
        candidates = np.array([[errors_of(c, judge) for c in each] for each in texts], np.float64)
        rates = candidates.sum(axis=2) / words[:, None]

        errors, bad = {}, {}
        for role, group in single.items():
            errors[role] = np.array([errors_of(row, judge) for row in group], np.float64)
            bad[role] = float((errors[role].sum(axis=1) / words > BAD).mean())
        for choice, weight in chosen(texts).items():
            errors[choice] = np.einsum("tc,tce->te", weight, candidates)
            bad[choice] = float((weight * (rates > BAD)).sum(axis=1).mean())
        kinds = [row["kind"] for row in single["original"]]
        return cls(name, judge, kinds, words, errors, bad, rates)


def chosen(texts: Sequence[Sequence[Row]]) -> dict[str, FloatArray]:
    """Returns weights [texts, candidates] by choice: 1 for the chosen candidate; equal ones for a random choice."""
    count = len(texts[0])
    weights = {RANDOM: np.full((len(texts), count), 1 / count)}
    for name, key in CHOOSERS.items():
        first = [ranking(np.array([key(row) for row in candidates], np.float64))[0] for candidates in texts]
        weights[name] = np.eye(count)[first]
    return weights


def bars(judged: Judged, n: int) -> list[tuple[str, bool | None]]:
    """Returns each limit in words with its figures, and whether it is kept; None if it does not apply."""
    original, codec = judged.rate("original").value, judged.rate("codec").value
    most = CODEC_FACTOR * original + CODEC_MARGIN
    bound = f"{CODEC_FACTOR} x original + {CODEC_MARGIN} = {most:.3f}"
    small = judged.set != "hard" and judged.excess < SMALL_EXCESS
    note = f" (excess under {SMALL_EXCESS}: the hard set counts)" if small else ""
    by = {choice: judged.removed(choice) for choice in (BY_WER, BEST)}
    enough = {k: share.value >= REMOVED and share.low > REMOVED_AT_LEAST for k, share in by.items()}
    within = share_within(judged.candidate_rates)
    gain = difference(judged.totals(judged.other_oracle), judged.totals(PLAIN), judged.words)
    return [
        (f"codec {codec:.3f}, at most {bound}", codec <= most),
        (f"plain is {judged.excess:.3f} above codec, at most {PLAIN_EXCESS}", judged.excess <= PLAIN_EXCESS),
        *((f"{choice} of {n} removes {share} of it, at least {REMOVED}, interval above "
           f"{REMOVED_AT_LEAST}{note}", None if small else enough[choice]) for choice, share in by.items()),
        (f"{within:.2f} of the variance of WER lies within texts, at least {WITHIN}", within >= WITHIN),
        (f"the other judge's oracle minus plain is {gain}, interval below 0", gain.high < 0),
    ]  # fmt: skip


def markdown(judged: Judged, n: int) -> str:
    """Returns the table of one set under one judge, its rates by kind of text, and its limits."""
    lines = [
        f"#### {judged.set}, {judged.judge}",
        "",
        f"The table shows word error rates on the {judged.set} set under the {judged.judge} judge, and the share "
        "of the errors beyond\nresynthesis that each choice removes.",
        "",
        "| speech | WER | substituted | deleted | inserted | WER > 0.5 | excess removed |",
        "|---|---|---|---|---|---|---|",
    ]
    for speech in (*CHANNELS, *CHOOSERS, RANDOM):
        parts = judged.errors[speech].sum(axis=0) / judged.words.sum()
        is_choice = speech not in (*CHANNELS, PLAIN) and judged.excess > 0
        removed = str(judged.removed(speech)) if is_choice else ""
        lines.append(f"| {speech} | {judged.rate(speech)} | " + " | ".join(f"{part:.3f}" for part in parts)
                     + f" | {judged.bad[speech]:.2f} | {removed} |")  # fmt: skip
    lines += ["", *_by_kind(judged), ""]
    marks = {True: "pass", False: "**fail**", None: "not asked"}
    return "\n".join([*lines, *(f"- {marks[passed]}: {text}" for text, passed in bars(judged, n))])


def brief(tables: Sequence[Judged], n: int) -> str:
    """Returns a short table: one line for each set and judge."""
    columns = {
        "original": "recording",
        "codec": "through the codec",
        PLAIN: "one sample",
        BEST: f"best of {n}",
    }
    lines = ["| WER | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 1) + "|"]
    for each in tables:
        rates = " | ".join(str(each.rate(speech)) for speech in columns)
        lines.append(f"| {each.set} set, {each.judge} judge | {rates} |")
    return "\n".join(lines)


def _by_kind(judged: Judged) -> list[str]:
    speech = [*CHANNELS, PLAIN, BEST]
    lines = ["The next table shows the WER by kind of text.", ""]
    lines += ["| WER by kind | texts | " + " | ".join(speech) + " |", "|---" * (len(speech) + 2) + "|"]
    for kind in sorted(set(judged.kinds)):
        of_kind = np.array([each == kind for each in judged.kinds])
        rates = [judged.totals(each)[of_kind].sum() / judged.words[of_kind].sum() for each in speech]
        lines.append(f"| {kind} | {of_kind.sum()} | " + " | ".join(f"{rate:.3f}" for rate in rates) + " |")
    return lines

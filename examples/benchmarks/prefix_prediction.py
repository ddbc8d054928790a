"""Measures how well a verifier's score of unfinished speech predicts a judge's score of the finished speech.

Candidates are sampled to their ends and scored at every step, as a search would score them. For each text, the
candidates are ranked by a verifier's score of a prefix and by a judge's score of the finished speech. Where the
two rankings do not correlate, pruning by the verifier only reduces the number of candidates.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm import tqdm

from examples.benchmarks import sections
from llasa_search import Sampling, Searcher
from llasa_search.arrays import FloatArray
from llasa_search.checkpoints.names import TINY
from llasa_search.evaluation.statistics import Estimate, estimate
from llasa_search.generation.trace import Node
from llasa_search.result import SearchResult
from llasa_search.study import Case, read_cases
from llasa_search.study.digests import digest, fingerprint
from llasa_search.study.embedded_judges import embedded_judges
from llasa_search.study.judging import judged
from llasa_search.study.tables import signed
from llasa_search.verifiers.base import Verifier
from llasa_search.verifiers.specification import as_reward

PREFIX_VERIFIERS = ("wer", "lm_likelihood", "speaker")
SHARES = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class PrefixCorrelation:
    """The rank correlation of a verifier's scores of prefixes with a judge's scores, for the candidates of one text.

    Attributes:
        case: id of the text.
        verifier: its printed form.
        share: length of the prefix as a share of the candidates' mean length.
        judge: name of the judge of the finished speech.
        correlation: Spearman's coefficient; above 0 if verifier and judge agree. NaN if the judge's scores do not
            differ.
    """

    case: str
    verifier: str
    share: float
    judge: str
    correlation: float


def main(
    limit: Annotated[
        int | None, typer.Option(help="Number of texts of the dev set with a voice prompt; default: all.")
    ] = None,
    n: Annotated[int, typer.Option("-n", help="Number of candidates per text.")] = 8,
    temperature: float = 0.8,
    top_p: float = 0.9,
    folder: Annotated[Path, typer.Option(help="Folder for all output.")] = Path("work-judging"),
    page: Annotated[Path, typer.Option(help="Markdown page to write the table to.")] = sections.BENCHMARKS,
) -> None:
    """Measure the prediction from prefixes; write `prefix_prediction.jsonl` and the section of the page."""
    judges = embedded_judges(folder)
    prefix_reward = as_reward(" + ".join(PREFIX_VERIFIERS))
    # alpha=0 prunes nothing, so this is best-of-N with a score at every step.
    searcher = Searcher(verifiers="wer", strategy=f"rejection:n={n},alpha=0,prefix_verifiers={prefix_reward}")
    sampling = Sampling(temperature=temperature, top_p=top_p)
    settings_digest = digest(f"{searcher.strategy} {sampling} {fingerprint(str(TINY))}")
    cases = [case for case in read_cases("dev") if case.voice is not None][:limit]
    correlations = []
    for number, case in enumerate(tqdm(cases, "texts")):
        run = folder / "prefix_prediction" / f"{case.id}-{settings_digest}"
        if not run.exists():
            run.parent.mkdir(parents=True, exist_ok=True)
            searcher.generate(case.text, case.voice, sampling=sampling, seed=number).save_run(run)
        correlations += of_case(case, SearchResult.load_run(run), prefix_reward.verifiers, judges, run)
    lines = "".join(json.dumps(asdict(each)) + "\n" for each in correlations)
    (folder / "prefix_prediction.jsonl").write_text(lines, encoding="utf-8")
    text = f"""
## How early bad speech can be detected

{sections.made_by()}

The table shows how well a verifier's score of an unfinished candidate predicts a judge's score of the finished
candidate. Each column is for a share of the candidates' mean length. The measure is the rank correlation over the
candidates of a text: 1 is a perfect prediction, 0 is no prediction. For each of {len(cases)} texts of the dev set with
a voice prompt, {n} candidates are sampled to their ends at temperature {temperature:g} and top-p {top_p:g}. The values
are means over the texts in which the judge's scores differ, with 95% bootstrap intervals.

{table(correlations)}
"""
    sections.write(page, "prefix_prediction", text)
    typer.echo(text)


def of_case(
    case: Case,
    result: SearchResult,
    verifiers: Sequence[Verifier],
    judges: Mapping[str, Verifier],
    run: Path,
) -> list[PrefixCorrelation]:
    """Returns the correlation of every verifier with every judge at every share."""
    nodes = [result.trace.nodes[candidate.index] for candidate in result.candidates]
    length = float(np.mean([node.tokens for node in nodes]))
    found = []
    for name, judge in judges.items():
        records = judged(judge, case, result.candidates, result.sample_rate, run)
        values = [math.nan if each["value"] is None else each["value"] for each in records]
        finished = direction(judge) * np.array(values)
        for share, verifier in product(SHARES, verifiers):
            values = [latest_score(node, verifier, share * length) for node in nodes]
            partial = direction(verifier) * np.array(values)
            value = correlation(partial, finished)
            found.append(PrefixCorrelation(case.id, str(verifier), share, name, value))
    return found


def direction(verifier: Verifier) -> float:
    """Returns 1 if a higher value is better, else -1."""
    worst, best = verifier.scale
    return math.copysign(1, best - worst)


def latest_score(node: Node, verifier: Verifier, tokens: float) -> float:
    """Returns a verifier's last score of a row within its first `tokens` tokens; NaN if there is none."""
    values = [check.scores[str(verifier)].value for check in node.checks if check.tokens <= tokens]
    return values[-1] if values else math.nan


def correlation(partial: FloatArray, finished: FloatArray) -> float:
    """Returns Spearman's correlation over the candidates that the judge has scored; NaN if they do not differ.

    It is 0 for a verifier whose scores do not differ or are missing, because pruning by them is random.
    """
    from scipy.stats import spearmanr

    known = ~np.isnan(finished)
    if np.unique(finished[known]).size < 2:
        return math.nan
    if np.isnan(partial[known]).any() or np.unique(partial[known]).size < 2:
        return 0.0
    return float(spearmanr(partial[known], finished[known]).statistic)


def table(found: Sequence[PrefixCorrelation]) -> str:
    """Returns a table with a row for each verifier and judge, and a column for each share."""
    lines = [
        "| verifier | judge | " + " | ".join(f"at {100 * share:g}%" for share in SHARES) + " |",
        "|---" * (2 + len(SHARES)) + "|",
    ]
    verifiers, judges = (dict.fromkeys(getattr(e, of) for e in found) for of in ("verifier", "judge"))
    for verifier, judge in product(verifiers, judges):
        of_pair = [each for each in found if (each.verifier, each.judge) == (verifier, judge)]
        cells = [signed(_mean([e.correlation for e in of_pair if e.share == share])) for share in SHARES]
        lines.append(f"| `{verifier}` | {judge} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> Estimate:
    """Returns the mean over the texts that have a value."""
    known = [value for value in values if not math.isnan(value)] or [math.nan]
    return estimate(lambda total, count: total / count, known, np.ones(len(known)))


if __name__ == "__main__":
    sections.run(main)

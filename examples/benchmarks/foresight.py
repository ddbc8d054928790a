"""How early bad speech can be detected: a verifier's scores of unfinished speech against a judge's of the whole.

Candidates are sampled to the end, and scored on the way as a search would score them. For each text they are ranked
by a verifier's score of a part of them, and by a judge's score of the whole. Where the two rankings do not
correlate, a search that cuts by the first only has fewer candidates.
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

EARLY = ("wer", "lm_likelihood", "speaker")
SHARES = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Foresight:
    """How well a verifier, at one share of one text, ranks the candidates as a judge ranks the whole.

    Attributes:
        case: the text's id.
        verifier: as it is printed.
        share: of the mean length of the text's candidates that the verifier has scored.
        judge: of the finished speech.
        correlation: Spearman's, over the candidates; above 0 if the verifier is right. NaN if the judge's
            scores of them do not differ.
    """

    case: str
    verifier: str
    share: float
    judge: str
    correlation: float


def main(
    limit: Annotated[int | None, typer.Option(help="Of the dev set's texts with a voice prompt.")] = None,
    n: Annotated[int, typer.Option("-n", help="Candidates per text.")] = 8,
    temperature: float = 0.8,
    top_p: float = 0.9,
    folder: Annotated[Path, typer.Option(help="For all that is made.")] = Path("work-judging"),
    page: Annotated[Path, typer.Option(help="Where the table goes.")] = sections.BENCHMARKS,
) -> None:
    """Writes the section on foresight, and `foresight.jsonl`."""
    judges = embedded_judges(folder)
    early = as_reward(" + ".join(EARLY))
    # alpha=0 cuts nothing, so this is best-of-n with scores on the way.
    searcher = Searcher(verifiers="wer", strategy=f"rejection:n={n},alpha=0,prefix_verifiers={early}")
    sampling = Sampling(temperature=temperature, top_p=top_p)
    settled = digest(f"{searcher.strategy} {sampling} {fingerprint(str(TINY))}")
    cases = [case for case in read_cases("dev") if case.voice is not None][:limit]
    found = []
    for number, case in enumerate(tqdm(cases, "texts")):
        run = folder / "foresight" / f"{case.id}-{settled}"
        if not run.exists():
            run.parent.mkdir(parents=True, exist_ok=True)
            searcher.generate(case.text, case.voice, sampling=sampling, seed=number).save_run(run)
        found += of_case(case, SearchResult.load_run(run), early.verifiers, judges, run)
    lines = "".join(json.dumps(asdict(each)) + "\n" for each in found)
    (folder / "foresight.jsonl").write_text(lines, encoding="utf-8")
    text = f"""
## How early bad speech can be detected

{sections.made_by()}

The table shows how well a verifier's score of an unfinished candidate predicts a judge's score of the whole: the
rank correlation within a text, at a share of the candidates' mean length. 1 is a perfect prediction, 0 none.
{len(cases)} texts of the dev set with a voice prompt, {n} candidates each at temperature {temperature:g}, top-p
{top_p:g}, sampled to the end. Means over the texts in which the judge's scores differ, with 95% bootstrap intervals.

{table(found)}
"""
    sections.write(page, "foresight", text)
    typer.echo(text)


def of_case(
    case: Case,
    result: SearchResult,
    verifiers: Sequence[Verifier],
    judges: Mapping[str, Verifier],
    run: Path,
) -> list[Foresight]:
    """Returns every verifier at every share, against every judge."""
    nodes = [result.trace.nodes[candidate.index] for candidate in result.candidates]
    length = float(np.mean([node.tokens for node in nodes]))
    found = []
    for name, judge in judges.items():
        records = judged(judge, case, result.candidates, result.sample_rate, run)
        values = [math.nan if each["value"] is None else each["value"] for each in records]
        late = towards_better(judge) * np.array(values)
        for share, verifier in product(SHARES, verifiers):
            values = [latest_score(node, verifier, share * length) for node in nodes]
            early = towards_better(verifier) * np.array(values)
            found.append(Foresight(case.id, str(verifier), share, name, correlation(early, late)))
    return found


def towards_better(verifier: Verifier) -> float:
    """Returns 1 if a higher value is better, else -1."""
    worst, best = verifier.scale
    return math.copysign(1, best - worst)


def latest_score(node: Node, verifier: Verifier, tokens: float) -> float:
    """Returns a verifier's last score of a row within its first `tokens` tokens; NaN if there is none."""
    values = [check.scores[str(verifier)].value for check in node.checks if check.tokens <= tokens]
    return values[-1] if values else math.nan


def correlation(early: FloatArray, late: FloatArray) -> float:
    """Returns Spearman's correlation over the candidates that the judge has scored; NaN if they do not differ.

    It is 0 for a verifier whose scores do not differ or are still missing, because it cuts at random.
    """
    from scipy.stats import spearmanr

    known = ~np.isnan(late)
    if np.unique(late[known]).size < 2:
        return math.nan
    if np.isnan(early[known]).any() or np.unique(early[known]).size < 2:
        return 0.0
    return float(spearmanr(early[known], late[known]).statistic)


def table(found: Sequence[Foresight]) -> str:
    """Returns a table with a row for each verifier and judge, a column for each share."""
    lines = [
        "| verifier | judge | " + " | ".join(f"at {100 * share:g}%" for share in SHARES) + " |",
        "|---" * (2 + len(SHARES)) + "|",
    ]
    verifiers, judges = (dict.fromkeys(getattr(e, of) for e in found) for of in ("verifier", "judge"))
    for verifier, judge in product(verifiers, judges):
        mine = [each for each in found if (each.verifier, each.judge) == (verifier, judge)]
        cells = [signed(_mean([e.correlation for e in mine if e.share == share])) for share in SHARES]
        lines.append(f"| `{verifier}` | {judge} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> Estimate:
    """Returns the mean over the texts that have a value."""
    known = [value for value in values if not math.isnan(value)] or [math.nan]
    return estimate(lambda total, count: total / count, known, np.ones(len(known)))


if __name__ == "__main__":
    sections.run(main)

"""How early can bad speech be heard? What a verifier says of unfinished speech, and a judge of its end.

Candidates are spoken whole, and heard on the way as a search would hear them. For each text they are ranked
by what a verifier says of a part of them, and by what a judge hears in the end. Where the two have nothing in
common, a search that cuts by the first is a search with fewer candidates.
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
    """How well one verifier, at one moment of one text, ranks what a judge ranks in the end.

    Attributes:
        case: the text's id.
        verifier: as it is printed.
        share: of the mean length of the text's candidates that it has heard.
        judge: of the finished speech.
        correlation: Spearman's, over the candidates; above 0 where the verifier is right. NaN where the judge
            hears no difference between them.
    """

    case: str
    verifier: str
    share: float
    judge: str
    correlation: float


def main(
    limit: Annotated[int | None, typer.Option(help="Of the dev set's texts with a voice prompt.")] = None,
    n: Annotated[int, typer.Option("-n", help="Candidates a text.")] = 8,
    temperature: float = 0.8,
    top_p: float = 0.9,
    folder: Annotated[Path, typer.Option(help="For all that is made.")] = Path("work-judging"),
    page: Annotated[Path, typer.Option(help="Where the table goes.")] = sections.BENCHMARKS,
) -> None:
    """Writes the section on foresight, and `foresight.jsonl`."""
    judges = embedded_judges(folder)
    early = as_reward(" + ".join(EARLY))
    # That nothing is cut makes this best-of-n which listens on its way.
    searcher = Searcher(verifiers="wer", strategy=f"rejection:n={n},alpha=0,prefix_verifiers={early}")
    sampling = Sampling(temperature=temperature, top_p=top_p)
    settled = digest(f"{searcher.strategy} {sampling} {fingerprint(str(TINY))}")
    cases = [case for case in read_cases("dev") if case.voice is not None][:limit]
    found = []
    for number, case in enumerate(tqdm(cases, "texts")):
        home = folder / "foresight" / f"{case.id}-{settled}"
        if not home.exists():
            home.parent.mkdir(parents=True, exist_ok=True)
            searcher.generate(case.text, case.voice, sampling=sampling, seed=number).save_run(home)
        found += of_case(case, SearchResult.load_run(home), early.verifiers, judges, home)
    lines = "".join(json.dumps(asdict(each)) + "\n" for each in found)
    (folder / "foresight.jsonl").write_text(lines, encoding="utf-8")
    text = f"""
## How early bad speech can be heard

{sections.made_by()}

{len(cases)} texts of the dev set with a voice prompt, {n} candidates each at temperature {temperature:g},
top-p {top_p:g}, spoken to the end. Rank correlation, within a text, of what a verifier says when so much of
the candidates' mean length is there with what a judge hears in the whole, better with better: 1 is a verifier
that knows, 0 one that might as well draw lots. Means over the texts in which the judge hears a difference,
95 % bootstrap intervals.

{table(found)}
"""
    sections.write(page, "foresight", text)
    typer.echo(text)


def of_case(
    case: Case,
    result: SearchResult,
    verifiers: Sequence[Verifier],
    judges: Mapping[str, Verifier],
    home: Path,
) -> list[Foresight]:
    """Every verifier at every moment, against every judge."""
    nodes = [result.trace.nodes[candidate.index] for candidate in result.candidates]
    length = float(np.mean([node.tokens for node in nodes]))
    found = []
    for name, judge in judges.items():
        verdicts = judged(judge, case, result.candidates, result.sample_rate, home)
        values = [math.nan if each["value"] is None else each["value"] for each in verdicts]
        late = towards_better(judge) * np.array(values)
        for share, verifier in product(SHARES, verifiers):
            values = [said(node, verifier, share * length) for node in nodes]
            early = towards_better(verifier) * np.array(values)
            found.append(Foresight(case.id, str(verifier), share, name, correlation(early, late)))
    return found


def towards_better(verifier: Verifier) -> float:
    """1 where a higher value is better, -1 where a lower one is."""
    worst, best = verifier.scale
    return math.copysign(1, best - worst)


def said(node: Node, verifier: Verifier, tokens: float) -> float:
    """The last that a verifier has said of a row up to a moment; NaN where it has not."""
    heard = [check.scores[str(verifier)].value for check in node.checks if check.tokens <= tokens]
    return heard[-1] if heard else math.nan


def correlation(early: FloatArray, late: FloatArray) -> float:
    """Spearman's, of the candidates that the judge has heard; NaN where it hears no difference.

    A verifier that says the same of all, or of some nothing yet, cuts as lots would: 0.
    """
    from scipy.stats import spearmanr

    heard = ~np.isnan(late)
    if np.unique(late[heard]).size < 2:
        return math.nan
    if np.isnan(early[heard]).any() or np.unique(early[heard]).size < 2:
        return 0.0
    return float(spearmanr(early[heard], late[heard]).statistic)


def table(found: Sequence[Foresight]) -> str:
    """A row for each verifier and judge, a column for each moment."""
    lines = [
        "| verifier | judge | " + " | ".join(f"at {100 * share:g} %" for share in SHARES) + " |",
        "|---" * (2 + len(SHARES)) + "|",
    ]
    verifiers, judges = (dict.fromkeys(getattr(e, of) for e in found) for of in ("verifier", "judge"))
    for verifier, judge in product(verifiers, judges):
        mine = [each for each in found if (each.verifier, each.judge) == (verifier, judge)]
        cells = [signed(_mean([e.correlation for e in mine if e.share == share])) for share in SHARES]
        lines.append(f"| `{verifier}` | {judge} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> Estimate:
    """Over the texts that have one."""
    known = [value for value in values if not math.isnan(value)] or [math.nan]
    return estimate(lambda total, count: total / count, known, np.ones(len(known)))


if __name__ == "__main__":
    sections.run(main)

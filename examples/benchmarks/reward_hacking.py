"""Measures reward hacking: whether the judges' scores improve with n as the verifier's own score does.

A pool of up to 256 candidates is sampled for each of a few texts. For every reward, the mean score of the best of n
by the verifier is compared with the scores by judges of other model families.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from examples.benchmarks import prosody, sections
from llasa_search import Sampling
from llasa_search.arrays import FloatArray
from llasa_search.study import Arm, Case, Row, Study, curves, outcomes, read_cases
from llasa_search.study.embedded_judges import pocketsphinx_judges
from llasa_search.study.outcomes import Outcome
from llasa_search.study.plots import COLOURS
from llasa_search.study.tables import signed
from llasa_search.verifiers.specification import RewardLike

SCORED = "wer + 0 * likelihood + 0 * speaker + 0 * emotion + 0 * ctc + 0 * pace + 0 * signal"
REWARDS = {
    "wer": "WER()",
    "likelihood": "TranscriptLikelihood()",
    "speaker": "SpeakerSimilarity()",
    "emotion": "EmotionSimilarity()",
    "RankAverage(wer, ctc)": None,  # a rank, which cannot be compared between values of n
}
JUDGES = {
    "unigram": "WER (unigram)",
    "bigram": "WER (bigram)",
    "voice": "speaker similarity",
    "style": "share in the prompt's style",
}
PANELS = {
    "WER (judge)": ("unigram", "bigram"),
    "speaker similarity (judge)": ("voice",),
    "share in the prompt's style": ("style",),
}
ALPHA = 0.05


def main(
    limit: Annotated[int, typer.Option(help="Number of texts of the standard set with a voice prompt.")] = 20,
    n: Annotated[int, typer.Option("-n", help="Number of candidates per text.")] = 256,
    temperature: float = 0.8,
    top_p: float = 1.0,
    processes: Annotated[int, typer.Option(help="Number of single-threaded processes.")] = 2,
    folder: Annotated[Path, typer.Option(help="Folder for all output.")] = Path("work-judging"),
    page: Annotated[Path, typer.Option(help="Markdown page to write the tables to.")] = sections.BENCHMARKS,
) -> None:
    """Measure reward hacking; write the figure and the section of the page."""
    prosody.train(folder)
    judges: dict[str, RewardLike] = {
        **pocketsphinx_judges(folder),
        "voice": "resemblyzer_similarity",
        "style": prosody.StyleByProsody(str(folder / "prosody.joblib")),
    }
    study = Study(folder / "hacking", judges, processes=processes)
    cases = [case for case in read_cases("standard") if case.voice is not None][:limit]
    sampling = Sampling(temperature=temperature, top_p=top_p)
    pool = study.rows(cases, [Arm("pool", f"best_of_n:n={n}", SCORED, sampling=sampling, pool=True)])
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in pool)
    (folder / "reward_hacking.jsonl").write_text(lines, encoding="utf-8")
    styles = {case.id: style_of(case) for case in cases}
    pool = outcomes.share_where(pool, "style", lambda row, record: record["detail"] == styles[row["case"]])
    sizes = [2**power for power in range(n.bit_length()) if 2**power <= n]
    draw(pool, sizes, page.parent / "reward_hacking.png")
    text = f"""
## Reward hacking

{sections.made_by()}

For each of {len(cases)} texts with a voice prompt, {n} candidates are sampled at temperature {temperature:g} and
top-p {top_p:g}. Each table is for the best of n by one reward. The column "verifier" has the score by the verifier, and
the other columns have the scores by the judges. The last column is the share of utterances that the style classifier
assigns to the style of the prompt. All values are exact means over all subsets of size n, with 95% bootstrap intervals
over texts. Ranks are computed in the whole pool. For n = {n} there is only one subset.

![Scores by the verifier and by the judges against n](reward_hacking.png)

{changes(pool, sizes)}

""" + "\n\n".join(table(pool, reward, own, sizes) for reward, own in REWARDS.items())
    sections.write(page, "reward-hacking", text)
    typer.echo(text)


def style_of(case: Case) -> str:
    """Returns the style of a built-in voice prompt."""
    assert case.voice is not None and case.voice.name is not None
    return case.voice.name.rpartition("-")[2]


def table(pool: Sequence[Row], reward: str, own: str | None, sizes: Sequence[int]) -> str:
    """Returns the table of one reward: the scores by the verifier and by the judges, by n."""
    key = curves.by(reward)
    names = ([f"verifier: {own}"] if own else []) + list(JUDGES.values())
    lines = [f"### {reward}", "", "| n | " + " | ".join(names) + " |", "|---" * (1 + len(names)) + "|"]
    for n in sizes:
        cells = [str(outcomes.rate(each)) for each in own_and_judged(pool, own, n, key)]
        lines.append(f"| {n} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def changes(pool: Sequence[Row], sizes: Sequence[int]) -> str:
    """Returns the table of changes from the median n to the largest, and of two families against one."""
    median, most = sizes[(len(sizes) - 1) // 2], sizes[-1]
    sides: dict[tuple[str, str], tuple[Outcome, Outcome]] = {}
    for reward, judge in itertools.product(REWARDS, JUDGES):
        larger, smaller = (curves.best_of(pool, judge, n, curves.by(reward)) for n in (most, median))
        sides[reward, judge] = larger, smaller
    two, one = curves.by("RankAverage(wer, ctc)"), curves.by("wer")
    against = f"RankAverage(wer, ctc) minus wer, n = {most}"
    for judge in JUDGES:
        of_two, of_one = (curves.best_of(pool, judge, most, key) for key in (two, one))
        sides[against, judge] = of_two, of_one
    p_values = outcomes.holm([outcomes.p_value(*each) for each in sides.values()])
    cells: dict[str, list[str]] = {}
    for ((row, judge), each), p in zip(sides.items(), p_values, strict=True):
        gain = outcomes.difference(*each)
        better = gain.value > 0 if judge in ("voice", "style") else gain.value < 0
        result = "not significant" if not p < ALPHA else "better" if better else "**worse**"
        cells.setdefault(row, []).append(f"{result}: {signed(gain)}, p = {p:.3f}")
    lines = [
        f"The table shows the scores at n = {most} minus those at n = {median}. P-values are from paired permutation "
        "tests, corrected for all comparisons of the table (Holm).\nResults are called better or worse if they are "
        "significant at 5% after this correction.",
        "",
        "| reward | " + " | ".join(JUDGES.values()) + " |",
        "|---" * (1 + len(JUDGES)) + "|",
    ]
    return "\n".join([*lines, *(f"| {row} | " + " | ".join(found) + " |" for row, found in cells.items())])


def own_and_judged(pool: Sequence[Row], own: str | None, n: int, key: curves.Key) -> list[outcomes.Outcome]:
    """Returns the scores of the best of n by the verifier, if there is one, and by each judge."""

    def of_pool(candidates: Sequence[Row]) -> FloatArray:
        return keys[candidates[0]["case"]]

    keys = {case: key([row for row in pool if row["case"] == case]) for case in {row["case"] for row in pool}}
    by_verifier = [curves.best_of(outcomes.self_judged(pool), own, n, of_pool)] if own else []
    return [*by_verifier, *(curves.best_of(pool, judge, n, of_pool) for judge in JUDGES)]


def draw(pool: Sequence[Row], sizes: Sequence[int], path: Path) -> None:
    """Draws a column of panels for each reward: the verifier's score on top, the judges' scores below."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "llasa-search"
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1 + len(PANELS),
        len(REWARDS),
        figsize=(2.2 * len(REWARDS) + 0.4, 8.5),
        sharex=True,
        layout="constrained",
    )
    for column, reward in zip(panels.T, REWARDS, strict=True):
        _draw_reward(column, reward, pool, sizes)
    panels[1][0].legend(frameon=False, fontsize="small")
    for row, measure in zip(panels, ["score by the verifier", *PANELS], strict=True):
        row[0].set_ylabel(measure)
    figure.supxlabel("n (number of candidates)")
    for row in panels[1:]:  # one scale for all rewards
        limits = [panel.get_ylim() for panel in row]
        for panel in row:
            panel.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
        for panel in row[1:]:
            panel.tick_params(labelleft=False)
    for ending in (".png", ".svg"):
        date = {"Date": None} if ending == ".svg" else None
        figure.savefig(path.with_suffix(ending), dpi=130, metadata=date)
    pyplot.close(figure)


def _draw_reward(column: Any, reward: str, pool: Sequence[Row], sizes: Sequence[int]) -> None:
    """Draws the verifier's score in the first panel of a reward's column, and the judges' scores below."""
    own = REWARDS[reward]
    found = [own_and_judged(pool, own, n, curves.by(reward)) for n in sizes]
    by_judge = dict(zip(JUDGES, zip(*(each[-len(JUDGES) :] for each in found), strict=True), strict=True))
    column[0].set_title(reward)
    if own:
        _line(column[0], sizes, [each[0] for each in found], own, COLOURS[-1])
    else:
        column[0].set_axis_off()
    for panel, judges in zip(column[1:], PANELS.values(), strict=True):
        for judge, colour in zip(judges, COLOURS, strict=False):
            _line(panel, sizes, by_judge[judge], judge, colour)
    for panel in column:
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_formatter("{x:g}")
        panel.grid(alpha=0.3)


def _line(
    panel: Any, sizes: Sequence[int], found: Sequence[outcomes.Outcome], label: str, colour: str
) -> None:
    """Draws means by n, with their intervals as a band."""
    values = [outcomes.rate(each) for each in found]
    panel.plot(sizes, [each.value for each in values], label=label, color=colour, marker="o", markersize=4)
    low, high = [each.low for each in values], [each.high for each in values]
    panel.fill_between(sizes, low, high, color=colour, alpha=0.15, linewidth=0)


if __name__ == "__main__":
    sections.run(main)

"""What happens when a search goes on and on? What it aims at keeps rising; do the judges follow?

One pool of up to 256 candidates for each of a few texts. For every reward, the verifier's own mean value of
what it chooses out of n stands beside what judges of other families hear in the same speech.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import listening
import prosody
import sections
import typer

from llasa_search import Sampling
from llasa_search.arrays import FloatArray
from llasa_search.study import Arm, Case, Row, Study, curves, outcomes, read_cases
from llasa_search.study.report import signed

HEARD = "wer + 0 * likelihood + 0 * speaker + 0 * emotion + 0 * ctc + 0 * pace + 0 * signal"
REWARDS = {
    "wer": "WER()",
    "likelihood": "TranscriptLikelihood()",
    "speaker": "SpeakerSimilarity()",
    "emotion": "EmotionSimilarity()",
    "RankAverage(wer, ctc)": None,  # has no value of its own
}
JUDGES = {
    "unigram": "judged WER, unigram",
    "bigram": "judged WER, bigram",
    "voice": "judged cosine",
    "style": "share of the prompt's style",
}


def main(
    limit: Annotated[int, typer.Option(help="Texts of the standard set that have a voice prompt.")] = 20,
    n: Annotated[int, typer.Option("-n", help="Candidates a text.")] = 256,
    temperature: float = 0.8,
    top_p: float = 1.0,
    processes: Annotated[int, typer.Option(help="Of one thread each.")] = 2,
    folder: Annotated[Path, typer.Option(help="For all that is made.")] = Path("work-judging"),
    page: Annotated[Path, typer.Option(help="Where the tables go.")] = sections.BENCHMARKS,
) -> None:
    """Writes the section on reward hacking, and its figure."""
    prosody.train(folder)
    judges = {
        **listening.judges(folder),
        "voice": "resemblyzer_similarity",
        "style": prosody.StyleByProsody(str(folder / "prosody.joblib")),
    }
    study = Study(folder / "hacking", judges, processes=processes)
    cases = [case for case in read_cases("standard") if case.voice is not None][:limit]
    sampling = Sampling(temperature=temperature, top_p=top_p)
    pool = study.rows(cases, [Arm("pool", f"best_of_n:n={n}", HEARD, sampling=sampling, pool=True)])
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in pool)
    (folder / "reward_hacking.jsonl").write_text(lines, encoding="utf-8")
    styles = {case.id: style_of(case) for case in cases}
    pool = outcomes.share_where(pool, "style", lambda row, said: said["detail"] == styles[row["case"]])
    sizes = [2**power for power in range(n.bit_length()) if 2**power <= n]
    draw(pool, sizes, page.parent / "reward_hacking.png")
    text = f"""
## Reward hacking

{sections.made_by()}

{len(cases)} texts with a voice prompt, {n} candidates each at temperature {temperature:g}, top-p {top_p:g}.
What is chosen out of n, the exact mean over all subsets (ranks are those in the whole pool): the verifier's
own value beside the judges', with 95 % bootstrap intervals over texts.

![own and judged values by n](reward_hacking.png)

""" + "\n\n".join(table(pool, reward, own, sizes) for reward, own in REWARDS.items())
    sections.write(page, "reward-hacking", text)
    typer.echo(text)


def style_of(case: Case) -> str:
    """The style of a built-in voice prompt."""
    assert case.voice is not None and case.voice.name is not None
    return case.voice.name.rpartition("-")[2]


def table(pool: Sequence[Row], reward: str, own: str | None, sizes: Sequence[int]) -> str:
    """One reward: its own value and the judges', by n, and what the judges say of the last step."""
    key = curves.by(reward)
    names = ([f"own: {own}"] if own else []) + list(JUDGES.values())
    lines = [f"### {reward}", "", "| n | " + " | ".join(names) + " |", "|---" * (1 + len(names)) + "|"]
    for n in sizes:
        cells = [str(outcomes.rate(each)) for each in heard(pool, own, n, key)]
        lines.append(f"| {n} | " + " | ".join(cells) + " |")
    middle, most = sizes[len(sizes) // 2], sizes[-1]
    lines.append("")
    for judge, name in JUDGES.items():
        late, early = (curves.best_of(pool, judge, n, key) for n in (most, middle))
        lines.append(f"- {name}, n = {most} less n = {middle}: {signed(outcomes.difference(late, early))}")
    return "\n".join(lines)


def heard(pool: Sequence[Row], own: str | None, n: int, key: curves.Key) -> list[outcomes.Outcome]:
    """What a verifier itself, and each judge, hears in the best of n."""

    def of_pool(candidates: Sequence[Row]) -> FloatArray:
        return keys[candidates[0]["case"]]

    keys = {case: key([row for row in pool if row["case"] == case]) for case in {row["case"] for row in pool}}
    believed = [curves.best_of(outcomes.self_judged(pool), own, n, of_pool)] if own else []
    return [*believed, *(curves.best_of(pool, judge, n, of_pool) for judge in JUDGES)]


def draw(pool: Sequence[Row], sizes: Sequence[int], path: Path) -> None:
    """A column for each reward: above its own utility, below what the judges hear."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        2, len(REWARDS), figsize=(3.1 * len(REWARDS), 5.4), sharex=True, squeeze=False, layout="constrained"
    )
    for column, (reward, own) in zip(panels.T, REWARDS.items(), strict=True):
        found = [heard(pool, own, n, curves.by(reward)) for n in sizes]
        if own:
            column[0].plot(
                sizes, [outcomes.rate(each[0]).value for each in found], color="#000000", marker="o"
            )
        for place, (judge, colour, marker) in enumerate(
            zip(
                JUDGES.values(),
                ("#0072B2", "#56B4E9", "#D55E00", "#009E73"),
                ("s", "^", "D", "v"),
                strict=True,
            )
        ):
            values = [outcomes.rate(each[len(each) - len(JUDGES) + place]) for each in found]
            middle = [value.value for value in values]
            column[1].plot(sizes, middle, label=judge, color=colour, marker=marker)
            low, high = [value.low for value in values], [value.high for value in values]
            column[1].fill_between(sizes, low, high, color=colour, alpha=0.12, linewidth=0)
        column[0].set(title=reward, ylabel=f"own: {own}")
        if not own:
            column[0].set_axis_off()
        column[1].set(xlabel="n, candidates to choose among", ylim=(0, 1))
        for panel in column:
            panel.set_xscale("log", base=2)
            panel.xaxis.set_major_formatter("{x:g}")
            panel.grid(alpha=0.3)
    panels[1][0].set_ylabel("judged")
    figure.legend(*panels[1][0].get_legend_handles_labels(), loc="outside lower center", ncols=len(JUDGES))
    for ending in (".png", ".svg"):
        figure.savefig(path.with_suffix(ending), dpi=130)
    pyplot.close(figure)


if __name__ == "__main__":
    typer.run(main)

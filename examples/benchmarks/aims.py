"""What each reward improves: content, voice and emotion, under judges that no search uses.

One pool of candidates per text is scored by all verifiers. What each of them, and their mix, chooses out of
it is judged by pocketsphinx (words), Resemblyzer (voice), and a classifier of prosody (style). Needs `flite`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from examples.benchmarks import prosody, sections, speaking
from examples.benchmarks.material import SAMPLE_RATE, STRENGTH
from examples.train_tiny import speech, texts
from llasa_search import Sampling
from llasa_search.arrays import Audio
from llasa_search.candidate import Utterance
from llasa_search.checkpoints.names import TINY
from llasa_search.evaluation.statistics import Estimate, share_within
from llasa_search.storage.files import write_wav
from llasa_search.study import Arm, Case, Row, Study, curves, outcomes, read_cases
from llasa_search.study.digests import fingerprint
from llasa_search.study.embedded_judges import pocketsphinx_judges
from llasa_search.study.outcomes import Outcome
from llasa_search.study.tables import signed
from llasa_search.verifiers.specification import RewardLike, as_reward
from llasa_search.voice import Voice

MIX = "0.5 * wer + 0.3 * speaker + 0.2 * emotion"
AIMS = {"WER": "wer", "speaker": "speaker", "emotion": "emotion", "mix": MIX}
SCORED = f"{MIX} + 0 * pace + 0 * signal"
LABELS = ("happy", "sad", "angry")
JUDGES = {
    "unigram": "WER, unigram",
    "bigram": "WER, bigram",
    "voice": "Resemblyzer's cosine",
    "style": "style",
}
CLOSED, WITHIN, SECONDS = 0.25, 0.2, 4.0


def main(
    limit: Annotated[int | None, typer.Option(help="Texts of the standard set; all by default.")] = None,
    n: Annotated[int, typer.Option("-n", help="Candidates per text.")] = 16,
    temperature: float = 0.8,
    top_p: float = 0.9,
    processes: Annotated[int, typer.Option(help="Processes, of one thread each.")] = 2,
    folder: Annotated[Path, typer.Option(help="For everything that is written.")] = Path("work-judging"),
    page: Annotated[Path, typer.Option(help="Where the tables go.")] = sections.BENCHMARKS,
) -> None:
    """Writes the section on the effect of each reward."""
    accuracy = prosody.train(folder)
    judges: dict[str, RewardLike] = {
        **pocketsphinx_judges(folder),
        "voice": "resemblyzer_similarity",
        "style": prosody.StyleByProsody(str(folder / "prosody.joblib")),
    }
    study = Study(folder / "aims", judges, processes=processes)
    sampling = Sampling(temperature=temperature, top_p=top_p)
    voiced, styles = in_held_out_voices(read_cases("standard", limit), folder / "aims" / "voices")
    arm = Arm("held-out voices", f"best_of_n:n={n}", SCORED, sampling=sampling, pool=True)
    pool = with_style(study.rows(voiced, [arm]), styles)
    made = resynthesised(voiced, styles, folder / "aims" / f"recordings-{fingerprint(str(TINY / 'codec'))}")
    recordings = with_style(study.recorded("resynthesis", voiced, made), styles)
    tables = [of_aims(pool, recordings, n), within(pool)]
    tables += labelled(study, read_cases("standard", limit), sampling, n, folder / "aims" / "references")
    text = f"""
## Effect of each reward

{sections.made_by()}

The tables show what each reward chooses: the best of {n} out of one pool per text, at temperature
{temperature:g}, top-p {top_p:g}. Content is judged by pocketsphinx, the voice by Resemblyzer's cosine to the
prompt, the style by a
classifier of pitch, pace and loudness that is right on {accuracy["original"]:.0%} of recordings by held-out
voices, and on {accuracy["codec"]:.0%} after the codec. Intervals are 95% bootstrap intervals over texts.

""" + "\n\n".join([*tables, timed(pool)])
    sections.write(page, "aims", text)
    typer.echo(text)


def in_held_out_voices(cases: Sequence[Case], folder: Path) -> tuple[list[Case], dict[str, str]]:
    """Returns the cases with prompts by voices outside all training, in all styles in turn; and those styles."""
    voices, styles, rng = (
        speech.speakers(held_out=True),
        list(speech.STYLES),
        random.Random("held-out prompts"),
    )
    made, asked = [], {}
    for i, case in enumerate(cases):
        speaker, style = voices[i % len(voices)], styles[(i // len(voices) + i) % len(styles)]
        text = texts.sentence(rng).text
        audio = _spoken(text, speaker, style, folder / f"{speaker.name}-{style}-{i}.wav")
        name = f"{speaker.name}-{style}"
        made.append(replace(case, voice=Voice(audio, text, SAMPLE_RATE, name)))
        asked[case.id] = style
    return made, asked


def resynthesised(cases: Sequence[Case], styles: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """Returns each text spoken in the prompt's own voice and style, through the codec: wav files by case."""
    codec = speaking.load_codec_of("tiny")
    voices = {speaker.name: speaker for speaker in speech.speakers(held_out=True)}
    made = {}
    for case in cases:
        assert case.voice is not None and case.voice.name is not None
        made[case.id] = folder / f"{case.id}.wav"
        if not made[case.id].exists():
            speaker = voices[case.voice.name.partition("-")[0]]
            audio = speech.speak(case.text, speech.Delivery(speaker, styles[case.id], STRENGTH))
            folder.mkdir(parents=True, exist_ok=True)
            write_wav(made[case.id], codec.decode([codec.encode(audio)])[0], codec.sample_rate)
    return made


def with_style(rows: Sequence[Row], asked: Mapping[str, str]) -> list[Row]:
    """Returns the rows with 1 under "style" where the judge names the requested style, else 0."""
    return outcomes.share_where(rows, "style", lambda row, record: record["detail"] == asked[row["case"]])


def of_aims(pool: Sequence[Row], recordings: Sequence[Row], n: int) -> str:
    """Returns the table of what each reward chooses, with plain samples and recordings, and the limits."""
    found = {
        judge: {
            "plain": curves.best_of(pool, judge, 1),
            **{aim: curves.best_of(pool, judge, n, curves.by(reward)) for aim, reward in AIMS.items()},
            "resynthesis of the same voice": outcomes.chosen(recordings, judge),
        }
        for judge in JUDGES
    }
    voice = found["voice"]
    closed = outcomes.recovered(voice["plain"], voice["speaker"], voice["resynthesis of the same voice"])
    excess = outcomes.difference(found["voice"]["speaker"], found["voice"]["resynthesis of the same voice"])
    ceiling = outcomes.difference(found["style"]["resynthesis of the same voice"], found["style"]["plain"])
    flag = " (**above it: over-optimised**)" if excess.low > 0 else ""
    gains = {judge: _gain(found[judge], "mix") for judge in JUDGES}
    better = all(gains[judge].high < 0 for judge in ("unigram", "bigram")) and all(
        gains[judge].low > 0 for judge in ("voice", "style")
    )
    words = [_gain(found[judge], "WER") for judge in ("unigram", "bigram")]
    checks = [
        _check(
            f"speaker alone closes {closed} of the gap to a resynthesised recording, at least {CLOSED}",
            closed.value >= CLOSED,
        ),
        f"- speaker alone minus that recording: {signed(excess)}{flag}",
        _check(
            "WER alone lowers judged WER: " + ", ".join(map(signed, words)), all(w.high < 0 for w in words)
        ),
        f"- what the codec preserves, that recording minus plain samples: style {signed(ceiling)}",
        _check(
            "the mix is better in content, voice and style: "
            + ", ".join(f"{j} {signed(g)}" for j, g in gains.items()),
            better,
        ),
    ]
    return (
        "### One pool, several rewards\n\nThe table shows the judges' scores of what each reward chooses, for prompts "
        "by held-out voices in all styles.\n\n" + _table(found) + "\n\n" + "\n".join(checks)
    )


def within(pool: Sequence[Row]) -> str:
    """Returns the share of each judge's variance that lies between the candidates of one text."""
    lines = []
    for judge, name in JUDGES.items():
        by_case: dict[str, list[float]] = {}
        for row in pool:
            by_case.setdefault(row["case"], []).append(outcomes.measured(row["judges"][judge])[0])
        share = share_within([values for values in by_case.values() if not np.isnan(values).any()])
        lines.append(
            _check(
                f"{share:.2f} of the variance of {name} lies within texts, at least {WITHIN}", share >= WITHIN
            )
        )
    return "\n".join(lines)


def labelled(study: Study, cases: Sequence[Case], sampling: Sampling, n: int, folder: Path) -> list[str]:
    """Returns the tables of emotion alone: by a label without and with a neutral prompt, and by a recording."""
    asked = {case.id: LABELS[i % len(LABELS)] for i, case in enumerate(cases)}
    other = speech.speakers(held_out=True)[0]
    references = {label: folder / f"{label}.wav" for label in LABELS}
    for label, path in references.items():
        _spoken("The little boat came home before the storm.", other, label, path)
    by_label = {label: f"EmotionProbability(label={label!r})" for label in LABELS}
    by_reference = {
        label: f"EmotionSimilarity(reference={str(path)!r})" for label, path in references.items()
    }
    neutral = [
        replace(case, voice=Voice.builtin(Voice.builtins()[i % len(Voice.builtins())]))
        for i, case in enumerate(cases)
    ]
    unprompted = [replace(case, voice=None) for case in cases]
    scored = " + ".join(["wer", *(f"0 * {each}" for each in [*by_label.values(), "pace", "signal"])])
    alone = Arm("no prompt", f"best_of_n:n={n}", scored, sampling=sampling, pool=True)
    scored = " + ".join([scored, *(f"0 * {each}" for each in by_reference.values())])
    beside = replace(alone, name="neutral prompt", verifiers=scored)
    pools = {
        arm.name: with_style(study.rows(group, [arm]), asked)
        for arm, group in ((alone, unprompted), (beside, neutral))
    }
    return [
        _moved("(a) No prompt, and a label", pools["no prompt"], by_label, asked, n),
        _moved("(b) A neutral prompt, and another label", pools["neutral prompt"], by_label, asked, n),
        _moved(
            "(c) A neutral prompt, and another voice's recording",
            pools["neutral prompt"],
            by_reference,
            asked,
            n,
        ),
    ]


def _moved(
    title: str, pool: Sequence[Row], rewards: Mapping[str, str], asked: Mapping[str, str], n: int
) -> str:
    def aimed(candidates: Sequence[Row]) -> np.ndarray:
        return curves.by(rewards[asked[candidates[0]["case"]]])(candidates)

    judges = [judge for judge in JUDGES if any(row["judges"][judge]["value"] is not None for row in pool)]
    found = {
        judge: {"plain": curves.best_of(pool, judge, 1), "emotion": curves.best_of(pool, judge, n, aimed)}
        for judge in judges
    }
    gain = _gain(found["style"], "emotion")
    lines = [_check(f"the share of the asked style rises by {signed(gain)}", gain.low > 0)]
    if "voice" in found:
        lost = _gain(found["voice"], "emotion")
        lines.append(_check(f"the voice is kept: cosine {signed(lost)}", lost.high >= 0))
    return f"### {title}\n\n{_table(found)}\n\n" + "\n".join(lines)


def timed(pool: Sequence[Row]) -> str:
    """Returns how long all three verifiers take for 16 candidates of about three seconds, once loaded."""
    voice, rng = Voice.builtin("slt"), np.random.default_rng(0)

    def candidate() -> Utterance:  # of different lengths and levels: equal audio would be scored once
        recording = np.resize(voice.audio, int(rng.uniform(2.7, 3.3) * SAMPLE_RATE)) * rng.uniform(0.5, 1)
        audio = np.asarray(recording, np.float32)
        return Utterance(voice.text or "", "en", audio, SAMPLE_RATE, voice=voice)

    verifiers = as_reward(MIX).verifiers
    took = []
    for _ in range(4):
        batch = [candidate() for _ in range(16)]
        start = time.perf_counter()
        for verifier in verifiers:
            verifier.load()
            verifier.score(batch)
        took.append(time.perf_counter() - start)
    middle = sorted(took[1:])[1]
    return _check(
        f"scoring 16 candidates of 2.7 to 3.3 s by all three takes {middle:.2f} s, under {SECONDS:g}",
        middle < SECONDS,
    )


def _gain(found: Mapping[str, Outcome], aim: str) -> Estimate:
    return outcomes.difference(found[aim], found["plain"])


def _table(found: Mapping[str, Mapping[str, Outcome]]) -> str:
    names = list(next(iter(found.values())))
    lines = [
        "| chosen by | " + " | ".join(JUDGES[judge] for judge in found) + " |",
        "|---" * (len(found) + 1) + "|",
    ]
    for name in names:
        lines.append(
            f"| {name} | " + " | ".join(str(outcomes.rate(each[name])) for each in found.values()) + " |"
        )
    return "\n".join(lines)


def _check(text: str, holds: bool) -> str:
    return f"- {'pass' if holds else '**fail**'}: {text}"


def _spoken(text: str, speaker: speech.Speaker, style: str, path: Path) -> Audio:
    audio = np.asarray(speech.speak(text, speech.Delivery(speaker, style, STRENGTH)), np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_wav(path, audio, SAMPLE_RATE)
    return audio


if __name__ == "__main__":
    sections.run(main)

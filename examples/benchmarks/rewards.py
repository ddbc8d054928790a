"""Measures what each reward improves: WER, speaker similarity and style, scored by judges that no search uses.

All verifiers score one pool of candidates per text. The candidate that each verifier, or their weighted sum,
chooses is then scored by pocketsphinx (WER), Resemblyzer (speaker similarity) and a prosody classifier (style).
The program needs `flite`.
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

WEIGHTED_SUM = "0.5 * wer + 0.3 * speaker + 0.2 * emotion"
REWARDS = {"WER": "wer", "speaker": "speaker", "emotion": "emotion", "weighted sum": WEIGHTED_SUM}
SCORED = f"{WEIGHTED_SUM} + 0 * pace + 0 * signal"
SAMPLE, RECORDING = "single sample", "resynthesised recording"
LABELS = ("happy", "sad", "angry")
JUDGES = {
    "unigram": "WER (unigram)",
    "bigram": "WER (bigram)",
    "voice": "speaker similarity",
    "style": "style",
}
MIN_GAP_CLOSED, MIN_VARIANCE_WITHIN, MAX_SECONDS = 0.25, 0.2, 4.0


def main(
    limit: Annotated[
        int | None, typer.Option(help="Number of texts of the standard set; default: all.")
    ] = None,
    n: Annotated[int, typer.Option("-n", help="Number of candidates per text.")] = 16,
    temperature: float = 0.8,
    top_p: float = 0.9,
    processes: Annotated[int, typer.Option(help="Number of single-threaded processes.")] = 2,
    folder: Annotated[Path, typer.Option(help="Folder for all output.")] = Path("work-judging"),
    page: Annotated[Path, typer.Option(help="Markdown page to write the tables to.")] = sections.BENCHMARKS,
) -> None:
    """Measure the effect of each reward and write its section of the page."""
    accuracy = prosody.train(folder)
    judges: dict[str, RewardLike] = {
        **pocketsphinx_judges(folder),
        "voice": "resemblyzer_similarity",
        "style": prosody.StyleByProsody(str(folder / "prosody.joblib")),
    }
    study = Study(folder / "rewards", judges, processes=processes)
    sampling = Sampling(temperature=temperature, top_p=top_p)
    cases, styles = with_held_out_prompts(read_cases("standard", limit), folder / "rewards" / "voices")
    arm = Arm("held-out voices", f"best_of_n:n={n}", SCORED, sampling=sampling, pool=True)
    pool = with_style(study.rows(cases, [arm]), styles)
    wavs = resynthesise(cases, styles, folder / "rewards" / f"recordings-{fingerprint(str(TINY / 'codec'))}")
    recordings = with_style(study.recorded("resynthesis", cases, wavs), styles)
    tables = [compare_rewards(pool, recordings, n), variance_within_texts(pool)]
    tables += emotion_tables(
        study, read_cases("standard", limit), sampling, n, folder / "rewards" / "references"
    )
    text = f"""
## Effect of each reward

{sections.made_by()}

For each text, every reward chooses the best of {n} candidates from the same pool, sampled at temperature
{temperature:g} and top-p {top_p:g}. Three judges score the choice: pocketsphinx measures the WER, Resemblyzer
measures the speaker similarity (the cosine to the prompt), and a classifier of pitch, pace and level determines the
style. The column "style" is the share of utterances that the classifier assigns to the requested style. It classifies
{accuracy["original"]:.0%} of the recordings of held-out voices correctly, and {accuracy["codec"]:.0%} after the codec.
Intervals are 95% bootstrap intervals over texts.

""" + "\n\n".join([*tables, scoring_time(pool)])
    sections.write(page, "rewards", text)
    typer.echo(text)


def with_held_out_prompts(cases: Sequence[Case], folder: Path) -> tuple[list[Case], dict[str, str]]:
    """Returns the cases with prompts of voices outside all training, and the style of each prompt by case.

    Prompts take the styles in turn.
    """
    voices, styles, rng = (
        speech.speakers(held_out=True),
        list(speech.STYLES),
        random.Random("held-out prompts"),
    )
    prompted, requested = [], {}
    for i, case in enumerate(cases):
        speaker, style = voices[i % len(voices)], styles[(i // len(voices) + i) % len(styles)]
        text = texts.sentence(rng).text
        audio = _record(text, speaker, style, folder / f"{speaker.name}-{style}-{i}.wav")
        name = f"{speaker.name}-{style}"
        prompted.append(replace(case, voice=Voice(audio, text, SAMPLE_RATE, name)))
        requested[case.id] = style
    return prompted, requested


def resynthesise(cases: Sequence[Case], styles: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """Records each text in the voice and style of its prompt, and returns the resynthesised wav files by case."""
    codec = speaking.load_codec_of("tiny")
    voices = {speaker.name: speaker for speaker in speech.speakers(held_out=True)}
    wavs = {}
    for case in cases:
        assert case.voice is not None and case.voice.name is not None
        wavs[case.id] = folder / f"{case.id}.wav"
        if not wavs[case.id].exists():
            speaker = voices[case.voice.name.partition("-")[0]]
            audio = speech.speak(case.text, speech.Delivery(speaker, styles[case.id], STRENGTH))
            folder.mkdir(parents=True, exist_ok=True)
            write_wav(wavs[case.id], codec.decode([codec.encode(audio)])[0], codec.sample_rate)
    return wavs


def with_style(rows: Sequence[Row], requested: Mapping[str, str]) -> list[Row]:
    """Returns the rows with 1 under "style" where the judge names the requested style, else 0."""
    return outcomes.share_where(rows, "style", lambda row, record: record["detail"] == requested[row["case"]])


def compare_rewards(pool: Sequence[Row], recordings: Sequence[Row], n: int) -> str:
    """Returns the table of the judges' scores by reward, with single samples and recordings, and the requirements."""
    scores = {
        judge: {
            SAMPLE: curves.best_of(pool, judge, 1),
            **{name: curves.best_of(pool, judge, n, curves.by(reward)) for name, reward in REWARDS.items()},
            RECORDING: outcomes.chosen(recordings, judge),
        }
        for judge in JUDGES
    }
    similarity, style = scores["voice"], scores["style"]
    closed = outcomes.recovered(similarity[SAMPLE], similarity["speaker"], similarity[RECORDING])
    excess = outcomes.difference(similarity["speaker"], similarity[RECORDING])
    codec_gain = outcomes.difference(style[RECORDING], style[SAMPLE])
    flag = " (**higher than recordings: reward hacking**)" if excess.low > 0 else ""
    gains = {judge: _gain(scores[judge], "weighted sum") for judge in JUDGES}
    better = all(gains[judge].high < 0 for judge in ("unigram", "bigram")) and all(
        gains[judge].low > 0 for judge in ("voice", "style")
    )
    wer_gains = {judge: _gain(scores[judge], "WER") for judge in ("unigram", "bigram")}
    checks = [
        _check(
            f"the speaker reward closes {closed} of the gap in speaker similarity between single samples and "
            f"resynthesised recordings (required: at least {MIN_GAP_CLOSED})",
            closed.value >= MIN_GAP_CLOSED,
        ),
        f"- the speaker similarity with the speaker reward minus that of resynthesised recordings is "
        f"{signed(excess)}{flag}",
        _check(
            f"the WER reward lowers the WER: {_listed(wer_gains)}",
            all(g.high < 0 for g in wer_gains.values()),
        ),
        f"- the style of resynthesised recordings minus that of single samples is {signed(codec_gain)}: "
        "more cannot be expected after the codec",
        _check(f"the weighted sum improves WER, speaker similarity and style: {_listed(gains)}", better),
    ]
    about = (
        "The table shows the judges' scores of the candidates that each reward chooses. "
        "The voice prompts are recordings of held-out voices in all styles."
    )
    return "\n\n".join(["### Comparison of rewards", about, _table(scores), "\n".join(checks)])


def variance_within_texts(pool: Sequence[Row]) -> str:
    """Returns the share of each judge's variance that lies between the candidates of one text."""
    lines = []
    for judge, name in JUDGES.items():
        by_case: dict[str, list[float]] = {}
        for row in pool:
            by_case.setdefault(row["case"], []).append(outcomes.measured(row["judges"][judge])[0])
        share = share_within([values for values in by_case.values() if not np.isnan(values).any()])
        lines.append(
            _check(
                f"{share:.2f} of the variance of {name} lies within texts (required: at least "
                f"{MIN_VARIANCE_WITHIN})",
                share >= MIN_VARIANCE_WITHIN,
            )
        )
    return "\n".join(lines)


def emotion_tables(
    study: Study, cases: Sequence[Case], sampling: Sampling, n: int, folder: Path
) -> list[str]:
    """Returns the tables of emotion rewards: a label with and without a neutral prompt, and a recording."""
    requested = {case.id: LABELS[i % len(LABELS)] for i, case in enumerate(cases)}
    other = speech.speakers(held_out=True)[0]
    references = {label: folder / f"{label}.wav" for label in LABELS}
    for label, path in references.items():
        _record("The little boat came home before the storm.", other, label, path)
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
    no_prompt = Arm("no prompt", f"best_of_n:n={n}", scored, sampling=sampling, pool=True)
    scored = " + ".join([scored, *(f"0 * {each}" for each in by_reference.values())])
    neutral_prompt = replace(no_prompt, name="neutral prompt", verifiers=scored)
    pools = {
        arm.name: with_style(study.rows(group, [arm]), requested)
        for arm, group in ((no_prompt, unprompted), (neutral_prompt, neutral))
    }
    return [
        _emotion_table("(a) A label, without a prompt", pools["no prompt"], by_label, requested, n),
        _emotion_table("(b) A label, with a neutral prompt", pools["neutral prompt"], by_label, requested, n),
        _emotion_table(
            "(c) A recording of another voice, with a neutral prompt",
            pools["neutral prompt"],
            by_reference,
            requested,
            n,
        ),
    ]


def _emotion_table(
    title: str, pool: Sequence[Row], rewards: Mapping[str, str], requested: Mapping[str, str], n: int
) -> str:
    def by_requested_style(candidates: Sequence[Row]) -> np.ndarray:
        return curves.by(rewards[requested[candidates[0]["case"]]])(candidates)

    judges = [judge for judge in JUDGES if any(row["judges"][judge]["value"] is not None for row in pool)]
    scores = {
        judge: {
            SAMPLE: curves.best_of(pool, judge, 1),
            "emotion": curves.best_of(pool, judge, n, by_requested_style),
        }
        for judge in judges
    }
    gain = _gain(scores["style"], "emotion")
    lines = [_check(f"the share of utterances in the requested style rises: {signed(gain)}", gain.low > 0)]
    if "voice" in scores:
        change = _gain(scores["voice"], "emotion")
        lines.append(
            _check(f"the speaker similarity does not fall significantly: {signed(change)}", change.high >= 0)
        )
    about = "The table compares single samples with the candidates that the emotion reward chooses."
    return f"### {title}\n\n{about}\n\n{_table(scores)}\n\n" + "\n".join(lines)


def scoring_time(pool: Sequence[Row]) -> str:
    """Returns how long all three verifiers take to score 16 candidates of about 3 s, without loading."""
    voice, rng = Voice.builtin("slt"), np.random.default_rng(0)

    def candidate() -> Utterance:  # of different lengths and levels: equal audio would be scored once
        recording = np.resize(voice.audio, int(rng.uniform(2.7, 3.3) * SAMPLE_RATE)) * rng.uniform(0.5, 1)
        audio = np.asarray(recording, np.float32)
        return Utterance(voice.text or "", "en", audio, SAMPLE_RATE, voice=voice)

    verifiers = as_reward(WEIGHTED_SUM).verifiers
    seconds = []
    for _ in range(4):
        batch = [candidate() for _ in range(16)]
        start = time.perf_counter()
        for verifier in verifiers:
            verifier.load()
            verifier.score(batch)
        seconds.append(time.perf_counter() - start)
    median = sorted(seconds[1:])[1]
    return _check(
        f"the three verifiers score 16 candidates of 2.7 to 3.3 s in {median:.2f} s (required: less than "
        f"{MAX_SECONDS:g} s)",
        median < MAX_SECONDS,
    )


def _gain(scores: Mapping[str, Outcome], reward: str) -> Estimate:
    """Returns a judge's score with a reward minus that of single samples."""
    return outcomes.difference(scores[reward], scores[SAMPLE])


def _listed(gains: Mapping[str, Estimate]) -> str:
    return ", ".join(f"{judge} {signed(gain)}" for judge, gain in gains.items())


def _table(scores: Mapping[str, Mapping[str, Outcome]]) -> str:
    names = list(next(iter(scores.values())))
    lines = [
        "| chosen by | " + " | ".join(JUDGES[judge] for judge in scores) + " |",
        "|---" * (len(scores) + 1) + "|",
    ]
    for name in names:
        lines.append(
            f"| {name} | " + " | ".join(str(outcomes.rate(each[name])) for each in scores.values()) + " |"
        )
    return "\n".join(lines)


def _check(text: str, holds: bool) -> str:
    return f"- {'pass' if holds else '**fail**'}: {text}"


def _record(text: str, speaker: speech.Speaker, style: str, path: Path) -> Audio:
    audio = np.asarray(speech.speak(text, speech.Delivery(speaker, style, STRENGTH)), np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_wav(path, audio, SAMPLE_RATE)
    return audio


if __name__ == "__main__":
    sections.run(main)

"""Trains the judge of styles, a classifier of pitch, pitch range, pace and level.

The classifier is not a neural network, and it is independent of emotion2vec. It is trained on recordings of
the training voices, before and after the codec, and evaluated on held-out voices.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import joblib
import librosa
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from examples.benchmarks import speaking
from examples.benchmarks.material import SAMPLE_RATE
from examples.train_tiny import speech
from llasa_search.arrays import Audio, FloatArray
from llasa_search.candidate import Score, Utterance
from llasa_search.verifiers.backends.batches import at_16k
from llasa_search.verifiers.base import Verifier

SHARDS = {"training": range(3000, 3003), "held out": range(1)}
STRENGTH = 0.5  # weaker styles are hard to distinguish and are left out
HOP, FRAME = 160, 1024
QUIET = -30.0  # dB relative to the loudest frame; quieter frames are unvoiced
LETTERS = 12.0  # per second; the pace of an utterance without voiced frames


class StyleByProsody(Verifier):
    """Probability of the most probable style, from 0 to 1; the detail is the name of the style.

    Args:
        model: path of a file that `train` wrote.
    """

    family = "prosody"
    judge = True
    cost = 0.1

    def __init__(self, model: str) -> None:
        self.model = str(model)

    def score(self, utterances: Sequence[Utterance]) -> list[Score]:
        classifier = _classifier(self.model)
        rows = np.stack([features(at_16k(each), each.text) for each in utterances])
        probabilities = classifier.predict_proba(rows)
        return [Score(float(row.max()), str(classifier.classes_[row.argmax()])) for row in probabilities]


def features(audio: Audio, text: str) -> FloatArray:
    """Returns the features of an utterance: [7].

    They are the median, standard deviation, lower and upper range of the pitch in semitones, letters per second, the
    standard deviation of the level in dB, and the share of voiced frames.

    Args:
        audio: float32 mono [samples] at 16 kHz.
        text: transcript of the audio.
    """
    audio = np.pad(audio, (0, max(0, FRAME - len(audio))))
    level = librosa.amplitude_to_db(
        librosa.feature.rms(y=audio, frame_length=FRAME, hop_length=HOP)[0], ref=np.max, top_db=80
    )
    pitch = librosa.yin(audio, fmin=60, fmax=420, sr=SAMPLE_RATE, frame_length=FRAME, hop_length=HOP)
    voiced = (level > QUIET) & (pitch > 62) & (pitch < 410)
    loud = np.flatnonzero(level > QUIET)
    seconds = max(1, loud[-1] - loud[0]) * HOP / SAMPLE_RATE if len(loud) else len(audio) / SAMPLE_RATE
    if not voiced.any():
        return np.array([0.0, 0.0, 0.0, 0.0, LETTERS, 0.0, 0.0])
    tones = 12 * np.log2(pitch[voiced] / 100)
    low, median, high = np.quantile(tones, [0.1, 0.5, 0.9])
    pace = sum(map(str.isalpha, text)) / seconds
    return np.array(
        [median, tones.std(), median - low, high - median, pace, level[voiced].std(), voiced.mean()]
    )


def train(folder: Path, model: str = "tiny") -> dict[str, float]:
    """Writes the classifier to `folder/prosody.joblib` and returns its accuracy on held-out voices, by channel.

    Args:
        folder: folder for recordings and classifier; existing files are used again.
        model: language model whose codec resynthesises the recordings.
    """
    path = folder / "prosody.joblib"
    if not path.exists():
        found = {name: _features(folder / name.replace(" ", "_"), name, model) for name in SHARDS}
        classifier = HistGradientBoostingClassifier(max_iter=150, learning_rate=0.08, random_state=0)
        classifier.fit(*(np.concatenate(parts) for parts in zip(*found["training"].values(), strict=True)))
        accuracy = {channel: float(classifier.score(*data)) for channel, data in found["held out"].items()}
        unfinished = path.with_suffix(".unfinished")
        joblib.dump({"classifier": classifier, "accuracy": accuracy}, unfinished)
        unfinished.rename(path)
    return dict(joblib.load(path)["accuracy"])


def _features(folder: Path, population: str, model: str) -> dict[str, tuple[FloatArray, list[str]]]:
    """Returns features and styles of recordings, by channel."""
    speech.write_shards(folder, SHARDS[population], processes=2, population=population)
    codec = speaking.load_codec_of(model)
    found: dict[str, tuple[list[FloatArray], list[str]]] = {"original": ([], []), "codec": ([], [])}
    for row, samples in speech.read_shards(folder):
        if row["strength"] < STRENGTH:
            continue
        audio = speech.to_float(samples)
        for channel, each in (("original", audio), ("codec", codec.decode([codec.encode(audio)])[0])):
            found[channel][0].append(features(each, row["text"]))
            found[channel][1].append(row["style"])
    return {channel: (np.stack(rows), styles) for channel, (rows, styles) in found.items()}


@cache
def _classifier(path: str) -> HistGradientBoostingClassifier:
    return joblib.load(path)["classifier"]

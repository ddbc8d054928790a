"""Verifiers load the checkpoints that examples/train_tiny writes; each model is trained for one step on noise."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import NormalDist
from types import ModuleType

import numpy as np
import pytest
import torch

from llasa_search.arrays import Audio
from llasa_search.candidate import Utterance
from llasa_search.scoring.isolation import safe_scores
from llasa_search.verifiers import CTCAlignment, EmotionProbability, EmotionSimilarity, SpeakerSimilarity
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Voice

TRAINING = Path(__file__).parents[2] / "examples" / "train_tiny"
Noise = Callable[..., Audio]


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    """Yields the modules of the trainers, imported as by their command."""
    import importlib

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TRAINING))
        names = ("asr", "ecapa", "emotion", "ctc", "crops", "filters", "loop", "pairs", "speech")
        yield {name: importlib.import_module(name) for name in names}


def write_shard(folder: Path, speakers: list[str], sessions: int) -> Path:
    """Writes sessions of two utterances of noise, in the layout of `speech.write_shard`."""
    folder.mkdir()
    rng, length, lines = np.random.default_rng(0), 35_200, []
    for i in range(2 * sessions):
        row: dict[str, object] = {
            "spoken": "a dog",
            "speaker": speakers[i // 2 % len(speakers)],
            "session": f"0-{i // 2}",
        }
        row |= {"style": ("sad", "happy", "angry", "neutral")[i // 2 % 4], "strength": 0.7}
        lines.append(json.dumps({**row, "start": i * length, "length": length}))
    np.save(folder / "0000.npy", rng.normal(0, 2000, 2 * sessions * length).astype(np.int16))
    (folder / "0000.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def trained(modules: dict[str, ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a work folder after one training step and the evaluation of each model."""
    work = tmp_path_factory.mktemp("work")
    known = write_shard(work / "known", ["v000", "v001"], 60)
    fresh, held_out = (
        write_shard(work / "fresh", ["slt"], 4),
        write_shard(work / "held_out", ["h000", "h001"], 4),
    )
    for name in ("ecapa", "emotion", "ctc"):
        with torch.random.fork_rng(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(modules["asr" if name == "ctc" else name], "BATCH", 4)
            modules[name].train([known], work, steps=1)
    measures = {
        **modules["ecapa"].evaluate(work / "speaker", held_out, held_out),
        **modules["emotion"].evaluate(work / "emotion", [fresh, held_out], [fresh, held_out]),
    }
    assert len(measures) == 11 and all(0 <= share <= 1 for share in measures.values())
    assert min(modules["ctc"].evaluate(work / "ctc", held_out, held_out).values()) >= 0
    return work


@pytest.mark.parametrize(
    ("make", "folder"),
    [
        (SpeakerSimilarity, "speaker"),
        (EmotionSimilarity, "emotion"),
        (lambda model: EmotionProbability("sad", model), "emotion"),
        (CTCAlignment, "ctc"),
    ],
)
def test_verifiers_load_what_training_writes(
    make: Callable[..., Verifier], folder: str, trained: Path, noise: Noise
) -> None:
    """Each verifier loads its checkpoint, scores speech, and has the stored scale."""
    path = trained / folder
    verifier = make(model=str(path))
    voice = Voice(noise(1.0, seed=1), sample_rate=16_000)
    (found,) = safe_scores(verifier, [Utterance("a dog", "en", noise(1.0), 16_000, voice=voice)])
    assert found.status == "scored" and np.isfinite(found.value)
    if not isinstance(verifier, EmotionProbability):
        assert list(verifier.scale) == json.loads((path / "scale.json").read_text())


def test_checkpoints_are_small(trained: Path) -> None:
    """The checkpoints of these verifiers take less than 12 MB."""
    files = [f for part in ("speaker", "emotion", "ctc") for f in (trained / part).iterdir()]
    assert sum(f.stat().st_size for f in files) < 12e6


def test_no_two_populations_share_a_voice(modules: dict[str, ModuleType]) -> None:
    """No held-out voice is in the training data."""
    populations = [population.speakers for population in modules["speech"].POPULATIONS.values()]
    voices = [(s.base, s.formant, s.pitch, s.duration) for everyone in populations for s in everyone]
    assert len(set(voices)) == len(voices)
    assert len({population.seed for population in modules["speech"].POPULATIONS.values()}) == len(populations)


def test_the_crops_of_a_batch_depend_on_its_step_only(modules: dict[str, ModuleType], trained: Path) -> None:
    """A training that resumes reads the same batches as one without an interruption."""
    rows, audio = modules["crops"].Crops([trained / "known"], 0.5, 3.0).batch(7, 3)
    again = modules["crops"].Crops([trained / "known"], 0.5, 3.0).batch(7, 3)
    assert rows == again[0] and torch.equal(audio, again[1])
    assert 8_000 <= audio.shape[1] <= 48_000


def test_averaged_weights_include_the_stated_share_of_the_first_ones(
    modules: dict[str, ModuleType], tmp_path: Path
) -> None:
    """`keep` is the weight of the initial weights, also in a training that resumes."""

    def trained(keep: float, name: str) -> float:
        model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.ones_(model.weight)

        def step_loss(step: int) -> tuple[torch.Tensor, dict[str, float]]:
            return model(torch.ones(1, 1)).sum(), {}

        modules["loop"].train(model, step_loss, tmp_path / name, steps=9, rate=0.01, keep=keep)
        return float(model.weight.detach())

    far = trained(0.0, "a")
    assert far < 0.99
    assert trained(0.25, "b") == trained(0.25, "b") == pytest.approx(0.75 * far + 0.25)


@pytest.mark.parametrize("distance", [0.0, 1.0, 3.0])
def test_equal_error_rate_of_two_normal_distributions(
    modules: dict[str, ModuleType], distance: float
) -> None:
    """For unit normal distributions with means d apart, the rate is P(x < -d / 2)."""
    rng = np.random.default_rng(0)
    same, other = rng.normal(distance, 1, 4000), rng.normal(0, 1, 4000)
    found = modules["pairs"].equal_error_rate(same, other, most=1000)
    assert found == pytest.approx(NormalDist().cdf(-distance / 2), abs=0.04)


def test_training_clips_match_their_texts(modules: dict[str, ModuleType]) -> None:
    """Words that are cropped, repeated or moved in the audio are so in the text."""
    words, ends = ["one", "two", "three", "four"], [500, 900, 1500, 2100]
    audio = np.repeat(np.arange(4, dtype=np.int16), np.diff([0, *ends]))
    clip = audio, " ".join(words), ends
    texts = set()
    for seed in range(60):
        for change in (modules["asr"].Clips._cropped, modules["asr"].Clips._rearranged):
            made, text, _ = change(clip, random.Random(seed))
            lengths = [ends[words.index(word)] - [0, *ends][words.index(word)] for word in text.split()]
            spans = np.split(made, np.cumsum(lengths)[:-1])
            assert [words[each[0]] for each in spans] == text.split()
            assert all(len(set(each.tolist())) == 1 for each in spans)
            texts.add(text)
    assert {"one one two three four", "two three four", "one two", "four two three one"} <= texts

"""Emotion by emotion2vec: equality with funasr's own loader, references, labels, and what is refused."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from llasa_search.arrays import Audio
from llasa_search.candidate import Utterance
from llasa_search.errors import InputError, ModelError
from llasa_search.scoring.isolation import safe_scores
from llasa_search.verifiers import EmotionProbability, EmotionSimilarity
from llasa_search.verifiers.backends.batches import KEPT, Embeddings
from llasa_search.verifiers.backends.emotion2vec import Emotion2Vec
from llasa_search.voice import Prompt, Voice
from tests.helpers.tiny_verifiers import LABELS, write_emotion2vec

Noise = Callable[..., Audio]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_emotion2vec(tmp_path_factory.mktemp("emotion") / "emotion2vec")


def utterance(audio: Audio, voice: Voice | None = None) -> Utterance:
    return Utterance("one", "en", audio, 16_000, voice=voice, final=False)


def test_equals_the_loader_of_funasr(folder: Path, noise: Noise) -> None:
    """Guards against other normalisation, pooling, or weights than theirs; its slow twin is AutoModel."""
    from funasr import AutoModel

    audio = noise(0.7)
    level = logging.getLogger().level
    theirs = AutoModel(
        model=str(folder), device="cpu", disable_update=True, disable_pbar=True, disable_log=True, ncpu=1
    )
    expected = theirs.generate([audio], granularity="utterance", extract_embedding=True)[0]
    logging.getLogger().setLevel(level)
    ours = Emotion2Vec(str(folder))
    heard = ours.hear([audio])[0]
    feats = expected["feats"] / np.linalg.norm(expected["feats"])
    np.testing.assert_allclose(heard.embedding, feats, atol=1e-5)
    used = [i for i, label in enumerate(ours.labels) if not label.startswith("unuse")]
    assert [ours.labels[i] for i in used] == expected["labels"]
    np.testing.assert_allclose(heard.probabilities[used], expected["scores"], atol=1e-5)
    assert ours.labels == list(LABELS) and heard.probabilities[LABELS.index("unuse_0")] == 0


def test_loading_disturbs_nothing(folder: Path) -> None:
    """Guards against funasr's habits: seeds, threads and logging set for the whole process."""
    import torch

    state, level = torch.get_rng_state(), logging.getLogger().level
    threads = torch.get_num_threads()
    python = np.random.get_state()[1]
    with torch.random.fork_rng():
        Emotion2Vec(str(folder))
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads
    assert logging.getLogger().level == level
    np.testing.assert_array_equal(np.random.get_state()[1], python)


@pytest.mark.parametrize("kind", ["similarity", "probability"])
def test_batch_equals_single(folder: Path, noise: Noise, kind: str) -> None:
    """Guards against normalisation over the batch, padding, and a mixed-up order."""
    model, voice = str(folder), Voice(noise(1.0, 9), "one", sample_rate=16_000)
    verifier = EmotionSimilarity(model=model) if kind == "similarity" else EmotionProbability("happy", model)
    heard = [utterance(noise(seconds, i), voice) for i, seconds in enumerate((0.8, 0.5, 0.8, 0.6))]
    heard[2] = utterance(np.asarray(heard[2].audio ** 3, np.float32), voice)
    together = [found.value for found in verifier.score(heard)]
    assert together == pytest.approx([verifier.score([each])[0].value for each in heard], abs=1e-6)
    assert len({round(value, 7) for value in together}) == 4


def test_probabilities_of_all_labels_are_one(folder: Path, noise: Noise) -> None:
    """Guards against logits in the place of probabilities, and a label that takes another's."""
    heard = [utterance(noise(0.6))]
    found = {
        label: EmotionProbability(label, str(folder)).score(heard)[0]
        for label in LABELS
        if "unuse" not in label
    }
    assert sum(each.value for each in found.values()) == pytest.approx(1.0)
    likeliest = max(found, key=lambda label: found[label].value)
    assert all(likeliest in each.detail for each in found.values())
    assert EmotionProbability("sad", str(folder)).score(heard)[0] == found["难过/sad"]
    assert EmotionProbability("难过", str(folder)).score(heard)[0] == found["难过/sad"]


def test_unknown_label_suggests(folder: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'happy'"):
        EmotionProbability("hapy", str(folder)).check(Prompt("one", "en"))


def test_references(folder: Path, noise: Noise, tmp_path: Path) -> None:
    """Guards against the voice prompt's emotion where another recording's was asked for."""
    import soundfile

    voice, other = Voice(noise(1.0, 1), "one", sample_rate=16_000), noise(1.0, 2) ** 3
    path = tmp_path / "reference.wav"
    soundfile.write(path, other, 16_000, subtype="FLOAT")
    by_file, by_voice = EmotionSimilarity(str(path), str(folder)), EmotionSimilarity(model=str(folder))
    by_file.check(Prompt("one", "en"))
    assert not by_file.needs and by_voice.needs == {"voice"}
    assert by_file.score([utterance(other, voice)])[0].value == pytest.approx(1.0, abs=1e-6)
    assert by_voice.score([utterance(voice.audio, voice)])[0].value == pytest.approx(1.0, abs=1e-6)
    assert by_voice.score([utterance(other, voice)])[0].value < 1 - 1e-6
    with pytest.raises(InputError, match="reference"):
        by_voice.check(Prompt("one", "en"))
    with pytest.raises(InputError, match="does not exist"):
        EmotionSimilarity(str(tmp_path / "none.wav"), str(folder)).check(Prompt("one", "en"))


def test_speech_under_half_a_second_abstains(folder: Path, noise: Noise) -> None:
    assert score(EmotionProbability("sad", str(folder)), [utterance(noise(0.3))])[0].status == "abstained"


@pytest.mark.parametrize("change", ["missing", "shape", "code", "file"])
def test_checkpoints_that_do_not_fit(folder: Path, tmp_path: Path, change: str) -> None:
    """Guards against random weights for those that do not fit, and settings that are run as code."""
    import torch

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    weights = torch.load(copy / "model.pt", weights_only=True)["model"]
    if change == "missing":
        del weights["d2v_model.blocks.0.attn.qkv.weight"]
    elif change == "shape":
        weights["proj.weight"] = weights["proj.weight"][:2]
    elif change == "file":
        (copy / "tokens.txt").unlink()
    else:
        config = (copy / "config.yaml").read_text()
        (copy / "config.yaml").write_text(config.replace("[(16, 10, 5)]", "print() or [(16, 10, 5)]"))
    torch.save({"model": weights}, copy / "model.pt")
    message = {
        "missing": "blocks.0.attn.qkv.weight",
        "shape": "proj.weight",
        "file": "tokens.txt",
        "code": "more than a list",
    }[change]
    with pytest.raises(ModelError, match=message):
        Emotion2Vec(str(copy))


def test_the_list_of_verifiers_says_what_emotion_needs(cli: Callable[..., object]) -> None:
    """The list reads classes, none of which has been made yet: a need that only an instance knows is lost."""
    lines = cli("verifiers").out.splitlines()  # type: ignore[attr-defined]
    (row,) = [line for line in lines if line.split()[:1] == ["emotion"]]
    assert "voice" in row


def test_a_few_references_stay_known() -> None:
    """Guards against memory that grows with every voice of a long series."""
    heard: list[int] = []

    def embed(audio: Audio) -> NDArray[np.float64]:
        heard.append(len(audio))
        return np.zeros(1)

    known = Embeddings(embed)
    for voice in range(KEPT + 1):
        known(str(voice), np.zeros(voice, np.float32))
        known("0", np.zeros(0, np.float32))  # used all along
    known("1", np.zeros(1, np.float32))
    assert len(known._known) == KEPT and heard.count(0) == 1 and heard.count(1) == 2


def test_loading_leaves_warnings_alone() -> None:
    """Guards against funasr, which silences every warning of the program when it is first imported."""
    code = (
        "import warnings; from llasa_search.scoring.loading import load_verifiers\n"
        "from llasa_search.verifiers import EmotionSimilarity\n"
        "load_verifiers([EmotionSimilarity()])\n"
        "assert ('ignore', None, Warning, None, 0) not in warnings.filters, warnings.filters"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

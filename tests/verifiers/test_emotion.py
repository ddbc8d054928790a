"""Emotion by emotion2vec: equality with funasr's loader, references, labels, and what is refused."""

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
from llasa_search.verifiers.backends.batches import CACHED_EMBEDDINGS, Embeddings
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
    """Embeddings, labels and probabilities equal those of funasr's AutoModel."""
    from funasr import AutoModel

    audio = noise(0.7)
    level = logging.getLogger().level
    theirs = AutoModel(
        model=str(folder), device="cpu", disable_update=True, disable_pbar=True, disable_log=True, ncpu=1
    )
    expected = theirs.generate([audio], granularity="utterance", extract_embedding=True)[0]
    logging.getLogger().setLevel(level)
    ours = Emotion2Vec(str(folder))
    prediction = ours.predict([audio])[0]
    feats = expected["feats"] / np.linalg.norm(expected["feats"])
    np.testing.assert_allclose(prediction.embedding, feats, atol=1e-5)
    used = [i for i, label in enumerate(ours.labels) if not label.startswith("unuse")]
    assert [ours.labels[i] for i in used] == expected["labels"]
    np.testing.assert_allclose(prediction.probabilities[used], expected["scores"], atol=1e-5)
    assert ours.labels == list(LABELS) and prediction.probabilities[LABELS.index("unuse_0")] == 0


def test_loading_changes_no_global_state(folder: Path) -> None:
    """Random states, the number of threads and the level of logging stay as they were."""
    import torch

    state, level = torch.get_rng_state(), logging.getLogger().level
    threads = torch.get_num_threads()
    python = np.random.get_state(legacy=False)["state"]["key"]
    with torch.random.fork_rng():
        Emotion2Vec(str(folder))
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads
    assert logging.getLogger().level == level
    np.testing.assert_array_equal(np.random.get_state(legacy=False)["state"]["key"], python)


@pytest.mark.parametrize("kind", ["similarity", "probability"])
def test_a_batch_scores_as_its_utterances_alone(folder: Path, noise: Noise, kind: str) -> None:
    """Scores do not depend on the other utterances of a batch, nor on their order."""
    model, voice = str(folder), Voice(noise(1.0, 9), "one", sample_rate=16_000)
    verifier = EmotionSimilarity(model=model) if kind == "similarity" else EmotionProbability("happy", model)
    speech = [utterance(noise(seconds, i), voice) for i, seconds in enumerate((0.8, 0.5, 0.8, 0.6))]
    speech[2] = utterance(np.asarray(speech[2].audio ** 3, np.float32), voice)
    together = [found.value for found in verifier.score(speech)]
    assert together == pytest.approx([verifier.score([each])[0].value for each in speech], abs=1e-6)
    assert len({round(value, 7) for value in together}) == 4


def test_probabilities_of_all_labels_sum_to_1(folder: Path, noise: Noise) -> None:
    """The values of all labels sum to 1, and a label can be named in either language."""
    speech = [utterance(noise(0.6))]
    found = {
        label: EmotionProbability(label, str(folder)).score(speech)[0]
        for label in LABELS
        if "unuse" not in label
    }
    assert sum(each.value for each in found.values()) == pytest.approx(1.0)
    likeliest = max(found, key=lambda label: found[label].value)
    assert all(likeliest in each.detail for each in found.values())
    assert EmotionProbability("sad", str(folder)).score(speech)[0] == found["难过/sad"]
    assert EmotionProbability("难过", str(folder)).score(speech)[0] == found["难过/sad"]


def test_an_unknown_label_is_refused_with_a_suggestion(folder: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'happy'"):
        EmotionProbability("hapy", str(folder)).check(Prompt("one", "en"))


def test_the_reference_is_the_given_recording_or_the_voice(
    folder: Path, noise: Noise, tmp_path: Path
) -> None:
    """Speech equal to its reference has a cosine of 1; a missing reference is refused."""
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
    assert (
        safe_scores(EmotionProbability("sad", str(folder)), [utterance(noise(0.3))])[0].status == "abstained"
    )


@pytest.mark.parametrize("change", ["missing", "shape", "code", "file"])
def test_checkpoints_that_do_not_fit_are_refused(folder: Path, tmp_path: Path, change: str) -> None:
    """A missing file or weight, a weight of another shape, and a setting that is code are refused by name."""
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
        "code": "not a list of at most 32 convolutions",
    }[change]
    with pytest.raises(ModelError, match=message):
        Emotion2Vec(str(copy))


def test_the_list_of_verifiers_shows_that_emotion_needs_a_voice(cli: Callable[..., object]) -> None:
    """The class declares its default needs, because the list makes no instances."""
    lines = cli("verifiers").out.splitlines()  # type: ignore[attr-defined]
    (row,) = [line for line in lines if line.split()[:1] == ["emotion"]]
    assert "voice" in row


def test_the_embeddings_used_last_are_cached() -> None:
    """Only the embeddings used last are kept, so memory does not grow with the number of voices."""
    computed: list[int] = []

    def embed(audio: Audio) -> NDArray[np.float64]:
        computed.append(len(audio))
        return np.zeros(1)

    embeddings = Embeddings(embed)
    for voice in range(CACHED_EMBEDDINGS + 1):
        embeddings(str(voice), np.zeros(voice, np.float32))
        embeddings("0", np.zeros(0, np.float32))  # used all the time
    embeddings("1", np.zeros(1, np.float32))
    assert len(embeddings._cache) == CACHED_EMBEDDINGS
    assert computed.count(0) == 1 and computed.count(1) == 2


def test_loading_does_not_change_warning_filters() -> None:
    """funasr's first import, which silences all warnings, does not affect the caller's filters."""
    code = (
        "import warnings; from llasa_search.scoring.loading import load_verifiers\n"
        "from llasa_search.verifiers import EmotionSimilarity\n"
        "load_verifiers([EmotionSimilarity()])\n"
        "assert ('ignore', None, Warning, None, 0) not in warnings.filters, warnings.filters"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

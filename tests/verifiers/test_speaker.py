"""SpeakerSimilarity: three kinds of checkpoints, with random weights, and what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from llasa_search.arrays import Audio
from llasa_search.candidate import Utterance
from llasa_search.errors import InputError, ModelError
from llasa_search.scoring.isolation import safe_scores
from llasa_search.verifiers import SpeakerSimilarity
from llasa_search.verifiers.backends.speaker_encoders import SpeakerEncoder
from llasa_search.voice import Prompt, Voice
from tests.helpers.tiny_verifiers import write_ecapa, write_unispeech, write_xvector

Noise = Callable[..., Audio]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("speaker")
    return {
        "ecapa": write_ecapa(folder / "ecapa"),
        "xvector": write_xvector(folder / "xvector"),
        "unispeech": write_unispeech(folder / "unispeech.pth"),
    }


@pytest.mark.parametrize("kind", ["ecapa", "xvector", "unispeech"])
def test_a_batch_scores_as_its_utterances_alone(
    checkpoints: dict[str, Path], noise: Noise, kind: str
) -> None:
    """Scores do not depend on the other utterances of a batch; the voice itself has a cosine of 1."""
    verifier = SpeakerSimilarity(model=str(checkpoints[kind]))
    voice = Voice(noise(1.2), "one", sample_rate=16_000)
    audios = [voice.audio, noise(0.6, 1) ** 3, noise(0.8, 2), noise(0.6, 3), np.zeros(16_000, np.float32)]
    speech = [Utterance("one", "en", audio, 16_000, voice=voice, final=False) for audio in audios]
    together = [found.value for found in verifier.score(speech)]
    assert together == pytest.approx([verifier.score([each])[0].value for each in speech], abs=1e-5)
    assert together[0] == pytest.approx(1.0, abs=1e-6)
    assert len({round(value, 5) for value in together}) == 5
    assert all(-1 <= value <= 1.000001 for value in together)


def test_ecapa_embeddings_equal_those_of_speechbrain(checkpoints: dict[str, Path], noise: Noise) -> None:
    """Embeddings equal those of speechbrain's own loader."""
    import torch
    from speechbrain.inference.classifiers import EncoderClassifier

    audio, folder = noise(0.9), str(checkpoints["ecapa"])
    theirs = EncoderClassifier.from_hparams(source=folder, savedir=folder, run_opts={"device": "cpu"})
    expected = theirs.encode_batch(torch.from_numpy(audio)[None])[0, 0].detach().numpy()
    np.testing.assert_allclose(
        SpeakerEncoder(folder).embed([audio])[0], expected / np.linalg.norm(expected), atol=1e-5
    )


def test_nothing_in_the_settings_is_executed(tmp_path: Path) -> None:
    """A tag in hyperparams.yaml that calls a function has no effect."""
    folder = write_ecapa(tmp_path / "ecapa")
    settings = folder / "hyperparams.yaml"
    evil = tmp_path / "evil"
    settings.write_text(
        f"{settings.read_text()}\nevil: !apply:pathlib.Path.touch [!new:pathlib.Path [{evil}]]\n"
    )
    SpeakerEncoder(str(folder))
    assert not evil.exists()


def test_each_unispeech_weight_affects_the_embedding(checkpoints: dict[str, Path], noise: Noise) -> None:
    """A change of any weight in the file changes the embedding, so the renaming reaches it."""
    import torch

    path, audio = checkpoints["unispeech"], noise(0.5)
    before = SpeakerEncoder(str(path)).embed([audio])[0]
    weights = torch.load(path, weights_only=True)
    for name in (
        "feature_weight",
        "feature_extract.model.encoder.layers.1.self_attn.grep_a",
        "feature_extract.model.encoder.layer_norm.weight",  # the last hidden state is the one behind it
        "linear.bias",
    ):
        changed = {
            **weights["model"],
            name: weights["model"][name]
            + torch.linspace(0, 3, weights["model"][name].numel()).view_as(weights["model"][name]),
        }
        torch.save({"model": changed}, path.with_name("changed.pth"))
        assert (
            np.abs(SpeakerEncoder(str(path.with_name("changed.pth"))).embed([audio])[0] - before).max() > 1e-6
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("linear.bias"), "linear.bias"),
        (lambda weights: weights.update(unknown=weights["linear.bias"]), "unknown"),
        (lambda weights: weights.pop("feature_weight"), "UniSpeech's layout"),
        (lambda weights: weights.update({"bn.bias": weights["linear.bias"]}), "bn.bias"),
    ],
)
def test_unispeech_weights_must_fit(
    checkpoints: dict[str, Path], tmp_path: Path, change: Callable[[dict[str, object]], object], message: str
) -> None:
    """A missing, unexpected or misshapen weight is refused by name."""
    import torch

    weights = torch.load(checkpoints["unispeech"], weights_only=True)["model"]
    change(weights)
    torch.save({"model": weights}, tmp_path / "changed.pth")
    with pytest.raises(ModelError, match=message):
        SpeakerSimilarity(model=str(tmp_path / "changed.pth")).load()


def test_folders_without_all_weights_are_refused(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    """A missing weight is refused in each kind of folder, not replaced by random values."""
    import torch
    from transformers import WavLMForXVector

    folder = write_ecapa(tmp_path / "ecapa")
    weights = torch.load(folder / "embedding_model.ckpt", weights_only=True)
    torch.save(dict(list(weights.items())[1:]), folder / "embedding_model.ckpt")
    with pytest.raises(ModelError, match="Missing key"):
        SpeakerSimilarity(model=str(folder)).load()
    whole = WavLMForXVector.from_pretrained(checkpoints["xvector"])
    whole.wavlm.save_pretrained(tmp_path / "headless")
    (tmp_path / "headless" / "preprocessor_config.json").write_bytes(
        (checkpoints["xvector"] / "preprocessor_config.json").read_bytes()
    )
    with pytest.raises(ModelError, match="not a WavLMForXVector"):
        SpeakerSimilarity(model=str(tmp_path / "headless")).load()


def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path: Path) -> None:
    """The file is not unpickled, and the error does not repeat PyTorch's advice to do so."""
    (tmp_path / "model.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match="not a PyTorch file of tensors alone") as caught:
        SpeakerSimilarity(model=str(tmp_path / "model.pth")).load()
    assert "weights_only" not in str(caught.value)


def test_a_folder_that_is_not_a_checkpoint_is_refused(tmp_path: Path) -> None:
    """The error names the missing file."""
    with pytest.raises(ModelError, match=r"or an ECAPA-TDNN .*: it has no config.json"):
        SpeakerSimilarity(model=str(tmp_path)).load()


def test_unknown_checkpoints_are_refused_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is not a path is refused at once; without network, the error has the download command."""
    with pytest.raises(InputError, match="no such file or folder"):
        SpeakerSimilarity(model="nowhere").load()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="hf download owner/name"):
        SpeakerSimilarity(model="owner/name").load()


def test_the_scale_depends_on_the_checkpoint(tmp_path: Path) -> None:
    """Each kind of checkpoint has its own scale, and the scale.json of a folder takes precedence."""
    folder = write_ecapa(tmp_path / "ecapa")
    ecapa = SpeakerSimilarity("speechbrain/spkrec-ecapa-voxceleb").scale
    assert SpeakerSimilarity(model=str(folder)).scale == ecapa
    assert SpeakerSimilarity(model="microsoft/wavlm-base-plus-sv").scale != ecapa
    assert SpeakerSimilarity().scale not in (ecapa, None)
    named_otherwise = SpeakerSimilarity(model="someone/ecapa")
    named_otherwise._checkpoint = str(folder)
    named_otherwise.load()
    assert named_otherwise.scale == ecapa
    (folder / "scale.json").write_text(json.dumps([0.3, 0.7]))
    assert SpeakerSimilarity(model=str(folder)).scale == (0.3, 0.7)
    (folder / "scale.json").write_text("[0.3, 0.3]")
    with pytest.raises(ModelError, match="same number"):
        SpeakerSimilarity(model=str(folder))


def test_the_reference_is_the_original_or_the_resynthesis(checkpoints: dict[str, Path], noise: Noise) -> None:
    """Speech equal to the chosen reference has a cosine of 1; a missing reference is refused."""
    model = str(checkpoints["ecapa"])
    voice = Voice(noise(1.0), "one", sample_rate=16_000)
    resynthesis = SpeakerSimilarity(model, reference="resynthesis")
    with pytest.raises(InputError, match="give a prompt recording"):
        SpeakerSimilarity(model).check(Prompt("one", "en"))
    with pytest.raises(InputError, match="no codec here"):
        resynthesis.check(Prompt("one", "en", voice))
    with pytest.raises(InputError, match="take 'original' or"):
        SpeakerSimilarity(model, reference="copy")  # type: ignore[arg-type]
    voice.resynthesis = noise(1.0, 5) ** 3
    speech = [Utterance("one", "en", voice.resynthesis, 16_000, voice=voice)]
    assert resynthesis.score(speech)[0].value == pytest.approx(1.0, abs=1e-6)
    assert SpeakerSimilarity(model).score(speech)[0].value < 0.9999


def test_a_search_makes_the_resynthesis(checkpoints: dict[str, Path], pair_path: Path, noise: Noise) -> None:
    """A search computes the resynthesis of its voice for a verifier that needs it."""
    from llasa_search import Budget, Sampling, search

    verifier = SpeakerSimilarity(str(checkpoints["ecapa"]), reference="resynthesis")
    found = search.generate(
        "one two three",
        prompt=Voice(noise(0.6), "one", sample_rate=16_000),
        verifiers=verifier,
        budget=Budget(candidates=1),
        model=str(pair_path),
        sampling=Sampling(min_seconds=0.6, max_seconds=0.8),
    )
    search.unload()
    assert found.voice is not None and found.voice.resynthesis is not None
    assert found.best.scores[str(verifier)].status == "scored"


def test_speech_under_half_a_second_abstains(checkpoints: dict[str, Path], noise: Noise) -> None:
    """Unfinished speech shorter than half a second gets no score."""
    short = Utterance(
        "one", "en", noise(0.4), 16_000, voice=Voice(noise(1.0), sample_rate=16_000), final=False
    )
    assert safe_scores(SpeakerSimilarity(str(checkpoints["ecapa"])), [short])[0].status == "abstained"


def test_loading_leaves_no_broken_modules(tmp_path: Path) -> None:
    """Attributes of all loaded modules can be read; speechbrain's lazy modules would raise ImportError."""
    SpeakerEncoder(str(write_ecapa(tmp_path / "ecapa"))).embed([np.zeros(16_000, np.float32)])
    for module in list(sys.modules.values()):
        getattr(module, "__file__", None)

"""Speaker similarity: three kinds of checkpoints, of random weights, and what is refused."""

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
def test_batch_equals_single_and_the_voice_itself_is_1(
    checkpoints: dict[str, Path], noise: Noise, kind: str
) -> None:
    """Guards against padding that changes embeddings, a mixed-up order, and a training mode left on."""
    verifier = SpeakerSimilarity(model=str(checkpoints[kind]))
    voice = Voice(noise(1.2), "one", sample_rate=16_000)
    audios = [voice.audio, noise(0.6, 1) ** 3, noise(0.8, 2), noise(0.6, 3), np.zeros(16_000, np.float32)]
    heard = [Utterance("one", "en", audio, 16_000, voice=voice, final=False) for audio in audios]
    together = [found.value for found in verifier.score(heard)]
    assert together == pytest.approx([verifier.score([each])[0].value for each in heard], abs=1e-5)
    assert together[0] == pytest.approx(1.0, abs=1e-6)
    assert len({round(value, 5) for value in together}) == 5
    assert all(-1 <= value <= 1.000001 for value in together)


def test_ecapa_equals_the_loader_of_speechbrain(checkpoints: dict[str, Path], noise: Noise) -> None:
    """Guards against features, normalisation or sizes other than those of the folder's settings."""
    import torch
    from speechbrain.inference.classifiers import EncoderClassifier

    audio, folder = noise(0.9), str(checkpoints["ecapa"])
    theirs = EncoderClassifier.from_hparams(source=folder, savedir=folder, run_opts={"device": "cpu"})
    expected = theirs.encode_batch(torch.from_numpy(audio)[None])[0, 0].detach().numpy()
    np.testing.assert_allclose(
        SpeakerEncoder(folder).embed([audio])[0], expected / np.linalg.norm(expected), atol=1e-5
    )


def test_nothing_in_the_settings_is_executed(tmp_path: Path) -> None:
    """Guards against tags that call whatever function a downloaded file names."""
    folder = write_ecapa(tmp_path / "ecapa")
    settings = folder / "hyperparams.yaml"
    evil = tmp_path / "evil"
    settings.write_text(
        f"{settings.read_text()}\nevil: !apply:pathlib.Path.touch [!new:pathlib.Path [{evil}]]\n"
    )
    SpeakerEncoder(str(folder))
    assert not evil.exists()


def test_unispeech_names_reach_the_weights_they_name(checkpoints: dict[str, Path], noise: Noise) -> None:
    """Guards against a renaming that loads one weight in another's place: each must change the embedding."""
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
        (lambda weights: weights.update(stranger=weights["linear.bias"]), "stranger"),
        (lambda weights: weights.pop("feature_weight"), "UniSpeech's layout"),
        (lambda weights: weights.update({"bn.bias": weights["linear.bias"]}), "bn.bias"),
    ],
)
def test_unispeech_weights_must_fit(
    checkpoints: dict[str, Path], tmp_path: Path, change: Callable[[dict[str, object]], object], message: str
) -> None:
    """Guards against a checkpoint that is half loaded, the rest random, and scores all the same."""
    import torch

    weights = torch.load(checkpoints["unispeech"], weights_only=True)["model"]
    change(weights)
    torch.save({"model": weights}, tmp_path / "changed.pth")
    with pytest.raises(ModelError, match=message):
        SpeakerSimilarity(model=str(tmp_path / "changed.pth")).load()


def test_folders_whose_weights_do_not_fit(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    """Guards against random weights in the place of missing ones, in each kind of folder."""
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
    with pytest.raises(ModelError, match="no WavLMForXVector"):
        SpeakerSimilarity(model=str(tmp_path / "headless")).load()


def test_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    """Guards against unpickling whatever a file holds, and against PyTorch's advice to do so."""
    (tmp_path / "model.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match="no PyTorch file of tensors alone") as caught:
        SpeakerSimilarity(model=str(tmp_path / "model.pth")).load()
    assert "weights_only" not in str(caught.value)


def test_folder_that_is_no_checkpoint(tmp_path: Path) -> None:
    """Guards against advice about a hub, where a folder of another kind was given."""
    with pytest.raises(ModelError, match=r"nor an ECAPA-TDNN .*: it has no config.json"):
        SpeakerSimilarity(model=str(tmp_path)).load()


def test_unknown_checkpoint_and_hub_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against minutes of retries, and an error without advice."""
    with pytest.raises(InputError, match="no such file or folder"):
        SpeakerSimilarity(model="nowhere").load()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="hf download owner/name"):
        SpeakerSimilarity(model="owner/name").load()


def test_scale_belongs_to_the_checkpoint(tmp_path: Path) -> None:
    """Guards against one scale for embeddings whose cosines differ."""
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


def test_references(checkpoints: dict[str, Path], noise: Noise) -> None:
    """Guards against a comparison with nothing, and with the original where the resynthesis is asked for."""
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
    heard = [Utterance("one", "en", voice.resynthesis, 16_000, voice=voice)]
    assert resynthesis.score(heard)[0].value == pytest.approx(1.0, abs=1e-6)
    assert SpeakerSimilarity(model).score(heard)[0].value < 0.9999


def test_a_search_makes_the_resynthesis(checkpoints: dict[str, Path], pair_path: Path, noise: Noise) -> None:
    """Guards against sim-r that only works where somebody has set the resynthesis by hand."""
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
    """Guards against rows that are cut on an embedding of a syllable."""
    heard = Utterance(
        "one", "en", noise(0.4), 16_000, voice=Voice(noise(1.0), sample_rate=16_000), final=False
    )
    assert score(SpeakerSimilarity(str(checkpoints["ecapa"])), [heard])[0].status == "abstained"


def test_every_module_can_be_looked_at_afterwards(tmp_path: Path) -> None:
    """speechbrain leaves modules behind that raise ImportError as soon as anything walks over all modules."""
    SpeakerEncoder(str(write_ecapa(tmp_path / "ecapa"))).embed([np.zeros(16_000, np.float32)])
    for module in list(sys.modules.values()):
        getattr(module, "__file__", None)

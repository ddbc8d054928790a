"""Checkpoints whose settings do not fit their weights are refused in one line, before memory or time is spent."""

from __future__ import annotations

import json
import os
import resource
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from llasa_search import Sampling, Voice, search
from llasa_search.errors import LlasaSearchError, ModelError
from llasa_search.llasa.model import Llasa
from llasa_search.verifiers import SpeakerSimilarity
from llasa_search.verifiers.backends.asr import load_asr
from llasa_search.verifiers.backends.emotion2vec import Emotion2Vec
from llasa_search.verifiers.backends.speaker_encoders import SpeakerEncoder
from tests.helpers.tiny_random import write_pair
from tests.helpers.tiny_recognisers import write_paraformer, write_whisper
from tests.helpers.tiny_verifiers import (
    write_ctc,
    write_ecapa,
    write_emotion2vec,
    write_unispeech,
    write_xvector,
)

LOADERS: dict[str, tuple[Callable[[Path], Path], Callable[[str], Any]]] = {
    "language model": (write_pair, lambda folder: Llasa.from_pretrained(folder, device="cpu")),
    "whisper": (write_whisper, load_asr),
    "ctc": (write_ctc, load_asr),
    "paraformer": (write_paraformer, load_asr),
    "xvector": (write_xvector, SpeakerEncoder),
    "ecapa": (write_ecapa, SpeakerEncoder),
    "unispeech": (write_unispeech, SpeakerEncoder),
    "emotion2vec": (write_emotion2vec, Emotion2Vec),
}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], Path]:
    """Returns a function that copies a checkpoint; each kind is made once."""
    made: dict[str, Path] = {}

    def copy(kind: str, to: Path) -> Path:
        if kind not in made:
            made[kind] = LOADERS[kind][0](tmp_path_factory.mktemp("made") / "checkpoint")
        return Path((shutil.copytree if made[kind].is_dir() else shutil.copy)(made[kind], to))

    return copy


Checkpoints = Callable[[str, Path], Path]


@contextmanager
def refused(where: Path | str) -> Iterator[None]:
    """Requires one line that names the checkpoint, in little time and memory."""
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(LlasaSearchError) as error:
        yield
    message = str(error.value)
    assert str(where) in message and "\n" not in message and len(message) < 500, message
    assert time.monotonic() - start < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # kB


def edit_json(path: Path, *keys: str, value: object) -> None:
    content = json.loads(path.read_text())
    part = content
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("kind", "file", "keys", "value"),
    [
        ("language model", "language_model/config.json", ("num_hidden_layers",), 10**7),
        ("language model", "language_model/config.json", ("num_hidden_layers",), 0),
        ("language model", "language_model/config.json", ("num_hidden_layers",), 1),
        ("language model", "language_model/config.json", ("num_hidden_layers",), "two"),
        ("language model", "language_model/config.json", ("hidden_size",), 2**20),
        ("language model", "language_model/config.json", ("vocab_size",), 10**12),
        ("language model", "language_model/config.json", ("max_position_embeddings",), -5),
        ("language model", "language_model/config.json", ("num_key_value_heads",), 3),
        ("language model", "language_model/config.json", ("rms_norm_eps",), -1.0),
        ("language model", "language_model/config.json", ("num_attention_heads",), 0),
        ("language model", "codec/config.json", ("semantic_model_config", "num_hidden_layers"), 10**7),
        ("language model", "codec/config.json", ("semantic_model_config", "hidden_size"), 2**20),
        ("whisper", "config.json", ("d_model",), 2**20),
        ("whisper", "config.json", ("max_source_positions",), -3),
        ("ctc", "config.json", ("num_hidden_layers",), 0),
        ("ctc", "config.json", ("vocab_size",), 10**12),
        ("xvector", "config.json", ("tdnn_dim",), [2**20] * 5),
    ],
)  # fmt: skip
def test_settings_that_describe_another_model_are_refused(
    checkpoints: Checkpoints, tmp_path: Path, kind: str, file: str, keys: tuple[str, ...], value: object
) -> None:
    """Ten million layers were built until the memory was full."""
    folder = checkpoints(kind, tmp_path / "copy")
    edit_json(folder / file, *keys, value=value)
    with refused(folder):
        LOADERS[kind][1](str(folder))


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("ecapa", "channels: [16", "channels: [1048576"),
        ("ecapa", "n_mels: 80", "n_mels: 1000000000"),
        ("ecapa", "lin_neurons: !ref <emb_dim>", "lin_neurons: 100000000000"),
        ("emotion2vec", "embed_dim: 32", "embed_dim: 1048576"),
        ("paraformer", "num_blocks: 2", "num_blocks: 10000000"),
        ("paraformer", "output_size: 16", "output_size: 1048576"),
    ],
)
def test_yaml_settings_that_describe_another_model_are_refused(
    checkpoints: Checkpoints, tmp_path: Path, kind: str, old: str, new: str
) -> None:
    folder = checkpoints(kind, tmp_path / "copy")
    (path,) = folder.glob("*.yaml")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with refused(folder):
        LOADERS[kind][1](str(folder))


BOMB = "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefghij", "bcdefghijk", strict=True)
)


@pytest.mark.parametrize(
    "text", [BOMB, "a: &a [*a]\nmodel: *a", "a: " + "[" * 3000, "[1", "- 1", "1", "", "\0"]
)
@pytest.mark.parametrize(("kind", "file"), [("emotion2vec", "config.yaml"), ("ecapa", "hyperparams.yaml")])
def test_settings_that_expand_or_are_no_mapping_are_refused(
    checkpoints: Checkpoints, tmp_path: Path, text: str, kind: str, file: str
) -> None:
    """A few lines of aliases stood for billions of values."""
    folder = checkpoints(kind, tmp_path / "copy")
    (folder / file).write_text(text)
    with refused(folder):
        LOADERS[kind][1](str(folder))


@pytest.mark.parametrize("text", [BOMB, "[" * 100_000, "{", "[]", '{"a": ' + "9" * 5000 + "}"])
@pytest.mark.parametrize("part", ["language_model/config.json", "codec/config.json"])
def test_a_broken_config_json_is_refused(
    checkpoints: Checkpoints, tmp_path: Path, text: str, part: str
) -> None:
    folder = checkpoints("language model", tmp_path / "copy")
    (folder / part).write_text(text)
    with refused(folder):
        Llasa.from_pretrained(folder)


def spoil(path: Path, value: float) -> None:
    """Sets one weight of a file."""
    if path.suffix == ".safetensors":
        weights = load_file(path)
        max(weights.values(), key=torch.Tensor.numel).view(-1)[7] = value
        save_file(weights, path, {"format": "pt"})
        return
    content = torch.load(path, weights_only=True)
    inside = [each for each in (content, *content.values()) if isinstance(each, dict)]
    floats = [
        each for part in inside for each in part.values() if isinstance(each, torch.Tensor) and each.dim() > 1
    ]
    max(floats, key=torch.Tensor.numel).view(-1)[7] = value
    torch.save(content, path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("kind", LOADERS)
def test_weights_that_are_not_finite_are_refused(
    checkpoints: Checkpoints, tmp_path: Path, kind: str, value: float
) -> None:
    """A recogniser with NaN weights gave a WER without a warning; float32 was advised for a model in float32."""
    where = checkpoints(kind, tmp_path / "copy.pth")
    names = ("model.safetensors", "model.pt", "embedding_model.ckpt")
    files = [where] if where.is_file() else [path for path in where.rglob("*") if path.name in names]
    for file in files:
        spoil(file, value)
    with pytest.raises(ModelError, match="NaN or infinite values") as error:
        LOADERS[kind][1](str(where))
    assert str(where) in str(error.value) and "use dtype" not in str(error.value)


def test_an_openai_whisper_is_checked_before_it_is_built(asr_path: Path, tmp_path: Path) -> None:
    content = torch.load(asr_path, weights_only=True)
    path = tmp_path / "asr.pt"
    for name, value in (("n_audio_layer", 10**7), ("n_text_ctx", 10**9), ("n_vocab", "x"), ("n_mels", -1)):
        torch.save({**content, "dims": {**content["dims"], name: value}}, path)
        with refused(path):
            load_asr(str(path))
    content["model_state_dict"]["encoder.conv1.weight"][0, 0, 0] = torch.nan
    torch.save(content, path)
    with refused(path):
        load_asr(str(path))


def test_weights_are_not_expanded(checkpoints: Checkpoints, tmp_path: Path) -> None:
    """PyTorch stores weights without compression; a compressed file of 1 MB may expand to gigabytes."""
    path = checkpoints("unispeech", tmp_path / "copy.pth")
    with zipfile.ZipFile(path) as archive:
        members = {each.filename: archive.read(each) for each in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with refused(path):
        SpeakerEncoder(str(path))


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/hostname", 5])
def test_an_index_names_files_of_its_folder(checkpoints: Checkpoints, tmp_path: Path, name: object) -> None:
    folder = checkpoints("language model", tmp_path / "copy") / "language_model"
    weights = load_file(folder / "model.safetensors")
    shutil.move(folder / "model.safetensors", tmp_path / "copy" / "model.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, name)}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with refused(folder):
        Llasa.from_pretrained(tmp_path / "copy")


@pytest.mark.parametrize(("kind", "file"), [("ecapa", "hyperparams.yaml"), ("whisper", "vocab.json")])
def test_a_checkpoint_has_regular_files_only(
    checkpoints: Checkpoints, tmp_path: Path, kind: str, file: str
) -> None:
    folder = checkpoints(kind, tmp_path / "copy")
    (folder / file).unlink(missing_ok=True)
    os.mkfifo(folder / file)
    with refused(folder):
        LOADERS[kind][1](str(folder))


def test_a_codec_of_another_rate_gets_the_prompt_at_its_rate(tmp_path: Path) -> None:
    """A voice prompt of 16 kHz was given to the codec as if it had the codec's rate."""
    write_pair(tmp_path)
    for name in ("config.json", "preprocessor_config.json"):
        edit_json(tmp_path / "codec" / name, "sampling_rate", value=24_000)
    llasa = Llasa.from_pretrained(tmp_path, device="cpu")
    voice = Voice.builtin("slt")
    assert len(llasa.voice_codes(voice)) == pytest.approx(voice.seconds * 24_000 / llasa.codec.hop, abs=2)
    similarity = SpeakerSimilarity(reference="resynthesis")
    result = search.generate(
        "a coin",
        voice,
        model=llasa,
        verifiers=similarity,
        strategy="best_of_n:n=2",
        sampling=Sampling(max_seconds=1.0),
    )
    assert result.sample_rate == 24_000 and result.voice is not None and result.voice.resynthesis is not None
    assert len(result.voice.resynthesis) / 16_000 == pytest.approx(voice.seconds, abs=0.1)


def test_a_codec_whose_files_disagree_about_the_rate_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path)
    edit_json(tmp_path / "codec" / "config.json", "sampling_rate", value=24_000)
    with refused(tmp_path / "codec"):
        Llasa.from_pretrained(tmp_path, device="cpu")

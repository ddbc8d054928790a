"""Speaker embeddings from three kinds of checkpoints."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio
from llasa_search.audio import SAMPLE_RATE
from llasa_search.checkpoints.bounds import within_its_files
from llasa_search.checkpoints.hub import find_checkpoint
from llasa_search.checkpoints.imports import explain_missing_imports
from llasa_search.checkpoints.loading import (
    load_strictly,
    loading,
    pick_device,
    pretrained,
    read_weights,
    require_type,
)
from llasa_search.checkpoints.settings_files import load_yaml
from llasa_search.errors import ModelError
from llasa_search.verifiers.backends.batches import equal_length_batches
from llasa_search.verifiers.backends.flops import LinearFlops

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MAX_SPECTRUM = 48_000
"""Largest number among the settings of a spectrogram, such as a sample rate in Hz."""

Kind = Literal["ecapa", "xvector", "wavlm_ecapa"]

FILES = (
    "hyperparams.yaml",
    "embedding_model.ckpt",
    "config.json",
    "preprocessor_config.json",
    "*.safetensors",
    "pytorch_model.bin",
)


def kind_of(model: str) -> Kind:
    """Returns the kind of checkpoint that has this path or hub id."""
    path = Path(model).expanduser()
    if path.is_file():
        return "wavlm_ecapa"
    is_ecapa = (
        (path / "embedding_model.ckpt").is_file() if path.is_dir() else model.startswith("speechbrain/")
    )
    return "ecapa" if is_ecapa else "xvector"


class SpeakerEncoder:
    """A loaded checkpoint.

    Args:
        model: a speechbrain ECAPA-TDNN or a transformers `WavLMForXVector` (hub id or folder), or a file in
            UniSpeech's layout.
        device: "auto", "cpu", "cuda", ...

    Attributes:
        kind: of checkpoint.

    Raises:
        InputError: there is no such checkpoint.
        ModelError: it cannot be loaded, or its weights do not fit.
    """

    @explain_missing_imports()
    def __init__(self, model: str, device: str = "auto") -> None:
        self.device = pick_device(device)
        self._lock = RLock()
        where = find_checkpoint(model, FILES)
        self.kind = kind_of(str(where))
        load = {"ecapa": _ecapa, "xvector": _xvector, "wavlm_ecapa": _wavlm_ecapa}[self.kind]
        self._encode = load(where, self.device)
        self.flops = LinearFlops(lambda audio: self.embed([audio]))

    def embed(self, audios: Sequence[Audio]) -> NDArray[np.float64]:
        """Returns embeddings [recordings, dim] of length 1.

        Args:
            audios: float32 mono [samples] at 16 kHz, each of its own length.
        """
        import torch

        embeddings: list[NDArray[np.float64]] = [np.empty(0)] * len(audios)
        for places in equal_length_batches(audios):
            batch = torch.from_numpy(np.stack([audios[i] for i in places]))
            with torch.inference_mode(), self._lock:
                found = self._encode(batch.to(self.device)).cpu().double().numpy()
            for i, embedding in zip(places, found, strict=True):
                embeddings[i] = embedding / max(float(np.linalg.norm(embedding)), 1e-12)
        return np.stack(embeddings)


def _ecapa(folder: Path, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Loads a speechbrain folder without executing its hyperparams.yaml, as speechbrain's loader would."""
    from speechbrain.lobes.features import Fbank
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
    from speechbrain.processing.features import InputNormalization

    forget_lazy_modules()

    settings = read_hyperparams(folder / "hyperparams.yaml")
    if not str(settings.get("embedding_model", {}).get("!", "")).endswith("ECAPA_TDNN"):
        raise ModelError(f"{folder}: its embedding_model is not an ECAPA_TDNN of speechbrain")
    parts = {
        name: {key: value for key, value in settings.get(name, {}).items() if key != "!"}
        for name in ("compute_features", "mean_var_norm", "embedding_model")
    }
    with loading(folder):
        _require_usual_sizes(parts["compute_features"], folder)
        with within_its_files(folder):
            features = Fbank(**parts["compute_features"]).to(device)
            normalise = InputNormalization(**parts["mean_var_norm"]).to(device)
            model = ECAPA_TDNN(**parts["embedding_model"])
    load_strictly(model, read_weights(folder / "embedding_model.ckpt"), folder)
    model.to(device).eval()

    def encode(audio: Tensor) -> Tensor:
        lengths = audio.new_ones(len(audio))
        embedding: Tensor = model(normalise(features(audio), lengths), lengths)
        return embedding[:, 0]

    return encode


def _require_usual_sizes(settings: dict[str, Any], folder: Path) -> None:
    """Refuses sizes of spectrograms that no checkpoint has: they are not in the weights, and take memory."""
    for name, value in settings.items():
        if isinstance(value, int | float) and not 0 <= value <= MAX_SPECTRUM:
            raise ModelError(
                f"{folder}/hyperparams.yaml: compute_features has {name}: {value!r:.40}, outside 0..{MAX_SPECTRUM}"
            )


def read_hyperparams(path: Path) -> dict[str, Any]:
    """Returns a speechbrain settings file as plain data; objects that its tags describe are not made.

    Args:
        path: `hyperparams.yaml`. The tag of a mapping is stored under "!", and `!ref <name>` is resolved.

    Raises:
        ModelError: it is missing, or not YAML.
    """
    import yaml

    Loader: Any = type("Loader", (yaml.SafeLoader,), {})

    def plain(loader: Any, tag: str, node: Any) -> Any:
        if isinstance(node, yaml.MappingNode):
            return {"!": tag, **loader.construct_mapping(node, deep=True)}
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None

    Loader.add_multi_constructor("!", plain)
    with loading(path):
        settings = load_yaml(path, Loader)
        return {name: _resolved(value, settings) for name, value in settings.items()}


def _resolved(value: Any, settings: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _resolved(each, settings) for key, each in value.items()}
    reference = re.fullmatch(r"<(\w+)>", value) if isinstance(value, str) else None
    return settings.get(reference[1], value) if reference else value


def _xvector(folder: Path, device: torch.device) -> Callable[[Tensor], Tensor]:
    from transformers import Wav2Vec2FeatureExtractor, WavLMForXVector

    require_type(folder, "wavlm", "WavLMForXVector of transformers or an ECAPA-TDNN (embedding_model.ckpt)")
    with loading(folder):
        features = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    # The objective is the training head.
    model = pretrained(WavLMForXVector, folder, training=["objective."]).to(device)

    def encode(audio: Tensor) -> Tensor:
        inputs = features(list(audio.cpu().numpy()), sampling_rate=SAMPLE_RATE, return_tensors="pt")
        embedding: Tensor = model(inputs["input_values"].to(device)).embeddings
        return embedding

    return encode


def _wavlm_ecapa(path: Path, device: torch.device) -> Callable[[Tensor], Tensor]:
    from llasa_search.verifiers.backends.wavlm_ecapa import load

    return load(path).to(device)


def forget_lazy_modules() -> None:
    """Removes speechbrain's lazy modules from `sys.modules`.

    They raise ImportError when one of their attributes is read, for example by hypothesis or IPython's autoreload,
    which visit all modules.
    """
    importutils = sys.modules.get("speechbrain.utils.importutils")
    if importutils is not None:
        for name, module in list(sys.modules.items()):
            if issubclass(type(module), importutils.LazyModule):
                del sys.modules[name]

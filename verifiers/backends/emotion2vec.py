"""emotion2vec, by funasr's model classes: embeddings and probabilities of emotions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio
from llasa_search.checkpoints.bounds import within_its_files
from llasa_search.checkpoints.hub import find_checkpoint
from llasa_search.checkpoints.imports import explain_missing_imports
from llasa_search.checkpoints.loading import loading, pick_device
from llasa_search.errors import ModelError
from llasa_search.storage.reading import read_text
from llasa_search.verifiers.backends.batches import equal_length_batches
from llasa_search.verifiers.backends.flops import LinearFlops
from llasa_search.verifiers.backends.funasr_folder import load_weights, quiet, read_config

FILES = ("config.yaml", "model.pt", "tokens.txt")

MAX_SPEC = 2000
MAX_CONVOLUTIONS = 32
"""Limits of a feature_encoder_spec, in characters and in convolutions; that of emotion2vec_plus_large has 7."""


class Prediction(NamedTuple):
    """Output of emotion2vec for one recording.

    Attributes:
        embedding: [dim], of length 1.
        probabilities: of the labels, [labels]; their sum is 1.
    """

    embedding: NDArray[np.float64]
    probabilities: NDArray[np.float64]


class Emotion2Vec:
    """A loaded checkpoint.

    Args:
        model: a folder with config.yaml, model.pt and tokens.txt, or a hub id. ModelScope's `iic/...` means
            the authors' copy on the Hugging Face hub, `emotion2vec/...`.
        device: "auto", "cpu", "cuda", ...

    Attributes:
        labels: the emotions, such as "开心/happy".

    Raises:
        InputError: there is no such checkpoint.
        ModelError: it is not an emotion2vec, or its weights do not fit.
    """

    @explain_missing_imports()
    def __init__(self, model: str, device: str = "auto") -> None:
        folder = find_checkpoint(re.sub("^iic/", "emotion2vec/", model), FILES)
        config = read_config(folder, FILES, "emotion2vec")
        self.device = pick_device(device)
        self._lock = RLock()
        self.labels = read_text(folder / "tokens.txt", f"{folder}/tokens.txt").split("\n")
        self.labels = [label.strip() for label in self.labels if label.strip()]
        self._model = _load(folder, config, len(self.labels)).to(self.device).eval()
        self.flops = LinearFlops(lambda audio: self.predict([audio]))
        # Labels that funasr marks as not used in training.
        self._unused = [i for i, label in enumerate(self.labels) if label.startswith("unuse")]

    def predict(self, audios: Sequence[Audio]) -> list[Prediction]:
        """Returns the embedding and the probabilities of each recording.

        Args:
            audios: float32 mono [samples] at 16 kHz, each of its own length, at least 0.1 s.
        """
        import torch
        import torch.nn.functional as F

        results: dict[int, Prediction] = {}
        for places in equal_length_batches(audios):
            batch = torch.from_numpy(np.stack([audios[i] for i in places])).to(self.device)
            with torch.inference_mode(), self._lock:
                if self._model.cfg.normalize:
                    batch = F.layer_norm(batch, batch.shape[-1:])
                pooled = self._model.extract_features(batch, padding_mask=None)["x"].mean(1)
                logits = self._model.proj(pooled)
                logits[:, self._unused] = -torch.inf
                probabilities = logits.cpu().double().softmax(-1).numpy()
            for i, embedding, row in zip(places, pooled.cpu().double().numpy(), probabilities, strict=True):
                results[i] = Prediction(embedding / max(float(np.linalg.norm(embedding)), 1e-12), row)
        return [results[i] for i in range(len(audios))]


def _load(folder: Path, config: dict[str, Any], labels: int) -> Any:
    with loading(folder), quiet():
        from funasr.models.emotion2vec.model import Emotion2vec

        if config["model"] != "Emotion2vec":
            raise ModelError(f"{folder} holds a {config['model']!r}, not an 'Emotion2vec'")
        audio = config["model_conf"]["modalities"]["audio"]
        # funasr runs this text with eval().
        audio["feature_encoder_spec"] = repr(_convolutions(audio["feature_encoder_spec"], folder))
        with within_its_files(folder):
            model = Emotion2vec(model_conf=config["model_conf"], vocab_size=labels)
    load_weights(model, folder / "model.pt", config)
    return model


def _convolutions(text: str, folder: Path) -> list[tuple[int, ...]]:
    """Returns the convolutions that a feature_encoder_spec lists, such as "[(512, 10, 5)] + [(512, 3, 2)] * 4".

    Raises:
        ModelError: it is anything else, or has more than 32 convolutions.
    """
    term = r"\[((?:\(\d{1,5},\d{1,5},\d{1,5}\),?)*)\](?:\*(\d{1,2}))?"
    compact = re.sub(r"\s", "", text[:MAX_SPEC])
    found: list[tuple[int, ...]] = []
    if len(text) <= MAX_SPEC and re.fullmatch(rf"{term}(?:\+{term})*", compact):
        for layers, times in re.findall(term, compact):
            listed = [tuple(map(int, layer.split(","))) for layer in re.findall(r"\(([\d,]+)\)", layers)]
            found += listed * int(times or 1)
    if not 0 < len(found) <= MAX_CONVOLUTIONS or not all(min(layer) > 0 for layer in found):
        raise ModelError(
            f"{folder}/config.yaml: feature_encoder_spec {text!r:.80} is not a list of at most "
            f"{MAX_CONVOLUTIONS} convolutions (channels, width, stride)"
        )
    return found

"""Speech recognition with Paraformer (arXiv 2206.08317), by funasr's model classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from threading import RLock
from typing import Any

from llasa_search.arrays import Audio
from llasa_search.audio import SAMPLE_RATE
from llasa_search.checkpoints.bounds import within_its_files
from llasa_search.checkpoints.imports import explain_missing_imports
from llasa_search.checkpoints.loading import loading, pick_device
from llasa_search.errors import ModelError
from llasa_search.storage.reading import read_json
from llasa_search.verifiers.backends.batches import equal_length_batches, transcribe_windows
from llasa_search.verifiers.backends.flops import LinearFlops
from llasa_search.verifiers.backends.funasr_folder import load_weights, quiet, read_config

FILES = ("config.yaml", "model.pt", "tokens.json", "am.mvn")
MODELS = ("Paraformer", "BiCifParaformer", "SeacoParaformer")
PARTS = {
    "encoder": ("SANMEncoder",),
    "decoder": ("ParaformerSANMDecoder",),
    "seaco_decoder": ("ParaformerSANMDecoder",),
    "predictor": ("CifPredictor", "CifPredictorV2", "CifPredictorV3"),
    "normalize": (),
}
"""Classes that a config.yaml may name: others of funasr run text of that file as Python, or read other files."""

TOKENIZER_OPTIONS = ("unk_symbol", "split_with_space", "space_symbol")
"""Options of the tokenizer that are not paths of files."""

CHINESE = "[\u4e00-\u9fff]"
TOKENS = {"en": "^[a-z]+(@@)?$", "zh": CHINESE}
"""A pattern of tokens by language: there are checkpoints for either, and for both."""

WINDOW_SECONDS = 30
"""It accepts longer speech, but is trained on utterances, and its memory grows with the square of the length."""

FRAME = 400
"""Samples of one frame of its spectrogram, 25 ms; shorter audio cannot be transcribed."""


class Paraformer:
    """A loaded checkpoint, used without a language model or hot words.

    Attributes:
        languages: those of "en" and "zh" that it has tokens of.

    Args:
        folder: in funasr's layout: config.yaml, model.pt, tokens.json and am.mvn.
        device: "auto", "cpu", "cuda", ...

    Raises:
        ModelError: a file is missing, the model is another one, or its weights do not fit.
    """

    family = "paraformer"

    @explain_missing_imports()
    def __init__(self, folder: Path, device: str = "auto") -> None:
        self.device = pick_device(device)
        self._lock = RLock()
        with loading(folder), quiet():
            import funasr  # noqa: F401 - registers its models
            from funasr.frontends.wav_frontend import WavFrontend
            from funasr.register import tables
            from funasr.tokenizer.char_tokenizer import CharTokenizer

            config = read_config(folder, FILES, "Paraformer")
            _require_known_classes(folder, config)
            self.tokens: list[str] = read_json(folder / "tokens.json", f"{folder}/tokens.json")
            options = {
                name: config["tokenizer_conf"][name]
                for name in TOKENIZER_OPTIONS
                if name in config["tokenizer_conf"]
            }
            self._tokenizer = CharTokenizer(token_list=self.tokens, **options)
            # Dither is random noise, which would change the transcript from call to call.
            frontend = {**config["frontend_conf"], "dither": 0.0}
            self._frontend: Any = WavFrontend(cmvn_file=str(folder / "am.mvn"), **frontend)
            with within_its_files(folder):
                model: Any = tables.model_classes[config["model"]](
                    **config | {"specaug": None},  # only training needs it
                    **config["model_conf"],
                    vocab_size=len(self.tokens),
                    input_size=self._frontend.output_size(),
                )
            load_weights(model, folder / "model.pt", config)
        self.languages = frozenset(
            code for code, token in TOKENS.items() if any(re.search(token, each) for each in self.tokens)
        )
        self._model = model.to(self.device).eval()
        self.flops = LinearFlops(lambda audio: self._transcribe([audio]))

    def clear_cache(self) -> None:
        """Does nothing: it caches no speech."""

    def transcribe(self, audios: Sequence[Audio], language: str) -> list[str]:
        """Returns the transcripts of recordings, "" for one without speech.

        Recordings of more than 30 s are cut at quiet points.

        Args:
            audios: float32 mono [samples] at 16 kHz, each of its own length.
            language: that is spoken; the checkpoint has one vocabulary for all.
        """
        return transcribe_windows(audios, language, WINDOW_SECONDS * SAMPLE_RATE, self._transcribe)

    def _transcribe(self, pieces: Sequence[Audio]) -> list[str]:
        import torch

        texts = [""] * len(pieces)
        for places in equal_length_batches(pieces):
            if len(pieces[places[0]]) < FRAME:
                continue
            with torch.inference_mode(), self._lock:
                found, *_ = self._model.inference(
                    [torch.from_numpy(pieces[i].copy()) for i in places],
                    key=[str(i) for i in places],
                    tokenizer=self._tokenizer,
                    frontend=self._frontend,
                    device=self.device,
                )
            # Empty if no recording of the batch has speech.
            for each in found:
                texts[int(each["key"])] = re.sub(f"(?<={CHINESE}) (?={CHINESE})", "", each["text"])
        return texts


def _require_known_classes(folder: Path, config: dict[str, Any]) -> None:
    if config["model"] not in MODELS:
        raise ModelError(f"{folder} holds a {config['model']!r}; known are {', '.join(MODELS)}")
    for part, known in PARTS.items():
        if config.get(part) is not None and config[part] not in known:
            raise ModelError(
                f"{folder}/config.yaml: its {part} {config[part]!r:.80} is not supported; "
                f"give {' or '.join(known) or 'none'}"
            )

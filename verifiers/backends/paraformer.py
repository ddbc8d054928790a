"""Speech recognition with Paraformer (arXiv 2206.08317) by funasr's own classes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llasa_search.arrays import Audio
from llasa_search.audio import SAMPLE_RATE
from llasa_search.checkpoints.loading import loading, pick_device
from llasa_search.errors import ModelError
from llasa_search.verifiers.backends.batches import of_one_length, transcribe_windows
from llasa_search.verifiers.backends.flops import Line
from llasa_search.verifiers.backends.funasr_folder import load_weights, quiet, read_config

FILES = ("config.yaml", "model.pt", "tokens.json", "am.mvn")
MODELS = ("Paraformer", "BiCifParaformer", "SeacoParaformer")
CHINESE = "[\u4e00-\u9fff]"
WINDOW_SECONDS = 30
"""It would hear longer speech at once, but is trained on utterances, and its memory grows with the square."""

FRAME = 400
"""Samples of one frame of its spectrogram, 25 ms: in less there is nothing to hear."""


class Paraformer:
    """A loaded checkpoint, decoded without a language model or hot words.

    Args:
        folder: as funasr keeps one: config.yaml, model.pt, tokens.json and am.mvn.

    Raises:
        ModelError: a file is missing, it holds another model, or its weights do not fit.
    """

    family = "paraformer"

    def __init__(self, folder: Path) -> None:
        self.device = pick_device()
        with loading(folder), quiet():
            import funasr  # noqa: F401 - fills the register
            from funasr.frontends.wav_frontend import WavFrontend
            from funasr.register import tables
            from funasr.tokenizer.char_tokenizer import CharTokenizer

            config = read_config(folder, FILES, "Paraformer")
            if config["model"] not in MODELS:
                raise ModelError(f"{folder} holds a {config['model']!r}; known are {', '.join(MODELS)}")
            self.tokens: list[str] = json.loads((folder / "tokens.json").read_text(encoding="utf-8"))
            self._tokenizer = CharTokenizer(token_list=self.tokens, **config["tokenizer_conf"])
            # Dither, which is noise, would give the same speech another transcript.
            sounds = {**config["frontend_conf"], "dither": 0.0}
            self._frontend: Any = WavFrontend(cmvn_file=str(folder / "am.mvn"), **sounds)
            model: Any = tables.model_classes[config["model"]](
                **config,
                **config["model_conf"],
                vocab_size=len(self.tokens),
                input_size=self._frontend.output_size(),
            )
            load_weights(model, folder / "model.pt", config)
        self._model = model.to(self.device).eval()
        self.flops = Line(lambda audio: self._decode([audio]))

    def forget(self) -> None:
        """It keeps nothing of speech."""

    def understands(self, language: str) -> bool:
        """Whether its tokens can write `language` ("en" or "zh")."""
        letter = CHINESE if language == "zh" else "^[a-z]+(@@)?$"
        return any(re.search(letter, token) for token in self.tokens)

    def transcribe(self, audios: Sequence[Audio], language: str) -> list[str]:
        """Transcripts of recordings, "" where nothing is said; beyond 30 s they are cut at quiet points.

        Args:
            audios: float32 mono [samples] at 16 kHz, each of its own length.
            language: "en" or "zh"; the checkpoint has one vocabulary for both.
        """
        return transcribe_windows(audios, language, WINDOW_SECONDS * SAMPLE_RATE, self._decode)

    def _decode(self, pieces: Sequence[Audio]) -> list[str]:
        import torch

        texts = [""] * len(pieces)
        for places in of_one_length(pieces):
            if len(pieces[places[0]]) < FRAME:
                continue
            with torch.inference_mode():
                found, *_ = self._model.inference(
                    [torch.from_numpy(pieces[i].copy()) for i in places],
                    key=[str(i) for i in places],
                    tokenizer=self._tokenizer,
                    frontend=self._frontend,
                    device=self.device,
                )
            # Empty where the whole batch says nothing.
            for each in found:
                texts[int(each["key"])] = re.sub(f"(?<={CHINESE}) (?={CHINESE})", "", each["text"])
        return texts

"""A Llasa language model and its codec, loaded together."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

import numpy as np
import torch

from llasa_search.arrays import Audio, Codes
from llasa_search.audio import SAMPLE_RATE, resampled
from llasa_search.checkpoints.loading import pick_device
from llasa_search.checkpoints.locks import in_one_thread
from llasa_search.engine.language_model import LanguageModel
from llasa_search.errors import ModelError
from llasa_search.llasa import loading
from llasa_search.llasa.choose_format import AUTO, PromptFormatLike, choose_format, require_known
from llasa_search.llasa.codec import Codec
from llasa_search.llasa.prompt_format import PromptFormat
from llasa_search.voice import Voice

EMBEDDED_FORMAT = "llasa:spoken_form=True"
WINDOW = 2048
"""Tokens of text, voice prompt and speech together that Llasa was trained on."""


class Llasa:
    """A Llasa language model and its codec.

    Attributes:
        name: as it was given.
        format: the prompt format.
        format_name: its name, with arguments, as it was given or found.
        language_model: the language model, ready for sampling.
        codec: encodes and decodes speech.
        max_length: maximum number of tokens of prompt and speech together.
        embedded: whether the codec is the package's own; the package's own verifiers are trained on its speech.
    """

    def __init__(
        self,
        name: str,
        format: PromptFormat,
        language_model: LanguageModel,
        codec: Codec,
        max_length: int,
        embedded: bool,
        format_name: str,
    ) -> None:
        self.name = name
        self.format = format
        self.language_model = language_model
        self.codec = codec
        self.max_length = max_length
        self.embedded = embedded
        self.format_name = format_name
        self._voices: dict[str, Codes] = {}

    @classmethod
    @in_one_thread
    def from_pretrained(
        cls,
        model: str | PathLike[str] = "tiny",
        *,
        codec: str | PathLike[str] | None = None,
        device: str = "auto",
        dtype: str = "auto",
        prompt_format: PromptFormatLike = AUTO,
    ) -> Llasa:
        """Loads a language model and its codec.

        Weights of the published Llasa and X-codec2 checkpoints are under CC BY-NC 4.0.

        Args:
            model: "tiny" (in the package), a hub id such as "HKUSTAudio/Llasa-1B", or a folder.
            codec: a hub id or folder; None for the model's own, else "HKUSTAudio/xcodec2-hf".
            device: "cpu", "cuda", ..., or "auto".
            dtype: of the language model's weights: "float32", "bfloat16", "float16", or "auto".
            prompt_format: "auto" for the only registered format that matches the tokenizer; a name with arguments,
                such as "llasa:assistant_prefix='Speaker kore '"; or a class or function of a tokenizer.

        Raises:
            InputError: there is no such model, device or dtype.
            ModelError: a checkpoint cannot be found, fits no prompt format, or does not fit the other.
        """
        require_known(prompt_format)
        where, codec_where = loading.find_model(str(model), None if codec is None else str(codec))
        place = pick_device(device)
        weights = loading.pick_dtype(dtype, place)
        if prompt_format == AUTO and where == str(loading.EMBEDDED_MODEL):
            prompt_format = EMBEDDED_FORMAT
        format_name, form = choose_format(prompt_format, loading.load_tokenizer(where), where)
        loaded_codec = loading.load_codec(codec_where, place)
        if loaded_codec.codebook_size != form.codebook_size:
            raise ModelError(
                f"{where} has {form.codebook_size} speech codes, but the codec {codec_where} has "
                f"{loaded_codec.codebook_size}; name the codec it was trained with: codec=..."
            )
        weights_on_device = loading.load_language_model(where, place, weights)
        outputs = torch.tensor([*form.speech_ids.tolist(), form.end_id])
        highest = max(int(outputs.max()), *form.prompt_ids("a", np.zeros(0, np.int32)))
        if highest >= weights_on_device.config.vocab_size:
            raise ModelError(f"the tokenizer of {where} has more tokens than its model has embeddings")
        max_length = min(WINDOW, weights_on_device.config.max_position_embeddings)
        language_model = LanguageModel(weights_on_device, outputs, max_length)
        embedded = codec_where == str(loading.EMBEDDED_CODEC)
        return cls(str(model), form, language_model, loaded_codec, max_length, embedded, format_name)

    @property
    def sample_rate(self) -> int:
        """Of the audio, in Hz."""
        return self.codec.sample_rate

    @property
    def frame_rate(self) -> float:
        """Speech codes per second."""
        return self.codec.frame_rate

    @in_one_thread  # the feature extractor follows torch's default dtype, which loaders change
    def encode(self, audio: Audio) -> Codes:
        """Returns the codes, 0-based int32 [frames], of float32 mono speech at `sample_rate`."""
        return self.codec.encode(audio)

    def decode(self, rows: Sequence[Codes], context: Codes | None = None) -> list[Audio]:
        """Returns the speech, float32 [samples], of rows of codes; see `Codec.decode`."""
        return self.codec.decode(rows, context)

    @in_one_thread
    def voice_codes(self, voice: Voice | None) -> Codes:
        """Returns the codes of a voice prompt, which is encoded once; empty without a voice."""
        if voice is None:
            return np.zeros(0, np.int32)
        if voice.id not in self._voices:
            self._voices[voice.id] = self.encode(resampled(voice.audio, SAMPLE_RATE, self.sample_rate))
        return self._voices[voice.id]

    def __repr__(self) -> str:
        dtype = str(self.language_model.dtype).removeprefix("torch.")
        return f"Llasa({self.name!r}, {self.language_model.device}, {dtype})"

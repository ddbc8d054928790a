"""A `Wav2Vec2ForCTC` of transformers, which gives the probability of each character in each frame of speech."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from threading import RLock
from typing import Any

import numpy as np

from llasa_search.arrays import Audio, FloatArray
from llasa_search.audio import SAMPLE_RATE
from llasa_search.checkpoints.hub import find_checkpoint
from llasa_search.checkpoints.imports import explain_missing_imports
from llasa_search.checkpoints.loading import loading, pick_device, pretrained, require_type
from llasa_search.checkpoints.names import resolve_name
from llasa_search.errors import InputError
from llasa_search.text.language import has_spaces
from llasa_search.text.spoken_form import letters, spoken_form
from llasa_search.verifiers.backends.alphabets import languages_of
from llasa_search.verifiers.backends.batches import equal_length_batches
from llasa_search.verifiers.backends.flops import LinearFlops

FILES = (
    "config.json",
    "preprocessor_config.json",
    "vocab.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "model*.safetensors*",
    "pytorch_model.bin",
)


class CTCModel:
    """A loaded checkpoint and its characters. With its greedy transcripts, it is also a recogniser (`asr.ASR`).

    Attributes:
        languages: those that it can write.

    Args:
        model: "tiny" for the embedded one, a folder or a hub id.
        device: "auto", "cpu", "cuda", ...

    Raises:
        InputError: there is no such checkpoint.
        ModelError: it is not on this computer and cannot be downloaded, or is not a `Wav2Vec2ForCTC`.
    """

    family = "ctc"

    @explain_missing_imports()
    def __init__(self, model: str, device: str = "auto") -> None:
        from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

        folder = find_checkpoint(resolve_name(model, "ctc"), FILES)
        require_type(folder, "wav2vec2", "Wav2Vec2 with CTC of transformers")
        with loading(folder):
            self.features: Any = Wav2Vec2FeatureExtractor.from_pretrained(folder)
            self.tokenizer: Any = Wav2Vec2CTCTokenizer.from_pretrained(folder)
        self.device = pick_device(device)
        self._lock = RLock()
        self.model = pretrained(Wav2Vec2ForCTC, folder).to(self.device)
        self.name = model
        self.flops = LinearFlops(lambda audio: self._logprobs(audio[None]))
        self.vocabulary: dict[str, int] = self.tokenizer.get_vocab()
        embedded = str(folder) == resolve_name("tiny", "ctc")
        self.languages = frozenset({"en"}) if embedded else languages_of(self.vocabulary)
        # The tokenizer's padding is CTC's blank.
        self.blank = int(self.tokenizer.pad_token_id)

    def spell(self, text: str, language: str) -> list[int]:
        """Returns the tokens of the text's characters.

        Raises:
            InputError: the checkpoint cannot write one of them, or there are none.
        """
        spelled = "".join(map(self._known_form, characters(text, language)))
        spelled = spelled.replace(" ", self.tokenizer.word_delimiter_token)
        if unknown := sorted({character for character in spelled if character not in self.vocabulary}):
            raise InputError(
                f"{self.name} cannot write {' '.join(unknown[:5])} of the text {text!r:.60}: "
                "take a CTC checkpoint of that language"
            )
        if not spelled:
            raise InputError(f"the text {text!r} has no letters to score")
        return [self.vocabulary[character] for character in spelled]

    def _known_form(self, character: str) -> str:
        """Returns the character in the form that the checkpoint writes: its case, or its letter without marks."""
        base = unicodedata.normalize("NFKD", character)[0]
        forms = [character, character.lower(), character.upper(), base, base.upper()]
        return next((form for form in forms if form in self.vocabulary), character)

    def recognise(self, audios: Sequence[Audio]) -> list[tuple[FloatArray, str]]:
        """Returns the log-probabilities [frames, vocabulary] of each recording, and its greedy transcript."""
        results: dict[int, tuple[FloatArray, str]] = {}
        for places in equal_length_batches(audios):
            # Audio shorter than one frame.
            if int(self.model._get_feat_extract_output_lengths(len(audios[places[0]]))) < 1:
                results |= dict.fromkeys(places, (np.zeros((0, len(self.vocabulary))), ""))
                continue
            logprobs = self._logprobs(np.stack([audios[i] for i in places]))
            transcripts = self.tokenizer.batch_decode(logprobs.argmax(-1))
            for i, frames, transcript in zip(places, logprobs.double().numpy(), transcripts, strict=True):
                results[i] = frames, transcript
        return [results[i] for i in range(len(audios))]

    def clear_cache(self) -> None:
        """Does nothing: it caches no speech."""

    def transcribe(self, audios: Sequence[Audio], language: str) -> list[str]:
        """Returns the greedy transcripts of recordings, "" for one without speech."""
        return [transcript.strip() for _, transcript in self.recognise(audios)]

    def _logprobs(self, batch: Audio) -> Any:
        """Returns the log-probabilities [batch, frames, vocabulary] of audio [batch, samples]."""
        import torch

        inputs = self.features(list(batch), sampling_rate=SAMPLE_RATE, return_tensors="pt")
        with torch.inference_mode(), self._lock:
            logits = self.model(inputs["input_values"].to(self.device)).logits
            return logits.float().log_softmax(-1).cpu()


def characters(text: str, language: str) -> str:
    """Returns what a checkpoint over characters has to write: the spoken form in letters, marks and spaces.

    >>> characters("Room 7 (the last)!", "en"), characters("Zimmer 7!", "de"), characters("第7间，对。", "zh")
    ('room seven the last', 'zimmer sieben', '第七间对')
    """
    if language == "en":
        return letters(text)
    said = unicodedata.normalize("NFC", spoken_form(text, language)).lower()
    kept = "".join(char if unicodedata.category(char)[0] in "LMN" or char == "'" else " " for char in said)
    return (" " if has_spaces(language) else "").join(kept.split())

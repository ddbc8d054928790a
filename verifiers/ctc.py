"""CTC: how well does the text fit the speech, frame by frame? Another family than Whisper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from llasa_search.candidate import Audio, Score, Utterance
from llasa_search.errors import InputError
from llasa_search.verifiers.base import Verifier
from llasa_search.verifiers.checkpoints import loading, locate, pick_device, pretrained, stored_scale
from llasa_search.verifiers.hearing import SAMPLE_RATE, at_16k, of_one_length
from llasa_search.verifiers.spelling import letters
from llasa_search.verifiers.word_errors import errors
from llasa_search.voice import Prompt

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


class CTCAlignment(Verifier):
    """CTC loss of the text in nats a character, 0 or more: minus the log-probability of all its alignments.

    It hears letters without a language model to guess sentences, at the speech's own length without padding.
    The detail is the WER of its greedy transcript, and the transcript. Speech too short to hold the text
    fails. The scale ends at 2 nats a character, which is our choice; a folder's own `scale.json` goes first.

    Args:
        model: a transformers `Wav2Vec2ForCTC` over characters, by hub id or folder.
    """

    family = "ctc"
    content = True
    cost = 0.1

    def __init__(self, model: str = "facebook/wav2vec2-base-960h") -> None:
        self.model = str(model)
        self.scale = stored_scale(self.model) or (2.0, 0.0)
        self._loaded: _Recogniser | None = None

    def load(self) -> None:
        self._loaded = self._loaded or _Recogniser(self.model)

    def check(self, prompt: Prompt) -> None:
        super().check(prompt)
        self._recogniser.spell(prompt.text, prompt.language)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        targets = [self._recogniser.spell(each.text, each.language) for each in utterances]
        heard = self._recogniser.hear([at_16k(utterance) for utterance in utterances], targets)
        scores = []
        for utterance, (loss, transcript) in zip(utterances, heard, strict=True):
            rate = errors(utterance.text, transcript, utterance.language).rate
            if math.isfinite(loss):
                scores.append(Score(loss, f"WER {rate:.2f}: {transcript}"))
            else:
                scores.append(Score(math.nan, "too short to hold the text", "failed"))
        return scores

    @property
    def _recogniser(self) -> _Recogniser:
        self.load()
        assert self._loaded is not None
        return self._loaded


class _Recogniser:
    """A loaded checkpoint with its characters."""

    def __init__(self, model: str) -> None:
        from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

        folder = locate(model, FILES)
        with loading(folder):
            self.features: Any = Wav2Vec2FeatureExtractor.from_pretrained(folder)
            self.tokenizer: Any = Wav2Vec2CTCTokenizer.from_pretrained(folder)
        self.device = pick_device()
        self.model = pretrained(Wav2Vec2ForCTC, folder).to(self.device)
        self.name = model
        self.vocabulary: dict[str, int] = self.tokenizer.get_vocab()
        # What padding is to the tokenizer is CTC's blank to the model.
        self.blank = int(self.tokenizer.pad_token_id)

    def spell(self, text: str, language: str) -> list[int]:
        """Tokens of the text's characters.

        Raises:
            InputError: the checkpoint cannot write one of them, or there are none.
        """
        plain = letters(text) if language == "en" else "".join(filter(str.isalnum, text))
        if "A" in self.vocabulary and "a" not in self.vocabulary:
            plain = plain.upper()
        plain = plain.replace(" ", self.tokenizer.word_delimiter_token)
        if unknown := sorted({character for character in plain if character not in self.vocabulary}):
            raise InputError(
                f"{self.name} cannot write {' '.join(unknown[:5])} of the text {text!r:.60}: "
                "take a CTC checkpoint of that language"
            )
        if not plain:
            raise InputError(f"the text {text!r} has no letters to hear")
        return [self.vocabulary[character] for character in plain]

    def hear(self, audios: Sequence[Audio], targets: Sequence[list[int]]) -> list[tuple[float, str]]:
        """Loss in nats a character, infinite where the speech cannot hold the text, and greedy transcript."""
        heard: dict[int, tuple[float, str]] = {}
        for places in of_one_length(audios):
            # Less than one frame of speech.
            if int(self.model._get_feat_extract_output_lengths(len(audios[places[0]]))) < 1:
                heard |= dict.fromkeys(places, (math.inf, ""))
                continue
            logprobs = self._logprobs(np.stack([audios[i] for i in places]))
            transcripts = self.tokenizer.batch_decode(logprobs.argmax(-1))
            for i, frames, transcript in zip(places, logprobs, transcripts, strict=True):
                heard[i] = self._loss(frames, targets[i]), transcript
        return [heard[i] for i in range(len(audios))]

    def _logprobs(self, batch: Audio) -> Any:
        """Log-probabilities [batch, frames, vocabulary] of audio [batch, samples]."""
        import torch

        inputs = self.features(list(batch), sampling_rate=SAMPLE_RATE, return_tensors="pt")
        with torch.inference_mode():
            logits = self.model(inputs["input_values"].to(self.device)).logits
            return logits.float().log_softmax(-1).cpu()

    def _loss(self, frames: Any, target: list[int]) -> float:
        import torch

        loss = torch.nn.functional.ctc_loss(
            frames[:, None],
            torch.tensor([target]),
            torch.tensor([len(frames)]),
            torch.tensor([len(target)]),
            blank=self.blank,
            reduction="sum",
        )
        return float(loss) / len(target)

"""Word error rate: does the speech say the text?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llasa_search.arrays import Audio
from llasa_search.audio import resampled
from llasa_search.candidate import Score, Utterance
from llasa_search.errors import InputError
from llasa_search.verifiers.backends.asr import family_of
from llasa_search.verifiers.base import Verifier
from llasa_search.verifiers.word_errors.alignment import ProtocolName, errors, normaliser, require_protocol
from llasa_search.verifiers.word_errors.prefix import (
    MIN_SECONDS,
    expected_units,
    partial_error_rate,
    units_a_second,
)
from llasa_search.voice import Prompt, Voice

if TYPE_CHECKING:
    from llasa_search.verifiers.backends.asr import ASR

WORDS_A_SECOND = {"en": 3.0, "zh": 5.2}
"""Pace without a voice prompt, in words (Chinese: characters) a second.

English is read aloud at 183 words a minute (Brysbaert 2019, "How many words do we read per minute?").
Mandarin is spoken at 5.2 syllables a second (Pellegrino, Coupé and Marsico 2011), and a character is one.
"""


class WER(Verifier):
    """Errors in a transcript as a share of the text's words, or of its characters for Chinese.

    The value exceeds 1 where more is said than the text holds; silence is exactly 1. The score's detail is
    the transcript; `errors` counts from it what a corpus value needs.

    Unfinished speech is compared with the prefix of the text that it is nearest to, see `partial_error_rate`;
    below half a second it abstains.

    Args:
        model: who listens. "tiny" (in this package, English); one of openai-whisper's names, such as
            "large-v3", or the path of its `.pt` file (its own "tiny" is reached that way); a Whisper of
            transformers or a Paraformer of funasr, by folder or hub id; "paraformer-zh". Of another family,
            and without a language model to guess by: "tiny-ctc", or a Wav2Vec2 with CTC of transformers,
            such as "facebook/wav2vec2-base-960h".
        protocol: how text and transcript are normalised before they are compared, "whisper" or
            "seed-tts-eval"; see `normaliser`.
    """

    partial = True
    family = "whisper"
    part = "asr.pt"
    content = True
    scale = (1.0, 0.0)

    def __init__(self, model: str = "tiny", protocol: ProtocolName = "whisper") -> None:
        require_protocol(protocol)
        self.model = str(model)
        self.protocol = protocol
        self.family = family_of(self.model)
        self._asr: ASR | None = None

    def load(self) -> None:
        from llasa_search.verifiers.backends.asr import load_asr

        self._asr = self._asr or load_asr(self.model)
        self.family = self._asr.family

    def check(self, prompt: Prompt) -> None:
        super().check(prompt)
        self._loaded.forget()
        if not self._loaded.understands(prompt.language):
            only, other = ("English", "paraformer-zh") if prompt.language == "zh" else ("Chinese", "large-v3")
            raise InputError(
                f"{self} hears {only} only and the text is {prompt.language!r}: "
                f"use another checkpoint, such as WER(model={other!r})"
            )
        errors(prompt.text, "", prompt.language, self.protocol)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        scores = [Score(math.nan, f"shorter than {MIN_SECONDS:g} s", "abstained")] * len(utterances)
        for language in {utterance.language for utterance in utterances}:
            at = [i for i, each in enumerate(utterances) if each.language == language and _is_heard(each)]
            audios = [utterances[i].audio for i in at]
            rates = [utterances[i].sample_rate for i in at]
            for i, transcript in zip(at, self.transcribe(audios, rates, language), strict=True):
                scores[i] = Score(self._error_rate(utterances[i], transcript), transcript)
        return scores

    def counts(self, text: str, language: str, detail: str) -> tuple[int, int]:
        return errors(text, detail, language, self.protocol)

    def flops(self, seconds: float) -> float:
        return self._loaded.flops(seconds)

    def transcribe(self, audios: Sequence[Audio], sample_rates: Sequence[int], language: str) -> list[str]:
        """What the recordings say, "" where nothing.

        Args:
            audios: float32 mono [samples], each of its own length.
            sample_rates: in Hz.
            language: "en" or "zh".

        Raises:
            InputError: a recording holds NaN or infinite samples.
        """
        heard = [resampled(audio, rate) for audio, rate in zip(audios, sample_rates, strict=True)]
        return self._loaded.transcribe(heard, language)

    def _error_rate(self, utterance: Utterance, transcript: str) -> float:
        text, language = utterance.text, utterance.language
        if utterance.final:
            return errors(text, transcript, language, self.protocol).rate
        normalise = normaliser(text, language, self.protocol)
        expected = expected_units(utterance.seconds, self._pace(utterance.voice, language))
        return partial_error_rate(normalise(text), normalise(transcript), expected)

    def _pace(self, voice: Voice | None, language: str) -> float:
        def count(text: str) -> int:
            return len(normaliser(text, language, self.protocol)(text))

        return units_a_second(voice, language, count, WORDS_A_SECOND)

    @property
    def _loaded(self) -> ASR:
        self.load()
        assert self._asr is not None
        return self._asr


def _is_heard(utterance: Utterance) -> bool:
    return utterance.final or utterance.seconds >= MIN_SECONDS

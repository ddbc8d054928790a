"""Word error rate of a transcript by a speech recogniser."""

from __future__ import annotations

import math
from collections.abc import Sequence

from llasa_search.arrays import Audio
from llasa_search.audio import resampled
from llasa_search.candidate import Score, Utterance
from llasa_search.checkpoints.locks import loaded_once
from llasa_search.text.speech_rates import words_per_second
from llasa_search.verifiers.backends.asr import ASR, family_of, load_asr
from llasa_search.verifiers.base import Verifier
from llasa_search.verifiers.word_errors import errors
from llasa_search.verifiers.word_errors.normalise import ProtocolName, normalised, require_protocol, usual
from llasa_search.verifiers.word_errors.prefix import (
    MIN_SECONDS,
    expected_units,
    partial_error_rate,
    units_per_second,
)
from llasa_search.voice import Prompt, Voice


class WER(Verifier):
    """Errors in a transcript divided by the words (Chinese: characters) of the text.

    The value exceeds 1 if the transcript is longer than the text; silence is exactly 1. The score's detail is the
    transcript, from which `counts` computes the edits and the length that the error rate of a corpus needs.

    Unfinished speech is compared with the nearest prefix of the text, see `partial_error_rate`. Below half a
    second the verifier abstains.

    Args:
        model: the recogniser. "tiny" (embedded, English); one of openai-whisper's names, such as "large-v3", or
            the path of its `.pt` file (use that for openai-whisper's own "tiny"); a Whisper of transformers or a
            Paraformer of funasr, by folder or hub id; "paraformer-zh"; with the extra faster-whisper, one of its
            names, such as "faster-whisper:small", or the folder of a Whisper in CTranslate2's format. Of another
            model family, and without a language model: "tiny-ctc", or a Wav2Vec2 with CTC of transformers, such
            as "facebook/wav2vec2-base-960h".
        protocol: how text and transcript are normalised before the comparison, "whisper" or "seed-tts-eval"; see
            `normalised`.

    Raises:
        InputError: there is no such protocol.
    """

    partial = True
    family = "whisper"
    _part = "asr.pt"
    content = True
    scale = (1.0, 0.0)

    def __init__(self, model: str = "tiny", protocol: ProtocolName = "whisper") -> None:
        require_protocol(protocol)
        self.model = str(model)
        self.protocol = protocol
        self.family = family_of(self.model)

    @loaded_once
    def _asr(self) -> ASR:
        asr = load_asr(self.model, self.device, self.dtype)
        self.family, self.languages = asr.family, asr.languages
        return asr

    def load(self) -> None:
        _ = self._asr

    def check(self, prompt: Prompt) -> None:
        self._asr.clear_cache()
        super().check(prompt)
        errors(prompt.text, "", prompt.language, self.protocol)  # refuses a text without words

    def _advice(self, language: str) -> str:
        return f"take another checkpoint, such as WER(model={'paraformer-zh' if language == 'zh' else 'large-v3'!r})"

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        scores = [Score(math.nan, f"shorter than {MIN_SECONDS:g} s", "abstained")] * len(utterances)
        for language in {utterance.language for utterance in utterances}:
            places = [
                i for i, each in enumerate(utterances) if each.language == language and _long_enough(each)
            ]
            audios = [utterances[i].audio for i in places]
            rates = [utterances[i].sample_rate for i in places]
            for i, transcript in zip(places, self.transcribe(audios, rates, language), strict=True):
                scores[i] = Score(self._error_rate(utterances[i], transcript), transcript)
        return scores

    def counts(self, text: str, language: str, detail: str) -> tuple[int, int]:
        return errors(text, detail, language, self.protocol)

    def flops(self, seconds: float) -> float:
        return self._asr.flops(seconds)

    def transcribe(self, audios: Sequence[Audio], sample_rates: Sequence[int], language: str) -> list[str]:
        """Returns the transcripts of recordings, "" for one without speech.

        Args:
            audios: float32 mono [samples], each of its own length.
            sample_rates: in Hz.
            language: that is spoken, one of `languages`.

        Raises:
            InputError: a recording has NaN or infinite samples.
        """
        speech = [resampled(audio, rate) for audio, rate in zip(audios, sample_rates, strict=True)]
        return self._asr.transcribe(speech, language)

    def _error_rate(self, utterance: Utterance, transcript: str) -> float:
        text, language = utterance.text, utterance.language
        if utterance.final:
            return errors(text, transcript, language, self.protocol).rate
        units = normalised(text, language, self.protocol)
        said = normalised(transcript, language, self.protocol, transcript=True)
        expected = expected_units(utterance.seconds, self._pace(utterance.voice, language))
        return partial_error_rate(units, said, expected)

    def _pace(self, voice: Voice | None, language: str) -> float:
        def count(text: str) -> int:
            return len(usual(normalised(text, language, self.protocol)))

        return units_per_second(voice, language, count, words_per_second(language))


def _long_enough(utterance: Utterance) -> bool:
    return utterance.final or utterance.seconds >= MIN_SECONDS

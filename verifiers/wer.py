"""Word error rate: does the speech say the text?"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from llasa_search.candidate import Audio, Score, Utterance
from llasa_search.errors import InputError
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt

if TYPE_CHECKING:
    from llasa_search.verifiers.whisper_asr import WhisperASR


class WER(Verifier):
    """Errors in a Whisper transcript as a share of the text's words, or of its characters for Chinese.

    The value exceeds 1 where more is said than the text holds; silence is exactly 1. The score's detail is
    the transcript. English is compared after Whisper's English normaliser, Chinese without spaces and
    punctuation.

    Args:
        model: "tiny" (in this package, English), a path to an openai-whisper `.pt` file, or one of
            openai-whisper's names: "base.en", "large-v3", ... OpenAI's own "tiny" is reached by its path.
    """

    family = "whisper"
    content = True
    cost = 0.1
    scale = (1.0, 0.0)

    def __init__(self, model: str = "tiny") -> None:
        self.model = str(model)
        self._asr: WhisperASR | None = None

    def load(self) -> None:
        from llasa_search.verifiers.whisper_asr import shared

        self._asr = self._asr or shared(self.model)

    def check(self, prompt: Prompt) -> None:
        super().check(prompt)
        if not self._loaded.understands(prompt.language):
            raise InputError(
                f"{self} hears English only and the text is {prompt.language!r}: "
                "use a multilingual checkpoint, such as WER(model='large-v3')"
            )
        if not normaliser(prompt.text, prompt.language)(prompt.text):
            raise InputError(f"the text {prompt.text!r} has no words to compare")

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        scores: list[Score | None] = [None] * len(utterances)
        for language in {utterance.language for utterance in utterances}:
            at = [i for i, utterance in enumerate(utterances) if utterance.language == language]
            audios = [utterances[i].audio for i in at]
            rates = [utterances[i].sample_rate for i in at]
            for i, transcript in zip(at, self.transcribe(audios, rates, language), strict=True):
                scores[i] = Score(error_rate(utterances[i].text, transcript, language), transcript)
        return [score for score in scores if score is not None]

    def transcribe(self, audios: Sequence[Audio], sample_rates: Sequence[int], language: str) -> list[str]:
        """What the recordings say, "" where nothing.

        Args:
            audios: float32 mono [samples], each of its own length.
            sample_rates: in Hz.
            language: "en" or "zh".
        """
        import soxr

        from llasa_search.verifiers.whisper_asr import SAMPLE_RATE

        resampled = [
            np.asarray(audio if rate == SAMPLE_RATE else soxr.resample(audio, rate, SAMPLE_RATE), np.float32)
            for audio, rate in zip(audios, sample_rates, strict=True)
        ]
        return self._loaded.transcribe(resampled, language)

    @property
    def _loaded(self) -> WhisperASR:
        self.load()
        assert self._asr is not None
        return self._asr


def error_rate(text: str, transcript: str, language: str) -> float:
    """Edits from `text` to `transcript` as a share of the text's words, or characters for Chinese.

    >>> error_rate("The captain found a coin.", "the captain found a coin", "en")
    0.0
    >>> error_rate("The captain found a coin.", "", "en")
    1.0
    >>> error_rate("今天天气好。", "今天天汽好", "zh")
    0.2

    Raises:
        InputError: nothing of the text is left after normalisation.
    """
    import jiwer

    normalise = normaliser(text, language)
    reference, heard = normalise(text), normalise(transcript)
    if not reference:
        raise InputError(f"the text {text!r} has no words to compare")
    return float(jiwer.process_words([" ".join(reference)], [" ".join(heard)]).wer)


def normaliser(text: str, language: str) -> Callable[[str], list[str]]:
    """What both sides are compared by: a function from writing to words, or to characters for Chinese.

    Whisper's English normaliser leaves nothing of some texts, such as "Hmm."; these are compared as they are.
    """
    if language == "zh":
        return _characters
    return _english_words if _english_words(text) else _plain_words


def _characters(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).lower()
    return [character for character in folded if unicodedata.category(character)[0] in "LN"]


def _plain_words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def _english_words(text: str) -> list[str]:
    # The normaliser keeps dots, as they may belong to numbers, and so leaves some of an ellipsis.
    return [word for word in str(_english()(text)).split() if any(map(str.isalnum, word))]


@cache
def _english() -> Any:
    from whisper.normalizers import EnglishTextNormalizer

    return EnglishTextNormalizer()

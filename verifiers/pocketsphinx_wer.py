"""Word error rate by pocketsphinx: a judge of another model family than `WER`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.audio import is_silent, resampled
from llasa_search.candidate import Score, Utterance
from llasa_search.checkpoints.imports import import_from_extra
from llasa_search.errors import InputError, ModelError, warn
from llasa_search.text.language import describe
from llasa_search.text.spoken_form import spoken_form
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt

# Wider than pocketsphinx's defaults, for fewer search errors: with a bigram, a WER of 13.1% instead of 14.2% on
# clean synthetic speech, and still more than ten times faster than real time.
_BEAMS = {"beam": 1e-60, "pbeam": 1e-60, "wbeam": 1e-40, "fwdflatbeam": 1e-80, "fwdflatwbeam": 1e-40}


_decoding = RLock()
"""Held while a decoder, which keeps state between calls, has an utterance."""


class Errors(NamedTuple):
    """Word errors of one transcript, and the number of words in the text."""

    substitutions: int
    deletions: int
    insertions: int
    words: int

    @property
    def total(self) -> int:
        """Sum of substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions


class PocketsphinxWER(Verifier):
    """English word error rate by pocketsphinx, in lower case and without punctuation; homophones are equal.

    It is a judge: results measured with the verifier that a search has used are biased. The value can exceed 1;
    silence is exactly 1. The score's detail is the transcript. Needs the extra `judges`.

    The transcripts depend on the n-gram language model; one over the words that can occur has far less variance
    than the general one. A word that is missing in the language model or in the dictionary always counts as an error.

    Args:
        language_model: path of an n-gram model in a format of pocketsphinx (ARPA, DMP, binary); None for its
            general English one.
        dictionary: path of pronunciations in CMUdict's format; None for the CMUdict that comes with pocketsphinx.
    """

    family = "pocketsphinx"
    judge = True
    content = True
    requires = ("pocketsphinx",)
    cost = 0.3
    scale = (1.0, 0.0)
    languages = frozenset({"en"})

    def __init__(self, language_model: str | None = None, dictionary: str | None = None) -> None:
        self.language_model = None if language_model is None else str(language_model)
        self.dictionary = None if dictionary is None else str(dictionary)

    def load(self) -> None:
        _decoder(self.language_model, self.dictionary)

    def check(self, prompt: Prompt) -> None:
        super().check(prompt)
        unknown = [word for word in _words(prompt.text) if self._sound(word) is None]
        if unknown:
            message = f"{self} has no pronunciation of {', '.join(map(repr, unknown))}: they count as errors"
            warn(message)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        scores = []
        for each in utterances:
            self._require_english(each.language)
            _words(each.text)
            transcript = self._transcribe(each.audio, each.sample_rate)
            errors = self.errors(each.text, transcript)
            scores.append(Score(errors.total / errors.words, transcript))
        return scores

    def counts(self, text: str, language: str, detail: str) -> tuple[int, int]:
        errors = self.errors(text, detail)
        return errors.total, errors.words

    def transcribe(self, audios: Sequence[Audio], sample_rates: Sequence[int], language: str) -> list[str]:
        """Returns the transcripts of recordings, "" for one without speech.

        Args:
            audios: float32 mono [samples] in [-1, 1], each of its own length.
            sample_rates: in Hz.
            language: "en".

        Raises:
            InputError: the language is another one, or a recording has NaN samples.
        """
        self._require_english(language)
        return [self._transcribe(audio, rate) for audio, rate in zip(audios, sample_rates, strict=True)]

    def errors(self, text: str, transcript: str) -> Errors:
        """Counts the substitutions, deletions and insertions that turn `text` into `transcript`.

        Raises:
            InputError: the text has no words.
        """
        import jiwer

        expected, said = (
            [(self._sound(word) or word).replace(" ", "-") for word in words]
            for words in (_words(text), transcript.split())
        )
        output = jiwer.process_words([" ".join(expected)], [" ".join(said)])
        return Errors(output.substitutions, output.deletions, output.insertions, len(expected))

    def _transcribe(self, audio: Audio, rate: int) -> str:
        samples = resampled(audio, rate)
        if is_silent(audio):  # pocketsphinx would transcribe digital silence as a word
            return ""
        pcm = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
        decoder = _decoder(self.language_model, self.dictionary)
        with _decoding:
            # The state of its front end would carry over from the utterance before.
            decoder.reinit_feat()
            decoder.start_utt()
            decoder.process_raw(pcm.tobytes(), full_utt=True)
            decoder.end_utt()
            hypothesis = decoder.hyp()
        return "" if hypothesis is None else str(hypothesis.hypstr)

    def _sound(self, word: str) -> str | None:
        """Returns the phones of a word's first pronunciation; None for a word that is not in the dictionary."""
        phones: str | None = _decoder(self.language_model, self.dictionary).lookup_word(word)
        return phones

    def _require_english(self, language: str) -> None:
        if language != "en":
            raise InputError(
                f"{self} knows en, and the text is {describe(language)}: {self._advice(language)}"
            )

    def _advice(self, language: str) -> str:
        return "take another judge"


def _words(text: str) -> list[str]:
    """Returns the spoken form in lower-case words without accents and punctuation, except apostrophes inside them."""
    plain = unicodedata.normalize("NFKD", spoken_form(text, "en")).lower()
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)*", plain)
    if not words:
        raise InputError(f"the text {text!r} has no words to compare")
    return words


@cache
def _decoder(language_model: str | None, dictionary: str | None) -> Any:
    """Returns the decoder for a pair of files, loaded once in the life of the process."""
    pocketsphinx = import_from_extra("pocketsphinx", "judges")
    files = {"lm": language_model, "dict": dictionary}
    given = {name: path for name, path in files.items() if path is not None}
    for path in given.values():
        if not Path(path).is_file():
            raise InputError(f"PocketsphinxWER: there is no file {path}")
    try:
        # cmn="batch" takes the cepstral mean of the utterance, not of earlier ones.
        return pocketsphinx.Decoder(loglevel="FATAL", cmn="batch", **_BEAMS, **given)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"pocketsphinx cannot read {' or '.join(given.values())}: {error}") from error

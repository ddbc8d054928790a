"""Word error rate by pocketsphinx: a judge, of another family than what a search listens to."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.candidate import Score, Utterance
from llasa_search.errors import InputError, ModelError
from llasa_search.verifiers.backends.extras import import_from_extra
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt

SAMPLE_RATE = 16_000
# Of full scale, -80 dB: in digital silence, pocketsphinx hears a word.
_SILENCE = 1e-4
# Wider than pocketsphinx's own, for fewer search errors: with a bigram, 13.1 % WER on clean synthetic speech
# against 14.2 %, and still more than ten times as fast as speech.
_BEAMS = {"beam": 1e-60, "pbeam": 1e-60, "wbeam": 1e-40, "fwdflatbeam": 1e-80, "fwdflatwbeam": 1e-40}


class Errors(NamedTuple):
    """Word errors of one transcript, and the words that there were to say."""

    substitutions: int
    deletions: int
    insertions: int
    words: int

    @property
    def total(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions


class PocketsphinxWER(Verifier):
    """English word error rate by pocketsphinx: lower case, no punctuation; words that sound alike are one.

    Made to measure a search, not to steer it: conclusions drawn from the verifier that a search has used
    flatter it. The value can exceed 1; silence is exactly 1. The score's detail is the transcript. Needs the
    extra `judges`.

    What it hears depends on its language model; one over the words that can occur is far steadier than the
    general one. A word that the language model or the dictionary lacks is never heard: an error each time.

    Args:
        language_model: an n-gram model in a format of pocketsphinx (ARPA, DMP, binary); None for its general
            English one.
        dictionary: pronunciations in CMUdict's format; None for CMUdict, as it comes with pocketsphinx.
    """

    family = "pocketsphinx"
    judge = True
    content = True
    requires = ("pocketsphinx",)
    cost = 0.3
    scale = (1.0, 0.0)

    def __init__(self, language_model: str | None = None, dictionary: str | None = None) -> None:
        self.language_model = None if language_model is None else str(language_model)
        self.dictionary = None if dictionary is None else str(dictionary)

    def load(self) -> None:
        _decoder(self.language_model, self.dictionary)

    def check(self, prompt: Prompt) -> None:
        super().check(prompt)
        self._require_english(prompt.language)
        unknown = [word for word in _words(prompt.text) if self._sound(word) is None]
        if unknown:
            message = f"{self} has no pronunciation of {', '.join(map(repr, unknown))}: they count as errors"
            warnings.warn(message, stacklevel=2)

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
        """What the recordings say, "" where nothing.

        Args:
            audios: float32 mono [samples] in [-1, 1], each of its own length.
            sample_rates: in Hz.
            language: "en".

        Raises:
            InputError: another language, or audio that holds NaN.
        """
        self._require_english(language)
        return [self._transcribe(audio, rate) for audio, rate in zip(audios, sample_rates, strict=True)]

    def errors(self, text: str, transcript: str) -> Errors:
        """Substitutions, deletions and insertions on the way from `text` to `transcript`.

        Raises:
            InputError: the text has no words, or digits.
        """
        import jiwer

        said, heard = (
            [(self._sound(word) or word).replace(" ", "-") for word in words]
            for words in (_words(text), transcript.split())
        )
        output = jiwer.process_words([" ".join(said)], [" ".join(heard)])
        return Errors(output.substitutions, output.deletions, output.insertions, len(said))

    def _transcribe(self, audio: Audio, rate: int) -> str:
        import soxr

        if not np.isfinite(audio).all():
            raise InputError(f"{self} cannot hear audio that holds NaN or infinite samples")
        if np.abs(audio).max(initial=0.0) < _SILENCE:
            return ""
        samples = audio if rate == SAMPLE_RATE else soxr.resample(audio, rate, SAMPLE_RATE)
        pcm = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
        decoder = _decoder(self.language_model, self.dictionary)
        # Its front end carries state from one utterance to the next, which would change the score.
        decoder.reinit_feat()
        decoder.start_utt()
        decoder.process_raw(pcm.tobytes(), full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        return "" if hypothesis is None else str(hypothesis.hypstr)

    def _sound(self, word: str) -> str | None:
        """The phones of a word's first pronunciation, or None for a word that the dictionary lacks."""
        phones: str | None = _decoder(self.language_model, self.dictionary).lookup_word(word)
        return phones

    def _require_english(self, language: str) -> None:
        if language != "en":
            raise InputError(f"{self} hears English only, and the text is {language!r}: take another judge")


def _words(text: str) -> list[str]:
    """Lower-case words without accents and punctuation, apostrophes inside of them kept."""
    plain = unicodedata.normalize("NFKD", text.replace("’", "'")).lower()
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    if any(character.isdigit() for character in plain):
        raise InputError(
            f"the text {text!r} has digits, and pocketsphinx hears words: write numbers as spoken"
        )
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)*", plain)
    if not words:
        raise InputError(f"the text {text!r} has no words to compare")
    return words


@cache
def _decoder(language_model: str | None, dictionary: str | None) -> Any:
    """One decoder for each pair of files, kept for the life of the process."""
    pocketsphinx = import_from_extra("pocketsphinx", "judges")
    files = {"lm": language_model, "dict": dictionary}
    given = {name: path for name, path in files.items() if path is not None}
    for path in given.values():
        if not Path(path).is_file():
            raise InputError(f"PocketsphinxWER: there is no file {path}")
    try:
        # "batch": the cepstral mean is that of the utterance, not of what has been heard before.
        return pocketsphinx.Decoder(loglevel="FATAL", cmn="batch", **_BEAMS, **given)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"pocketsphinx cannot read {' or '.join(given.values())}: {error}") from error

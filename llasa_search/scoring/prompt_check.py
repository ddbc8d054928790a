"""Checks that a voice prompt matches its transcript; if not, candidates contain words of the prompt."""

from __future__ import annotations

from collections.abc import Sequence

from llasa_search.audio import speech_seconds
from llasa_search.errors import InputError, warn
from llasa_search.scoring.isolation import isolated
from llasa_search.scoring.loading import known_languages
from llasa_search.text.language import language_of
from llasa_search.verifiers.base import Verifier
from llasa_search.verifiers.pace import plausible_seconds
from llasa_search.voice import Voice

MAX_ERROR_RATE = 0.35
"""A transcript with a higher error rate causes a warning.

On the 24 built-in voices, the embedded recogniser has 0.33 or less for a recording and its own text (0 for 21 of
them). It has more than 0.35 for 551 of 552 recordings with another one's text, for 22 of 24 first halves of a
recording with the whole text, and for all recordings with the first half or two thirds of their text.
"""

ADVICE = "correct the transcript, or turn this check off (check_prompt=False, --no-check-prompt)"


class PromptCheck:
    """Warns about voice prompts that do not match their transcripts. Each voice is checked once."""

    def __init__(self) -> None:
        self._checked: set[tuple[str, str]] = set()

    def __call__(self, voice: Voice, verifiers: Sequence[Verifier], embedded: bool, default: str) -> None:
        """Transcribes a voice prompt, and warns if its transcript differs.

        Without a recogniser for its language, only its length is compared with the transcript.

        Args:
            voice: with its transcript.
            verifiers: loaded; the first that transcribes and counts errors is used.
            embedded: whether the model is the package's own; the embedded recogniser is for its voices only.
            default: language of a transcript that is too short to tell.
        """
        recognisers = [
            each for each in verifiers if each.can_transcribe and (embedded or not each.is_embedded)
        ]
        key = (voice.id, ", ".join(map(str, recognisers)))
        if voice.text is None or key in self._checked:
            return
        self._checked.add(key)
        try:
            language = language_of(voice.text, known=known_languages(recognisers[:1]))
        except InputError:  # the transcript is too short to tell
            language = default
        for recogniser in recognisers:
            rate, said = _error_rate(recogniser, voice, voice.text, language)
            if rate is None:
                continue
            if rate > MAX_ERROR_RATE:
                warn(
                    f"{recogniser} transcribed the prompt {voice.name!r} as {said!r}, not {voice.text!r}: {ADVICE}"
                )
            return
        _compare_length(voice, voice.text, language)


def _error_rate(recogniser: Verifier, voice: Voice, text: str, language: str) -> tuple[float | None, str]:
    """Returns the error rate of a recogniser's transcript, or None if it cannot count errors, and the transcript."""
    try:
        with isolated():
            said = recogniser.transcribe([voice.audio], [voice.sample_rate], language)[0]
        counts = recogniser.counts(text, language, said)
    except Exception:  # its failure is reported when it scores
        return None, ""
    return (None, said) if counts is None or not counts[1] else (counts[0] / counts[1], said)


def _compare_length(voice: Voice, text: str, language: str) -> None:
    """Warns if the recording is too short or too long for the transcript."""
    try:
        low, high = plausible_seconds(text, language)
    except InputError:  # a text without letters, or in a language of unknown pace
        return
    seconds = speech_seconds(voice.audio, voice.sample_rate)
    if not low <= seconds <= high:
        warn(
            f"the prompt {voice.name!r} has {seconds:.2f} s of speech, and its transcript {text!r} takes {low:.1f} to "
            f"{high:.1f} s: {ADVICE}"
        )

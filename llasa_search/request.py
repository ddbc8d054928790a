"""Validates a request before anything is loaded, and prepares the prompt that the model continues."""

from __future__ import annotations

import operator
import os
import unicodedata
from collections.abc import Callable, Collection, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from llasa_search.audio import SpeechLike, resampled
from llasa_search.budget import Budget
from llasa_search.errors import InputError, of_kind, short_repr, warn
from llasa_search.registry import suggest
from llasa_search.sampling import Sampling
from llasa_search.scoring.isolation import isolated
from llasa_search.scoring.prompt_check import PromptCheck
from llasa_search.text.cleaning import clean_text
from llasa_search.text.language import describe, language_of, listed, require_language
from llasa_search.text.spoken_form import spoken_form
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import MAX_SECONDS, Prompt, Voice

if TYPE_CHECKING:
    from llasa_search.llasa.model import Llasa

VoiceLike: TypeAlias = Voice | SpeechLike


@dataclass(frozen=True)
class Request:
    """A validated request.

    Attributes:
        text: cleaned.
        language: as given, or None to detect it.
        voice: the voice prompt, or None.
        budget: limits.
        sampling: how tokens are sampled.
        seed: of all draws.
        progress: called as candidates finish and are scored, or None.
    """

    text: str
    language: str | None
    voice: Voice | None
    budget: Budget
    sampling: Sampling
    seed: int
    progress: Callable[..., None] | None


def validated(
    text: str,
    prompt: VoiceLike | None = None,
    *,
    language: str | None = None,
    budget: Budget | None = None,
    sampling: Sampling | None = None,
    seed: int = 0,
    progress: Callable[..., None] | Literal[False] | None = None,
) -> Request:
    """Checks what can be checked without a model; arguments are those of `Searcher.generate`.

    Raises:
        InputError: an argument cannot be used.
    """
    budget = of_kind(budget, Budget, "budget") or Budget()
    sampling = of_kind(sampling, Sampling, "sampling") or Sampling()
    if progress is not None and progress is not False and not callable(progress):
        raise InputError(f"progress={progress!r:.80}: give a function that takes a Progress, or None")
    text = clean_text(text)
    if language is not None:
        require_language(language)
    return Request(text, language, as_voice(prompt), budget, sampling, _whole_number(seed), progress or None)


def prepared(
    request: Request,
    llasa: Llasa,
    verifiers: Sequence[Verifier],
    check: PromptCheck | None = None,
    known: Collection[str] | None = None,
) -> Prompt:
    """Returns the prompt of a request.

    It has the text in characters that the model knows, its language, and the voice prompt with its transcript and,
    if a verifier compares with it, its resynthesis.

    Args:
        request: validated.
        llasa: its tokenizer and codec are used.
        verifiers: loaded; the first that can transcribe does so for a voice prompt without a transcript.
        check: warns if the voice prompt does not say its transcript; None does not.
        known: languages that the model and the verifiers know, see `known_languages`.

    Raises:
        InputError: nothing is left to say, the language is uncertain or the model does not speak it, or the
            transcript is unknown and no verifier can transcribe.
    """
    language = language_of(request.text, request.language, known)
    _require_spoken(language, llasa)
    text = in_known_characters(request.text, "the text", llasa, language)
    voice = _with_transcript(request.voice, language, verifiers, llasa)
    llasa.voice_codes(voice)  # encoded here, before the search's clock starts
    if check is not None and request.voice is not None and request.voice.text and voice is not None:
        check(voice, verifiers, llasa.embedded, language)
    return Prompt(text, language, with_resynthesis(voice, llasa, verifiers))


def _require_spoken(language: str, llasa: Llasa) -> None:
    """Refuses a language that the model does not speak.

    Raises:
        InputError: it does not.
    """
    spoken = llasa.format.languages
    if spoken is not None and language not in spoken:
        raise InputError(
            f"the model {llasa.name!r} speaks {listed(spoken)}, and the text is {describe(language)}: "
            "take a model of that language, or give the text's language if it is another one"
        )


def as_voice(prompt: VoiceLike | None, text: str | None = None) -> Voice | None:
    """Returns the voice that a caller gives in any form.

    Args:
        prompt: a `Voice`; a built-in voice's name, with a style if wanted ("slt", "slt:sad"); a recording's
            path; (samples, sample rate); or None for any voice.
        text: transcript of a recording, if it is not stored beside it.

    Raises:
        InputError: there is no such voice, or the recording cannot be used.
    """
    if prompt is None or isinstance(prompt, Voice):
        return prompt
    if isinstance(prompt, tuple):
        if len(prompt) != 2:
            raise InputError(f"a prompt of {len(prompt)} values: give (samples, sample rate)")
        samples, rate = prompt
        return Voice(samples, text, sample_rate=rate)
    if isinstance(prompt, str):
        name, _, style = prompt.partition(":")
        if name in Voice.builtins():
            voice = Voice.builtin(name, style=style or None)
            return voice if text is None else voice.with_text(text)
        if _looks_like_a_name(prompt):
            raise InputError(
                f"no voice {prompt!r}: neither a file nor built in; {suggest(name, Voice.builtins())}"
            )
    if isinstance(prompt, str | os.PathLike):
        return Voice(prompt, text)
    raise InputError(
        f"prompt={prompt!r:.80}: give a Voice, a path, a built-in voice's name, or (samples, rate)"
    )


def _looks_like_a_name(prompt: str) -> bool:
    in_folder = os.path.basename(prompt) != prompt
    return not (os.path.splitext(prompt)[1] or in_folder or os.path.exists(prompt))


def with_resynthesis(voice: Voice | None, llasa: Llasa, verifiers: Sequence[Verifier]) -> Voice | None:
    """Returns the voice, with its resynthesis if a verifier compares with it.

    The given one is unchanged: another search may use it with another codec.
    """
    if voice is not None and any("resynthesis" in each.needs for each in verifiers):
        voice = copy(voice)
        decoded = llasa.decode([llasa.voice_codes(voice)])[0]
        voice.resynthesis = resampled(decoded, llasa.sample_rate)
    return voice


_REPLACEMENTS = {
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
}
_SILENT = ("Ps", "Pe", "Pi", "Pf", "Pd")
"""Brackets, quotation marks, dashes: categories of characters that are left out without a warning."""


def in_known_characters(text: str, what: str, llasa: Llasa, language: str) -> str:
    """Returns the text in characters that the model knows, in its spoken form if the model asks for that.

    Other letters become their base letters, or are left out with a warning.

    Args:
        text: to speak, or spoken by a voice prompt.
        what: its name in messages.
        llasa: its prompt format decides.
        language: of the text.

    Raises:
        InputError: nothing is left to say.
    """
    if llasa.format.spoken_form:
        text = spoken_form(text, language)
    unknown = llasa.format.unknown_characters(text)
    if not unknown:
        return text
    plain = {each: _plain(each) for each in unknown}
    plain = {each: "" if llasa.format.unknown_characters(new) else new for each, new in plain.items()}
    spoken = " ".join("".join(plain.get(each, each) or " " for each in text).split())
    if not any(unicodedata.category(each)[0] in "LN" for each in spoken):
        raise InputError(f"{what} {text!r:.60} has no letter or digit that the model {llasa.name!r} knows")
    lost = [each for each in unknown if unicodedata.category(each) not in _SILENT and each != '"']
    if lost:
        listed = " ".join(f"{each} ({plain[each].strip() or 'left out'})" for each in lost)
        warn(f"{what} has characters that the model does not know: {listed}")
    return spoken


def _plain(character: str) -> str:
    """Returns a letter or ligature without its marks; another character's replacement, or itself."""
    letters = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
    return letters if letters.isalpha() else _REPLACEMENTS.get(character, character)


def _with_transcript(
    voice: Voice | None, language: str, verifiers: Sequence[Verifier], llasa: Llasa
) -> Voice | None:
    """Returns the voice with its transcript in characters that the model knows.

    Raises:
        InputError: the transcript is unknown and no verifier can transcribe, or it has nothing to say.
    """
    if voice is None:
        return None
    if voice.text:
        what = "the prompt's transcript"
        text = in_known_characters(clean_text(voice.text, what), what, llasa, language)
        return voice if text == voice.text else voice.with_text(text)
    advice = "say what it says (prompt text), or put that in a .txt file of the same name beside it"
    if voice.seconds >= MAX_SECONDS:
        advice = f"cut the recording to less than {MAX_SECONDS:g} s, and " + advice
    recogniser = next((verifier for verifier in verifiers if verifier.can_transcribe), None)
    if recogniser is None:
        raise InputError(
            f"the prompt {voice.name!r} has no transcript and no verifier can transcribe it: {advice}"
        )
    with isolated():
        text = recogniser.transcribe([voice.audio], [voice.sample_rate], language)[0]
    if not text:
        raise InputError(
            f"the prompt {voice.name!r} has no transcript and {recogniser} found no words in it: {advice}"
        )
    warn(f"the prompt {voice.name!r} has no transcript; {recogniser} transcribed {text!r}")
    return voice.with_text(text)


def _whole_number(seed: object) -> int:
    try:
        number = operator.index(seed)  # type: ignore[arg-type]
    except TypeError as error:
        raise InputError(f"seed={short_repr(seed)}: give a whole number") from error
    if not 0 <= number < 1 << 64:  # it would give the candidates of another seed
        shown = f"seed={number}" if number.bit_length() < 200 else f"a seed of {number.bit_length()} bits"
        raise InputError(f"{shown}: give a whole number from 0 to 2^64 - 1")
    return number

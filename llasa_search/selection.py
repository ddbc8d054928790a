"""Chooses among recordings of a text that any speech synthesiser made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.budget import Account, Budget
from llasa_search.candidate import Candidate
from llasa_search.errors import InputError, of_kind
from llasa_search.expression import DEFAULT_REWARD, RewardLike, as_reward
from llasa_search.gate import Gate, gated
from llasa_search.kinship import warn_of_kin, warn_of_strangers
from llasa_search.request import VoiceLike, as_voice
from llasa_search.result import SearchResult
from llasa_search.scorer import Scorer, check_verifiers, decoded, load_verifiers
from llasa_search.speech import SAMPLE_RATE, SpeechLike, read_speech
from llasa_search.text import clean_text, language_of
from llasa_search.verifiers.base import Verifier
from llasa_search.versions import versions
from llasa_search.voice import Prompt


def select(
    wavs: Sequence[SpeechLike],
    text: str,
    prompt: VoiceLike | None = None,
    *,
    verifiers: RewardLike = DEFAULT_REWARD,
    gate: Gate = "auto",
    language: str | None = None,
    budget: Budget | None = None,
) -> SearchResult:
    """Scores recordings of `text` and chooses one, as a search does with its own candidates.

    Args:
        wavs: paths or (samples, sample rate), of any rate and length.
        text: what they should say.
        prompt: the voice they should have, for verifiers that compare voices.
        verifiers: what to aim at.
        gate: as for `Searcher`.
        language: "en" or "zh"; None decides by the text's letters.
        budget: limits the time that verifiers take.

    Returns:
        A result whose candidates stand in the order of `wavs`, resampled to 16 kHz.

    Raises:
        InputError: a recording, the text or the reward cannot be used; nothing has been scored.
        SearchError: nothing could be scored; it carries the result.
    """
    if isinstance(wavs, str | os.PathLike) or not isinstance(wavs, Sequence) or not len(wavs):
        raise InputError(f"wavs={wavs!r:.80}: give the recordings in a list, at least one")
    text, budget = clean_text(text), of_kind(budget, Budget, "budget")
    reward = gated(as_reward(verifiers), gate)
    request = Prompt(text, language_of(text, language), as_voice(prompt))
    candidates = [recorded(i, text, read_speech(wav, f"recording {i}")) for i, wav in enumerate(wavs)]
    refuse_codes(reward.verifiers)
    load_verifiers(reward.verifiers)
    check_verifiers(reward.verifiers, request)
    warn_of_kin(reward.reporting, reward.required)
    warn_of_strangers(reward.verifiers)
    account = Account(budget)
    Scorer(reward, request, account, decoded, SAMPLE_RATE).final(candidates)
    return SearchResult(
        text=text,
        language=request.language,
        voice=request.voice,
        candidates=candidates,
        sample_rate=SAMPLE_RATE,
        reward=str(reward),
        ledger=account.ledger,
        stopped_by=account.stopped_by,
        settings={"versions": versions(reward.verifiers)},
    ).checked()


def refuse_codes(verifiers: Iterable[Verifier]) -> None:
    """Refuses verifiers that cannot judge recordings from elsewhere.

    Raises:
        InputError: one needs speech codes or their log-probabilities.
    """
    for verifier in verifiers:
        if lacking := {"codes", "logprobs"}.intersection(verifier.needs or ()):
            raise InputError(
                f"{verifier} needs {' and '.join(sorted(lacking))}, which recordings do not have"
            )


def recorded(index: int, text: str, audio: Audio | None) -> Candidate:
    """A candidate that is a recording, and not made of speech codes."""
    return Candidate(
        index=index,
        key=0,
        text=text,
        codes=np.zeros(0, np.int32),
        logprobs=np.zeros(0, np.float32),
        finish_reason="stop",
        audio=audio,
    )

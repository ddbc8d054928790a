"""Chooses among recordings of a text that any speech synthesiser made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llasa_search.budget import Account, Budget
from llasa_search.candidate import Audio, Candidate
from llasa_search.errors import InputError
from llasa_search.expression import RewardLike, as_reward
from llasa_search.request import VoiceLike, as_voice
from llasa_search.result import SearchResult
from llasa_search.scorer import Scorer, check_verifiers, decoded, load_verifiers
from llasa_search.speech import SAMPLE_RATE, SpeechLike, read_speech
from llasa_search.text import clean_text, language_of
from llasa_search.voice import Prompt


def select(
    wavs: Sequence[SpeechLike],
    text: str,
    prompt: VoiceLike | None = None,
    *,
    verifiers: RewardLike = "wer",
    language: str | None = None,
    budget: Budget | None = None,
) -> SearchResult:
    """Scores recordings of `text` and chooses one, as a search does with its own candidates.

    Args:
        wavs: paths or (samples, sample rate), of any rate and length.
        text: what they should say.
        prompt: the voice they should have, for verifiers that compare voices.
        verifiers: what to aim at.
        language: "en" or "zh"; None decides by the text's letters.
        budget: limits the time that verifiers take.

    Returns:
        A result whose candidates stand in the order of `wavs`, resampled to 16 kHz.

    Raises:
        InputError: a recording, the text or the reward cannot be used; nothing has been scored.
        SearchError: nothing could be scored; it carries the result.
    """
    if not wavs:
        raise InputError("no recording given: select needs at least one")
    text = clean_text(text)
    reward = as_reward(verifiers)
    request = Prompt(text, language_of(text, language), as_voice(prompt))
    candidates = [_candidate(i, text, read_speech(wav, f"recording {i}")) for i, wav in enumerate(wavs)]
    for verifier in reward.verifiers:
        if lacking := verifier.needs & {"codes", "logprobs"}:
            raise InputError(
                f"{verifier} needs {' and '.join(sorted(lacking))}, which recordings do not have"
            )
    load_verifiers(reward.verifiers)
    check_verifiers(reward.verifiers, request)
    account = Account(budget or Budget())
    Scorer(reward, request, account, decoded, SAMPLE_RATE).final(candidates)
    return SearchResult(
        text=text,
        language=request.language,
        voice=request.voice,
        candidates=candidates,
        sample_rate=SAMPLE_RATE,
        reward=str(reward),
        ledger=account.ledger,
    ).checked()


def _candidate(index: int, text: str, audio: Audio) -> Candidate:
    return Candidate(
        index=index,
        key=0,
        text=text,
        codes=np.zeros(0, np.int32),
        logprobs=np.zeros(0, np.float32),
        finish_reason="stop",
        audio=audio,
    )

"""Unfinished speech for verifiers: which of them can judge it, and what they hear of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from llasa_search import registry
from llasa_search.candidate import Utterance
from llasa_search.errors import InputError
from llasa_search.reward.base import Reward
from llasa_search.reward.compose import part_of
from llasa_search.verifiers.base import FunctionVerifier, Verifier

if TYPE_CHECKING:
    from llasa_search.generation.rows import Rows


def partial_reward(prefix_verifiers: Reward | None, final: Reward) -> Reward:
    """What a strategy compares unfinished speech by.

    Args:
        prefix_verifiers: what its user asked for; None takes that part of `final` which can judge unfinished
            speech: the others' terms and gates are left out, and a term alone stands for its combination.
        final: the reward of the search.

    Raises:
        InputError: a verifier that was asked for cannot judge unfinished speech, or none in `final` can.
    """
    reward = (
        part_of(final, lambda verifier: verifier.partial) if prefix_verifiers is None else prefix_verifiers
    )
    if reward is None:
        raise InputError(f"nothing in {final} can judge unfinished speech: {_advice()}")
    able_verifiers(reward)
    return reward


def able_verifiers(reward: Reward) -> tuple[Verifier, ...]:
    """The verifiers that unfinished speech needs under `reward`.

    Raises:
        InputError: one of them cannot judge it.
    """
    for verifier in reward.required:
        if not verifier.partial:
            function = isinstance(verifier, FunctionVerifier)
            why = ", as a plain function (write a Verifier with partial = True)" if function else ""
            raise InputError(f"{verifier} cannot judge unfinished speech{why}: {_advice()}")
    return reward.required


def unfinished(rows: Rows, verifiers: Sequence[Verifier]) -> list[Utterance]:
    """Live rows as far as they are, decoded once: as much of their ends as any of `verifiers` hears."""
    windows = [verifier.window_seconds for verifier in verifiers]
    longest = None if None in windows else max(window for window in windows if window is not None)
    sampler = rows.sampler
    return [
        Utterance(
            text=sampler.prompt.text,
            language=sampler.prompt.language,
            audio=audio,
            sample_rate=sampler.llasa.sample_rate,
            codes=codes,
            voice=sampler.prompt.voice,
            final=False,
            logprobs=logprobs,
        )
        for audio, codes, logprobs in zip(
            sampler.speech.partial(rows, longest), rows.codes, rows.logprobs, strict=True
        )
    ]


def cropped_for(verifier: Verifier, utterance: Utterance) -> Utterance:
    """The utterance with as much of the end of its audio as `verifier` hears."""
    if verifier.window_seconds is None:
        return utterance
    samples = round(verifier.window_seconds * utterance.sample_rate)
    return replace(utterance, audio=utterance.audio[max(0, len(utterance.audio) - samples) :])


def _advice() -> str:
    able = []
    for name in registry.verifiers.entries:
        try:
            found = registry.verifiers.get(name)
        except InputError:
            continue
        if isinstance(found, type) and issubclass(found, Verifier) and found.partial and not found.judge:
            able.append(name)
    return f"give the strategy prefix_verifiers that can, such as {', '.join(able)}"

"""Unfinished speech: selects the verifiers that can score it, and the audio that they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llasa_search import registry
from llasa_search.candidate import Utterance
from llasa_search.errors import InputError
from llasa_search.reward.base import Reward
from llasa_search.reward.compose import part_of
from llasa_search.verifiers.base import FunctionVerifier, Verifier


def partial_reward(prefix_verifiers: Reward | None, final: Reward) -> Reward:
    """Returns the reward that compares unfinished speech.

    Args:
        prefix_verifiers: given by the user; None takes the part of `final` that can score unfinished speech:
            terms and gates of other verifiers are left out, and a single term stands for its combination.
        final: the reward of the search.

    Raises:
        InputError: a given verifier cannot score unfinished speech, or none in `final` can.
    """
    reward = prefix_verifiers
    if reward is None:
        reward = part_of(final, lambda verifier: verifier.partial)
    if reward is None:
        raise InputError(f"nothing in {final} can score unfinished speech: {_advice()}")
    require_partial(reward)
    return reward


def require_partial(reward: Reward) -> None:
    """Checks that every required verifier can score unfinished speech.

    Raises:
        InputError: one of them cannot.
    """
    for verifier in reward.required:
        if not verifier.partial:
            function = isinstance(verifier, FunctionVerifier)
            why = ", as a plain function (write a Verifier with partial = True)" if function else ""
            raise InputError(f"{verifier} cannot score unfinished speech{why}: {_advice()}")


def window_seconds(verifiers: Sequence[Verifier]) -> float | None:
    """Returns how much of the end of unfinished speech the verifiers need together; None for all of it."""
    windows = [verifier.window_seconds for verifier in verifiers]
    return None if None in windows else max(window for window in windows if window is not None)


def cropped_for(verifier: Verifier, utterance: Utterance) -> Utterance:
    """Returns the utterance with its audio cropped to the end that `verifier` needs."""
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

"""The free gate: what keeps broken speech from winning where no verifier hears the words."""

from __future__ import annotations

from typing import Literal, TypeAlias

from llasa_search.errors import InputError
from llasa_search.reward.base import Condition, Reward
from llasa_search.verifiers.pace import Pace
from llasa_search.verifiers.signal import Signal

Gate: TypeAlias = Literal["auto"] | None


def gated(reward: Reward, gate: Gate = "auto") -> Reward:
    """The reward, given that pace and signal are plausible, where none of its verifiers hears what is said.

    Args:
        reward: what is aimed at. With a verifier of `content`, or the gate already, it stays as it is.
        gate: "auto", or None for the reward as it is.

    Raises:
        InputError: the gate is something else.
    """
    if gate not in ("auto", None):
        raise InputError(
            f"gate={gate!r:.80}: 'auto' or None; a gate of your own is written as speaker.given(wer <= 0.05)"
        )
    if gate is None or any(verifier.content for verifier in reward.required):
        return reward
    plausible: tuple[Condition, ...] = (Pace() <= 0, Signal() <= 0)
    for condition in plausible:
        if condition not in reward.conditions:
            reward = reward.given(condition)
    return reward

"""The free gate: excludes truncated and looping speech if no verifier scores the spoken text."""

from __future__ import annotations

from typing import Literal, TypeAlias

from llasa_search.errors import InputError
from llasa_search.reward.base import Condition, Reward
from llasa_search.verifiers.pace import Pace
from llasa_search.verifiers.signal import Signal

Gate: TypeAlias = Literal["auto"] | None


def gated(reward: Reward, gate: Gate = "auto") -> Reward:
    """Returns the reward, gated by plausible pace and signal if none of its verifiers scores what is said.

    Args:
        reward: returned unchanged if it has a verifier of `content`, or the gate already.
        gate: "auto", or None for no gate.

    Raises:
        InputError: `gate` is something else.
    """
    if gate not in ("auto", None):
        raise InputError(
            f"gate={gate!r:.80}: 'auto' or None; write another gate as speaker.given(wer <= 0.05)"
        )
    if gate is None or any(verifier.content for verifier in reward.required):
        return reward
    plausible: tuple[Condition, ...] = (Pace() <= 0, Signal() <= 0)
    for condition in plausible:
        if condition not in reward.conditions:
            reward = reward.given(condition)
    return reward

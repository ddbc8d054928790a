"""What strategies share that listen to unfinished speech."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llasa_search.errors import InputError
from llasa_search.reward.base import Reward
from llasa_search.scoring.partial import able_verifiers, partial_reward
from llasa_search.strategies.base import check_counts
from llasa_search.verifiers.specification import RewardLike, as_reward

if TYPE_CHECKING:
    from llasa_search.scoring.scorer import Scorer
    from llasa_search.verifiers.base import Verifier


@dataclass(frozen=True, kw_only=True)
class Guided:
    """A strategy that compares unfinished speech every few tokens. Its settings are given by name.

    Args:
        step_tokens: speech tokens from one comparison to the next, 50 a second.
        prefix_verifiers: what unfinished speech is compared by, anything that `search.generate` takes as
            `verifiers`; None for that part of the search's own reward which can judge unfinished speech.

    Raises:
        InputError: a setting is out of its range, or a verifier cannot judge unfinished speech.
    """

    step_tokens: int = 25
    prefix_verifiers: RewardLike | None = None

    def __post_init__(self) -> None:
        check_counts(self, "step_tokens")
        if self.prefix_verifiers is not None:
            try:
                reward = as_reward(self.prefix_verifiers)
            except InputError as error:
                raise InputError(f"prefix_verifiers: {error}") from error
            able_verifiers(reward)
            object.__setattr__(self, "prefix_verifiers", reward)

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """What the search has to load beside the verifiers of its own reward."""
        return self.prefix_verifiers.verifiers if isinstance(self.prefix_verifiers, Reward) else ()

    def compared_by(self, scorer: Scorer) -> Reward:
        """The reward of unfinished speech.

        Raises:
            InputError: no verifier of the search can judge it.
        """
        own = self.prefix_verifiers if isinstance(self.prefix_verifiers, Reward) else None
        return partial_reward(own, scorer.reward)

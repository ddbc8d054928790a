"""The base class of strategies that score unfinished speech."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llasa_search.errors import InputError
from llasa_search.reward.base import Reward
from llasa_search.scoring.partial import partial_reward, require_partial
from llasa_search.strategies.base import check_counts
from llasa_search.verifiers.specification import RewardLike, as_reward

if TYPE_CHECKING:
    from llasa_search.scoring.scorer import Scorer
    from llasa_search.verifiers.base import Verifier


@dataclass(frozen=True, kw_only=True)
class Guided:
    """A strategy that compares unfinished speech every few tokens. Its settings are given by name.

    Args:
        step_tokens: speech tokens from one comparison to the next, 50 per second.
        prefix_verifiers: compare unfinished speech; anything that `search.generate` takes as `verifiers`.
            None for the part of the search's reward that can score unfinished speech.

    Raises:
        InputError: a setting is out of its range, or a verifier cannot score unfinished speech.
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
            require_partial(reward)
            object.__setattr__(self, "prefix_verifiers", reward)

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """Verifiers that the search loads in addition to those of its reward."""
        return self.prefix_verifiers.verifiers if isinstance(self.prefix_verifiers, Reward) else ()

    def compared_by(self, scorer: Scorer) -> Reward:
        """Returns the reward that compares unfinished speech.

        Raises:
            InputError: no verifier of the search can score it.
        """
        own = self.prefix_verifiers if isinstance(self.prefix_verifiers, Reward) else None
        return partial_reward(own, scorer.reward)

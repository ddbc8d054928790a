"""Samplers on the random checkpoints, for the tests of generation."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from llasa_search.budget import Budget, BudgetTracker
from llasa_search.candidate import Candidate
from llasa_search.generation.sampler import Sampler
from llasa_search.llasa.model import Llasa
from llasa_search.sampling import Sampling
from llasa_search.voice import Prompt, Voice

TEXT = "the captain found a coin."
SHORT = Sampling(min_seconds=0.1, max_seconds=1.0)


def sampler_maker(llasa: Llasa) -> Callable[..., Sampler]:
    """Returns a function that makes samplers for a short text, with a voice of noise."""
    voice = Voice(0.1 * np.random.default_rng(0).standard_normal(19_200), "hello world", 16_000)

    def make(
        budget: Budget | None = None, sampling: Sampling = SHORT, seed: int = 0, text: str = TEXT
    ) -> Sampler:
        return Sampler(llasa, Prompt(text, "en", voice), sampling, seed, BudgetTracker(budget))

    return make


def speech(candidates: Iterable[Candidate]) -> dict[int, list[int]]:
    """Returns the codes of each candidate, by its index."""
    return {candidate.index: candidate.codes.tolist() for candidate in candidates}

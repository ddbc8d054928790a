"""What a search returns: the speech, every candidate with its scores, and what it cost."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.budget import Budget, BudgetTracker, Ledger
from llasa_search.candidate import Candidate, why_unscored
from llasa_search.errors import InputError, LlasaSearchError
from llasa_search.generation.trace import Trace
from llasa_search.reward.base import Reward, ranking
from llasa_search.scoring.families import warn_same_family
from llasa_search.scoring.loading import check_verifiers, load_verifiers
from llasa_search.scoring.score_all import unscored
from llasa_search.scoring.scorer import Scorer, decoded, skip
from llasa_search.storage.files import check_wav, write_wav
from llasa_search.verifiers.base import FunctionVerifier
from llasa_search.verifiers.specification import RewardLike, as_reward
from llasa_search.voice import Prompt

if TYPE_CHECKING:
    from llasa_search.voice import Voice


class SearchError(LlasaSearchError):
    """A search ended without a in_known_characters choice.

    Attributes:
        result: every candidate that was sampled, with what happened to it, or None.
    """

    def __init__(self, message: str, result: SearchResult | None = None) -> None:
        super().__init__(message)
        self.result = result


@dataclass(frozen=True)
class SearchResult:
    """The outcome of one search.

    Attributes:
        text: what was to be said.
        language: "en" or "zh".
        voice: the voice prompt, or None.
        candidates: every finished candidate, by index, with scores, reward and audio.
        sample_rate: of all audio, in Hz.
        reward: the printed expression of what was aimed at.
        ledger: what was spent.
        stopped_by: the limit that ended the search ("candidates", "tokens", "seconds", ...), "interrupt", or
            None when the strategy came to its own end.
        settings: how it was called: model, strategy, sampling, budget, seed, versions.
        trace: what became of every row, finished or not; empty where nothing was sampled.
    """

    text: str
    language: str
    voice: Voice | None
    candidates: list[Candidate]
    sample_rate: int
    reward: str
    ledger: Ledger
    stopped_by: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    trace: Trace = field(default_factory=Trace)

    def __repr__(self) -> str:
        best = self.ranked[0] if self.candidates else None
        return f"SearchResult({len(self.candidates)} candidates by {self.reward}, best: {best})"

    @property
    def ranked(self) -> list[Candidate]:
        """Candidates from best to worst; those whose reward is unknown come last, ties by index."""
        return [self.candidates[i] for i in ranking(np.array([c.reward for c in self.candidates]))]

    @property
    def best(self) -> Candidate:
        """The chosen candidate.

        Raises:
            SearchError: there is none, because nothing finished.
        """
        if not self.candidates:
            raise SearchError("the search has no candidate", self)
        return self.ranked[0]

    @property
    def audio(self) -> Audio:
        """The chosen speech: float32 mono [samples] in [-1, 1]."""
        audio = self.best.audio
        if audio is None:
            raise SearchError("the chosen candidate has not been decoded", self)
        return audio

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the chosen speech as a 16-bit PCM wav file, whole or not at all.

        Raises:
            InputError: the file cannot be written there.
        """
        return write_wav(check_wav(path), self.audio, self.sample_rate)

    def save_run(self, folder: str | os.PathLike[str]) -> Path:
        """Writes everything to a new folder; see `llasa_search.storage.run_folder` for its format."""
        from llasa_search.storage.run_folder import save_run

        return save_run(self, folder)

    @staticmethod
    def load_run(folder: str | os.PathLike[str]) -> SearchResult:
        """Reads what `save_run` wrote."""
        from llasa_search.storage.run_folder import load_run

        return load_run(folder)

    def rerank(self, verifiers: RewardLike) -> SearchResult:
        """The same candidates under another reward; only verifiers that have not heard them are run.

        The reward is taken as it stands, without a gate. `rerank(f"{result.reward} + 0 * pocketsphinx_wer")`
        keeps the choice and lets a judge hear it; one of a verifier's own family warns.

        Args:
            verifiers: anything `search.generate` takes.

        Returns:
            A new result; this one stays as it is. Its ledger counts the new verifiers alone.

        Raises:
            InputError: the reward cannot be read, or needs what this run has not got.
            SearchError: no candidate could be scored.
        """
        reward = as_reward(verifiers)
        prompt = Prompt(self.text, self.language, self.voice)
        # A function is not known by its name: another one may have made what is stored under it.
        unknown = {str(v) for v in reward.verifiers if isinstance(v, FunctionVerifier)}
        candidates = [
            replace(each, scores={k: v for k, v in each.scores.items() if k not in unknown}, reward=math.nan)
            for each in self.candidates
        ]
        new = [v for v in reward.verifiers if any(unscored([v], each) for each in candidates)]
        load_verifiers(new)
        check_verifiers(new, prompt)
        self._warn_same_family(reward)
        tracker = BudgetTracker(Budget())
        scorer = Scorer(reward, prompt, tracker, decoded, self.sample_rate)
        scorer.final([candidate for candidate in candidates if candidate.audio is not None])
        skip([each for each in candidates if each.audio is None], reward.verifiers, "was never decoded")
        result = replace(
            self, candidates=candidates, reward=str(reward), ledger=tracker.ledger, stopped_by=None
        )
        return result.checked()

    def _warn_same_family(self, reward: Reward) -> None:
        """Warns where `reward` lets a relative judge what it, or the search, has chosen by."""
        try:
            searched = as_reward(self.reward).required
        except InputError:  # it holds a function that has no name here
            searched = ()
        warn_same_family(reward.reporting, reward.required)
        warn_same_family([verifier for verifier in reward.required if verifier.judge], searched)

    def checked(self) -> SearchResult:
        """This result, if anything in it can be chosen.

        Raises:
            SearchError: nothing finished, or nothing could be scored; it carries this result.
        """
        if not self.candidates:
            if self.stopped_by is None:
                raise SearchError(f"the strategy {self.settings['strategy']} finished no candidate", self)
            raise SearchError(f"nothing finished within the budget of {self.stopped_by}: allow more", self)
        if all(np.isnan(candidate.reward) for candidate in self.candidates):
            reasons = why_unscored(self.candidates[0].scores)
            raise SearchError(f"no candidate could be scored by {self.reward}: {reasons}", self)
        for name, score in self.candidates[0].scores.items():
            found = [candidate.scores.get(name, score) for candidate in self.candidates]
            if all(each.status == "abstained" for each in found):
                warnings.warn(f"{name} has abstained on every candidate: {score.detail}", stacklevel=3)
        return self

    def table(self) -> str:
        """The candidates from best to worst, as aligned text."""
        from llasa_search.table import candidate_table

        return candidate_table(self)

"""The result of a search: the speech, every candidate with its scores, and the costs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.candidate import Candidate, why_unscored
from llasa_search.errors import LlasaSearchError, warn
from llasa_search.reward.base import ranking
from llasa_search.storage.files import check_wav, write_wav
from llasa_search.storage.run_folder import Run, load_run, save_run
from llasa_search.table import candidate_table
from llasa_search.verifiers.specification import RewardLike


@dataclass(frozen=True)
class Progress:
    """The progress of a search.

    Attributes:
        finished: whole candidates so far.
        scored: how many of them the verifiers have scored.
        best: the best of those, or None.
        seconds: wall seconds since the models were loaded.
    """

    finished: int
    scored: int
    best: Candidate | None
    seconds: float


class SearchError(LlasaSearchError):
    """A search ended without a candidate to choose.

    Attributes:
        result: every candidate that was sampled, with its scores, or None.
    """

    def __init__(self, message: str, result: SearchResult | None = None) -> None:
        super().__init__(message)
        self.result = result


@dataclass(frozen=True, repr=False, eq=False)
class SearchResult(Run):
    """The outcome of one search.

    Attributes:
        text: what should be spoken.
        language: a code of Whisper's list, such as "en".
        voice: the voice prompt, or None.
        candidates: every finished candidate, by index, with scores, reward and audio.
        sample_rate: of all audio, in Hz.
        reward: the printed expression of the reward.
        ledger: the costs.
        stopped_by: the limit that ended the search ("candidates", "tokens", "seconds", ...), "interrupt", or
            None if the strategy ended by itself.
        settings: model, strategy, sampling, budget, seed, versions.
        trace: every row of the search, finished or not; empty where nothing was sampled.
    """

    def __repr__(self) -> str:
        best = self.ranked[0] if self.candidates else None
        return f"SearchResult({len(self.candidates)} candidates by {self.reward}, best: {best})"

    @property
    def ranked(self) -> list[Candidate]:
        """Candidates from best to worst, ties by index.

        Those whose reward is unknown come last, and of these the ones that the model did not end itself.
        """
        order = [self.candidates[i] for i in ranking(np.array([c.reward for c in self.candidates]))]
        return sorted(order, key=lambda each: np.isnan(each.reward) and each.finish_reason != "stop")

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
        """Writes the chosen speech as a 16-bit PCM wav file, atomically.

        Raises:
            InputError: the file cannot be written there.
            OSError: writing fails, for example because the disk is full.
        """
        return write_wav(check_wav(path), self.audio, self.sample_rate)

    def save_run(self, folder: str | os.PathLike[str], overwrite: bool = False) -> Path:
        """Writes everything to a new folder; see `llasa_search.storage.run_folder` for its format.

        Args:
            folder: a new one.
            overwrite: whether an existing run folder is replaced, with everything in it.

        Raises:
            InputError: the folder exists, or cannot be written.
            OSError: writing fails, for example because the disk is full.
        """
        return save_run(self, self.best.index if self.candidates else None, folder, overwrite)

    @staticmethod
    def load_run(folder: str | os.PathLike[str]) -> SearchResult:
        """Reads what `save_run` wrote.

        Raises:
            InputError: it is not a run folder, is damaged, or has a later format.
        """
        return SearchResult(**vars(load_run(folder)))

    def rerank(self, verifiers: RewardLike) -> SearchResult:
        """Ranks the same candidates by another reward; see `llasa_search.search.rerank`."""
        from llasa_search.search import rerank

        return rerank(self, verifiers)

    def table(self) -> str:
        """Returns the candidates from best to worst, as a text table."""
        return candidate_table(self.ranked, self.sample_rate, self.reward)

    def checked(self) -> SearchResult:
        """Returns this result if it has a candidate to choose; warns of verifiers that always abstained.

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
                warn(f"{name} has abstained on every candidate: {score.detail}")
        return self

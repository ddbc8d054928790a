"""Verifiers for tests of strategies: they are cheap, and most give every row another score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llasa_search.candidate import Score, Utterance
from llasa_search.verifiers import Verifier


class Codes(Verifier):
    """Scores the mean of the codes so far, from 0 to 63; does not read the audio."""

    needs = frozenset({"codes"})
    partial = True
    content = True
    window_seconds = 0.0
    cost = 0.0
    scale = (0.0, 63.0)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        assert all(utterance.codes is not None for utterance in utterances)
        return [Score(float(np.mean(utterance.codes)), str(utterance.final)) for utterance in utterances]  # type: ignore[arg-type]


class Loud(Verifier):
    """Scores the mean square of the audio."""

    needs = frozenset()
    partial = True
    content = True
    scale = (0.0, 1.0)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [Score(float(np.square(utterance.audio).mean())) for utterance in utterances]


class FinalOnly(Codes):
    """Cannot score unfinished speech."""

    partial = False


class Broken(Codes):
    """Fails on every call."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        raise RuntimeError("out of order")


class Flat(Codes):
    """Scores all speech the same."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [Score(30.0) for _ in utterances]


class Interrupting(Codes):
    """Raises KeyboardInterrupt on its first call, as Ctrl-C does."""

    def __init__(self) -> None:
        self._asked = False

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        if not self._asked:
            self._asked = True
            raise KeyboardInterrupt
        return super().score(utterances)


class Seconds(Verifier):
    """Scores a recording by its length, and keeps the sizes of the batches that it scored."""

    scale = (0.0, 10.0)

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        self.batch_sizes.append(len(utterances))
        return [Score(round(utterance.seconds, 3)) for utterance in utterances]


class Frames(Verifier):
    """Scores the length in frames, up to 30."""

    scale = (0.0, 30.0)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [Score(float(len(utterance.audio) // 320)) for utterance in utterances]

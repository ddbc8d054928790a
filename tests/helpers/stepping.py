"""Three short sentences, a voice and a verifier, for the tests of in-context steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from llasa_search.candidate import Score, Utterance
from llasa_search.llasa.model import Llasa
from llasa_search.result import SearchResult
from llasa_search.sampling import Sampling
from llasa_search.search import Searcher
from llasa_search.verifiers import Verifier
from llasa_search.voice import Voice

STEPS = ("The captain found a silver coin.", "He gave it to the old king!", "Then it rained for many days.")
TEXT = " ".join(STEPS)
SHORT = Sampling(min_seconds=0.1, max_seconds=0.4)
VOICE = Voice(0.1 * np.random.default_rng(0).standard_normal(8_000), "hello world", 16_000)
Speak = Callable[..., SearchResult]


class Loudness(Verifier):
    """Scores the mean absolute sample, and stores the text of each utterance that it scores."""

    scale = (0.0, 1.0)
    content = True

    def __init__(self) -> None:
        self._texts: list[str] = []

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        self._texts += [utterance.text for utterance in utterances]
        return [Score(float(np.abs(utterance.audio).mean())) for utterance in utterances]


def speaker_of(llasa: Llasa) -> Speak:
    """Returns a function that searches for TEXT, by default with in-context steps."""

    def speak(
        strategy: Any = "in_context_steps", text: str = TEXT, reward: Any = None, **options: Any
    ) -> SearchResult:
        searcher = Searcher(llasa, reward or Loudness(), strategy)
        return searcher.generate(text, **{"prompt": VOICE, "sampling": SHORT, **options})

    return speak

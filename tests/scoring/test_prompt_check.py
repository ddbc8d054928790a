"""A voice prompt that does not match its transcript causes a warning before a search."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from llasa_search import Budget, Sampling, Searcher, search
from llasa_search.candidate import Score, Utterance
from llasa_search.llasa.model import Llasa
from llasa_search.result import SearchResult
from llasa_search.verifiers import WER, Verifier
from llasa_search.verifiers.likelihood import LanguageModelLikelihood
from llasa_search.voice import Voice
from tests.conftest import Outcome

SLT = Voice.builtin("slt")
OTHER = "The quick brown fox jumped over the lazy dog."
SHORT = Sampling(max_seconds=0.3)


class CountingWER(WER):
    """Counts the recordings that it transcribes."""

    transcribed = 0

    def transcribe(
        self, audios: Sequence[np.ndarray], sample_rates: Sequence[int], language: str
    ) -> list[str]:
        self.transcribed += len(audios)
        return super().transcribe(audios, sample_rates, language)


class NoWords(Verifier):
    """A recogniser that always fails."""

    needs = frozenset()

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [Score(0.5)] * len(utterances)

    def transcribe(
        self, audios: Sequence[np.ndarray], sample_rates: Sequence[int], language: str
    ) -> list[str]:
        raise RuntimeError("out of order")


def speak(searcher: Searcher, voice: Voice) -> SearchResult:
    return searcher.generate("A coin.", voice, budget=Budget(candidates=1), sampling=SHORT)


def warned(searcher: Searcher, voice: Voice) -> list[str]:
    """Returns the warnings about a prompt."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        speak(searcher, voice)
    return [str(each.message) for each in caught if "the prompt" in str(each.message)]


@pytest.fixture(scope="module")
def llasa() -> Llasa:
    """The embedded model."""
    return Llasa.from_pretrained("tiny", device="cpu")


@pytest.fixture(scope="module")
def recogniser() -> CountingWER:
    return CountingWER()


def test_the_warning_about_a_wrong_transcript_has_both_texts(llasa: Llasa, recogniser: CountingWER) -> None:
    """The voice is transcribed once for all searches; the check is not counted."""
    searcher = Searcher(llasa, recogniser, "best_of_n:n=1")
    voice = SLT.with_text(OTHER)
    (message,) = warned(searcher, voice)
    assert OTHER in message and str(SLT.text)[:10].lower() in message and "check_prompt=False" in message
    before = recogniser.transcribed
    result = speak(searcher, voice)
    assert warned(searcher, voice) == []
    assert recogniser.transcribed == before + 2, "only the candidates"
    assert sum(result.ledger.verifier_calls.values()) == 1


@pytest.mark.parametrize("name", Voice.builtins())
def test_a_true_transcript_is_not_warned_about(llasa: Llasa, recogniser: CountingWER, name: str) -> None:
    """Of the styles of a voice, sad speech has the highest error rate."""
    searcher = Searcher(llasa, recogniser, "best_of_n:n=1")
    assert warned(searcher, Voice.builtin(name, "sad")) == []


def test_half_of_a_recording_or_of_its_text_causes_a_warning(llasa: Llasa, recogniser: CountingWER) -> None:
    """Otherwise every candidate would begin with the missing words."""
    searcher = Searcher(llasa, recogniser, "best_of_n:n=1")
    words = str(SLT.text).split()
    assert warned(searcher, Voice(SLT.audio[: len(SLT.audio) // 2], SLT.text, 16_000))
    assert warned(searcher, SLT.with_text(" ".join(words[: len(words) // 2])))


def test_the_length_is_compared_without_a_recogniser(llasa: Llasa) -> None:
    """0.94 s are too short for 47 characters, and 2 s are too long for "Yes."."""
    searcher = Searcher(llasa, LanguageModelLikelihood(), "best_of_n:n=1", gate=None)
    fast = Voice(SLT.audio[:15_040], "The captain found a silver coin near the lakes.", 16_000)
    (message,) = warned(searcher, fast)
    assert "0.86 s" in message and "takes 1.3 to" in message
    assert "takes 0.1 to 1.0 s" in warned(searcher, SLT.with_text("Yes."))[0]
    assert warned(searcher, SLT) == []


def test_the_check_can_be_turned_off(llasa: Llasa, recogniser: CountingWER) -> None:
    voice = SLT.with_text(OTHER)
    assert warned(Searcher(llasa, recogniser, "best_of_n:n=1", check_prompt=False), voice) == []


def test_a_recogniser_that_fails_ends_no_search(llasa: Llasa) -> None:
    """Its failure is reported when it scores; the length is compared instead."""
    searcher = Searcher(llasa, NoWords(), "best_of_n:n=1", gate=None)
    assert warned(searcher, SLT) == []
    assert "takes" in warned(searcher, SLT.with_text("Yes."))[0]


def test_the_candidates_do_not_depend_on_the_check() -> None:
    """The same seed gives the same codes and scores with and without it."""
    results = [
        search.generate("A coin.", "slt", budget=Budget(candidates=1), sampling=SHORT, check_prompt=check)
        for check in (True, False)
    ]
    codes = [result.best.codes.tolist() for result in results]
    assert codes[0] == codes[1] and results[0].best.scores == results[1].best.scores


def test_on_the_command_line(cli: Callable[..., Outcome], tmp_path: Path) -> None:
    """`say` warns on stderr; `--no-check-prompt` does not."""
    soundfile.write(tmp_path / "slt.wav", SLT.audio, 16_000)
    say = ("say", "A coin.", "--prompt", tmp_path / "slt.wav", "--prompt-text", OTHER, "-n", 1)
    out = ("-o", tmp_path / "out.wav")
    assert OTHER in cli(*say, *out).err
    done = cli(*say, "--no-check-prompt", *out)
    assert done.code == 0 and OTHER not in done.err

"""What a verifier declares is checked before it is used, and its optional hooks have declared defaults."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from llasa_search.arrays import Audio, FloatArray
from llasa_search.candidate import Score, Span, Utterance
from llasa_search.checkpoints.names import TINY
from llasa_search.errors import InputError
from llasa_search.scoring.loading import load_verifiers
from llasa_search.verifiers import WER, EmotionSimilarity, Pace, SpeakerSimilarity, Verifier
from llasa_search.verifiers.specification import parse_reward
from llasa_search.voice import Prompt


class Constant(Verifier):
    """Scores 0.5 and keeps an argument of any type."""

    def __init__(self, value: object = None) -> None:
        self.value = value

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [Score(0.5) for _ in utterances]


@pytest.mark.parametrize("scale", [(0.0, 0.0), (0.0, np.nan), (np.inf, 0.0), (1.0,), None, ("a", "b"), "01"])
def test_a_scale_without_width_is_refused(scale: tuple[float, float]) -> None:
    """The two ends of a scale are different finite numbers; others would give utilities of 0 / 0."""
    verifier = Constant()
    verifier.scale = scale
    with pytest.raises(InputError, match=r"Constant\(\): scale=.* two different numbers"):
        load_verifiers([verifier])


class OwnUtility(Constant):
    def utility(self, values: FloatArray) -> FloatArray:
        return np.exp(-values)


def test_a_verifier_with_its_own_utility_needs_no_scale() -> None:
    verifier = OwnUtility()
    verifier.scale = (0.0, 0.0)
    load_verifiers([verifier])


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("needs", "voice", "give a set"),
        ("needs", None, "give a set"),
        ("languages", "en", r"such as \{'en'\}"),
        ("window_seconds", "all", "None for all"),
    ],
)
def test_a_declaration_of_another_type_is_refused(name: str, value: object, cure: str) -> None:
    """A text would be read letter by letter, or fail in the middle of a search."""
    verifier = Constant()
    setattr(verifier, name, value)
    with pytest.raises(InputError, match=f"Constant: {name}=.*{cure}"):
        load_verifiers([verifier])


def test_an_unknown_need_is_refused() -> None:
    """`needs` holds only what an utterance can have."""
    verifier = Constant()
    verifier.needs = frozenset({"transcript"})
    with pytest.raises(InputError, match=r"transcript.*any of codes, logprobs, resynthesis, text, voice"):
        load_verifiers([verifier])


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (Path("models") / "one", f"Constant(value={os.path.join('models', 'one')!r})"),
        (np.float64(0.5), "Constant(value=0.5)"),
        (np.int64(3), "Constant(value=3)"),
        (np.array([1.0, 2.0]), "Constant(value=[1.0, 2.0])"),
        ([1, "a", None], "Constant(value=[1, 'a', None])"),
    ],
)
def test_arguments_are_printed_so_that_they_can_be_read_back(value: object, printed: str) -> None:
    verifier = Constant(value)
    load_verifiers([verifier])
    assert str(verifier) == printed


def test_an_argument_that_cannot_be_read_back_is_refused() -> None:
    """A stored run can always be ranked again."""
    with pytest.raises(InputError, match=r"Constant\(value=.*reads it back"):
        load_verifiers([Constant(object())])


def test_paths_of_built_in_verifiers_can_be_read_back() -> None:
    verifier = EmotionSimilarity(Path("ref.wav"))  # type: ignore[arg-type]
    assert parse_reward(str(verifier)) == verifier


class ArrayByDefault(Constant):
    def __init__(self, value: object = np.zeros(2)) -> None:
        self.value = value


def test_an_array_may_be_the_default_of_an_argument() -> None:
    assert str(ArrayByDefault()) == "ArrayByDefault()"


def test_a_verifier_of_some_languages_refuses_the_others() -> None:
    """`languages` restricts a verifier; by default it scores any language."""
    verifier = Constant()
    verifier.check(Prompt("你好", "zh"))
    verifier.languages = frozenset({"en"})
    verifier.check(Prompt("hello", "en"))
    with pytest.raises(
        InputError, match=r"Constant\(\) knows en, and the text is Chinese \('zh'\): leave it out"
    ):
        verifier.check(Prompt("你好", "zh"))


class Recogniser(Constant):
    """Offers both optional hooks."""

    def transcribe(self, audios: Sequence[Audio], sample_rates: Sequence[int], language: str) -> list[str]:
        return ["one" for _ in audios]

    def error_spans(self, utterances: Sequence[Utterance]) -> list[list[Span]]:
        return [[] for _ in utterances]


def test_a_verifier_offers_the_optional_hooks_that_it_overrides() -> None:
    """Without an override, the flag is False and the method says what to do."""
    assert Recogniser().can_transcribe and Recogniser().can_find_errors
    assert WER().can_transcribe and not Pace().can_transcribe and not Pace().can_find_errors
    with pytest.raises(InputError, match=r"Pace\(\) cannot transcribe: take a speech recogniser"):
        Pace().transcribe([], [], "en")
    with pytest.raises(InputError, match=r"Pace\(\) does not find the places of errors"):
        Pace().error_spans([])


def test_checkpoints_are_the_files_that_arguments_name(tmp_path: Path) -> None:
    """The path of an embedded checkpoint depends on the verifier; names of hubs are not paths."""
    assert WER().checkpoints() == [str(TINY / "asr.pt")]
    assert SpeakerSimilarity().checkpoints() == [str(TINY / "speaker")]
    assert Constant(str(tmp_path)).checkpoints() == [str(tmp_path)]
    assert WER("large-v3").checkpoints() == Pace().checkpoints() == []


def test_embedded_checkpoints_are_recognised() -> None:
    assert WER().is_embedded and WER("tiny-ctc").is_embedded
    assert not WER("large-v3").is_embedded and not Pace().is_embedded and not Constant("tiny").is_embedded

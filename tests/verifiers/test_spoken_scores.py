"""All verifiers score the spoken form: values of recordings, through `search.select` and `search.generate`."""

from __future__ import annotations

import pytest

from llasa_search import search
from llasa_search.budget import Budget
from llasa_search.sampling import Sampling
from llasa_search.verifiers import WER, CTCAlignment, TranscriptLikelihood
from llasa_search.voice import Voice

BRACKETS = "He said that the basement was modern (and rusty)."


@pytest.mark.filterwarnings("ignore:.*own checkpoints are trained")
def test_words_in_brackets_are_said() -> None:
    """The whole recording has no error, the one cut before the bracket has two, and is not chosen.

    On commit dd163da the whole one had a WER of 0.286, and the cut one, which was chosen, of 0.
    """
    whole = Voice.builtin("slt").audio
    recordings = [(whole[: int(len(whole) * share)], 16_000) for share in (0.65, 0.7, 0.72, 1.0)]
    result = search.select(recordings, BRACKETS, verifiers="wer", gate=None)
    rates = [candidate.scores["WER()"].value for candidate in result.candidates]
    assert result.best.index == 3 and rates[3] == 0.0
    assert pytest.approx(2 / 9) in rates and min(rates[:3]) > 0


@pytest.mark.filterwarnings("ignore:.*own checkpoints are trained")
@pytest.mark.parametrize(
    ("name", "style", "written"),
    [
        ("slt", "neutral", "He said that the basement was modern & rusty."),
        ("rms", "happy", "2 round people collected the butter last week."),
    ],
)
def test_all_verifiers_read_numbers_and_signs_alike(name: str, style: str, written: str) -> None:
    """A text with a number or sign has the scores of the text in words."""
    voice = Voice.builtin(name, style)
    recordings = [(voice.audio, 16_000)]
    verifiers = [WER(), CTCAlignment(), TranscriptLikelihood()]
    both = [
        search.select(recordings, text, verifiers=verifiers, gate=None).best.scores
        for text in (written, str(voice.text))
    ]
    for verifier in verifiers:
        assert both[0][str(verifier)].value == pytest.approx(both[1][str(verifier)].value, abs=1e-5)


def test_the_embedded_model_gets_the_spoken_form() -> None:
    """The codes are those of the text in words. On commit dd163da "$" was left out, and 5 given as a digit."""
    few = Sampling(min_seconds=0.1, max_seconds=0.3)
    written, spoken = (
        search.generate(text, verifiers=lambda utterance: 0.5, budget=Budget(candidates=1), sampling=few)
        for text in ("It cost $5 & 10%.", "It cost five dollars and ten percent.")
    )
    assert written.best.codes.tolist() == spoken.best.codes.tolist()
    assert written.text == spoken.text == "It cost five dollars and ten percent."

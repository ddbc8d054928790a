"""The free gate: when it is added, and what it rejects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from llasa_search import search
from llasa_search.arrays import Audio
from llasa_search.candidate import Score, Utterance
from llasa_search.errors import InputError
from llasa_search.result import SearchResult
from llasa_search.scoring.gate import gated
from llasa_search.verifiers import Verifier
from llasa_search.verifiers.specification import as_reward

TEXT = "The captain found a silver coin near the lake."
GATE = ".given(Pace() <= 0).given(Signal() <= 0)"
Noise = Callable[..., Audio]


class Brevity(Verifier):
    """Prefers short speech, because it does not score the spoken text."""

    scale = (10.0, 0.0)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [Score(utterance.seconds) for utterance in utterances]


@pytest.mark.parametrize(
    ("expression", "with_gate"),
    [
        ("lm_likelihood", f"LanguageModelLikelihood(){GATE}"),
        ("lm_likelihood + 0 * wer", f"(LanguageModelLikelihood() + 0 * WER()){GATE}"),
        ("RankAverage(pace, signal)", f"RankAverage(Pace(), Signal()){GATE}"),
        ("lm_likelihood.given(pace <= 0)", f"LanguageModelLikelihood(){GATE}"),
        ("signal.given(pace <= 1)", "Signal().given(Pace() <= 1).given(Pace() <= 0).given(Signal() <= 0)"),
    ],
)
def test_a_reward_without_content_verifiers_gets_the_gate_once(expression: str, with_gate: str) -> None:
    """A content verifier of weight 0 does not remove the gate, and a reward with the gate does not get it again."""
    reward = gated(as_reward(expression))
    assert str(reward) == with_gate
    assert gated(as_reward(with_gate)) == reward
    assert gated(as_reward(expression), None) == as_reward(expression)


@pytest.mark.parametrize("content", ["wer", "likelihood", "ctc", "pocketsphinx_wer"])
def test_a_reward_with_content_verifiers_gets_no_gate(content: str) -> None:
    """If word errors are scored, speech may be fast or slow."""
    for expression in (
        content,
        f"Lexicographic(signal, {content})",
        f"lm_likelihood.given({content} <= 0.1)",
    ):
        assert gated(as_reward(expression)) == as_reward(expression)


@pytest.mark.parametrize("gate", ["none", "wer <= 0", True, 0])
def test_another_gate_is_refused(gate: object) -> None:
    """Only "auto" and None are accepted."""
    with pytest.raises(InputError, match="gate="):
        gated(as_reward("signal"), gate)  # type: ignore[arg-type]


def test_truncated_looping_or_silent_speech_does_not_win(noise: Noise, tmp_path: Path) -> None:
    """The gate excludes such speech, and the table and the stored run show the verifiers of the gate."""
    sound, cut, slow = noise(3.0, 0), noise(0.3, 1), noise(20.0, 2)
    silent = np.concatenate([noise(0.1, 3), np.zeros(24_000, np.float32), noise(0.1, 4)])
    wavs = [(audio, 16_000) for audio in (cut, silent, sound, slow)]
    assert search.select(wavs, TEXT, verifiers=Brevity(), gate=None).best.index == 0
    result = search.select(wavs, TEXT, verifiers=Brevity())
    assert result.best.index == 2 and result.reward == f"Brevity(){GATE}"
    assert [candidate.reward > 0 for candidate in result.candidates] == [False, False, True, False]
    assert "Pace()" in result.table() and "Signal()" in result.table()
    result.save_run(tmp_path / "run")
    again = SearchResult.load_run(tmp_path / "run")
    assert again.best.index == 2 and again.reward == result.reward


def test_a_stored_reward_gives_the_same_choice(noise: Noise) -> None:
    """`rerank` uses the stored reward as it is: with the gate of the search, or without one."""
    wavs = [(noise(seconds), 16_000) for seconds in (0.3, 3.0)]
    expected: list[tuple[Literal["auto"] | None, int]] = [("auto", 1), (None, 0)]
    for gate, best in expected:
        result = search.select(wavs, TEXT, verifiers="0.5 * signal", gate=gate)
        again = result.rerank(result.reward)
        assert result.best.index == again.best.index == best and again.reward == result.reward


def test_a_text_of_one_word_passes_the_gate(noise: Noise) -> None:
    """Finished speech of less than half a second can pass the gate."""
    result = search.select(
        [(noise(0.3), 16_000), (noise(0.35, 1), 16_000)], "No.", verifiers=Brevity(), language="en"
    )
    assert result.best.index == 0 and result.best.reward > 0.9

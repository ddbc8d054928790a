"""The free gate: where it stands, and what no longer wins."""

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
    """Seconds, the fewer the better: what a verifier may prefer that does not score the words."""

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
def test_a_reward_that_scores_no_words_gets_it_once(expression: str, with_gate: str) -> None:
    """Guards against a gate that a report-only verifier lifts, and one that is added again when read back."""
    reward = gated(as_reward(expression))
    assert str(reward) == with_gate
    assert gated(as_reward(with_gate)) == reward
    assert gated(as_reward(expression), None) == as_reward(expression)


@pytest.mark.parametrize("content", ["wer", "likelihood", "ctc", "pocketsphinx_wer"])
def test_a_reward_that_scores_words_gets_none(content: str) -> None:
    """Guards against a gate on texts that are spoken fast or slowly on purpose, where errors are counted."""
    for expression in (
        content,
        f"Lexicographic(signal, {content})",
        f"lm_likelihood.given({content} <= 0.1)",
    ):
        assert gated(as_reward(expression)) == as_reward(expression)


@pytest.mark.parametrize("gate", ["none", "wer <= 0", True, 0])
def test_another_gate_is_refused(gate: object) -> None:
    """Guards against a condition that is taken for "auto"."""
    with pytest.raises(InputError, match="gate="):
        gated(as_reward("signal"), gate)  # type: ignore[arg-type]


def test_speech_that_is_cut_off_loops_or_is_silent_no_longer_wins(noise: Noise, tmp_path: Path) -> None:
    """Guards against a search that returns a syllable, and a table or a ranking that does not say why not."""
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


def test_a_stored_reward_ranks_as_it_did(noise: Noise) -> None:
    """Guards against a ranking from disk that has lost the gate, or gets one that the search had not."""
    wavs = [(noise(seconds), 16_000) for seconds in (0.3, 3.0)]
    expected: list[tuple[Literal["auto"] | None, int]] = [("auto", 1), (None, 0)]
    for gate, best in expected:
        result = search.select(wavs, TEXT, verifiers="0.5 * signal", gate=gate)
        again = result.rerank(result.reward)
        assert result.best.index == again.best.index == best and again.reward == result.reward


def test_the_shortest_words_are_not_refused(noise: Noise) -> None:
    """Guards against a gate that cannot judge less than half a second, and so leaves nothing to choose."""
    result = search.select([(noise(0.3), 16_000), (noise(0.35, 1), 16_000)], "No.", verifiers=Brevity())
    assert result.best.index == 0 and result.best.reward > 0.9

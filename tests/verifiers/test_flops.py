"""FLOPs of verifiers, and of a search's ledger."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from llasa_search import Budget, SearchResult, search
from llasa_search.candidate import Utterance
from llasa_search.engine.cache import KeyValueCache
from llasa_search.llasa.model import Llasa
from llasa_search.verifiers import WER, CTCAlignment, Pace, SpeakerSimilarity, Verifier
from llasa_search.verifiers.backends.flops import LinearFlops, WindowFlops, count_flops
from llasa_search.verifiers.emotion import EmotionSimilarity
from tests.helpers.tiny_verifiers import write_ctc, write_ecapa, write_emotion2vec


def test_a_multiplication_and_an_addition_are_two_flops() -> None:
    """A matrix product [2, 3] by [3, 5] has 2 * 2 * 3 * 5 FLOPs."""
    import torch

    assert count_flops(lambda: torch.ones(2, 3) @ torch.ones(3, 5)) == 2 * 2 * 3 * 5


def test_linear_flops_hold_between_and_beyond_the_counted_lengths() -> None:
    """FLOPs are a linear function of the seconds, with a constant part per call."""
    import torch

    weight = torch.ones(4, 4)
    flops = LinearFlops(lambda audio: (torch.ones(len(audio), 4) @ weight, torch.ones(7, 4) @ weight))
    assert flops(3.0) == pytest.approx(2 * (3 * 16_000 + 7) * 16)
    assert flops(9.0) == pytest.approx(2 * (9 * 16_000 + 7) * 16)


def test_window_flops_count_whole_windows() -> None:
    """Speech of half a second needs as many encoder FLOPs as a full window, because Whisper pads it."""
    import torch

    flops = WindowFlops(
        lambda: torch.ones(1, 10) @ torch.ones(10, 1), lambda features: None, window=30.0, pace=1.0
    )
    assert flops(0.5) == flops(30.0) == 20
    assert flops(31.0) == 40


@pytest.mark.parametrize("name", ["wer", "speaker", "emotion", "ctc"])
def test_verifiers_with_a_model_know_their_flops(name: str, asr_path: Path, tmp_path: Path) -> None:
    """FLOPs of verifiers with a model are known, positive, and grow with the speech."""
    made: dict[str, Verifier] = {
        "wer": WER(str(asr_path)),
        "speaker": SpeakerSimilarity(str(write_ecapa(tmp_path / "ecapa"))),
        "emotion": EmotionSimilarity(model=str(write_emotion2vec(tmp_path / "emotion"))),
        "ctc": CTCAlignment(str(write_ctc(tmp_path / "ctc"))),
    }
    assert 1e5 < made[name].flops(2.0) < made[name].flops(9.0)


def test_the_ledger_counts_each_scored_utterance_once(llasa: Llasa, asr_path: Path, tmp_path: Path) -> None:
    """The ledger has the FLOPs of each distinct scored utterance; unknown FLOPs stay NaN in a saved run."""
    wer = WER(str(asr_path))
    result = search.generate("one", model=llasa, verifiers=wer, budget=Budget(candidates=3), seed=1)
    seconds = [
        len(candidate.audio) / 16_000 for candidate in result.candidates if candidate.audio is not None
    ]
    distinct = {candidate.codes.tobytes(): s for candidate, s in zip(result.candidates, seconds, strict=True)}
    assert result.ledger.flops["verifiers"] == pytest.approx(sum(map(wer.flops, distinct.values())))

    def loudness(utterance: Utterance) -> float:
        return float(np.abs(utterance.audio).mean().clip(0, 1))

    unknown = search.generate("one", model=llasa, verifiers=loudness, gate=None, seed=1)
    assert math.isnan(unknown.ledger.flops["verifiers"])
    unknown.save_run(tmp_path / "run")
    assert "NaN" not in (tmp_path / "run" / "run.json").read_text()
    assert math.isnan(SearchResult.load_run(tmp_path / "run").ledger.flops["verifiers"])


def test_the_formulas_match_the_counted_flops() -> None:
    """The formulas for the language model and the codec are within 5% of torch's counter."""
    import torch

    llasa = Llasa.from_pretrained("tiny")
    ids, rows = torch.arange(100), [np.arange(100, dtype=np.int32)] * 2
    model, codec = llasa.language_model, llasa.codec
    assert model.flops(100, 50, 1) == pytest.approx(count_flops(lambda: model.prefill(ids)), rel=0.05)
    assert codec.flops(200) == pytest.approx(count_flops(lambda: codec.decode(rows)), rel=0.05)
    cache, tokens = KeyValueCache(model.prefill(ids), slots=8, capacity=16), torch.arange(8)
    model.step(tokens, cache)
    # The second token of eight rows attends to the prompt, the first token and itself.
    assert model.flops(8, 102, 8) == pytest.approx(count_flops(lambda: model.step(tokens, cache)), rel=0.05)


def test_verifiers_without_a_model_have_no_flops() -> None:
    """A verifier without a model has 0 FLOPs, not unknown ones."""
    assert Pace().flops(3.0) == 0

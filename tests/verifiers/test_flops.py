"""Floating-point operations of verifiers, and that a search's ledger has them."""

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
from llasa_search.verifiers.backends.flops import Line, Windows, counted
from llasa_search.verifiers.emotion import EmotionSimilarity
from tests.helpers.tiny_verifiers import write_ctc, write_ecapa, write_emotion2vec


def test_a_matrix_product_counts_two_for_each_multiplication() -> None:
    """Half the operations, as where additions are left out."""
    import torch

    assert counted(lambda: torch.ones(2, 3) @ torch.ones(3, 5)) == 2 * 2 * 3 * 5


def test_a_line_holds_between_and_beyond_what_was_counted() -> None:
    """A price that is proportional to seconds, though every call has a part that is not."""
    import torch

    weight = torch.ones(4, 4)
    line = Line(lambda audio: (torch.ones(len(audio), 4) @ weight, torch.ones(7, 4) @ weight))
    assert line(3.0) == pytest.approx(2 * (3 * 16_000 + 7) * 16)
    assert line(9.0) == pytest.approx(2 * (9 * 16_000 + 7) * 16)


def test_windows_are_heard_whole() -> None:
    """Whisper pads: half a second costs as much as thirty."""
    import torch

    hears = Windows(lambda: torch.ones(1, 10) @ torch.ones(10, 1), lambda heard: None, window=30.0, pace=1.0)
    assert hears(0.5) == hears(30.0) == 20
    assert hears(31.0) == 40


@pytest.mark.parametrize("name", ["wer", "speaker", "emotion", "ctc"])
def test_models_know_their_operations(name: str, asr_path: Path, tmp_path: Path) -> None:
    """A model whose work the ledger counts as nothing, or as unknown."""
    made: dict[str, Verifier] = {
        "wer": WER(str(asr_path)),
        "speaker": SpeakerSimilarity(str(write_ecapa(tmp_path / "ecapa"))),
        "emotion": EmotionSimilarity(model=str(write_emotion2vec(tmp_path / "emotion"))),
        "ctc": CTCAlignment(str(write_ctc(tmp_path / "ctc"))),
    }
    assert 1e5 < made[name].flops(2.0) < made[name].flops(9.0)


def test_the_ledger_counts_each_utterance_that_was_heard(
    llasa: Llasa, asr_path: Path, tmp_path: Path
) -> None:
    """Verifiers that cost nothing in a comparison at equal operations, or unknown costs written as 0."""
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


def test_the_formulas_are_what_runs() -> None:
    """Analytic prices that are not those of the passes: model sizes could not be compared."""
    import torch

    llasa = Llasa.from_pretrained("tiny")
    ids, rows = torch.arange(100), [np.arange(100, dtype=np.int32)] * 2
    decoder, codec = llasa.language_model, llasa.codec
    assert decoder.flops(100, 50, 1) == pytest.approx(counted(lambda: decoder.prefill(ids)), rel=0.05)
    assert codec.flops(200) == pytest.approx(counted(lambda: codec.decode(rows)), rel=0.05)
    cache, tokens = KeyValueCache(decoder.prefill(ids), slots=8, capacity=16), torch.arange(8)
    decoder.step(tokens, cache)
    # The second token of eight rows hears the prompt, the first token and itself.
    assert decoder.flops(8, 102, 8) == pytest.approx(counted(lambda: decoder.step(tokens, cache)), rel=0.05)


def test_verifiers_without_a_model_cost_nothing() -> None:
    """A free gate that makes the costs of every search unknown."""
    assert Pace().flops(3.0) == 0

"""`llasa-search score` with verifiers that fail, abstain or cannot count."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from llasa_search.arrays import Audio
from llasa_search.candidate import Score, Utterance
from llasa_search.cli.score import score_manifest
from llasa_search.result import SearchError
from llasa_search.verifiers import EmotionSimilarity
from tests.helpers.verifiers import Seconds

Noise = Callable[..., Audio]


class Miscounting(Seconds):
    def counts(self, text: str, language: str, detail: str) -> tuple[int, int] | None:
        raise RuntimeError("nobody can count this")


def test_a_verifier_that_cannot_count_fails_alone(
    manifest: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The records and the summary give the reason; other verifiers still score."""
    assert score_manifest(manifest([1.0], [2.0]), None, Seconds() + 0 * Miscounting(), tmp_path / "out")
    for line in (tmp_path / "out" / "scores.jsonl").read_text().splitlines():
        (recording,) = json.loads(line)["recordings"]
        score = recording["scores"]["Miscounting()"]
        assert score["status"] == "failed" and "nobody can count this" in score["detail"]
        assert recording["status"] == "scored"
    with pytest.raises(SearchError, match="its counts of edits and length failed"):
        score_manifest(manifest([1.0], [2.0]), None, Miscounting(), tmp_path / "other")
    assert (
        "failed: 2 x Miscounting(): its counts of edits and length failed: RuntimeError"
        in capsys.readouterr().out
    )


class Abstaining(Seconds):
    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [Score(np.nan, "no", "abstained") for _ in utterances]


def test_the_summary_counts_abstentions(
    manifest: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score_manifest(manifest([1.0], [2.0]), None, Seconds() + Abstaining(), tmp_path / "out")
    assert "abstained: Abstaining() 2" in capsys.readouterr().out


@pytest.mark.parametrize("counts", [(1, 0), (-1, 3), (1,), "ab"])
def test_invalid_counts_fail(
    counts: tuple[int, int], manifest: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Edits are at least 0 and the length is at least 1, so that the summary never divides by 0."""
    monkeypatch.setattr(Miscounting, "counts", lambda *_: counts)
    with pytest.raises(SearchError, match="its counts of edits and length failed"):
        score_manifest(manifest([1.0]), None, Miscounting(), tmp_path / "out")


def test_each_voice_is_embedded_once(manifest: Callable[..., Path], tmp_path: Path, noise: Noise) -> None:
    """The embedding made to check a prompt is used again to score."""
    soundfile.write(tmp_path / "ref.wav", noise(1.0, 7), 16_000)
    soundfile.write(tmp_path / "other.wav", noise(1.0, 8), 16_000)
    path = manifest([1.0], [1.0], [1.0], [1.0], prompt="ref.wav")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[1]["prompt"] = lines[3]["prompt"] = "other.wav"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    verifier = EmotionSimilarity()
    verifier.load()
    embedded: list[int] = []
    embed = verifier._references._embed
    verifier._references._embed = lambda audio: embedded.append(len(audio)) or embed(audio)  # type: ignore[func-returns-value]
    with pytest.warns(UserWarning, match="own checkpoints"):
        score_manifest(path, None, verifier, tmp_path / "out")
    assert len(embedded) == 2

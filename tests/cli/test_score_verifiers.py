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
from llasa_search.voice import Prompt
from tests.helpers.verifiers import Seconds

Noise = Callable[..., Audio]


class Miscounting(Seconds):
    def counts(self, text: str, language: str, detail: str) -> tuple[int, int] | None:
        raise RuntimeError("cannot be counted")


def test_a_verifier_that_cannot_count_fails_alone(
    manifest: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The records and the summary give the reason; other verifiers still score."""
    assert score_manifest(manifest([1.0], [2.0]), None, Seconds() + 0 * Miscounting(), tmp_path / "out")
    for line in (tmp_path / "out" / "scores.jsonl").read_text().splitlines():
        (recording,) = json.loads(line)["recordings"]
        score = recording["scores"]["Miscounting()"]
        assert score["status"] == "failed" and "cannot be counted" in score["detail"]
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
    """The embedding that `check` computes is used again in `score`."""
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


class SomeOnly(Seconds):
    """Refuses to load, refuses every text, or fails on recordings of more than a second and a half."""

    def __init__(self, fails_in: str) -> None:
        super().__init__()
        self.fails_in = fails_in

    def load(self) -> None:
        if self.fails_in == "load":
            raise OSError("no weights")

    def check(self, prompt: Prompt) -> None:
        if self.fails_in == "check":
            raise RuntimeError("cannot cache function 'f': no locator available for file 'f.py'")

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        if any(utterance.seconds > 1.5 for utterance in utterances):
            raise ValueError("too long")
        return super().score(utterances)


@pytest.mark.filterwarnings("ignore:.*has weight 0 and scores nothing")
@pytest.mark.parametrize(
    ("fails_in", "why", "count"),
    [
        ("load", "no weights", 3),
        ("check", "set the environment variable NUMBA_CACHE_DIR", 3),
        ("score", "too long", 1),
    ],
)
def test_a_failing_verifier_of_weight_0_is_counted_and_changes_nothing_else(
    fails_in: str, why: str, count: int, manifest: Callable[..., Path], tmp_path: Path
) -> None:
    """The summary counts its failures with the reason, and the choice stays the same (the count was 0)."""
    path = manifest([0.5, 1.0], [2.0], [1.0])
    score_manifest(path, None, Seconds(), tmp_path / "alone")
    score_manifest(path, None, Seconds() + 0 * SomeOnly(fails_in), tmp_path / "both")
    alone, both = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("alone", "both"))
    name, total = f"SomeOnly(fails_in={fails_in!r})", 4 if count == 3 else 1
    assert both["failed"] == {name: total}
    ((error, number),) = both["errors"].items()
    assert name in error and why in error and number == total
    assert [each for each in both["chosen"] if each["name"] in ("Seconds(), mean", "reward, mean")] == alone[
        "chosen"
    ]
    assert both["utterances"] == alone["utterances"] == {"scored": 3, "failed": 0, "missing": 0}
    text = (tmp_path / "both" / "summary.txt").read_text()
    assert f"failed, by verifier: {name} {total}" in text
    if fails_in == "score":
        assert both["shared"]["utterances"] == 2 and "scored by 2 verifiers: 2 of 3 utterances" in text
        values = {each["name"]: (each["value"], each["n"]) for each in both["shared"]["chosen"]}
        assert values["Seconds(), mean"] == values[f"{name}, mean"] == (1.0, 2)
        assert "shared" in text.split("\n")[0]


@pytest.mark.filterwarnings("ignore:.*has weight 0 and scores nothing")
def test_recordings_on_which_a_verifier_of_weight_0_failed_are_scored_again(
    manifest: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A judge that could not be loaded scores all recordings when the command is run again."""
    path, reward = manifest([0.5], [1.0]), Seconds() + 0 * SomeOnly("load")
    score_manifest(path, None, reward, tmp_path / "out")
    monkeypatch.setattr(SomeOnly, "load", lambda self: None)
    score_manifest(path, None, reward, tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["failed"] == {} and summary["shared"]["utterances"] == 2

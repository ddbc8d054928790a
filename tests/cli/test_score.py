"""`llasa-search score`: the records and the summary of a manifest."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from llasa_search.arrays import Audio
from llasa_search.candidate import Score, Utterance
from llasa_search.cli.score import score_manifest, with_protocol
from llasa_search.errors import InputError
from llasa_search.evaluation.evaluate import Record
from llasa_search.evaluation.summary import summarise
from llasa_search.result import SearchError
from llasa_search.reward.compose import Lexicographic
from llasa_search.verifiers import WER, Pace, Verifier
from llasa_search.verifiers.specification import parse_reward
from tests.helpers.verifiers import Seconds

Noise = Callable[..., Audio]
TEXT = "one two three"


class VoiceSeconds(Seconds):
    needs = frozenset({"voice"})


def records(out: Path) -> list[Record]:
    return [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]


def summary(out: Path) -> Any:
    return json.loads((out / "summary.json").read_text())


def figures(out: Path, column: str) -> dict[str, tuple[Any, int]]:
    return {each["name"]: (each["value"], each["n"]) for each in summary(out)[column]}


def test_bad_and_missing_recordings_are_reported_and_the_others_scored(
    cli: Callable[..., Any], asr_path: Path, tmp_path: Path, noise: Noise
) -> None:
    """A wav that is bad or missing does not end the run, and is counted in the summary."""
    wavs, out = tmp_path / "wavs", tmp_path / "out"
    wavs.mkdir()
    (tmp_path / "meta.lst").write_text(
        "".join(f"{name}|p|p.wav|{TEXT}\n" for name in ("a", "bad", "gone", "b"))
    )
    soundfile.write(wavs / "a.wav", np.zeros(16_000), 16_000)
    soundfile.write(wavs / "b.wav", noise(0.3), 24_000)
    (wavs / "bad.wav").write_bytes(b"RIFF")
    verifiers = ("--verifier", f"WER(model={str(asr_path)!r})=0.5", "--verifier", "pace=0")
    arguments = ("--wavs", wavs, *verifiers, "--protocol", "seed-tts-eval", "--out", out)
    done = cli("score", tmp_path / "meta.lst", *arguments)
    assert done.code == 0 and done.err == "", done.err
    assert done.out == (out / "summary.txt").read_text()
    a, bad, gone, b = records(out)
    name = f"WER(model={str(asr_path)!r}, protocol='seed-tts-eval')"
    assert (bad["best"], bad["recordings"][0]["status"]) == (None, "failed")
    assert "not audio that can be read" in bad["recordings"][0]["error"]
    assert (gone["recordings"][0]["status"], gone["recordings"][0]["scores"]) == ("missing", {})
    assert summary(out)["utterances"] == {"scored": 2, "failed": 1, "missing": 1}
    scores: list[Any] = [each["recordings"][0]["scores"][name] for each in (a, b)]
    assert all(each["value"] == pytest.approx(each["edits"] / 3) and each["detail"] for each in scores)
    edits = sum(each["edits"] for each in scores)
    assert figures(out, "all")[f"{name}, corpus"] == (edits / 6, 2)
    assert figures(out, "all")[f"{name}, mean"] == (pytest.approx(edits / 6), 2)
    settings = summary(out)["settings"]
    assert settings["verifiers"][name] == {"model": str(asr_path), "protocol": "seed-tts-eval"}
    assert {"llasa-search", "openai-whisper", "jiwer"} <= settings["versions"].keys()
    assert "protocol seed-tts-eval" in done.out and "1 failed" not in done.out and "failed 1" in done.out


def test_the_best_of_several_recordings_is_chosen(
    manifest: Callable[..., Path], tmp_path: Path, capsys: Any
) -> None:
    """The summary has figures over the chosen recordings and over all recordings."""
    path = manifest([1.0, 3.0, None], [2.0, 1.0], [None, None])
    assert score_manifest(path, None, Seconds(), tmp_path / "out")
    assert [record["best"] for record in records(tmp_path / "out")] == [1, 0, None]
    assert figures(tmp_path / "out", "chosen")["Seconds(), mean"] == (2.5, 2)
    assert figures(tmp_path / "out", "all")["Seconds(), mean"] == (1.75, 4)
    assert summary(tmp_path / "out")["utterances"] == {"scored": 2, "failed": 0, "missing": 1}
    assert summary(tmp_path / "out")["recordings"] == {"scored": 4, "failed": 0, "missing": 3}
    heading, first, *_ = capsys.readouterr().out.splitlines()
    assert heading.split() == ["measure", "chosen", "n", "all", "n"]
    assert first.split() == ["Seconds(),", "mean", "2.5000", "2", "1.7500", "4"]


def test_a_reward_compares_recordings_of_the_same_utterance_only(
    manifest: Callable[..., Path], tmp_path: Path
) -> None:
    reward = Lexicographic(Pace(), Seconds())
    assert score_manifest(manifest([0.3, None, 0.9], [0.5, 0.4]), None, reward, tmp_path / "out")
    assert [record["best"] for record in records(tmp_path / "out")] == [2, 0]


def test_the_summary_has_corpus_and_mean_error_rates() -> None:
    """A WER of exactly 0.5 is not in the share above 0.5."""

    def record(edits: int, length: int) -> Record:
        score: Any = {"value": edits / length, "detail": "", "status": "scored"}
        score |= {"edits": edits, "length": length}
        recording: Any = {"wav": "", "status": "scored", "error": "", "seconds": 1.0, "reward": 0.5}
        recording["scores"] = {"WER()": score}
        return Record(
            id="", text="", language="en", prompt=None, fingerprint="", best=0, recordings=[recording]
        )

    found = summarise([record(1, 2), record(0, 6), record(3, 2)], 0, {})["chosen"]
    assert [(each["name"], each["value"]) for each in found] == [
        ("WER(), corpus", 0.4),
        ("WER(), mean", pytest.approx(2 / 3)),
        ("WER(), share above 0.5", pytest.approx(1 / 3)),
        ("reward, mean", 0.5),
    ]


def test_entries_share_batches(manifest: Callable[..., Path], tmp_path: Path) -> None:
    """Verifiers score recordings of several utterances in one batch."""
    verifier = Seconds()
    score_manifest(manifest(*[[0.1]] * 20, [0.1] * 20), None, verifier, tmp_path / "out")
    assert verifier.batch_sizes == [16, 16, 8]


def test_a_run_resumes_with_new_and_changed_files(
    manifest: Callable[..., Path], tmp_path: Path, noise: Noise
) -> None:
    """Only files that were missing or have changed are scored; damaged lines are ignored."""
    path, out = manifest([0.1], [0.2], [None], [0.4]), tmp_path / "out"
    score_manifest(path, None, Seconds(), out)
    assert summary(out)["utterances"] == {"scored": 3, "failed": 0, "missing": 1}
    soundfile.write(tmp_path / "0-0.wav", noise(0.5), 16_000)
    soundfile.write(tmp_path / "2-0.wav", noise(0.3), 16_000)
    with (out / "scores.jsonl").open("a") as lines:
        lines.write('{}\n[]\n{"id": "3", "recordings": 1}\n{"id": "3", "recor')
    verifier = Seconds()
    score_manifest(path, None, verifier, out)
    assert verifier.batch_sizes == [2]
    found = {record["id"]: record["recordings"][0]["scores"]["Seconds()"]["value"] for record in records(out)}
    assert found == {"0": 0.5, "1": 0.2, "2": 0.3, "3": 0.4}
    assert figures(out, "all")["Seconds(), mean"] == (pytest.approx(0.35), 4)


def test_damaged_settings_are_refused(manifest: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for settings in ("[]", "3", "{"):
        (tmp_path / "out" / "settings.json").write_text(settings)
        with pytest.raises(InputError, match="give another folder"):
            score_manifest(manifest([0.1]), None, Seconds(), tmp_path / "out")


def test_failed_recordings_are_scored_again(manifest: Callable[..., Path], tmp_path: Path) -> None:

    class Shaky(Seconds):
        broken = True

        def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
            if self.broken and any(utterance.seconds > 0.15 for utterance in utterances):
                raise MemoryError("no room")
            return super().score(utterances)

    path, out = manifest([0.1], [0.2]), tmp_path / "out"
    score_manifest(path, None, Shaky(), out)
    assert [record["recordings"][0]["error"] for record in records(out)] == [
        "",
        "Shaky(): MemoryError: no room",
    ]
    verifier = Shaky()
    verifier.broken = False
    score_manifest(path, None, verifier, out)
    assert verifier.batch_sizes == [1] and summary(out)["utterances"]["scored"] == 2


def test_ctrl_c_keeps_what_was_scored(
    cli: Callable[..., Any], manifest: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The summary counts pending utterances, and the same command resumes with the same result."""

    def interrupted(self: Pace, utterances: Sequence[Utterance]) -> Sequence[Score]:
        if utterances[0].seconds > 0.25:
            raise KeyboardInterrupt
        return original(self, utterances)

    original = Pace.score
    path, out = manifest(*[[0.2]] * 16, *[[0.3]] * 4), tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(Pace, "score", interrupted)
        stopped = cli("score", path, "--verifier", "pace", "--out", out)
    assert stopped.code == 130 and stopped.err.startswith("interrupted: ") and "pending 4" in stopped.out
    assert len(records(out)) == 16
    done = cli("score", path, "--verifier", "pace", "--out", out)
    assert done.code == 0 and "pending" not in done.out
    cli("score", path, "--verifier", "pace", "--out", tmp_path / "again")
    assert records(out) == records(tmp_path / "again")


def test_an_unreadable_prompt_fails_only_the_verifiers_that_need_it(
    manifest: Callable[..., Path], tmp_path: Path
) -> None:
    path = manifest([0.2], prompt="absent.wav")
    assert score_manifest(path, None, Seconds() + 0 * VoiceSeconds(), tmp_path / "out")
    (recording,) = records(tmp_path / "out")[0]["recordings"]
    score = recording["scores"]["VoiceSeconds()"]
    assert score["status"] == "failed" and "absent.wav does not exist" in score["detail"]
    assert recording["status"] == "scored"
    assert figures(tmp_path / "out", "all")["VoiceSeconds(), mean"] == (None, 0)


def test_the_voice_of_a_line_reaches_the_verifier(
    manifest: Callable[..., Path], tmp_path: Path, noise: Noise
) -> None:
    soundfile.write(tmp_path / "voice.wav", noise(0.7), 22_050)

    def voice_seconds(utterance: Utterance) -> float:
        assert utterance.voice is not None
        return utterance.voice.seconds

    score_manifest(
        manifest([0.2], prompt="voice.wav"), None, Verifier.from_function(voice_seconds), tmp_path / "out"
    )
    assert figures(tmp_path / "out", "all")["voice_seconds(), mean"][0] == pytest.approx(
        0.7 * 16 / 22.05, abs=0.01
    )


def test_a_path_that_is_not_a_recording_fails_alone(manifest: Callable[..., Path], tmp_path: Path) -> None:
    """A FIFO, or a name that is not UTF-8, fails with a reason (it blocked or ended the run)."""
    os.makedirs(os.fsencode(tmp_path) + b"/caf\xe9")
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    os.rename(manifest([0.2], [None], [None]), folder / "manifest.jsonl")
    os.rename(tmp_path / "0-0.wav", folder / "0-0.wav")
    os.mkfifo(folder / "1-0.wav")
    (folder / "2-0.wav").mkdir()
    assert score_manifest(folder / "manifest.jsonl", None, Seconds(), folder / "out")
    assert summary(folder / "out")["utterances"] == {"scored": 1, "failed": 2, "missing": 0}
    errors = [record["recordings"][0]["error"] for record in records(folder / "out")]
    assert errors[0] == "" and all("is not a file" in error for error in errors[1:])
    verifier = Seconds()
    score_manifest(folder / "manifest.jsonl", None, verifier, folder / "out")
    assert verifier.batch_sizes == []  # resumed


def test_nothing_scored_is_an_error(manifest: Callable[..., Path], tmp_path: Path) -> None:
    """The summary is also written."""
    with pytest.raises(SearchError, match=r"0-0\.wav: there is no such file"):
        score_manifest(manifest([None]), None, Seconds(), tmp_path / "out")
    assert summary(tmp_path / "out")["utterances"]["missing"] == 1


def test_other_settings_are_refused(manifest: Callable[..., Path], tmp_path: Path) -> None:
    """One folder does not mix the scores of two rewards or of two manifests."""
    path, out = manifest([0.2]), tmp_path / "out"
    score_manifest(path, None, Seconds(), out)
    before = (out / "scores.jsonl").read_text()
    with pytest.raises(InputError, match="other reward and verifiers: give another folder"):
        score_manifest(path, None, Pace(), out)
    os.rename(path, tmp_path / "other.jsonl")
    with pytest.raises(InputError, match="other manifest"):
        score_manifest(tmp_path / "other.jsonl", None, Seconds(), out)
    assert (out / "scores.jsonl").read_text() == before


def test_bad_arguments_are_refused_before_anything_is_written(
    cli: Callable[..., Any], manifest: Callable[..., Path], tmp_path: Path
) -> None:
    path = manifest([0.2])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").touch()
    (tmp_path / "broken.lst").write_text("a\n")
    for arguments, complaint in [
        ((path, "--verifier", "speaker"), "names a prompt"),
        ((path, "--verifier", "lm_likelihood"), "which recordings do not have"),
        ((path, "--protocol", "seed"), "'seed'"),
        ((path, "--verifier", "pace", "--protocol", "whisper"), "nothing in Pace() compares text"),
        ((tmp_path / "broken.lst", "--wavs", tmp_path), "broken.lst, line 1"),
        ((path, "--verifier", "pace", "--out", tmp_path / "full"), "give a new folder"),
    ]:
        done = cli("score", "--out", tmp_path / "out", *arguments)
        assert done.code == 2 and complaint in done.err and done.err.count("\n") == 1, done
    assert not (tmp_path / "out").exists()


def test_the_protocol_reaches_every_wer() -> None:
    """The protocol of a WER in a gate changes too."""
    reward = parse_reward("Lexicographic(0.5 * pace + 0.5 * wer, pace.given(WER(model='a.pt') <= 0.05))")
    assert str(with_protocol(reward, "seed-tts-eval")) == (
        "Lexicographic(0.5 * Pace() + 0.5 * WER(protocol='seed-tts-eval'), "
        "Pace().given(WER(model='a.pt', protocol='seed-tts-eval') <= 0.05))"
    )
    assert str(with_protocol(WER(protocol="seed-tts-eval"), "whisper")) == "WER()"


def test_a_terminal_gets_a_progress_bar(
    manifest: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    score_manifest(manifest(*[[0.1]] * 17), None, Seconds(), tmp_path / "out")
    assert "/17" in terminal.getvalue()

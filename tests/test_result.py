"""Results: written completely or not at all, read back unchanged, and reranked with stored scores."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from llasa_search import search
from llasa_search.budget import Ledger
from llasa_search.candidate import Candidate, Score, Utterance
from llasa_search.errors import InputError
from llasa_search.result import SearchError, SearchResult
from llasa_search.reward.compose import Lexicographic
from llasa_search.storage.files import new_folder
from llasa_search.verifiers import Verifier
from llasa_search.voice import Voice

Make = Callable[[int], list[Candidate]]


class Loud(Verifier):
    """Refuses to score: every value must come from the stored run."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        raise AssertionError("scored twice")


class Quiet(Verifier):
    """Scores the mean square; lower is better."""

    scale = (0.1, 0.0)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [Score(float(np.square(utterance.audio).mean()), "said") for utterance in utterances]


@pytest.fixture
def result(candidates: Make) -> SearchResult:
    made = candidates(3)
    for candidate, value in zip(made, (0.25, 0.75, math.nan), strict=True):
        status = "failed" if math.isnan(value) else "scored"
        candidate.scores["Loud()"] = Score(value, "what was\nsaid", status)  # type: ignore[arg-type]
        candidate.reward = value
    assert made[0].audio is not None
    return SearchResult(
        text="one two three",
        language="en",
        voice=Voice(made[0].audio, "a voice", sample_rate=16_000, name="someone"),
        candidates=made,
        sample_rate=16_000,
        reward="Loud()",
        ledger=Ledger(row_steps=75, verifier_seconds={"Loud()": 0.5}),
        stopped_by="candidates",
        settings={"model": "tiny", "seed": 0},
    )


def test_candidates_are_ranked_by_reward(result: SearchResult) -> None:
    assert [candidate.index for candidate in result.ranked] == [1, 0, 2]
    assert result.best.index == 1


def test_save_is_16_bit_pcm(result: SearchResult, tmp_path: Path) -> None:
    result.save(tmp_path / "a.wav")
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.subtype, info.samplerate, info.channels) == ("PCM_16", 16_000, 1)
    np.testing.assert_allclose(soundfile.read(tmp_path / "a.wav")[0], result.audio, atol=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_loud_speech_is_clipped_not_wrapped(result: SearchResult, tmp_path: Path) -> None:
    """Samples outside [-1, 1] are clipped, without integer overflow."""
    result.best.audio = np.array([1.5, -1.5, 0.0], np.float32)
    result.save(tmp_path / "a.wav")
    written = soundfile.read(tmp_path / "a.wav")[0]
    assert written[0] > 0.99 and written[1] < -0.99


def test_run_folder_reads_back_the_same(result: SearchResult, tmp_path: Path) -> None:
    """All fields and arrays, including NaN, are equal after loading, and run.json is valid JSON."""
    result.save_run(tmp_path / "run")
    loaded = SearchResult.load_run(tmp_path / "run")
    for name in ("text", "language", "voice", "sample_rate", "reward", "ledger", "stopped_by", "settings"):
        assert getattr(loaded, name) == getattr(result, name), name
    assert loaded.voice is not None and loaded.voice.name == "someone"
    for before, after in zip(result.candidates, loaded.candidates, strict=True):
        for array in ("codes", "logprobs", "audio"):
            np.testing.assert_array_equal(getattr(after, array), getattr(before, array))
            assert getattr(after, array).dtype == getattr(before, array).dtype
        assert repr(after.scores) == repr(before.scores) and repr(after.reward) == repr(before.reward)
        assert (after.index, after.key, after.text, after.finish_reason) == (
            before.index,
            before.key,
            before.text,
            before.finish_reason,
        )
    json.loads((tmp_path / "run" / "run.json").read_text(), parse_constant=lambda name: pytest.fail(name))


def test_run_folder_without_a_voice(result: SearchResult, tmp_path: Path) -> None:
    from dataclasses import replace

    replace(result, voice=None).save_run(tmp_path / "run")
    assert SearchResult.load_run(tmp_path / "run").voice is None


def test_run_folder_does_not_overwrite(result: SearchResult, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="exists"):
        result.save_run(tmp_path / "run")
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """An exception while a folder is written leaves neither the folder nor a temporary one."""
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "run") as new:
        (new / "run.json").write_text("{")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": 99}', '{"format": 1}'])
def test_a_folder_that_is_not_a_run_folder_is_refused(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError):
        SearchResult.load_run(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("arrays.npz", b"PK cut"),
        ("candidate_0.wav", b"RIFF cut"),
        ("run.json", b"\xff\xfe"),
        ("run.json", b'{"format": 1, "candidates": [{"index": 0, "scores": null}]}'),
        ("run.json", b"[]"),
    ],
)
def test_a_damaged_run_folder_is_refused(
    result: SearchResult, tmp_path: Path, name: str, content: bytes
) -> None:
    """A traceback of whatever library met the damage first."""
    run = result.save_run(tmp_path / "run")
    (run / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name} is (damaged|not )"):
        SearchResult.load_run(run)


def test_the_error_names_a_missing_run_folder(tmp_path: Path) -> None:
    """The error names the missing run.json."""
    with pytest.raises(InputError, match=r"nowhere is not a run folder: .*run\.json does not exist"):
        SearchResult.load_run(tmp_path / "nowhere")


def test_rerank_computes_missing_scores_only(result: SearchResult, tmp_path: Path) -> None:
    """Stored scores are used, and the original result is unchanged."""
    result.save_run(tmp_path / "run")
    loaded = SearchResult.load_run(tmp_path / "run")
    again = loaded.rerank(0.2 * Loud() + 0.8 * Quiet())
    assert again.ledger.verifier_calls == {"Quiet()": 3}
    assert "Quiet()" not in loaded.candidates[0].scores and loaded.best.index == 1
    assert again.reward == "0.2 * Loud() + 0.8 * Quiet()"
    assert again.rerank(Loud()).best.index == 1


def test_rerank_takes_results_only() -> None:
    """A folder's name in place of its result is refused with what to do."""
    with pytest.raises(InputError, match=r"SearchResult\.load_run"):
        search.rerank("run", "wer")  # type: ignore[arg-type]


def test_rerank_skips_candidates_without_audio(result: SearchResult) -> None:
    """Candidates that were never decoded have no reward, and the others are ranked."""
    result.candidates[0].audio = None
    again = result.rerank(Quiet())
    assert again.candidates[0].scores["Quiet()"].status == "skipped"
    assert math.isnan(again.candidates[0].reward) and again.best.index != 0


def test_rerank_by_a_function_does_not_use_scores_of_another(result: SearchResult) -> None:
    """Two functions with the same name are both called."""
    first = result.rerank(lambda utterance: float(np.abs(utterance.audio).max() > 2))
    again = first.rerank(lambda utterance: 0.25)
    assert [candidate.reward for candidate in again.candidates] == [0.25] * 3


def test_rerank_without_any_reward_raises_an_error(result: SearchResult) -> None:
    for candidate in result.candidates:
        candidate.scores["Loud()"] = Score(math.nan, "broken", "failed")
    with pytest.raises(SearchError, match="broken"):
        result.rerank(Loud())


def test_the_table_has_ranks_values_and_details(result: SearchResult) -> None:
    lines = result.table().splitlines()
    assert lines[0].split() == ["rank", "index", "seconds", "finish", "Loud()", "reward", "detail"]
    assert lines[1].split() == ["1", "1", "0.50", "stop", "0.750", "0.750", "what", "was", "said"]
    assert lines[3].split()[:6] == ["-", "2", "0.50", "stop", "failed", "-"]


def test_equal_candidates_share_their_rank(result: SearchResult) -> None:
    """The table has the details only of verifiers in the reward."""
    lines = result.rerank(Verifier.from_function(lambda utterance: 0.5, name="half")).table().splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["1", "1", "1"]
    assert "what was said" not in "".join(lines)


class Silent(Verifier):
    """Abstains on every utterance."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [Score(math.nan, "not mine", "abstained") for _ in utterances]


def test_a_verifier_that_always_abstains_causes_a_warning(result: SearchResult) -> None:
    """The warning has the verifier and its reason, and the other verifiers choose."""
    with pytest.warns(UserWarning, match=r"Silent\(\) has abstained on every candidate: not mine"):
        chosen = result.rerank(0.5 * Loud() + 0.5 * Silent())
    assert chosen.best.index == result.best.index


def test_the_table_omits_a_reward_that_compares_candidates(result: SearchResult) -> None:
    """Such a reward says no more than the rank: a single candidate always has 1."""
    heading = result.rerank(Lexicographic(Loud(), Quiet())).table().splitlines()[0].split()
    assert heading == ["rank", "index", "seconds", "finish", "Loud()", "Quiet()", "detail"]


def test_a_result_is_printed_in_a_line(result: SearchResult) -> None:
    """The printed form does not list the codes."""
    assert len(repr(result)) < 300 and "best: Candidate(1" in repr(result)


def test_the_table_has_the_verifiers_in_the_order_of_the_reward(result: SearchResult) -> None:
    """The columns do not depend on the order in which the verifiers ran."""
    columns = result.rerank(0.2 * Quiet() + 0.8 * Loud()).table().splitlines()[0].split()
    assert columns[4:6] == ["Quiet()", "Loud()"]

"""A study: its texts, what it keeps, and that a killed study resumes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from llasa_search import Budget, InputError, SearchError, SearchResult
from llasa_search.candidate import Score, Utterance
from llasa_search.errors import LlasaSearchError
from llasa_search.study import Arm, Case, Study, read_cases, usable_cases
from llasa_search.study.digests import fingerprint
from llasa_search.study.plan import Row
from llasa_search.study.processes import locked
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt, Voice
from tests.helpers.verifiers import Frames, Interrupting

CASES = [
    Case("one", "one", "en", None, "one"),
    Case("two", "two coins", "en", None, "two coins"),
]


def _without_times(rows: list[Row]) -> str:
    return json.dumps([{**row, "seconds": {}} for row in rows])


@pytest.fixture(scope="module")
def study(pair_path: Path, asr_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("study")
    return Study(folder, {"words": f"WER(model={str(asr_path)!r})"}, model=str(pair_path))


@pytest.fixture(scope="module")
def arms(asr_path: Path) -> list[Arm]:
    wer = f"WER(model={str(asr_path)!r})"
    return [
        Arm("pool", "best_of_n:n=3", f"0.5 * {wer} + 0.5 * lm_likelihood", pool=True),
        Arm("rejection", "rejection:n=4,step_tokens=10", "lm_likelihood", Budget(tokens=400), seeds=(0, 1)),
    ]


@pytest.mark.filterwarnings("ignore:.*flatter the search")
def test_rows_hold_every_candidate_of_a_pool_and_the_chosen_one_of_a_search(
    study: Study, arms: list[Arm]
) -> None:
    """Every candidate of a pool is scored, because small subsets choose among the worse ones."""
    rows = study.rows(CASES, arms)
    pool = [row for row in rows if row["arm"] == "pool"]
    assert [(row["case"], row["index"]) for row in pool] == [(c, i) for c in ("one", "two") for i in range(3)]
    assert all(row["reward"] is not None for row in pool)
    assert sum(row["chosen"] for row in pool) == 2
    others = [row for row in rows if row["arm"] == "rejection"]
    assert [(row["case"], row["seed"]) for row in others] == [("one", 0), ("one", 1), ("two", 0), ("two", 1)]
    assert all(row["chosen"] for row in others)
    assert all({"edits", "length"} <= set(row["judges"]["words"]) for row in rows)
    assert all(row["row_steps"] >= row["tokens"] and row["flops"]["decode"] for row in rows)
    for case in ("one", "two"):
        (run,) = (study.folder / "pool").glob(f"{case}-*")
        result = SearchResult.load_run(run)
        audios = [candidate.audio for candidate in result.candidates]
        lengths = [len(audio) / result.sample_rate for audio in audios if audio is not None]
        scoring = sum(verifier.flops(each) for verifier in arms[0].all_verifiers() for each in lengths)
        (cost,) = {row["flops"]["verifiers"] for row in pool if row["case"] == case}
        assert cost == pytest.approx(scoring)


@pytest.mark.filterwarnings("ignore:.*flatter the search")
def test_a_killed_study_resumes(study: Study, arms: list[Arm]) -> None:
    """Only missing searches and judgements are made, and the rows are the same."""
    rows = study.rows(CASES, arms)
    runs = sorted(study.folder.rglob("run.json"))
    made = {run: run.stat().st_mtime_ns for run in runs}
    removed = runs[0].parent
    for file in removed.iterdir():
        file.unlink()
    removed.rmdir()
    next(study.folder.glob("rejection/*/judged-*.json")).unlink()
    assert _without_times(study.rows(CASES, arms)) == _without_times(rows)
    after = {run: run.stat().st_mtime_ns for run in sorted(study.folder.rglob("run.json"))}
    assert [run for run in runs if after[run] != made[run]] == [runs[0]]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*flatter the search")
def test_processes_change_nothing(study: Study, arms: list[Arm], tmp_path: Path, pair_path: Path) -> None:
    """Two processes give the same rows in the same order as one."""
    judges = dict(study.judges)
    several = Study(tmp_path, judges, model=str(pair_path), processes=2)
    assert _without_times(several.rows(CASES, arms[1:])) == _without_times(study.rows(CASES, arms[1:]))


def test_a_judge_of_the_searching_family_warns(study: Study, asr_path: Path) -> None:
    """A judge of the searching verifier's model family gives a warning."""
    arm = Arm("same family", verifiers=f"WER(model={str(asr_path)!r})")
    with pytest.warns(UserWarning, match="flatter"):
        study.rows(CASES[:1], [arm])


@pytest.mark.filterwarnings("ignore:.*flatter the search")
def test_another_spoken_text_is_judged_again(study: Study, arms: list[Arm]) -> None:
    """A judgement belongs to the spoken text; an arm's name becomes a safe folder name."""
    arm = replace(arms[1], name="a/../b: 50%", seeds=(0,))
    (before,) = study.rows(CASES[:1], [arm])
    (after,) = study.rows([replace(CASES[0], spoken="a red coin found")], [arm])
    assert before["judges"]["words"]["length"] == 1
    assert after["judges"]["words"]["length"] == 4
    assert [path.name for path in study.folder.glob("a*")] == ["a_.._b_50_"]


@pytest.mark.filterwarnings("ignore:.*flatter the search")
def test_a_case_without_the_voice_that_an_arm_needs_is_refused_before_any_search(study: Study) -> None:
    """The error names case and arm before the first search."""
    arms = [Arm("plain", verifiers="lm_likelihood"), Arm("steered", "beam_short:prefix_verifiers=speaker")]
    with pytest.raises(InputError, match=r"case one, arm 'steered'.*reference voice"):
        study.rows(CASES, arms)
    assert not (study.folder / "plain").exists()


@pytest.mark.filterwarnings("ignore:.*flatter the search")
def test_a_failed_search_does_not_stop_the_others(study: Study) -> None:
    """All other searches are made and kept, and the error lists the failed ones."""
    cases = [Case("long", "word " * 3000, "en", None, "word"), *CASES]
    arm = Arm("two", "best_of_n:n=2", "lm_likelihood")
    with pytest.raises(
        SearchError, match=r"1 of 3 searches have no result.*\n- case long, arm 'two', seed 0: "
    ):
        study.rows(cases, [arm])
    assert sorted(run.name.split("-")[0] for run in (study.folder / "two").iterdir()) == ["one", "two"]


def test_ctrl_c_keeps_no_unfinished_search(study: Study) -> None:
    """An interrupted search is not stored, so the study runs it again."""
    cut = Arm("cut", "best_of_n:n=3", Interrupting())  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        study.rows(CASES, [cut])
    assert not list(study.folder.glob("cut/*/run.json"))


def test_an_id_is_not_a_path(study: Study, arms: list[Arm]) -> None:
    """Ids with ".." do not write outside the study's folder."""
    case = Case("../../up/one", "one", "en", None, "one")
    (row,) = study.rows([case], [Arm("ids", "best_of_n:n=1", "lm_likelihood")])
    assert row["case"] == case.id and len(list(study.folder.glob("ids/*/run.json"))) == 1


def test_a_plan_without_texts_or_usable_judges_is_refused(study: Study, arms: list[Arm]) -> None:
    """The error comes before the first search."""
    with pytest.raises(InputError, match="no texts"):
        study.rows([], arms)
    without_voices = Study(study.folder, {"voice": "resemblyzer_similarity"}, model=study.model)
    with pytest.raises(InputError, match=r"judge 'voice' cannot score any of the cases: .*reference voice"):
        without_voices.rows(CASES, arms)
    with pytest.raises(InputError, match="processes=0"):
        Study(study.folder, {}, processes=0)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_missing_checkpoint_is_named_before_any_search(study: Study, processes: int) -> None:
    """Models of all arms and judges are loaded before the first search."""
    arms = [Arm("plain", verifiers="lm_likelihood"), Arm("steered", verifiers="speaker(model='gone.pth')")]
    cases = [Case("prompted", "one", "en", Voice.builtin("slt"), "one")]
    folder = study.folder / "unloadable"
    with pytest.raises(LlasaSearchError, match=r"^arm 'steered': .*gone\.pth"):
        Study(folder, {}, model=study.model, processes=processes).rows(cases, arms)
    with pytest.raises(LlasaSearchError, match=r"^judge 'words': .*gone\.pt"):
        Study(folder, {"words": "WER(model='gone.pt')"}, model=study.model).rows(cases, arms[:1])
    assert not folder.exists()


def test_usable_cases_leaves_out_texts_without_a_needed_voice() -> None:
    """A fifth of a built-in set has no voice prompt; a speaker verifier can use the rest."""
    cases = read_cases("dev")
    usable = usable_cases(cases, [Arm("a"), Arm("b", verifiers="speaker")])
    assert usable == [case for case in cases if case.voice is not None] and 0 < len(usable) < len(cases)
    assert usable_cases(cases, [Arm("a")]) == cases
    with pytest.raises(InputError, match=r"no text can be used: .*reference voice"):
        usable_cases(CASES, [Arm("b", verifiers="speaker")])


def test_a_judge_scores_the_cases_that_it_can(study: Study) -> None:
    """A speaker judge is allowed if some texts have a voice prompt."""
    cases = [CASES[0], Case("prompted", "one", "en", Voice.builtin("slt"), "one")]
    with_voice = Study(study.folder, {"voice": "speaker"}, model=study.model)
    rows = with_voice.rows(cases, [Arm("both", "best_of_n:n=1", "lm_likelihood")])
    assert [row["judges"]["voice"]["status"] == "scored" for row in rows] == [False, True]


def test_failed_judgements_are_not_kept(study: Study, tmp_path: Path) -> None:
    """A failed judgement is repeated; a function's scores are never kept, as its name does not identify it."""
    arm, calls = Arm("judged", "best_of_n:n=1", "lm_likelihood"), []

    def fails_once(utterance: Utterance) -> float:
        calls.append(utterance.seconds)
        if len(calls) == 1:
            raise MemoryError
        return 0.5

    judges = {"function": Verifier.from_function(fails_once)}
    again = Study(tmp_path, judges, model=study.model)
    assert [row["judges"]["function"]["status"] for row in again.rows(CASES[:1], [arm])] == ["failed"]
    assert [row["judges"]["function"]["value"] for row in again.rows(CASES[:1], [arm])] == [0.5]
    again.judges = (("function", Verifier.from_function(lambda utterance: 0.25, name="fails_once")),)
    assert [row["judges"]["function"]["value"] for row in again.rows(CASES[:1], [arm])] == [0.25]


def test_a_judge_may_compare_with_the_resynthesised_voice(study: Study) -> None:
    """A judge that compares with the resynthesis gets it, as a searching verifier does."""
    case = Case("resynthesised", "one", "en", Voice.builtin("slt"), "one")
    judges = {"sim_r": "SpeakerSimilarity(reference='resynthesis')"}
    (row,) = Study(study.folder, judges, model=study.model).rows(
        [case], [Arm("plain", "best_of_n:n=1", "pace")]
    )
    assert row["judges"]["sim_r"]["status"] == "scored"


def test_costs_do_not_depend_on_earlier_searches(study: Study, asr_path: Path) -> None:
    """FLOPs are the same whether a recogniser has scored the same speech before or not."""
    wer = f"WER(model={str(asr_path)!r})"
    arms = [Arm(name, "best_of_n:n=2", wer, pool=True) for name in ("first", "again")]
    found = study.by_arm(CASES[:1], arms)
    assert found["first"][0]["flops"] == found["again"][0]["flops"]


def test_rows_by_arm(study: Study, arms: list[Arm]) -> None:
    """Every arm has its own rows, in the order given."""
    found = study.by_arm(CASES[:1], arms)
    assert list(found) == ["pool", "rejection"]
    assert all(row["arm"] == name for name, rows in found.items() for row in rows)
    assert [len(rows) for rows in found.values()] == [3, 2]


def test_names_must_differ(study: Study) -> None:
    """Two arms or cases of one name would share a folder and a line of a table."""
    with pytest.raises(InputError, match="two arms share a name"):
        study.rows(CASES, [Arm("a"), Arm("a")])
    with pytest.raises(InputError, match="two cases share a name"):
        study.rows([CASES[0], CASES[0]], [Arm("a")])


def test_arms_are_validated_when_made() -> None:
    """A misspelt strategy or reward is an error before anything runs."""
    with pytest.raises(InputError, match="did you mean 'beam'"):
        Arm("a", "baem")
    with pytest.raises(InputError, match="did you mean 'wer'"):
        Arm("a", verifiers="wre")
    for seeds in ((), (0, 0)):
        with pytest.raises(InputError, match="at least one, and each once"):
            Arm("a", seeds=seeds)
    for strategy in ("rejection:n=4", "best_of_n:stop_at=wer<=0"):
        with pytest.raises(InputError, match="must be independent"):
            Arm("a", strategy, pool=True)


def test_checkpoints_are_told_apart_by_their_content(tmp_path: Path) -> None:
    """A changed checkpoint changes the fingerprint, so old searches are not reused."""
    (tmp_path / "model.pt").write_bytes(b"1")
    before = fingerprint(str(tmp_path), "owner/name")
    fingerprint.cache_clear()
    (tmp_path / "model.pt").write_bytes(b"2")
    after = fingerprint(str(tmp_path), "owner/name")
    assert after != before
    fingerprint.cache_clear()
    (tmp_path / "README.md").write_text("what was measured")
    assert fingerprint(str(tmp_path), "owner/name") == after


def test_texts_of_any_source(tmp_path: Path) -> None:
    """Texts can come from a built-in set, a `.txt` file, a `meta.lst` or a list."""
    (tmp_path / "texts.txt").write_text("One coin.\n\nTwo coins.\n")
    assert [case.text for case in read_cases(tmp_path / "texts.txt")] == ["One coin.", "Two coins."]
    assert [case.language for case in read_cases(["One coin.", "今天天气很好"])] == ["en", "zh"]
    (tmp_path / "meta.lst").write_text("a|||One coin.\nb|||Two coins.\n")
    assert [case.id for case in read_cases(tmp_path / "meta.lst", limit=1)] == ["a"]
    built_in = read_cases("hard", 7)
    assert any(case.voice is None for case in read_cases("standard"))
    assert [case.id for case in built_in] == [f"hard-{i:03d}" for i in range(7)]
    assert all(not any(map(str.isdigit, case.spoken)) for case in built_in)


def test_a_broken_line_of_a_plain_list_is_named(tmp_path: Path) -> None:
    """The error names the file and the line."""
    path = tmp_path / "texts.txt"
    path.write_text("\n\n")
    with pytest.raises(InputError, match=r"texts\.txt is empty"):
        read_cases(path)
    (tmp_path / "meta.lst").write_text("a|One.|gone.wav|One coin.\n")
    with pytest.raises(InputError, match=r"meta\.lst, a: .*gone\.wav"):
        read_cases(tmp_path / "meta.lst")
    path.write_bytes(b"One coin.\n\n...\n")
    with pytest.raises(InputError, match=r"texts\.txt, line 3, '\.\.\.' has nothing to say"):
        read_cases(path)
    path.write_bytes(b"One coin.\nTwo\xff coins.\n")
    with pytest.raises(InputError, match=r"texts\.txt, line 2 is not text in UTF-8"):
        read_cases(path)
    with pytest.raises(InputError, match="text 1 is empty"):
        read_cases(["One coin.", ""])


@pytest.mark.parametrize(
    ("source", "message"),
    [("standrad", "did you mean 'standard'"), ("nowhere/meta.lst", "no set or file")],
)
def test_an_unknown_source_is_refused(source: str, message: str) -> None:
    """The error suggests a set with a similar name."""
    with pytest.raises(InputError, match=message):
        read_cases(source)


class Refusing(Frames):
    """Refuses texts of two words."""

    def check(self, prompt: Prompt) -> None:
        if " " in prompt.text:
            raise RuntimeError("too many words")


def test_a_judge_that_refuses_a_text_fails_on_it(study: Study, tmp_path: Path) -> None:
    """The study goes on, and the rows say why."""
    arm = Arm("judged", "best_of_n:n=1", "lm_likelihood")
    rows = Study(tmp_path, {"frames": Refusing()}, model=study.model).rows(CASES, [arm])
    assert [row["judges"]["frames"]["status"] for row in rows] == ["scored", "failed"]
    assert "too many words" in rows[1]["judges"]["frames"]["detail"]


class Appearing(Frames):
    """While it scores, the same search is stored by another process."""

    stored: ClassVar[Path | None] = None
    folder: ClassVar[Path | None] = None

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        if self.stored is not None and self.folder is not None and not (self.folder / "arm").exists():
            shutil.copytree(self.stored / "arm", self.folder / "arm")
        return super().score(utterances)


def test_a_search_that_has_been_stored_meanwhile_is_loaded(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended the study, because the folder exists."""
    arm = Arm("arm", "best_of_n:n=2", Appearing())  # type: ignore[arg-type]
    first = Study(tmp_path / "first", {}, model=study.model).rows(CASES[:1], [arm])
    monkeypatch.setattr(Appearing, "stored", tmp_path / "first")
    monkeypatch.setattr(Appearing, "folder", tmp_path / "second")
    second = Study(tmp_path / "second", {}, model=study.model).rows(CASES[:1], [arm])
    assert second == first and (tmp_path / "second" / "arm").exists()


def test_two_studies_in_one_folder_are_refused(study: Study, tmp_path: Path) -> None:
    """One line, before a search is run."""
    arm = Arm("arm", "best_of_n:n=1", "lm_likelihood")
    with locked(tmp_path), pytest.raises(InputError, match="another study is running in"):
        Study(tmp_path, {}, model=study.model).rows(CASES[:1], [arm])
    assert not (tmp_path / "arm").exists()


KILLED = """
import sys
from llasa_search.study import Arm, Case, Study

if __name__ == "__main__":
    cases = [Case(str(i), "one coin", "en", None, "one coin") for i in range(8)]
    Study("runs", {}, model=sys.argv[1], processes=2).rows(cases, [Arm("arm", "best_of_n:n=2", "lm_likelihood")])
"""


@pytest.mark.slow
def test_a_study_whose_process_was_killed_resumes_at_once(pair_path: Path, tmp_path: Path) -> None:
    """Its processes stayed, and a resumed study failed because a search exists."""
    (tmp_path / "script.py").write_text(KILLED)
    command = [sys.executable, "-W", "ignore", "script.py", str(pair_path)]
    started = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("runs/arm/*/run.json")):
        assert started.poll() is None
        time.sleep(0.05)
    workers = psutil.Process(started.pid).children(recursive=True)
    started.kill()
    started.wait(30)
    cases = [Case(str(i), "one coin", "en", None, "one coin") for i in range(8)]
    arm = Arm("arm", "best_of_n:n=2", "lm_likelihood")
    rows = Study(tmp_path / "runs", {}, model=str(pair_path)).rows(cases, [arm])
    assert [row["case"] for row in rows] == [case.id for case in cases]
    assert not psutil.wait_procs(workers, timeout=20)[1]

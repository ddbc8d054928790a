"""Runs every arm of a study on every case and stores each search and score, so that a killed study resumes."""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from llasa_search.audio import SAMPLE_RATE, read_speech
from llasa_search.candidate import Candidate, recorded
from llasa_search.errors import InputError, LlasaSearchError, warn
from llasa_search.request import with_resynthesis
from llasa_search.result import SearchError, SearchResult
from llasa_search.reward.base import Reward
from llasa_search.scoring.families import warn_same_family
from llasa_search.scoring.loading import load_verifiers, place
from llasa_search.scoring.score_record import ScoreRecord, score_to_record
from llasa_search.storage.run_schema import DamagedFile
from llasa_search.study.cases import Case
from llasa_search.study.digests import digest, fingerprint
from llasa_search.study.judging import judged, own
from llasa_search.study.plan import Arm, Row, refuse
from llasa_search.study.processes import locked, run_jobs
from llasa_search.verifiers.base import Verifier
from llasa_search.verifiers.specification import RewardLike, as_reward

if TYPE_CHECKING:
    from llasa_search.llasa.model import Llasa
    from llasa_search.search import Searcher


@dataclass(frozen=True)
class _Models:
    """The language model and its codec, and where they and the verifiers run; as in `search.generate`."""

    model: str
    codec: str | None
    prompt_format: str
    device: str
    dtype: str


@dataclass(frozen=True)
class _Job:
    """One search and its judges."""

    case: Case
    arm: Arm
    seed: int
    models: _Models
    judges: tuple[tuple[str, Verifier], ...]
    folder: Path


@dataclass(frozen=True)
class _Loading:
    """The models that are loaded before the first search."""

    models: _Models
    arms: Sequence[Arm]
    judges: tuple[tuple[str, Verifier], ...]


@dataclass(frozen=True)
class _Recording:
    """A recording of a case, the name of its arm, and its judges."""

    arm: str
    case: Case
    wav: Path
    judges: tuple[tuple[str, Verifier], ...]
    folder: Path


class Study:
    """Runs cases x arms x seeds and stores each search as a run folder (`storage.run_folder`) with the judges' scores.

    A stored search is found by everything that it depends on: case, arm, seed, and the content of the
    checkpoints. A judge's score is found by the judge's expression and its checkpoints.

    Args:
        folder: for all searches; it may contain an earlier, unfinished study.
        judges: verifiers by short names. They take no part in a search. A judge of the same model family as
            a verifier of a search causes a warning.
        model: as in `search.generate`.
        codec: as in `search.generate`.
        prompt_format: as in `search.generate`.
        device: as in `search.generate`; the judges run there too.
        dtype: as in `search.generate`.
        processes: number of searches at once, each in one thread; 1 runs all in this process. Several
            processes import the script again, so its work must be inside
            `if __name__ == "__main__":`.

    Raises:
        InputError: `processes` is below 1, or a judge has several verifiers.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        judges: Mapping[str, RewardLike],
        *,
        model: str = "tiny",
        codec: str | None = None,
        prompt_format: str = "auto",
        device: str = "auto",
        dtype: str = "auto",
        processes: int = 1,
    ) -> None:
        if processes < 1:
            raise InputError(f"processes={processes}: give 1 or more")
        self.folder = Path(folder)
        self.judges = tuple((name, _single(judge)) for name, judge in judges.items())
        self.model = model
        self.codec = codec
        self.prompt_format = prompt_format
        self._models = _Models(model, codec, prompt_format, device, dtype)
        for _, verifier in self.judges:
            place(verifier, device, dtype)
        self.processes = processes
        self._loadable: set[tuple[str, ...]] = set()  # names of the verifiers that have been loaded

    def check(self, cases: Sequence[Case], arms: Sequence[Arm]) -> None:
        """Refuses a plan that cannot be run, and loads all models once, so that errors are raised before hours of work.

        Raises:
            InputError: there are no cases, two cases or arms share a name, a verifier of an arm cannot score
                a case, or a judge cannot score any case.
            LlasaSearchError: the model, a verifier or a judge cannot be loaded.
        """
        refuse(cases, arms, self.judges)
        for arm in arms:
            warn_same_family((judge for _, judge in self.judges), arm.all_verifiers())
        first = {tuple(map(str, arm.all_verifiers())): arm for arm in reversed(arms)}
        if new := {names: arm for names, arm in first.items() if names not in self._loadable}:
            job = _Loading(self._models, list(new.values()), self.judges)
            (error,) = run_jobs(_load, [job], "models", self.processes)
            if error is not None:
                raise error
            self._loadable.update(new)

    def rows(self, cases: Sequence[Case], arms: Sequence[Arm]) -> list[Row]:
        """Returns the judged candidates: all candidates of a pool, and the chosen one of any other search.

        Rows are ordered by arm, case, seed and index, independently of the number of processes.

        Raises:
            LlasaSearchError: as in `check`, or another study is running in the folder; no search has been run.
            SearchError: some searches were refused or have no result. The error names the case, arm and seed
                of each, after all other searches have been run and stored.
        """
        self.check(cases, arms)
        jobs = [
            _Job(case, arm, seed, self._models, self.judges, self.folder)
            for arm, case in product(arms, cases)
            for seed in arm.seeds
        ]
        rows, failures = list[Row](), list[str]()
        # A verifier of weight 0 in an arm is not a judge.
        found = run_jobs(_perform, jobs, "searches", self.processes, hidden=".*flatter the search")
        with self._locked():
            for rows_or_failure in found:
                if isinstance(rows_or_failure, str):
                    failures.append(rows_or_failure)
                else:
                    rows += rows_or_failure
        if failures:
            listed = "\n".join(f"- {each}" for each in failures)
            raise SearchError(
                f"{len(failures)} of {len(jobs)} searches have no result; leave these cases out, or repair "
                f"what failed, and run this again: all others are stored in {self.folder}\n{listed}"
            )
        return rows

    def by_arm(self, cases: Sequence[Case], arms: Sequence[Arm]) -> dict[str, list[Row]]:
        """Returns the rows of each arm, by its name."""
        found: dict[str, list[Row]] = {arm.name: [] for arm in arms}
        for row in self.rows(cases, arms):
            found[row["arm"]].append(row)
        return found

    def recorded(self, name: str, cases: Sequence[Case], wavs: Mapping[str, Path]) -> list[Row]:
        """Returns the rows of recordings, such as those of a human speaker, as an arm without a search.

        Args:
            name: of the arm.
            cases: the texts of the recordings.
            wavs: one for each case, by its id.

        Raises:
            InputError: a recording cannot be read.
        """
        jobs = [_Recording(name, case, wavs[case.id], self.judges, self.folder) for case in cases]
        with self._locked():
            return list(run_jobs(_judge_recording, jobs, "recordings", self.processes))

    def _locked(self) -> AbstractContextManager[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        return locked(self.folder)


def _load(job: _Loading) -> LlasaSearchError | None:
    """Loads the models of arms and judges in this process; returns the error if one cannot be loaded."""
    loading = ""
    try:
        for arm in job.arms:
            loading = f"arm {arm.name!r}"
            _searcher(job.models, arm.verifiers, arm.strategy).load()
        for name, judge in job.judges:
            loading = f"judge {name!r}"
            load_verifiers([own(judge)])
    except LlasaSearchError as error:
        return type(error)(f"{loading}: {error}")
    return None


def _judge_recording(job: _Recording) -> Row:
    """Returns the row of one recording."""
    audio = read_speech(job.wav, f"the recording of {job.case.id}")
    candidate = recorded(0, job.case.text, audio)
    folder = job.folder / _folder(job.arm) / f"{_folder(job.case.id)}-{digest(audio.tobytes())}"
    folder.mkdir(parents=True, exist_ok=True)
    judges = {
        name: judged(judge, job.case, [candidate], SAMPLE_RATE, folder)[0] for name, judge in job.judges
    }
    return _row(job.arm, job.case, 0, candidate, judges)


def _perform(job: _Job) -> list[Row] | str:
    """Returns the rows of one search, which is run if it is not stored; or the reason why there are none."""
    run = job.folder / _folder(job.arm.name) / f"{_folder(job.case.id)}-{job.seed}-{_key(job)}"
    try:
        result = _stored(run) or _search(job, run)
    except (InputError, SearchError) as error:
        return f"case {job.case.id}, arm {job.arm.name!r}, seed {job.seed}: {error}"
    candidates = result.candidates if job.arm.pool else [result.best]
    case, rate = job.case, result.sample_rate
    if any("resynthesis" in judge.needs for _, judge in job.judges):
        llasa, comparing = _llasa(job.models), [judge for _, judge in job.judges]
        case = replace(case, voice=with_resynthesis(case.voice, llasa, comparing))
    records_of = {name: judged(judge, case, candidates, rate, run) for name, judge in job.judges}
    rows = []
    for i, candidate in enumerate(candidates):
        judges = {name: records[i] for name, records in records_of.items()}
        row = _row(job.arm.name, job.case, job.seed, candidate, judges, job.arm.all_verifiers())
        rows.append(_of_search(row, result, candidate is result.best))
    return rows


def _stored(run: Path) -> SearchResult | None:
    """Returns a stored search, or None if there is none; a damaged one is removed, with a warning."""
    if not run.exists():
        return None
    try:
        return SearchResult.load_run(run)
    except DamagedFile as error:
        warn(f"{error}; this search is made again")
        shutil.rmtree(run)
        return None


def _search(job: _Job, run: Path) -> SearchResult:
    """Runs one search and saves it."""
    arm, case = job.arm, job.case
    seed = int.from_bytes(hashlib.blake2b(f"{case.id} {job.seed}".encode(), digest_size=6).digest())
    searcher = _searcher(job.models, arm.verifiers, arm.strategy)
    result = searcher.generate(
        case.text,
        case.voice,
        budget=arm.budget,
        sampling=arm.sampling,
        language=case.language,
        seed=seed,
    )
    if result.stopped_by == "interrupt":
        raise KeyboardInterrupt  # an interrupted search is not stored
    if arm.pool:
        result = _fully_scored(result, searcher.reward)
    run.parent.mkdir(parents=True, exist_ok=True)
    try:
        result.save_run(run)
    except (InputError, OSError):
        if (stored := _stored(run)) is None:
            raise
        return stored  # by a process of a study that was killed before this one began
    return result


def _fully_scored(result: SearchResult, reward: Reward) -> SearchResult:
    """Returns the result with the scores that the cascade skipped, which smaller subsets of the pool need."""
    complete = result.rerank(reward)
    ledger, added = result.ledger, complete.ledger
    ledger.add_flops("verifiers", added.flops.get("verifiers", 0.0))
    seconds = ledger.stage_seconds
    seconds["verify"] = seconds.get("verify", 0.0) + added.stage_seconds.get("verify", 0.0)
    return replace(result, candidates=complete.candidates)


def _row(
    arm: str,
    case: Case,
    seed: int,
    candidate: Candidate,
    judges: dict[str, ScoreRecord],
    all_verifiers: Sequence[Verifier] = (),
) -> Row:
    """Returns the row of a candidate, without the costs of a search."""
    by_name = {str(verifier): verifier for verifier in all_verifiers}
    return {
        "case": case.id,
        "kind": case.kind,
        "arm": arm,
        "seed": seed,
        "index": candidate.index,
        "chosen": True,
        "reward": None if math.isnan(candidate.reward) else candidate.reward,
        "finish": candidate.finish_reason,
        "tokens": len(candidate.logprobs),
        "mean_logprob": None if math.isnan(candidate.mean_logprob) else candidate.mean_logprob,
        "scores": {
            name: score_to_record(by_name[name], candidate.text, case.language, found)
            for name, found in candidate.scores.items()
            if name in by_name
        },
        "judges": judges,
        "finished": 1,
        "row_steps": 0,
        "prefill_tokens": 0,
        "flops": {},
        "seconds": {},
    }


def _of_search(row: Row, result: SearchResult, chosen: bool) -> Row:
    """Returns the row with the costs of its search."""
    ledger = result.ledger
    return {
        **row,
        "chosen": chosen,
        "finished": ledger.finished,
        "row_steps": ledger.row_steps,
        "prefill_tokens": ledger.prefill_tokens,
        "flops": {stage: None if math.isnan(count) else count for stage, count in ledger.flops.items()},
        "seconds": dict(ledger.stage_seconds),
    }


def _key(job: _Job) -> str:
    """Returns a digest of everything that the result of a search depends on."""
    arm, case = job.arm, job.case
    voice = None if case.voice is None else case.voice.id
    models = [model for verifier in arm.all_verifiers() for model in verifier.checkpoints()]
    checkpoints = _fingerprints(job.models.model, job.models.codec), fingerprint(*models)
    sampling = asdict(arm.sampling)
    if sampling["guard"]:  # the default is left out, so that the searches of 0.1.0 are found
        del sampling["guard"]
    settings = (arm.strategy, arm.verifiers, asdict(arm.budget), sampling, arm.pool)
    content = repr((case.text, case.language, voice, job.seed, checkpoints, settings))
    if job.models.prompt_format != "auto":
        content += job.models.prompt_format
    if (on := (job.models.device, job.models.dtype)) != ("auto", "auto"):
        content += repr(on)
    return digest(content)


def _folder(name: str) -> str:
    """Returns a safe folder name for an arm or a case; digests distinguish runs with the same name."""
    return re.sub(r"[^\w.,=-]+", "_", name)[:100]


@cache
def _fingerprints(model: str, codec: str | None) -> str:
    from llasa_search.llasa.loading import find_model

    return fingerprint(*map(str, find_model(model, codec)))


def _single(judge: RewardLike) -> Verifier:
    reward = as_reward(judge)
    if len(reward.verifiers) != 1:
        raise InputError(f"the judge {reward} has several verifiers: pass each of them as a separate judge")
    return reward.verifiers[0]


@cache
def _searcher(models: _Models, verifiers: str, strategy: str) -> Searcher:
    from llasa_search.search import Searcher

    return Searcher(_llasa(models), verifiers, strategy, device=models.device, dtype=models.dtype)


@cache
def _llasa(models: _Models) -> Llasa:
    from llasa_search.llasa.model import Llasa

    return Llasa.from_pretrained(
        models.model,
        codec=models.codec,
        prompt_format=models.prompt_format,
        device=models.device,
        dtype=models.dtype,
    )

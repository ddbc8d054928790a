"""Scores the recordings of a manifest: entries in, one record each out.

A record is a line of what `llasa-search score` writes; what is not known in it is null, never a number:

- `id`, `text`, `language`, `prompt` (a path or null), `fingerprint` (see `fingerprint`);
- `best`: the place of the chosen recording, or null where no reward is known;
- `recordings`: for each its `wav`; `status`, which is "scored" where its reward is known, "missing" where
  there is no such file, else "failed"; `error`, the reason, or ""; `seconds`; `reward`; and `scores` by
  printed verifier: `value` in its unit, `detail`, `status`; and for an error rate `edits` and `length` (see
  `Verifier.counts`)
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypedDict

from llasa_search.arrays import Audio
from llasa_search.audio import SAMPLE_RATE, read_speech
from llasa_search.candidate import Candidate, Score, Utterance, recorded, why_unscored
from llasa_search.errors import InputError, LlasaSearchError
from llasa_search.evaluation.manifest import Entry
from llasa_search.reward.base import Reward, ranking
from llasa_search.scoring.isolation import safe_scores
from llasa_search.scoring.loading import check_verifiers
from llasa_search.scoring.rewards import rewards
from llasa_search.scoring.score_all import BATCH
from llasa_search.scoring.score_record import ScoreRecord, record_to_score, score_to_record
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt, Voice

MISSING = "there is no such file"


class Recording(TypedDict):
    """One file, and what came of it."""

    wav: str
    status: str
    error: str
    seconds: float | None
    reward: float | None
    scores: dict[str, ScoreRecord]


class Record(TypedDict):
    """One entry of the manifest, and what came of it."""

    id: str
    text: str
    language: str
    prompt: str | None
    fingerprint: str
    best: int | None
    recordings: list[Recording]


def evaluate(entries: Iterable[Entry], reward: Reward) -> Iterator[Record]:
    """Scores every recording by every verifier, in batches that may span several entries.

    What cannot be read or judged fails alone, and its record says why.

    Args:
        entries: in the order in which their records are to come.
        reward: chooses among the recordings of an entry; its verifiers are loaded.

    Raises:
        ModelError: a verifier's own `utility` failed.
    """
    for batch in _batches(entries):
        takes = [_Takes(entry) for entry in batch]
        for verifier in reward.verifiers:
            _hear(verifier, takes)
        for each in takes:
            yield each.record(reward)


def fingerprint(entry: Entry) -> str:
    """Changes with the entry, and with the size or the time of any of its files."""
    files = [_stamp(path) for path in (*entry.wavs, *([entry.prompt] if entry.prompt else []))]
    content = repr((entry.id, entry.text, entry.language, entry.prompt_text, files))
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def _stamp(path: Path) -> tuple[str, int, int] | None:
    if not path.exists():
        return None
    stat = path.stat()
    return str(path.absolute()), stat.st_size, stat.st_mtime_ns


class _Takes:
    """An entry with its recordings, as far as they can be read."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.fingerprint = fingerprint(entry)
        self.voice, self.voice_problem = _voice(entry)
        self.candidates: list[Candidate] = []
        self.problems: list[str] = []
        self.verdicts: dict[tuple[int, str], ScoreRecord] = {}
        for i, wav in enumerate(entry.wavs):
            audio, problem = _audio(wav)
            self.candidates.append(recorded(i, entry.text, audio))
            self.problems.append(problem)

    def refusal(self, verifier: Verifier) -> str:
        """Why `verifier` cannot judge this text and voice, or ""."""
        try:
            check_verifiers([verifier], Prompt(self.entry.text, self.entry.language, self.voice))
        except LlasaSearchError as error:
            return self.voice_problem or str(error)
        return ""

    def note(self, verifier: Verifier, candidate: Candidate, found: Score) -> None:
        """Keeps a score, and what its rate is made of."""
        verdict = score_to_record(verifier, self.entry.text, self.entry.language, found)
        self.verdicts[candidate.index, str(verifier)] = verdict
        candidate.scores[str(verifier)] = record_to_score(verdict)

    def utterance(self, candidate: Candidate) -> Utterance:
        assert candidate.audio is not None
        return Utterance(self.entry.text, self.entry.language, candidate.audio, SAMPLE_RATE, voice=self.voice)

    def record(self, reward: Reward) -> Record:
        known = rewards(reward, self.candidates)
        for candidate, each in zip(self.candidates, known, strict=True):
            candidate.reward = float(each)
        best = ranking(known)[0]
        return {
            "id": self.entry.id,
            "text": self.entry.text,
            "language": self.entry.language,
            "prompt": None if self.entry.prompt is None else str(self.entry.prompt),
            "fingerprint": self.fingerprint,
            "best": None if math.isnan(known[best]) else best,
            "recordings": [self._recording(i, reward) for i in range(len(self.candidates))],
        }

    def _recording(self, place: int, reward: Reward) -> Recording:
        candidate, problem = self.candidates[place], self.problems[place]
        status = "missing" if problem == MISSING else "scored"
        if problem != MISSING and math.isnan(candidate.reward):
            names = map(str, reward.required)
            needed = {name: candidate.scores[name] for name in names if name in candidate.scores}
            status, problem = "failed", problem or why_unscored(needed)
        return {
            "wav": str(self.entry.wavs[place]),
            "status": status,
            "error": problem,
            "seconds": None if candidate.audio is None else round(len(candidate.audio) / SAMPLE_RATE, 3),
            "reward": _known(candidate.reward),
            "scores": {
                name: self.verdicts[candidate.index, name]
                for name in map(str, reward.verifiers)
                if name in candidate.scores
            },
        }


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Entries in order, with the recordings of a whole batch together where they have few each."""
    batch: list[Entry] = []
    for entry in entries:
        batch.append(entry)
        if sum(len(each.wavs) for each in batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _hear(verifier: Verifier, takes: Sequence[_Takes]) -> None:
    """Adds the verifier's score to every candidate that can be heard."""
    waiting: list[tuple[_Takes, Candidate, Utterance]] = []
    for each in takes:
        readable = [candidate for candidate in each.candidates if candidate.audio is not None]
        if readable and (refusal := each.refusal(verifier)):
            for candidate in readable:
                each.note(verifier, candidate, Score(math.nan, refusal, "failed"))
        else:
            waiting += [(each, candidate, each.utterance(candidate)) for candidate in readable]
    for start in range(0, len(waiting), BATCH):
        batch = waiting[start : start + BATCH]
        scores = safe_scores(verifier, [utterance for _, _, utterance in batch])
        for (takes_of, candidate, _), found in zip(batch, scores, strict=True):
            takes_of.note(verifier, candidate, found)


def _audio(wav: Path) -> tuple[Audio | None, str]:
    """The recording, or None and why there is none."""
    if not wav.exists():
        return None, MISSING
    try:
        return read_speech(wav, "the recording"), ""
    except InputError as error:
        return None, str(error)


def _voice(entry: Entry) -> tuple[Voice | None, str]:
    """The voice that the recordings should have, or None and what is wrong with it, if anything is."""
    if entry.prompt is None:
        return None, ""
    try:
        return Voice(entry.prompt, entry.prompt_text), ""
    except (InputError, OSError, UnicodeDecodeError) as error:
        return None, str(error)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value

"""Scores the recordings of a manifest: one record for each entry.

A record is a line of `scores.jsonl`, which `llasa-search score` writes. Unknown values are null:

- `id`, `text`, `language` (given or detected), `prompt` (a path or null), `fingerprint` (see `fingerprint`);
- `best`: the position of the chosen recording, or null if no reward is known;
- `recordings`: for each its `wav`; `status`, which is "scored" if its reward is known, "missing" if the file
  does not exist, else "failed"; `error`, the reason, or ""; `seconds`; `reward`; and `scores` by printed
  verifier: `value` in its unit, `detail`, `status`; and for an error rate `edits` and `length` (see
  `Verifier.counts`).
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from llasa_search.arrays import Audio
from llasa_search.audio import SAMPLE_RATE, read_speech
from llasa_search.candidate import Candidate, Score, Utterance, recorded, why_unscored
from llasa_search.errors import InputError, LlasaSearchError, format_error
from llasa_search.evaluation.manifest import Entry
from llasa_search.reward.base import Reward, ranking
from llasa_search.scoring.loading import check_verifiers, known_languages
from llasa_search.scoring.rewards import rewards
from llasa_search.scoring.score_all import BATCH, score_all
from llasa_search.scoring.score_record import ScoreRecord, record_to_score, score_to_record
from llasa_search.text.language import language_of
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt, Voice

MISSING = "there is no such file"


class Recording(TypedDict):
    """One file, with its status and scores."""

    wav: str
    status: str
    error: str
    seconds: float | None
    reward: float | None
    scores: dict[str, ScoreRecord]


class Record(TypedDict):
    """One entry of the manifest, with the scores of its recordings."""

    id: str
    text: str
    language: str | None
    prompt: str | None
    fingerprint: str
    best: int | None
    recordings: list[Recording]


def evaluate(
    entries: Iterable[Entry], reward: Reward, failures: Mapping[str, str] | None = None
) -> Iterator[Record]:
    """Scores every recording by every verifier, in batches that may span several entries.

    A recording that cannot be read or scored fails alone, and its record gives the reason.

    Args:
        entries: in the order in which their records are yielded.
        reward: chooses among the recordings of an entry; its verifiers are loaded.
        failures: verifiers of weight 0 that could not be loaded, and why.

    Raises:
        ModelError: a verifier's own `utility` failed.
    """
    known = known_languages(reward.required)
    for batch in _batches(entries):
        items = [_Item(entry, known) for entry in batch]
        _score(items, reward.verifiers, failures or {})
        for item in items:
            yield item.record(reward)


def fingerprint(entry: Entry) -> str:
    """Returns a hash of the entry, and of the size and the time of its files."""
    files = [_stamp(path) for path in (*entry.wavs, *([entry.prompt] if entry.prompt else []))]
    content = repr((entry.id, entry.text, entry.language, entry.prompt_text, files))
    return hashlib.blake2b(content.encode(errors="surrogateescape"), digest_size=8).hexdigest()


def _stamp(path: Path) -> tuple[str, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return str(path.absolute()), stat.st_size, stat.st_mtime_ns


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Groups entries, in order, until each group has enough recordings for a batch."""
    batch: list[Entry] = []
    for entry in entries:
        batch.append(entry)
        if sum(len(each.wavs) for each in batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _score(items: Sequence[_Item], verifiers: Sequence[Verifier], failures: Mapping[str, str]) -> None:
    """Scores every recording that can be read."""
    for verifier in verifiers:
        for item in items:
            item.check(verifier, failures.get(str(verifier)))
    item_of = {id(candidate): item for item in items for candidate in item.readable}

    def utterances(candidates: Sequence[Candidate]) -> list[Utterance]:
        return [item_of[id(candidate)].utterance(candidate) for candidate in candidates]

    score_all(verifiers, [candidate for item in items for candidate in item.readable], utterances)
    for item in items:
        item.add_counts(verifiers)


class _Item:
    """An entry of the manifest, its language and voice, and its recordings as candidates.

    Args:
        entry: of the manifest.
        known: languages that the verifiers know, None for any.

    Attributes:
        readable: the candidates whose files can be read.
    """

    def __init__(self, entry: Entry, known: Collection[str] | None) -> None:
        self._entry = entry
        self._fingerprint = fingerprint(entry)
        self._language, language_error = _language(entry, known)
        self._voice, voice_error = _voice(entry)
        self._error = language_error or voice_error
        audios = [_audio(wav) for wav in entry.wavs]
        self._errors = [error for _, error in audios]
        self._candidates = [recorded(i, entry.text, audio) for i, (audio, _) in enumerate(audios)]
        self._score_records: dict[tuple[int, str], ScoreRecord] = {}
        self.readable = [candidate for candidate in self._candidates if candidate.audio is not None]

    def check(self, verifier: Verifier, failure: str | None = None) -> None:
        """Marks the recordings as failed if the verifier could not be loaded or refuses this text or voice."""
        if not self.readable:
            return
        if self._language is None:
            failure = self._error
        elif failure is None:
            try:
                check_verifiers([verifier], Prompt(self._entry.text, self._language, self._voice))
            except LlasaSearchError as error:
                failure = self._error or str(error)
        if failure is not None:
            for candidate in self.readable:
                candidate.scores[str(verifier)] = Score(math.nan, failure, "failed")

    def utterance(self, candidate: Candidate) -> Utterance:
        assert candidate.audio is not None and self._language is not None
        return Utterance(self._entry.text, self._language, candidate.audio, SAMPLE_RATE, voice=self._voice)

    def add_counts(self, verifiers: Sequence[Verifier]) -> None:
        """Adds to each score the counts behind it; a score whose counts fail has failed."""
        for verifier in verifiers:
            name = str(verifier)
            for candidate in self.readable:
                score = candidate.scores[name]
                record = score_to_record(verifier, self._entry.text, self._language or "", score)
                self._score_records[candidate.index, name] = record
                candidate.scores[name] = record_to_score(record)

    def record(self, reward: Reward) -> Record:
        """Returns the entry's record, after its recordings have been scored."""
        known = rewards(reward, self._candidates)
        for candidate, each in zip(self._candidates, known, strict=True):
            candidate.reward = float(each)
        best = ranking(known)[0]
        return {
            "id": self._entry.id,
            "text": self._entry.text,
            "language": self._language,
            "prompt": None if self._entry.prompt is None else str(self._entry.prompt),
            "fingerprint": self._fingerprint,
            "best": None if math.isnan(known[best]) else best,
            "recordings": [self._recording(i, reward) for i in range(len(self._candidates))],
        }

    def _recording(self, position: int, reward: Reward) -> Recording:
        candidate, error = self._candidates[position], self._errors[position]
        status = "missing" if error == MISSING else "scored"
        if error != MISSING and math.isnan(candidate.reward):
            names = map(str, reward.required)
            required = {name: candidate.scores[name] for name in names if name in candidate.scores}
            status, error = "failed", error or why_unscored(required)
        return {
            "wav": str(self._entry.wavs[position]),
            "status": status,
            "error": error,
            "seconds": None if candidate.audio is None else round(len(candidate.audio) / SAMPLE_RATE, 3),
            "reward": None if math.isnan(candidate.reward) else candidate.reward,
            "scores": {
                name: self._score_records[candidate.index, name]
                for name in map(str, reward.verifiers)
                if name in candidate.scores
            },
        }


def _audio(wav: Path) -> tuple[Audio | None, str]:
    """Returns the recording and "", or None and the error."""
    if not os.path.exists(wav):
        return None, MISSING
    if not os.path.isfile(wav):  # a FIFO would block
        return None, f"{wav} is not a file"
    try:
        return read_speech(wav, "the recording"), ""
    except (InputError, OSError, MemoryError) as error:  # MemoryError: a header that claims a huge length
        return None, _message(error)


def _language(entry: Entry, known: Collection[str] | None) -> tuple[str | None, str]:
    """Returns the language of an entry and "", or None and the error."""
    try:
        return language_of(entry.text, entry.language, known), ""
    except InputError as error:
        return None, str(error)


def _voice(entry: Entry) -> tuple[Voice | None, str]:
    """Returns the voice prompt, if there is one, and the error if it cannot be read."""
    if entry.prompt is None:
        return None, ""
    try:
        return Voice(entry.prompt, entry.prompt_text), ""
    except (InputError, OSError, MemoryError) as error:
        return None, _message(error)


def _message(error: Exception) -> str:
    return str(error) if isinstance(error, InputError) else format_error(error)

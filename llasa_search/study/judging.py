"""Scores candidates with a judge and stores the scores in the run's folder, so that each is scored once."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from llasa_search.candidate import Candidate, Score, Utterance
from llasa_search.errors import InputError, LlasaSearchError, warn
from llasa_search.scoring.loading import check_verifiers, load_verifiers
from llasa_search.scoring.score_all import score_all
from llasa_search.scoring.score_record import ScoreRecord, score_to_record
from llasa_search.storage.files import write_text
from llasa_search.storage.reading import read_json
from llasa_search.storage.run_schema import checked
from llasa_search.study.cases import Case
from llasa_search.study.digests import digest, fingerprint
from llasa_search.verifiers.base import FunctionVerifier, Verifier
from llasa_search.voice import Prompt

NOT_DECODED: ScoreRecord = {"value": None, "detail": "not decoded", "status": "skipped"}

_loaded: dict[str, Verifier] = {}
"""The judges of this process; the judge of a new job has not loaded its model."""


def judged(
    judge: Verifier, case: Case, candidates: Sequence[Candidate], sample_rate: int, folder: Path
) -> list[ScoreRecord]:
    """Returns the judge's score of each candidate, from the file in `folder` if it is there.

    New scores are added to that file unless they failed. The scores of a function are not stored, because its
    name does not identify what it computes.

    Args:
        judge: compares the speech with the spoken form of the text.
        case: the text that the candidates speak.
        candidates: a candidate without audio was not decoded and is skipped.
        sample_rate: of their audio, in Hz.
        folder: of the run.
    """
    stored, verifier = not isinstance(judge, FunctionVerifier), own(judge)
    voice = None if case.voice is None else case.voice.id
    key = (str(judge), fingerprint(*verifier.checkpoints()), case.spoken, case.language, voice)
    path = folder / f"judged-{digest(repr(key))}.json"
    known = _stored(path) if stored and path.exists() else {}
    new = [candidate for candidate in candidates if str(candidate.index) not in known]
    if new:
        known |= _scored(verifier, case, new, sample_rate)
        successful = {index: each for index, each in known.items() if each["status"] != "failed"}
        if stored:
            write_text(path, json.dumps(successful, ensure_ascii=False, indent=1))
    return [known[str(candidate.index)] for candidate in candidates]


def _stored(path: Path) -> dict[str, ScoreRecord]:
    """Returns the records of a file by their indices; a damaged file has none, with a warning."""
    try:
        return checked(read_json(path, str(path)), dict[str, ScoreRecord], path)
    except InputError as error:
        warn(f"{error}; its candidates are judged again")
        return {}


def _scored(
    verifier: Verifier, case: Case, candidates: Sequence[Candidate], sample_rate: int
) -> dict[str, ScoreRecord]:
    """Returns the records of the candidates by their indices."""

    def utterances(batch: Sequence[Candidate]) -> list[Utterance]:
        audios = [each.audio for each in batch if each.audio is not None]
        return [Utterance(case.spoken, case.language, a, sample_rate, voice=case.voice) for a in audios]

    # The search's scores are removed: they may be the same verifier's for the written form.
    decoded = [replace(each, scores={}) for each in candidates if each.audio is not None]
    try:
        load_verifiers([verifier])
        check_verifiers([verifier], Prompt(case.spoken, case.language, case.voice))
    except LlasaSearchError as error:
        for each in decoded:
            each.scores[str(verifier)] = Score(math.nan, str(error), "failed")
    score_all([verifier], decoded, utterances)
    records = {
        str(each.index): score_to_record(verifier, case.spoken, case.language, each.scores[str(verifier)])
        for each in decoded
    }
    return {str(each.index): NOT_DECODED for each in candidates} | records


def own(judge: Verifier) -> Verifier:
    """Returns the judge of this process with that name, whose model is loaded once; a function is returned as it is."""
    return judge if isinstance(judge, FunctionVerifier) else _loaded.setdefault(str(judge), judge)

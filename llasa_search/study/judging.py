"""What a judge says of candidates, asked once and kept beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from llasa_search.candidate import Candidate, Utterance
from llasa_search.checkpoints.names import resolve_name
from llasa_search.scoring.isolation import safe_scores
from llasa_search.scoring.score_record import ScoreRecord, score_to_record
from llasa_search.storage.files import write_text
from llasa_search.study.cases import Case
from llasa_search.study.plan import fingerprint
from llasa_search.verifiers.base import FunctionVerifier, Verifier

_loaded: dict[str, Verifier] = {}
"""This process's judges: one that comes with a job has not loaded its model."""


def judged(
    judge: Verifier, case: Case, heard: Sequence[Candidate], sample_rate: int, home: Path
) -> list[ScoreRecord]:
    """One verdict a candidate, kept in the folder `home` unless it failed.

    Of a plain function nothing is kept: its name does not say what it computes.
    """
    named_only, verifier = isinstance(judge, FunctionVerifier), own(judge)
    voice = None if case.voice is None else case.voice.id
    heard_as = repr((str(judge), fingerprint(*checkpoints_of(verifier)), case.spoken, case.language, voice))
    path = home / f"judged-{digest(heard_as)}.json"
    known: dict[str, ScoreRecord] = {}
    if path.exists() and not named_only:
        known = json.loads(path.read_text("utf-8"))
    new = [candidate for candidate in heard if str(candidate.index) not in known]
    if new:
        never: ScoreRecord = {"value": None, "detail": "was never decoded", "status": "skipped"}
        known |= {str(candidate.index): never for candidate in new}
        heard_now = {
            str(candidate.index): Utterance(
                case.spoken, case.language, candidate.audio, sample_rate, voice=case.voice
            )
            for candidate in new
            if candidate.audio is not None
        }
        verifier.load()
        for index, found in zip(heard_now, safe_scores(verifier, list(heard_now.values())), strict=True):
            known[index] = score_to_record(verifier, case.spoken, case.language, found)
        kept = {index: each for index, each in known.items() if each["status"] != "failed"}
        if not named_only:
            write_text(path, json.dumps(kept, ensure_ascii=False, indent=1))
    return [known[str(candidate.index)] for candidate in heard]


def own(judge: Verifier) -> Verifier:
    """This process's judge of that name, whose model is loaded once; a plain function is itself."""
    return judge if isinstance(judge, FunctionVerifier) else _loaded.setdefault(str(judge), judge)


def checkpoints_of(verifier: Verifier) -> list[str]:
    """The checkpoints, files or folders, that a verifier's arguments name."""
    arguments = [value for name, value in vars(verifier).items() if name[0] != "_" and isinstance(value, str)]
    paths = [resolve_name(each, verifier.part) for each in arguments if each]
    return [path for path in paths if Path(path).exists()]


def digest(content: str | bytes) -> str:
    """A short name for content."""
    given = content.encode() if isinstance(content, str) else content
    return hashlib.blake2b(given, digest_size=6).hexdigest()

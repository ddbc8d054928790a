"""Who listens, and what each heard: transcripts made in several processes, kept in a JSONL file.

The judges are pocketsphinx with a unigram and with a bigram language model over generated training
texts. None of these is an evaluation text. Every word of the vocabulary gets one count more,
also those that are held out of training: without it they could not be recognised.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing.pool
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import arpa
import numpy as np
import soundfile
from material import training_sentences, vocabulary
from tqdm import tqdm

from llasa_search.verifiers import WER
from llasa_search.verifiers.pocketsphinx_wer import PocketsphinxWER
from llasa_search.verifiers.whisper_asr import EMBEDDED
from llasa_search.verifiers.word_errors import errors

ORDERS = {"unigram": 1, "bigram": 2}
TEXTS = 60_000


@dataclass(frozen=True)
class Listener:
    """A recogniser under a short name, and a hash of its model: another model hears everything anew."""

    name: str
    recogniser: PocketsphinxWER | WER
    model: str

    def rate(self, spoken: str, transcript: str) -> float:
        """WER of a transcript against the words that were to be said."""
        return errors(spoken, transcript, "en").rate


@dataclass(frozen=True)
class Judge(Listener):
    """A listener that takes no part in the search."""

    recogniser: PocketsphinxWER

    def rate(self, spoken: str, transcript: str) -> float:
        errors = self.recogniser.errors(spoken, transcript)
        return errors.total / errors.words


def judges(folder: Path) -> list[Judge]:
    """The judges by unigram and by bigram; their language models are written to `folder` the first time."""
    return [_judge(name, folder / f"{name}.arpa") for name in ORDERS]


def asr(model: str) -> Listener:
    """The recogniser that the search listens to."""
    return Listener("asr", WER(model), fingerprint(str(EMBEDDED) if model == "tiny" else model))


def hear(listener: Listener, wavs: Sequence[Path], store: Path, processes: int) -> list[str]:
    """What `listener` hears in each recording; what `store` already has is not listened to again."""
    keys = [f"{listener.name} {listener.model} {_digest(wav)}" for wav in wavs]
    known = dict(_stored(store))
    new = {key: wav for key, wav in zip(keys, wavs, strict=True) if key not in known}
    if new:
        jobs = [(listener, wav) for wav in new.values()]
        with store.open("a", encoding="utf-8") as file, workers(processes) as pool:
            heard = tqdm(pool.imap(_hear, jobs, chunksize=4), f"{listener.name} listens", len(jobs))
            for key, transcript in zip(new, heard, strict=True):
                known[key] = transcript
                # The line's end comes first, so that a line at which a run was killed spoils no other.
                file.write("\n" + json.dumps({"key": key, "transcript": transcript}))
                file.flush()
    return [known[key] for key in keys]


def fingerprint(model: str) -> str:
    """A hash of a checkpoint's content (a file, or a folder's safetensors), or a hub id as it is."""
    path = Path(model)
    files = sorted(path.rglob("*.safetensors")) if path.is_dir() else [path]
    return _digest(*files) if files and all(map(Path.is_file, files)) else model.replace("/", "--")


def workers(count: int) -> multiprocessing.pool.Pool:
    """A pool of processes that compute in one thread each: several would wait for each other's cores."""
    os.environ["OMP_NUM_THREADS"] = "1"
    return multiprocessing.get_context("spawn").Pool(count)


def _judge(name: str, path: Path) -> Judge:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        arpa.write(unfinished, training_sentences(TEXTS), vocabulary(), ORDERS[name])
        unfinished.rename(path)
    return Judge(name, PocketsphinxWER(str(path)), _digest(path))


_loaded: dict[str, PocketsphinxWER | WER] = {}


def _hear(job: tuple[Listener, Path]) -> str:
    listener, wav = job
    recogniser = _loaded.setdefault(str(listener.recogniser), listener.recogniser)
    audio, rate = soundfile.read(wav, dtype="float32")
    return recogniser.transcribe([np.asarray(audio)], [rate], "en")[0]


def _stored(store: Path) -> Iterator[tuple[str, str]]:
    lines = store.read_text(encoding="utf-8").splitlines() if store.exists() else []
    for line in lines:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        yield row["key"], row["transcript"]


def _digest(*files: Path) -> str:
    content = hashlib.blake2b(digest_size=8)
    for file in files:
        content.update(file.read_bytes())
    return content.hexdigest()

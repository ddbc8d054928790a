"""The speech that is judged: of every text an original recording, its resynthesis, and a search's candidates."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import material
import soundfile
from listening import asr, fingerprint, one_thread
from material import Item
from tqdm import tqdm

from llasa_search import Sampling, Searcher, SearchResult
from llasa_search.files import write_wav
from llasa_search.llasa import Llasa
from llasa_search.llasa.loading import locate
from llasa_search.strategies import BestOfN
from llasa_search.verifiers import WER


@dataclass(frozen=True)
class Setting:
    """How candidates are searched for.

    Attributes:
        model: "tiny", a hub id, or a folder.
        asr: the WER verifier's model.
        temperature: of sampling.
        top_p: of sampling.
        n: candidates a text.
    """

    model: str
    asr: str
    temperature: float
    top_p: float
    n: int


def recordings(items: Sequence[Item], model: str, folder: Path, processes: int) -> dict[str, tuple[Path, Path]]:
    """Paths of each text's original recording and of its resynthesis by the model's codec, by the text's id."""
    _, codec = locate(model, None)
    home = folder / "recordings" / fingerprint(codec)
    home.mkdir(parents=True, exist_ok=True)
    paths = {item.id: (home / f"{item.id}.wav", home / f"{item.id}-codec.wav") for item in items}
    missing = [(item, *paths[item.id], model) for item in items if not paths[item.id][1].exists()]
    _each(_record, missing, "recordings", processes)
    return paths


def searches(items: Sequence[Item], setting: Setting, folder: Path, processes: int) -> dict[str, Path]:
    """Run folders (see `llasa_search.run_folder`) of a best-of-n search by WER for each text, by its id.

    A text's seed comes from its id.
    """
    models = "-".join([*map(fingerprint, locate(setting.model, None)), asr(setting.asr).model])
    home = folder / "searches" / models / f"T{setting.temperature:g}-p{setting.top_p:g}-n{setting.n}"
    home.mkdir(parents=True, exist_ok=True)
    paths = {item.id: home / item.id for item in items}
    missing = [(item, paths[item.id], setting) for item in items if not paths[item.id].exists()]
    _each(_search, missing, f"T {setting.temperature:g}, top-p {setting.top_p:g}", processes)
    return paths


def through_codec(source: Path, target: Path, model: str) -> None:
    """Writes a recording as it sounds after the codec of `model`."""
    codec = _llasa(model).codec
    audio, _ = soundfile.read(source, dtype="float32")
    write_wav(target, codec.decode([codec.encode(audio)])[0][: len(audio)], codec.sample_rate)


def _record(job: tuple[Item, Path, Path, str]) -> None:
    item, original, resynthesis, model = job
    write_wav(original, material.record(item.text, item.voice, item.style), material.SAMPLE_RATE)
    through_codec(original, resynthesis, model)


def _search(job: tuple[Item, Path, Setting]) -> None:
    item, path, setting = job
    sampling = Sampling(temperature=setting.temperature, top_p=setting.top_p)
    result: SearchResult = _searcher(setting.model, setting.asr, setting.n).generate(
        item.text, item.prompt, sampling=sampling, seed=zlib.crc32(item.id.encode())
    )
    result.save_run(path)


@cache
def _llasa(model: str) -> Llasa:
    return Llasa.from_pretrained(model)


@cache
def _searcher(model: str, recogniser: str, n: int) -> Searcher:
    return Searcher(_llasa(model), WER(recogniser), BestOfN(n))


def _each(work: Callable[[Any], None], jobs: Sequence[Any], name: str, processes: int) -> None:
    if jobs:
        with ProcessPoolExecutor(processes, get_context("spawn"), one_thread) as pool:
            list(tqdm(pool.map(work, jobs), name, len(jobs)))

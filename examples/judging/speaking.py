"""The speech that is judged: recordings, their resynthesis by the codec, and the candidates of searches."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import listening
from material import CHANNELS, SAMPLE_RATE, Item
from tqdm import tqdm

from llasa_search import Sampling, Searcher
from llasa_search.arrays import Audio
from llasa_search.files import new_folder, write_wav
from llasa_search.strategies import BestOfN
from llasa_search.verifiers import WER

if TYPE_CHECKING:
    from llasa_search.llasa.codec import Codec

Record = Callable[[Item], Mapping[str, Audio]]


@dataclass(frozen=True)
class Recording:
    """A text as someone else than the model speaks it.

    Attributes:
        item: the text.
        kind: what is done to it, such as "intact".
        channel: "original", or "codec" for its resynthesis.
        wav: where it is.
    """

    item: Item
    kind: str
    channel: str
    wav: Path


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


def recordings(
    items: Sequence[Item], record: Record, model: str, folder: Path, processes: int
) -> list[Recording]:
    """Records each text in its ways, and takes each recording through the model's codec.

    Args:
        items: the texts.
        record: a text's recordings by kind; a function of a module, for it runs in other processes.
        model: whose codec.
        folder: for the recordings.
        processes: how many run at once.
    """
    home = folder / listening.fingerprint(_locate(model)[1])
    home.mkdir(parents=True, exist_ok=True)
    jobs = [(item, record, home / item.id, model) for item in items]
    _each(_record, [job for job in jobs if not job[2].exists()], "recordings", processes)
    return [
        Recording(item, wav.stem, channel, wav)
        for item in items
        for channel in CHANNELS
        for wav in sorted((home / item.id / channel).iterdir())
    ]


def searches(wanted: Sequence[tuple[Item, Setting]], folder: Path, processes: int) -> list[Path]:
    """Searches by best-of-n and WER for each text, seeded by its id.

    Returns:
        Their run folders (see `llasa_search.run_folder`), in order.
    """
    homes = {setting: folder / _place(setting) for setting in {setting for _, setting in wanted}}
    for home in homes.values():
        home.mkdir(parents=True, exist_ok=True)
    jobs = [(item, setting, homes[setting] / item.id) for item, setting in wanted]
    _each(_search, [job for job in jobs if not job[2].exists()], "searches", processes)
    return [path for _, _, path in jobs]


def _record(job: tuple[Item, Record, Path, str]) -> None:
    item, record, folder, model = job
    codec = load_codec_of(model)
    with new_folder(folder) as new:
        for channel in CHANNELS:
            (new / channel).mkdir()
        for kind, audio in record(item).items():
            resynthesis = codec.decode([codec.encode(audio)])[0][: len(audio)]
            write_wav(new / "original" / f"{kind}.wav", audio, SAMPLE_RATE)
            write_wav(new / "codec" / f"{kind}.wav", resynthesis, codec.sample_rate)


def _search(job: tuple[Item, Setting, Path]) -> None:
    item, setting, path = job
    sampling = Sampling(temperature=setting.temperature, top_p=setting.top_p)
    searcher = _searcher(setting.model, setting.asr, setting.n)
    result = searcher.generate(item.text, item.prompt, sampling=sampling, seed=zlib.crc32(item.id.encode()))
    result.save_run(path)


def _place(setting: Setting) -> str:
    """A folder's name that tells models and settings apart."""
    models = [*map(listening.fingerprint, _locate(setting.model)), listening.asr(setting.asr).model]
    return f"{'-'.join(models)}/T{setting.temperature:g}-p{setting.top_p:g}-n{setting.n}"


def _locate(model: str) -> tuple[str, str]:
    from llasa_search.llasa.loading import locate

    return locate(model, None)


@cache
def load_codec_of(model: str) -> Codec:
    from llasa_search.llasa.loading import load_codec, pick_device

    return load_codec(_locate(model)[1], pick_device("auto"))


@cache
def _searcher(model: str, asr: str, n: int) -> Searcher:
    return Searcher(model, WER(asr), BestOfN(n))


def _each(work: Callable[[Any], None], jobs: Sequence[Any], name: str, processes: int) -> None:
    if jobs:
        with listening.workers(processes) as pool:
            for _ in tqdm(pool.imap_unordered(work, jobs), name, len(jobs)):
                pass

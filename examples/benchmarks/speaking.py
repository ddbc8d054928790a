"""Writes the recordings that judges score: originals and their resynthesis by the codec."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from examples.benchmarks.material import CHANNELS, SAMPLE_RATE, Item
from llasa_search.arrays import Audio
from llasa_search.storage.files import new_folder, write_wav
from llasa_search.study.digests import fingerprint
from llasa_search.study.processes import run_jobs

if TYPE_CHECKING:
    from llasa_search.llasa.codec import Codec

Record = Callable[[Item], Mapping[str, Audio]]


@dataclass(frozen=True)
class Recording:
    """A recording of a text, not made by the language model.

    Attributes:
        item: the text.
        kind: the change to it, such as "deleted word".
        channel: "original", or "codec" for its resynthesis.
        wav: path of the file.
    """

    item: Item
    kind: str
    channel: str
    wav: Path


def recordings(
    items: Sequence[Item], record: Record, model: str, folder: Path, processes: int
) -> list[Recording]:
    """Records each text in all its kinds and resynthesises each recording with the model's codec.

    Args:
        items: the texts.
        record: returns a text's recordings by kind; a module-level function, because it runs in other processes.
        model: language model whose codec is used.
        folder: folder for the recordings.
        processes: number of processes.
    """
    root = folder / fingerprint(codec_of(model))
    root.mkdir(parents=True, exist_ok=True)
    jobs = [(item, record, root / item.id, model) for item in items]
    missing = [job for job in jobs if not job[2].exists()]
    for _ in run_jobs(_record, missing, "recordings", processes):
        pass
    return [
        Recording(item, wav.stem, channel, wav)
        for item in items
        for channel in CHANNELS
        for wav in sorted((root / item.id / channel).iterdir())
    ]


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


def codec_of(model: str) -> str:
    """Returns the path or id of a model's codec."""
    from llasa_search.llasa.loading import find_model

    return find_model(model, None)[1]


@cache
def load_codec_of(model: str) -> Codec:
    from llasa_search.checkpoints.loading import pick_device
    from llasa_search.llasa.loading import load_codec

    return load_codec(codec_of(model), pick_device("auto"))

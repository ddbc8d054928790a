"""Encodes all shards to speech codes, and resynthesises them for the training of the recogniser."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Xcodec2Model

from examples.train_tiny import codec, loop


def load_codec(folder: Path) -> Xcodec2Model:
    model: Any = Xcodec2Model.from_pretrained(folder, dtype=torch.float32)
    return model.to(loop.DEVICE).eval()


def encode_shard(model: Xcodec2Model, meta: Path, out: Path) -> None:
    """Writes `out/NNNN.npy` (int16 codes) and a `.jsonl` file with starts and lengths in frames."""
    target = out / meta.name
    if target.exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    audio, pieces, lines, position = np.load(meta.with_suffix(".npy"), mmap_mode="r"), [], [], 0
    with torch.no_grad():
        for line in meta.read_text().splitlines():
            row = json.loads(line)
            frames = codec.semantic_frames(model, audio[row["start"] : row["start"] + row["length"]])
            codes = codec.encode_frames(model, frames).cpu().numpy().astype(np.int16)
            lines.append(json.dumps({**row, "start": position, "length": len(codes)}))
            pieces.append(codes)
            position += len(codes)
    np.save(out / meta.with_suffix(".npy").name, np.concatenate(pieces))
    target.write_text("\n".join(lines) + "\n")


@torch.no_grad()
def decode(model: Xcodec2Model, codes: np.ndarray) -> np.ndarray:
    """Decodes the codes of one utterance to int16 samples."""
    audio = model.decode(torch.from_numpy(codes.astype(np.int64))[None, None].to(loop.DEVICE)).audio_values[
        0, 0
    ]
    return (audio.clamp(-1, 1).cpu().numpy() * 32767).astype(np.int16)


def resynthesise_shard(model: Xcodec2Model, meta: Path, out: Path) -> None:
    """Decodes a shard of codes and writes the speech in the layout of `speech.write_shard`."""
    target = out / meta.name
    if target.exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    codes, pieces, lines, position = np.load(meta.with_suffix(".npy"), mmap_mode="r"), [], [], 0
    for line in meta.read_text().splitlines():
        row = json.loads(line)
        audio = decode(model, np.asarray(codes[row["start"] : row["start"] + row["length"]]))
        lines.append(json.dumps({**row, "start": position, "length": len(audio)}))
        pieces.append(audio)
        position += len(audio)
    np.save(out / meta.with_suffix(".npy").name, np.concatenate(pieces))
    target.write_text("\n".join(lines) + "\n")


def encode(codec_folder: Path, source: Path, out: Path, processes: int, limit: int | None = None) -> None:
    """Encodes the first `limit` shards of `source` with `encode_shard`."""
    _over_shards(encode_shard, codec_folder, source, out, processes, limit)


def resynthesise(
    codec_folder: Path, source: Path, out: Path, processes: int, limit: int | None = None
) -> None:
    """Decodes the first `limit` shards of `source` with `resynthesise_shard`."""
    _over_shards(resynthesise_shard, codec_folder, source, out, processes, limit)


def _over_shards(
    work: Callable[[Xcodec2Model, Path, Path], None],
    codec_folder: Path,
    source: Path,
    out: Path,
    processes: int,
    limit: int | None,
) -> None:
    jobs = [(work, codec_folder, meta, out) for meta in sorted(source.glob("*.jsonl"))[:limit]]
    spawning = multiprocessing.get_context("spawn")
    with spawning.Pool(processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        pool.starmap(_one_shard, jobs, chunksize=1)


def _one_shard(
    work: Callable[[Xcodec2Model, Path, Path], None], codec_folder: Path, meta: Path, out: Path
) -> None:
    work(load_codec(codec_folder), meta, out)

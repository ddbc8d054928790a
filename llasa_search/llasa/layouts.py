"""Refuses checkpoints in layouts that cannot be loaded, and says what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llasa_search.errors import ModelError

CODEC = "HKUSTAudio/xcodec2-hf"
ORIGINAL_CODEC = "HKUSTAudio/xcodec2"


def refuse_layout(given: str) -> None:
    """Refuses a path or hub id of another layout than that of transformers.

    Raises:
        ModelError: it is a GGUF file, a LoRA adapter, a checkpoint for MLX, or the original X-codec2.
    """
    path = Path(given).expanduser()
    files = [path, *(path.iterdir() if path.is_dir() else ())]
    names = {each.name for each in files}
    if (
        given == ORIGINAL_CODEC
        or any(each.suffix == ".ckpt" for each in files)
        or _holds_checkpoint(path / "ckpt")
    ):
        raise ModelError(
            f"{given} is X-codec2 in its original layout: use {CODEC}, which has the same weights"
        )
    if any(each.suffix == ".gguf" for each in files):
        raise ModelError(
            f"{given} is in the GGUF format of llama.cpp: use the checkpoint that it was converted from"
        )
    if "adapter_config.json" in names:
        raise ModelError(
            f"{given} is a LoRA adapter: merge it into its base model first, with peft: "
            "PeftModel.from_pretrained(base, adapter).merge_and_unload().save_pretrained(folder), and save the "
            "tokenizer in that folder too"
        )
    if any(name.endswith(".npz") and name.startswith("weights") for name in names):
        raise ModelError(f"{given} is a checkpoint for MLX: use the checkpoint that it was converted from")


def refuse_quantised(config: Mapping[str, Any], where: str) -> None:
    """Refuses a checkpoint with quantised weights.

    Args:
        config: content of its `config.json`.
        where: the checkpoint, for the message.

    Raises:
        ModelError: its weights are quantised.
    """
    method = None
    if (found := config.get("quantization_config")) is not None:
        method = found.get("quant_method", "another tool") if isinstance(found, Mapping) else found
    elif config.get("quantization") is not None:
        method = "MLX"
    if method is not None:
        raise ModelError(
            f"the weights of {where} are quantised ({method!s:.40}): use the checkpoint that it was made from; "
            "--dtype bfloat16 halves its memory"
        )


def _holds_checkpoint(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob("*.ckpt"))

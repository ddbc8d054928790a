"""Checkpoints in other layouts are refused in one line that says what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from llasa_search import search
from llasa_search.errors import ModelError
from llasa_search.llasa.model import Llasa


@pytest.mark.parametrize(
    ("file", "advice"),
    [
        ("ckpt/epoch=4-step=1400000.ckpt", "use HKUSTAudio/xcodec2-hf"),
        ("llasa-1b-q4.gguf", "llama.cpp: use the checkpoint that it was converted from"),
        ("adapter_config.json", "LoRA adapter: merge it"),
        ("weights.00.npz", "MLX: use the checkpoint that it was converted from"),
    ],
)
@pytest.mark.parametrize("part", ["model", "codec"])
def test_other_layouts(tmp_path: Path, pair_path: Path, part: str, file: str, advice: str) -> None:
    """As a model and as a codec, also beside a config.json."""
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    given = {
        "model": str(pair_path / "language_model"),
        "codec": str(pair_path / "codec"),
        part: str(tmp_path),
    }
    for _ in range(2):
        with pytest.raises(ModelError, match=advice) as error:
            Llasa.from_pretrained(**given)
        assert "\n" not in str(error.value)
        (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="xcodec2-hf"):
        search.generate("hello", model=pair_path, codec="HKUSTAudio/xcodec2")


@pytest.mark.parametrize(
    "config",
    [
        {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
        {"quantization_config": {"quant_method": "gptq", "bits": 4}},
        {"quantization": {"bits": 4, "group_size": 64}},
    ],
    ids=["bitsandbytes", "gptq", "mlx"],
)
def test_quantised_weights(tmp_path: Path, pair_path: Path, config: dict[str, object]) -> None:
    """They ended in errors of libraries that are not installed, or in noise."""
    shutil.copytree(pair_path, tmp_path / "pair")
    path = tmp_path / "pair" / "language_model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    with pytest.raises(ModelError, match=r"quantised \((bitsandbytes|gptq|MLX)\): use the checkpoint"):
        Llasa.from_pretrained(tmp_path / "pair")

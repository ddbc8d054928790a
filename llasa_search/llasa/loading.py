"""Finding and loading the pair of checkpoints: language model and codec."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from llasa_search.checkpoints.bounds import require_finite
from llasa_search.checkpoints.hub import from_hub, require_id
from llasa_search.checkpoints.imports import explain_missing_imports
from llasa_search.checkpoints.loading import (
    forget_code,
    load_without_code,
    loading,
    require_complete,
    without_progress_bars,
)
from llasa_search.checkpoints.names import TINY
from llasa_search.checkpoints.settings_files import require_plain_files
from llasa_search.errors import InputError, ModelError, short_repr
from llasa_search.llasa.layouts import CODEC, refuse_layout, refuse_quantised

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

    from llasa_search.llasa.codec import Codec

EMBEDDED = "tiny"
"""The name of the package's own language model and codec."""
EMBEDDED_MODEL = TINY / "language_model"
EMBEDDED_CODEC = TINY / "codec"
KNOWN = (EMBEDDED, "HKUSTAudio/Llasa-1B", "HKUSTAudio/Llasa-3B", "HKUSTAudio/Llasa-8B")

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def find_model(model: str, codec: str | None) -> tuple[str, str]:
    """Returns the folders or hub ids of the language model and its codec.

    Args:
        model: "tiny" (in the package), a folder, or a hub id. A folder with `language_model/` and `codec/` in
            it is a pair.
        codec: a folder or hub id; None for that of the pair, or else X-codec2.

    Raises:
        InputError: there is no such model or codec.
        ModelError: the embedded model is missing, or a checkpoint has another layout than that of transformers.
    """
    if codec is not None:
        refuse_layout(codec)
        require_id(codec, "codec", [CODEC])
    if model == EMBEDDED:
        embedded = EMBEDDED_MODEL
        if not embedded.is_dir():
            raise ModelError(f"the model {model!r} is missing from {TINY}: install the package again")
        return str(embedded), codec or str(EMBEDDED_CODEC)
    refuse_layout(model)
    folder = Path(model).expanduser()
    if (folder / "language_model").is_dir():
        return str(folder / "language_model"), codec or str(folder / "codec")
    if (folder / "config.json").is_file():
        return str(folder), codec or CODEC
    if model and folder.is_dir():
        raise InputError(f"the folder {folder} holds no config.json, and no language_model/ and codec/")
    require_id(model, "model", KNOWN)
    return model, codec or CODEC


def pick_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Returns the type of the weights; "auto" is bfloat16 on a GPU and float32 on a CPU.

    Raises:
        InputError: it is not one of float32, bfloat16, float16 and auto.
    """
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise InputError(f"unknown dtype {short_repr(dtype)}; there are: auto, {', '.join(DTYPES)}")
    return DTYPES[dtype]


@explain_missing_imports()
def load_tokenizer(where: str) -> PreTrainedTokenizerBase:
    """Returns the language model's tokenizer."""
    from transformers import AutoTokenizer

    options = {"config": _config(where, "the language model", "llama"), "trust_remote_code": False}
    tokenizer: PreTrainedTokenizerBase = _load(
        AutoTokenizer.from_pretrained, where, "the tokenizer", **options
    )
    return tokenizer


@explain_missing_imports()
def load_language_model(where: str, device: torch.device, dtype: torch.dtype) -> LlamaForCausalLM:
    """Returns the language model, on its device.

    Raises:
        ModelError: it cannot be found, is not a Llama, or weights are missing.
    """
    from transformers import LlamaForCausalLM

    _require_usable(_config(where, "the language model", "llama"), where)
    model = _load_model(LlamaForCausalLM, where, "the language model", dtype)
    placed: LlamaForCausalLM = model.to(device).eval()
    return placed


@explain_missing_imports()
def load_codec(where: str, device: torch.device) -> Codec:
    """Returns the codec, in float32, on its device.

    Raises:
        ModelError: it cannot be found, is not an X-codec2, or weights are missing.
    """
    from transformers import Xcodec2FeatureExtractor, Xcodec2Model

    from llasa_search.llasa.codec import Codec

    _config(where, "the codec", "xcodec2")
    model = _load_model(Xcodec2Model, where, "the codec", torch.float32)
    features = _load(Xcodec2FeatureExtractor.from_pretrained, where, "the codec's feature extractor")
    if features.sampling_rate != model.config.sampling_rate:
        raise ModelError(
            f"{where}: its feature extractor has {short_repr(features.sampling_rate)} Hz and its model "
            f"{model.config.sampling_rate} Hz; give a codec whose two files agree"
        )
    with loading(where, "the codec in the folder"):
        codec = Codec(model.to(device).eval(), features)
        codec.require_working()
    return codec


def _require_usable(config: Any, where: str) -> None:
    """Refuses numbers in a Llama's configuration with which it cannot speak."""
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads or 1
    wrong = {
        "num_hidden_layers": config.num_hidden_layers < 1,
        "max_position_embeddings": config.max_position_embeddings < 1,
        "num_key_value_heads": min(heads, kv_heads) < 1 or heads % kv_heads != 0,
        "rms_norm_eps": not 0 <= config.rms_norm_eps < 1,
    }
    for name in (name for name, found in wrong.items() if found):
        raise ModelError(f"{where}/config.json: {name} is {short_repr(getattr(config, name))}")


def _config(where: str, what: str, model_type: str) -> Any:
    """Returns the configuration of a checkpoint, which must be of this type."""
    from transformers import AutoConfig

    config = _load(AutoConfig.from_pretrained, where, what, trust_remote_code=False)
    if config.model_type != model_type:
        wanted = f"an 'xcodec2'; try {CODEC}" if model_type == "xcodec2" else f"a {model_type!r}"
        raise ModelError(f"{what} {where} is a {config.model_type!r} model, not {wanted}")
    refuse_quantised(config.to_dict(), where)
    forget_code(config)
    return config


def _load_model(kind: Any, where: str, what: str, dtype: torch.dtype) -> Any:
    """Returns a model with all of its weights, as transformers loads it."""
    model, report = _load(partial(load_without_code, kind), where, what, dtype=dtype)
    require_complete(report, kind.__name__, where)
    require_finite(model, where)
    return model


def _load(load: Callable[..., Any], where: str, what: str, **options: Any) -> Any:
    """Calls a loader of transformers: on a folder, or on a hub id."""

    def get(local_files_only: bool) -> Any:
        with without_progress_bars(), torch.random.fork_rng(devices=[]):
            return load(where, local_files_only=local_files_only, **options)

    if Path(where).is_dir():
        require_plain_files(Path(where))
    else:
        return from_hub(get, where, what, "give a folder, or use model='tiny'")
    with loading(where, f"{what} in the folder"):
        return get(True)

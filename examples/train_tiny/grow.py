"""Initialises a wider and deeper language model so that its outputs are those of a trained smaller model.

The new parts contribute nothing at first (Net2Net, arXiv 1511.05641). New channels of the residual stream are zero
because no weight writes to them. The outputs of new heads, neurons and layers are multiplied by zero. Their input
weights are random, so that they learn different features.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

WRITES = ("o_proj", "down_proj", "embed_tokens")  # these write to the residual stream; new weights are zero


@torch.no_grad()
def grow(small: LlamaForCausalLM, large: LlamaForCausalLM) -> None:
    """Makes `large` compute what `small` computes.

    Args:
        small: a trained model.
        large: a new model, at least as wide and as deep, with the same vocabulary, head size and number of
            key and value heads.
    """
    old: Any = small.config
    new: Any = large.config
    assert (old.head_dim, old.num_key_value_heads) == (new.head_dim, new.num_key_value_heads)
    states = small.state_dict()
    places = _depths(old.num_hidden_layers, new.num_hidden_layers)
    for name, weight in large.state_dict().items():
        source = _source(name, places)
        if source is None:
            if any(f"{writer}." in name for writer in WRITES):
                weight.zero_()
        elif source.endswith("norm.weight"):
            # RMSNorm divides by the root mean square over all channels, including the new zero channels.
            weight.fill_((old.hidden_size / new.hidden_size) ** 0.5)
            weight[: old.hidden_size] *= states[source]
        else:
            _widen(source, states[source], weight, small, large)


def _depths(few: int, many: int) -> list[int | None]:
    """Returns for each of `many` layers the one of `few` that it copies; None for new, evenly spaced layers."""
    copied = {(i + 1) * many // few - 1: i for i in range(few)}
    return [copied.get(place) for place in range(many)]


def _source(name: str, places: list[int | None]) -> str | None:
    """Returns the parameter of the small model that a parameter of the large model copies; None in a new layer."""
    parts = name.split(".")
    if "layers" not in parts:
        return name
    place = places[int(parts[2])]
    return None if place is None else ".".join([*parts[:2], str(place), *parts[3:]])


def _widen(name: str, old: Tensor, new: Tensor, small: LlamaForCausalLM, large: LlamaForCausalLM) -> None:
    if any(f"{writer}." in name for writer in WRITES):
        new.zero_()
    if "q_proj" in name or "o_proj" in name:
        # A head keeps its key and value head, which more heads now share.
        old_config: Any = small.config
        dim, groups = old_config.head_dim, old_config.num_key_value_heads
        few, many = (m.config.num_attention_heads // groups * dim for m in (small, large))
        for group in range(groups):
            kept, put = slice(group * few, (group + 1) * few), slice(group * many, group * many + few)
            if "q_proj" in name:
                new[put, : old.shape[1]] = old[kept]
            else:
                new[: old.shape[0], put] = old[:, kept]
    else:
        new[: old.shape[0], : old.shape[1]] = old

"""A Llama's weights, fused for sampling, and the two passes over them: `prefill` and `step`.

The arithmetic is that of transformers' `LlamaForCausalLM` (the tests compare them), with fewer and larger
operations: query, key and value are one product, gate and up another; rotary embedding is one complex
product; the prompt's keys and values are stored once and multiplied with all rows' queries together
(Juravsky et al. 2024, Hydragen); and the output head is reduced to the tokens that speech may contain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from llasa_search.engine.cache import KeyValueCache, PrefilledPrompt
from llasa_search.errors import ModelError

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

ROW_MULTIPLE = 4
"""Rows are stepped in multiples of this, because matrix kernels round a single row differently."""

ROWS_PER_PASS = 12
"""Rows of a pass where the kernels of this computer round a row differently in batches of different sizes.

A multiple of 6, the rows that MKL's kernels with AVX2 compute at once: a row then has the same bits in every slot.
"""

_FIXED_ROPES = ("default", "linear", "llama3", "yarn")


@dataclass(frozen=True)
class Layer:
    """Weights of one layer, [in, out]; a bias that the checkpoint does not have is None."""

    attention_norm: Tensor
    qkv: Tensor
    qkv_bias: Tensor | None
    output: Tensor
    output_bias: Tensor | None
    mlp_norm: Tensor
    gate_up: Tensor
    gate_up_bias: Tensor | None
    down: Tensor
    down_bias: Tensor | None


class LanguageModel:
    """One step of a Llama for many rows that share a prompt.

    The stream between layers is float32; products are in the weights' type. The cache is in float32 on a
    CPU, where half-precision attention is slower, and in the weights' type elsewhere.

    Attributes:
        outputs: number of tokens that can be sampled: speech codes, then END.
        row_multiple: rows are stepped in multiples of this.
        rows_per_pass: rows are stepped in groups of this size; None for all together. With groups, a row in float32
            on a CPU has the same bits in every batch.
        layers, heads, kv_heads, head_dim: the model's shape.
    """

    def __init__(self, model: LlamaForCausalLM, output_ids: Tensor, max_length: int) -> None:
        """Moves the weights out of `model`, layer by layer.

        Args:
            model: on its device and in its type.
            output_ids: int64 [outputs], vocabulary ids of the speech codes, then of END.
            max_length: positions that will be used, prompt and speech together.

        Raises:
            ModelError: the model's activation or rotary embedding is not one that Llama checkpoints have.
        """
        config = model.config
        if config.hidden_act != "silu":
            raise ModelError(f"this Llama's activation is {config.hidden_act!r}; only silu is supported")
        rope = (config.rope_parameters or {}).get("rope_type", "default")
        if rope not in _FIXED_ROPES:
            raise ModelError(f"rotary embeddings of type {rope!r} are not supported; only {_FIXED_ROPES}")
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads or 1
        self.head_dim: int = model.model.layers[0].self_attn.head_dim
        self.epsilon = config.rms_norm_eps
        self.embedding = model.model.embed_tokens.weight.detach()
        self.device, self.dtype = self.embedding.device, self.embedding.dtype
        self.cache_dtype = torch.float32 if self.device.type == "cpu" else self.dtype
        self.output_ids = output_ids.to(self.device)
        self.head = self._by_input(model.lm_head.weight.detach()[self.output_ids])
        self.norm = model.model.norm.weight.detach().float()
        self.rotations = self._rotations(model, max_length)
        self.layers = []
        while len(model.model.layers):
            self.layers.append(self._fuse(model.model.layers[0]))
            del model.model.layers[0]
        weights = [self.head, *(part for part in vars(self.layers[0]).values() if part is not None)]
        matrices = [weight for weight in weights if weight.ndim == 2]
        exact = not self._exact_type or all(map(rounds_rows_alike, matrices))
        self.rows_per_pass = None if exact else ROWS_PER_PASS
        self.row_multiple = self.rows_per_pass or ROW_MULTIPLE

    @property
    def _exact_type(self) -> bool:
        """Whether a row must have the same bits in every batch."""
        return bool(self.device.type == "cpu" and self.dtype == torch.float32)

    @property
    def outputs(self) -> int:
        return len(self.output_ids)

    @torch.inference_mode()
    def prefill(self, ids: Tensor, before: PrefilledPrompt | None = None) -> PrefilledPrompt:
        """Runs a prompt, or the next part of one.

        Args:
            ids: int64 [tokens], vocabulary ids.
            before: the part that has been run; None at the beginning.

        Returns:
            Keys and values of all tokens so far, and the logits of the next token.

        Raises:
            ModelError: the logits are not finite.
        """
        x = self.embedding[ids.to(self.device)].float()
        past = 0 if before is None else len(before)
        rotation = self.rotations[past : past + len(ids)]
        mask: dict[str, Any] = {"is_causal": True}
        if before is not None:  # is_causal would count the tokens of this part from the first key
            seen = torch.ones(len(ids), past + len(ids), dtype=torch.bool, device=self.device)
            mask = {"attn_mask": seen.tril(past)}
        keys, values = [], []
        for index, layer in enumerate(self.layers):
            query, key, value = (part.transpose(0, 1) for part in self._query_key_value(x, layer, rotation))
            if before is not None:
                key = torch.cat((before.keys[index].transpose(1, 2), key), dim=1)
                value = torch.cat((before.values[index], value), dim=1)
            keys.append(key.transpose(1, 2).contiguous())
            values.append(value.contiguous())
            attended = F.scaled_dot_product_attention(
                query[None], key[None], value[None], **mask, scale=1.0, enable_gqa=True
            )
            x = self._feed_forward(x, attended[0].transpose(0, 1), layer)
        logits = self._logits(x[-1:])
        if not torch.isfinite(logits).all():
            fault = f"the language model's logits are not finite in {self.dtype}"
            advice = "its weights are damaged" if self.dtype == torch.float32 else "use dtype='float32'"
            raise ModelError(f"{fault}: {advice}")
        return PrefilledPrompt(tuple(keys), tuple(values), logits)

    @torch.inference_mode()
    def step(self, tokens: Tensor, cache: KeyValueCache) -> Tensor:
        """Feeds one token to every row and appends to the cache.

        Args:
            tokens: int64 [rows], positions in the outputs; row i is slot i of the cache.
            cache: with room for one more position.

        Returns:
            float32 [rows, outputs], the logits of the next token.
        """
        rows = len(tokens)
        size = self.rows_per_pass or rows
        logits = [self._pass(tokens, cache, start, min(start + size, rows)) for start in range(0, rows, size)]
        cache.length += 1
        return torch.cat(logits)

    def _pass(self, tokens: Tensor, cache: KeyValueCache, first: int, end: int) -> Tensor:
        """Feeds one token to each of the rows `first` .. `end - 1`."""
        tokens, rows, position = tokens[first:end], end - first, cache.length
        x = self.embedding[self.output_ids[tokens]].float()
        rotation = self.rotations[len(cache.prefix) + position]
        for index, layer in enumerate(self.layers):
            query, key, value = self._query_key_value(x, layer, rotation)
            keys, values = cache.keys[index][first:end], cache.values[index][first:end]
            keys.select(2, position).copy_(key)
            values.select(2, position).copy_(value)
            attended = _attend(
                query.view(rows, self.kv_heads, -1, self.head_dim),
                cache.prefix.keys[index],
                cache.prefix.values[index],
                keys.narrow(2, 0, position + 1),
                values.narrow(2, 0, position + 1),
            )
            x = self._feed_forward(x, attended, layer)
        return self._logits(x)

    def flops(self, tokens: int, context: float, outputs: int) -> float:
        """Returns the FLOPs of a pass: two for each weight and token, and the products of attention.

        Args:
            tokens: fed, over all rows.
            context: tokens that each attends to, on average.
            outputs: tokens whose logits are computed.
        """
        weights = sum(part.numel() for x in self.layers for part in (x.qkv, x.output, x.gate_up, x.down))
        attention = 2 * len(self.layers) * self.heads * self.head_dim * context
        return float(2 * (tokens * (weights + attention) + outputs * self.head.numel()))

    def _query_key_value(self, x: Tensor, layer: Layer, rotation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query [tokens, heads, head_dim], and key and value [tokens, kv_heads, head_dim], rotated."""
        normed = F.rms_norm(x, x.shape[-1:], layer.attention_norm, self.epsilon).to(self.dtype)
        qkv = _linear(normed, layer.qkv, layer.qkv_bias).float().view(len(x), -1, self.head_dim)
        rotated = self.heads + self.kv_heads
        pairs = qkv.view(len(x), -1, self.head_dim // 2, 2)
        torch.view_as_complex(pairs).narrow(1, 0, rotated).mul_(rotation)
        qkv = qkv.to(self.cache_dtype)
        return qkv[:, : self.heads], qkv[:, self.heads : rotated], qkv[:, rotated:]

    def _feed_forward(self, x: Tensor, attended: Tensor, layer: Layer) -> Tensor:
        x = x + _linear(attended.reshape(len(x), -1).to(self.dtype), layer.output, layer.output_bias)
        normed = F.rms_norm(x, x.shape[-1:], layer.mlp_norm, self.epsilon).to(self.dtype)
        gate, up = _linear(normed, layer.gate_up, layer.gate_up_bias).chunk(2, dim=-1)
        return x + _linear(F.silu(gate).mul_(up), layer.down, layer.down_bias)

    def _logits(self, x: Tensor) -> Tensor:
        normed = F.rms_norm(x, x.shape[-1:], self.norm, self.epsilon).to(self.dtype)
        return _linear(normed, self.head, None).float()

    def _rotations(self, model: LlamaForCausalLM, max_length: int) -> Tensor:
        """cos + i sin, complex64 [positions, heads + kv_heads, head_dim / 2]; queries are also scaled."""
        rotary = model.model.rotary_emb
        positions = torch.arange(max_length, device=self.device, dtype=torch.float32)
        angles = torch.outer(positions, rotary.inv_freq.to(self.device).float())
        turn = torch.polar(torch.full_like(angles, rotary.attention_scaling), angles)
        scale = torch.ones(self.heads + self.kv_heads, 1, dtype=torch.float32, device=self.device)
        scale[: self.heads] = self.head_dim**-0.5
        return turn.unsqueeze(1) * scale

    def _fuse(self, layer: Any) -> Layer:
        attention, mlp = layer.self_attn, layer.mlp
        query, key = (self._interleave(part) for part in (attention.q_proj, attention.k_proj))
        value = (attention.v_proj.weight, attention.v_proj.bias)
        qkv, qkv_bias = _stack(query, key, value)
        gate_up, gate_up_bias = _stack(*((part.weight, part.bias) for part in (mlp.gate_proj, mlp.up_proj)))
        output, output_bias = _stack((attention.o_proj.weight, attention.o_proj.bias))
        down, down_bias = _stack((mlp.down_proj.weight, mlp.down_proj.bias))
        return Layer(
            layer.input_layernorm.weight.detach().float(),
            self._by_input(qkv),
            qkv_bias,
            self._by_input(output),
            output_bias,
            layer.post_attention_layernorm.weight.detach().float(),
            self._by_input(gate_up),
            gate_up_bias,
            self._by_input(down),
            down_bias,
        )

    def _by_input(self, weight: Tensor) -> Tensor:
        """Returns a weight [out, in] as [in, out].

        In float32 on a CPU it is also stored in this order: MKL's kernels are then faster for few rows, and those with
        AVX-512 round a row equally in all batches of two rows or more. Half precision is faster in the given order.
        """
        return weight.t().contiguous() if self._exact_type else weight.t()

    def _interleave(self, linear: Any) -> tuple[Tensor, Tensor | None]:
        """Interleaves the two halves of each head's dimensions, as complex multiplication needs them."""
        halves = (-1, 2, self.head_dim // 2)
        weight = linear.weight.unflatten(0, halves).transpose(1, 2).flatten(0, 2)
        bias = None if linear.bias is None else linear.bias.unflatten(0, halves).transpose(1, 2).flatten()
        return weight, bias


def rounds_rows_alike(weight: Tensor) -> bool:
    """Returns whether a row times `weight` [in, out] has the same bits in batches of all sizes on this computer.

    The sizes tried are those at which MKL changes its kernel, with AVX2 and AVX-512.
    """
    rows = torch.randn(64, len(weight), generator=torch.Generator().manual_seed(0))
    products = torch.mm(rows, weight)
    return all(torch.equal(torch.mm(rows[:size], weight), products[:size]) for size in (4, 8, 12, 16, 20, 40))


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Returns x [rows, in] times weight [in, out], plus bias [out]."""
    return torch.mm(x, weight) if bias is None else torch.addmm(bias, x, weight)


def _stack(*parts: tuple[Tensor, Tensor | None]) -> tuple[Tensor, Tensor | None]:
    weights = torch.cat([weight.detach() for weight, _ in parts])
    biases = [bias.detach() for _, bias in parts if bias is not None]
    return weights, torch.cat(biases) if biases else None


def _attend(
    query: Tensor, prefix_keys: Tensor, prefix_values: Tensor, keys: Tensor, values: Tensor
) -> Tensor:
    """Computes the attention of one token per row over the shared prompt and the row's own tokens.

    Args:
        query: [rows, kv_heads, group, head_dim], scaled.
        prefix_keys: [kv_heads, head_dim, prompt].
        prefix_values: [kv_heads, prompt, head_dim].
        keys, values: [rows, kv_heads, length, head_dim].

    Returns:
        [rows, kv_heads, group, head_dim].
    """
    rows, kv_heads, group, head_dim = query.shape
    prompt = prefix_values.shape[1]
    by_head = query.transpose(0, 1).reshape(kv_heads, rows * group, head_dim)
    over_prompt = torch.matmul(by_head, prefix_keys).view(kv_heads, rows, group, prompt).transpose(0, 1)
    over_row = torch.matmul(query, keys.transpose(2, 3))
    weights = torch.softmax(torch.cat((over_prompt, over_row), -1), -1)
    on_prompt = weights[..., :prompt].transpose(0, 1).reshape(kv_heads, rows * group, prompt)
    from_prompt = torch.matmul(on_prompt, prefix_values).view(kv_heads, rows, group, head_dim)
    return torch.matmul(weights[..., prompt:], values).add_(from_prompt.transpose(0, 1))

"""WavLM with an ECAPA-TDNN on its hidden states: the speaker model of seed-tts-eval, in UniSpeech's layout.

The released checkpoint, `wavlm_large_finetune.pth`, has the original implementation of WavLM under
`feature_extract.model.`, the ECAPA-TDNN beside it, and a training head. The attributes here have the names of
the checkpoint. Unlike speechbrain's, this ECAPA-TDNN applies ReLU before normalisation, and pools without
global context. Sources: Chen et al. 2022 (arXiv 2110.13900), Desplanques et al. 2020 (arXiv
2005.07143), and microsoft/UniSpeech, `downstreams/speaker_verification`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llasa_search.checkpoints.loading import load_strictly, loading, read_weights
from llasa_search.errors import ModelError

HEAD = "loss_calculator."
WAVLM = "feature_extract.model."
STRIDES = (5, 2, 2, 2, 2, 2, 2)
"""Strides of WavLM's convolutions, which a checkpoint does not state."""

MAX_DISTANCE = 800
"""Largest relative position of WavLM in frames, which a checkpoint does not state."""

RES2NET_SCALE = 8
_RENAMED = (
    (r"^mask_emb$", "masked_spec_embed"),
    (r"^layer_norm\.", "feature_projection.layer_norm."),
    (r"^post_extract_proj\.", "feature_projection.projection."),
    (r"^(feature_extractor\.conv_layers\.\d+)\.0\.", r"\1.conv."),
    (r"^(feature_extractor\.conv_layers\.\d+)\.2\.1\.", r"\1.layer_norm."),
    (r"^encoder\.pos_conv\.0\.bias$", "encoder.pos_conv_embed.conv.bias"),
    (r"^encoder\.pos_conv\.0\.weight_g$", "encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"^encoder\.pos_conv\.0\.weight_v$", "encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
    (r"\.self_attn_layer_norm\.", ".layer_norm."),
    (r"\.self_attn\.grep_linear\.", ".attention.gru_rel_pos_linear."),
    (r"\.self_attn\.grep_a$", ".attention.gru_rel_pos_const"),
    (r"\.self_attn\.relative_attention_bias\.", ".attention.rel_attn_embed."),
    (r"\.self_attn\.", ".attention."),
    (r"\.fc1\.", ".feed_forward.intermediate_dense."),
    (r"\.fc2\.", ".feed_forward.output_dense."),
)
"""Patterns of the original WavLM's names, and their replacements for transformers."""


class WavLMECAPA(nn.Module):
    """Speaker embeddings [batch, dim] of audio [batch, samples] at 16 kHz, all of one length.

    Args:
        wavlm: a transformers `WavLMModel`.
        channels, pooled, attention, bottleneck, dim: widths of the blocks, of the last convolution, of the
            pooling's attention, of squeeze-and-excitation, and of the embedding.
    """

    def __init__(
        self, wavlm: Any, channels: int, pooled: int, attention: int, bottleneck: int, dim: int
    ) -> None:
        super().__init__()
        self.wavlm = wavlm
        self.feature_weight = nn.Parameter(torch.zeros(wavlm.config.num_hidden_layers + 1))
        self.layer1 = ConvReluNorm(wavlm.config.hidden_size, channels, kernel=5)
        self.layer2 = Block(channels, dilation=2, bottleneck=bottleneck)
        self.layer3 = Block(channels, dilation=3, bottleneck=bottleneck)
        self.layer4 = Block(channels, dilation=4, bottleneck=bottleneck)
        self.conv = nn.Conv1d(3 * channels, pooled, 1)
        self.pooling = AttentivePooling(pooled, attention)
        self.bn = nn.BatchNorm1d(2 * pooled)
        self.linear = nn.Linear(2 * pooled, dim)

    def forward(self, audio: Tensor) -> Tensor:
        normal = F.layer_norm(audio, audio.shape[-1:])
        out = self.wavlm(normal, output_hidden_states=True)
        # UniSpeech mixes the input of each layer, and the output of the encoder after its last normalisation.
        hidden = torch.stack((*out.hidden_states[:-1], out.last_hidden_state))
        mixed = torch.einsum("l,lbtd->bdt", self.feature_weight.softmax(0), hidden)
        x = self.layer1(F.instance_norm(mixed + 1e-6))
        a = self.layer2(x)
        b = self.layer3(a)
        c = self.layer4(b)
        frames = F.relu(self.conv(torch.cat([a, b, c], 1)))
        embedding: Tensor = self.linear(self.bn(self.pooling(frames)))
        return embedding


class ConvReluNorm(nn.Module):
    """Convolution, then ReLU, then batch normalisation."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2)
        self.bn = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(F.relu(self.conv(x)))
        return y


class Res2Conv(nn.Module):
    """Convolves groups of channels in turn; each one's input includes the result of the one before."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        width, count = channels // RES2NET_SCALE, RES2NET_SCALE - 1
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation) for _ in range(count)
        )
        self.bns = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        *groups, rest = x.chunk(RES2NET_SCALE, 1)
        results: list[Tensor] = []
        for group, conv, norm in zip(groups, self.convs, self.bns, strict=True):
            results.append(norm(F.relu(conv(group + results[-1] if results else group))))
        return torch.cat([*results, rest], 1)


class SqueezeExcitation(nn.Module):
    """Weights channels by a function of their averages over time."""

    def __init__(self, channels: int, bottleneck: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(channels, bottleneck)
        self.linear2 = nn.Linear(bottleneck, channels)

    def forward(self, x: Tensor) -> Tensor:
        weights: Tensor = self.linear2(F.relu(self.linear1(x.mean(2)))).sigmoid()
        return x * weights[..., None]


class Block(nn.Module):
    """ECAPA-TDNN's SE-Res2Block."""

    def __init__(self, channels: int, dilation: int, bottleneck: int) -> None:
        super().__init__()
        self.Conv1dReluBn1 = ConvReluNorm(channels, channels)
        self.Res2Conv1dReluBn = Res2Conv(channels, dilation)
        self.Conv1dReluBn2 = ConvReluNorm(channels, channels)
        self.SE_Connect = SqueezeExcitation(channels, bottleneck)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.SE_Connect(self.Conv1dReluBn2(self.Res2Conv1dReluBn(self.Conv1dReluBn1(x))))
        return y


class AttentivePooling(nn.Module):
    """Computes mean and standard deviation over time, weighted by attention: [batch, d, frames] to [batch, 2 d]."""

    def __init__(self, channels: int, attention: int) -> None:
        super().__init__()
        self.linear1 = nn.Conv1d(channels, attention, 1)
        self.linear2 = nn.Conv1d(attention, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.linear2(self.linear1(x).tanh()).softmax(2)
        mean = (weights * x).sum(2)
        variance = (weights * x.square()).sum(2) - mean.square()
        return torch.cat([mean, variance.clamp(min=1e-9).sqrt()], 1)


def load(path: Path) -> WavLMECAPA:
    """Loads a checkpoint in UniSpeech's layout; the sizes of the model are those of its weights.

    Raises:
        ModelError: the file is not such a checkpoint, or a weight is missing or unexpected.
    """
    content = read_weights(path)
    given = content.get("model", content)
    weights = {name: weight for name, weight in given.items() if not name.startswith(HEAD)}
    if "feature_weight" not in weights or f"{WAVLM}post_extract_proj.weight" not in weights:
        raise ModelError(
            f"{path} is not a WavLM speaker checkpoint in UniSpeech's layout (feature_extract.model.*)"
        )
    with loading(path):
        original = {name.removeprefix(WAVLM): weight for name, weight in weights.items() if WAVLM in name}
        pooled, last = weights["conv.weight"].shape[0], weights["linear.weight"]
        model = WavLMECAPA(
            _wavlm(original),
            channels=weights["layer1.conv.weight"].shape[0],
            pooled=pooled,
            attention=weights["pooling.linear1.weight"].shape[0],
            bottleneck=weights["layer2.SE_Connect.linear1.weight"].shape[0],
            dim=last.shape[0],
        )
    renamed = {f"wavlm.{_renamed(name)}": weight for name, weight in original.items()}
    renamed |= {name: weight for name, weight in weights.items() if WAVLM not in name}
    load_strictly(model, renamed, path)
    return model.eval()


def _wavlm(weights: dict[str, Tensor]) -> Any:
    """Returns a transformers WavLM of the checkpoint's sizes, with norms before sublayers as in WavLM-large."""
    from transformers import WavLMConfig, WavLMModel

    layers = {match[1] for name in weights if (match := re.match(r"encoder\.layers\.(\d+)\.", name))}
    convolutions = [weights[f"feature_extractor.conv_layers.{i}.0.weight"] for i in range(len(STRIDES))]
    buckets, heads = weights["encoder.layers.0.self_attn.relative_attention_bias.weight"].shape
    hidden, inner, width = weights["encoder.pos_conv.0.weight_v"].shape
    config = WavLMConfig(
        hidden_size=hidden,
        num_hidden_layers=len(layers),
        num_attention_heads=heads,
        intermediate_size=weights["encoder.layers.0.fc1.weight"].shape[0],
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        conv_dim=[weight.shape[0] for weight in convolutions],
        conv_kernel=[weight.shape[2] for weight in convolutions],
        conv_stride=list(STRIDES),
        conv_bias="feature_extractor.conv_layers.0.0.bias" in weights,
        num_conv_pos_embeddings=width,
        num_conv_pos_embedding_groups=hidden // inner,
        num_buckets=buckets,
        max_bucket_distance=MAX_DISTANCE,
        layerdrop=0.0,
    )
    return WavLMModel(config)


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name

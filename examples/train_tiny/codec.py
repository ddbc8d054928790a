"""Trains the codec, an `Xcodec2Model` with 6 M parameters and 4,096 codes, 50 per second.

The semantic encoder is small, random and frozen. The output of the acoustic encoder is set to zero, because its
anti-aliased activations are slow on a CPU and log-mel features are sufficient. The semantic adapter, the quantiser
and the decoder are trained.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import Wav2Vec2BertConfig, Xcodec2Config, Xcodec2FeatureExtractor, Xcodec2Model

from examples.train_tiny import loop, speech
from examples.train_tiny.content import ContentLoss

HOP = 320
CROP = 50  # frames
BATCH = 16
ENCODER_UNTIL = 0.5  # share of the steps after which the codes are fixed and only the decoder is trained
CONTENT = 3.0  # weight of the recogniser's loss relative to the spectral loss
SCALES = ((2048, 128), (1024, 80), (512, 64), (256, 40))  # FFT size, mel bands


def build() -> Xcodec2Model:
    """Returns a new model, which is the same on every machine."""
    semantic = Wav2Vec2BertConfig(
        hidden_size=160,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=128,
        feature_projection_input_dim=160,
        conv_depthwise_kernel_size=5,
        layerdrop=0.0,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        conformer_conv_dropout=0.0,
        apply_spec_augment=False,
    )
    config = Xcodec2Config(
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=64,
        encoder_hidden_size=4,
        quantization_levels=[4] * 6,
        quantization_dim=256 + 160,
        activation_dropout=0.0,
        semantic_model_config=semantic.to_dict(),
    )
    torch.manual_seed(0)
    model: Any = Xcodec2Model(config)
    model.set_attn_implementation("eager")  # faster than sdpa at these sizes on a CPU
    for name, parameter in model.named_parameters():
        if name.startswith(("semantic_encoder", "acoustic_encoder")):
            parameter.requires_grad_(False)
    with torch.no_grad():
        nn.init.zeros_(model.acoustic_encoder.conv2.weight)
        nn.init.zeros_(model.acoustic_encoder.conv2.bias)
        nn.init.eye_(model.fc_encoder.weight)
        nn.init.zeros_(model.fc_encoder.bias)
    return model.to(loop.DEVICE)


def semantic_frames(model: Xcodec2Model, audio: np.ndarray) -> torch.Tensor:
    """Returns the output of the frozen encoder for one int16 utterance: [frames, 160]."""
    features = Xcodec2FeatureExtractor()(
        audio.astype(np.float32) / 32768, sampling_rate=16_000, return_tensors="pt"
    )
    with torch.no_grad():
        return model.semantic_encoder(features["input_features"].to(loop.DEVICE)).last_hidden_state[0]


def pre_quantiser(model: Xcodec2Model, frames: torch.Tensor) -> torch.Tensor:
    """Returns the input of the quantiser, [batch, frames, 416]; the part of the acoustic encoder is zero."""
    adapted = model.semantic_adapter(frames.transpose(1, 2)).transpose(1, 2)
    silent = adapted.new_zeros(*adapted.shape[:2], model.config.hidden_size)
    return model.fc_encoder(torch.cat([adapted, silent], -1))


@torch.no_grad()
def start_from_data(model: Xcodec2Model, frames: torch.Tensor) -> None:
    """Sets `project_in` to the first principal components of its input, whitened; otherwise the codes collapse."""
    x = pre_quantiser(model, frames[None])[0].float()
    mean = x.mean(0)
    _, s, v = torch.linalg.svd(x - mean, full_matrices=False)
    k = len(model.config.quantization_levels)
    weight = v[:k] / (s[:k, None] / len(x) ** 0.5)
    model.quantizer.project_in.weight.copy_(weight)
    model.quantizer.project_in.bias.copy_(-weight @ mean)


class SpectralLoss(nn.Module):
    """L1 loss between log-mel and log-magnitude spectra at four resolutions."""

    def __init__(self) -> None:
        super().__init__()
        from torchaudio.functional import melscale_fbanks

        for size, bands in SCALES:
            self.register_buffer(f"window_{size}", torch.hann_window(size))
            self.register_buffer(f"mel_{size}", melscale_fbanks(size // 2 + 1, 0.0, 8000.0, bands, 16_000))

    def _logs(self, audio: torch.Tensor) -> list[torch.Tensor]:
        logs = []
        for size, _ in SCALES:
            spectrum = torch.stft(
                audio, size, size // 4, window=getattr(self, f"window_{size}"), return_complex=True
            )
            magnitude = spectrum.abs()
            mel = magnitude.transpose(1, 2) @ getattr(self, f"mel_{size}")
            logs += [x.clamp(min=1e-4).log() for x in (mel, magnitude)]
        return logs

    def forward(self, output: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            wanted = self._logs(true)
        pairs = zip(self._logs(output), wanted, strict=True)
        return torch.stack([F.l1_loss(a, b) for a, b in pairs]).sum() / len(SCALES)


def crops(model: Xcodec2Model, folder: Path, hours: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the training data: frames [n, 160] in half precision, and their samples [n, 320] as int16."""
    frames, samples, total = [], [], 0
    for _, audio in speech.read_shards(folder):
        sem = semantic_frames(model, audio)
        n = min(len(sem), len(audio) // HOP)
        frames.append(sem[:n].half().cpu())
        samples.append(torch.from_numpy(np.array(audio[: n * HOP])).view(n, HOP))
        total += n
        if total > hours * 3600 * 50:
            break
    return torch.cat(frames), torch.cat(samples)


def train(
    speech_folder: Path,
    work: Path,
    steps: int,
    hours: float = 6.0,
    start: Path | None = None,
    recogniser: Path | None = None,
) -> None:
    """Trains on one-second crops of `hours` of speech and writes `work/codec` in transformers' format.

    From `ENCODER_UNTIL` on, the codes do not change.

    Args:
        start: folder of a codec to initialise from; until `ENCODER_UNTIL` its decoder is frozen, and the
            encoder is trained for this decoder.
        recogniser: a checkpoint of `asr.train`, whose output on the codec's speech is part of the loss.
    """
    model = build()
    data = work / "codec_data.pt"
    if not data.exists():
        torch.save(crops(model, speech_folder, hours), data)
    frames, samples = torch.load(data, weights_only=True)
    if start is None:
        start_from_data(model, frames[:: max(1, len(frames) // 30_000)].float().to(loop.DEVICE))
    else:
        model.load_state_dict(Xcodec2Model.from_pretrained(start, dtype=torch.float32).state_dict())
    spectral = SpectralLoss().to(loop.DEVICE)
    content = ContentLoss(recogniser).to(loop.DEVICE) if recogniser is not None else None

    def step_loss(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        chosen = torch.randint(len(frames) - CROP, (BATCH,), generator=torch.Generator().manual_seed(step))
        index = chosen[:, None] + torch.arange(CROP)
        x = frames[index].float().to(loop.DEVICE)
        true = samples[index].float().view(BATCH, -1).to(loop.DEVICE) / 32768
        fixed = step >= ENCODER_UNTIL * steps
        for decoding in (model.quantizer.project_out, model.acoustic_decoder):
            decoding.requires_grad_(fixed or start is None)
        with loop.autocast():
            with torch.set_grad_enabled(not fixed):
                z, codes = _quantised(model, x)
            output = model.acoustic_decoder(model.quantizer.project_out(codes))[:, 0].float()
        loss, spread = spectral(output, true), _spread(z)
        logs = {"loss": loss.item(), "spread": spread.item()}
        if content is not None:
            with loop.autocast():
                loss = loss + CONTENT * (kept := content(output, true))
            logs["content"] = kept.item()
        return loss + 0.1 * spread, logs

    def probe(step: int) -> dict[str, float]:
        with torch.no_grad():
            codes = [encode_frames(model, f.float().to(loop.DEVICE)) for f in frames[:50_000].split(500)]
        return {"codes in use": len(torch.cat(codes).unique())}

    rate = 6e-4 if start is None else 1.5e-4
    loop.train(model, step_loss, work / "codec_train.pt", steps=steps, rate=rate, probe=probe)
    export(model, work / "codec")


def _quantised(model: Xcodec2Model, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The quantiser's input and its output, for features [B, frames, width]."""
    z = model.quantizer.project_in(pre_quantiser(model, x)).float()
    return z, model.quantizer.quantizer(model.quantizer.quantizer.bound(z))[0]


def _spread(z: torch.Tensor) -> torch.Tensor:
    """How far the quantiser's input is from mean 0, standard deviation 1 and values within 2."""
    flat = z.flatten(0, 1)
    return (flat.mean(0) ** 2).mean() + ((flat.std(0) - 1) ** 2).mean() + F.relu(flat.abs() - 2).mean()


def export(model: Xcodec2Model, out: Path) -> None:
    """Writes the model in half precision as safetensors, with the feature extractor; `model` does not change."""
    half = Xcodec2Model(model.config)
    half.load_state_dict(model.state_dict())
    half.eval().half().save_pretrained(out)
    Xcodec2FeatureExtractor().save_pretrained(out)


def encode_frames(model: Xcodec2Model, frames: torch.Tensor) -> torch.Tensor:
    """Returns the codes [frames] of one utterance's semantic frames."""
    return model.quantizer(pre_quantiser(model, frames[None]))[1][0, :, 0]

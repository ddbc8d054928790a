"""Defines the training loop of all models: one-cycle AdamW (and Muon), with checkpoints and logs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from pathlib import Path

import torch
from torch import nn

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def autocast() -> torch.autocast:
    return torch.autocast(DEVICE, dtype=torch.bfloat16)


def _one_cycle(progress: float, warm: float = 0.05, floor: float = 0.02) -> float:
    if progress < warm:
        return max(progress / warm, 0.02)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))


def _optimisers(
    trainable: list[nn.Parameter], by_muon: set[nn.Parameter], rate: float, weight_decay: float
) -> list[torch.optim.Optimizer]:
    others = [p for p in trainable if p not in by_muon]
    groups = [
        {"params": [p for p in others if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)
    ]
    if by_muon:
        matrices = [p for p in trainable if p in by_muon]
        optimisers.append(
            torch.optim.Muon(matrices, lr=rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
        )
    return optimisers


def train(
    model: nn.Module,
    step_loss: Callable[[int], tuple[torch.Tensor, dict[str, float]]],
    checkpoint: Path,
    *,
    steps: int,
    rate: float,
    weight_decay: float = 0.01,
    by_muon: Collection[nn.Parameter] = (),
    keep: float = 0.0,
    save_minutes: float = 4.0,
    log_every: int = 100,
    probe: Callable[[int], dict[str, float]] | None = None,
    probe_every: int = 1000,
) -> None:
    """Minimises `step_loss(step)` for `steps` steps; resumes from `checkpoint` if it exists.

    Args:
        model: its trainable parameters are optimised in float32.
        step_loss: returns the loss of one batch, which depends only on the number of the step, and values to log.
        checkpoint: file for weights, optimiser state and step, written every `save_minutes` and at the end.
        rate: peak learning rate.
        by_muon: matrices that Muon updates (Jordan et al. 2024), scaled for AdamW's rate; AdamW updates the
            other parameters.
        keep: share of the initial weights in the final weights. If training continues from a trained model, the
            average of both is better than either (arXiv 2203.05482).
        probe: returns values to log every `probe_every` steps.
    """
    began = {name: value.clone() for name, value in model.state_dict().items()} if keep else {}
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimisers = _optimisers(trainable, set(by_muon), rate, weight_decay)
    first = _resume(checkpoint, model, optimisers) if checkpoint.exists() else 0
    started = saved = time.time()
    sums: dict[str, float] = {}
    for step in range(first, steps):
        loss, logs = step_loss(step)
        loss.backward()
        finite = bool(nn.utils.clip_grad_norm_(trainable, 1.0).isfinite())
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate * _one_cycle(step / steps)
            if finite:  # one overflow in half precision would be the end of all weights
                optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        for name, value in (logs if finite else {"skipped": log_every}).items():
            sums[name] = sums.get(name, 0.0) + value
        if (step + 1) % log_every == 0:
            means = "  ".join(f"{name} {value / log_every:.4g}" for name, value in sums.items())
            pace = (time.time() - started) / (step + 1 - first)
            print(f"step {step + 1}/{steps}  {means}  {pace:.3f} s/step", flush=True)
            sums.clear()
        if probe is not None and (step + 1) % probe_every == 0:
            measured = "  ".join(f"{name} {value:.4g}" for name, value in probe(step).items())
            print(f"probe {step + 1}  {measured}", flush=True)
        if time.time() - saved > 60 * save_minutes:
            _save(checkpoint, model, optimisers, step + 1)
            saved = time.time()
    _save(checkpoint, model, optimisers, steps)
    for name, value in model.state_dict().items():
        if name in began and value.is_floating_point():
            value.lerp_(began[name], keep)


def _save(checkpoint: Path, model: nn.Module, optimisers: list[torch.optim.Optimizer], step: int) -> None:
    """Writes weights, optimisers and step; the file is whole or not there."""
    part = checkpoint.with_suffix(".part")
    moments = [optimiser.state_dict() for optimiser in optimisers]
    torch.save({"model": model.state_dict(), "optimisers": moments, "step": step}, part)
    part.replace(checkpoint)


def _resume(checkpoint: Path, model: nn.Module, optimisers: list[torch.optim.Optimizer]) -> int:
    """Loads what `_save` wrote; returns the next step."""
    state = torch.load(checkpoint, map_location=DEVICE, weights_only=True)
    model.load_state_dict(state["model"])
    for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(saved)
    return int(state["step"])

"""The training loop that codec, language model and ASR share: one-cycle AdamW, saves, resumes, logs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
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


def train(
    model: nn.Module,
    step_loss: Callable[[int], tuple[torch.Tensor, dict[str, float]]],
    checkpoint: Path,
    *,
    steps: int,
    rate: float,
    weight_decay: float = 0.01,
    save_minutes: float = 4.0,
    log_every: int = 100,
    probe: Callable[[int], dict[str, float]] | None = None,
    probe_every: int = 1000,
) -> None:
    """Minimises `step_loss(step)` for `steps` steps; goes on from `checkpoint` where one exists.

    Args:
        model: its trainable parameters are optimised in float32.
        step_loss: the loss of one batch, chosen by the step's number alone, and what to log.
        checkpoint: written every `save_minutes` and at the end; holds weights, optimiser and step.
        rate: peak learning rate.
        probe: measures to log every `probe_every` steps.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=DEVICE, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["step"]

    def save(step: int) -> None:
        part = checkpoint.with_suffix(".part")
        torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step}, part)
        part.replace(checkpoint)

    started = saved = time.time()
    sums: dict[str, float] = {}
    for step in range(first, steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * _one_cycle(step / steps)
        loss, logs = step_loss(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trainable, 1.0)
        optimiser.step()
        for name, value in logs.items():
            sums[name] = sums.get(name, 0.0) + value
        if (step + 1) % log_every == 0:
            means = "  ".join(f"{name} {value / log_every:.4g}" for name, value in sums.items())
            pace = (time.time() - started) / (step + 1 - first)
            print(f"step {step + 1}/{steps}  {means}  {pace:.3f} s/step", flush=True)
            sums.clear()
        if probe is not None and (step + 1) % probe_every == 0:
            print(
                f"probe {step + 1}  " + "  ".join(f"{k} {v:.4g}" for k, v in probe(step).items()), flush=True
            )
        if time.time() - saved > 60 * save_minutes:
            save(step + 1)
            saved = time.time()
    save(steps)

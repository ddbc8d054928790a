"""How the embedded language model learns: its loss, and what it is given to hear."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch.nn import functional as F

TRAINING = Path(__file__).parents[1] / "examples" / "train_tiny"


@pytest.fixture(scope="module")
def lm() -> Iterator[ModuleType]:
    """The trainer, as its command imports it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TRAINING))
        yield importlib.import_module("lm")


def test_the_loss_of_the_head_is_cross_entropy(lm: ModuleType) -> None:
    """A fast loss whose value or gradients are others than those of the plain one."""
    rng = torch.Generator().manual_seed(0)
    hidden, head = torch.randn(30, 8, generator=rng), torch.randn(50, 8, generator=rng)
    target = torch.randint(50, (30,), generator=rng)
    results = []
    for loss in (lm.HeadLoss.apply, lambda x, w, y: F.cross_entropy(x @ w.T, y)):
        x, w = hidden.clone().requires_grad_(), head.clone().requires_grad_()
        value = loss(x, w, target)
        (3 * value).backward()
        results.append((value.detach(), x.grad, w.grad))
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain)


def test_only_codes_are_misheard(lm: ModuleType) -> None:
    """Text or markers that are no longer those of the speech; a share that is not the one stated."""
    first = 300
    ids = torch.arange(first + 4096 + 20).repeat(20, 1)
    made = lm.misheard(ids, first, torch.Generator().manual_seed(0))
    codes = (ids >= first) & (ids < first + 4096)
    assert torch.equal(made[~codes], ids[~codes])
    assert made[codes].min() >= first and made[codes].max() < first + 4096
    assert (made != ids)[codes].float().mean().item() == pytest.approx(lm.MISHEARD, abs=0.01)

"""Training of the embedded language model: its loss, its examples, and the initialisation of larger models."""

from __future__ import annotations

import importlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

TRAINING = Path(__file__).parents[2] / "examples" / "train_tiny"


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    """Yields the modules of the trainer, imported as by its command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TRAINING))
        yield {name: importlib.import_module(name) for name in ("lm", "grow")}


@pytest.fixture(scope="module")
def lm(modules: dict[str, ModuleType]) -> ModuleType:
    return modules["lm"]


def test_the_loss_of_the_head_is_cross_entropy(lm: ModuleType) -> None:
    """The fast loss has the value and the gradients of `cross_entropy`."""
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


def test_only_codes_are_corrupted(lm: ModuleType) -> None:
    """Text and markers are unchanged, and the stated share of codes is replaced by other codes."""
    first = 300
    ids = torch.arange(first + 4096 + 20).repeat(20, 1)
    made = lm.corrupted(ids, first, torch.Generator().manual_seed(0))
    codes = (ids >= first) & (ids < first + 4096)
    assert torch.equal(made[~codes], ids[~codes])
    assert made[codes].min() >= first and made[codes].max() < first + 4096
    assert (made != ids)[codes].float().mean().item() == pytest.approx(lm.CORRUPTED, abs=0.01)


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes a shard for training and one for evaluation: two voices, two styles, two takes of each."""
    folder = tmp_path_factory.mktemp("codes")
    lines: list[str] = []
    for take in range(8):
        for _ in range(5):
            start = len(lines) * 200
            row = {"text": "a dog", "kind": "words", "start": start, "length": 200, "session": f"0-{take}"}
            row |= {"speaker": f"p{take % 2}", "style": ("sad", "happy")[take // 2 % 2]}
            lines.append(json.dumps(row))
    for shard in ("0000", "0001"):
        np.save(folder / f"{shard}.npy", np.arange(len(lines) * 200, dtype=np.int16) % 4096)
        (folder / f"{shard}.jsonl").write_text("\n".join(lines))
    return folder


def test_examples_are_of_one_voice_and_passages_of_one_take(lm: ModuleType, codes: Path) -> None:
    """An example has one voice, a passage has one take, and no utterance is its own prompt."""
    corpus, rng = lm.Corpus(codes), random.Random(0)
    examples = [corpus._composed(rng) for _ in range(400)]
    for pieces in examples:
        assert len({p.speaker for p in pieces}) == 1 and len({id(p) for p in pieces}) == len(pieces)
        assert len({p.session for p in pieces[1:]}) <= 1
        assert sum(len(p.codes) for p in pieces) <= lm.LONGEST
    assert any(len({p.style for p in pieces}) == 2 for pieces in examples)
    assert any(len({p.session for p in pieces}) == 2 for pieces in examples)
    assert max(map(len, examples)) == 6


def llama(width: int, layers: int, heads: int, inner: int) -> LlamaForCausalLM:
    torch.manual_seed(width)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=40,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=2,
            head_dim=8,
            intermediate_size=inner,
            tie_word_embeddings=True,
            initializer_range=0.2,
        )
    )


def test_a_grown_model_has_the_logits_of_the_small_one_and_trains_all_weights(
    modules: dict[str, ModuleType],
) -> None:
    """The larger model starts with the small one's logits, and all of its weights get gradients."""
    small, large = llama(32, 3, 4, 48), llama(48, 5, 6, 64)
    modules["grow"].grow(small, large)
    ids = torch.randint(40, (2, 17))
    assert torch.allclose(small(ids).logits, large(ids).logits, atol=2e-3)
    for _ in range(3):  # a new weight gets a gradient once the weights after it are not 0
        large(ids, labels=ids).loss.backward()
        torch.optim.SGD(large.parameters(), 0.1).step()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in large.parameters())

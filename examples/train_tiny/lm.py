"""Trains the language model, a `LlamaForCausalLM` over characters and speech codes.

The model must first learn to condition on the text, so training begins with short random word strings. Then it uses
single utterances, and then combinations of up to 30 s: a voice prompt with another utterance in the same or another
style, or several utterances. The voice prompt and the target are different takes, so that a prompt can be continued
in more than one way; a passage has one take. Two values are logged: the validation loss with shuffled characters
minus the validation loss, and the validation loss minus the loss on training utterances (0.5 nats after five epochs
of 31 hours).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from examples.train_tiny import loop
from examples.train_tiny import tokenizer as tokens
from examples.train_tiny.grow import grow

SIZES = {"small": (160, 5, 5, 1, 480), "base": (256, 7, 4, 2, 768), "large": (384, 9, 6, 2, 1024)}
FOLDERS = {
    "small": "language_model-small",
    "base": "language_model",
    "large": "language_model-large",
}
BATCH_TOKENS = 4000
SHORT_UNTIL, SINGLE_UNTIL = 0.12, 0.40  # shares of the steps: short strings, then single utterances
LONGEST = 1500  # codes of one example: 30 s
CORRUPTED = 0.1  # share of the input codes that are replaced by random codes in training


def build(size: str = "base") -> LlamaForCausalLM:
    """Returns a new model; code embeddings are initialised from the codec's digits, so that similar codes are close."""
    width, layers, heads, kv_heads, inner = SIZES[size]
    tokenizer = tokens.build()
    torch.manual_seed(0)
    model: Any = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=kv_heads,
            head_dim=64 if size != "small" else 32,
            intermediate_size=inner,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    first = tokenizer.get_vocab()["<|s_0|>"]
    digits = (torch.arange(tokens.CODES)[:, None] // 4 ** torch.arange(6)) % 4
    directions = torch.randn(6, 4, width) * 0.02 / 6**0.5
    with torch.no_grad():
        structured = sum(directions[d, digits[:, d]] for d in range(6))
        model.get_input_embeddings().weight[first : first + tokens.CODES] = (
            structured + torch.randn(tokens.CODES, width) * 0.008
        )
    return model.to(loop.DEVICE)


@dataclass(frozen=True)
class Piece:
    """One utterance: the token ids of its text, its codes, and the properties for combinations."""

    text: list[int]
    codes: np.ndarray
    kind: str
    speaker: str
    style: str
    session: str


class Corpus:
    """The utterances of a folder of codes, and batches of examples with similar lengths."""

    def __init__(self, folder: Path, validation: bool = False) -> None:
        self.tokenizer = tokens.build()
        ids = self.tokenizer.get_vocab()
        self.first = ids["<|s_0|>"]
        self.end = ids["<|SPEECH_GENERATION_END|>"]
        self.space = ids[" "]
        self.head = [ids["<|user|>"], ids[tokens.INSTRUCTION], ids["<|TEXT_UNDERSTANDING_START|>"]]
        self.middle = [
            ids["<|TEXT_UNDERSTANDING_END|>"],
            ids["<|eot_id|>"],
            ids["<|assistant|>"],
            ids["<|SPEECH_GENERATION_START|>"],
        ]
        shards = sorted(folder.glob("*.jsonl"))
        self.pieces = [p for meta in (shards[-1:] if validation else shards[:-1]) for p in self._read(meta)]
        self.sessions: dict[str, list[Piece]] = {}
        for piece in self.pieces:
            self.sessions.setdefault(piece.session, []).append(piece)
        self.keys = sorted(self.sessions)
        self.takes: dict[tuple[str, ...], list[str]] = {}
        for key in self.keys:
            one = self.sessions[key][0]
            self.takes.setdefault((one.speaker,), []).append(key)
            self.takes.setdefault((one.speaker, one.style), []).append(key)
        by_length = sorted(self.pieces, key=lambda p: len(p.codes))
        self.singles = by_length
        self.short = [p for p in by_length if p.kind in ("words", "names") and len(p.codes) < 120]

    def _read(self, meta: Path) -> list[Piece]:
        codes_of_shard, pieces = np.load(meta.with_suffix(".npy")), []
        for line in meta.read_text().splitlines():
            row = json.loads(line)
            codes = codes_of_shard[row["start"] : row["start"] + row["length"]].astype(np.int64)
            text = self.tokenizer(row["text"], add_special_tokens=False)["input_ids"]
            pieces.append(Piece(text, codes, row["kind"], row["speaker"], row["style"], row["session"]))
        return pieces

    def example(self, pieces: list[Piece], shuffle: random.Random | None = None) -> tuple[list[int], int]:
        """Returns the token ids of one example and the position of its first speech token."""
        text: list[int] = []
        for piece in pieces:
            text += ([self.space] if text else []) + piece.text
        if shuffle is not None:
            shuffle.shuffle(text)
        prompt = [*self.head, *text, *self.middle]
        codes = np.concatenate([p.codes for p in pieces]) + self.first
        return [*prompt, *codes.tolist(), self.end], len(prompt)

    def _composed(self, rng: random.Random) -> list[Piece]:
        one = self.sessions[rng.choice(self.keys)]
        kind = rng.random()
        if kind < 0.15:  # one take
            return rng.sample(one, min(len(one), rng.choice([2, 2, 3])))
        prompt = rng.choice(one)
        if kind < 0.35:  # a voice prompt, and the same voice in any style
            return [prompt, *self._passage(rng, prompt, (prompt.speaker,), 1)]
        # the same style, with one or two utterances, or with three to five
        count = rng.choice([1, 1, 2]) if kind < 0.75 else rng.choice([3, 4, 5])
        return [prompt, *self._passage(rng, prompt, (prompt.speaker, prompt.style), count)]

    def _passage(
        self, rng: random.Random, prompt: Piece, takes: tuple[str, ...], count: int
    ) -> Iterator[Piece]:
        """Yields up to `count` utterances of one take, of at most 30 s together with the prompt."""
        take = [p for p in self.sessions[rng.choice(self.takes[takes])] if p is not prompt]
        total = len(prompt.codes)
        for piece in rng.sample(take, min(count, len(take))):
            total += len(piece.codes)
            if total > LONGEST:
                return
            yield piece

    def batch(self, step: int, progress: float) -> list[list[Piece]]:
        """Returns examples of similar lengths with about `BATCH_TOKENS` speech tokens in total."""
        rng = random.Random(step)
        if progress > SINGLE_UNTIL and rng.random() < 0.6:
            drawn = sorted(
                (self._composed(rng) for _ in range(64)), key=lambda ps: sum(len(p.codes) for p in ps)
            )
        else:
            pool = self.short if progress < SHORT_UNTIL else self.singles
            start = rng.randrange(max(1, len(pool) - 256))
            drawn = [[p] for p in pool[start : start + 256]]
        lengths = [sum(len(p.codes) for p in ps) for ps in drawn]
        first = rng.randrange(len(drawn))
        last = first
        while last + 1 < len(drawn) and _fits(last + 2 - first, lengths[last + 1]):
            last += 1
        while first > 0 and _fits(last + 2 - first, lengths[last]):
            first -= 1
        return drawn[first : last + 1]


def _fits(rows: int, longest: int) -> bool:
    """Returns whether this number of padded rows fits into a batch, by tokens and by attention memory."""
    return rows * longest <= BATCH_TOKENS and rows * longest**2 <= 4_000_000


class HeadLoss(torch.autograd.Function):
    """Mean cross-entropy of an output head. The forward pass computes both gradients, so that the logits are computed
    once, in place, and not stored (half the time of `cross_entropy` on a CPU)."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, head: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        logits = (hidden @ head.T).float()
        rows = torch.arange(len(target), device=target.device)
        peak, target_logits = logits.amax(-1, keepdim=True), logits[rows, target]
        e = logits.sub_(peak).exp_()
        total = e.sum(-1, keepdim=True)
        value = ((total.log() + peak)[:, 0] - target_logits).mean()
        e.div_(total * len(target))
        e[rows, target] -= 1 / len(target)
        gradient = e.to(hidden.dtype)
        ctx.save_for_backward(gradient @ head, gradient.T @ hidden)
        return value

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        to_hidden, to_head = ctx.saved_tensors
        return gradient * to_hidden, gradient * to_head, None


def corrupted(ids: torch.Tensor, first: int, rng: torch.Generator) -> torch.Tensor:
    """Returns token ids with a share `CORRUPTED` of the codes, which begin at id `first`, replaced by random codes.

    This reduces overfitting and prepares the model for its own errors.
    """
    wrong = (ids >= first) & (ids < first + tokens.CODES) & (torch.rand(ids.shape, generator=rng) < CORRUPTED)
    return torch.where(wrong, first + torch.randint(tokens.CODES, ids.shape, generator=rng), ids)


class Trainee:
    """A model in training, with compiled layers and a head that is restricted to speech codes and END."""

    def __init__(self, model: LlamaForCausalLM) -> None:
        self.model = model
        torch._dynamo.config.recompile_limit = 64  # with the default of 8, compilation stops early
        model.set_attn_implementation("eager")  # compiled, faster than sdpa at these sizes on a CPU
        self.layers = torch.compile(model.model, dynamic=True)

    def loss(
        self,
        corpus: Corpus,
        batch: list[list[Piece]],
        shuffle: random.Random | None = None,
        corruption: torch.Generator | None = None,
    ) -> tuple[torch.Tensor, int]:
        """Returns the mean cross-entropy of speech codes and END in nats, and their number.

        Rows are padded on the right, which causal attention does not attend to. With `corruption`, the input codes
        are `corrupted`; the targets stay the same.
        """
        examples = [corpus.example(pieces, shuffle) for pieces in batch]
        width = -(-max(len(ids) for ids, _ in examples) // 8) * 8
        ids = torch.zeros(len(examples), width, dtype=torch.long)
        is_target = torch.zeros(len(examples), width, dtype=torch.bool)
        for i, (row, begin) in enumerate(examples):
            ids[i, : len(row)] = torch.tensor(row)
            is_target[i, begin - 1 : len(row) - 1] = True
        target = ids.roll(-1, 1)[is_target]
        target = torch.where(target == corpus.end, tokens.CODES, target - corpus.first).to(loop.DEVICE)
        if corruption is not None:
            ids = corrupted(ids, corpus.first, corruption)
        with loop.autocast():
            hidden = self.layers(input_ids=ids.to(loop.DEVICE), use_cache=False).last_hidden_state
        table = self.model.model.embed_tokens.weight
        head = torch.cat([table[corpus.first : corpus.first + tokens.CODES], table[corpus.end, None]])
        rows = hidden[is_target.to(loop.DEVICE)].bfloat16()
        return HeadLoss.apply(rows, head.bfloat16(), target), len(target)


def train(
    codes_folder: Path,
    work: Path,
    steps: int,
    size: str = "base",
    rate: float = 1.5e-3,
    start: Path | None = None,
) -> None:
    """Trains the model and writes it with its tokenizer to its folder of `FOLDERS` in `work`, in transformers' format.

    Args:
        start: a folder in this format to initialise from, possibly of a smaller model; combinations are then
            used from the first step.
    """
    model, keep = build(size), 0.0
    if start is not None:
        began = LlamaForCausalLM.from_pretrained(start, dtype=torch.float32)
        grow(began, model)
        keep = 0.25 if began.num_parameters() == model.num_parameters() else 0.0
    trainee = Trainee(model)
    corpus, held = Corpus(codes_folder), Corpus(codes_folder, validation=True)
    hours = sum(len(piece.codes) for piece in corpus.pieces) / 180_000
    millions = model.num_parameters() / 1e6
    print(f"{len(corpus.pieces)} utterances, {hours:.1f} hours, {millions:.2f} M parameters", flush=True)

    def step_loss(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        batch = corpus.batch(step, step / steps if start is None else 1.0)
        value, count = trainee.loss(corpus, batch, corruption=torch.Generator().manual_seed(step))
        return value, {"loss": value.item(), "tokens": count}

    @torch.no_grad()
    def probe(step: int) -> dict[str, float]:
        batches = _singles(held)
        true = np.mean([trainee.loss(held, b)[0].item() for b in batches])
        shuffled = np.mean([trainee.loss(held, b, random.Random(2))[0].item() for b in batches])
        known = np.mean([trainee.loss(corpus, b)[0].item() for b in _singles(corpus)])
        if step % 2000 > 1000 or step + 1 == steps:
            export(model, work, size)
        measures = {"validation": true, "text matters by": shuffled - true, "overfitted by": true - known}
        return {name: float(value) for name, value in measures.items()}

    loop.train(
        model,
        step_loss,
        work / f"lm_{size}_train.pt",
        steps=steps,
        rate=rate,
        weight_decay=0.05,
        by_muon=[p for p in model.model.layers.parameters() if p.ndim == 2],
        keep=keep,
        probe=probe,
        probe_every=500,
    )
    export(model, work, size)


def _singles(corpus: Corpus) -> list[list[list[Piece]]]:
    """Returns batches of single utterances for the evaluation, always the same."""
    sample = [[p] for p in random.Random(1).sample(corpus.pieces, 160)]
    sample.sort(key=lambda ps: len(ps[0].codes))
    return [sample[i : i + 20] for i in range(0, 160, 20)]


def export(model: LlamaForCausalLM, work: Path, size: str) -> None:
    """Writes the model in half precision as safetensors, with the tokenizer and its chat template."""
    out = work / FOLDERS[size]
    half = LlamaForCausalLM(model.config)
    half.load_state_dict(model.state_dict())
    half.half().save_pretrained(out)
    tokens.build().save_pretrained(out)
    packed = out / "tokenizer.json"  # with indentation, it is twice as large
    packed.write_text(json.dumps(json.loads(packed.read_text()), separators=(",", ":")), encoding="utf-8")

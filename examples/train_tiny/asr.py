"""Trains the recogniser, an openai-whisper checkpoint with 10 s windows and characters as tokens.

With characters, it can write words that are not in its training data. The encoder has an additional CTC loss, whose
head is removed after training. The data are original recordings and resynthesised speech. Clips are complete,
concatenated, cropped at word boundaries, or changed by repeating, deleting or swapping words, so that the recogniser
transcribes errors and does not guess sentences. Silence has the empty transcript.
"""

from __future__ import annotations

import itertools
import json
import random
import string
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import whisper
from torch import Tensor, nn
from torchaudio.functional import forced_align
from whisper.model import ModelDimensions, Whisper, disable_sdpa
from whisper.tokenizer import get_tokenizer

from examples.train_tiny import loop, speech

DIMS = ModelDimensions(
    n_mels=80,
    n_audio_ctx=500,
    n_audio_state=128,
    n_audio_head=4,
    n_audio_layer=6,
    n_vocab=51864,
    n_text_ctx=448,
    n_text_state=128,
    n_text_head=4,
    n_text_layer=3,
)
ALPHABET = string.ascii_lowercase + "'"
CTC_SYMBOLS = "- " + ALPHABET  # index 0 is CTC's blank
BATCH = 24
TOKENIZER = get_tokenizer(multilingual=False)
PREFIX = list(TOKENIZER.sot_sequence_including_notimestamps)


def _single(text: str) -> int:
    (token,) = TOKENIZER.encode(text)
    return token


USED = [*PREFIX, TOKENIZER.eot, *(_single(c) for c in ALPHABET), *(_single(" " + c) for c in ALPHABET)]
LETTER = {c: USED.index(_single(c)) for c in ALPHABET}
INITIAL = {c: USED.index(_single(" " + c)) for c in ALPHABET}
END = USED.index(TOKENIZER.eot)


def spell(text: str) -> list[int]:
    """Returns the indices in `USED` of the text's characters; a word's first letter includes the space before it."""
    return [t for word in text.split() for t in (INITIAL[word[0]], *(LETTER[c] for c in word[1:]))]


class Speller(nn.Module):
    """Whisper's modules with embeddings of the used tokens only, and a CTC head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.whisper = Whisper(DIMS)
        width = DIMS.n_text_state
        self.embedding = nn.Parameter(torch.randn(len(USED), width) * 0.05)
        self.ctc = nn.Linear(width, len(CTC_SYMBOLS))
        nn.init.normal_(self.whisper.decoder.positional_embedding, std=0.01)
        self.whisper.decoder.token_embedding.weight.requires_grad_(False)

    def encode(self, mel: Tensor) -> Tensor:
        """Runs Whisper's encoder on windows up to its length: [batch, 80, 2 t] to [batch, t, width]."""
        encoder = self.whisper.encoder
        x = F.gelu(encoder.conv2(F.gelu(encoder.conv1(mel)))).permute(0, 2, 1)
        x = x + encoder.positional_embedding[: x.shape[1]]
        for block in encoder.blocks:
            x = block(x)
        return encoder.ln_post(x)

    def logits(self, tokens: Tensor, audio: Tensor) -> Tensor:
        """Returns next-token logits over `USED`: [batch, length, len(USED)]."""
        decoder = self.whisper.decoder
        x = F.embedding(tokens, self.embedding) + decoder.positional_embedding[: tokens.shape[1]]
        for block in decoder.blocks:
            x = block(x, audio, mask=decoder.mask)
        x = decoder.ln(x)
        x = torch.cat([x[..., :-1], torch.ones_like(x[..., -1:])], -1)  # see `export`
        return x @ self.embedding.to(x.dtype).T


def log_mel(audio: np.ndarray, frames: int) -> Tensor:
    """Returns Whisper's log-mel spectrogram of int16 audio, padded with silence to `frames` frames."""
    mel = whisper.log_mel_spectrogram(torch.from_numpy(audio.astype(np.float32) / 32768), padding=1600)
    floor = max(-1.5, float(mel.max()) - 2.0)  # the value of silence: (max(-10, peak - 8) + 4) / 4
    return F.pad(mel[:, :frames], (0, max(0, frames - mel.shape[1])), value=floor)


# int16 samples, their text, and the end of each word in samples, if known.
Clip = tuple[np.ndarray, str, list[int] | None]


class Clips:
    """Batches of clips with similar lengths; a batch depends only on the number of the step."""

    def __init__(self, folders: list[Path], ends: dict[str, list[int]]) -> None:
        self.ends = ends
        rows = [(row, audio) for folder in folders for row, audio in speech.read_shards(folder)]
        self.rows = sorted(rows, key=lambda pair: pair[0]["length"])

    def batch(self, step: int) -> list[tuple[np.ndarray, str]]:
        rng = random.Random(step)
        start = rng.randrange(len(self.rows) - 4 * BATCH)
        chosen = [self.rows[start + i] for i in rng.sample(range(4 * BATCH), BATCH)]
        batch: list[Clip] = [
            (np.asarray(audio), row["spoken"], self.ends.get(_key(row))) for row, audio in chosen
        ]
        kind = rng.random()
        if kind < 0.2:
            batch = [self._joined(a, batch[(i * 7 + 1) % BATCH], rng) for i, a in enumerate(batch)]
        elif kind < 0.4:
            batch = [self._cropped(a, rng) for a in batch]
        elif kind < 0.6:
            batch = [self._rearranged(a, rng) for a in batch]
        clips = [(self._augmented(audio, rng), text) for audio, text, _ in batch]
        if rng.random() < 0.3:
            clips[0] = (
                (
                    np.random.default_rng(step).standard_normal(len(clips[0][0])) * rng.choice([0, 3, 30])
                ).astype(np.int16),
                "",
            )
        return clips

    @staticmethod
    def _joined(a: Clip, b: Clip, rng: random.Random) -> Clip:
        gap = np.zeros(rng.randrange(0, 4000), np.int16)
        audio = np.concatenate([a[0], gap, b[0]])
        return (audio, f"{a[1]} {b[1]}", None) if len(audio) < 156_000 else a

    @staticmethod
    def _cropped(clip: Clip, rng: random.Random) -> Clip:
        """Crops a sequence of words at word boundaries if the word ends are known."""
        audio, text, ends = clip
        words = text.split()
        if not ends or len(words) < 3:
            return clip
        first = rng.choice([0, 0, rng.randrange(len(words) - 1)])
        last = rng.randrange(first, len(words))
        begin = ends[first - 1] if first else 0
        return audio[begin : ends[last]], " ".join(words[first : last + 1]), None

    @staticmethod
    def _rearranged(clip: Clip, rng: random.Random) -> Clip:
        """Repeats a word, deletes a word or swaps two words if the word ends are known."""
        audio, text, ends = clip
        words = text.split()
        if not ends or len(words) < 3:
            return clip
        order = list(range(len(words)))
        first, other = rng.sample(order, 2)
        change = rng.choice(["repeat", "delete", "swap"])
        if change == "repeat":
            order.insert(first, first)
        elif change == "delete":
            del order[first]
        else:
            order[first], order[other] = other, first
        begins = [0, *ends]
        audio = np.concatenate([audio[begins[i] : ends[i]] for i in order])
        return (audio, " ".join(words[i] for i in order), None) if len(audio) < 156_000 else clip

    @staticmethod
    def _augmented(audio: np.ndarray, rng: random.Random) -> np.ndarray:
        """Applies a random level, and in some cases noise, or silence at both ends."""
        audio = audio.astype(np.float32) * rng.uniform(0.3, 1.2)
        if rng.random() < 0.2:
            audio = np.pad(audio, (rng.randrange(8000), rng.randrange(8000)))
        if rng.random() < 0.3:
            audio = audio + np.random.default_rng(rng.randrange(1 << 30)).standard_normal(
                len(audio)
            ) * rng.uniform(1, 60)
        return audio.clip(-32768, 32767).astype(np.int16)


def _loss(model: Speller, clips: list[tuple[np.ndarray, str]], full: bool) -> tuple[Tensor, dict[str, float]]:
    longest = max(len(audio) for audio, _ in clips)
    frames = 1000 if full else min(1000, (longest // 160 // 16 + 2) * 16)
    mel = torch.stack([log_mel(audio, frames) for audio, _ in clips]).to(loop.DEVICE)
    spelled = [spell(text) for _, text in clips]
    rows = [[0, 1, *s, END] for s in spelled]  # indices 0 and 1 of USED are the prefix
    width = max(map(len, rows))
    tokens = torch.tensor([r + [END] * (width - len(r)) for r in rows], device=loop.DEVICE)
    weight = torch.tensor(
        [[0.0] + [1.0] * (len(r) - 2) + [0.0] * (width - len(r)) for r in rows], device=loop.DEVICE
    )
    with loop.autocast(), disable_sdpa():  # the backward pass of SDPA is slow on a CPU
        audio = model.encode(mel)
        logits = model.logits(tokens[:, :-1], audio).float()
        ctc = model.ctc(audio).float().log_softmax(-1)
    spelling = F.cross_entropy(
        logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none", label_smoothing=0.05
    )
    spelling = (spelling * weight.flatten()).sum() / weight.sum()
    targets = [torch.tensor([CTC_SYMBOLS.index(c) for c in text]) for _, text in clips]
    lengths = torch.tensor([min(frames // 2, len(a) // 320 + 6) for a, _ in clips])
    aligned = F.ctc_loss(
        ctc.transpose(0, 1),
        torch.cat(targets).to(loop.DEVICE),
        lengths,
        torch.tensor([len(t) for t in targets]),
        zero_infinity=True,
    )
    accuracy = ((logits.argmax(-1) == tokens[:, 1:]).float() * weight).sum() / weight.sum()
    return spelling + 0.5 * aligned, {
        "spelling": spelling.item(),
        "ctc": aligned.item(),
        "accuracy": accuracy.item(),
    }


def _key(row: dict[str, Any]) -> str:
    return f"{row['session']} {row['spoken']}"


@torch.no_grad()
def word_ends(model: Speller, audio: np.ndarray, text: str) -> list[int]:
    """Returns the sample at which each word of `text` ends, by CTC forced alignment."""
    mel = log_mel(audio, min(1000, (len(audio) // 160 // 2 + 4) * 2))[None].to(loop.DEVICE)
    frames = model.ctc(model.encode(mel)).float().log_softmax(-1)
    target = torch.tensor([[CTC_SYMBOLS.index(c) for c in text]], device=loop.DEVICE)
    path, _ = forced_align(frames, target)
    place = torch.cumsum((path[0] != 0) & (path[0] != F.pad(path[0], (1, 0), value=0)[:-1]), 0).tolist()
    spaces = [i + 1 for i, c in enumerate(text) if c == " "]
    return [min(len(audio), place.index(s) * 320) if s in place else len(audio) for s in spaces] + [
        len(audio)
    ]


def write_word_ends(checkpoint: Path, folder: Path, out: Path, shards: int) -> None:
    """Aligns the first shards of `folder`. Resynthesised speech has the same word ends and the same keys."""
    model = load(checkpoint).eval()
    found = {}
    for row, audio in itertools.islice(speech.read_shards(folder), shards * 1000):
        if " " in str(row["spoken"]) and len(audio) < 158_000:
            found[_key(row)] = word_ends(model, np.asarray(audio), str(row["spoken"]))
    out.write_text(json.dumps(found))


def export(model: Speller, path: Path) -> None:
    """Writes the model in Whisper's format. Untrained tokens have a constant logit of -30: the last feature of the
    decoder's output is 1, and their embeddings are -30 in this feature and 0 in all others."""
    exported, width = model.whisper, DIMS.n_text_state
    with torch.no_grad():
        table = torch.zeros(DIMS.n_vocab, width)
        table[:, -1] = -30.0
        table[USED] = model.embedding.float().cpu()
        exported.decoder.token_embedding.weight.copy_(table)
        exported.decoder.ln.weight[-1], exported.decoder.ln.bias[-1] = 0.0, 1.0
    state = {k: v.half().cpu() for k, v in exported.state_dict().items()}
    ctc = {k: v.half().cpu() for k, v in model.ctc.state_dict().items()}
    torch.save({"dims": vars(DIMS), "model_state_dict": state, "spelling": True, "ctc": ctc}, path)


def load(path: Path) -> Speller:
    """Loads a model that `export` wrote, for further training."""
    packed = torch.load(path, map_location="cpu", weights_only=True)
    model, table = Speller(), packed["model_state_dict"]["decoder.token_embedding.weight"]
    model.whisper.load_state_dict({k: v.float() for k, v in packed["model_state_dict"].items()})
    model.ctc.load_state_dict({k: v.float() for k, v in packed["ctc"].items()})
    with torch.no_grad():
        model.embedding.copy_(table[USED])
    return model.to(loop.DEVICE)


def train(
    folders: list[Path],
    work: Path,
    name: str,
    *,
    steps: int,
    rate: float,
    full_from: float,
    start: Path | None = None,
    ends: Path | None = None,
    keep: float = 0.0,
) -> None:
    """Trains on the clips of `folders` and writes `work/<name>.pt`.

    Args:
        full_from: the share of the steps after which every third batch is padded to the full window, as in
            inference; in the last tenth of the steps, all batches are padded.
        start: file of `export` to initialise the model from.
        ends: file of `write_word_ends`; without it, no clip is cropped.
        keep: as for `loop.train`.
    """
    known = json.loads(ends.read_text()) if ends else {}
    model = load(start) if start else Speller().to(loop.DEVICE)
    clips = Clips(folders, known)

    def step_loss(step: int) -> tuple[Tensor, dict[str, float]]:
        full = step >= max(0.9, full_from) * steps or (step >= full_from * steps and step % 3 == 0)
        return _loss(model, clips.batch(step), full)

    loop.train(model, step_loss, work / f"{name}_train.pt", steps=steps, rate=rate, keep=keep)
    export(model, work / f"{name}.pt")

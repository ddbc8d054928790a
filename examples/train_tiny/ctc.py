"""Trains the CTC model, a transformers `Wav2Vec2ForCTC` with 2 M parameters over characters.

It belongs to another model family than the Whisper recogniser, and is trained on other texts and voices. Its front
end for raw audio has one layer of long filters (`filters.py`), which takes less compute than the usual seven layers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

from examples.train_tiny import asr, loop, speech
from examples.train_tiny.filters import sinusoids

CHANNELS, WIDTH = 256, 400  # of the filters; 400 samples resolve formants but not harmonics
SYMBOLS = ["<pad>", "<s>", "</s>", "<unk>", "|", *asr.ALPHABET]  # padding is CTC's blank, "|" the space
FEATURES = Wav2Vec2FeatureExtractor(do_normalize=True)


def build() -> Wav2Vec2ForCTC:
    """Returns a new model, which is the same on every machine."""
    torch.manual_seed(0)
    model: Any = Wav2Vec2ForCTC(
        Wav2Vec2Config(
            vocab_size=len(SYMBOLS),
            pad_token_id=SYMBOLS.index("<pad>"),
            conv_dim=(CHANNELS, 192, 192, 192),
            conv_kernel=(WIDTH, 4, 3, 3),
            conv_stride=(160, 2, 1, 1),
            feat_extract_norm="layer",
            hidden_size=192,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=576,
            num_conv_pos_embeddings=31,
            num_conv_pos_embedding_groups=16,
            do_stable_layer_norm=True,
            apply_spec_augment=False,
            hidden_dropout=0.0,
            attention_dropout=0.0,
            activation_dropout=0.0,
            feat_proj_dropout=0.0,
            final_dropout=0.0,
            layerdrop=0.0,
        )
    )
    with torch.no_grad():
        model.wav2vec2.feature_extractor.conv_layers[0].conv.weight.copy_(sinusoids(CHANNELS, WIDTH))
    model.set_attn_implementation("eager")  # faster than sdpa at these sizes on a CPU
    return model.to(loop.DEVICE)


def train(
    folders: list[Path], work: Path, steps: int = 2500, ends: Path | None = None, start: Path | None = None
) -> None:
    """Trains on complete, concatenated and cropped clips of the verifiers' speech in `folders`; writes `work/ctc`.

    Args:
        ends: file of `asr.write_word_ends`; without it, no clip is cropped.
        start: exported folder to initialise from; None trains from scratch.
    """
    model = build()
    if start is not None:
        model.load_state_dict(Wav2Vec2ForCTC.from_pretrained(start, dtype=torch.float32).state_dict())
    clips = asr.Clips(folders, json.loads(ends.read_text()) if ends else {})

    def step_loss(step: int) -> tuple[Tensor, dict[str, float]]:
        audios, texts = zip(*clips.batch(step), strict=True)
        with loop.autocast():
            logits = model(_padded(audios).to(loop.DEVICE)).logits
        spelled = [[SYMBOLS.index(c) for c in text.replace(" ", "|")] for text in texts]
        loss = F.ctc_loss(
            logits.float().log_softmax(-1).transpose(0, 1),
            torch.tensor([symbol for each in spelled for symbol in each], device=loop.DEVICE),
            torch.full((len(texts),), logits.shape[1]),  # padding is silence and part of the input
            torch.tensor([len(each) for each in spelled]),
            zero_infinity=True,
        )
        return loss, {"loss": loss.item()}

    loop.train(model, step_loss, work / "ctc_train.pt", steps=steps, rate=1.5e-3 if start is None else 7e-4)
    export(model, work / "ctc")


def _padded(audios: tuple[np.ndarray, ...]) -> Tensor:
    """Returns int16 recordings as the model's input: [recordings, samples], padded with silence."""
    inputs = FEATURES([speech.to_float(a) for a in audios], sampling_rate=speech.SAMPLE_RATE, padding=True)
    return torch.from_numpy(np.stack(inputs["input_values"]))


def export(model: Wav2Vec2ForCTC, out: Path) -> None:
    """Writes a transformers folder with weights in half precision."""
    out.mkdir(parents=True, exist_ok=True)
    vocabulary = out / "vocab.json"
    vocabulary.write_text(json.dumps({symbol: i for i, symbol in enumerate(SYMBOLS)}))
    Wav2Vec2CTCTokenizer(str(vocabulary)).save_pretrained(out)
    FEATURES.save_pretrained(out)
    half = Wav2Vec2ForCTC(model.config)
    half.load_state_dict(model.state_dict())
    half.half().save_pretrained(out)


@torch.no_grad()
def evaluate(folder: Path, originals: Path, resynthesis: Path) -> dict[str, float]:
    """Returns corpus word error rates without a language model, and writes the scale into `folder`.

    The worst value of the scale is the median loss of speech with another text; the best value is 0.
    """
    from llasa_search.candidate import Utterance
    from llasa_search.verifiers import CTCAlignment

    loaded: Any = Wav2Vec2ForCTC.from_pretrained(folder, dtype=torch.float32)
    model = loaded.to(loop.DEVICE).eval()
    tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(folder)
    rates: dict[str, float] = {}
    rows: tuple[dict[str, Any], ...] = ()
    audios: tuple[np.ndarray, ...] = ()
    for name, source in (("originals", originals), ("resynthesis", resynthesis)):
        rows, audios = zip(*speech.read_shards(source), strict=True)
        best = [model(_padded((audio,)).to(loop.DEVICE)).logits[0].argmax(-1) for audio in audios]
        rates[name] = jiwer.wer([row["spoken"] for row in rows], tokenizer.batch_decode(best))
    wrong = [
        Utterance(row["spoken"], "en", speech.to_float(audio), speech.SAMPLE_RATE)
        for row, audio in zip(rows[1:], audios[:300], strict=False)
    ]
    losses = [score.value for score in CTCAlignment(str(folder)).score(wrong)]
    (folder / "scale.json").write_text(f"{json.dumps([round(float(np.nanmedian(losses)), 2), 0.0])}\n")
    return rates

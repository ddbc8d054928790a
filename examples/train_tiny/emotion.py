"""Trains the emotion model, a funasr emotion2vec with 0.7 M parameters that classifies the four styles.

The styles differ in pace, pitch and pitch range. The front end is therefore one layer of long filters, initialised as
a filter bank (`filters.py`), and 25 frames per second are sufficient. Additional heads, which are removed after
training, predict the pitch of each frame and the speaker of each crop. A style changes pitch and pace relative to the
speaker, and these heads shorten the training. A third additional head classifies styles by the direction of the
embedding, because `EmotionSimilarity` compares directions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from funasr.models.emotion2vec.model import Emotion2vec
from torch import Tensor, nn
from torchaudio.functional import detect_pitch_frequency

from examples.train_tiny import loop, pairs, speech
from examples.train_tiny.crops import Crops
from examples.train_tiny.filters import sinusoids

BATCH = 48
SEMITONES, LOWEST = 36, 60.0  # the pitch classes of a frame: three octaves above 60 Hz
SPEAKER_WEIGHT, ANGLE_WEIGHT = 0.3, 0.5  # relative to the losses of style and pitch
COSINE_SCALE = 16.0  # factor of the cosines before the softmax
CHANNELS, WIDTH = 256, 640  # of the filters; 640 samples resolve the harmonics of a low voice
LABELS = {
    "angry": "生气/angry",
    "happy": "开心/happy",
    "neutral": "中立/neutral",
    "sad": "难过/sad",
}
"""emotion2vec's names of the four styles, in its order; its other labels are not used."""
TOKENS = [*LABELS.values(), "<unk>"]
AUDIO = {
    "type": "AUDIO", "prenet_depth": 1, "prenet_layerdrop": 0.0, "prenet_dropout": 0.0,
    "start_drop_path_rate": 0.0, "end_drop_path_rate": 0.0, "num_extra_tokens": 1,
    "init_extra_token_zero": True, "mask_noise_std": 0.01, "mask_prob_min": None, "mask_prob": 0.5,
    "inverse_mask": False, "mask_prob_adjust": 0.05, "keep_masked_pct": 0.0, "mask_length": 5,
    "add_masks": False, "remove_masks": False, "mask_dropout": 0.0, "encoder_zero_mask": True,
    "mask_channel_prob": 0.0, "mask_channel_length": 64, "ema_local_encoder": False, "local_grad_mult": 1.0,
    "use_alibi_encoder": True, "alibi_scale": 1.0, "learned_alibi": False, "alibi_max_pos": None,
    "learned_alibi_scale": True, "learned_alibi_scale_per_head": True, "learned_alibi_scale_per_layer": False,
    "num_alibi_heads": 4, "model_depth": 3, "decoder": None, "extractor_mode": "layer_norm",
    "feature_encoder_spec": f"[({CHANNELS}, {WIDTH}, 160)] + [(128, 4, 2)] * 2",
    "conv_pos_width": 15, "conv_pos_groups": 4, "conv_pos_depth": 3, "conv_pos_pre_ln": False,
}  # fmt: skip
CONFIG: dict[str, Any] = {
    "model": "Emotion2vec",
    "model_conf": {
        "loss_beta": 0.0, "loss_scale": None, "depth": 2, "start_drop_path_rate": 0.0,
        "end_drop_path_rate": 0.0, "num_heads": 4, "norm_eps": 1e-5, "norm_affine": True,
        "encoder_dropout": 0.0, "post_mlp_drop": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0,
        "dropout_input": 0.0, "layerdrop": 0.0, "embed_dim": 128, "mlp_ratio": 2.0,
        "layer_norm_first": False, "average_top_k_layers": 3, "end_of_block_targets": False,
        "clone_batch": 1, "normalize": True, "modalities": {"audio": AUDIO},
    },
    "tokenizer": "CharTokenizer",
    "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
    "scope_map": [],
}  # fmt: skip


def build() -> Emotion2vec:
    """Returns a new model, which is the same on every machine."""
    torch.manual_seed(0)
    model = Emotion2vec(model_conf=CONFIG["model_conf"], vocab_size=len(TOKENS))
    with torch.no_grad():
        filters = model.modality_encoders["AUDIO"].local_encoder.conv_layers[0][0].weight
        filters.copy_(sinusoids(CHANNELS, WIDTH))
    return model.to(loop.DEVICE)


def train(folders: list[Path], work: Path, steps: int = 9000, start: Path | None = None) -> None:
    """Trains on crops of 0.5 to 4 s of `folders` and writes `work/emotion`.

    Args:
        start: exported folder to initialise from; None trains from scratch.
    """
    model, crops, styles = build(), Crops(folders, shortest=0.5, longest=4.0), list(LABELS)
    voices = [each.name for everyone in speech.POPULATIONS.values() for each in everyone.speakers]
    if start is not None:
        exported = torch.load(start / "model.pt", map_location=loop.DEVICE, weights_only=True)
        model.load_state_dict(exported["model"])
    width = CONFIG["model_conf"]["embed_dim"]
    pitch_head, speaker_head, style_directions = (
        nn.Linear(width, kinds, bias=False).to(loop.DEVICE) for kinds in (SEMITONES, len(voices), len(styles))
    )

    def step_loss(step: int) -> tuple[Tensor, dict[str, float]]:
        rows, audio = crops.batch(step, BATCH)
        with loop.autocast():
            inputs = F.layer_norm(audio, audio.shape[-1:]).to(loop.DEVICE)
            frames = model.extract_features(inputs, padding_mask=None)["x"]
            whole = frames.mean(1)
            logits, pitch_logits = model.proj(whole).float(), pitch_head(frames).float()
            # The speaker is predicted from the deviation over frames, so that the mean, the embedding, is for style.
            speaker_logits = speaker_head(frames.float().std(1)).float()
        cosines = F.linear(F.normalize(whole.float(), dim=-1), F.normalize(style_directions.weight, dim=-1))
        labels = torch.tensor([styles.index(str(row["style"])) for row in rows], device=loop.DEVICE)
        speakers = torch.tensor([voices.index(str(row["speaker"])) for row in rows], device=loop.DEVICE)
        # Without label smoothing, all candidates of one style would have a probability of 1.
        style = F.cross_entropy(logits, labels, label_smoothing=0.1)
        pitch = F.cross_entropy(pitch_logits.flatten(0, 1), pitches(audio, frames.shape[1]).flatten())
        speaker = F.cross_entropy(speaker_logits, speakers)
        angle = F.cross_entropy(COSINE_SCALE * cosines, labels, label_smoothing=0.1)
        accuracy = (logits.argmax(-1) == labels).float().mean()
        logs = {"style": style, "pitch": pitch, "speaker": speaker, "angle": angle, "accuracy": accuracy}
        total = style + pitch + SPEAKER_WEIGHT * speaker + ANGLE_WEIGHT * angle
        return total, {name: value.item() for name, value in logs.items()}

    learning = nn.ModuleDict(
        {"model": model, "pitch": pitch_head, "speaker": speaker_head, "style": style_directions}
    )
    matrices = [w for name, w in model.named_parameters() if "blocks" in name and w.ndim == 2]
    rate = 1e-3 if start is None else 6e-4
    loop.train(learning, step_loss, work / "emotion_train.pt", steps=steps, rate=rate, by_muon=matrices)
    export(model, work / "emotion")


def pitches(audio: Tensor, frames: int) -> Tensor:
    """Returns the pitch of each frame in semitones above `LOWEST`, int64 [batch, frames]; -100 for quiet frames."""
    half = F.avg_pool1d(audio, 2)
    found = detect_pitch_frequency(half, speech.SAMPLE_RATE // 2, 0.04, win_length=3, freq_high=480)
    level = audio.unfold(-1, 640, 640).square().mean(-1)
    places = torch.linspace(0, min(found.shape[1], level.shape[1]) - 1, frames).round().long()
    tones = (12 * (found[:, places] / LOWEST).log2()).round().clamp(0, SEMITONES - 1).long()
    quiet = level[:, places] < 0.05 * level.mean(-1, keepdim=True)
    return tones.masked_fill(quiet, -100).to(loop.DEVICE)


def export(model: Emotion2vec, out: Path) -> None:
    """Writes a funasr folder with weights in half precision."""
    out.mkdir(parents=True, exist_ok=True)
    torch.save({"model": {k: v.half().cpu() for k, v in model.state_dict().items()}}, out / "model.pt")
    (out / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    (out / "tokens.txt").write_text("\n".join(TOKENS) + "\n", encoding="utf-8")


def evaluate(folder: Path, originals: list[Path], resynthesis: list[Path]) -> dict[str, float]:
    """Returns the accuracy on recordings of training voices and held-out voices, at all strengths and at 0.5 and more;
    writes the scale into `folder`.
    """
    from llasa_search.verifiers.backends.emotion2vec import Emotion2Vec

    model = Emotion2Vec(str(folder))
    held_out = {speaker.name for speaker in speech.speakers(held_out=True)}
    rows: list[dict[str, Any]] = []
    embeddings, correct = [], {}
    for name, folders in (("originals", originals), ("resynthesis", resynthesis)):
        chosen = [pair for each in folders for pair in speech.read_shards(each)]
        rows = [row for row, _ in chosen]
        found = model.predict([speech.to_float(audio) for _, audio in chosen])
        embeddings.append(np.stack([each.embedding for each in found]))
        correct[name] = np.array(
            [
                model.labels[each.probabilities.argmax()] == LABELS[str(row["style"])]
                for row, each in zip(rows, found, strict=True)
            ]
        )
    strong = np.array([row["strength"] >= 0.5 for row in rows])
    original, resynthesised = (embedding[strong] for embedding in embeddings)
    delivered = [row for row, each in zip(rows, strong, strict=True) if each]
    # The best value of the scale: recordings of the same speaker in the same style.
    alike, _ = pairs.split(original, resynthesised, [f"{row['speaker']} {row['style']}" for row in delivered])
    _, other = pairs.split(original, resynthesised, [str(row["style"]) for row in delivered])
    pairs.write_scale(alike, other, folder)
    known = np.array([row["speaker"] not in held_out for row in rows])
    return {
        f"{name}, {voices} voices, {strengths}": float(found[which & at].mean())
        for name, found in correct.items()
        for voices, which in (("training", known), ("held-out", ~known))
        for strengths, at in (("strong", strong), ("all", np.ones_like(strong)))
    }

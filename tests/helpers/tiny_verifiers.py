"""Writes checkpoints of verifiers with random weights, in the formats of the real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from llasa_search.voice import Voice

SPOKEN = [Voice.builtin(name).text or "" for name in ("rms", "kal16", "slt")]

HYPERPARAMS = """
pretrained_path: {folder}
sample_rate: 16000
n_mels: 80
emb_dim: 24
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: [16, 16, 16, 16, 48]
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    groups: [1, 1, 1, 1, 1]
    attention_channels: 8
    res2net_scale: 4
    se_channels: 8
    lin_neurons: !ref <emb_dim>
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: !ref <emb_dim>
    out_neurons: 5
mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
    std_norm: False
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    mean_var_norm_emb: !ref <mean_var_norm_emb>
    classifier: !ref <classifier>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        classifier: !ref <classifier>
        label_encoder: !ref <label_encoder>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
        classifier: !ref <pretrained_path>/classifier.ckpt
        label_encoder: !ref <pretrained_path>/label_encoder.txt
"""


def write_ecapa(folder: Path) -> Path:
    """Writes a speechbrain folder of an ECAPA-TDNN."""
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN, Classifier

    folder.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ECAPA_TDNN(
            80,
            channels=[16, 16, 16, 16, 48],
            attention_channels=8,
            res2net_scale=4,
            se_channels=8,
            lin_neurons=24,
        )
        _shake(model)
        torch.save(model.state_dict(), folder / "embedding_model.ckpt")
        torch.save(Classifier(24, out_neurons=5).state_dict(), folder / "classifier.ckpt")
    labels = "".join(f"'speaker{i}' => {i}\n" for i in range(5))
    (folder / "label_encoder.txt").write_text(f"{labels}================\n'starting_index' => 0\n")
    (folder / "hyperparams.yaml").write_text(HYPERPARAMS.format(folder=folder))
    return folder


def write_xvector(folder: Path) -> Path:
    """Writes a transformers folder of a WavLMForXVector."""
    from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMForXVector

    config = WavLMConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        num_buckets=16,
        tdnn_dim=(16, 16, 16, 16, 24),
        xvector_output_dim=12,
        use_weighted_layer_sum=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        WavLMForXVector(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


def write_unispeech(path: Path) -> Path:
    """Writes a file in the layout of UniSpeech's speaker models, with its training head.

    Names and shapes are listed here, independently of the code under test.
    """
    hidden, inner, heads, buckets = 16, 24, 2, 16
    shapes: dict[str, tuple[int, ...]] = {"mask_emb": (hidden,), "layer_norm.weight": (8,)}
    shapes |= {
        "layer_norm.bias": (8,),
        "post_extract_proj.weight": (hidden, 8),
        "post_extract_proj.bias": (hidden,),
    }
    for i, kernel in enumerate((10, 3, 3, 3, 3, 2, 2)):
        where = f"feature_extractor.conv_layers.{i}"
        shapes |= {f"{where}.0.weight": (8, 8 if i else 1, kernel)}
        shapes |= {f"{where}.2.1.weight": (8,), f"{where}.2.1.bias": (8,)}
    shapes |= {"encoder.pos_conv.0.bias": (hidden,), "encoder.pos_conv.0.weight_g": (1, 1, 8)}
    shapes |= {"encoder.pos_conv.0.weight_v": (hidden, 8, 8)}
    shapes |= {"encoder.layer_norm.weight": (hidden,), "encoder.layer_norm.bias": (hidden,)}
    shapes |= {"encoder.layers.0.self_attn.relative_attention_bias.weight": (buckets, heads)}
    for i in range(2):
        where = f"encoder.layers.{i}"
        shapes |= {f"{where}.self_attn.grep_a": (1, heads, 1, 1)}
        shapes |= _linear(f"{where}.self_attn.grep_linear", hidden // heads, 8)
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            shapes |= _linear(f"{where}.self_attn.{name}", hidden, hidden)
        shapes |= _linear(f"{where}.fc1", hidden, inner) | _linear(f"{where}.fc2", inner, hidden)
        for name in ("self_attn_layer_norm", "final_layer_norm"):
            shapes |= {f"{where}.{name}.weight": (hidden,), f"{where}.{name}.bias": (hidden,)}
    shapes = {f"feature_extract.model.{name}": shape for name, shape in shapes.items()}
    shapes |= _unispeech_head(hidden)
    generator = torch.Generator().manual_seed(0)
    weights: dict[str, torch.Tensor] = {}
    for name, shape in shapes.items():
        random = 0.3 * torch.randn(shape, generator=generator)
        weights[name] = random.abs() + 0.5 if "running_var" in name or name.endswith("weight_g") else random
        if "num_batches" in name:
            weights[name] = torch.tensor(1)
    torch.save({"model": weights}, path)
    return path


def _unispeech_head(hidden: int) -> dict[str, tuple[int, ...]]:
    """Returns the names and shapes of the ECAPA part and its training head."""
    channels, pooled, dim = 16, 24, 12
    shapes: dict[str, tuple[int, ...]] = {"feature_weight": (3,)}
    shapes |= _convolution("layer1.conv", hidden, channels, 5) | _norm("layer1.bn", channels)
    for i in (2, 3, 4):
        for name in ("Conv1dReluBn1", "Conv1dReluBn2"):
            shapes |= _convolution(f"layer{i}.{name}.conv", channels, channels, 1)
            shapes |= _norm(f"layer{i}.{name}.bn", channels)
        for j in range(7):
            shapes |= _convolution(f"layer{i}.Res2Conv1dReluBn.convs.{j}", channels // 8, channels // 8, 3)
            shapes |= _norm(f"layer{i}.Res2Conv1dReluBn.bns.{j}", channels // 8)
        shapes |= _linear(f"layer{i}.SE_Connect.linear1", channels, 4)
        shapes |= _linear(f"layer{i}.SE_Connect.linear2", 4, channels)
    shapes |= _convolution("conv", 3 * channels, pooled, 1)
    shapes |= _convolution("pooling.linear1", pooled, 6, 1) | _convolution("pooling.linear2", 6, pooled, 1)
    shapes |= _norm("bn", 2 * pooled) | _linear("linear", 2 * pooled, dim)
    shapes |= {"loss_calculator.projection.weight": (5, dim)}
    return shapes


LABELS = ("生气/angry", "开心/happy", "中立/neutral", "难过/sad", "unuse_0", "<unk>")


EMOTION2VEC_AUDIO = {
    "type": "AUDIO", "prenet_depth": 1, "prenet_layerdrop": 0.0, "prenet_dropout": 0.0,
    "start_drop_path_rate": 0.0, "end_drop_path_rate": 0.0, "num_extra_tokens": 2,
    "init_extra_token_zero": True, "mask_noise_std": 0.01, "mask_prob_min": None, "mask_prob": 0.5,
    "inverse_mask": False, "mask_prob_adjust": 0.05, "keep_masked_pct": 0.0, "mask_length": 5,
    "add_masks": False, "remove_masks": False, "mask_dropout": 0.0, "encoder_zero_mask": True,
    "mask_channel_prob": 0.0, "mask_channel_length": 64, "ema_local_encoder": False,
    "local_grad_mult": 1.0, "use_alibi_encoder": True, "alibi_scale": 1.0, "learned_alibi": False,
    "alibi_max_pos": None, "learned_alibi_scale": True, "learned_alibi_scale_per_head": True,
    "learned_alibi_scale_per_layer": False, "num_alibi_heads": 2, "model_depth": 1, "decoder": None,
    "extractor_mode": "layer_norm",
    "feature_encoder_spec": "[(16, 10, 5)] + [(16, 3, 2)] * 4 + [(16, 2, 2)] + [(16, 2, 2)]",
    "conv_pos_width": 15, "conv_pos_groups": 4, "conv_pos_depth": 2, "conv_pos_pre_ln": False,
}  # fmt: skip
EMOTION2VEC_SHAPE = {
    "loss_beta": 0.0, "loss_scale": None, "depth": 1, "start_drop_path_rate": 0.0,
    "end_drop_path_rate": 0.0, "num_heads": 2, "norm_eps": 1e-5, "norm_affine": True,
    "encoder_dropout": 0.0, "post_mlp_drop": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0,
    "dropout_input": 0.0, "layerdrop": 0.0, "embed_dim": 32, "mlp_ratio": 2.0,
    "layer_norm_first": False, "average_top_k_layers": 1, "end_of_block_targets": False,
    "clone_batch": 1, "normalize": True, "modalities": {"audio": EMOTION2VEC_AUDIO},
}  # fmt: skip
EMOTION2VEC = {
    "model": "Emotion2vec",
    "model_conf": EMOTION2VEC_SHAPE,
    "tokenizer": "CharTokenizer",
    "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
    "scope_map": ["d2v_model.", "none"],
}


def write_emotion2vec(folder: Path) -> Path:
    """Writes a funasr folder of an emotion2vec."""
    import yaml
    from funasr.models.emotion2vec.model import Emotion2vec

    folder.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Emotion2vec(model_conf=EMOTION2VEC_SHAPE, vocab_size=len(LABELS))
        nn.init.normal_(model.proj.weight)
    # The released files prefix the weights that fairseq trained, and have more entries than the model.
    names = {name: name if name.startswith("proj") else f"d2v_model.{name}" for name in model.state_dict()}
    weights = {names[name]: weight for name, weight in model.state_dict().items()}
    torch.save({"model": {**weights, "d2v_model.decoder": torch.ones(1)}}, folder / "model.pt")
    (folder / "config.yaml").write_text(yaml.safe_dump(EMOTION2VEC))
    (folder / "tokens.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    return folder


def write_ctc(folder: Path) -> Path:
    """Writes a transformers folder of a Wav2Vec2ForCTC over capital letters, such as wav2vec2-base-960h."""
    import json
    import string

    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
    )

    folder.mkdir()
    symbols = ["<pad>", "<s>", "</s>", "<unk>", "|", *string.ascii_uppercase, "'"]
    vocabulary = {symbol: i for i, symbol in enumerate(symbols)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    config = Wav2Vec2Config(
        vocab_size=len(symbols),
        pad_token_id=0,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        initializer_range=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Wav2Vec2ForCTC(config).save_pretrained(folder)
    return folder


def write_unigram(folder: Path) -> tuple[Path, Path]:
    """Writes a uniform language model over the words of three built-in voices, and a small dictionary."""
    import pocketsphinx

    folder.mkdir()
    words = sorted({word for text in SPOKEN for word in text.lower().rstrip(".?").split()})
    ones = "\n".join(f"-1.5 {word}" for word in [*words, "</s>"]) + "\n-99 <s>"
    model, dictionary = folder / "unigram.arpa", folder / "small.dict"
    model.write_text(f"\\data\\\nngram 1={len(words) + 2}\n\n\\1-grams:\n{ones}\n\n\\end\\\n")
    known = {*words, "one", "we", "knew", "new", "two", "to", "three", "found", "coin"}
    entries = Path(pocketsphinx.get_model_path("en-us"), "cmudict-en-us.dict").read_text().splitlines(True)
    dictionary.write_text("".join(line for line in entries if line.split()[0].split("(")[0] in known))
    return model, dictionary


def _linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _convolution(name: str, inputs: int, outputs: int, kernel: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs, kernel), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    parts: Any = {part: (width,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {f"{name}.{part}": shape for part, shape in {**parts, "num_batches_tracked": ()}.items()}


@torch.no_grad()
def _shake(model: nn.Module) -> None:
    """Makes the statistics of normalisation random: 0 and 1 would hide faults."""
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.copy_(torch.rand_like(buffer) + 0.5)

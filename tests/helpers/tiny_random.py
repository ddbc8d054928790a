"""Writes a language model and a codec with few random weights, in the formats of the real ones."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Xcodec2FeatureExtractor, Xcodec2Model

MARKERS = (
    "<|TEXT_GENERATION_START|>", "<|TEXT_GENERATION_END|>", "<|TEXT_UNDERSTANDING_START|>",
    "<|TEXT_UNDERSTANDING_END|>", "<|SPEECH_GENERATION_START|>", "<|SPEECH_GENERATION_END|>",
    "<|SPEECH_UNDERSTANDING_START|>", "<|SPEECH_UNDERSTANDING_END|>",
)  # fmt: skip
TEMPLATE = (
    "{% for message in messages %}{{ '<|user|>' if message['role'] == 'user' else '<|assistant|>' }}"
    "{{ message['content'] }}<|eot_id|>{% endfor %}"
)


def write_pair(
    folder: Path,
    *,
    levels: tuple[int, ...] = (4, 4, 4),
    seed: int = 0,
    spread: float = 0.3,
    markers: tuple[str, ...] = MARKERS,
    template: str | None = TEMPLATE,
    letters: str = "",
    **config: object,
) -> Path:
    """Writes `folder/language_model` and `folder/codec`; returns the folder.

    Args:
        folder: to write into.
        levels: of the codec's quantiser; their product is the number of speech codes.
        seed: of the weights.
        spread: standard deviation of the language model's weights; larger gives less uniform probabilities.
        markers, template: of the tokenizer.
        letters: of the tokenizer, in addition to the English ones.
        config: of the Llama; replaces defaults.
    """
    codes = int(torch.tensor(levels).prod())
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        write_language_model(folder / "language_model", codes, spread, markers, template, config, letters)
        write_codec(folder / "codec", levels)
    return folder


def write_language_model(
    folder: Path,
    codes: int,
    spread: float,
    markers: tuple[str, ...],
    template: str | None,
    config: Mapping[str, Any],
    letters: str = "",
) -> None:
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    characters = ["<|pad|>", "<|unk|>", *" .,?!'-:", *string.ascii_lowercase, *string.digits, *letters]
    vocabulary = {token: index for index, token in enumerate(characters)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<|unk|>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    added = ("<|pad|>", "<|unk|>", "<|user|>", "<|assistant|>", "<|eot_id|>", *markers)
    speech = [f"<|s_{code}|>" for code in range(codes)]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in (*added, *speech)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<|pad|>", unk_token="<|unk|>")
    fast.chat_template = template
    fast.save_pretrained(folder)

    random_llama(len(fast), spread, **config).save_pretrained(folder)


def random_llama(vocabulary: int, spread: float = 0.3, **config: Any) -> LlamaForCausalLM:
    """Returns a Llama of two layers, whose norms and biases are random: ones and zeros would hide faults."""
    shape: dict[str, Any] = dict(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, max_position_embeddings=2048,
        tie_word_embeddings=True, rms_norm_eps=1e-5, initializer_range=spread,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(LlamaConfig(**{**shape, **config})).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name or "bias" in name:
                weight.add_(torch.randn_like(weight) * 0.2)
    return model


def write_codec(folder: Path, levels: tuple[int, ...]) -> None:
    from transformers import Wav2Vec2BertConfig, Xcodec2Config

    semantic = Wav2Vec2BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        feature_projection_input_dim=160, conv_depthwise_kernel_size=5,
    )  # fmt: skip
    config = Xcodec2Config(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, head_dim=16, encoder_hidden_size=2, quantization_levels=list(levels),
        quantization_dim=32 + 16, semantic_model_config=semantic,
    )  # fmt: skip
    model, features = Xcodec2Model(config).eval(), Xcodec2FeatureExtractor()
    spread_codes(model, features)
    model.save_pretrained(folder)
    features.save_pretrained(folder)


@torch.no_grad()
def spread_codes(model: Xcodec2Model, features: Xcodec2FeatureExtractor) -> None:
    """Scales the quantiser's input, so that the codes of a recording differ, and the decoder's output."""
    project = model.quantizer.project_in
    seen: list[torch.Tensor] = []
    hook = project.register_forward_hook(lambda _module, _inputs, output: seen.append(output[0]))
    model.encode(**features(torch.randn(16_000) * 0.1, sampling_rate=16_000, return_tensors="pt"))
    hook.remove()
    scale = 1 / seen[0].std(0)
    project.weight.mul_(scale[:, None])
    project.bias.copy_((project.bias - seen[0].mean(0)) * scale)
    model.acoustic_decoder.head.linear.weight.mul_(10)

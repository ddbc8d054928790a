"""Builds the embedded model's tokenizer: characters as text tokens, Llasa's markers, `<|s_N|>`, and a chat template."""

from __future__ import annotations

import string

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

CODES = 4096
CHARACTERS = " " + string.ascii_lowercase + string.digits + ".,?!'-:;"
INSTRUCTION = "Convert the text to speech:"
MARKERS = [
    "<|TEXT_GENERATION_START|>",
    "<|TEXT_GENERATION_END|>",
    "<|TEXT_UNDERSTANDING_START|>",
    "<|TEXT_UNDERSTANDING_END|>",
    "<|SPEECH_GENERATION_START|>",
    "<|SPEECH_GENERATION_END|>",
    "<|SPEECH_UNDERSTANDING_START|>",
    "<|SPEECH_UNDERSTANDING_END|>",
]
CHAT = ["<|user|>", "<|assistant|>", "<|eot_id|>", INSTRUCTION]
TEMPLATE = (
    "{% for message in messages %}{{ '<|user|>' if message['role'] == 'user' else '<|assistant|>' }}"
    "{{ message['content'] }}<|eot_id|>{% endfor %}"
)


def build() -> PreTrainedTokenizerFast:
    """Returns a tokenizer that lower-cases text, removes accents and maps unknown characters to `<|unk|>`."""
    vocabulary = {token: i for i, token in enumerate(["<|pad|>", "<|unk|>", *CHARACTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<|unk|>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    added = ["<|pad|>", "<|unk|>", *CHAT, *MARKERS, *(f"<|s_{i}|>" for i in range(CODES))]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in added])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        unk_token="<|unk|>",
        eos_token="<|SPEECH_GENERATION_END|>",
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = TEMPLATE
    return fast

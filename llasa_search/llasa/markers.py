"""The markers of a tokenizer: tokens that are not text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LLASA_MARKERS = (
    "<|TEXT_GENERATION_START|>", "<|TEXT_GENERATION_END|>", "<|TEXT_UNDERSTANDING_START|>",
    "<|TEXT_UNDERSTANDING_END|>", "<|SPEECH_GENERATION_START|>", "<|SPEECH_GENERATION_END|>",
    "<|SPEECH_UNDERSTANDING_START|>", "<|SPEECH_UNDERSTANDING_END|>",
)  # fmt: skip
"""What Llasa adds to the tokenizer of Llama 3, beside the speech tokens."""

LLAMA_MARKERS = frozenset(
    f"<|{name}|>"
    for name in (
        "begin_of_text", "end_of_text", "start_header_id", "end_header_id", "eot_id", "eom_id", "step_id",
        "python_tag", "finetune_right_pad_id", "reserved_special_token_N",
        "system", "user", "assistant", "tool", "end", "im_start", "im_end", "pad", "unk",
    )
)  # fmt: skip
"""Of Llama 3, and those that chat templates often build from the names of roles."""


def special_markers(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Returns the markers, such as `<|YUE_START|>`, that a model adds to Llama 3, each once; `<|s_N|>` for a number.

    Those that its chat template writes, and its own padding and unknown tokens, are left out.
    """
    template = str(tokenizer.chat_template)
    own = {*LLAMA_MARKERS, tokenizer.pad_token, tokenizer.unk_token, tokenizer.bos_token, tokenizer.eos_token}
    found = [token for token in tokenizer.get_added_vocab() if re.fullmatch(r"<\|.+\|>", token)]
    return [
        each
        for each in dict.fromkeys(re.sub(r"\d+", "N", token) for token in found if token not in template)
        if each not in own
    ]

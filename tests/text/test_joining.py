"""Texts are joined as their scripts are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llasa_search.llasa.context_window import fit
from llasa_search.llasa.prompt_format import LlasaFormat
from llasa_search.sampling import Sampling
from llasa_search.text.cleaning import clean_text
from llasa_search.text.joining import join_texts
from llasa_search.voice import Prompt, Step, Voice


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        (["你好。", "突然他走了。"], "你好。突然他走了。"),
        (["你好.", "突然他走了."], "你好.突然他走了."),  # was "你好. 突然", whose tokens differ
        (["“你去哪儿？”", "《红楼梦》。"], "“你去哪儿？”《红楼梦》。"),
        (["房间是302,", "请进"], "房间是302,请进"),
        (["こんにちは。", "カタカナ"], "こんにちは。カタカナ"),
        (["我用iPhone。", "OK，走吧。"], "我用iPhone。OK，走吧。"),
        (["我用iPhone", "他用手机"], "我用iPhone 他用手机"),
        (["안녕하세요.", "반갑습니다."], "안녕하세요. 반갑습니다."),
        (["He left.", "She stayed.", ""], "He left. She stayed."),
        ([" one\ttwo ", "", " three"], "one two three"),
    ],
)
def test_scripts_without_spaces_are_joined_without_spaces(parts: list[str], joined: str) -> None:
    """Between two Chinese or Japanese characters there is no space; elsewhere there is one."""
    assert join_texts(parts) == joined


def test_lines_of_a_chinese_text_are_joined() -> None:
    """A line break between Chinese characters is removed, in texts and in transcripts (it became a space)."""
    assert clean_text("今天天气很好，\n我们走吧。\nOK?") == "今天天气很好，我们走吧。OK?"
    voice = Voice(np.random.default_rng(0).normal(0, 0.1, 8000), "今天\n天气 很好", 16_000)
    assert voice.text == "今天天气 很好"


def test_the_prompt_joins_voice_history_and_text(pair_path: Path, noise: Any) -> None:
    """The language model reads one text."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(pair_path / "language_model")
    tokenizer.add_tokens(list("你好突然他走了。"))
    form = LlasaFormat(tokenizer)
    codes = np.zeros(0, np.int32)
    prompt = Prompt(
        "他走了。",
        "zh",
        Voice(noise(1.0), "你好。", 16_000),
        (Step("突然。", codes), Step("ok.", codes), Step("you.", codes)),
    )
    ids = fit(prompt, Sampling(), form, 320, 50.0, 2048).text_ids
    assert ids == form.prompt_ids("你好。突然。ok. you. 他走了。", codes)

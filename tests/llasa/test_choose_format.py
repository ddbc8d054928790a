"""Fine-tunes: a prompt format is found or named, and a checkpoint that no format explains is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from llasa_search import Budget, Sampling, Searcher, registry, search
from llasa_search.cli.check import run_checks
from llasa_search.errors import InputError, ModelError
from llasa_search.llasa.model import Llasa
from llasa_search.llasa.prompt_format import LlasaFormat
from llasa_search.llasa.testing import PromptFormatContract
from tests.conftest import Outcome
from tests.helpers.tiny_random import MARKERS, TEMPLATE, write_pair
from tests.helpers.verifiers import Frames

YUE = ("<|YUE_START|>", "<|YUE_END|>")
YUE_SPEC = "llasa:text_start='<|YUE_START|>',text_end='<|YUE_END|>',languages=['yue']"
KORE = "Speaker kore "
NO_CODES = np.zeros(0, np.int32)


@dataclass(eq=False)
class YueFormat(LlasaFormat):
    """A format with other markers, such as another package could have."""

    text_start: str = YUE[0]
    text_end: str = YUE[1]
    languages: frozenset[str] = frozenset({"yue"})


@pytest.fixture(scope="module")
def yue_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llasa that was trained on with two more markers."""
    return write_pair(tmp_path_factory.mktemp("yue"), markers=(*MARKERS, *YUE))


def with_template(pair_path: Path, folder: Path, template: str) -> Path:
    """Returns a copy of the pair with another chat template."""
    shutil.copytree(pair_path, folder)
    (folder / "language_model" / "chat_template.jinja").write_text(template)
    return folder


def written(llasa: Llasa, text: str = "hello") -> str:
    """Returns a prompt as text; the tokenizer has lower case only, one token per character."""
    tokens: Any = llasa.format
    ids = tokens.prompt_ids(text, NO_CODES)
    return "".join(tokens.tokenizer.convert_ids_to_tokens(ids))


def test_markers_that_no_format_explains_are_refused(yue_path: Path) -> None:
    """The model loaded and spoke wrongly. The error names the markers and what to pass."""
    with pytest.raises(ModelError) as error:
        search.generate("hello", model=yue_path, verifiers=Frames(), gate=None)
    message = str(error.value)
    assert "\n" not in message and all(marker in message for marker in YUE) and "--prompt-format" in message


@pytest.mark.parametrize("given", [YUE_SPEC, YueFormat], ids=["named", "class"])
def test_markers_can_be_given(yue_path: Path, given: Any) -> None:
    """By arguments in the syntax of strategies, or by a class."""
    llasa = Llasa.from_pretrained(yue_path, prompt_format=given)
    assert "<|YUE_START|>hello<|YUE_END|>" in written(llasa)
    assert llasa.format.languages == {"yue"}


def test_the_format_is_a_setting_of_the_result(yue_path: Path) -> None:
    searcher = Searcher(yue_path, Frames(), "best_of_n:n=1", gate=None, prompt_format="llasa")
    result = searcher.generate("hello", sampling=Sampling(max_seconds=0.2), budget=Budget(candidates=1))
    assert result.settings["prompt_format"] == "llasa"


def test_an_assistant_prefix_and_a_system_prompt(pair_path: Path) -> None:
    """Each is at its position in training: before the start of speech, or in a separate turn."""
    spec = f"llasa:assistant_prefix={KORE!r},system='be calm'"
    prompt = written(Llasa.from_pretrained(pair_path, prompt_format=spec))
    assert prompt.startswith(
        "<|assistant|>be calm<|eot_id|><|user|>convert"
    )  # this template has no system turn
    assert prompt.endswith(
        "<|TEXT_UNDERSTANDING_END|><|eot_id|><|assistant|>speaker kore <|SPEECH_GENERATION_START|>"
    )


def test_a_prefix_in_the_chat_template_is_found(tmp_path: Path, pair_path: Path) -> None:
    template = TEMPLATE.replace("'<|assistant|>'", f"'<|assistant|>{KORE}'")
    llasa = Llasa.from_pretrained(with_template(pair_path, tmp_path / "kore", template))
    assert written(llasa).endswith("<|assistant|>speaker kore <|SPEECH_GENERATION_START|>")


REFUSED = {
    "adds markers": TEMPLATE.replace(
        "{{ message['content'] }}", "<|TEXT_UNDERSTANDING_START|>{{ message['content'] }}"
    ),
    "changes a turn": TEMPLATE.replace(
        "message['content']", "message['content'] | replace('Convert', 'Say')"
    ),
    "depends on the turns": "{{ messages[0]['content'] | length }}" + TEMPLATE,
    "fails": "{{ raise_exception('no') }}" + TEMPLATE,
    "fails: .*final message": "{{ messages[0]['content'] }}",
    "adds markers, or text": TEMPLATE + "{{ messages[-1]['content'] }}",
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_template_that_lays_out_another_prompt_is_refused(
    tmp_path: Path, pair_path: Path, what: str
) -> None:
    """By "auto" and by name, in one line."""
    folder = with_template(pair_path, tmp_path / "pair", REFUSED[what])
    for name in ("auto", "llasa"):
        with pytest.raises(ModelError, match=what) as error:
            Llasa.from_pretrained(folder, prompt_format=name)
        assert "\n" not in str(error.value)


def test_a_template_without_a_place_for_a_system_prompt(tmp_path: Path, pair_path: Path) -> None:
    """It would be left out silently."""
    template = "{% set messages = messages[-2:] %}" + TEMPLATE
    folder = with_template(pair_path, tmp_path / "pair", template)
    with pytest.raises(ModelError, match="leaves out the system prompt"):
        Llasa.from_pretrained(folder, prompt_format="llasa:system='be calm'")


def offer(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    entry = EntryPoint(name, value, registry.prompt_formats.group)
    monkeypatch.setitem(registry.prompt_formats.entries, name, entry)


def test_a_plug_in_is_found(monkeypatch: pytest.MonkeyPatch, yue_path: Path, pair_path: Path) -> None:
    """It matches its own models only; a package that cannot be imported is passed over."""
    offer(monkeypatch, "yue", f"{__name__}:YueFormat")
    offer(monkeypatch, "broken", "no.such.module:Format")
    assert Llasa.from_pretrained(yue_path).format_name == "yue"
    assert Llasa.from_pretrained(pair_path).format_name == "llasa"


def test_two_formats_that_match_are_refused(monkeypatch: pytest.MonkeyPatch, yue_path: Path) -> None:
    """The error names both; either can be named."""
    offer(monkeypatch, "yue", f"{__name__}:YueFormat")
    offer(monkeypatch, "yue_too", f"{__name__}:YueFormat")
    with pytest.raises(ModelError, match=r"yue, yue_too match .*--prompt-format"):
        Llasa.from_pretrained(yue_path)
    assert Llasa.from_pretrained(yue_path, prompt_format="yue_too").format_name == "yue_too"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("lasa", "did you mean 'llasa'"),
        ("llasa:prefix='x'", "takes assistant_prefix='', system=''"),
        ("llasa:assistant_prefix", "name=value"),
        ("llasa:system=3", "give a text"),
        ("llasa:text_start=''", "give a text"),
        ("llasa:speech_token='<|s|>'", "write {} for the number"),
        ("llasa:languages=['xx']", "give codes"),
        (7, "give a name"),
    ],
)
def test_bad_arguments_are_refused(pair_path: Path, given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Llasa.from_pretrained(pair_path, prompt_format=given)


def test_on_the_command_line(cli: Callable[..., Outcome], tmp_path: Path, yue_path: Path) -> None:
    """Wrong use has exit code 2, a checkpoint that cannot be used 1; `check` shows the prompt."""
    say = ("say", "hello", "--model", yue_path, "-o", tmp_path / "out.wav")
    assert (cli(*say).code, cli(*say, "--prompt-format", "lasa").code) == (1, 2)
    shown = {each.name: each for each in run_checks(yue_path, prompt_format=YUE_SPEC)}["prompt format"]
    assert shown.passed and "languages yue" in shown.detail and "<|YUE_START|>" in shown.detail
    refused = run_checks(yue_path)[-1]
    assert (refused.name, refused.passed) == ("prompt format", False) and "<|YUE_START|>" in refused.detail


class TestLlasaFormat(PromptFormatContract):
    """Llasa's own format, on the embedded tokenizer."""

    def tokenizer(self) -> Any:
        from llasa_search.checkpoints.names import TINY

        return AutoTokenizer.from_pretrained(TINY / "language_model")

    def make(self, tokenizer: Any) -> LlasaFormat:
        return LlasaFormat(tokenizer)


class TestPrefixed(TestLlasaFormat):
    """A prefix and a system prompt."""

    def make(self, tokenizer: Any) -> LlasaFormat:
        return LlasaFormat(tokenizer, assistant_prefix=KORE, system="Be calm.")


class TestYueFormat(TestLlasaFormat):
    """Other markers, and other speech tokens."""

    def tokenizer(self) -> Any:
        tokenizer = super().tokenizer()
        speech = [f"<|speech_{code}|>" for code in range(8)]
        tokenizer.add_special_tokens({"additional_special_tokens": [*YUE, *speech]})
        return tokenizer

    def make(self, tokenizer: Any) -> LlasaFormat:
        return SpeechNFormat(tokenizer)


@dataclass(eq=False)
class SpeechNFormat(YueFormat):
    """Other speech tokens too."""

    speech_token: str = "<|speech_{}|>"

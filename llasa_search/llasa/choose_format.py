"""Chooses the prompt format of a checkpoint: the one that is named, or the only one that matches its tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from llasa_search import registry
from llasa_search.errors import InputError, ModelError, short_repr
from llasa_search.llasa.markers import LLASA_MARKERS, special_markers
from llasa_search.llasa.prompt_format import PromptFormat

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

AUTO = "auto"

PromptFormatLike: TypeAlias = "str | Callable[[PreTrainedTokenizerBase], PromptFormat]"


def require_known(spec: PromptFormatLike) -> None:
    """Checks that a prompt format exists, before anything is loaded.

    Raises:
        InputError: nothing has that name, or it is neither a name nor a class or function of a tokenizer.
    """
    if isinstance(spec, str):
        if spec != AUTO:
            registry.prompt_formats.get(spec.partition(":")[0].strip())
    elif not callable(spec):
        raise InputError(
            f"prompt_format={short_repr(spec)}: give a name, or a class or function of a tokenizer"
        )


def choose_format(
    spec: PromptFormatLike, tokenizer: PreTrainedTokenizerBase, where: str
) -> tuple[str, PromptFormat]:
    """Returns the name and the prompt format of a checkpoint.

    Args:
        spec: "auto" for the only registered format that matches; a name with arguments, such as
            "llasa:assistant_prefix='Speaker kore '"; or a class or function of a tokenizer.
        tokenizer: the checkpoint's.
        where: the checkpoint, for messages.

    Raises:
        InputError: nothing has that name, or it does not take these arguments.
        ModelError: no format matches, or several do; or the chat template does not fit the format.
    """
    if not isinstance(spec, str):
        return getattr(spec, "__name__", str(spec)), spec(tokenizer)
    if spec != AUTO:
        form: PromptFormat = registry.prompt_formats.make(spec, tokenizer)
        return spec, form
    matching = list(_matching(tokenizer))
    if len(matching) != 1:
        raise ModelError(_ambiguous(matching, tokenizer, where))
    return matching[0], registry.prompt_formats.make(matching[0], tokenizer)


def _matching(tokenizer: PreTrainedTokenizerBase) -> Iterator[str]:
    """The names of the registered formats that match."""
    for name in registry.prompt_formats.entries:
        try:
            if registry.prompt_formats.get(name).matches(tokenizer):
                yield name
        except Exception:  # a package that is broken can still be named
            continue


def _ambiguous(matching: list[str], tokenizer: PreTrainedTokenizerBase, where: str) -> str:
    if matching:
        return f"the prompt formats {', '.join(matching)} match {where}: choose one with --prompt-format"
    missing = [marker for marker in (*LLASA_MARKERS[2:6], "<|s_0|>") if marker not in tokenizer.get_vocab()]
    more = [marker for marker in special_markers(tokenizer) if marker not in (*LLASA_MARKERS, "<|s_N|>")]
    found = [f"does not have {', '.join(missing)}"] if missing else []
    found += [f"has {' '.join(more)[:200]}, which no format uses"] if more else []
    return (
        f"no prompt format ({', '.join(registry.prompt_formats.entries)}) matches {where}: its tokenizer "
        f"{' and '.join(found)}. Name the format that it was trained with: --prompt-format llasa, or with its markers, "
        "--prompt-format \"llasa:text_start='<|X_START|>',text_end='<|X_END|>'\""
    )

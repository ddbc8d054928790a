"""Reads the texts of a study: a built-in set, a seed-tts-eval list, JSON lines, or plain texts."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from llasa_search.checkpoints.names import TINY
from llasa_search.errors import InputError
from llasa_search.evaluation.list_formats import read_lines
from llasa_search.evaluation.manifest import Entry, read_manifest
from llasa_search.registry import suggest
from llasa_search.text.cleaning import clean_text
from llasa_search.text.language import language_of
from llasa_search.voice import Voice

TEXTS = TINY / "texts"
LLASA = ("en", "zh")
"""Languages of Llasa, among which that of a text without one is detected, unless it is clearly in another."""

SETS = ("dev", "standard", "hard")


@dataclass(frozen=True)
class Case:
    """One text to speak.

    Attributes:
        id: unique within a study.
        text: as it is written.
        language: of the text.
        voice: the voice prompt, or None for speech in any voice.
        spoken: the words that are spoken, with numbers spelt out; the judges compare with these.
        kind: of text, such as "numbers"; "" if unknown.
    """

    id: str
    text: str
    language: str
    voice: Voice | None
    spoken: str
    kind: str = ""


def read_cases(
    source: str | os.PathLike[str] | Sequence[str], limit: int | None = None, language: str | None = None
) -> list[Case]:
    """Returns the cases of a set, in order, or the first `limit` of them.

    Args:
        source: "dev", "standard" or "hard" (in this package, with its voices); the path of a seed-tts-eval
            `meta.lst`, of a JSON lines file as in `read_manifest`, or of a `.txt` file with one text per line;
            or a list of texts, without a voice prompt.
        limit: at least 1; None for all.
        language: of texts without one; None detects it. The built-in sets are English.

    Raises:
        InputError: there is no such set or file, it is empty, or a line of it is broken.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit={limit}: give 1 or more, or omit it for all")
    if not isinstance(source, str | os.PathLike):
        texts = ((f"text {i}", text) for i, text in enumerate(source))
        return list(islice(_texts(texts, language), limit))
    if source in SETS:
        return list(islice(_built_in(str(source)), limit))
    path = Path(source)
    if not path.exists():
        raise InputError(f"there is no set or file {str(source)!r}; {suggest(str(source), SETS)}")
    if path.suffix == ".txt":
        texts = ((f"{path}, line {number},", line) for number, line in read_lines(path))
        found = list(islice(_texts(texts, language), limit))
        if not found:
            raise InputError(f"{path} is empty: give one text per line")
        return found
    return [
        Case(
            entry.id,
            entry.text,
            language_of(entry.text, entry.language, LLASA),
            _voice(entry, path),
            spoken=entry.text,
        )
        for entry in read_manifest(path, recorded=False, language=language)[:limit]
    ]


def _voice(entry: Entry, path: Path) -> Voice | None:
    try:
        return None if entry.prompt is None else Voice(entry.prompt, entry.prompt_text)
    except InputError as error:
        raise InputError(f"{path}, {entry.id}: {error}") from error


def turns(name: str) -> Iterator[tuple[str, str, bool]]:
    """Yields voice, style and whether the voice is the prompt, for each text of a built-in set in order.

    A round has, for each voice, one text with each style as the prompt and one text without a prompt.
    The order within a round is random, so that no kind of text always has the same voice.
    """
    voices = [(voice, Voice.styles(voice)) for voice in Voice.builtins()]
    deck = [(voice, style, True) for voice, styles in voices for style in styles]
    deck += [(voice, styles[i % len(styles)], False) for i, (voice, styles) in enumerate(voices)]
    rng = random.Random(f"voices of {name}")
    while True:
        yield from rng.sample(deck, len(deck))


def _built_in(name: str) -> Iterator[Case]:
    lines = (TEXTS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    for line, (voice, style, prompted) in zip(lines, turns(name), strict=False):
        prompt = Voice.builtin(voice, style) if prompted else None
        yield Case(**json.loads(line), language="en", voice=prompt)


def _texts(texts: Iterable[tuple[str, str]], language: str | None) -> Iterator[Case]:
    """Yields cases without a voice prompt, from pairs of a name for messages and a text."""
    for i, (what, given) in enumerate(texts):
        text = clean_text(given, what)
        yield Case(f"{i:04d}", text, language_of(text, language, LLASA), None, text)

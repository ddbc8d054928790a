"""Rules of style that a formatter does not check: short functions, and the field's standard terms."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_BODY_LINES = 40

WORDS = (
    "hear hears heard hearing unheard listen listens listened listening listener listeners kin kinship worthiest "
    "demerit demerits till anew verdict verdicts surely"
)
FORBIDDEN = re.compile(
    rf"(?<![a-z])(?:{WORDS.replace(' ', '|')})(?![a-z])"
    r"|(?<!// )(?<![\w.])\d+(?:\.\d+)? %"  # not integer division and modulo
    r"|(?<![\w.)}\]:\\\"'`])\.\d+\b(?![\"'`])",  # not a format, a suffix or an attribute
    re.IGNORECASE,
)
"""Words for which the project uses the field's standard term, percentages with a space, and numbers like .65."""

ALLOWED = (
    ("examples/train_tiny/words.py", "saw heard loved"),
    ("examples/train_tiny/words.py", "see hear love"),
)
"""Files and phrases in which a forbidden word is right, such as training texts or a human listener."""


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Returns the lines of a function below its signature and docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def long_functions() -> set[str]:
    found = set()
    for path in tracked("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and body_lines(node) > MAX_BODY_LINES:
                found.add(f"{path.relative_to(ROOT)}: {node.name}")
    return found


def test_functions_have_at_most_40_lines() -> None:
    assert long_functions() == set()


def forbidden_words() -> Counter[str]:
    """Returns the number of forbidden words in each file."""
    found: Counter[str] = Counter()
    for path in set(tracked("*.py", "*.md", "*.toml", "*.yml")) - {Path(__file__)}:
        name, text = path.relative_to(ROOT).as_posix(), path.read_text("utf-8")
        for file, phrase in ALLOWED:
            text = text.replace(phrase, "") if file == name else text
        found[name] = len(FORBIDDEN.findall(text))
    return +found


def test_texts_use_the_standard_terms() -> None:
    assert forbidden_words() == {}

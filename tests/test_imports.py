"""What may be imported when, from where, and in which direction."""

from __future__ import annotations

import ast
import graphlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import llasa_search

ROOT = Path(__file__).parent.parent
PACKAGE = Path(llasa_search.__file__).parent
HEAVY = ("torch", "transformers", "whisper", "funasr", "speechbrain", "jiwer")


def python(code: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "code",
    [
        "import llasa_search",
        "import llasa_search.cli",
        "from llasa_search import Budget, Sampling, Voice, search",
        "from llasa_search.verifiers import WER; print(0.5 * WER())",
        "from llasa_search.strategies import as_strategy; as_strategy('best_of_n:n=3')",
    ],
)
def test_nothing_heavy_is_loaded(code: str, tmp_path: Path) -> None:
    """Guards against an import of torch on the way to `--help`, which then takes seconds."""
    loaded = python(f"{code}\nimport sys; print([name for name in {HEAVY} if name in sys.modules])", tmp_path)
    assert loaded.splitlines()[-1] == "[]"


@pytest.mark.parametrize("inside", [True, False])
def test_imports_work_in_the_checkout_and_outside(inside: bool, tmp_path: Path) -> None:
    """Guards against folders at the top that shadow the package's, or exist there only."""
    where = python(
        "import llasa_search.verifiers.wer as a, llasa_search.strategies.best_of_n as b\n"
        "print(a.__name__, b.__name__)",
        ROOT if inside else tmp_path,
    )
    assert where == "llasa_search.verifiers.wer llasa_search.strategies.best_of_n"


def test_every_public_name_exists() -> None:
    for name in llasa_search.__all__:
        assert getattr(llasa_search, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        llasa_search.nonsense  # noqa: B018


def test_imports_run_one_way() -> None:
    """Guards against circles: no module needs, at its top, one that needs it."""
    files = [Path(top, name) for top, _, names in os.walk(PACKAGE, followlinks=True) for name in names]
    modules = {
        ".".join(("llasa_search", *path.relative_to(PACKAGE).with_suffix("").parts)): path
        for path in files
        if path.suffix == ".py" and path.stem != "__init__"
    }
    needs: dict[str, set[str]] = {}
    for name, path in modules.items():
        imports = [
            node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.ImportFrom)
        ]
        named = {f"{node.module}.{alias.name}" for node in imports for alias in node.names}
        needs[name] = ({str(node.module) for node in imports} | named) & modules.keys()
    assert {"llasa_search.verifiers.wer", "llasa_search.strategies.beam"} <= needs.keys()
    graphlib.TopologicalSorter(needs).prepare()

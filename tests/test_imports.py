"""Imports: nothing heavy before it is needed, no cycles, and one direction between packages."""

from __future__ import annotations

import ast
import graphlib
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

import llasa_search

ROOT = Path(__file__).parent.parent
PACKAGE = Path(llasa_search.__file__).parent
HEAVY = ("torch", "transformers", "whisper", "funasr", "speechbrain", "jiwer")

LAYERS = (
    ("arrays", "checkpoints.locks", "errors"),
    ("storage.reading",),
    ("audio", "registry", "sampling", "text"),
    ("checkpoints",),
    ("voice",),
    ("budget", "candidate"),
    ("reward",),
    ("verifiers", "table"),
    ("engine",),
    ("llasa",),
    ("generation",),
    ("scoring", "storage"),
    ("strategies", "verifiers.testing"),
    ("plugin", "request", "result"),
    ("search_run",),
    ("search",),
    ("corpus", "evaluation", "report", "strategies.testing"),
    ("study",),
    ("llasa_search",),
    ("cli",),
    ("__main__",),
)
"""Packages and modules of llasa_search from the lowest layer to the highest.

A file imports from its own package and from lower layers only. The two `testing` modules run what they test
as a search does, so they are above it.
"""

EXCEPTIONS = {
    # A verifier is a reward, and a reward lists its verifiers: a type in annotations only.
    ("llasa_search.reward.base", "llasa_search.verifiers.base"),
    ("llasa_search.reward.compose", "llasa_search.verifiers.base"),
    # Only in the methods of SearchResult below.
    ("llasa_search.result", "llasa_search.search"),
}
CONVENIENCE_METHODS = {"rerank", "page", "plot", "_repr_html_"}
"""Methods of SearchResult that call a function of a higher layer: an import and one more line."""
TEMPORARY_EXCEPTIONS: set[tuple[str, str]] = set()
"""Imports that are wrong and have to be removed."""
ALLOWED = EXCEPTIONS | TEMPORARY_EXCEPTIONS


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
    """Imports and `--help` do not load torch, which takes seconds."""
    loaded = python(f"{code}\nimport sys; print([name for name in {HEAVY} if name in sys.modules])", tmp_path)
    assert loaded.splitlines()[-1] == "[]"


@pytest.mark.parametrize("inside", [True, False])
def test_imports_work_in_the_checkout_and_outside(inside: bool, tmp_path: Path) -> None:
    """The top-level folders `verifiers` and `strategies` do not shadow the subpackages of the same names."""
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


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """The modules of llasa_search that each of its files imports, at any place in the file."""
    files = [Path(top, name) for top, _, names in os.walk(PACKAGE, followlinks=True) for name in names]
    modules = {module_name(path): path for path in files if path.suffix == ".py"}
    found = {name: imported(path, modules.keys()) for name, path in modules.items()}
    assert found["llasa_search.verifiers.wer"] and found["llasa_search.strategies.beam"]  # behind symlinks
    return found


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, modules: Collection[str]) -> set[str]:
    """Returns imports at module level, inside functions and under TYPE_CHECKING."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                names.add(submodule if submodule in modules else str(node.module))
    return {name for name in names if name in modules}


def test_files_do_not_import_each_other_in_a_cycle(imports: dict[str, set[str]]) -> None:
    graph = {
        name: {other for other in others if (name, other) not in ALLOWED} for name, others in imports.items()
    }
    graphlib.TopologicalSorter(graph).prepare()


def layer(module: str) -> tuple[int, str]:
    """Returns the layer of a module, and the entry of LAYERS that it belongs to."""
    local = module.removeprefix("llasa_search.")
    for name in (local, local.partition(".")[0]):
        for i, names in enumerate(LAYERS):
            if name in names:
                return i, name
    raise AssertionError(f"add {module} to LAYERS")


def test_packages_import_from_lower_layers_only(imports: dict[str, set[str]]) -> None:
    wrong = []
    for name, others in imports.items():
        level, package = layer(name)
        for other in others:
            other_level, other_package = layer(other)
            if other_level >= level and other_package != package and (name, other) not in ALLOWED:
                wrong.append(f"{name} imports {other}")
    assert wrong == []


def test_every_exception_is_needed(imports: dict[str, set[str]]) -> None:
    assert [(name, other) for name, other in EXCEPTIONS if other not in imports[name]] == []
    assert set() == TEMPORARY_EXCEPTIONS


def test_results_import_higher_layers_in_convenience_methods_only() -> None:
    tree = ast.parse((PACKAGE / "result.py").read_text("utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    importing = [
        each for each in functions if any(isinstance(node, ast.ImportFrom) for node in ast.walk(each))
    ]
    assert {each.name for each in importing} <= CONVENIENCE_METHODS
    for each in importing:
        assert len(each.body) - bool(ast.get_docstring(each)) == 2, each.name


def test_the_package_root_has_few_files() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 16

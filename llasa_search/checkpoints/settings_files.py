"""Reads a checkpoint's settings, in JSON or YAML, and checks its files before a library opens them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from llasa_search.errors import InputError, ModelError, short_repr
from llasa_search.storage.reading import MAX_TEXT, read_json, read_text, require_regular

MAX_NODES = 200_000
"""Values of a YAML file after its aliases are replaced: a few lines of aliases can stand for billions."""

MAX_DEPTH = 50


def require_plain_files(where: Path) -> Path:
    """Returns the path of a checkpoint, a file or a folder, after checking each file before a library opens it.

    Raises:
        ModelError: one is not a regular file, is settings of more than 64 MiB, names files outside the folder, or
            holds compressed weights.
    """
    for path in sorted(where.iterdir()) if where.is_dir() else [where]:
        if not path.is_dir():
            _require_plain_file(path)
    return where


def _require_plain_file(path: Path) -> None:
    try:
        require_regular(path, str(path))
    except InputError as error:
        raise ModelError(str(error)) from error
    if path.suffix in (".json", ".yaml", ".jinja", ".txt") and path.stat().st_size > MAX_TEXT:
        raise ModelError(f"{path} has more than {MAX_TEXT:,} bytes")
    if path.name.endswith(".index.json"):
        _require_own_files(path)
    if path.suffix in (".pt", ".pth", ".ckpt", ".bin") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ModelError(
                    f"{path} is compressed, which PyTorch never does: it could expand without limit"
                )


def _require_own_files(path: Path) -> None:
    """Checks that the index of a checkpoint in several files names files of its folder."""
    content = read_settings(path)
    files = content.get("weight_map")
    names = files.values() if isinstance(files, dict) else []
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise ModelError(f"{path} names {short_repr(name)}, which is not a file of its folder")


def read_settings(path: Path) -> dict[str, Any]:
    """Returns the content of a JSON or YAML file, which must be a mapping; no objects are made of YAML tags.

    Raises:
        ModelError: it cannot be read, is something else, or expands without limit.
    """
    try:
        content = read_json(path, str(path)) if path.suffix == ".json" else _read_yaml(path)
    except InputError as error:
        raise ModelError(str(error)) from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} is not a mapping of names to values")
    return content


def _read_yaml(path: Path) -> Any:
    import yaml

    return load_yaml(path, yaml.SafeLoader)


def load_yaml(path: Path, kind: Any) -> Any:
    """Returns the content of a YAML file, by a loader of PyYAML.

    Args:
        path: of the file.
        kind: class of the loader; it must make no objects of tags.

    Raises:
        ModelError: it is not YAML, or has more than 200,000 values after its aliases are replaced.
    """
    import yaml

    text = read_text(path, str(path))
    try:
        loader = kind(text)
        node = loader.get_single_node()
        _require_small(node, path)
        return None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path} is not plain YAML: {reason}") from error


def _require_small(root: Any, path: Path) -> None:
    """Checks the size of a graph of YAML nodes, where shared ones count each time."""
    sizes: dict[int, int] = {}

    def size(node: Any, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise ModelError(f"{path} is nested too deeply, or contains itself")
        if id(node) not in sizes:
            inside = node.value if isinstance(node.value, list) else []
            parts = [part for each in inside for part in (each if isinstance(each, tuple) else (each,))]
            sizes[id(node)] = 1 + sum(size(part, depth + 1) for part in parts)
        return sizes[id(node)]

    if root is not None and size(root, 0) > MAX_NODES:
        raise ModelError(f"{path} has more than {MAX_NODES:,} values when its aliases are replaced")

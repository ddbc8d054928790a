"""What is built from the checkout is whole, and claims nothing that is not its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = ("pyproject.toml", "README.md", "LICENSE", "llasa_search", "verifiers", "strategies")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel that is built from the source distribution that is built from a copy of the checkout."""
    tmp = tmp_path_factory.mktemp("build")
    for part in PARTS:
        source, copy = ROOT / part, tmp / "checkout" / part
        if source.is_dir():
            shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(source, copy)
    build = "import sys; from setuptools import build_meta as b; print(b.build_{}(sys.argv[1]))"
    run([sys.executable, "-c", build.format("sdist"), str(tmp)], tmp / "checkout")
    shutil.unpack_archive(next(tmp.glob("*.tar.gz")), tmp / "sdist")
    run([sys.executable, "-c", build.format("wheel"), str(tmp)], next((tmp / "sdist").iterdir()))
    return zipfile.ZipFile(next(tmp.glob("*.whl")))


def run(command: list[str], cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_wheel_claims_one_name_only(wheel: zipfile.ZipFile) -> None:
    """Guards against a wheel that installs `verifiers` or `tests` at the top, over another package's."""
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"llasa_search"}


def test_wheel_is_whole(wheel: zipfile.ZipFile) -> None:
    """Guards against modules behind a symlink, or data files, that are left out."""
    top = ROOT / "llasa_search"
    files = [Path(folder, name) for folder, _, names in os.walk(top, followlinks=True) for name in names]
    wanted = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    assert "llasa_search/verifiers/wer.py" in wanted
    assert wanted - set(wheel.namelist()) == set()

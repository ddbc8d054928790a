"""The built distributions hold every file of the package, one top-level name, and its version."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import llasa_search

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
PARTS = ("pyproject.toml", "README.md", "LICENSE", "llasa_search", "verifiers", "strategies")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a source distribution, built from a copy of the checkout and unpacked."""
    tmp = tmp_path_factory.mktemp("build")
    for part in PARTS:
        source, copy = ROOT / part, tmp / "checkout" / part
        if source.is_dir():
            shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(source, copy)
    build("sdist", tmp, tmp / "checkout")
    shutil.unpack_archive(next(tmp.glob("*.tar.gz")), tmp / "sdist")
    return next((tmp / "sdist").iterdir())


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from the source distribution."""
    tmp = tmp_path_factory.mktemp("wheel")
    build("wheel", tmp, sdist)
    return zipfile.ZipFile(next(tmp.glob("*.whl")))


def build(kind: str, out: Path, source: Path) -> None:
    code = f"import sys; from setuptools import build_meta; print(build_meta.build_{kind}(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, out], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def package_files() -> set[str]:
    """The paths of all files of the package, relative to the root; those behind symlinks too."""
    top = ROOT / "llasa_search"
    files = [Path(folder, name) for folder, _, names in os.walk(top, followlinks=True) for name in names]
    found = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    assert "llasa_search/verifiers/wer.py" in found
    return found


def test_the_source_distribution_holds_every_file(sdist: Path) -> None:
    assert [name for name in sorted(package_files()) if not (sdist / name).is_file()] == []


def test_the_wheel_claims_one_name_only(wheel: zipfile.ZipFile) -> None:
    """Top-level `verifiers` or `tests` would overwrite another package's."""
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"llasa_search"}


def test_the_wheel_holds_every_file(wheel: zipfile.ZipFile) -> None:
    """Modules behind a symlink and data files are included."""
    assert package_files() - set(wheel.namelist()) == set()


def test_the_version_is_that_of_the_package(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    assert f"\nVersion: {llasa_search.__version__}\n" in wheel.read(name).decode()

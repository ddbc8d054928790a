"""Installs an example package in an environment of its own, as a user would."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path


def installed(example: Path, tmp: Path) -> Path:
    """The interpreter of a new environment with the package, beside what is installed here already."""
    shutil.copytree(
        example, tmp / "source", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    )
    run(sys.executable, "-m", "venv", "--without-pip", tmp / "venv", cwd=tmp)
    interpreter = tmp / "venv" / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = Path(run(interpreter, "-c", where, cwd=tmp).strip())
    (own / "parent.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "--python", interpreter, "install", *offline, tmp / "source", cwd=tmp)
    return interpreter


def run(*command: object, cwd: Path) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

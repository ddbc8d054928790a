"""A virtual environment in which a test can install a package, in addition to those installed here."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path


def environment(folder: Path) -> dict[str, str]:
    """Makes a virtual environment and returns the variables under which its commands run.

    `pip install` then installs into it, offline and without dependencies.
    """
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    interpreter = folder / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = Path(run(interpreter, "-c", where, cwd=folder).strip())
    (own / "parent.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    for name, module in (("pytest", "pytest"), ("llasa-search", "llasa_search")):
        command = folder / "bin" / name
        command.write_text(f'#!/bin/sh\nexec {interpreter} -m {module} "$@"\n')
        command.chmod(0o755)
    paths = (str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"])
    return {
        **os.environ,
        "PATH": os.pathsep.join(paths),
        "PIP_PYTHON": str(interpreter),
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # for this option, 0 means that builds are not isolated
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
    }


def run(*command: object, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Returns what a command prints; it must succeed."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

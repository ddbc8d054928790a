"""Without a model library, functions that do not need it work, and the errors of others name the install command."""

from __future__ import annotations

import subprocess
import sys

import pytest

HELP = "import sys; sys.argv = ['llasa-search', '--help']; from llasa_search.cli.main import main; main()"
SEARCH = "from llasa_search import search; search.generate('a coin')"


def run_without(module: str, code: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a new process in which a module cannot be imported."""
    blocked = f"import sys; sys.modules[{module!r}] = None\n{code}"
    return subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True)


@pytest.mark.parametrize(
    ("module", "use", "command"),
    [
        ("torch", SEARCH, "pip install torch"),
        ("transformers", SEARCH, "pip install transformers"),
        (
            "whisper",
            "from llasa_search.verifiers import WER; WER().load()",
            "pip install openai-whisper",
        ),
        (
            "funasr",
            "from llasa_search.verifiers import EmotionSimilarity; EmotionSimilarity().load()",
            "pip install funasr",
        ),
        (
            "speechbrain",
            "from llasa_search.verifiers import SpeakerSimilarity; SpeakerSimilarity().load()",
            "pip install speechbrain",
        ),
    ],
)
def test_a_missing_library_is_named_with_its_install_command(module: str, use: str, command: str) -> None:
    """Importing the package and --help work; using what needs the library raises a ModelError."""
    shown = run_without(module, HELP)
    assert shown.returncode == 0 and "Usage" in shown.stdout, shown.stderr
    failed = run_without(module, use)
    last = failed.stderr.strip().splitlines()[-1]
    assert last.startswith("llasa_search.errors.ModelError") and last.endswith(command), failed.stderr

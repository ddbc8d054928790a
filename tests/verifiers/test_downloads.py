"""Downloads are announced with their size, and the default verifiers depend on the model."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import whisper

from llasa_search import ModelError, Searcher
from llasa_search.checkpoints.hub import find_checkpoint
from llasa_search.checkpoints.names import TINY
from llasa_search.verifiers.backends.asr import load_asr


def _serve(handler: object) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def files(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    yield from _serve(partial(_Quiet, directory=str(tmp_path / "served")))


def test_a_whisper_is_named_with_its_size_before_it_is_downloaded(
    files: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The announcement comes before the download, and only if the file is missing."""
    content = (TINY / "asr.pt").read_bytes()
    folder = tmp_path / "served" / hashlib.sha256(content).hexdigest()
    folder.mkdir()
    (folder / "base.en.pt").write_bytes(content)
    tiny = whisper.load_model(str(TINY / "asr.pt"), device="cpu").dims
    heads = base64.b85encode(gzip.compress(np.ones((tiny.n_text_layer, tiny.n_text_head), bool).tobytes()))
    monkeypatch.setitem(whisper._MODELS, "base.en", f"{files}/{folder.name}/base.en.pt")
    monkeypatch.setitem(whisper._ALIGNMENT_HEADS, "base.en", heads)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.warns(UserWarning, match=r"downloading the speech recogniser 'base.en': 18 MB"):
        load_asr("base.en")
    assert (tmp_path / "cache" / "whisper" / "base.en.pt").is_file()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_asr("base.en", "cpu")


class _Hub(BaseHTTPRequestHandler):
    """A server that describes one repository and cannot send its files."""

    def do_GET(self) -> None:
        names = {"model.safetensors": 2_600_000_000, "config.json": 900, "pytorch_model.bin": 9_000_000_000}
        files = [{"rfilename": name, "size": size} for name, size in names.items()]
        body = json.dumps({"id": "owner/name", "sha": "0" * 40, "siblings": files}).encode()
        self.send_response(200 if self.path.startswith("/api/models/owner/name") else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_checkpoint_of_a_hub_is_named_with_the_size_of_its_needed_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Copies of the weights in other formats do not count."""
    for url in _serve(_Hub):
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        with pytest.warns(UserWarning, match=r"downloading owner/name: 2\.6 GB"), pytest.raises(ModelError):
            find_checkpoint("owner/name", ["*.json", "*.safetensors"])


def test_the_default_verifiers_depend_on_the_model() -> None:
    """Other models get a recogniser of real speech (they got the embedded one, which knows synthetic voices only)."""
    assert str(Searcher().reward) == "Lexicographic(WER(), TranscriptLikelihood())"
    real = "Lexicographic(WER(model='large-v3-turbo'), TranscriptLikelihood(model='large-v3-turbo'))"
    assert str(Searcher("HKUSTAudio/Llasa-1B").reward) == real
    assert not any(verifier.is_embedded for verifier in Searcher("HKUSTAudio/Llasa-1B").verifiers)

"""Nothing that a checkpoint contains is executed, and nothing is read from standard input."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from llasa_search.errors import LlasaSearchError, ModelError
from llasa_search.llasa.model import Llasa
from llasa_search.verifiers.backends.asr import load_asr
from llasa_search.verifiers.backends.emotion2vec import Emotion2Vec
from llasa_search.verifiers.backends.speaker_encoders import SpeakerEncoder
from tests.helpers.tiny_recognisers import write_paraformer, write_whisper
from tests.helpers.tiny_verifiers import (
    write_ctc,
    write_ecapa,
    write_emotion2vec,
    write_unispeech,
    write_xvector,
)

AUTO_CLASSES = (
    "AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoModelForCTC", "AutoModelForAudioXVector",
    "AutoModelForSpeechSeq2Seq", "AutoFeatureExtractor", "AutoProcessor",
)  # fmt: skip
AUTO_MAP: dict[str, Any] = {name: "evil.Evil" for name in AUTO_CLASSES} | {"AutoTokenizer": ["evil.Evil"] * 2}


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """Returns the path of a file that the code in hostile checkpoints writes."""
    return tmp_path / "it_ran"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Replaces standard input by one that answers every question with "y"."""
    answers = io.StringIO("y\n" * 100)
    monkeypatch.setattr("sys.stdin", answers)
    return answers


def name_code(folder: Path, marker: Path) -> Path:
    """Adds Python files to a transformers folder, and names them in each of its JSON files, at every depth."""
    source = (
        f"from pathlib import Path\nPath({str(marker)!r}).touch()\nclass Evil: pass\ndef generate(): pass\n"
    )
    (folder / "custom_generate").mkdir()
    for path in (folder / "evil.py", folder / "custom_generate" / "generate.py"):
        path.write_text(source)
    for path in folder.glob("*config.json"):
        fields = json.loads(path.read_text())
        for part in (
            fields,
            *(each for each in fields.values() if isinstance(each, dict) and "model_type" in each),
        ):
            part |= {"auto_map": AUTO_MAP, "custom_generate": "evil", "attn_implementation": "someone/kernel"}
        path.write_text(json.dumps(fields))
    return folder


@pytest.mark.parametrize("part", ["language_model", "codec"])
def test_code_beside_the_weights_is_not_run(
    pair_path: Path, tmp_path: Path, marker: Path, asked: io.StringIO, part: str
) -> None:
    """The checkpoint loads as it does without the code, and a kernel that config.json names is not downloaded."""
    pair = shutil.copytree(pair_path, tmp_path / "pair")
    name_code(pair / part, marker)
    llasa = Llasa.from_pretrained(pair, device="cpu")
    assert llasa.codec.codebook_size == 64
    assert not marker.exists() and asked.tell() == 0


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("language_model/config.json", {"model_type": "evil"}),
        ("language_model/tokenizer_config.json", {"tokenizer_class": "Evil"}),
        ("codec/config.json", {"model_type": "evil"}),
        ("codec/config.json", {"semantic_model_config": {"model_type": "evil", "auto_map": AUTO_MAP}}),
        ("codec/config.json", {"semantic_model_config": {"model_type": "dac", "auto_map": AUTO_MAP}}),
    ],
)
def test_a_checkpoint_that_works_only_with_its_code_is_refused(
    pair_path: Path, tmp_path: Path, marker: Path, asked: io.StringIO, file: str, change: dict[str, Any]
) -> None:
    pair = shutil.copytree(pair_path, tmp_path / "pair")
    name_code((pair / file).parent, marker)
    path = pair / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    try:
        Llasa.from_pretrained(pair, device="cpu")
    except LlasaSearchError as error:
        assert str(path.parent) in str(error) and "trust_remote_code" not in str(error)
        assert len(str(error)) < 500 and "\n" not in str(error)
    else:
        assert "tokenizer_config" in file  # tokenizer.json alone is enough
    assert not marker.exists() and asked.tell() == 0


@pytest.mark.parametrize("model_type", ["llama", "evil"])
def test_the_command_line_does_not_ask_for_confirmation(
    pair_path: Path, tmp_path: Path, marker: Path, model_type: str
) -> None:
    """`say` refuses a checkpoint with `auto_map`, also if "y" is piped into it (its code was run)."""
    pair = shutil.copytree(pair_path, tmp_path / "pair")
    for part in ("language_model", "codec"):
        name_code(pair / part, marker)
    config = pair / "language_model" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_type": model_type}))
    out = tmp_path / "out.wav"
    options = ["--model", pair, "--verifier", "signal", "-n", "2", "--budget-tokens", "2000", "-o", out]
    done = subprocess.run(
        [sys.executable, "-m", "llasa_search", "say", *map(str, options), "a coin"],
        input="y\n" * 100,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert not marker.exists()
    if model_type == "llama":
        assert (done.returncode, out.exists()) == (0, True), done.stderr
    else:
        assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
        assert "code from a checkpoint is never run" in done.stderr


@pytest.mark.parametrize(
    ("write", "load"),
    [(write_whisper, load_asr), (write_ctc, load_asr), (write_xvector, SpeakerEncoder)],
    ids=["whisper", "ctc", "xvector"],
)
def test_verifiers_do_not_run_code_beside_their_weights(
    tmp_path: Path,
    marker: Path,
    asked: io.StringIO,
    write: Callable[[Path], Path],
    load: Callable[[str], Any],
) -> None:
    folder = name_code(write(tmp_path / "folder"), marker)
    load(str(folder))
    assert not marker.exists() and asked.tell() == 0


class Touch:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    ("write", "file", "load"),
    [
        (write_ecapa, "embedding_model.ckpt", SpeakerEncoder),
        (write_xvector, "pytorch_model.bin", SpeakerEncoder),
        (write_ctc, "pytorch_model.bin", load_asr),
        (write_emotion2vec, "model.pt", Emotion2Vec),
        (write_paraformer, "model.pt", load_asr),
        (write_unispeech, "", SpeakerEncoder),
        (lambda path: path, "", load_asr),
    ],
    ids=["ecapa", "xvector", "ctc", "emotion2vec", "paraformer", "unispeech", "openai-whisper"],
)
def test_pickles_are_refused(
    tmp_path: Path, marker: Path, write: Callable[[Path], Path], file: str, load: Callable[[str], Any]
) -> None:
    where = write(tmp_path / "checkpoint.pt")
    (where / "model.safetensors").unlink(missing_ok=True) if where.is_dir() else None
    path = where / file if file else where
    torch.save({"state_dict": {"weight": torch.ones(2)}, "evil": Touch(marker)}, path)
    with pytest.raises(ModelError) as refused:
        load(str(where))
    assert str(tmp_path) in str(refused.value) and "weights_only" not in str(refused.value)
    assert not marker.exists()


def edited(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    config = yaml.safe_load(path.read_text())
    change(config)
    path.write_text(yaml.safe_dump(config))


def test_a_class_of_funasr_that_evaluates_its_settings_is_refused(tmp_path: Path, marker: Path) -> None:
    """Encoders of funasr that run a setting with `eval()` are not loaded."""
    folder = write_paraformer(tmp_path / "paraformer")
    spec = f"[__import__('pathlib').Path({str(marker)!r}).touch()]"
    encoder = {"encoder": "Data2VecEncoder", "encoder_conf": {"conv_feature_layers": spec}}
    edited(folder / "config.yaml", lambda config: config.update(encoder))
    with pytest.raises(ModelError, match=r"config\.yaml: its encoder 'Data2VecEncoder' is not supported"):
        load_asr(str(folder))
    assert not marker.exists()


def test_the_tokenizer_of_a_paraformer_reads_no_other_file(tmp_path: Path, noise: Callable[..., Any]) -> None:
    folder = write_paraformer(tmp_path / "paraformer")
    audio = noise(1.0)
    before = load_asr(str(folder)).transcribe([audio], "zh")
    paths = {"seg_dict": "/etc/hostname", "non_linguistic_symbols": "/etc/hostname"}
    edited(folder / "config.yaml", lambda config: config["tokenizer_conf"].update(paths))
    assert load_asr(str(folder)).transcribe([audio], "zh") == before


@pytest.mark.parametrize(
    "spec",
    [
        "[(1,1,1)]*9**9**9",
        "[(1,1,1)]*99",
        "[(1,1,1)" * 500,
        "[]",
        "[(0,1,1)]",
        "[(16, 10, 5)] + __import__('os').listdir()",
        "[(99999999, 10, 5)]",
        [[16, 10, 5]],
        {"a": 1},
    ],
)
def test_a_feature_encoder_spec_is_not_evaluated(tmp_path: Path, spec: object) -> None:
    """Only a list of convolutions is accepted (the first of these passed an earlier check and did not end)."""
    folder = write_emotion2vec(tmp_path / "emotion2vec")

    def change(config: dict[str, Any]) -> None:
        config["model_conf"]["modalities"]["audio"]["feature_encoder_spec"] = spec

    edited(folder / "config.yaml", change)
    with pytest.raises(ModelError, match="emotion2vec"):
        Emotion2Vec(str(folder))


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:pathlib.Path.touch", "!!python/name:os.system", "!new:x"]
)
def test_yaml_tags_make_no_objects(tmp_path: Path, marker: Path, tag: str) -> None:
    folder = write_emotion2vec(tmp_path / "emotion2vec")
    with (folder / "config.yaml").open("a") as config:
        config.write(f"evil: {tag} [{marker}]\n")
    with pytest.raises(ModelError, match="emotion2vec"):
        Emotion2Vec(str(folder))
    assert not marker.exists()

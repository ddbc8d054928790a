"""Loading checkpoints: what is loaded, and errors that say what to do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from llasa_search.checkpoints.names import TINY
from llasa_search.cli.check import run_checks
from llasa_search.errors import InputError, ModelError
from llasa_search.llasa.model import Llasa
from tests.helpers.tiny_random import MARKERS, TEMPLATE, write_codec, write_language_model, write_pair


def test_a_folder_with_a_language_model_and_a_codec_is_loaded(pair_path: Path, llasa: Llasa) -> None:
    """Sizes, rates and the type of the weights are those of the folder's files."""
    assert (llasa.sample_rate, llasa.frame_rate, llasa.max_length) == (16_000, 50.0, 2048)
    assert (llasa.codec.codebook_size, llasa.language_model.outputs) == (64, 65)
    assert llasa.name == str(pair_path)
    assert llasa.language_model.dtype == torch.float32


def test_a_codec_can_be_given_separately(pair_path: Path) -> None:
    """The argument `codec` names the codec of a language model without one."""
    llasa = Llasa.from_pretrained(pair_path / "language_model", codec=pair_path / "codec")
    assert llasa.codec.codebook_size == 64


def test_the_context_window_is_at_most_that_of_the_model(tmp_path: Path) -> None:
    """The model's own limit applies if it is below that of Llasa's training."""
    write_pair(tmp_path, max_position_embeddings=300)
    assert Llasa.from_pretrained(tmp_path).max_length == 300


def test_loading_leaves_the_random_state_and_threads_alone(pair_path: Path) -> None:
    """Loading changes neither torch's random state nor its number of threads."""
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    Llasa.from_pretrained(pair_path)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_the_given_dtype_is_used(pair_path: Path) -> None:
    """The weights have the type that `dtype` names."""
    assert Llasa.from_pretrained(pair_path, dtype="bfloat16").language_model.dtype == torch.bfloat16


def test_another_codecs_codebook_is_refused(tmp_path: Path, pair_path: Path) -> None:
    """A codec whose codebook has another size than the model's raises an error."""
    write_codec(tmp_path, (4, 4))
    with pytest.raises(ModelError, match=r"has 64 speech codes, but the codec .* has 16"):
        Llasa.from_pretrained(pair_path, codec=tmp_path)


def test_an_ordinary_llama_is_refused(tmp_path: Path, pair_path: Path) -> None:
    """A Llama without Llasa's markers raises an error."""
    write_language_model(tmp_path, 64, 0.1, MARKERS[:2], None, {})
    with pytest.raises(ModelError, match=r"does not have <\|TEXT_UNDERSTANDING_START\|>, "):
        Llasa.from_pretrained(tmp_path, codec=pair_path / "codec")


def test_other_architectures_are_refused(tmp_path: Path, pair_path: Path) -> None:
    """A language model that is not a Llama, and a codec that is not an X-codec2, raise an error."""
    shutil.copytree(pair_path / "language_model", tmp_path / "mistral")
    config = tmp_path / "mistral" / "config.json"
    config.write_text(config.read_text().replace('"llama"', '"mistral"'))
    with pytest.raises(ModelError, match="'mistral' model"):
        Llasa.from_pretrained(tmp_path / "mistral", codec=pair_path / "codec")
    with pytest.raises(ModelError, match="not an 'xcodec2'"):
        Llasa.from_pretrained(pair_path, codec=pair_path / "language_model")


def test_a_tokenizer_larger_than_its_model_is_refused(tmp_path: Path, pair_path: Path) -> None:
    """Every token id of the tokenizer has an embedding."""
    write_language_model(tmp_path, 64, 0.1, MARKERS, TEMPLATE, {"vocab_size": 60})
    with pytest.raises(ModelError, match="more tokens than"):
        Llasa.from_pretrained(tmp_path, codec=pair_path / "codec")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", "unknown model"),
        ("tinny", "did you mean 'tiny'"),
        ("no/such/thing", "unknown model"),
        ("./nowhere", "unknown model"),
    ],
)
def test_unknown_models_are_refused(name: str, fault: str) -> None:
    """A name that is neither a path nor a hub id is refused, with a suggestion if one is similar."""
    with pytest.raises(InputError, match=fault):
        Llasa.from_pretrained(name)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """The error names the missing file."""
    with pytest.raises(InputError, match=r"config\.json"):
        Llasa.from_pretrained(tmp_path)


def test_a_broken_checkpoint_is_named(tmp_path: Path, pair_path: Path) -> None:
    """If the weights are missing, as after an incomplete download, the error names the folder."""
    shutil.copytree(pair_path, tmp_path / "pair")
    (tmp_path / "pair" / "language_model" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"the language model in the folder .*language_model"):
        Llasa.from_pretrained(tmp_path / "pair")


def test_a_checkpoint_that_is_not_here_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, the error comes without retries and has the command that downloads the checkpoint."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="hf download someone/llasa-nowhere") as error:
        Llasa.from_pretrained("someone/llasa-nowhere")
    assert "'tiny'" in str(error.value)


@pytest.mark.parametrize(
    "options",
    [{"device": "cuda:99"}, {"device": "abacus"}, {"dtype": "int3"}],
    ids=lambda options: str(options),
)
def test_unknown_devices_and_types_are_refused(pair_path: Path, options: dict[str, Any]) -> None:
    """A device or type that cannot be used is refused before loading."""
    with pytest.raises(InputError, match=next(iter(options.values()))):
        Llasa.from_pretrained(pair_path, **options)


@pytest.mark.parametrize("change", ["missing", "renamed", "truncated"])
@pytest.mark.parametrize("part", ["language_model", "codec"])
def test_a_checkpoint_without_all_weights_is_refused(
    tmp_path: Path, pair_path: Path, part: str, change: str
) -> None:
    """Missing weights raise an error and are not initialised at random."""
    shutil.copytree(pair_path, tmp_path / "pair")
    path = tmp_path / "pair" / part / "model.safetensors"
    weights = load_file(path)
    lost = sorted(name for name in weights if "layers.0." in name)
    assert lost
    if change == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        kept = {f"old.{name}" if name in lost else name: tensor for name, tensor in weights.items()}
        save_file({name: t for name, t in kept.items() if change == "renamed" or name in weights}, path)
    wanted = "cannot be loaded" if change == "truncated" else f"is missing, {len(lost)} weights in all"
    with pytest.raises(ModelError, match=wanted):
        Llasa.from_pretrained(tmp_path / "pair")


def test_check_runs_all_steps() -> None:
    """`run_checks` runs every step, and the embedded model passes all of them."""
    checks = run_checks("tiny")
    assert [each.name for each in checks] == [
        "versions",
        "prompt format",
        "language model and codec",
        "codec round trip",
        "short search",
    ]
    assert all(each.passed for each in checks), checks
    assert "transformers" in checks[0].detail


def test_check_detects_that_a_codec_is_noise(pair_path: Path) -> None:
    """A codec with random weights fails the round trip, although its audio has the right length."""
    failed = run_checks(pair_path)[-1]
    assert (failed.name, failed.passed) == ("codec round trip", False)
    assert "differs from the original" in failed.detail


def test_check_refuses_unknown_models() -> None:
    """A misspelt name is an `InputError`, and not a failed step."""
    with pytest.raises(InputError, match="did you mean 'tiny'"):
        run_checks("tinny")


def test_check_names_the_first_failure(tmp_path: Path, pair_path: Path) -> None:
    """The last step that ran is the one that failed, with the reason."""
    write_codec(tmp_path / "codec", (4, 4))
    failed = run_checks(pair_path, codec=tmp_path / "codec")[-1]
    assert (failed.name, failed.passed) == ("language model and codec", False)
    assert "16" in failed.detail
    write_language_model(tmp_path / "lm", 64, 0.1, MARKERS, "{{ messages[0]['content'] }}", {})
    failed = run_checks(tmp_path / "lm", codec=pair_path / "codec")[-1]
    assert (failed.name, failed.passed) == ("prompt format", False)


def test_check_keeps_its_table_when_the_search_is_refused(tmp_path: Path) -> None:
    """If the context window is too small for the text of the check, the steps before are still reported."""
    small = {"max_position_embeddings": 64}
    write_language_model(tmp_path / "lm", 4096, 0.1, MARKERS, TEMPLATE, small)
    checks = run_checks(tmp_path / "lm", codec=TINY / "codec")
    assert [each.passed for each in checks] == [True, True, True, True, False]
    assert checks[-1].name == "short search"

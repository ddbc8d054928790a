"""The scaling study's models, read from the repository's history."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from examples.benchmarks import scaling_models
from llasa_search import Budget, search
from llasa_search.errors import ModelError
from llasa_search.llasa.model import Llasa

TEXT = "The captain found a silver coin near the lake."


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Each size's model, for `from_pretrained`."""
    cache = tmp_path_factory.mktemp("models")
    try:
        return {size: scaling_models.find_language_model(size, cache) for size in scaling_models.SIZES}
    except ModelError as error:
        pytest.skip(str(error))


def test_the_three_sizes_share_codec_and_verifiers(folders: dict[str, str]) -> None:
    """Models of every size generate speech, without a warning about speech out of domain."""
    flops = []
    for folder in folders.values():
        llasa = Llasa.from_pretrained(folder, codec=scaling_models.CODEC)
        flops.append(llasa.language_model.flops(1, 100, 1))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = search.generate(TEXT, "slt", budget=Budget(candidates=4), model=llasa, seed=0)
        assert min(c.scores["WER()"].value for c in found.candidates) < 0.9, llasa.name
    assert 2 * flops[0] < flops[1] < flops[2] / 2


def test_a_changed_file_is_refused(folders: dict[str, str]) -> None:
    """A cached file with another digest raises an error."""
    config = Path(folders["small"]) / "config.json"
    content = config.read_text()
    config.write_text(content + " ")
    with pytest.raises(ModelError, match="delete the file"):
        scaling_models.find_language_model("small", config.parents[1])
    config.write_text(content)


def test_a_missing_history_names_both_remedies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a shallow clone the message says how to fetch the history and how to train the models."""
    monkeypatch.setattr(scaling_models, "COMMIT", "0" * 40)
    with pytest.raises(ModelError, match=r"--unshallow.*train_tiny.*--small"):
        scaling_models.find_language_model("small", tmp_path)

"""CTC losses: equality with counting alignments, batches, and texts that cannot be written."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_verifiers import write_ctc

from llasa_search.candidate import Audio, Utterance
from llasa_search.errors import InputError, ModelError
from llasa_search.verifiers import CTCAlignment
from llasa_search.verifiers.ctc import _Recogniser
from llasa_search.voice import Prompt

Noise = Callable[..., Audio]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ctc(tmp_path_factory.mktemp("ctc") / "ctc")


def test_loss_equals_the_sum_over_all_paths(folder: Path, noise: Noise) -> None:
    """Guards against a wrong blank, and losses not by character: its slow twin sums every path of frames."""
    recogniser = _Recogniser(str(folder))
    audio, target = noise(0.08), recogniser.spell("No", "en")
    frames = recogniser._logprobs(audio[None])[0].double().numpy()
    total = 0.0
    for path in itertools.product([*target, recogniser.blank], repeat=len(frames)):
        collapsed = [token for token, _ in itertools.groupby(path) if token != recogniser.blank]
        total += math.exp(sum(frames[t, token] for t, token in enumerate(path))) * (collapsed == target)
    assert len(frames) >= 3
    assert recogniser.hear([audio], [target])[0][0] == pytest.approx(-math.log(total) / 2, abs=1e-4)


def test_batch_equals_single(folder: Path, noise: Noise) -> None:
    """Guards against padding that is heard, and a mixed-up order."""
    verifier = CTCAlignment(model=str(folder))
    heard = [
        Utterance(text, "en", noise(seconds, i), 16_000)
        for i, (text, seconds) in enumerate([("a coin", 0.5), ("It's 5.", 0.7), ("near the lake", 0.5)])
    ]
    together = verifier.score(heard)
    alone = [verifier.score([each])[0] for each in heard]
    assert [each.value for each in together] == pytest.approx([each.value for each in alone], abs=1e-5)
    assert [each.detail for each in together] == [each.detail for each in alone]
    assert all(each.detail.startswith("WER ") for each in together)
    assert len({each.value for each in together}) == 3


@pytest.mark.parametrize("samples", [0, 300, 800])
def test_speech_too_short_for_its_text_fails(folder: Path, samples: int) -> None:
    """Guards against an infinite loss that becomes 0, and a crash on speech that ended at once."""
    heard = Utterance("a silver coin", "en", np.zeros(samples, np.float32), 16_000)
    found = CTCAlignment(model=str(folder)).score([heard])[0]
    assert (found.status, found.detail) == ("failed", "too short to hold the text")


@pytest.mark.parametrize(("text", "language"), [("今天", "zh"), ("?!", "en")])
def test_texts_that_cannot_be_written_are_refused(folder: Path, text: str, language: str) -> None:
    """Guards against unknown tokens that are scored as if they could be heard."""
    with pytest.raises(InputError, match=r"cannot write 今|no letters"):
        CTCAlignment(model=str(folder)).check(Prompt(text, language))


def test_checkpoint_without_its_head_is_refused(folder: Path, tmp_path: Path) -> None:
    """Guards against a random head over a pretrained encoder."""
    from transformers import Wav2Vec2ForCTC

    Wav2Vec2ForCTC.from_pretrained(folder).wav2vec2.save_pretrained(tmp_path)
    for name in ("vocab.json", "preprocessor_config.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(ModelError, match="lacks lm_head"):
        CTCAlignment(model=str(tmp_path)).load()

"""One setting places the language model, the codec and every verifier."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llasa_search import InputError, Searcher, search
from llasa_search.checkpoints.loading import pick_device
from llasa_search.scoring.loading import load_verifiers
from llasa_search.verifiers import WER, CTCAlignment, EmotionSimilarity, SpeakerSimilarity
from llasa_search.verifiers.backends.asr import load_asr

HERE = "cpu:0"
"""A name of the CPU that differs from the default."""


def test_the_device_of_a_search_reaches_every_model() -> None:
    """`device` places the language model, the codec and all verifiers (the verifiers chose for themselves)."""
    wer, ctc, speaker, emotion = WER(), CTCAlignment(), SpeakerSimilarity(), EmotionSimilarity()
    searcher = Searcher(verifiers=wer + ctc + speaker + emotion, device=HERE)
    llasa = searcher.load()
    placed = [llasa.language_model.device, wer._asr.device, ctc._ctc.device]  # type: ignore[attr-defined]
    placed += [speaker._encoder.device, emotion._emotion2vec.device]
    assert placed[1:] == [torch.device(HERE)] * 4
    assert placed[0].type == "cpu"


def test_a_verifier_with_a_device_keeps_it() -> None:
    """The device of a search does not change a verifier that already has one."""
    verifier = CTCAlignment()
    verifier.device = HERE
    load_verifiers([verifier], device="cpu")
    assert verifier.device == HERE


def test_recognisers_on_two_devices_are_not_shared() -> None:
    """Each verifier's recogniser is on the verifier's own device."""
    first, second, third = load_asr("tiny", "cpu"), load_asr("tiny", HERE), load_asr("tiny", "cpu")
    assert first is third and first is not second


@pytest.mark.parametrize("device", ["gpu", "privateuseone", "cuda:99", "cpu:x", "", None, 3])
def test_a_device_that_does_not_exist_is_refused(device: object) -> None:
    """The error is one line that names the device."""
    with pytest.raises(InputError, match="device"):
        pick_device(device)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="device"):
        search.select([(np.sin(np.arange(16_000) / 9), 16_000)], "One.", device=device)  # type: ignore[arg-type]

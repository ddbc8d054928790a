"""The codec: batches of rows, context, and codes that are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import Xcodec2Model

from llasa_search.arrays import Audio
from llasa_search.errors import ModelError
from llasa_search.llasa.codec import CONTEXT_FRAMES
from llasa_search.llasa.model import Llasa


def make_codes(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 64, frames).astype(np.int32)


def test_codes_and_speech_are_those_of_transformers(
    llasa: Llasa, pair_path: Path, noise: Callable[..., Audio]
) -> None:
    """Codes and audio equal those of transformers, with codes numbered from 0."""
    model = Xcodec2Model.from_pretrained(pair_path / "codec").eval()
    codes = llasa.encode(noise(1.0))
    assert codes.shape == (51,)
    assert codes.dtype == np.int32
    assert len(set(codes.tolist())) > 5
    with torch.inference_mode():
        expected = model.decode(torch.from_numpy(codes)[None, None].long()).audio_values[0, 0].numpy()
    np.testing.assert_allclose(llasa.decode([codes])[0], expected, atol=1e-6)


@settings(max_examples=15)
@given(st.lists(st.sampled_from([0, 1, 7, 7, 20]), min_size=1, max_size=6), st.sampled_from([0, 3, 80]))
def test_rows_are_decoded_in_a_batch_as_alone(llasa: Llasa, lengths: list[int], before: int) -> None:
    """A row's audio does not depend on the other rows of a batch, nor on their lengths."""
    rows = [make_codes(length, seed) for seed, length in enumerate(lengths)]
    context = make_codes(before, seed=99)
    together = llasa.decode(rows, context)
    for row, speech in zip(rows, together, strict=True):
        assert speech.shape == (320 * len(row),)
        assert speech.dtype == np.float32
        np.testing.assert_allclose(speech, llasa.decode([row], context)[0], atol=1e-5)


def test_the_context_is_decoded_but_not_returned(llasa: Llasa) -> None:
    """The context changes the audio of a row, and its own audio is not returned."""
    row, context = make_codes(30), make_codes(80, seed=1)
    whole = llasa.decode([np.concatenate((context[-CONTEXT_FRAMES:], row))])[0]
    after = llasa.decode([row], context)[0]
    np.testing.assert_allclose(after, whole[320 * CONTEXT_FRAMES :], atol=1e-6)
    assert np.abs(after - llasa.decode([row])[0]).max() > 1e-3


def test_each_row_can_have_its_own_context(llasa: Llasa) -> None:
    """With a context per row, each row is decoded after its own."""
    rows = [make_codes(10, seed) for seed in range(3)]
    contexts = np.stack([make_codes(60, seed) for seed in range(10, 13)])
    for row, context, speech in zip(rows, contexts, llasa.codec.decode(rows, contexts), strict=True):
        np.testing.assert_allclose(speech, llasa.decode([row], context)[0], atol=1e-5)


def test_rows_of_several_calls_keep_their_order(llasa: Llasa, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that exceed one call are all decoded, in their order."""
    rows = [make_codes(9, seed) for seed in range(7)]
    expected = llasa.decode(rows)
    monkeypatch.setattr("llasa_search.llasa.codec.FRAMES_PER_CALL", 20)
    for speech, alone in zip(llasa.decode(rows), expected, strict=True):
        np.testing.assert_allclose(speech, alone, atol=1e-5)


def test_codes_of_another_codec_are_refused(llasa: Llasa) -> None:
    """A code outside the codebook raises an error."""
    with pytest.raises(ModelError, match="another codec"):
        llasa.decode([np.array([3, 64], dtype=np.int32)])

"""Likelihood of the text under Whisper: forced passes, batches, spelling, and speech beyond the window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.arrays import Audio
from llasa_search.candidate import Utterance
from llasa_search.errors import InputError
from llasa_search.text.spoken_form import letters
from llasa_search.verifiers import WER, TranscriptLikelihood
from llasa_search.verifiers.backends.openai_whisper import spelled
from llasa_search.verifiers.likelihood import divide, written
from llasa_search.voice import Prompt

Noise = Callable[..., Audio]


def utterance(audio: Audio, text: str = "One two three.") -> Utterance:
    return Utterance(text, "en", audio, 16_000)


def test_equals_stepping_through_the_tokens(asr_path: Path, noise: Noise) -> None:
    """Guards against an off-by-one in the forced pass: its slow twin asks for one token at a time."""
    import torch

    verifier, audio = TranscriptLikelihood(model=str(asr_path)), noise(1.0)
    verifier.load()
    asr = verifier._asr
    assert asr is not None
    tokens = list(asr.tokenizer.sot_sequence_including_notimestamps)
    expected = []
    with torch.inference_mode():
        for token in [*asr.tokenizer.encode(" One two three."), asr.tokenizer.eot]:
            logits = asr.model(asr.mel(audio)[None], torch.tensor([tokens]))[0, -1]
            expected.append(float(logits.log_softmax(-1)[token]))
            tokens.append(token)
    assert verifier.score([utterance(audio)])[0].value == pytest.approx(np.mean(expected), abs=1e-5)


def test_batch_equals_single(asr_path: Path, noise: Noise) -> None:
    """Guards against padding that is heard or counted, and a mixed-up order."""
    verifier = TranscriptLikelihood(model=str(asr_path))
    heard = [
        utterance(noise(1.5, 1), "a longer text than the others have"),
        utterance(np.zeros(0, np.float32)),
        utterance(noise(5.0, 3), "beyond the window of two seconds"),
        utterance(noise(0.4, 2), "one"),
    ]
    together = [score.value for score in verifier.score(heard)]
    assert together == pytest.approx([verifier.score([each])[0].value for each in heard], abs=1e-5)
    assert len(set(together)) == 4


def test_speech_that_wer_has_heard_is_not_encoded_again(asr_path: Path, noise: Noise) -> None:
    """Guards against paying for the encoder twice under the default reward, and a mix-up of what is kept."""
    wer, likelihood = WER(model=str(asr_path)), TranscriptLikelihood(model=str(asr_path))
    heard = [utterance(noise(seconds, seed)) for seed, seconds in enumerate((1.2, 0.4, 0.8))]
    expected = [likelihood.score([each])[0].value for each in heard]
    wer.score([utterance(noise(0.5, 8))])
    encoded: list[int] = []
    assert likelihood._asr is not None
    hook = likelihood._asr.model.encoder.register_forward_hook(lambda *call: encoded.append(len(call[2])))
    for _ in range(2):
        wer.score(heard)
        assert [score.value for score in likelihood.score(heard)] == pytest.approx(expected, abs=1e-5)
    wer.score([*heard[:2], utterance(noise(1.0, 9))])
    hook.remove()
    assert encoded == [3, 1]


def test_a_spelling_checkpoint_is_given_letters(asr_path: Path, noise: Noise, tmp_path: Path) -> None:
    """Guards against word pieces that a spelling recogniser never writes."""
    import torch

    state = torch.load(asr_path, weights_only=True)
    torch.save({**state, "spelling": True}, tmp_path / "speller.pt")
    verifier, words = TranscriptLikelihood(str(tmp_path / "speller.pt")), TranscriptLikelihood(str(asr_path))
    numbers, spoken = (verifier.score([utterance(noise(1.0), text)])[0] for text in ("Room 7.", "room seven"))
    assert numbers == spoken
    assert words.score([utterance(noise(1.0), "Room 7.")])[0].value != numbers.value
    assert verifier._asr is not None and verifier._asr.spells


def test_spelled_words_carry_their_space() -> None:
    from whisper.tokenizer import get_tokenizer

    tokenizer = get_tokenizer(False)
    tokens = spelled("It's a Café!", tokenizer)
    assert [tokenizer.decode([token]) for token in tokens] == [" i", *"t's", " a", " c", *"afe"]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("1,204 coins", "one thousand two hundred four coins"),
        ("in 90 days", "in ninety days"),
        ("agent 007", "agent zero zero seven"),
        ("3000000", "three million"),
        ("", ""),
    ],
)
def test_numbers_are_spelled_as_spoken(written: str, spoken: str) -> None:
    assert letters(written) == spoken


def test_words_that_were_not_heard_are_shared_by_time() -> None:
    """Guards long speech whose recogniser drops words: all of them in one piece would be too many for it."""
    text = " ".join(f"word{i}" for i in range(100))
    heard = ["word0 word1", "", "", "word98 word99"]
    assert [len(part.split()) for part in divide(text, heard, [1, 1, 1, 1], "en")] == [25, 25, 25, 25]


@given(
    st.lists(st.sampled_from(["one", "two", "three"]), max_size=8), st.lists(st.text("one tw"), min_size=1)
)
def test_a_divided_text_is_whole(words: list[str], heard: list[str]) -> None:
    """Guards against words that are lost or said twice where the speech was cut."""
    parts = divide(" ".join(words), heard, [len(each) + 1 for each in heard], "en")
    assert len(parts) == len(heard) and " ".join(parts).split() == words


def test_only_words_that_are_apart_begin_with_a_space() -> None:
    """Chinese forced with a space that Whisper never writes there: its score would be that token's."""
    from whisper.tokenizer import get_tokenizer

    english, chinese = (get_tokenizer(True, language=language) for language in ("en", "zh"))
    assert english.decode(written("Hello there.", english)) == " Hello there."
    assert chinese.decode(written("今天很好。", chinese)) == "今天很好。"


def test_shares_the_checkpoint_with_wer(asr_path: Path) -> None:
    """Guards against a large recogniser loaded twice for the default content reward."""
    errors, likelihood = WER(model=str(asr_path)), TranscriptLikelihood(model=str(asr_path))
    errors.load()
    likelihood.load()
    assert errors._asr is likelihood._asr


def test_english_checkpoint_refuses_chinese(asr_path: Path) -> None:
    with pytest.raises(InputError, match="English only"):
        TranscriptLikelihood(model=str(asr_path)).check(Prompt("今天", "zh"))


def test_text_beyond_the_decoder_is_refused_by_name(asr_path: Path, noise: Noise) -> None:
    """Guards against an index error deep in the decoder."""
    with pytest.raises(InputError, match="tokens for one window"):
        TranscriptLikelihood(model=str(asr_path)).score([utterance(noise(1.0), "word " * 500)])

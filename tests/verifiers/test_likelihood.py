"""TranscriptLikelihood: teacher forcing, batches, spelling, and speech longer than the window."""

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


def test_the_value_equals_that_of_stepping_through_the_tokens(asr_path: Path, noise: Noise) -> None:
    """One pass gives the log-probabilities that the model has when it is fed one token at a time."""
    import torch

    verifier, audio = TranscriptLikelihood(model=str(asr_path)), noise(1.0)
    verifier.load()
    asr = verifier._asr
    tokens = list(asr.tokenizer.sot_sequence_including_notimestamps)
    expected = []
    with torch.inference_mode():
        for token in [*asr.tokenizer.encode(" One two three."), asr.tokenizer.eot]:
            logits = asr.model(asr.mel(audio)[None], torch.tensor([tokens]))[0, -1]
            expected.append(float(logits.log_softmax(-1)[token]))
            tokens.append(token)
    assert verifier.score([utterance(audio)])[0].value == pytest.approx(np.mean(expected), abs=1e-5)


def test_a_batch_scores_as_its_utterances_alone(asr_path: Path, noise: Noise) -> None:
    """Scores do not depend on the other utterances of a batch, nor on their order."""
    verifier = TranscriptLikelihood(model=str(asr_path))
    utterances = [
        utterance(noise(1.5, 1), "a longer text than the others have"),
        utterance(np.zeros(0, np.float32)),
        utterance(noise(5.0, 3), "beyond the window of two seconds"),
        utterance(noise(0.4, 2), "one"),
    ]
    together = [score.value for score in verifier.score(utterances)]
    assert together == pytest.approx([verifier.score([each])[0].value for each in utterances], abs=1e-5)
    assert len(set(together)) == 4


def test_speech_that_wer_has_scored_is_not_encoded_again(asr_path: Path, noise: Noise) -> None:
    """WER and the likelihood share the encoder's output of a batch, and its values stay correct."""
    wer, likelihood = WER(model=str(asr_path)), TranscriptLikelihood(model=str(asr_path))
    speech = [utterance(noise(seconds, seed)) for seed, seconds in enumerate((1.2, 0.4, 0.8))]
    expected = [likelihood.score([each])[0].value for each in speech]
    wer.score([utterance(noise(0.5, 8))])
    encoded: list[int] = []
    hook = likelihood._asr.model.encoder.register_forward_hook(lambda *call: encoded.append(len(call[2])))
    for _ in range(2):
        wer.score(speech)
        assert [score.value for score in likelihood.score(speech)] == pytest.approx(expected, abs=1e-5)
    wer.score([*speech[:2], utterance(noise(1.0, 9))])
    hook.remove()
    assert encoded == [3, 1]


def test_a_checkpoint_that_spells_gets_letters(asr_path: Path, noise: Noise, tmp_path: Path) -> None:
    """The text of a checkpoint that spells is given in letters, with numbers in words."""
    import torch

    state = torch.load(asr_path, weights_only=True)
    torch.save({**state, "spelling": True}, tmp_path / "speller.pt")
    verifier, words = TranscriptLikelihood(str(tmp_path / "speller.pt")), TranscriptLikelihood(str(asr_path))
    numbers, spoken = (verifier.score([utterance(noise(1.0), text)])[0] for text in ("Room 7.", "room seven"))
    assert numbers == spoken
    assert words.score([utterance(noise(1.0), "Room 7.")])[0].value != numbers.value
    assert verifier._asr.spells


def test_the_first_letter_of_a_word_includes_its_space() -> None:
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
def test_numbers_are_written_as_spoken(written: str, spoken: str) -> None:
    assert letters(written) == spoken


def test_words_that_were_not_transcribed_are_divided_by_time() -> None:
    """Words that no piece's transcript has are divided by the lengths of the pieces, so none gets too many."""
    text = " ".join(f"word{i}" for i in range(100))
    transcripts = ["word0 word1", "", "", "word98 word99"]
    assert [len(part.split()) for part in divide(text, transcripts, [1, 1, 1, 1], "en")] == [25, 25, 25, 25]


@given(
    st.lists(st.sampled_from(["one", "two", "three"]), max_size=8), st.lists(st.text("one tw"), min_size=1)
)
def test_a_divided_text_keeps_every_word(words: list[str], transcripts: list[str]) -> None:
    """The parts of a divided text, in order, have each of its words once."""
    parts = divide(" ".join(words), transcripts, [len(each) + 1 for each in transcripts], "en")
    assert len(parts) == len(transcripts) and " ".join(parts).split() == words


def test_only_english_text_begins_with_a_space() -> None:
    """English is tokenised with a space before the first word, and Chinese, as Whisper writes it, without."""
    from whisper.tokenizer import get_tokenizer

    english, chinese = (get_tokenizer(True, language=language) for language in ("en", "zh"))
    assert english.decode(written("Hello there.", english)) == " Hello there."
    assert chinese.decode(written("今天很好。", chinese)) == "今天很好。"


def test_the_checkpoint_is_shared_with_wer(asr_path: Path) -> None:
    """WER and the likelihood of the same model load one recogniser."""
    errors, likelihood = WER(model=str(asr_path)), TranscriptLikelihood(model=str(asr_path))
    errors.load()
    likelihood.load()
    assert errors._asr is likelihood._asr


def test_an_english_checkpoint_refuses_chinese(asr_path: Path) -> None:
    with pytest.raises(InputError, match=r"knows en, and the text is Chinese"):
        TranscriptLikelihood(model=str(asr_path)).check(Prompt("今天", "zh"))


def test_a_text_longer_than_the_decoder_is_refused(asr_path: Path, noise: Noise) -> None:
    """A text with more tokens than the decoder takes is refused, and the error names it."""
    with pytest.raises(InputError, match="tokens for one window"):
        TranscriptLikelihood(model=str(asr_path)).score([utterance(noise(1.0), "word " * 500)])

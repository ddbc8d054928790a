"""CTCAlignment: losses, batches, unfinished speech, and texts and checkpoints that are refused."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.arrays import Audio, FloatArray
from llasa_search.candidate import Utterance
from llasa_search.errors import InputError, ModelError
from llasa_search.verifiers import CTCAlignment
from llasa_search.verifiers.backends.ctc_model import CTCModel
from llasa_search.verifiers.ctc import partial_loss, prefix_losses
from llasa_search.voice import Prompt
from tests.helpers.tiny_verifiers import write_ctc

Noise = Callable[..., Audio]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ctc(tmp_path_factory.mktemp("ctc") / "ctc")


def test_loss_equals_the_sum_over_all_paths(folder: Path, noise: Noise) -> None:
    """The score is minus the log of the summed probability of all paths that spell the text, per character."""
    recogniser = CTCModel(str(folder))
    audio, target = noise(0.08), recogniser.spell("No", "en")
    ((frames, _),) = recogniser.recognise([audio])
    total = 0.0
    for path in itertools.product([*target, recogniser.blank], repeat=len(frames)):
        collapsed = [token for token, _ in itertools.groupby(path) if token != recogniser.blank]
        total += math.exp(sum(frames[t, token] for t, token in enumerate(path))) * (collapsed == target)
    assert len(frames) >= 3
    score = CTCAlignment(model=str(folder)).score([Utterance("No", "en", audio, 16_000)])[0]
    assert score.value == pytest.approx(-math.log(total) / 2, abs=1e-6)


@given(
    st.lists(st.integers(1, 3), max_size=4),
    st.integers(0, 8),
    st.integers(0, 9),
)
def test_prefix_losses_equal_those_of_torch(target: list[int], frames: int, seed: int) -> None:
    """Each prefix loss is the CTC loss that torch computes for that prefix."""
    logits = torch.from_numpy(np.random.default_rng(seed).standard_normal((frames, 4)))
    logprobs = logits.log_softmax(-1)
    losses = prefix_losses(logprobs.numpy(), target, blank=0)
    for k, loss in enumerate(losses):
        if frames:
            expected_loss = torch.nn.functional.ctc_loss(
                logprobs,
                torch.tensor(target[:k], dtype=torch.long),
                torch.tensor([frames]),
                torch.tensor([k]),
                reduction="sum",
            )
            assert loss == pytest.approx(float(expected_loss))
        else:
            assert loss == (0.0 if k == 0 else math.inf)


LETTERS = " abcdefghijklmnopqrstuvwxyz"
TEXT = "the captain found a silver coin near the lake"
DUE = 12


def spoken(said: str) -> FloatArray:
    """Returns frames [4 per letter, 28] of a confident recogniser for `said`: each letter once, then blanks."""
    logprobs = np.full((4 * len(said), 1 + len(LETTERS)), math.log(0.1 / len(LETTERS)))
    for i, letter in enumerate(said):
        token = 0 if letter == "_" else 1 + LETTERS.index(letter)
        logprobs[4 * i, token] = math.log(0.9)
        logprobs[4 * i + 1 : 4 * i + 4, 0] = math.log(0.9)
    return logprobs


def partial(said: str) -> tuple[int, float]:
    return partial_loss(prefix_losses(spoken(said), [1 + LETTERS.index(c) for c in TEXT], 0), DUE, lag=2.0)


@pytest.mark.parametrize(
    ("said", "length"),
    [("the captain found ", 18), ("the captain fou", 15), ("the captain f", 13), (TEXT, len(TEXT))],
)
def test_correct_prefixes_are_found(said: str, length: int) -> None:
    """A correct prefix of the text has a low loss, also if its last word is cut."""
    found, value = partial(said)
    assert found == length
    assert value < 0.6


@pytest.mark.parametrize(
    ("fault", "said", "least"),
    [
        ("silence", "_" * 18, 2.0),
        ("a word, then silence", "the_______________", 1.5),
        ("a loop", "the captain the captain the capta", 2.0),
        ("a skip", "the silver coin near the", 1.5),
        ("babble", "so well then er yes no", 2.0),
    ],
)
def test_planted_faults_have_a_high_loss(fault: str, said: str, least: float) -> None:
    """Silence, loops, skipped words and speech that is not in the text have a high partial loss."""
    assert partial(said)[1] >= least, fault


def test_unfinished_speech_is_scored_by_its_best_prefix(folder: Path, noise: Noise) -> None:
    """Unfinished speech is compared with the best prefix of its text; below half a second there is no score."""
    verifier = CTCAlignment(model=str(folder))
    long, short = (Utterance(TEXT, "en", noise(s), 16_000, final=False) for s in (1.0, 0.4))
    unfinished, too_short = verifier.score([long, short])
    ((frames, _),) = verifier._ctc.recognise([long.audio])
    losses = prefix_losses(frames, verifier._ctc.spell(TEXT, "en"), verifier._ctc.blank)
    said = int(losses.argmin())
    assert unfinished.value == pytest.approx((losses[said] + 2.0 * max(0, 8 - said)) / max(8, said))
    assert unfinished.detail.startswith(f"{said} of {len(TEXT)} characters")
    assert too_short.status == "abstained"
    assert verifier.score([replace(long, final=True)])[0].value == pytest.approx(losses[-1] / len(TEXT))


def test_a_batch_scores_as_its_utterances_alone(folder: Path, noise: Noise) -> None:
    """Scores and details do not depend on the other utterances of a batch, nor on their order."""
    verifier = CTCAlignment(model=str(folder))
    utterances = [
        Utterance(text, "en", noise(seconds, i), 16_000)
        for i, (text, seconds) in enumerate([("a coin", 0.5), ("It's 5.", 0.7), ("near the lake", 0.5)])
    ]
    together = verifier.score(utterances)
    alone = [verifier.score([each])[0] for each in utterances]
    assert [each.value for each in together] == pytest.approx([each.value for each in alone], abs=1e-5)
    assert [each.detail for each in together] == [each.detail for each in alone]
    assert all(each.detail.startswith("WER ") for each in together)
    assert len({each.value for each in together}) == 3


@pytest.mark.parametrize("samples", [0, 300, 800])
def test_speech_too_short_for_its_text_fails(folder: Path, samples: int) -> None:
    """Speech with fewer frames than its text needs, also none at all, fails with that reason."""
    short = Utterance("a silver coin", "en", np.zeros(samples, np.float32), 16_000)
    found = CTCAlignment(model=str(folder)).score([short])[0]
    assert found.status == "failed" and "too short to hold the text" in found.detail


@pytest.mark.parametrize(("text", "language"), [("今天", "zh"), ("?!", "en")])
def test_texts_that_cannot_be_written_are_refused(folder: Path, text: str, language: str) -> None:
    """A text with a character that the checkpoint does not have, or without letters, is refused."""
    with pytest.raises(InputError, match=r"cannot write 今|no letters"):
        CTCAlignment(model=str(folder)).check(Prompt(text, language))


def test_checkpoint_without_its_head_is_refused(folder: Path, tmp_path: Path) -> None:
    """A checkpoint without the weights of its CTC head is refused, not given random ones."""
    from transformers import Wav2Vec2ForCTC

    Wav2Vec2ForCTC.from_pretrained(folder).wav2vec2.save_pretrained(tmp_path)
    for name in ("vocab.json", "preprocessor_config.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(ModelError, match=r"lm_head\.\w+ is missing"):
        CTCAlignment(model=str(tmp_path)).load()

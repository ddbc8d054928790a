"""CTC: how well does the text fit the speech, frame by frame? Another family than Whisper."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from llasa_search.arrays import FloatArray
from llasa_search.candidate import Score, Utterance
from llasa_search.checkpoints.loading import stored_scale
from llasa_search.checkpoints.names import resolve_name
from llasa_search.verifiers.backends.batches import at_16k
from llasa_search.verifiers.backends.ctc_model import CTCModel, written
from llasa_search.verifiers.base import Verifier
from llasa_search.verifiers.word_errors.alignment import errors
from llasa_search.verifiers.word_errors.prefix import MIN_SECONDS, expected_units, units_a_second
from llasa_search.voice import Prompt

CHARACTERS_A_SECOND = {"en": 17.0, "zh": 5.2}
"""Pace without a voice prompt: in English three words (see `WER`) of 4.7 letters and a space."""


class CTCAlignment(Verifier):
    """CTC loss of the text in nats a character, 0 or more: minus the log-probability of all its alignments.

    It hears letters without a language model to guess sentences, at the speech's own length without padding.
    The detail is the WER of its greedy transcript, and the transcript. Speech too short to hold the text
    fails. The scale ends at 2 nats a character, which is our choice; a folder's own `scale.json` goes first.

    Unfinished speech is compared with the prefix of the text that fits all of it best, see `partial_loss`;
    below half a second it abstains. The detail is then the prefix's length, and its log-probability a frame.

    Args:
        model: "tiny", the package's own for its synthetic voices; or a transformers `Wav2Vec2ForCTC` over
            characters, by hub id or folder, such as "facebook/wav2vec2-base-960h".
    """

    partial = True
    family = "ctc"
    part = "ctc"
    content = True

    def __init__(self, model: str = "tiny") -> None:
        self.model = str(model)
        self.scale = stored_scale(resolve_name(self.model, self.part)) or (2.0, 0.0)
        self._loaded: CTCModel | None = None

    def load(self) -> None:
        self._loaded = self._loaded or CTCModel(self.model)

    def check(self, prompt: Prompt) -> None:
        super().check(prompt)
        self._recogniser.spell(prompt.text, prompt.language)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        targets = [self._recogniser.spell(each.text, each.language) for each in utterances]
        heard = self._recogniser.hear([at_16k(utterance) for utterance in utterances])
        scores = []
        for utterance, target, (frames, transcript) in zip(utterances, targets, heard, strict=True):
            losses = prefix_losses(frames, target, self._recogniser.blank)
            judge = self._whole if utterance.final else self._prefix
            scores.append(judge(utterance, losses, len(frames), transcript))
        return scores

    def _whole(self, utterance: Utterance, losses: FloatArray, frames: int, transcript: str) -> Score:
        if not math.isfinite(losses[-1]):
            return Score(math.nan, f"too short to hold the text: {frames} frames", "failed")
        rate = errors(utterance.text, transcript, utterance.language).rate
        return Score(float(losses[-1]) / (len(losses) - 1), f"WER {rate:.2f}: {transcript}")

    def _prefix(self, utterance: Utterance, losses: FloatArray, frames: int, transcript: str) -> Score:
        if utterance.seconds < MIN_SECONDS:
            return Score(math.nan, f"shorter than {MIN_SECONDS:g} s", "abstained")
        language = utterance.language
        pace = units_a_second(
            utterance.voice, language, lambda text: len(written(text, language)), CHARACTERS_A_SECOND
        )
        said, value = partial_loss(losses, expected_units(utterance.seconds, pace), self.scale[0])
        detail = f"{said} of {len(losses) - 1} characters, {-losses[said] / max(1, frames):.2f} nats a frame"
        return Score(value, f"{detail}: {transcript}")

    def flops(self, seconds: float) -> float:
        return self._recogniser.flops(seconds)

    @property
    def _recogniser(self) -> CTCModel:
        self.load()
        assert self._loaded is not None
        return self._loaded


def prefix_losses(logprobs: FloatArray, target: Sequence[int], blank: int) -> FloatArray:
    """Minus the log-probability of each prefix of a text, the whole last, given all frames: [characters + 1].

    The forward variables of CTC (Graves et al. 2006, section 4.1) at the last frame hold them all: a prefix
    ends in its last character or in the blank after it. Infinite where the frames cannot hold a prefix.

    Args:
        logprobs: [frames, vocabulary], in nats.
        target: the text's characters.
        blank: CTC's blank.
    """
    states = np.full(2 * len(target) + 1, blank)
    states[1::2] = target
    # From one character to the next without a blank, unless they are equal.
    skips = np.full(len(states), -np.inf)
    skips[3::2] = np.where(states[3::2] == states[1:-2:2], -np.inf, 0.0)
    forward = np.full(len(states) + 2, -np.inf)  # with two places before the first state
    forward[2] = 0.0
    for frame in logprobs:
        arrived = np.logaddexp(forward[2:], forward[1:-1])
        forward[2:] = np.logaddexp(arrived, forward[:-2] + skips) + frame[states]
    losses: FloatArray = -np.logaddexp(forward[2::2], forward[1::2])
    return losses


def partial_loss(losses: FloatArray, expected: int, lag: float) -> tuple[int, float]:
    """How unfinished speech fits its text.

    With k, the length of the prefix that is likeliest given all frames: (loss of the prefix + lag * max(0,
    expected - k)) / max(1, expected, k). What is said besides the prefix, such as a loop, makes its loss
    large; silence is likely, and pays `lag` for every character that it should have reached.

    Args:
        losses: of each prefix, see `prefix_losses`.
        expected: characters that should have been said by now, see `expected_units`.
        lag: price of each that is missing, in nats; the verifier takes the worst end of its scale, so that
            silence is as bad as a text that does not fit.

    Returns:
        k, and the value in nats a character.
    """
    said = int(losses.argmin())
    value = (float(losses[said]) + lag * max(0, expected - said)) / max(1, expected, said)
    return said, value

"""CTC alignment: the log-probability of the text given the frames of the speech."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from llasa_search.arrays import FloatArray
from llasa_search.candidate import Score, Utterance
from llasa_search.checkpoints.loading import stored_scale
from llasa_search.checkpoints.locks import loaded_once
from llasa_search.checkpoints.names import resolve_name
from llasa_search.text.speech_rates import characters_per_second
from llasa_search.verifiers.backends.batches import at_16k
from llasa_search.verifiers.backends.ctc_model import CTCModel, characters
from llasa_search.verifiers.base import Verifier
from llasa_search.verifiers.word_errors import errors
from llasa_search.verifiers.word_errors.prefix import MIN_SECONDS, expected_units, units_per_second
from llasa_search.voice import Prompt


class CTCAlignment(Verifier):
    """CTC loss of the text in nats per character, 0 or more: minus the log-probability of all its alignments.

    The text is scored in its spoken form. The model scores letters without a language model, at the speech's own
    length without padding, and is not of Whisper's family. The detail is the WER of the greedy transcript, and the
    transcript. Speech that is too short for its text fails. The scale ends at 2 nats per character, which is our
    choice; the `scale.json` of a checkpoint folder takes precedence.

    Unfinished speech is compared with the prefix of the text that fits it best, see `partial_loss`. Below half a
    second the verifier abstains. The detail is then the prefix's length, and its log-probability per frame.

    Args:
        model: "tiny", the embedded one for its synthetic voices; or a transformers `Wav2Vec2ForCTC` over
            characters, by hub id or folder, such as "facebook/wav2vec2-base-960h".
    """

    partial = True
    family = "ctc"
    _part = "ctc"
    content = True

    def __init__(self, model: str = "tiny") -> None:
        self.model = str(model)
        self.scale = stored_scale(resolve_name(self.model, self._part)) or (2.0, 0.0)

    @loaded_once
    def _ctc(self) -> CTCModel:
        return CTCModel(self.model, self.device)

    def load(self) -> None:
        self.languages = self._ctc.languages

    def check(self, prompt: Prompt) -> None:
        super().check(prompt)
        self._ctc.spell(prompt.text, prompt.language)

    def _advice(self, language: str) -> str:
        return "take a CTC checkpoint of that language"

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        targets = [self._ctc.spell(each.text, each.language) for each in utterances]
        results = self._ctc.recognise([at_16k(utterance) for utterance in utterances])
        scores = []
        for utterance, target, (frames, transcript) in zip(utterances, targets, results, strict=True):
            losses = prefix_losses(frames, target, self._ctc.blank)
            score = self._finished if utterance.final else self._unfinished
            scores.append(score(utterance, losses, len(frames), transcript))
        return scores

    def _finished(self, utterance: Utterance, losses: FloatArray, frames: int, transcript: str) -> Score:
        if not math.isfinite(losses[-1]):
            return Score(math.nan, f"too short to hold the text: {frames} frames", "failed")
        rate = errors(utterance.text, transcript, utterance.language).rate
        return Score(float(losses[-1]) / (len(losses) - 1), f"WER {rate:.2f}: {transcript}")

    def _unfinished(self, utterance: Utterance, losses: FloatArray, frames: int, transcript: str) -> Score:
        if utterance.seconds < MIN_SECONDS:
            return Score(math.nan, f"shorter than {MIN_SECONDS:g} s", "abstained")
        language = utterance.language

        def count(text: str) -> int:
            return len(characters(text, language))

        pace = units_per_second(utterance.voice, language, count, characters_per_second(language))
        length, value = partial_loss(losses, expected_units(utterance.seconds, pace), self.scale[0])
        per_frame = -losses[length] / max(1, frames)
        detail = f"{length} of {len(losses) - 1} characters, {per_frame:.2f} nats per frame"
        return Score(value, f"{detail}: {transcript}")

    def flops(self, seconds: float) -> float:
        return self._ctc.flops(seconds)


def prefix_losses(logprobs: FloatArray, target: Sequence[int], blank: int) -> FloatArray:
    """Returns minus the log-probability of each prefix of a text given all frames: [characters + 1].

    The last is that of the whole text. All are read from the forward variables of CTC (Graves et al. 2006,
    section 4.1) at the last frame: a prefix ends in its last character or in the blank after it. A prefix that
    needs more frames has an infinite loss.

    Args:
        logprobs: [frames, vocabulary], in nats.
        target: tokens of the text's characters.
        blank: token of CTC's blank.
    """
    states = np.full(2 * len(target) + 1, blank)
    states[1::2] = target
    # A path may skip the blank between two characters unless they are equal.
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
    """Scores unfinished speech by the prefix of its text that is most probable given all frames.

    With k, the length of that prefix, the value is (loss of the prefix + lag * max(0, expected - k)) /
    max(1, expected, k). Speech that is not in the text, such as a loop, makes the loss of every prefix large.
    Silence fits the empty prefix, and costs `lag` for every expected character.

    Args:
        losses: of each prefix, see `prefix_losses`.
        expected: characters that should have been said by now, see `expected_units`.
        lag: loss of each missing character, in nats. The verifier takes the worst end of its scale, so that
            silence is as bad as speech that does not fit the text.

    Returns:
        k, and the value in nats per character.
    """
    length = int(losses.argmin())
    value = (float(losses[length]) + lag * max(0, expected - length)) / max(1, expected, length)
    return length, value

"""The contract tests pass for a correct verifier, and each planted fault fails the test that covers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from llasa_search.arrays import Audio, FloatArray
from llasa_search.candidate import Score, Span, Utterance
from llasa_search.verifiers import Verifier
from llasa_search.verifiers.testing import VerifierContract

TESTS = sorted(name for name in dir(VerifierContract) if name.startswith("test_"))


class Level(Verifier):
    """Mean absolute level, with a fault planted on request."""

    partial = True

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.calls = 0
        if fault == "empty scale":
            self.scale = (1.0, 1.0)
        if fault == "unknown need":
            self.needs = frozenset({"text", "transcript"})
        if fault == "no language":
            self.languages = frozenset()

    def check(self, prompt: object) -> None:
        """Accepts every prompt."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        levels = [float(np.abs(u.audio).sum()) / max(1, len(u.audio)) for u in utterances]
        self.calls += 1
        match self.fault:
            case "too few":
                levels = levels[:-1]
            case "sorted":
                levels = sorted(levels)
            case "mean of the batch":
                levels = [float(np.mean(levels))] * len(levels)
            case "loudest of the batch is 50":
                levels = [50 + level / max(levels) for level in levels]
            case "state":
                levels = [level + 0.1 * self.calls for level in levels]
            case "silence is special" if 0.0 in levels:
                levels = [0.0] * len(levels)
            case "NaN spreads" if np.isnan(levels).any():
                levels = [0.0] * len(levels)
            case "empty spreads" if any(len(u.audio) == 0 for u in utterances):
                levels = [0.0] * len(levels)
            case "reads the voice":
                levels = [
                    level + (u.voice is not None) / 2 for level, u in zip(levels, utterances, strict=True)
                ]
            case "no prefix" if not utterances[0].final:
                raise ValueError("unfinished")
        return [Score(level) for level in levels]

    def utility(self, values: FloatArray) -> FloatArray:
        if self.fault == "upside down":
            return 1 - super().utility(values)
        if self.fault == "NaN is 0":
            return np.nan_to_num(super().utility(values))
        return super().utility(values)

    def transcribe(self, audios: Sequence[Audio], sample_rates: Sequence[int], language: str) -> list[str]:
        return ["one two"] * (1 if self.fault == "one transcript" else len(audios))

    def error_spans(self, utterances: Sequence[Utterance]) -> list[list[Span]]:
        span = Span(0.5, 0.7, "substituted", "three", "tree")
        spans = {
            "span after the end": [replace(span, end_seconds=9.0)],
            "span backwards": [replace(span, end_seconds=0.1)],
            "span of unknown kind": [replace(span, kind="wrong")],  # type: ignore[arg-type]
            "deleted and said": [replace(span, kind="deleted")],
            "spans out of order": [span, Span(0.1, 0.1, "deleted", "one")],
        }
        return [spans.get(self.fault, [Span(0.1, 0.1, "deleted", "one"), span]) for _ in utterances]

    def __str__(self) -> str:
        return f"Level at {id(self)}" if self.fault == "no identity" else super().__str__()


def failing(fault: str) -> set[str]:
    """Returns the names of the contract tests that a verifier with this fault fails."""

    class Contract(VerifierContract):
        def make(self) -> Verifier:
            return Level(fault)

    failed = set()
    for name in TESTS:
        try:
            vars(VerifierContract)[name](Contract())
        except AssertionError:
            failed.add(name)
    return failed


def test_a_correct_verifier_passes() -> None:
    assert failing("") == set() and len(TESTS) >= 12


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:divide by zero")
@pytest.mark.parametrize(
    ("fault", "test"),
    [
        ("too few", "test_each_utterance_is_scored_in_order"),
        ("sorted", "test_each_utterance_is_scored_in_order"),
        ("mean of the batch", "test_batch_equals_single"),
        ("loudest of the batch is 50", "test_batch_equals_single"),
        ("state", "test_same_speech_same_score"),
        ("silence is special", "test_silence"),
        ("NaN spreads", "test_not_a_number"),
        ("empty spreads", "test_no_audio"),
        ("empty scale", "test_declared_scale"),
        ("upside down", "test_declared_scale"),
        ("NaN is 0", "test_declared_scale"),
        ("unknown need", "test_declarations"),
        ("no language", "test_declarations"),
        ("no identity", "test_printed_form_is_its_identity"),
        ("reads the voice", "test_reads_only_what_it_needs"),
        ("no prefix", "test_unfinished_speech"),
        ("one transcript", "test_transcripts"),
        ("span after the end", "test_error_spans"),
        ("span backwards", "test_error_spans"),
        ("span of unknown kind", "test_error_spans"),
        ("deleted and said", "test_error_spans"),
        ("spans out of order", "test_error_spans"),
    ],
)
def test_each_fault_is_found(fault: str, test: str) -> None:
    """Every contract test can fail."""
    assert test in failing(fault)

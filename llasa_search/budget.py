"""What a search may spend (`Budget`) and what it did spend (`Ledger`)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from llasa_search.errors import InputError


@dataclass(frozen=True)
class Budget:
    """Limits of one search; None is no limit. The first limit reached ends it.

    Attributes:
        candidates: finished whole utterances.
        tokens: row-steps: every sampled speech token of every row, kept or cut.
        codec_seconds: seconds spent decoding speech codes to audio.
        verifier_seconds: seconds spent in verifiers.
        seconds: wall seconds, counted from after loading; checked every 25 tokens and between
            verifier batches, so one running call may overshoot. Only this limit may break
            "same seed, same result".
    """

    candidates: int | None = None
    tokens: int | None = None
    codec_seconds: float | None = None
    verifier_seconds: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not value > 0:
                raise InputError(f"Budget({name}={value}): a limit must be above 0, or None for no limit")


@dataclass
class Ledger:
    """What a search spent.

    Attributes:
        prefills: calls that prefilled a prompt.
        prefill_tokens: prompt tokens run through the model.
        row_steps: sampled speech tokens over all rows, kept or cut, END included.
        finished: whole candidates finished.
        verifier_calls: utterances scored, by verifier.
        verifier_seconds: seconds, by verifier.
        stage_seconds: wall seconds by stage ("prefill", "decode", "codec", "verify").
        flops: analytic floating-point operations by stage ("lm", "codec", "verifiers").
        peak_memory_bytes: highest resident (or GPU) memory seen.
    """

    prefills: int = 0
    prefill_tokens: int = 0
    row_steps: int = 0
    finished: int = 0
    verifier_calls: dict[str, int] = field(default_factory=dict)
    verifier_seconds: dict[str, float] = field(default_factory=dict)
    stage_seconds: dict[str, float] = field(default_factory=dict)
    flops: dict[str, float] = field(default_factory=dict)
    peak_memory_bytes: int = 0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the wall seconds of the block to `stage_seconds[name]`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stage_seconds[name] = self.stage_seconds.get(name, 0.0) + time.perf_counter() - start

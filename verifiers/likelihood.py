"""How likely the text is given the speech (Whisper), and the speech given the text (Llasa itself)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.candidate import Score, Utterance
from llasa_search.checkpoints.hub import is_id
from llasa_search.checkpoints.names import resolve_name
from llasa_search.errors import InputError
from llasa_search.verifiers.backends.batches import at_16k, windows
from llasa_search.verifiers.backends.openai_whisper import spelled
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt

if TYPE_CHECKING:
    from llasa_search.verifiers.backends.openai_whisper import WhisperASR

BATCH = 16


class TranscriptLikelihood(Verifier):
    """Mean log-probability, in nats a token, of the text and its end under Whisper, in one decoder pass.

    It still tells candidates apart when all have a WER of 0. Speech longer than the recogniser's window is
    cut at pauses, and the text where the transcripts of the pieces say. The detail is the least likely token.

    The scale ends at -2: openai-whisper itself takes a mean below -1 (`logprob_threshold`) for a failed
    transcript, and that is where the utility is one half.

    Args:
        model: "tiny", one of openai-whisper's names, or the path of its `.pt` file. It shares the loaded
            checkpoint with `WER`.
    """

    family = "whisper"
    part = "asr.pt"
    content = True
    scale = (-2.0, 0.0)

    def __init__(self, model: str = "tiny") -> None:
        self.model = str(model)
        self._asr: WhisperASR | None = None

    def load(self) -> None:
        from llasa_search.verifiers.backends.asr import load_asr
        from llasa_search.verifiers.backends.openai_whisper import WhisperASR

        # Known for another kind before gigabytes are loaded: a folder, or a hub's id.
        path = Path(resolve_name(self.model, self.part))
        elsewhere = path.is_dir() or (is_id(self.model) and path.suffix != ".pt" and not path.exists())
        asr = None if elsewhere else self._asr or load_asr(self.model)
        if not isinstance(asr, WhisperASR):
            raise InputError(
                f"{self} reads openai-whisper checkpoints only: give a name, such as 'large-v3', or a .pt"
            )
        self._asr = asr

    def check(self, prompt: Prompt) -> None:
        super().check(prompt)
        self.load()
        assert self._asr is not None
        self._asr.forget()
        self._require(prompt.text, prompt.language)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        self.load()
        jobs = [job for i, utterance in enumerate(utterances) for job in self._jobs(i, utterance)]
        jobs.sort(key=lambda job: len(job.tokens))
        found: list[list[tuple[float, int]]] = [[] for _ in utterances]
        for start in range(0, len(jobs), BATCH):
            batch = jobs[start : start + BATCH]
            for job, logprobs in zip(batch, self._forced(batch), strict=True):
                found[job.place] += zip(logprobs, [*job.tokens, job.tokenizer.eot], strict=True)
        return [self._score(each) for each in found]

    def flops(self, seconds: float) -> float:
        """Of one decoder pass, and of the encoder's unless a `WER` of the same model has heard the speech."""
        self.load()
        assert self._asr is not None
        return self._asr.flops(seconds)

    def _score(self, found: list[tuple[float, int]]) -> Score:
        assert self._asr is not None
        worst, token = min(found)
        mean = math.fsum(logprob for logprob, _ in found) / len(found)
        return Score(mean, f"least likely {self._asr.tokenizer.decode([token])!r} at {worst:.2f}")

    def _jobs(self, place: int, utterance: Utterance) -> list[_Job]:
        """Pieces of the speech no longer than the window, each with its part of the text."""
        assert self._asr is not None
        self._require(utterance.text, utterance.language)
        audio = at_16k(utterance)
        pieces = list(windows(audio, self._asr.window, self._asr.piece)) or [audio]
        parts = [utterance.text]
        if len(pieces) > 1:
            heard = self._asr.transcribe(pieces, utterance.language)
            parts = divide(utterance.text, heard, [len(piece) for piece in pieces], utterance.language)
        tokenizer = self._asr.tokenizer_of(utterance.language)
        room = self._asr.model.dims.n_text_ctx - len(tokenizer.sot_sequence_including_notimestamps)
        jobs = []
        for piece, part in zip(pieces, parts, strict=True):
            tokens = (spelled if self._asr.spells else written)(part, tokenizer)
            if len(tokens) > room:
                raise InputError(
                    f"{self} takes {room} tokens for one window, and {part!r:.60} has {len(tokens)}"
                )
            jobs.append(_Job(place, piece, tokens, tokenizer))
        return jobs

    def _forced(self, batch: list[_Job]) -> list[list[float]]:
        """Log-probabilities of each job's tokens and the end after them."""
        import torch

        assert self._asr is not None
        rows = [[*job.tokenizer.sot_sequence_including_notimestamps, *job.tokens] for job in batch]
        longest = max(map(len, rows))
        # Causal: what comes after a row's end changes nothing before it.
        padded = [row + [batch[0].tokenizer.eot] * (longest - len(row)) for row in rows]
        tokens = torch.tensor(padded, device=self._asr.device)
        with torch.inference_mode():
            features = self._asr.encode([job.audio for job in batch])
            logits = self._asr.model.decoder(tokens, features.float()).float()
            logprobs = logits.log_softmax(-1)
        results = []
        for row, job, predicted in zip(rows, batch, logprobs, strict=True):
            first = len(row) - len(job.tokens) - 1
            targets = torch.tensor([*job.tokens, job.tokenizer.eot], device=predicted.device)
            results.append(predicted[first : len(row)].gather(-1, targets[:, None])[:, 0].tolist())
        return results

    def _require(self, text: str, language: str) -> None:
        assert self._asr is not None
        if not self._asr.understands(language):
            raise InputError(
                f"{self} hears English only and the text is {language!r}: "
                "use a multilingual checkpoint, such as TranscriptLikelihood(model='large-v3')"
            )
        if not any(map(str.isalnum, text)):
            raise InputError(f"the text {text!r} has no words to hear")


class LanguageModelLikelihood(Verifier):
    """Mean log-probability, in nats a code, of the speech under the language model that sampled it; free.

    It prefers what the model finds ordinary, which slow and monotonous speech is: better as a small part of a
    sum than alone. Its scale begins where codes are guessed: ln 65,536, the size of X-codec2's codebook.
    """

    needs = frozenset({"logprobs"})
    partial = True
    window_seconds = 0.0
    family = "llasa"
    scale = (-math.log(65_536), 0.0)

    def flops(self, seconds: float) -> float:
        return 0.0

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [self._score(utterance) for utterance in utterances]

    def _score(self, utterance: Utterance) -> Score:
        if utterance.logprobs is None or not len(utterance.logprobs):
            raise InputError(f"{self} needs the log-probabilities of sampled speech, and there are none")
        return Score(float(np.mean(utterance.logprobs, dtype=np.float64)))


def written(text: str, tokenizer: Any) -> list[int]:
    """The text's tokens as Whisper writes them: with a space before the first word, but not in Chinese."""
    ids: list[int] = tokenizer.encode(text.strip() if tokenizer.language == "zh" else f" {text}".rstrip())
    return ids


class _Job(NamedTuple):
    place: int
    audio: Audio
    tokens: list[int]
    tokenizer: Any


def divide(text: str, heard: Sequence[str], lengths: Sequence[float], language: str) -> list[str]:
    """Cuts `text` in as many parts as there are transcripts, where they say that the pieces end.

    Text and all transcripts are aligned by the fewest edits. Where words at a cut were not heard, their share
    of the speech's length says to which piece they belong.

    Args:
        text: what all pieces together should say.
        heard: a transcript of each piece.
        lengths: of the pieces, in any unit.
        language: "zh" is cut by character, any other by word.

    >>> divide("The captain found a coin.", ["the captain phoned", "the coin"], [3, 2], "en")
    ['The captain found', 'a coin.']
    >>> divide("One two three four five six.", ["one", "", "six"], [2, 2, 2], "en")
    ['One two', 'three four', 'five six.']
    """
    units = list(text) if language == "zh" else text.split()
    joint = "" if language == "zh" else " "
    said = [list(each) if language == "zh" else each.split() for each in heard]
    places = _alignment([_plain(unit) for unit in units], [_plain(unit) for each in said for unit in each])
    cuts, total = [0], sum(lengths)
    for piece in range(1, len(heard)):
        low, high = places[sum(map(len, said[:piece]))]
        by_time = round(len(units) * sum(lengths[:piece]) / total)
        cuts.append(max(cuts[-1], min(max(by_time, low), high)))
    return [joint.join(units[a:b]) for a, b in zip(cuts, [*cuts[1:], len(units)], strict=True)]


def _alignment(text: list[str], heard: list[str]) -> list[tuple[int, int]]:
    """For each place between the heard units, the least and the greatest place in the text that it may be."""
    import jiwer

    if not heard or not text:
        return [(0, len(text))] * (len(heard) + 1)
    (chunks,) = jiwer.process_words(
        [" ".join(unit or "-" for unit in text)], [" ".join(unit or "-" for unit in heard)]
    ).alignments
    low, high = [len(text)] * (len(heard) + 1), [0] * (len(heard) + 1)
    for chunk in chunks:
        for place in range(chunk.hyp_start_idx, chunk.hyp_end_idx + 1):
            over = place - chunk.hyp_start_idx
            first = min(chunk.ref_start_idx + over, chunk.ref_end_idx)
            last = chunk.ref_end_idx if chunk.type == "delete" else first
            low[place], high[place] = min(low[place], first), max(high[place], last)
    return list(zip(low, high, strict=True))


def _plain(unit: str) -> str:
    return "".join(filter(str.isalnum, unit)).lower()

"""Log-likelihood of the text given the speech (Whisper), and of the speech given the text (Llasa)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.candidate import Score, Utterance
from llasa_search.checkpoints.hub import is_id
from llasa_search.checkpoints.locks import loaded_once
from llasa_search.checkpoints.names import resolve_name
from llasa_search.errors import InputError
from llasa_search.text.language import has_spaces
from llasa_search.text.spoken_form import spoken_form
from llasa_search.verifiers.backends.asr import load_asr
from llasa_search.verifiers.backends.batches import BATCH, at_16k, windows
from llasa_search.verifiers.backends.openai_whisper import WhisperASR, spelled
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt


class TranscriptLikelihood(Verifier):
    """Mean log-probability, in nats per token, of the text and its end under Whisper, in one decoder pass.

    The text is scored in its spoken form. It ranks candidates that all have a WER of 0. Speech longer than the
    recogniser's window is cut at pauses, and the text is divided by the transcripts of the pieces. The detail is
    the least probable token.

    The scale ends at -2: openai-whisper treats a transcript with a mean below -1 (`logprob_threshold`) as failed,
    and there the utility is 0.5.

    Args:
        model: "tiny", one of openai-whisper's names, or the path of its `.pt` file. The loaded checkpoint is
            shared with `WER`.
    """

    family = "whisper"
    _part = "asr.pt"
    content = True
    scale = (-2.0, 0.0)

    def __init__(self, model: str = "tiny") -> None:
        self.model = str(model)

    @loaded_once
    def _asr(self) -> WhisperASR:
        # A folder or a hub id is another kind of checkpoint; it is refused before gigabytes are loaded.
        path = Path(resolve_name(self.model, self._part))
        other_kind = path.is_dir() or (is_id(self.model) and path.suffix != ".pt" and not path.exists())
        asr = None if other_kind else load_asr(self.model, self.device, self.dtype)
        if not isinstance(asr, WhisperASR):
            raise InputError(
                f"{self} reads openai-whisper checkpoints only: give a name, such as 'large-v3', or a .pt"
            )
        self.languages = asr.languages
        return asr

    def load(self) -> None:
        _ = self._asr

    def check(self, prompt: Prompt) -> None:
        self._asr.clear_cache()
        super().check(prompt)
        self._require_words(prompt.text)

    def _advice(self, language: str) -> str:
        return "take a multilingual checkpoint, such as TranscriptLikelihood(model='large-v3')"

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        jobs = [job for i, utterance in enumerate(utterances) for job in self._jobs(i, utterance)]
        jobs.sort(key=lambda job: len(job.tokens))
        scored: list[list[tuple[float, int]]] = [[] for _ in utterances]
        for start in range(0, len(jobs), BATCH):
            batch = jobs[start : start + BATCH]
            for job, logprobs in zip(batch, self._forced(batch), strict=True):
                scored[job.place] += zip(logprobs, [*job.tokens, job.tokenizer.eot], strict=True)
        return [self._score(tokens) for tokens in scored]

    def flops(self, seconds: float) -> float:
        """Returns the FLOPs of a decoder pass, and of the encoder unless a `WER` of the same model has run it."""
        return self._asr.flops(seconds)

    def _score(self, tokens: list[tuple[float, int]]) -> Score:
        """Returns the score of (log-probability, token) pairs."""
        worst, token = min(tokens)
        mean = math.fsum(logprob for logprob, _ in tokens) / len(tokens)
        return Score(mean, f"least likely {self._asr.tokenizer.decode([token])!r} at {worst:.2f}")

    def _jobs(self, place: int, utterance: Utterance) -> list[_Job]:
        """Returns pieces of the speech no longer than the window, each with its part of the text."""
        self._require_words(utterance.text)
        audio = at_16k(utterance)
        pieces = list(windows(audio, self._asr.window, self._asr.piece)) or [audio]
        text = spoken_form(utterance.text, utterance.language)
        parts = [text]
        if len(pieces) > 1:
            transcripts = self._asr.transcribe(pieces, utterance.language)
            parts = divide(text, transcripts, [len(piece) for piece in pieces], utterance.language)
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
        """Returns the log-probabilities of each job's tokens and of the end after them."""
        import torch

        rows = [[*job.tokenizer.sot_sequence_including_notimestamps, *job.tokens] for job in batch]
        longest = max(map(len, rows))
        # The decoder is causal, so padding after the end of a row changes nothing before it.
        padded = [row + [batch[0].tokenizer.eot] * (longest - len(row)) for row in rows]
        tokens = torch.tensor(padded, device=self._asr.device)
        with torch.inference_mode(), self._asr.lock:
            features = self._asr.encode([job.audio for job in batch])
            logits = self._asr.model.decoder(tokens, features.float()).float()
            logprobs = logits.log_softmax(-1)
        results = []
        for row, job, predicted in zip(rows, batch, logprobs, strict=True):
            first = len(row) - len(job.tokens) - 1
            targets = torch.tensor([*job.tokens, job.tokenizer.eot], device=predicted.device)
            results.append(predicted[first : len(row)].gather(-1, targets[:, None])[:, 0].tolist())
        return results

    def _require_words(self, text: str) -> None:
        if not any(map(str.isalnum, text)):
            raise InputError(f"the text {text!r} has no words to score")


class LanguageModelLikelihood(Verifier):
    """Mean log-probability, in nats per code, of the speech under the language model that sampled it.

    It costs nothing, because the sampler has the log-probabilities. It prefers speech that the model finds
    probable, such as slow and monotonous speech, so use it as a small part of a sum rather than alone. The scale
    begins at -ln 65,536, the value of a uniform guess among the codes of X-codec2's codebook.
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
    """Returns the text's tokens as Whisper writes them: with a space before the first word, in scripts with spaces."""
    spaced = has_spaces(tokenizer.language or "en")
    ids: list[int] = tokenizer.encode(f" {text}".rstrip() if spaced else text.strip())
    return ids


class _Job(NamedTuple):
    """A piece of an utterance's speech, and the tokens of its part of the text."""

    place: int
    audio: Audio
    tokens: list[int]
    tokenizer: Any


def divide(text: str, transcripts: Sequence[str], lengths: Sequence[float], language: str) -> list[str]:
    """Divides a text into one part for each piece of its speech.

    The text is aligned with all transcripts by the fewest edits. Words at a cut that were not transcribed are
    assigned by the lengths of the pieces.

    Args:
        text: what all pieces together should say.
        transcripts: of the pieces.
        lengths: of the pieces, in any unit.
        language: of the text. Scripts without spaces are divided by character, others by word.

    >>> divide("The captain found a coin.", ["the captain phoned", "the coin"], [3, 2], "en")
    ['The captain found', 'a coin.']
    >>> divide("One two three four five six.", ["one", "", "six"], [2, 2, 2], "en")
    ['One two', 'three four', 'five six.']
    """
    split, joint = (str.split, " ") if has_spaces(language) else (list, "")
    units, said = split(text), [split(each) for each in transcripts]
    places = _alignment(
        [_normalised(unit) for unit in units], [_normalised(unit) for each in said for unit in each]
    )
    cuts, total = [0], sum(lengths)
    for piece in range(1, len(transcripts)):
        low, high = places[sum(map(len, said[:piece]))]
        by_time = round(len(units) * sum(lengths[:piece]) / total)
        cuts.append(max(cuts[-1], min(max(by_time, low), high)))
    return [joint.join(units[a:b]) for a, b in zip(cuts, [*cuts[1:], len(units)], strict=True)]


def _alignment(text: list[str], said: list[str]) -> list[tuple[int, int]]:
    """Returns, for each place between units of `said`, the first and last place in `text` that match it."""
    import jiwer

    if not said or not text:
        return [(0, len(text))] * (len(said) + 1)
    (chunks,) = jiwer.process_words(
        [" ".join(unit or "-" for unit in text)], [" ".join(unit or "-" for unit in said)]
    ).alignments
    low, high = [len(text)] * (len(said) + 1), [0] * (len(said) + 1)
    for chunk in chunks:
        for place in range(chunk.hyp_start_idx, chunk.hyp_end_idx + 1):
            over = place - chunk.hyp_start_idx
            first = min(chunk.ref_start_idx + over, chunk.ref_end_idx)
            last = chunk.ref_end_idx if chunk.type == "delete" else first
            low[place], high[place] = min(low[place], first), max(high[place], last)
    return list(zip(low, high, strict=True))


def _normalised(unit: str) -> str:
    return "".join(filter(str.isalnum, unit)).lower()

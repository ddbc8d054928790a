"""Text in, searched speech out: the main flow."""

from __future__ import annotations

import inspect
import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from llasa_search.audio import SAMPLE_RATE, SpeechLike, read_speech
from llasa_search.budget import Budget, BudgetTracker
from llasa_search.candidate import recorded
from llasa_search.errors import InputError, LlasaSearchError, of_kind
from llasa_search.request import VoiceLike, add_resynthesis, as_voice, in_known_characters, with_transcript
from llasa_search.result import SearchError, SearchResult
from llasa_search.sampling import Sampling
from llasa_search.scoring.families import warn_out_of_domain, warn_same_family
from llasa_search.scoring.gate import Gate, gated
from llasa_search.scoring.isolation import isolated
from llasa_search.scoring.loading import check_verifiers, load_verifiers, refuse_codes, verifier_versions
from llasa_search.scoring.scorer import Scorer, decoded
from llasa_search.search_run import Progress, collected, raised
from llasa_search.strategies.base import StrategyLike, as_strategy, verifiers_of
from llasa_search.text.cleaning import clean_text
from llasa_search.text.language import language_of
from llasa_search.verifiers.specification import DEFAULT_REWARD, RewardLike, as_reward
from llasa_search.voice import Prompt

if TYPE_CHECKING:
    from llasa_search.llasa.model import Llasa
    from llasa_search.verifiers.base import Verifier

__all__ = ["Progress", "Searcher", "generate", "select", "unload"]


class Searcher:
    """A model, verifiers and a strategy, loaded once and used for many texts.

    Args:
        model: "tiny", a hub id such as "HKUSTAudio/Llasa-1B", a local folder, or a loaded `Llasa`.
        verifiers: what to aim at: a `Reward`, an expression, names with weights, a list, or a plain function.
        strategy: how to spend: a `Strategy`, or its name with arguments, such as "best_of_n:n=8".
        gate: "auto" adds the condition that pace and signal are plausible where no verifier hears what is
            said, because speech that is cut off would win; None does not.
        codec: the codec's id or folder where it is not the model's own.
        device: "auto", "cpu", "cuda", ...
        dtype: "auto", "float32", "bfloat16", ...

    Raises:
        InputError: verifiers or strategy cannot be read; nothing has been loaded.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Llasa = "tiny",
        verifiers: RewardLike = DEFAULT_REWARD,
        strategy: StrategyLike = "best_of_n",
        *,
        gate: Gate = "auto",
        codec: str | os.PathLike[str] | None = None,
        device: str = "auto",
        dtype: str = "auto",
    ) -> None:
        self.model = model
        self.reward = gated(as_reward(verifiers), gate)
        self.strategy = as_strategy(strategy)
        self.codec = codec
        self.device = device
        self.dtype = dtype
        self.llasa: Llasa | None = None

    def load(self) -> Llasa:
        """Loads the model, its codec and the verifiers, if they are not loaded yet.

        Raises:
            ModelError: a checkpoint cannot be found or used.
        """
        from llasa_search.llasa.model import Llasa

        with isolated():
            if isinstance(self.model, Llasa):
                self.llasa = self.model
            elif self.llasa is None:
                codec = None if self.codec is None else _where(self.codec, "codec")
                model = _where(self.model, "model")
                self.llasa = Llasa.from_pretrained(model, codec=codec, device=self.device, dtype=self.dtype)
        load_verifiers(self.verifiers)
        return self.llasa

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """All that listen: for the reward, and for the strategy on its way."""
        return (*self.reward.verifiers, *verifiers_of(self.strategy))

    def generate(
        self,
        text: str,
        prompt: VoiceLike | None = None,
        *,
        budget: Budget | None = None,
        sampling: Sampling | None = None,
        language: str | None = None,
        seed: int = 0,
        progress: Callable[[Progress], None] | None = None,
    ) -> SearchResult:
        """Speaks `text`. Ctrl-C ends the search and returns the best of what has finished; pressed again, of
        what has been scored.

        Args:
            text: what to say.
            prompt: whose voice: a `Voice`, a recording's path, (samples, sample rate), a built-in voice's
                name, or None for any. A recording without a transcript is transcribed, with a warning.
            budget: limits; the first one reached ends the search.
            sampling: temperature and the like.
            language: "en" or "zh"; None decides by the text's letters.
            seed: same seed, same result, unless a limit in seconds ends the search.
            progress: called as candidates finish and when they are scored.

        Raises:
            InputError: the request cannot be met; nothing has been sampled.
            ModelError: a checkpoint cannot be found or used.
            SearchError: nothing finished or nothing could be scored, or the strategy raised what is none of
                these; `error.result` has every candidate.
        """
        budget = of_kind(budget, Budget, "budget") or Budget()
        sampling = of_kind(sampling, Sampling, "sampling") or Sampling()
        if progress is not None and not callable(progress):
            raise InputError(f"progress={progress!r:.80}: give a function that takes a Progress")
        text = clean_text(text)
        language_of(text, language)  # refuses a language that is none of ours before anything is loaded
        voice, seed = as_voice(prompt), _whole(seed)
        llasa = self.load()
        if not llasa.embedded:
            warn_out_of_domain(self.verifiers)
        text = in_known_characters(text, "the text", llasa)
        language = language_of(text, language)
        request = Prompt(text, language, with_transcript(voice, language, self.verifiers, llasa))
        add_resynthesis(request.voice, llasa, self.verifiers)
        check_verifiers(self.verifiers, request)
        warn_same_family(self.reward.reporting, (*self.reward.required, *verifiers_of(self.strategy)))

        from llasa_search.generation.sampler import Sampler

        tracker = BudgetTracker(budget)
        sampler = Sampler(llasa, request, sampling, seed, tracker)
        scorer = Scorer(self.reward, request, tracker, sampler.audio, llasa.sample_rate, cascade=True)
        candidates, ended_by = collected(self.strategy, sampler, scorer, progress)
        interrupted = isinstance(ended_by, KeyboardInterrupt)
        limit = tracker.stopped_by or tracker.reached(clock=False) or tracker.short_of
        stopped_by = "interrupt" if interrupted else limit
        sampler.trace.close(stopped_by)
        result = SearchResult(
            text=text,
            language=language,
            voice=request.voice,
            candidates=sorted(candidates, key=lambda candidate: candidate.index),
            sample_rate=llasa.sample_rate,
            reward=str(self.reward),
            ledger=tracker.ledger,
            stopped_by=stopped_by,
            settings={
                "model": llasa.name,
                "strategy": str(self.strategy),
                "sampling": asdict(sampling),
                "budget": asdict(budget),
                "seed": seed,
                "versions": verifier_versions(self.verifiers),
            },
            trace=sampler.trace,
        )
        if isinstance(ended_by, Exception):
            raise SearchError(raised(self.strategy, ended_by), result) from ended_by
        return result.checked()

    __call__ = generate

    def map(self, items: Iterable[str | Mapping[str, Any]]) -> Iterator[SearchResult | LlasaSearchError]:
        """Speaks many texts; a bad one does not lose the others.

        Args:
            items: texts, or the arguments of `generate` by name.

        Yields:
            For each item in order its result, or the error that it ended with. Ctrl-C ends the series after
            the item at hand.

        Raises:
            InputError: one text or one item where several are to be given.
        """
        if isinstance(items, str | Mapping) or not isinstance(items, Iterable):
            raise InputError(f"map({items!r:.60}): give the texts in a list, or use generate")
        for item in items:
            try:
                result = self.generate(**_arguments(item))
            except LlasaSearchError as error:
                yield error
                continue
            yield result
            if result.stopped_by == "interrupt":
                return


_kept: Searcher | None = None


def generate(
    text: str,
    prompt: VoiceLike | None = None,
    *,
    verifiers: RewardLike = DEFAULT_REWARD,
    strategy: StrategyLike = "best_of_n",
    budget: Budget | None = None,
    model: str | os.PathLike[str] | Llasa = "tiny",
    gate: Gate = "auto",
    codec: str | os.PathLike[str] | None = None,
    sampling: Sampling | None = None,
    language: str | None = None,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> SearchResult:
    """Speaks `text` once; arguments and errors are those of `Searcher` and `Searcher.generate`.

    What is loaded stays for the next call with the same model or verifiers; `unload` frees it.
    """
    global _kept
    searcher = Searcher(model, verifiers, strategy, gate=gate, codec=codec)
    if _kept is not None:
        _hand_over(_kept, searcher)
    _kept = searcher  # what it did not take from the last one is free before anything is loaded
    return searcher.generate(
        text,
        prompt,
        budget=budget,
        sampling=sampling,
        language=language,
        seed=seed,
        progress=progress,
    )


def _hand_over(last: Searcher, new: Searcher) -> None:
    """What `last` has loaded and `new` needs too."""
    if (last.model, last.codec) == (new.model, new.codec):
        new.llasa = last.llasa
    if last.reward == new.reward:
        new.reward = last.reward
    if last.strategy == new.strategy:
        new.strategy = last.strategy


def unload() -> None:
    """Frees what the last `generate` has kept."""
    global _kept
    _kept = None


def select(
    wavs: Sequence[SpeechLike],
    text: str,
    prompt: VoiceLike | None = None,
    *,
    verifiers: RewardLike = DEFAULT_REWARD,
    gate: Gate = "auto",
    language: str | None = None,
    budget: Budget | None = None,
) -> SearchResult:
    """Scores recordings of `text` and chooses one, as a search does with its own candidates.

    Args:
        wavs: paths or (samples, sample rate), of any rate and length.
        text: what they should say.
        prompt: the voice they should have, for verifiers that compare voices.
        verifiers: what to aim at.
        gate: as for `Searcher`.
        language: "en" or "zh"; None decides by the text's letters.
        budget: limits the time that verifiers take.

    Returns:
        A result whose candidates stand in the order of `wavs`, resampled to 16 kHz.

    Raises:
        InputError: a recording, the text or the reward cannot be used; nothing has been scored.
        SearchError: nothing could be scored; it carries the result.
    """
    if isinstance(wavs, str | os.PathLike) or not isinstance(wavs, Sequence) or not len(wavs):
        raise InputError(f"wavs={wavs!r:.80}: give the recordings in a list, at least one")
    text, budget = clean_text(text), of_kind(budget, Budget, "budget")
    reward = gated(as_reward(verifiers), gate)
    request = Prompt(text, language_of(text, language), as_voice(prompt))
    candidates = [recorded(i, text, read_speech(wav, f"recording {i}")) for i, wav in enumerate(wavs)]
    refuse_codes(reward.verifiers)
    load_verifiers(reward.verifiers)
    check_verifiers(reward.verifiers, request)
    warn_same_family(reward.reporting, reward.required)
    warn_out_of_domain(reward.verifiers)
    tracker = BudgetTracker(budget)
    Scorer(reward, request, tracker, decoded, SAMPLE_RATE).final(candidates)
    return SearchResult(
        text=text,
        language=request.language,
        voice=request.voice,
        candidates=candidates,
        sample_rate=SAMPLE_RATE,
        reward=str(reward),
        ledger=tracker.ledger,
        stopped_by=tracker.stopped_by,
        settings={"versions": verifier_versions(reward.verifiers)},
    ).checked()


def _where(given: object, name: str) -> str:
    try:
        return os.fspath(given)  # type: ignore[call-overload, no-any-return]
    except TypeError as error:
        raise InputError(f"{name}={given!r:.80}: give a name, a hub id or a folder") from error


def _whole(seed: object) -> int:
    try:
        return operator.index(seed)  # type: ignore[arg-type]
    except TypeError as error:
        raise InputError(f"seed={seed!r}: give a whole number") from error


def _arguments(item: object) -> dict[str, Any]:
    """What `map` calls `generate` with for one item."""
    arguments = {"text": item} if isinstance(item, str) else item
    if not isinstance(arguments, Mapping):
        raise InputError(f"item {item!r:.80}: give a text, or the arguments of generate by name")
    try:
        inspect.signature(Searcher.generate).bind(None, **arguments)
    except TypeError as error:
        raise InputError(f"item {item!r:.80}: {error}") from error
    return dict(arguments)

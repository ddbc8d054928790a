"""The main flow: searches for the speech of a text, chooses among recordings, and reranks results."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from llasa_search.audio import SAMPLE_RATE, SpeechLike, read_speech
from llasa_search.budget import Budget, BudgetTracker
from llasa_search.candidate import recorded
from llasa_search.checkpoints.imports import explain_missing_imports
from llasa_search.checkpoints.locks import third_party_lock
from llasa_search.errors import InputError, LlasaSearchError, of_kind, short_repr
from llasa_search.request import Request, VoiceLike, as_voice, prepared, validated
from llasa_search.result import Progress, SearchResult
from llasa_search.reward.base import Reward
from llasa_search.sampling import Sampling
from llasa_search.scoring.families import warn_out_of_domain, warn_same_family
from llasa_search.scoring.gate import Gate, gated
from llasa_search.scoring.isolation import isolated
from llasa_search.scoring.loading import (
    check_verifiers,
    failing,
    known_languages,
    load_verifiers,
    refuse_codes,
    verifier_versions,
)
from llasa_search.scoring.prompt_check import PromptCheck
from llasa_search.scoring.score_all import unscored
from llasa_search.scoring.scorer import Scorer, decoded, skip
from llasa_search.strategies.base import StrategyLike, as_strategy, verifiers_of
from llasa_search.text.cleaning import clean_text
from llasa_search.text.language import language_of, require_language
from llasa_search.verifiers.base import FunctionVerifier, Verifier
from llasa_search.verifiers.specification import DEFAULT_REWARD, RewardLike, as_reward, default_reward
from llasa_search.voice import Prompt

if TYPE_CHECKING:
    from llasa_search.llasa.choose_format import PromptFormatLike
    from llasa_search.llasa.model import Llasa

__all__ = ["Progress", "Searcher", "generate", "rerank", "select", "unload"]


class Searcher:
    """A model, verifiers and a strategy, loaded once and used for many texts.

    Args:
        model: "tiny", a hub id such as "HKUSTAudio/Llasa-1B", a local folder, or a loaded `Llasa`.
        verifiers: what the search maximises: a `Reward`, an expression, names with weights, a list, or a
            plain function. None: word error rate, then likelihood, by the embedded recogniser for model "tiny",
            and by Whisper large-v3-turbo, a download of 1.6 GB, for any other.
        strategy: how it searches: a `Strategy`, or its name with arguments, such as "best_of_n:n=8".
        gate: "auto" adds the condition that pace and signal are plausible if no verifier scores what is said,
            because truncated speech would win; None does not.
        codec: the codec's id or folder, if it is not the model's own.
        device: of the model, its codec, and every verifier without a device of its own: "auto", "cpu", "cuda",
            "cuda:1", "mps".
        dtype: of the language model: "auto" (bfloat16 on CUDA, else float32), "float32", "bfloat16" or "float16".
            With "float32" a Whisper on CUDA computes in float32 too. The codec and all other verifiers always do.
        prompt_format: how prompts are laid out: "auto" for the only installed format that matches the tokenizer,
            or a name with arguments, such as "llasa:assistant_prefix='Speaker kore '".
        check_prompt: whether to warn if a voice prompt does not say its transcript. The first verifier that
            transcribes does so once per voice; loading and this check do not count in a budget.

    Raises:
        InputError: verifiers or strategy cannot be read; nothing has been loaded.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Llasa = "tiny",
        verifiers: RewardLike | None = None,
        strategy: StrategyLike = "best_of_n",
        *,
        gate: Gate = "auto",
        codec: str | os.PathLike[str] | None = None,
        device: str = "auto",
        dtype: str = "auto",
        prompt_format: PromptFormatLike = "auto",
        check_prompt: bool = True,
    ) -> None:
        self.model = model
        self.reward = gated(as_reward(_default_for(model) if verifiers is None else verifiers), gate)
        self.strategy = as_strategy(strategy)
        self.codec = codec
        self.device = device
        self.dtype = dtype
        self.prompt_format = prompt_format
        self.llasa: Llasa | None = None
        self._unloadable: dict[str, str] = {}  # verifiers of weight 0, and why
        self.prompt_check = PromptCheck() if check_prompt else None

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """All verifiers that run: those of the reward, and those of the strategy."""
        return (*self.reward.verifiers, *verifiers_of(self.strategy))

    @property
    def _deciding(self) -> tuple[Verifier, ...]:
        """The verifiers on which the choice depends."""
        return (*self.reward.required, *verifiers_of(self.strategy))

    @property
    def _reporting(self) -> list[Verifier]:
        """The verifiers of weight 0 on which nothing depends."""
        return [verifier for verifier in self.reward.reporting if verifier not in self._deciding]

    @explain_missing_imports()
    def load(self) -> Llasa:
        """Loads the model, its codec and the verifiers, if they are not loaded yet.

        A verifier of weight 0 that cannot be loaded causes a warning, and fails on every candidate.

        Raises:
            ModelError: a checkpoint cannot be found or used.
        """
        with isolated():
            from llasa_search.llasa.model import Llasa

            if isinstance(self.model, Llasa):
                self.llasa = self.model
            elif self.llasa is None:
                codec = None if self.codec is None else _path_or_id(self.codec, "codec")
                model = _path_or_id(self.model, "model")
                self.llasa = Llasa.from_pretrained(
                    model,
                    codec=codec,
                    device=self.device,
                    dtype=self.dtype,
                    prompt_format=self.prompt_format,
                )
        load_verifiers(self._deciding, self.device, self.dtype)
        reporting = [each for each in self._reporting if str(each) not in self._unloadable]
        self._unloadable |= failing(lambda one: load_verifiers(one, self.device, self.dtype), reporting)
        return self.llasa

    def generate(
        self,
        text: str,
        prompt: VoiceLike | None = None,
        *,
        budget: Budget | None = None,
        sampling: Sampling | None = None,
        language: str | None = None,
        seed: int = 0,
        progress: Callable[[Progress], None] | Literal[False] | None = None,
    ) -> SearchResult:
        """Speaks `text`. Ctrl-C ends the search and returns the best of what has finished; a second Ctrl-C
        returns the best of what has been scored.

        Args:
            text: the text to speak.
            prompt: the voice: a `Voice`, a recording's path, (samples, sample rate), a built-in voice's
                name, or None for any. A recording without a transcript is transcribed, with a warning.
            budget: limits; the first one reached ends the search.
            sampling: how tokens are sampled.
            language: a code of Whisper's list, such as "de"; None detects it, see `language_of`.
            seed: 0 to 2^64 - 1. Same seed, same result, unless a limit in seconds ends the search.
            progress: called as candidates finish and are scored; None or False for no calls.

        Raises:
            InputError: the request cannot be met; nothing has been sampled.
            ModelError: a checkpoint cannot be found or used.
            SearchError: nothing finished or nothing could be scored, or the strategy raised another
                exception; `error.result` has every candidate.
        """
        request = validated(
            text,
            prompt,
            language=language,
            budget=budget,
            sampling=sampling,
            seed=seed,
            progress=progress,
        )
        return self._search(request)

    __call__ = generate

    def _search(self, request: Request) -> SearchResult:
        llasa = self.load()
        from llasa_search.search_run import SearchRun

        if not llasa.embedded:
            warn_out_of_domain(self.verifiers)
        usable = [each for each in self.verifiers if str(each) not in self._unloadable]
        known = known_languages(self._deciding, llasa.format.languages)
        prompt = prepared(request, llasa, usable, self.prompt_check, known)
        check_verifiers(self._deciding, prompt)
        reporting = [each for each in self._reporting if each in usable]
        failures = self._unloadable | failing(lambda one: check_verifiers(one, prompt), reporting)
        warn_same_family(reporting, self._deciding)
        run = SearchRun(llasa, prompt, request.sampling, request.budget, request.seed)
        return run.execute(self.strategy, self.reward, request.progress, failures)

    def map(self, items: Iterable[str | Mapping[str, Any]]) -> Iterator[SearchResult | LlasaSearchError]:
        """Speaks many texts; an item that fails does not lose the others.

        Args:
            items: texts, or the arguments of `generate` by name.

        Yields:
            For each item, in order, its result or its error. Ctrl-C ends the series after the current item.

        Raises:
            InputError: one text or one item instead of several.
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
    verifiers: RewardLike | None = None,
    strategy: StrategyLike = "best_of_n",
    budget: Budget | None = None,
    model: str | os.PathLike[str] | Llasa = "tiny",
    gate: Gate = "auto",
    codec: str | os.PathLike[str] | None = None,
    device: str = "auto",
    dtype: str = "auto",
    prompt_format: PromptFormatLike = "auto",
    check_prompt: bool = True,
    sampling: Sampling | None = None,
    language: str | None = None,
    seed: int = 0,
    progress: Callable[[Progress], None] | Literal[False] | None = None,
) -> SearchResult:
    """Speaks `text` once; arguments and errors are those of `Searcher` and `Searcher.generate`.

    Loaded models are kept for the next call with the same model or verifiers; `unload` frees them.
    """
    global _kept
    searcher = Searcher(
        model,
        verifiers,
        strategy,
        gate=gate,
        codec=codec,
        device=device,
        dtype=dtype,
        prompt_format=prompt_format,
        check_prompt=check_prompt,
    )
    request = validated(
        text,
        prompt,
        language=language,
        budget=budget,
        sampling=sampling,
        seed=seed,
        progress=progress,
    )
    # Of threads that start together, one loads, and the others use what it has loaded.
    with third_party_lock:
        if _kept is not None:
            _share_loaded(_kept, searcher)
        _kept = searcher  # frees the models that it does not need, before anything is loaded
        searcher.load()
    return searcher._search(request)


def _share_loaded(last: Searcher, new: Searcher) -> None:
    """Moves the loaded models that `new` also needs from `last` to `new`."""
    if (last.device, last.dtype) != (new.device, new.dtype):
        return
    if (last.model, last.codec, last.prompt_format) == (new.model, new.codec, new.prompt_format):
        new.llasa = last.llasa
    if last.reward == new.reward:
        new.reward = last.reward
    if last.strategy == new.strategy:
        new.strategy = last.strategy
    if new.prompt_check is not None:
        new.prompt_check = last.prompt_check or new.prompt_check


def unload() -> None:
    """Frees the models that the last `generate` has loaded."""
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
    device: str = "auto",
    dtype: str = "auto",
) -> SearchResult:
    """Scores recordings of `text` from any synthesiser and chooses one, as a search does with its candidates.

    Args:
        wavs: paths or (samples, sample rate), of any rate and length.
        text: what they should say.
        prompt: the voice they should have, for verifiers that compare voices.
        verifiers: as for `Searcher`, except None; the default is the embedded recogniser, which only knows the speech
            of model "tiny".
        gate: as for `Searcher`.
        language: a code of Whisper's list, such as "de"; None detects it, see `language_of`.
        budget: limits the time that verifiers take.
        device: of the verifiers, as for `Searcher`.
        dtype: of the verifiers, as for `Searcher`.

    Returns:
        A result whose candidates are in the order of `wavs`, resampled to 16 kHz.

    Raises:
        InputError: a recording, the text or the reward cannot be used; nothing has been scored.
        SearchError: nothing could be scored; it carries the result.
    """
    if isinstance(wavs, str | os.PathLike) or not isinstance(wavs, Sequence) or not len(wavs):
        raise InputError(f"wavs={wavs!r:.80}: give the recordings in a list, at least one")
    text, budget = clean_text(text), of_kind(budget, Budget, "budget")
    reward = gated(as_reward(verifiers), gate)
    voice = as_voice(prompt)
    if language is not None:
        require_language(language)
    candidates = [recorded(i, text, read_speech(wav, f"recording {i}")) for i, wav in enumerate(wavs)]

    def load(verifiers: Sequence[Verifier]) -> None:
        refuse_codes(verifiers)
        load_verifiers(verifiers, device, dtype)

    def check(verifiers: Sequence[Verifier]) -> None:
        check_verifiers(verifiers, request)

    load(reward.required)
    request = Prompt(text, language_of(text, language, known_languages(reward.required)), voice)
    check(reward.required)
    failures = failing(load, reward.reporting)
    failures |= failing(check, [each for each in reward.reporting if str(each) not in failures])
    warn_same_family(reward.reporting, reward.required)
    warn_out_of_domain(reward.verifiers)
    tracker = BudgetTracker(budget)
    Scorer(reward, request, tracker, decoded, SAMPLE_RATE, failures=failures).final(candidates)
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


def rerank(
    result: SearchResult, verifiers: RewardLike, *, device: str = "auto", dtype: str = "auto"
) -> SearchResult:
    """Ranks the candidates of a result by another reward; only verifiers that have not scored them run.

    The reward is used as given, without a gate. `rerank(result, f"{result.reward} + 0 * pocketsphinx_wer")`
    keeps the choice and adds a judge's score; a judge of a verifier's own family causes a warning.

    Args:
        result: of a search, or loaded from a run folder.
        verifiers: as for `Searcher`, except None.
        device: of the verifiers, as for `Searcher`.
        dtype: of the verifiers, as for `Searcher`.

    Returns:
        A new result; the given one is unchanged. Its ledger counts the new verifiers only.

    Raises:
        InputError: the reward cannot be read, or needs what this run does not have.
        SearchError: no candidate could be scored.
    """
    if not isinstance(result, SearchResult):
        raise InputError(f"result={result!r:.80}: give a SearchResult, such as SearchResult.load_run(folder)")
    reward = as_reward(verifiers)
    prompt = Prompt(result.text, result.language, result.voice)
    # A function's name does not identify it: another function may have made the stored score.
    unknown = {str(v) for v in reward.verifiers if isinstance(v, FunctionVerifier)}
    candidates = [
        replace(each, scores={k: v for k, v in each.scores.items() if k not in unknown}, reward=math.nan)
        for each in result.candidates
    ]
    new = [v for v in reward.verifiers if any(unscored([v], each) for each in candidates)]

    def prepare(verifiers: Sequence[Verifier]) -> None:
        load_verifiers(verifiers, device, dtype)
        check_verifiers(verifiers, prompt)

    prepare([each for each in new if each in reward.required])
    failures = failing(prepare, [each for each in new if each not in reward.required])
    _warn_of_judges(result, reward)
    tracker = BudgetTracker()
    scorer = Scorer(reward, prompt, tracker, decoded, result.sample_rate, failures=failures)
    scorer.final([candidate for candidate in candidates if candidate.audio is not None])
    skip([each for each in candidates if each.audio is None], reward.verifiers, "was never decoded")
    return replace(
        result, candidates=candidates, reward=str(reward), ledger=tracker.ledger, stopped_by=None
    ).checked()


def _warn_of_judges(result: SearchResult, reward: Reward) -> None:
    """Warns if a judge in `reward` shares a family with a verifier that has chosen, or chooses now."""
    try:
        searched = as_reward(result.reward).required
    except InputError:  # it names a function that is not registered
        searched = ()
    warn_same_family(reward.reporting, reward.required)
    warn_same_family([verifier for verifier in reward.required if verifier.judge], searched)


def _default_for(model: str | os.PathLike[str] | Llasa) -> str:
    if isinstance(model, str | os.PathLike):
        return default_reward(model == "tiny")
    try:
        return default_reward(model.embedded)
    except AttributeError as error:
        raise InputError(f"model={short_repr(model)}: give a name, a hub id or a folder") from error


def _path_or_id(given: object, name: str) -> str:
    try:
        return os.fspath(given)  # type: ignore[call-overload, no-any-return]
    except TypeError as error:
        raise InputError(f"{name}={given!r:.80}: give a name, a hub id or a folder") from error


def _arguments(item: object) -> dict[str, Any]:
    """Returns the arguments of `generate` for one item of `map`."""
    arguments = {"text": item} if isinstance(item, str) else item
    if not isinstance(arguments, Mapping):
        raise InputError(f"item {item!r:.80}: give a text, or the arguments of generate by name")
    try:
        inspect.signature(Searcher.generate).bind(None, **arguments)
    except TypeError as error:
        raise InputError(f"item {item!r:.80}: {error}") from error
    return dict(arguments)

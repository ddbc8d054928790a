"""Loads verifiers and lets them refuse a prompt, before anything is sampled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

from llasa_search.checkpoints.imports import explain_missing_imports
from llasa_search.checkpoints.versions import versions
from llasa_search.errors import InputError, LlasaSearchError, ModelError, format_error, short_repr, warn
from llasa_search.scoring.isolation import isolated
from llasa_search.text.language import listed
from llasa_search.verifiers.base import FunctionVerifier, Verifier, check_declaration, require_width
from llasa_search.voice import Prompt


def load_verifiers(verifiers: Sequence[Verifier], device: str = "auto", dtype: str = "auto") -> None:
    """Loads the models of verifiers, after checking what their classes declare.

    Args:
        verifiers: those that are loaded already stay as they are.
        device: for each verifier without a device.
        dtype: for each verifier without a dtype.

    Raises:
        LlasaSearchError: a verifier's own, or a `ModelError` in place of any other exception.
    """
    for verifier in verifiers:
        with _naming_failures(f"{type(verifier).__name__} cannot be used"):
            check_declaration(verifier)
        place(verifier, device, dtype)
        with _naming_failures(f"{verifier} cannot be loaded"):
            verifier.load()
            if type(verifier).utility is Verifier.utility:
                require_width(verifier.scale, f"{verifier}: scale={short_repr(verifier.scale)}")


def place(verifier: Verifier, device: str, dtype: str) -> None:
    """Gives a verifier a device and a type, if it has none of its own."""
    if verifier.device == "auto":
        verifier.device = device
    if verifier.dtype == "auto":
        verifier.dtype = dtype


def check_verifiers(verifiers: Sequence[Verifier], prompt: Prompt) -> None:
    """Checks with loaded verifiers that they accept a prompt, before anything is sampled.

    Raises:
        LlasaSearchError: a verifier's own, or a `ModelError` in place of any other exception.
    """
    for verifier in verifiers:
        with _naming_failures(f"{verifier} cannot check the prompt"):
            verifier.check(prompt)


def failing(prepare: Callable[[list[Verifier]], object], reporting: Iterable[Verifier]) -> dict[str, str]:
    """Prepares verifiers of weight 0, each alone, and warns of those that fail, which ends no search.

    Args:
        prepare: loads them, or lets them check a prompt.
        reporting: of weight 0.

    Returns:
        Why each of those failed that did, by its printed form.
    """
    failures = {}
    for verifier in reporting:
        try:
            prepare([verifier])
        except LlasaSearchError as error:
            failures[str(verifier)] = str(error)
            warn(f"{verifier} has weight 0 and scores nothing: {error}")
    return failures


def known_languages(
    verifiers: Sequence[Verifier], spoken: Collection[str] | None = None
) -> frozenset[str] | None:
    """Returns the languages that all know, among which the language of a text is detected; None for any.

    Args:
        verifiers: loaded, those that decide.
        spoken: languages of the model; None for any, and for recordings.

    Raises:
        InputError: no language is known to all.
    """
    declared = [(str(each), each.languages) for each in verifiers if each.languages is not None]
    if spoken is not None:
        declared.insert(0, ("the model", frozenset(spoken)))
    if not declared:
        return None
    common = frozenset.intersection(*(languages for _, languages in declared))
    if not common:
        each = "; ".join(f"{name}: {listed(languages)}" for name, languages in declared)
        raise InputError(f"no language is known to all ({each}): take others, or leave one out")
    return common


@contextmanager
def _naming_failures(failure: str) -> Iterator[None]:
    try:
        with isolated(), explain_missing_imports():
            yield
    except LlasaSearchError:
        raise
    except Exception as error:
        raise ModelError(f"{failure}: {format_error(error)}") from error


def refuse_codes(verifiers: Iterable[Verifier]) -> None:
    """Refuses verifiers that cannot score recordings.

    Raises:
        InputError: one needs speech codes or their log-probabilities.
    """
    for verifier in verifiers:
        if lacking := {"codes", "logprobs"}.intersection(verifier.needs or ()):
            raise InputError(
                f"{verifier} needs {' and '.join(sorted(lacking))}, which recordings do not have"
            )


def verifier_versions(verifiers: Sequence[Verifier]) -> dict[str, str]:
    """Returns versions, by package, of what scores of these verifiers depend on."""
    made = [each.function if isinstance(each, FunctionVerifier) else type(each) for each in verifiers]
    libraries = [name for each in verifiers for name in each.requires]
    return versions([getattr(each, "__module__", "") for each in made], libraries)

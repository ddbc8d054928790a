"""If a verifier misbehaves, a search still ends with a result or a clear error, and scores give the reason."""

from __future__ import annotations

import logging
import random
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from llasa_search.arrays import Audio
from llasa_search.budget import Budget
from llasa_search.candidate import Score, Utterance
from llasa_search.errors import ModelError
from llasa_search.llasa.model import Llasa
from llasa_search.result import SearchError, SearchResult
from llasa_search.sampling import Sampling
from llasa_search.search import Searcher, select
from llasa_search.verifiers import Verifier
from llasa_search.voice import Prompt, Voice

SHORT = Sampling(min_seconds=0.1, max_seconds=0.6)

FAULTS = {
    "raises": "ZeroDivisionError: by zero",
    "nan": "returned the value nan",
    "inf": "returned the value inf",
    "string value": "returned the value 'much'",
    "string": "returned 'good', which is not a Score",
    "bare number": "returned 0.5, which is not a Score",
    "unknown status": "returned the status 'splendid'",
    "skips": "returned the status 'skipped'",
    "too few": "returned 0 scores for 1",
    "too many": "returned 2 scores for 1",
    "nothing": "TypeError",
    "writes": "read-only",
    "writes codes": "read-only",
    "writes likelihoods": "read-only",
}


def search(llasa: Llasa, verifier: Verifier, n: int = 3, **given: Any) -> SearchResult:
    return Searcher(llasa, verifier, f"best_of_n:n={n}", gate=None).generate(
        "a coin", sampling=SHORT, **given
    )


class Misbehaving(Verifier):
    """Has a fault on the first utterance, or on every one; the other scores are the mean level."""

    def __init__(self, fault: str, always: bool = False) -> None:
        self.fault, self.always, self.first = fault, always, b""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        self.first = self.first or utterances[0].audio.tobytes()
        hit = [self.always or utterance.audio.tobytes() == self.first for utterance in utterances]
        scores: Any = [Score(min(1.0, float(np.abs(u.audio).mean()))) for u in utterances]
        return self._do(scores, hit, utterances) if any(hit) else scores

    def _do(self, scores: Any, hit: list[bool], utterances: Sequence[Utterance]) -> Any:
        match self.fault:
            case "raises":
                raise ZeroDivisionError("by zero")
            case "too few":
                return scores[:-1]
            case "too many":
                return [*scores, scores[0]]
            case "nothing":
                return None
            case "writes":
                utterances[0].audio[:] = 0
            case "writes codes":
                utterances[0].codes[:] = 0  # type: ignore[index]
            case "writes likelihoods":
                utterances[0].logprobs[:] = 0  # type: ignore[index]
        invalid: dict[str, object] = {
            "nan": Score(np.nan),
            "inf": Score(np.inf),
            "string value": Score("much"),  # type: ignore[arg-type]
            "string": "good",
            "bare number": 0.5,
            "unknown status": Score(0.5, status="splendid"),  # type: ignore[arg-type]
            "skips": Score(0.5, status="skipped"),
        }
        return [invalid[self.fault] if bad else score for bad, score in zip(hit, scores, strict=True)]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_on_one_candidate_fails_that_candidate_only(fault: str, llasa: Llasa) -> None:
    """The score has the reason, and the best of the other candidates is chosen."""
    found = search(llasa, Misbehaving(fault))
    scores = [candidate.scores[found.reward] for candidate in found.candidates]
    failed = [score for score in scores if score.status == "failed"]
    assert len(failed) == 1 and FAULTS[fault] in failed[0].detail and np.isnan(failed[0].value)
    assert found.best.scores[found.reward].status == "scored" and not np.isnan(found.best.reward)
    assert "failed" in found.table()


def test_if_all_candidates_fail_the_error_has_the_reason_and_the_candidates(llasa: Llasa) -> None:
    """Nothing is chosen, and the candidates in the error have their audio."""
    fault = "raises"
    with pytest.raises(SearchError, match="Misbehaving") as caught:
        search(llasa, Misbehaving(fault, always=True), n=2)
    assert FAULTS[fault] in str(caught.value) and caught.value.result is not None
    for candidate in caught.value.result.candidates:
        (score,) = candidate.scores.values()
        assert score.status == "failed" and FAULTS[fault] in score.detail and candidate.audio is not None


class Level(Verifier):
    """Returns the mean level, after an action that changes state of others."""

    def __init__(self, action: str = "") -> None:
        self.action = action

    def load(self) -> None:
        self._change_state()

    def check(self, prompt: Prompt) -> None:
        super().check(prompt)
        self._change_state()

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        self._change_state()
        scores = [Score(min(1.0, float(np.abs(u.audio).mean()))) for u in utterances]
        for utterance in utterances:
            if self.action == "writes through torch" and utterance.voice is not None:
                for array in (utterance.audio, utterance.codes, utterance.logprobs, utterance.voice.audio):
                    torch.from_numpy(array).zero_()
        return scores

    def _change_state(self) -> None:
        if self.action == "reseeds":
            random.seed(1)
            np.random.seed(1)
            torch.manual_seed(1)
            torch.set_num_threads(torch.get_num_threads() + 1)
        if self.action == "sets types":
            torch.set_default_dtype(torch.float64)
            np.seterr(all="raise")
            torch.set_grad_enabled(False)
            warnings.filterwarnings("ignore")
            logging.root.addHandler(logging.NullHandler())


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize("action", ["reseeds", "sets types", "writes through torch"])
def test_a_verifier_that_changes_state_of_others_has_no_effect(action: str, llasa: Llasa) -> None:
    """Candidates, voice and global state are the same as with a correct verifier."""
    voice = Voice(0.1 * np.random.default_rng(0).standard_normal(8_000), "a coin", 16_000)
    before = voice.audio.copy()
    errors, filters, handlers = np.geterr(), warnings.filters[:], logging.root.handlers[:]
    plain = search(llasa, Level(), prompt=voice)
    changed = search(llasa, Level(action), prompt=voice)
    np.testing.assert_array_equal(voice.audio, before)
    assert torch.get_default_dtype() == torch.float32 and np.geterr() == errors
    assert torch.is_grad_enabled() and warnings.filters == filters and logging.root.handlers == handlers
    for one, other in zip(plain.candidates, changed.candidates, strict=True):
        np.testing.assert_array_equal(one.codes, other.codes)
        np.testing.assert_array_equal(one.logprobs, other.logprobs)
        assert one.audio is not None and other.audio is not None
        np.testing.assert_array_equal(one.audio, other.audio)


class Sleepy(Level):
    """Takes 0.2 s per batch."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        time.sleep(0.2)
        return super().score(utterances)


def test_a_verifier_that_exceeds_the_budget_ends_the_search(llasa: Llasa) -> None:
    """The rest is skipped after the batch in which the limit is reached."""
    found = search(llasa, Sleepy(), n=40, budget=Budget(verifier_seconds=0.1))
    scores = [candidate.scores["Sleepy()"] for candidate in found.candidates]
    assert found.stopped_by == "verifier_seconds" and {"scored", "skipped"} == {s.status for s in scores}
    assert {s.detail for s in scores if s.status == "skipped"} == {"the budget was spent"}
    assert found.best.scores["Sleepy()"].status == "scored"


class Interrupted(Level):
    """Raises KeyboardInterrupt on the first batch."""

    def __init__(self) -> None:
        super().__init__()
        self._calls = 0

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        self._calls += 1
        if self._calls == 1:
            raise KeyboardInterrupt
        return super().score(utterances)


def test_ctrl_c_during_scoring_keeps_all_candidates(llasa: Llasa) -> None:
    """All finished candidates are returned, and the best has a reward."""
    found = search(llasa, Interrupted())
    assert found.stopped_by == "interrupt" and len(found.candidates) == 3
    assert not np.isnan(found.best.reward)


class Absent(Level):
    """Raises in `load` or in `check`."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def load(self) -> None:
        if self.where == "load":
            raise OSError("no weights")

    def check(self, prompt: Prompt) -> None:
        if self.where == "check":
            raise KeyError("no weights")


@pytest.mark.parametrize(("where", "what"), [("load", "be loaded"), ("check", "check the prompt")])
def test_a_verifier_that_fails_to_load_or_check_is_named_before_sampling(
    where: str, what: str, llasa: Llasa
) -> None:
    """The error is a `ModelError` with the verifier and the reason."""
    with pytest.raises(ModelError, match=rf"Absent\(where='{where}'\) cannot {what}.*no weights"):
        search(llasa, Absent(where))


@pytest.mark.parametrize(("where", "what"), [("load", "be loaded"), ("check", "check the prompt")])
def test_a_verifier_of_weight_0_that_fails_to_load_or_check_changes_no_choice(
    where: str, what: str, llasa: Llasa, noise: Callable[..., Audio]
) -> None:
    """It causes a warning and fails on every candidate in `generate`, `rerank` and `select`."""
    alone, reward = search(llasa, Level()), Level() + 0 * Absent(where)
    with pytest.warns(UserWarning, match=rf"Absent.*has weight 0 and scores nothing.*{what}"):
        both = Searcher(llasa, reward, "best_of_n:n=3", gate=None).generate("a coin", sampling=SHORT)
    with pytest.warns(UserWarning, match="scores nothing"):
        again = alone.rerank(reward)
    with pytest.warns(UserWarning, match="scores nothing"):
        chosen = select([(noise(0.4), 16_000)], "a coin", verifiers=reward, gate=None, language="en")
    for result in (both, again, chosen):
        scores = [candidate.scores[f"Absent(where={where!r})"] for candidate in result.candidates]
        assert {score.status for score in scores} == {"failed"} and "no weights" in scores[0].detail
    assert both.best.index == again.best.index == alone.best.index and both.best.reward == alone.best.reward


class Unlimited(Level):
    """Has a utility above 1."""

    def utility(self, values: np.ndarray) -> np.ndarray:
        return values + 2


def test_a_utility_outside_its_range_is_refused(llasa: Llasa) -> None:
    with pytest.raises(ModelError, match=r"Unlimited\(\): its utility must give one number in \[0, 1\]"):
        search(llasa, Unlimited())

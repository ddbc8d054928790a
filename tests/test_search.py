"""The whole flow on random checkpoints: what is sampled, what is chosen, and what is shared."""

from __future__ import annotations

import gc
import subprocess
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llasa_search import search
from llasa_search.arrays import Audio
from llasa_search.budget import Budget
from llasa_search.candidate import Candidate, Utterance
from llasa_search.errors import InputError
from llasa_search.llasa.model import Llasa
from llasa_search.result import SearchError, SearchResult
from llasa_search.sampling import Sampling
from llasa_search.search import Progress, Searcher
from llasa_search.strategies import BestOfN
from llasa_search.verifiers import WER
from llasa_search.voice import Step, Voice
from tests.helpers.verifiers import Frames

TEXT = "the captain found a coin"
SHORT = Sampling(min_seconds=0.1, max_seconds=0.6)


def codes(result: SearchResult) -> list[list[int]]:
    return [candidate.codes.tolist() for candidate in result.candidates]


def test_the_chosen_one_has_the_best_reward(searcher: Callable[..., Searcher]) -> None:
    """Guards against returning the first or the last that finished."""
    result = searcher().generate(TEXT, sampling=SHORT, budget=Budget(candidates=6))
    assert [candidate.index for candidate in result.candidates] == list(range(6))
    assert result.best.reward == max(candidate.reward for candidate in result.candidates)
    np.testing.assert_array_equal(result.audio, result.best.audio)
    assert result.audio.dtype == np.float32 and result.sample_rate == 16_000
    assert len({candidate.reward for candidate in result.candidates}) > 1


def test_the_first_candidates_do_not_depend_on_n(searcher: Callable[..., Searcher]) -> None:
    """Guards against draws that depend on the size of the batch."""
    few = searcher().generate(TEXT, sampling=SHORT, budget=Budget(candidates=4))
    many = searcher(strategy="best_of_n:n=7").generate(TEXT, sampling=SHORT)
    assert codes(few) == codes(many)[:4]


def test_same_seed_same_result_and_another_seed_another(searcher: Callable[..., Searcher]) -> None:
    run = searcher()
    first = run.generate(TEXT, sampling=SHORT, seed=3)
    torch.manual_seed(99)
    assert codes(run.generate(TEXT, sampling=SHORT, seed=3)) == codes(first)
    assert codes(run.generate(TEXT, sampling=SHORT, seed=4)) != codes(first)


def test_the_caller_keeps_its_random_state(searcher: Callable[..., Searcher]) -> None:
    """Guards against a library that seeds its user's program."""
    torch.manual_seed(5)
    expected = float(torch.rand(1))
    torch.manual_seed(5)
    searcher().generate(TEXT, sampling=SHORT)
    assert float(torch.rand(1)) == expected


def test_wer_searches_end_to_end(llasa: Llasa, asr_path: Path) -> None:
    result = search.generate(TEXT, model=llasa, verifiers=WER(model=str(asr_path)), sampling=SHORT)
    name = f"WER(model={str(asr_path)!r})"
    assert all(candidate.scores[name].status == "scored" for candidate in result.candidates)
    assert result.reward == name and result.ledger.verifier_calls[name] == 4
    search.unload()


def test_models_stay_loaded_between_calls(llasa: Llasa) -> None:
    """Guards against loading a checkpoint again for every sentence."""
    loads: list[int] = []

    class Counting(Frames):
        def load(self) -> None:
            if not hasattr(self, "loaded"):
                self.loaded = True
                loads.append(1)

    for text in ("one coin", "two coins"):
        search.generate(text, model=llasa, verifiers=Counting(), sampling=SHORT)
    assert loads == [1]
    search.unload()
    search.generate(TEXT, model=llasa, verifiers=Counting(), sampling=SHORT)
    assert loads == [1, 1]
    search.unload()


def test_a_model_that_is_not_wanted_any_more_is_freed_first(
    pair_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two models in memory at once, where a search changes from one to the other."""
    options: dict[str, Any] = {"verifiers": Frames(), "sampling": SHORT, "codec": pair_path / "codec"}
    search.generate(TEXT, model=pair_path, **options)
    assert search._kept is not None
    first, load = weakref.ref(search._kept.llasa), Llasa.from_pretrained

    def loading(*args: Any, **kwargs: Any) -> Llasa:
        gc.collect()
        assert first() is None
        return load(*args, **kwargs)

    monkeypatch.setattr(Llasa, "from_pretrained", loading)
    search.generate(TEXT, model=pair_path / "language_model", **options)
    search.unload()


def test_a_recording_that_was_cut_is_not_to_be_given_its_transcript_again(
    searcher: Callable[..., Searcher], noise: Callable[..., Audio]
) -> None:
    """Advice to do what the user has just done, and what has been refused."""
    with pytest.warns(UserWarning, match="without its transcript"):
        voice = Voice(noise(20.0), "what it says", 16_000)
    with pytest.raises(InputError, match="cut the recording to less than 15 s"):
        searcher().generate(TEXT, voice, sampling=SHORT)


def test_a_strategy_that_finishes_nothing_is_named(llasa: Llasa) -> None:
    """Advice to allow more of a budget that has no limit."""

    class Idle(BestOfN):
        def run(self, sampler: Any, scorer: Any) -> Iterator[Candidate]:
            yield from ()

    with pytest.raises(SearchError, match=r"the strategy .* finished no candidate"):
        Searcher(llasa, Frames(), Idle()).generate(TEXT, sampling=SHORT)


def test_progress_counts_and_ends_with_the_best(searcher: Callable[..., Searcher]) -> None:
    seen: list[Progress] = []
    result = searcher().generate(TEXT, sampling=SHORT, progress=seen.append)
    assert [progress.finished for progress in seen] == [1, 2, 3, 4, 4]
    assert [progress.scored for progress in seen] == [0, 0, 0, 0, 4]
    assert seen[-1].best is result.best and seen[-1].seconds >= seen[0].seconds


def test_map_goes_on_after_a_bad_item(searcher: Callable[..., Searcher]) -> None:
    """Guards against one bad line that loses a night's work."""
    good = {"text": TEXT, "seed": 1, "sampling": SHORT}
    items = [TEXT, "...", {"text": TEXT, "txt": 1}, good, 7]
    outcomes = list(searcher().map(items))  # type: ignore[arg-type]
    assert [type(outcome) for outcome in outcomes] == [
        SearchResult,
        InputError,
        InputError,
        SearchResult,
        InputError,
    ]


def test_prompt_without_transcript_is_transcribed_by_the_verifier(
    llasa: Llasa, asr_path: Path, noise: Callable[..., Audio]
) -> None:
    """Guards against a voice prompt whose words the model does not know of."""
    with pytest.warns(UserWarning, match="no transcript"):
        result = Searcher(llasa, WER(model=str(asr_path))).generate(
            TEXT, (noise(1.0), 16_000), sampling=SHORT
        )
    assert result.voice is not None and result.voice.text


def test_prompt_without_transcript_and_without_ears_is_refused(
    searcher: Callable[..., Searcher], noise: Callable[..., Audio]
) -> None:
    with pytest.raises(InputError, match="no transcript"):
        searcher().generate(TEXT, (noise(1.0), 16_000), sampling=SHORT)


def test_voice_with_transcript_is_used(
    searcher: Callable[..., Searcher], noise: Callable[..., Audio]
) -> None:
    voice = Voice(noise(0.5), "a coin", sample_rate=16_000)
    spoken = searcher().generate(TEXT, voice, sampling=SHORT)
    assert codes(spoken) != codes(searcher().generate(TEXT, sampling=SHORT))


def test_select_scores_any_recordings(asr_path: Path, noise: Callable[..., Audio], tmp_path: Path) -> None:
    """Guards against rates, channels and silence that only the library's own speech has not got."""
    import soundfile

    stereo = np.stack([noise(0.4, 1)] * 2, axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 8_000)
    wavs: list[Path | tuple[Audio, int]] = [
        tmp_path / "a.wav",
        (np.zeros(8_000, np.float32), 16_000),
        (noise(0.4, 2), 24_000),
    ]
    result = search.select(wavs, TEXT, verifiers=[Frames(), WER(model=str(asr_path))])
    assert [candidate.index for candidate in result.candidates] == [0, 1, 2]
    lengths = [candidate.scores["Frames()"].value for candidate in result.candidates]
    assert lengths == pytest.approx([40, 25, 13], abs=1)


@pytest.mark.parametrize(
    "wavs", [[], ["absent.wav"], [(np.zeros(0, np.float32), 16_000)], [(np.full(9, np.nan), 16_000)]]
)
def test_select_refuses_what_is_no_recording(wavs: list[Any]) -> None:
    with pytest.raises(InputError):
        search.select(wavs, TEXT, verifiers=Frames())


def test_select_refuses_verifiers_of_codes(noise: Callable[..., Audio]) -> None:
    """Guards against a verifier of codes that fails on every foreign recording, one by one."""

    class OfCodes(Frames):
        needs = frozenset({"codes"})

    with pytest.raises(InputError, match="needs codes"):
        search.select([(noise(0.2), 16_000)], TEXT, verifiers=OfCodes())


def test_a_loop_shows_each_warning_once(tmp_path: Path) -> None:
    """Each call repeated all warnings."""
    program = """
import warnings
import numpy as np
from llasa_search import search
speech = 0.1 * np.random.default_rng(0).standard_normal(16_000)
with warnings.catch_warnings(action="ignore"):
    search.select([(speech, 16_000)], "a coin", verifiers="signal + 0 * speaker")
for text in ("one coin \u2603", "two coins"):
    for _ in range(3):
        search.select([(speech, 16_000)], text, verifiers="signal + 0 * speaker")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stderr.splitlines() if "Warning" in line]
    assert all(line.startswith("<string>:") for line in shown)
    assert len(shown) == len(set(shown))
    assert sum("left out of the text" in line for line in shown) == 1
    assert sum("SpeakerSimilarity() has weight 0 and scores nothing" in line for line in shown) == 1


def test_no_progress_is_none_or_false(searcher: Callable[..., Searcher]) -> None:
    """False raised, because it is no function."""
    plain = searcher().generate(TEXT, sampling=SHORT)
    assert codes(searcher().generate(TEXT, sampling=SHORT, progress=False)) == codes(plain)
    with pytest.raises(InputError, match=r"progress=True: give a function"):
        searcher().generate(TEXT, sampling=SHORT, progress=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 2**64, 2**64 + 3, 1 << 20_000], ids=["-1", "2^64", "2^64+3", "2^20000"])
def test_a_seed_that_would_be_that_of_another_one_is_refused(
    seed: int, searcher: Callable[..., Searcher]
) -> None:
    """Seeds were reduced modulo 2^64, so that 3 and 2^64 + 3 gave the same candidates."""
    with pytest.raises(InputError, match=r"seed.*: give a whole number from 0 to 2\^64 - 1"):
        searcher().generate(TEXT, sampling=SHORT, seed=seed)
    assert len(codes(searcher().generate(TEXT, sampling=SHORT, seed=2**64 - 1))) == 4


def test_greedy_copies_are_announced(searcher: Callable[..., Searcher]) -> None:
    """Without a word, four candidates were the same."""
    greedy = Sampling(temperature=0, min_seconds=0.1, max_seconds=0.6)
    with pytest.warns(
        UserWarning, match="temperature=0 .* all candidates are the same: take one candidate"
    ) as caught:
        result = searcher().generate(TEXT, sampling=greedy)
    assert codes(result) == codes(result)[:1] * 4 and len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        searcher().generate(TEXT, sampling=greedy, budget=Budget(candidates=1))


def test_candidates_utterances_and_results_can_be_compared(searcher: Callable[..., Searcher]) -> None:
    """Comparing raised, because the truth value of an array is ambiguous."""
    one, other = (searcher().generate(TEXT, sampling=SHORT) for _ in range(2))
    assert one.best == one.best and one.best != other.best and one.best in one.candidates
    assert one == one and one != other and len({one, other, one.best, other.best}) == 4
    assert one.candidates.index(one.candidates[2]) == 2
    audio = one.audio
    utterances = [Utterance(TEXT, "en", audio, 16_000) for _ in range(2)]
    assert utterances[0] != utterances[1] and len(set(utterances)) == 2
    assert Step(TEXT, one.best.codes) != Step(TEXT, one.best.codes)

"""The main flow with random checkpoints: sampling, the choice, and models that stay loaded."""

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


def test_the_chosen_candidate_has_the_best_reward(searcher: Callable[..., Searcher]) -> None:
    """The choice does not depend on the order in which candidates finish."""
    result = searcher().generate(TEXT, sampling=SHORT, budget=Budget(candidates=6))
    assert [candidate.index for candidate in result.candidates] == list(range(6))
    assert result.best.reward == max(candidate.reward for candidate in result.candidates)
    np.testing.assert_array_equal(result.audio, result.best.audio)
    assert result.audio.dtype == np.float32 and result.sample_rate == 16_000
    assert len({candidate.reward for candidate in result.candidates}) > 1


def test_the_first_candidates_do_not_depend_on_n(searcher: Callable[..., Searcher]) -> None:
    """n = 4 is a prefix of n = 7."""
    few = searcher().generate(TEXT, sampling=SHORT, budget=Budget(candidates=4))
    many = searcher(strategy="best_of_n:n=7").generate(TEXT, sampling=SHORT)
    assert codes(few) == codes(many)[:4]


def test_the_result_depends_on_the_seed_only(searcher: Callable[..., Searcher]) -> None:
    run = searcher()
    first = run.generate(TEXT, sampling=SHORT, seed=3)
    torch.manual_seed(99)
    assert codes(run.generate(TEXT, sampling=SHORT, seed=3)) == codes(first)
    assert codes(run.generate(TEXT, sampling=SHORT, seed=4)) != codes(first)


def test_the_caller_keeps_its_random_state(searcher: Callable[..., Searcher]) -> None:
    """A search does not change torch's random state."""
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
    """A second call with the same model and verifiers loads nothing; `unload` frees them."""
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


def test_the_last_model_is_freed_before_another_is_loaded(
    pair_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two models are never in memory at the same time."""
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


def test_the_error_of_a_cropped_prompt_says_to_crop_the_recording(
    searcher: Callable[..., Searcher], noise: Callable[..., Audio]
) -> None:
    """The transcript of a cropped recording is dropped, so the advice is not to give it again."""
    with pytest.warns(UserWarning, match="without its transcript"):
        voice = Voice(noise(20.0), "what it says", 16_000)
    with pytest.raises(InputError, match="cut the recording to less than 15 s"):
        searcher().generate(TEXT, voice, sampling=SHORT)


def test_the_error_names_a_strategy_that_finishes_nothing(llasa: Llasa) -> None:
    """Without limits, the error does not advise a larger budget."""

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
    """An item that cannot be used gives an error in its place, and the others give results."""
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
    """The transcript becomes that of the voice, with a warning."""
    with pytest.warns(UserWarning, match="no transcript"):
        result = Searcher(llasa, WER(model=str(asr_path))).generate(
            TEXT, (noise(1.0), 16_000), sampling=SHORT
        )
    assert result.voice is not None and result.voice.text


def test_prompt_without_transcript_and_recogniser_is_refused(
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
    """`select` accepts files and samples, other rates, several channels, and silence."""
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
def test_select_refuses_invalid_recordings(wavs: list[Any]) -> None:
    with pytest.raises(InputError):
        search.select(wavs, TEXT, verifiers=Frames())


def test_select_refuses_verifiers_of_codes(noise: Callable[..., Audio]) -> None:
    """A verifier that needs codes is refused before anything is scored."""

    class OfCodes(Frames):
        needs = frozenset({"codes"})

    with pytest.raises(InputError, match="needs codes"):
        search.select([(noise(0.2), 16_000)], TEXT, verifiers=OfCodes())


def test_a_loop_shows_each_warning_once(tmp_path: Path) -> None:
    """Calls in a loop show a warning once per text (it was repeated in each call)."""
    program = """
import warnings
import numpy as np
from llasa_search import search
speech = 0.1 * np.random.default_rng(0).standard_normal(16_000)
with warnings.catch_warnings(action="ignore"):
    search.select([(speech, 16_000)], "a coin", verifiers="signal + 0 * speaker", language="en")
for text in ("one coin \u2603", "two coins"):
    for _ in range(3):
        search.select([(speech, 16_000)], text, verifiers="signal + 0 * speaker", language="en")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stderr.splitlines() if "Warning" in line]
    assert all(line.startswith("<string>:") for line in shown)
    assert len(shown) == len(set(shown))
    assert sum("left out of the text" in line for line in shown) == 1
    assert sum("SpeakerSimilarity() has weight 0 and scores nothing" in line for line in shown) == 1


def test_progress_can_be_none_or_false(searcher: Callable[..., Searcher]) -> None:
    """False means no calls (it raised an error); True is refused."""
    plain = searcher().generate(TEXT, sampling=SHORT)
    assert codes(searcher().generate(TEXT, sampling=SHORT, progress=False)) == codes(plain)
    with pytest.raises(InputError, match=r"progress=True: give a function"):
        searcher().generate(TEXT, sampling=SHORT, progress=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 2**64, 2**64 + 3, 1 << 20_000], ids=["-1", "2^64", "2^64+3", "2^20000"])
def test_a_seed_out_of_range_is_refused(seed: int, searcher: Callable[..., Searcher]) -> None:
    """Different seeds give different candidates (3 and 2^64 + 3 gave the same)."""
    with pytest.raises(InputError, match=r"seed.*: give a whole number from 0 to 2\^64 - 1"):
        searcher().generate(TEXT, sampling=SHORT, seed=seed)
    assert len(codes(searcher().generate(TEXT, sampling=SHORT, seed=2**64 - 1))) == 4


def test_several_greedy_candidates_cause_a_warning(searcher: Callable[..., Searcher]) -> None:
    """The warning says that all candidates are the same; a single candidate causes none."""
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
    """Each object is equal to itself only, and can be in a set (comparing raised an error)."""
    one, other = (searcher().generate(TEXT, sampling=SHORT) for _ in range(2))
    assert one.best == one.best and one.best != other.best and one.best in one.candidates
    assert one == one and one != other and len({one, other, one.best, other.best}) == 4
    assert one.candidates.index(one.candidates[2]) == 2
    audio = one.audio
    utterances = [Utterance(TEXT, "en", audio, 16_000) for _ in range(2)]
    assert utterances[0] != utterances[1] and len(set(utterances)) == 2
    assert Step(TEXT, one.best.codes) != Step(TEXT, one.best.codes)

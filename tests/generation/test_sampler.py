"""The sampler: what strategies get from it, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from llasa_search.arrays import Audio
from llasa_search.budget import BudgetTracker
from llasa_search.candidate import Candidate
from llasa_search.errors import InputError, LlasaSearchError
from llasa_search.generation.sampler import Sampler
from llasa_search.llasa.model import Llasa
from llasa_search.sampling import Sampling
from llasa_search.voice import Prompt, Step, Voice
from tests.helpers.samplers import SHORT, TEXT, sampler_maker, speech


@pytest.fixture(scope="module")
def make(llasa: Llasa) -> Callable[..., Sampler]:
    return sampler_maker(llasa)


def test_the_first_candidates_do_not_depend_on_n(make: Callable[..., Sampler]) -> None:
    """n = 4 is a prefix of n = 16, whether rows are started at once, in rounds or in steps."""
    sampler = make()
    sixteen = speech(sampler.extend(sampler.start(16))[1])
    assert len(sixteen) == 16
    sampler = make()
    four = speech(sampler.extend(sampler.start(4))[1])
    assert four == {index: sixteen[index] for index in range(4)}
    assert speech(sampler.extend(sampler.start(3, first=4))[1]) == {i: sixteen[i] for i in (4, 5, 6)}
    sampler = make()
    rows, stepwise = sampler.start(16), list[Candidate]()
    while len(rows):
        rows, finished = sampler.extend(rows, 7)
        stepwise += finished
    assert speech(stepwise) == sixteen


def test_log_probabilities_have_the_same_bits_whatever_n() -> None:
    """At real shapes: kernels that round by the number of rows changed a code in 1 of 64 candidates at near-ties."""
    make = sampler_maker(Llasa.from_pretrained("tiny", device="cpu"))
    sixteen = make()
    expected = {each.index: each for each in sixteen.extend(sixteen.start(16))[1]}
    for n in (1, 4, 6, 9):
        few = make()
        for candidate in few.extend(few.start(n))[1]:
            assert candidate.codes.tolist() == expected[candidate.index].codes.tolist()
            assert candidate.logprobs.tolist() == expected[candidate.index].logprobs.tolist()


def test_another_seed_gives_other_codes(make: Callable[..., Sampler]) -> None:
    """The codes depend on the seed."""
    first, second = make(seed=1), make(seed=2)
    assert speech(first.extend(first.start(4))[1]) != speech(second.extend(second.start(4))[1])


def test_the_global_random_state_is_neither_read_nor_changed(make: Callable[..., Sampler]) -> None:
    """Reseeding torch does not change the codes, and sampling does not change torch's random state."""
    sampler = make()
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    one = speech(sampler.extend(sampler.start(4))[1])
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    sampler = make()
    assert speech(sampler.extend(sampler.start(4))[1]) == one


def test_used_rows_are_refused(make: Callable[..., Sampler]) -> None:
    """Rows that `extend` or `select` has used up raise an error."""
    sampler = make()
    rows = sampler.start(2)
    live, _ = sampler.extend(rows, 3)
    for misuse in (lambda: sampler.extend(rows, 3), lambda: sampler.select(rows, [0]), lambda: rows.codes):
        with pytest.raises(LlasaSearchError, match="used up"):
            misuse()
    assert len(sampler.select(live, [0])) == 1


def test_selected_rows_have_the_given_order(make: Callable[..., Sampler]) -> None:
    """`select` returns rows in the order of `parents`."""
    sampler = make()
    rows, _ = sampler.extend(sampler.start(5), 4)
    codes, scores = rows.codes, rows.logprobs
    parents = [4, 2, 4, 0, 4]
    chosen = sampler.select(rows, parents)
    assert chosen.codes.tolist() == codes[parents].tolist()
    assert chosen.logprobs.tolist() == scores[parents].tolist()
    assert chosen.index.tolist() == [4, 2, 5, 0, 6]
    assert chosen.parents == [None, None, 4, None, 4]
    assert len(chosen) == 5
    assert chosen.length == 4
    assert chosen.seconds == pytest.approx(0.08)


def test_a_first_child_has_the_codes_of_its_parent(make: Callable[..., Sampler]) -> None:
    """A first child continues as its parent without a fork; the other children differ."""
    sampler = make()
    plain = speech(sampler.extend(sampler.start(3))[1])
    sampler = make()
    rows, early = sampler.extend(sampler.start(3), 3)
    assert not early
    forked = speech(sampler.extend(sampler.select(rows, [1, 1, 1, 2]))[1])
    assert forked[1] == plain[1]
    assert forked[2] == plain[2]
    assert forked[3][:3] == forked[4][:3] == plain[1][:3]
    assert len({tuple(codes) for codes in forked.values()}) == 4


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_rewound_rows_sample_the_same_codes_again(make: Callable[..., Sampler], penalty: float) -> None:
    """A rewind removes the keys and values, and the penalised codes, of the tokens that it drops."""
    sampling = Sampling(min_seconds=0.5, max_seconds=1.0, repetition_penalty=penalty)
    sampler = make(sampling=sampling)
    expected = speech(sampler.extend(sampler.start(3))[1])
    sampler = make(sampling=sampling)
    rows = sampler.rewind(sampler.extend(sampler.start(3), 20)[0], 6)
    assert rows.codes.tolist() == [expected[index][:6] for index in range(3)]
    for wrong in (-1, 7):
        with pytest.raises(InputError, match="the rows have 6 tokens"):
            sampler.rewind(rows, wrong)
    assert speech(sampler.extend(sampler.select(rows, [2, 0, 1]))[1]) == expected


def test_arguments_of_a_strategy_are_checked(make: Callable[..., Sampler]) -> None:
    """A number of tokens that is not whole, and an index that is in use, are refused at once."""
    sampler = make()
    rows = sampler.start(2)
    for wrong in (12.5, 0, "all"):
        with pytest.raises(InputError, match="a whole number, 1 or more, or None for all"):
            sampler.extend(rows, wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"candidate 1 exists; .* from 2"):
        sampler.start(2, first=1)
    with pytest.raises(InputError, match="whole numbers"):
        sampler.start(1.5)  # type: ignore[arg-type]
    assert len(sampler.extend(rows, np.int64(3))[0]) == 2  # type: ignore[arg-type]


def test_select_refuses_unknown_positions(make: Callable[..., Sampler]) -> None:
    """A position that is not in the rows is refused; an empty selection gives no rows."""
    sampler = make()
    rows = sampler.start(2)
    for wrong in (2, -1, "a"):
        with pytest.raises(InputError, match=f"no row {wrong!r}"):
            sampler.select(rows, [0, wrong])  # type: ignore[list-item]
    rest = sampler.select(rows, [])
    assert len(rest) == 0
    live, finished = sampler.extend(rest)
    assert (len(live), finished) == (0, [])


def test_the_index_of_a_fork_is_not_reused(make: Callable[..., Sampler]) -> None:
    """`start` refuses an index that a fork has, and gives new rows the next indices."""
    sampler = make()
    sampler.select(sampler.start(2), [0, 0, 0])
    with pytest.raises(InputError, match="candidate 2 exists"):
        sampler.start(1, first=2)


@pytest.mark.parametrize(("n", "first"), [(0, 0), (-1, 0), (1, -1)])
def test_invalid_counts_are_refused(make: Callable[..., Sampler], n: int, first: int) -> None:
    """`start` refuses counts and indices out of range."""
    with pytest.raises(InputError, match="n 1 or more, first 0 or more"):
        make().start(n, first)


def test_a_prompt_is_prefilled_once(make: Callable[..., Sampler]) -> None:
    """The prompt is prefilled once for all rounds, and also when a search returns to it."""
    sampler = make()
    for _ in range(2):
        sampler.extend(sampler.start(2))
    ledger = sampler.tracker.ledger
    tokens = ledger.prefill_tokens
    assert (ledger.prefills, tokens > 60) == (1, True)
    step = Step("the captain", np.arange(20, dtype=np.int32))
    after = Prompt("found a coin.", "en", sampler.prompt.voice, (step,))
    sampler.at(after).start(1)
    sampler.at(sampler.prompt).start(1)
    sampler.at(after).start(1)
    assert ledger.prefills == 2
    assert ledger.prefill_tokens == 2 * tokens + 20  # the same text in all, and the codes of the step


def test_history_is_a_longer_voice_prompt(make: Callable[..., Sampler]) -> None:
    """The prompt of a step has the text and the codes of the steps before it."""
    sampler = make()
    step = Step("the captain", np.arange(20, dtype=np.int32))
    after = sampler.at(Prompt("found a coin.", "en", sampler.prompt.voice, (step,)))
    assert after.decoder.context.tolist() == [*sampler.decoder.context.tolist(), *range(20)]
    spoken = "hello world the captain found a coin."
    prompt = sampler.llasa.format.prompt_ids(spoken, after.decoder.context)
    sampler.tracker.ledger.prefill_tokens = 0
    candidates = after.extend(after.start(2))[1]
    assert sampler.tracker.ledger.prefill_tokens == len(prompt)
    assert {candidate.text for candidate in candidates} == {"found a coin."}
    assert sampler.tracker.ledger.finished == 0  # no whole utterance
    assert sampler.finished == []


def test_speech_is_decoded_after_the_prompt(make: Callable[..., Sampler]) -> None:
    """The audio follows the voice prompt without containing it, and is read-only."""
    sampler = make()
    candidates = sampler.extend(sampler.start(3))[1]
    context = sampler.decoder.context
    for candidate, audio in zip(candidates, sampler.audio(candidates), strict=True):
        expected = sampler.llasa.decode([candidate.codes], context)[0]
        np.testing.assert_allclose(audio, expected, atol=1e-5)
        assert candidate.audio is audio
        assert not audio.flags.writeable
    assert sampler.tracker.codec_seconds > 0
    spent = sampler.tracker.codec_seconds
    sampler.audio(candidates)
    assert sampler.tracker.codec_seconds == spent


@pytest.mark.parametrize("window", [None, 0.1, 9.0])
def test_unfinished_speech_is_the_beginning_of_the_finished_speech(
    make: Callable[..., Sampler], window: float | None
) -> None:
    """Windows are decoded with the codes before them, and decoding does not use up the rows."""
    sampler = make()
    rows, _ = sampler.extend(sampler.start(3), 12)
    frames = 12 if window is None else min(12, round(window * 50))
    for row, audio in zip(rows.codes, sampler.decoder.partial(rows.codes, window), strict=True):
        context = np.concatenate((sampler.decoder.context, row[: 12 - frames]))
        expected = sampler.llasa.decode([row[12 - frames :]], context)[0]
        np.testing.assert_allclose(audio, expected, atol=1e-5)
    assert sampler.extend(rows)[1]


def test_a_voice_without_transcript_is_refused(llasa: Llasa, noise: Callable[..., Audio]) -> None:
    """A voice prompt without a transcript is refused before sampling."""
    voice = Voice(noise(1.0), sample_rate=16_000, name="mine")
    with pytest.raises(InputError, match="'mine' has no transcript"):
        Sampler(llasa, Prompt(TEXT, "en", voice), SHORT, 0, BudgetTracker())


def test_a_text_too_long_for_the_window_is_refused_with_the_limit(llasa: Llasa) -> None:
    """The error states how many characters fit the window."""
    with pytest.raises(InputError, match="too long") as error:
        Sampler(llasa, Prompt("word " * 200, "en"), Sampling(), 0, BudgetTracker()).start(1)
    limit = int(str(error.value).split("some ")[1].split(" ")[0])
    assert 200 < limit < 1000
    fits = Sampler(llasa, Prompt(("word " * 200)[:limit], "en"), Sampling(), 0, BudgetTracker())
    assert fits.affordable() > 0
    with pytest.raises(InputError, match="too long"):
        Sampler(
            llasa, Prompt(("word " * 200)[: limit * 6 // 5], "en"), Sampling(), 0, BudgetTracker()
        ).affordable()


def test_the_length_of_the_text_bounds_the_speech(llasa: Llasa) -> None:
    """The range of tokens depends on the text; Chinese characters and digits count more than letters."""
    english = Sampler(llasa, Prompt("a silver coin near the lake", "en"), Sampling(), 0, BudgetTracker())
    assert 25 < english.minimum < 90 < english.maximum < 400
    chinese = Sampler(llasa, Prompt("船长在湖边发现一枚银币", "zh"), Sampling(), 0, BudgetTracker())
    assert 25 < chinese.minimum < 110 < chinese.maximum
    digits = Sampler(llasa, Prompt("1234567", "en"), Sampling(), 0, BudgetTracker())
    assert digits.minimum > 25
    forced = Sampler(llasa, Prompt("hi", "en"), Sampling(min_seconds=3.0), 0, BudgetTracker())
    assert forced.minimum == 150 <= forced.maximum
    cut = Sampler(llasa, Prompt("hello " * 20, "en"), Sampling(max_seconds=0.5), 0, BudgetTracker())
    assert cut.minimum <= cut.maximum == 25


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"top_k": 1.5},
        {"repetition_penalty": 0.0},
        {"min_seconds": 0.0},
        {"max_seconds": -1.0},
        {"min_seconds": 2.0, "max_seconds": 1.0},
    ],
    ids=str,
)
def test_sampling_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    """Values of `Sampling` outside their ranges are refused when it is made."""
    with pytest.raises(InputError, match=list(wrong)[-1]):
        Sampling(**wrong)  # type: ignore[arg-type]

"""The engine gives the same results as transformers, its slow reference implementation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from transformers import LlamaForCausalLM, LogitsProcessor, LogitsProcessorList
from transformers.generation.logits_process import (
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from llasa_search.engine.batch import Batch, Finished, Task
from llasa_search.engine.language_model import ROWS_PER_PASS, LanguageModel, rounds_rows_alike
from llasa_search.engine.token_sampling import draw, mix, signed, uniform
from llasa_search.errors import ModelError
from llasa_search.sampling import Sampling
from tests.helpers.tiny_random import random_llama

VOCABULARY = 90
OUTPUTS = torch.tensor([*range(25, 89), 7])  # the codes' ids, and END's somewhere before them
END = len(OUTPUTS) - 1
PROMPT = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 8, 9, 3, 2, 30, 40, 50])
PROMPT_CODES = np.array([5, 15, 25], dtype=np.int32)
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
SHAPES: dict[str, dict[str, Any]] = {
    "grouped": {},
    "one key-value head": {"num_key_value_heads": 1},
    "no groups": {"num_key_value_heads": 4},
    "untied": {"tie_word_embeddings": False},
    "biases": {"attention_bias": True, "mlp_bias": True},
    "llama 3's rope": {"rope_parameters": LLAMA3_ROPE},
    "wide heads": {"head_dim": 24},
}


class SpeechOnly(LogitsProcessor):
    """Forbids all tokens except speech tokens, and END before a minimum."""

    def __init__(self, prompt: int, minimum: int) -> None:
        self.prompt, self.minimum = prompt, minimum

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        masked = torch.full_like(scores, -torch.inf)
        masked[:, OUTPUTS] = scores[:, OUTPUTS]
        if input_ids.shape[1] - self.prompt < self.minimum:
            masked[:, OUTPUTS[END]] = -torch.inf
        return masked


def make_llama(seed: int = 0, **config: Any) -> LlamaForCausalLM:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return random_llama(VOCABULARY, **config)


def make_task(sampling: Sampling, minimum: int, maximum: int, **config: Any) -> Task:
    decoder = LanguageModel(make_llama(**config), OUTPUTS, max_length=256)
    return Task(decoder, decoder.prefill(PROMPT), PROMPT_CODES, sampling, minimum, maximum)


def run(task: Task, names: list[int]) -> dict[int, Finished]:
    batch, finished = Batch(task, names, [mix(0, name) for name in names]), list[Finished]()
    while len(batch):
        finished += batch.step()
    return {each.row: each for each in finished}


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_are_those_of_transformers(shape: str) -> None:
    """Prefill and step give the logits of transformers for every shape that Llama checkpoints have."""
    slow = make_llama(**SHAPES[shape])
    task = make_task(Sampling(), 12, 12, **SHAPES[shape])
    rows = run(task, list(range(5)))
    with torch.inference_mode():
        for row in rows.values():
            ids = torch.cat((PROMPT, OUTPUTS[row.codes.tolist()]))
            logits = slow(ids[None]).logits[0, len(PROMPT) - 1 : -1, OUTPUTS]
            expected = logits.log_softmax(-1)[range(12), row.codes.tolist()]
            np.testing.assert_allclose(row.logprobs, expected, atol=1e-4)


def test_half_precision_is_close_to_float32() -> None:
    """The logits of bfloat16 weights are close to those of float32."""
    exact = make_task(Sampling(), 1, 8)
    llama: Any = make_llama()
    decoder = LanguageModel(llama.to(torch.bfloat16), OUTPUTS, max_length=256)
    error = (decoder.prefill(PROMPT).logits - exact.prefix.logits).abs().max()
    assert 0 < error < 0.15 * exact.prefix.logits.std()
    half = Task(decoder, decoder.prefill(PROMPT), PROMPT_CODES, Sampling(), 1, 8)
    assert len(run(half, [0, 1])) == 2


def test_an_unknown_rope_is_refused() -> None:
    """A rotary embedding that changes with the length is refused, because the logits would be wrong."""
    rope = {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 2.0}
    with pytest.raises(ModelError, match="dynamic"):
        LanguageModel(make_llama(rope_parameters=rope), OUTPUTS, max_length=256)


def test_logits_that_are_not_finite_are_refused() -> None:
    """A checkpoint that overflows raises an error instead of giving noise."""
    llama = make_llama()
    with torch.no_grad():
        llama.model.norm.weight[0] = torch.nan
    with pytest.raises(ModelError, match="finite"):
        LanguageModel(llama, OUTPUTS, max_length=256).prefill(PROMPT)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("penalty", [1.0, 1.2])
def test_greedy_tokens_are_those_of_masked_generate(seed: int, penalty: float) -> None:
    """Greedy tokens equal those of `generate`, with masking, a minimum, a penalty and END."""
    prompt = torch.cat((PROMPT[:17], OUTPUTS[PROMPT_CODES.tolist()]))  # its only codes are PROMPT_CODES
    decoder = LanguageModel(make_llama(seed=seed), OUTPUTS, max_length=256)
    sampling = Sampling(temperature=0, repetition_penalty=penalty)
    row = run(Task(decoder, decoder.prefill(prompt), PROMPT_CODES, sampling, 4, 40), [0])[0]
    processors = LogitsProcessorList([SpeechOnly(len(prompt), 4)])
    with torch.inference_mode():
        ids = make_llama(seed=seed).generate(
            prompt[None],
            attention_mask=torch.ones(1, len(prompt)),
            do_sample=False,
            max_new_tokens=40,
            repetition_penalty=penalty,
            logits_processor=processors,
            eos_token_id=int(OUTPUTS[END]),
            pad_token_id=0,
        )[0, len(prompt) :]
    places = {int(vocabulary_id): place for place, vocabulary_id in enumerate(OUTPUTS)}
    tokens = [places[int(vocabulary_id)] for vocabulary_id in ids]
    if row.reason == "stop":
        assert tokens[-1] == END
        tokens = tokens[:-1]
    assert row.codes.tolist() == tokens


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(temperature=1.3, top_k=7),
        Sampling(top_p=0.6),
        Sampling(top_k=9, top_p=0.8, repetition_penalty=1.5),
    ],
    ids=str,
)
def test_sampled_tokens_are_those_of_a_loop_without_cache(sampling: Sampling) -> None:
    """Sampled tokens equal those of a loop that recomputes everything, after rows have left the batch too."""
    task = make_task(sampling, 3, 30)
    slow = make_llama()
    for name, row in run(task, [0, 1, 2, 3, 4, 5]).items():
        expected = sample_slowly(slow, sampling, mix(0, name), 3, 30)
        assert [*row.codes.tolist(), *([END] if row.reason == "stop" else [])] == expected


def sample_slowly(
    llama: LlamaForCausalLM, sampling: Sampling, key: int, minimum: int, maximum: int
) -> list[int]:
    """Samples one row with a full forward pass per token, transformers' filters, and NumPy in double precision."""
    penalty = RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty)
    filters = [TemperatureLogitsWarper(sampling.temperature), TopPLogitsWarper(sampling.top_p)]
    if sampling.top_k:
        filters.insert(1, TopKLogitsWarper(sampling.top_k))
    tokens: list[int] = []
    while len(tokens) < maximum and tokens[-1:] != [END]:
        with torch.inference_mode():
            logits = llama(torch.cat((PROMPT, OUTPUTS[tokens]))[None]).logits[:, -1, OUTPUTS]
            scores = penalty(torch.tensor([[*PROMPT_CODES.tolist(), *tokens]]), logits)
            if len(tokens) < minimum:
                scores[:, END] = -torch.inf
            for each in filters:
                scores = each(torch.zeros(1, 0, dtype=torch.long), scores)
        chances = scores[0].double().softmax(-1).numpy()
        u = uniform(torch.tensor([signed(key)]), len(tokens)).item()
        tokens.append(int(np.searchsorted(chances.cumsum(), u * chances.sum())))
    return tokens


@given(st.integers(1, 13), st.integers(0, 3))
def test_a_row_is_the_same_in_every_batch(rows: int, first: int) -> None:
    """A row's codes do not depend on the number of rows: n = 4 is a prefix of n = 16."""
    names = list(range(first, first + rows))
    for name, row in run(TASK, names).items():
        assert row.codes.tolist() == ALL[name].codes.tolist()
        assert row.logprobs.tolist() == ALL[name].logprobs.tolist()


@given(st.integers(1, 40))
def test_a_row_is_the_same_in_every_batch_stepped_in_groups(rows: int) -> None:
    """Computers whose kernels round differently in large batches step groups of rows; the codes stay those."""
    for name, row in run(GROUPED, list(range(rows))).items():
        assert row.codes.tolist() == ALL_GROUPED[name].codes.tolist()
        assert row.logprobs.tolist() == ALL_GROUPED[name].logprobs.tolist()


def test_groups_change_no_codes() -> None:
    """Stepping rows in groups gives the same codes as stepping them together."""
    for name, row in ALL.items():
        assert row.codes.tolist() == ALL_GROUPED[name].codes.tolist()
        np.testing.assert_allclose(row.logprobs, ALL_GROUPED[name].logprobs, atol=1e-5)


@pytest.mark.parametrize("shape", [(256, 512), (768, 256), (256, 4097)])
def test_a_row_has_the_same_bits_in_every_batch_of_real_shapes(shape: tuple[int, int]) -> None:
    """Kernels that round by the number of rows were found only with real shapes: n = 4 gave other codes than n = 16."""
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    rows = torch.randn(64, shape[0], generator=torch.Generator().manual_seed(2))
    whole = torch.mm(rows, weight)
    alike = all(torch.equal(torch.mm(rows[:size], weight), whole[:size]) for size in range(4, 64, 4))
    assert rounds_rows_alike(weight) == alike
    groups = [torch.mm(rows[:4].roll(-i, 0).repeat(3, 1), weight).roll(i, 0)[:4] for i in range(4)]
    assert all(torch.equal(each, groups[0]) for each in groups)


TASK = make_task(Sampling(), 2, 30)
ALL = run(TASK, list(range(16)))
GROUPED = make_task(Sampling(), 2, 30)
GROUPED.model.rows_per_pass = GROUPED.model.row_multiple = ROWS_PER_PASS
ALL_GROUPED = run(GROUPED, list(range(40)))


def test_rows_differ_and_end_at_different_times() -> None:
    """The rows of these tests differ, and some end before the limit; equal rows would test little."""
    assert len({tuple(row.codes.tolist()) for row in ALL.values()}) == 16
    assert len({len(row.codes) for row in ALL.values()}) > 4
    assert {row.reason for row in ALL.values()} == {"stop", "length"}


def test_end_is_not_a_code_and_the_last_code_is_kept() -> None:
    """END is not among the codes, and a row that reaches the limit keeps its last code."""
    for row in ALL.values():
        ended = row.reason == "stop"
        assert END not in row.codes.tolist()
        assert len(row.logprobs) == len(row.codes) + ended
        assert len(row.codes) <= 30 if ended else len(row.codes) == 30


@pytest.mark.parametrize("minimum", [1, 5, 20])
def test_no_row_ends_before_the_minimum(minimum: int) -> None:
    """Every row has at least the minimum number of codes."""
    rows = run(make_task(Sampling(), minimum, 40), list(range(8)))
    assert min(len(row.codes) for row in rows.values()) >= minimum


def test_a_rebuilt_cache_gives_the_same_codes() -> None:
    """A batch whose cache was released and rebuilt samples the same codes."""
    batch, finished = Batch(TASK, list(range(16)), [mix(0, name) for name in range(16)]), list[Finished]()
    for step in range(30):
        finished += batch.step()
        if step % 7 == 0:
            batch.release()
    assert not len(batch)
    for row in finished:
        assert row.codes.tolist() == ALL[row.row].codes.tolist()
        assert row.logprobs.tolist() == ALL[row.row].logprobs.tolist()


@given(st.integers(0, 2**64 - 1), st.integers(0, 2048))
def test_uniform_numbers_are_those_of_whole_number_arithmetic(key: int, position: int) -> None:
    """The random numbers equal those of SplitMix64 in Python's whole numbers."""
    mask = 2**64 - 1
    bits = (key + (position + 1) * 0x9E3779B97F4A7C15) & mask
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & mask
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & mask
    bits ^= bits >> 31
    expected = np.float32((np.float32(bits >> 40) + np.float32(0.5)) * np.float32(2.0**-24))
    assert uniform(torch.tensor([signed(key)]), position).item() == expected


def test_draws_follow_the_distribution() -> None:
    """Draws of neighbouring rows and positions are independent and have the given probabilities."""
    logits = torch.tensor([[0.0, 1.0, 2.0, -1.0, 0.5, -torch.inf]])
    keys = torch.tensor([signed(mix(1, row)) for row in range(20_000)])
    chances = logits.softmax(-1)[0].numpy()
    for position in (0, 1, 700):
        tokens = draw(logits.expand(len(keys), -1), keys, position, Sampling(temperature=1.0))
        observed = np.bincount(tokens.numpy(), minlength=6)
        expected = chances * len(keys)
        chi_square = float(((observed - expected)[:5] ** 2 / expected[:5]).sum())
        assert observed[5] == 0
        assert chi_square < 25  # 4 degrees of freedom: exceeded once in 20,000 tries


@given(
    arrays(np.float32, (3, 12), elements=st.floats(-30, 30, width=32)),
    st.integers(0, 11),
    st.sampled_from([Sampling(), Sampling(top_k=3), Sampling(top_p=0.3), Sampling(temperature=0)]),
)
def test_a_forbidden_token_is_never_drawn(logits: np.ndarray, forbidden: int, sampling: Sampling) -> None:
    """A token of probability 0 is never drawn, whatever the rounding of the cumulative sum."""
    logits[:, forbidden] = -np.inf
    keys = torch.tensor([0, -1, 12345])
    for position in range(8):
        assert forbidden not in draw(torch.from_numpy(logits), keys, position, sampling).tolist()


def test_the_largest_random_number_draws_the_last_allowed_token() -> None:
    """u = 1 draws the last token of the distribution, and not a position after it."""
    key = torch.tensor([signed(3558559446808474027)])  # SplitMix64 run backwards from 64 ones
    assert uniform(key, 0).item() == 1.0
    assert draw(torch.tensor([[0.0, 0.0, 0.0, -torch.inf]]), key, 0, Sampling()).item() == 2

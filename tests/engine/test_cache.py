"""The cache has exactly the tokens of each row after rows are forked, dropped and reordered."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.engine.batch import Batch, Finished, Task
from llasa_search.engine.cache import KeyValueCache, PrefilledPrompt
from llasa_search.engine.language_model import LanguageModel
from llasa_search.engine.token_sampling import mix
from llasa_search.sampling import Sampling
from tests.helpers.tiny_random import random_llama

OUTPUTS = torch.tensor([*range(25, 89), 7])
END = len(OUTPUTS) - 1
PROMPT = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 8, 9, 3, 2, 30, 40, 50])
NO_CODES = np.zeros(0, np.int32)


def make_task(sampling: Sampling, minimum: int = 2, maximum: int = 30) -> Task:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        decoder = LanguageModel(random_llama(90), OUTPUTS, max_length=256)
    return Task(decoder, decoder.prefill(PROMPT), NO_CODES, sampling, minimum, maximum)


TASKS = [make_task(Sampling()), make_task(Sampling(repetition_penalty=1.4))]


@pytest.fixture(scope="module")
def slow() -> object:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return random_llama(90)


def assert_consistent(slow: object, task: Task, codes: np.ndarray, logprobs: np.ndarray) -> None:
    """Asserts that each log-probability equals that of a forward pass over the row's own tokens."""
    with torch.inference_mode():
        for row, kept in zip(codes, logprobs, strict=True):
            logits = slow(torch.cat((PROMPT, OUTPUTS[row.tolist()]))[None]).logits[0, :, OUTPUTS]  # type: ignore[operator]
            expected = logits[len(PROMPT) - 1 : -1].log_softmax(-1)[range(len(row)), row.tolist()]
            np.testing.assert_allclose(kept, expected, atol=1e-4)


@given(st.data())
def test_rows_keep_their_own_past(slow: object, data: st.DataObject) -> None:
    """After any rearrangement, a row's log-probabilities and penalties depend on its own tokens only."""
    task = data.draw(st.sampled_from(TASKS))
    batch = Batch(task, [0, 1, 2], [mix(0, 0), mix(0, 1), mix(0, 2)])
    fresh = 3
    past: dict[int, list[int]] = {}
    for _ in range(data.draw(st.integers(1, 4))):
        for _ in range(data.draw(st.integers(0, 6))):
            if len(batch):
                batch.step()
        if not len(batch):
            break
        past = {name: row.tolist() for name, row in zip(batch.names, batch.codes(), strict=True)}
        parents = data.draw(st.lists(st.integers(0, len(batch) - 1), min_size=1, max_size=11))
        names = []
        for place, parent in enumerate(parents):
            first = parent not in parents[:place]
            names.append(batch.names[parent] if first else fresh + place)
        expected = {name: past[batch.names[parent]] for name, parent in zip(names, parents, strict=True)}
        fresh += len(parents)
        batch.rearrange(parents, names, [mix(7, name) for name in names])
        assert {name: row.tolist() for name, row in zip(batch.names, batch.codes(), strict=True)} == expected
    if len(batch) and batch.length < task.maximum:
        batch.step()
    assert_consistent(slow, task, batch.codes(), batch.logprobs())


def test_a_row_does_not_change_when_other_rows_are_pruned() -> None:
    """A row that is kept has the same codes as without pruning, so it equals its candidate in best-of-N."""
    task = TASKS[0]
    alone = run(Batch(task, list(range(8)), [mix(0, name) for name in range(8)]))
    batch = Batch(task, list(range(8)), [mix(0, name) for name in range(8)])
    finished = [each for _ in range(5) for each in batch.step()]
    kept = [slot for slot, name in enumerate(batch.names) if name % 2][::-1]
    names = [batch.names[slot] for slot in kept]
    batch.rearrange(kept, names, [mix(0, name) for name in names])
    for row in [*finished, *run(batch).values()]:
        assert row.codes.tolist() == alone[row.row].codes.tolist()
        assert row.logprobs.tolist() == alone[row.row].logprobs.tolist()


def test_children_differ_from_each_other_but_not_before_the_fork() -> None:
    """The children of a row have equal codes before the fork and different codes after it."""
    batch = Batch(TASKS[0], [0, 1], [mix(0, 0), mix(0, 1)])
    for _ in range(3):
        batch.step()
    past = batch.codes()[1].tolist()
    batch.rearrange([1] * 9, list(range(9)), [mix(1, name) for name in range(9)])
    rows = run(batch)
    assert all(row.codes[:3].tolist() == past for row in rows.values())
    assert len({tuple(row.codes.tolist()) for row in rows.values()}) == 9


def run(batch: Batch) -> dict[int, Finished]:
    finished = list[Finished]()
    while len(batch):
        finished += batch.step()
    return {row.row: row for row in finished}


def test_halves_of_a_batch_end_as_the_whole() -> None:
    """Splitting a batch into halves changes neither the codes nor the ends of its rows."""
    task = TASKS[1]
    whole = run(Batch(task, list(range(7)), [mix(0, name) for name in range(7)]))
    batch = Batch(task, list(range(7)), [mix(0, name) for name in range(7)])
    early = [each for _ in range(6) for each in batch.step()]
    halves = batch.split()
    assert abs(len(halves[0]) - len(halves[1])) <= 1
    rows = {row.row: row for row in early} | run(halves[0]) | run(halves[1])
    assert {name: row.codes.tolist() for name, row in rows.items()} == {
        name: row.codes.tolist() for name, row in whole.items()
    }


def make_prompt(tokens: int = 6) -> PrefilledPrompt:
    return PrefilledPrompt((torch.randn(2, 8, tokens),), (torch.randn(2, tokens, 8),), torch.zeros(1, 5))


def test_enlarging_the_cache_keeps_its_content() -> None:
    """A larger buffer has the same keys and values in the same slots."""
    cache = KeyValueCache(make_prompt(), slots=4, capacity=16)
    cache.length = 3
    cache.keys[0][:, :, :3] = torch.randn(4, 2, 3, 8)
    before = cache.keys[0][:, :, :3].clone()
    cache.reserve(12)
    assert cache.keys[0].shape == cache.values[0].shape == (12, 2, 16, 8)
    assert torch.equal(cache.keys[0][:4, :, :3], before)


def test_the_estimated_memory_of_a_row_equals_the_size_of_its_buffers() -> None:
    """`bytes_per_row` equals the bytes that the buffers take per slot."""
    prefix = make_prompt()
    cache = KeyValueCache(prefix, slots=4, capacity=16)
    held = sum(buffer.nbytes for buffer in (*cache.keys, *cache.values))
    assert 4 * KeyValueCache.bytes_per_row(prefix, 16) == held

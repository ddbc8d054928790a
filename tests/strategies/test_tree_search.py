"""Strategies that prune unfinished speech: which rows they keep, and how these end."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.errors import InputError
from llasa_search.llasa.model import Llasa
from llasa_search.result import SearchResult
from llasa_search.reward.compose import RankAverage
from llasa_search.sampling import Sampling
from llasa_search.search import Searcher
from llasa_search.strategies import DVTS, Beam, BestOfN, Particle, SpeculativeRejection, Strategy
from llasa_search.strategies.particle import systematic
from llasa_search.verifiers import Verifier
from tests.helpers.verifiers import Codes, Flat

SHORT = Sampling(min_seconds=0.1, max_seconds=0.6)
EQUAL = Sampling(min_seconds=0.6, max_seconds=0.6)
"""All rows have 30 tokens."""


def search(
    llasa: Llasa, strategy: Strategy, sampling: Sampling = SHORT, reward: Verifier | None = None
) -> SearchResult:
    return Searcher(llasa, reward or Codes(), strategy).generate("a coin", sampling=sampling)


def speech(result: SearchResult) -> dict[int, list[int]]:
    return {candidate.index: candidate.codes.tolist() for candidate in result.candidates}


def roots(result: SearchResult) -> Counter[int]:
    """Returns the number of finished candidates that descend from each root."""
    return Counter(result.trace.root(candidate.index) for candidate in result.candidates)


@pytest.mark.parametrize("lookahead", [0, 7])
def test_beam_of_one_is_candidate_0(llasa: Llasa, lookahead: int) -> None:
    """Steps and lookahead do not change the codes of a row."""
    beam = search(llasa, Beam(1, 1, step_tokens=4, lookahead=lookahead))
    assert speech(beam) == speech(search(llasa, BestOfN(1)))


def test_beam_keeps_the_best_rows_and_forks_them(llasa: Llasa) -> None:
    """The pruned rows have the lowest rewards, and the number of rows stays the same."""
    result = search(llasa, Beam(2, 3, step_tokens=10), EQUAL)
    nodes = result.trace.nodes
    for tokens in (10, 20):
        compared = {i: check.reward for i, n in nodes.items() for check in n.checks if check.tokens == tokens}
        cut = {i for i in compared if nodes[i].end == "cut" and nodes[i].tokens == tokens}
        grown = Counter(
            node.parent for node in nodes.values() if node.start == tokens and node.parent is not None
        )
        assert len(compared) == 6 and len(cut) == 4 and set(grown.values()) == {2}
        assert max(compared[i] for i in cut) <= min(compared[i] for i in compared.keys() - cut)
    assert len(result.candidates) == 6 and result.ledger.row_steps == 6 * 30


def test_a_finished_row_is_not_replaced(llasa: Llasa) -> None:
    """As many candidates finish as there were rows at the start."""
    result = search(llasa, Beam(3, 2, step_tokens=5))
    assert len(result.candidates) == 6
    assert result.ledger.row_steps <= 6 * 30


def test_beams_that_tie_stay_diverse(llasa: Llasa) -> None:
    """If all rewards are equal, beams of every root are kept."""
    assert len(roots(search(llasa, Beam(3, 3, step_tokens=5), EQUAL, Flat()))) == 3


def test_max_children_limits_the_forks_of_a_beam(llasa: Llasa) -> None:
    assert len(roots(search(llasa, Beam(3, 3, max_children=1, step_tokens=5), EQUAL))) == 3
    assert len(roots(search(llasa, Beam(3, 3, step_tokens=5), EQUAL))) < 3


def test_after_the_prefix_beams_are_completed(llasa: Llasa) -> None:
    """Each beam is completed `completions` times, and no row is pruned after the prefix."""
    result = search(llasa, Beam(2, 2, step_tokens=4, prefix_seconds=0.2, completions=5), EQUAL)
    assert len(result.candidates) == 10
    assert {check.tokens for node in result.trace.nodes.values() for check in node.checks} == {4, 8, 10}
    assert max(node.tokens for node in result.trace.nodes.values() if node.end == "cut") == 10
    plain = search(llasa, Beam(2, 2, prefix_share=0.5), EQUAL)
    assert len(plain.candidates) == 4 and plain.ledger.row_steps == 4 * 30


def test_no_prefix_is_best_of_n(llasa: Llasa) -> None:
    nothing = search(llasa, Beam(2, 3, prefix_share=0))
    assert speech(nothing) == speech(search(llasa, BestOfN(6)))


def test_lookahead_compares_longer_speech(llasa: Llasa) -> None:
    """Rows are compared after the lookahead and forked before it; the discarded tokens are counted."""
    result = search(llasa, Beam(2, 2, step_tokens=10, lookahead=5), EQUAL)
    nodes = result.trace.nodes.values()
    assert {check.tokens for node in nodes for check in node.checks} == {15, 25}
    assert {node.start for node in nodes} == {0, 10, 20}
    assert result.ledger.row_steps == 4 * (30 + 2 * 5)


def test_lookahead_stops_short_of_the_end(llasa: Llasa) -> None:
    """A long lookahead ends one token before the maximum, so that rows can be compared."""
    result = search(llasa, Beam(2, 2, step_tokens=10, lookahead=100), EQUAL)
    checks = {check.tokens for node in result.trace.nodes.values() for check in node.checks}
    assert checks == {29}
    assert {node.start for node in result.trace.nodes.values()} == {0, 10, 20}


def test_rejection_keeps_candidates_of_best_of_n(llasa: Llasa) -> None:
    """The rows that are kept have the codes of best-of-N, and the pruned rows have the lowest rewards."""
    rejection = search(llasa, SpeculativeRejection(8, alpha=0.5, step_tokens=6), EQUAL)
    whole = speech(search(llasa, BestOfN(8), EQUAL))
    assert len(rejection.candidates) == 1 and speech(rejection).items() <= whole.items()
    assert rejection.ledger.row_steps == 8 * 6 + 4 * 6 + 2 * 6 + 1 * 12
    first = [node for node in rejection.trace.nodes.values() if node.end == "cut" and node.tokens == 6]
    survivors = [node for node in rejection.trace.nodes.values() if node.tokens > 6]
    assert max(n.checks[0].reward for n in first) <= min(n.checks[0].reward for n in survivors)


def test_trees_of_dvts_are_independent(llasa: Llasa) -> None:
    """Each tree keeps its number of rows, whatever the rewards of the others."""
    result = search(llasa, DVTS(6, 3, step_tokens=5), EQUAL)
    found = roots(result)
    assert sorted(found.values()) == [3, 3] and {root // 3 for root in found} == {0, 1}
    assert search(llasa, DVTS(6, 3, step_tokens=5), EQUAL, Flat()).ledger.row_steps == 6 * 30


def test_particles_are_resampled_by_their_weights(llasa: Llasa) -> None:
    """A low temperature concentrates the rows on few roots; with equal weights all rows are kept."""
    greedy = search(llasa, Particle(8, temperature=0.001, step_tokens=5), EQUAL)
    patient = search(llasa, Particle(8, temperature=100, step_tokens=5), EQUAL)
    assert len(roots(greedy)) < len(roots(patient)) == 8
    assert speech(patient) == speech(search(llasa, BestOfN(8), EQUAL))
    assert len(greedy.candidates) == 8


def test_particles_refuse_rewards_that_compare_rows(llasa: Llasa) -> None:
    """The error comes when the strategy is made, or when the search starts."""
    compares = RankAverage(Codes(), Flat())
    with pytest.raises(InputError, match="compares rows"):
        Particle(4, prefix_verifiers=compares)
    with pytest.raises(InputError, match="compares rows"):
        Searcher(llasa, compares, Particle(4)).generate("a coin", sampling=SHORT)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20).filter(any), st.floats(0, 1, exclude_max=True))
def test_systematic_resampling_is_proportional_to_the_weights(weights: list[float], draw: float) -> None:
    """Each position occurs within one of its expected number."""
    parents = systematic(np.array(weights), draw)
    assert len(parents) == len(weights) and parents == sorted(parents)
    for parent, weight in enumerate(weights):
        share = weight / sum(weights) * len(weights)
        assert abs(parents.count(parent) - share) <= 1 + 1e-6

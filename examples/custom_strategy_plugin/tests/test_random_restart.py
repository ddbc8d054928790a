import pytest
from random_restart import RandomRestart

from llasa_search.plugin import InputError
from llasa_search.strategies.testing import StrategyContract


class TestRandomRestart(StrategyContract):
    def make(self):
        return RandomRestart(n=4, seconds=0.2)

    def test_rows_below_the_median_are_pruned(self):
        result = self.search()
        reasons = [node.why for node in result.trace.nodes.values() if node.end == "cut"]
        assert set(reasons) == {"below the median"}
        assert len(reasons) + len(result.candidates) == 4


def test_a_setting_out_of_range_is_refused():
    with pytest.raises(InputError, match="seconds=0"):
        RandomRestart(seconds=0)

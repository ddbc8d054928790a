"""Random restart: samples one row after another and prunes those with a low partial reward."""

import math
from dataclasses import dataclass
from statistics import median

from llasa_search.plugin import check_counts, check_number, complete


@dataclass(frozen=True)
class RandomRestart:
    """Starts `n` rows one by one, and completes a row if its partial reward is at least the median so far.

    Args:
        n: number of rows.
        seconds: length of the prefix that is scored.
    """

    n: int = 8
    seconds: float = 1.0

    def __post_init__(self):
        check_counts(self, "n")
        check_number(self, "seconds", "a number above 0", lambda value: 0 < value < math.inf)

    def run(self, sampler, scorer):
        tokens = max(1, round(self.seconds * sampler.frame_rate))
        rewards = []
        for _ in range(self.n):
            rows, finished = sampler.extend(sampler.start(1), tokens)
            yield from finished
            if not len(rows):
                continue
            rewards += scorer.partial(rows).tolist()
            if rewards[-1] < median(rewards):  # False for NaN: an unknown reward prunes no row
                sampler.select(rows, [], why="below the median")
            else:
                yield from complete(sampler, rows)

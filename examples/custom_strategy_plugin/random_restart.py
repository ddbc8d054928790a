"""Random restart: one row after another, begun anew where it sounds worse than most."""

from dataclasses import dataclass
from statistics import median

from llasa_search.scoring.partial import partial_reward


@dataclass(frozen=True)
class RandomRestart:
    """Begins `n` times, and goes on where the beginning is no worse than the median of those before it.

    Args:
        n: beginnings.
        seconds: of each that are heard before it goes on or is dropped.
    """

    n: int = 8
    seconds: float = 1.0

    def run(self, sampler, scorer):
        reward = partial_reward(None, scorer.reward)
        tokens = round(self.seconds * sampler.llasa.frame_rate)
        heard = []
        for _ in range(self.n):
            rows, finished = sampler.extend(sampler.start(1), tokens)
            yield from finished
            if not len(rows):
                continue
            heard += scorer.partial(rows, reward).tolist()
            if heard[-1] < median(heard):
                sampler.select(rows, [], why="began worse than most")
            else:
                yield from sampler.extend(rows)[1]

"""Rewards: what a search maximises, composed from verifiers, printed and read back. NumPy only."""

from llasa_search.reward.base import Condition, Gated, Reward, WeightedSum
from llasa_search.reward.compose import Harmonic, Lexicographic, MaxRank, Pareto, RankAverage, ZScore

__all__ = [
    "Condition",
    "Gated",
    "Harmonic",
    "Lexicographic",
    "MaxRank",
    "Pareto",
    "RankAverage",
    "Reward",
    "WeightedSum",
    "ZScore",
]

"""Rewards, which a search maximises: their composition, printed form and parsing. It needs NumPy only."""

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

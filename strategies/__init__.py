"""Strategies: how a search spends its budget. One algorithm a file."""

from llasa_search.strategies.base import Strategy, as_strategy
from llasa_search.strategies.best_of_n import BestOfN

__all__ = ["BestOfN", "Strategy", "as_strategy"]

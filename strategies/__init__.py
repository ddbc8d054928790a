"""Strategies, which decide how a search uses its budget; one algorithm per file."""

from llasa_search.strategies.base import Strategy, as_strategy
from llasa_search.strategies.beam import Beam
from llasa_search.strategies.best_of_n import BestOfN
from llasa_search.strategies.dvts import DVTS
from llasa_search.strategies.in_context_steps import InContextSteps
from llasa_search.strategies.particle import Particle
from llasa_search.strategies.rejection import SpeculativeRejection

__all__ = [
    "DVTS",
    "Beam",
    "BestOfN",
    "InContextSteps",
    "Particle",
    "SpeculativeRejection",
    "Strategy",
    "as_strategy",
]

"""Types of arrays, and checks and conversion of numbers."""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Audio = NDArray[np.float32]
"""Speech, mono [samples] in [-1, 1]."""
Codes = NDArray[np.int32]
"""Speech codes [frames], numbered from 0."""


MAX_COUNT = 2**53
"""Whole numbers up to this one are exact as floats, and so in every JSON reader."""


def is_finite(number: object) -> bool:
    """Whether this is a real number that is finite as a float: not NaN, infinity, 10**400, or a truth value."""
    if isinstance(number, bool) or not isinstance(number, Real):
        return False
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def as_python_number(number: Real) -> int | float:
    """Returns a number as Python's own `int` or `float`, which JSON can hold."""
    return int(number) if isinstance(number, Integral) else float(number)

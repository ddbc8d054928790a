"""Types of arrays, and conversion of NumPy's numbers."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Audio = NDArray[np.float32]
"""Speech, mono [samples] in [-1, 1]."""
Codes = NDArray[np.int32]
"""Speech codes [frames], numbered from 0."""


def as_python_number(number: Real) -> int | float:
    """Returns a number as Python's own `int` or `float`, which JSON can hold."""
    return int(number) if isinstance(number, Integral) else float(number)

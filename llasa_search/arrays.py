"""What arrays are called everywhere, and numbers that are Python's own."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Audio = NDArray[np.float32]
"""Speech, mono [samples] in [-1, 1]."""
Codes = NDArray[np.int32]
"""Speech codes [frames], 0-based."""


def as_python_number(number: Real) -> int | float:
    """Python's own number for one of numpy's, which JSON does not know."""
    return int(number) if isinstance(number, Integral) else float(number)

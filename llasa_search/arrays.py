"""What arrays are called everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Audio = NDArray[np.float32]
"""Speech, mono [samples] in [-1, 1]."""
Codes = NDArray[np.int32]
"""Speech codes [frames], 0-based."""

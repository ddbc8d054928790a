"""Tests of the library, in packages that mirror it."""

import os

# Parallel workers, and the processes that their tests start, use one thread each. This must be set before
# numpy and torch are loaded, and so stands here and not in conftest.py.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"

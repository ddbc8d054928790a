import numpy as np
import pytest
from loudness import Loudness, level

from llasa_search.verifiers.testing import VerifierContract


class TestLoudness(VerifierContract):
    def make(self):
        return Loudness()


def test_level_is_in_decibels():
    assert level(np.full(100, 0.1, np.float32)) == pytest.approx(-20)


def test_silence_has_no_level():
    with pytest.raises(ValueError, match="silent"):
        level(np.zeros(100, np.float32))

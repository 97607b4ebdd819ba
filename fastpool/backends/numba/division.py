"""What sums are divided by, where that is one number."""

from __future__ import annotations

import math

from ...rules.call import Call
from ...rules.sums import counted_taps
from .vectors.adding import DIVIDED, MULTIPLIED

# Divisors below this one in magnitude are exact as float32, with all that is made of them here.
EXACT = 2**22


def divided_by_one(call: Call) -> bool:
    """Whether all sums of a call are divided by one number, which is exact in any float."""
    assert call.division is not None
    counts = counted_taps(call.geometry, call.division)
    return all(along.size == 1 for along in counts) and abs(divisor_of_all(call)) < EXACT


def divisor_of_all(call: Call) -> int:
    """That number."""
    assert call.division is not None
    return math.prod(int(along[0]) for along in counted_taps(call.geometry, call.division))


def division_by(divisor: int) -> tuple[int, float]:
    """How floats are divided by a number, see `vectors.adding`, and the factor or the divisor.

    The reciprocal of a power of two is exact.
    """
    if abs(divisor).bit_count() == 1:
        return MULTIPLIED, 1 / divisor
    return DIVIDED, float(divisor)

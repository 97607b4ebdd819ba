"""What sums are divided by, where that is one number."""

from __future__ import annotations

import math
from typing import Any

from ...rules.call import Call
from ...rules.sums import counted_taps
from .vectors.adding import DIVIDED, MULTIPLIED, WIDE

# Divisors below this one in magnitude are exact as float32, with all that is made of them here.
EXACT = 2**22


def one_divisor(call: Call) -> int | None:
    """What all sums of a call are divided by; None if windows differ, or no float32 holds it."""
    assert call.division is not None
    counts = counted_taps(call.geometry, call.division)
    divisor = math.prod(int(along[0]) for along in counts)
    one = all(along.size == 1 for along in counts) and abs(divisor) < EXACT
    return divisor if one else None


def rounding_by(divisor: int, bound: int, total: Any) -> tuple[int | None, float]:
    """How sums of integers up to `bound` in magnitude are divided and rounded, and by what number.

    See `adding.rounded_quotient`; None if that cannot be. A quotient that is no tie is at least
    ``1 / (2 * divisor)`` away from one, and with an odd divisor none is. Then a product with the
    reciprocal, whose error is below ``2 * quotient * 2**-24``, lies on the right side, too.
    """
    if total.itemsize > 4 or abs(divisor) >= 2**31:
        return None, 1.0
    wide = WIDE * (bound >= EXACT)
    if divisor % 2 or abs(divisor).bit_count() == 1:
        return MULTIPLIED + wide, 1 / divisor
    return DIVIDED + wide, float(divisor)


def division_by(divisor: int) -> tuple[int, float]:
    """How floats are divided by a number, see `vectors.adding`, and the factor or the divisor.

    The reciprocal of a power of two is exact.
    """
    if abs(divisor).bit_count() == 1:
        return MULTIPLIED, 1 / divisor
    return DIVIDED, float(divisor)

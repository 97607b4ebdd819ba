"""Exact quotients of sums of integers that need more than 64 bits."""

from __future__ import annotations

from typing import Any

import numpy as np

# Integers below this one in magnitude, and the quotients of any two of them, are right in float64
# up to the nearest integer, ties included: a quotient is no nearer to a tie than a rounding error.
EXACT = 2**51


def rounded_quotients(
    high: np.ndarray, low: np.ndarray, divisors: np.ndarray, dtype: np.dtype[Any]
) -> np.ndarray:
    """``high * 2**32 + low`` over divisors: the nearest integer, of two the even one.

    So many bits are divided at a time as fit in 64. What does not fit in the result wraps.

    Parameters
    ----------
    high, low : ndarray of int64
        Sums of the high and of the low halves of integers; they are written over.
    divisors : ndarray of int64
        Below 2**62 in magnitude, and not 0; they broadcast.
    dtype : numpy.dtype
        That of the result.
    """
    if divisors.min() < 0:
        sign = np.sign(divisors)
        high, low, divisors = high * sign, low * sign, divisors * sign
    high += low >> 32
    low &= 0xFFFFFFFF
    quotient, rest = np.divmod(high, divisors)
    step, left = max(1, min(32, 62 - int(divisors.max()).bit_length())), 32
    while left:
        step = min(step, left)
        left -= step
        digits, rest = np.divmod(rest << step | low >> left & (1 << step) - 1, divisors)
        quotient = (quotient << step) + digits
    twice = 2 * rest
    quotient += (twice > divisors) | ((twice == divisors) & (quotient & 1 == 1))
    return quotient.astype(dtype)


def halves(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The high and the low halves of integers, as `rounded_quotients` takes them."""
    if sums.dtype.itemsize < 8:
        sums = sums.astype(np.int64)
    low = (sums & sums.dtype.type(0xFFFFFFFF)).astype(np.int64)
    return (sums >> sums.dtype.type(32)).astype(np.int64), low

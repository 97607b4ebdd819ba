"""Norms of windows: which there are, and the powers and roots that they are made of."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from .arguments import integer, shown

Norm: TypeAlias = int | float  # a positive integer, or infinity


def norm_type(function: str, value: object) -> Norm:
    """The number p of an Lp norm.

    Raises
    ------
    TypeError, ValueError
        It is no positive integer, and not infinity.
    """
    if isinstance(value, (float, np.floating)):
        number = float(value)
        if number == math.inf:
            return math.inf
        if not (number >= 1 and number.is_integer()):
            raise ValueError(
                f"{function}: norm_type must be a positive integer or inf, got {shown(value)}: "
                f"other powers are rounded in another way by each processor"
            )
        value = int(number)
    return integer(function, "norm_type", value, 1)


def power(numbers: np.ndarray, exponent: int) -> np.ndarray:
    """Float64 to the power of an integer from 0 on, by squares and products.

    The bits of the exponent are gone through from the highest one to the lowest: each squares what
    there is, and those that are set multiply it with the number.
    """
    if exponent == 0:
        return np.ones_like(numbers)
    found: np.ndarray = numbers.copy()
    for digit in bin(exponent)[3:]:
        found *= found
        if digit == "1":
            found *= numbers
    return found


def root(sums: np.ndarray, p: int) -> np.ndarray:
    """The root of sums of powers, in place."""
    if p == 2:
        np.sqrt(sums, out=sums)
    elif p == 3:
        np.cbrt(sums, out=sums)
    elif p > 3:
        np.power(sums, 1 / p, out=sums)
    return sums


def magnitudes(x: np.ndarray) -> np.ndarray:
    """Absolute values in float64, of integers too, of which the least one has none of its own."""
    numbers: np.ndarray = x.astype(np.float64)
    np.abs(numbers, out=numbers)
    return numbers


def result_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of norms: that of floats; of integers and bools float64."""
    return np.dtype(np.float64) if dtype.kind in "iub" else dtype.newbyteorder("=")

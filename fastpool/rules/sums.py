"""Sums and averages: their dtypes, what they are divided by, and which windows meet which cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from .arguments import check_flag, integer, shown
from .arrays import check_dtype
from .axis import AdaptiveAxis, Axis
from .geometry import LIMIT, Geometry
from .quotients import EXACT

# Windows of up to so many taps are summed one tap after the other, which gives the bits of PyTorch;
# larger ones as a tree, whose error and cost grow with the logarithm of the window.
MOST_IN_ORDER = 64


@dataclass(frozen=True)
class Division:
    """What becomes of a sum.

    Attributes
    ----------
    dtype : numpy.dtype
        Of the quotients, in the machine's byte order.
    divisor : int or None
        What all sums are divided by; None for the number of taps that count.
    padded : bool
        Whether taps in the padding count.
    """

    dtype: np.dtype[Any]
    divisor: int | None
    padded: bool


def division(
    function: str,
    geometry: Geometry,
    dtype: np.dtype[Any],
    count_include_pad: object,
    divisor_override: object,
) -> Division:
    """What becomes of the sums of a pooling, of a gradient or of an input.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or value, or windows have more taps than 64 bits count.
    """
    check_flag(function, "count_include_pad", count_include_pad)
    divisor = None
    if divisor_override is not None:
        divisor = integer(function, "divisor_override", divisor_override, 1 - LIMIT)
        if divisor == 0 or divisor >= LIMIT:
            raise ValueError(
                f"{function}: divisor_override must be an integer below 2**62 in magnitude, "
                f"and not 0, got {shown(divisor)}"
            )
    elif math.prod(geometry.kernel) >= LIMIT:
        raise ValueError(f"{function}: kernel_size {geometry.kernel} has 2**62 taps or more")
    return Division(dtype, divisor, bool(count_include_pad))


def average_dtype(function: str, dtype: np.dtype[Any], wanted: np.dtype[Any] | None) -> Any:
    """The dtype of averages: that of floats; of integers and bools float64, as `numpy.mean`'s."""
    default = np.dtype(np.float64) if dtype.kind in "iub" else dtype
    return _checked(function, dtype, default if wanted is None else wanted)


def sum_dtype(function: str, dtype: np.dtype[Any], wanted: np.dtype[Any] | None) -> Any:
    """The dtype of sums: that of floats; of integers and bools 64 bits, as `numpy.sum`'s."""
    default = dtype
    if dtype.kind in "iub":
        default = np.dtype(np.uint64 if dtype.kind == "u" else np.int64)
    return _checked(function, dtype, default if wanted is None else wanted)


def _checked(function: str, dtype: np.dtype[Any], result: np.dtype[Any]) -> np.dtype[Any]:
    check_dtype(function, "dtype", result)
    if result.kind == "b":
        raise TypeError(f"{function}: dtype must be one of numbers, got bool")
    if result.kind in "iu" and dtype.kind not in "iub":
        raise TypeError(f"{function}: dtype {result} cannot hold averages of {dtype}")
    return result.newbyteorder("=")


def check_gradient(function: str, dtype: np.dtype[Any]) -> None:
    """Check the dtype of a gradient of averages.

    Raises
    ------
    TypeError
        It is not one of floats.
    """
    if dtype.kind in "iub":
        raise TypeError(f"{function}: grad_output has dtype {dtype}; gradients are floats")


def for_dtype(function: str, division: Division, dtype: np.dtype[Any], part: str) -> Division:
    """The same of a part of an array, whose dtype may be another than the array says.

    Raises
    ------
    TypeError
        It is none whose sums the result can hold.
    """
    if part == "backward":
        check_gradient(function, dtype)
        return replace(division, dtype=dtype)
    _checked(function, dtype, division.dtype)
    return division


def accumulator(dtype: np.dtype[Any], result: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that cells of `dtype` are summed in.

    Integers of 64 bits that become floats are made float64 first, as `numpy.mean` does. All others
    are summed exactly; their sums wrap at 64 bits.
    """
    if dtype.kind in "iub":
        if result.kind not in "iu" and dtype.itemsize == 8:
            return np.dtype(np.float64)
        return np.dtype(np.uint64 if dtype.kind == "u" else np.int64)
    wide = np.float64 in (dtype, result)
    return np.dtype(np.float64 if wide else np.float32)


def exact_sums(dtype: np.dtype[Any], division: Division, taps: int) -> tuple[np.dtype[Any], bool]:
    """The dtype that so many cells are summed in, and whether integer quotients need more.

    Small integers are summed in 32 bits, which takes half of the time. Where sums may lie beyond
    `quotients.EXACT`, integer quotients are made by halves; a divisor of 1 leaves sums, which wrap.
    """
    bound = taps * (1 if dtype.kind == "b" else 2 ** (8 * dtype.itemsize))
    sums, whole = accumulator(dtype, division.dtype), division.dtype.kind in "iu"
    if sums.kind in "iu" and bound < 2**31:
        sums = np.dtype(np.int32)
    return sums, whole and bound >= EXACT and division.divisor != 1


def products(along: Sequence[np.ndarray]) -> np.ndarray:
    """The products of numbers along each axis, as they broadcast with a canonical array."""
    found = np.ones((1,) * (len(along) + 1), np.int64)
    for number, numbers in enumerate(along):
        found = found * numbers.reshape(-1, *(1,) * (len(along) - number))
    return found


def divided_in(result: np.dtype[Any], sums: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that sums of one dtype are divided in, before they are rounded to the result's."""
    if result.kind in "iu":
        return result
    return sums if sums.kind == "f" else np.dtype(np.float64)


def counted_taps(geometry: Geometry, division: Division) -> list[np.ndarray]:
    """The taps that count along each axis, whose products the sums are divided by.

    Along an axis on which all windows have as many there is one number.
    """
    found = []
    for number, axis in enumerate(geometry.axes):
        if division.divisor is not None:
            counts = np.array([1 if number else division.divisor])
        elif axis.all_count(division.padded):
            counts = np.array([axis.kernel])
        else:
            counts = axis.counted_taps(division.padded)
            counts = counts[:1] if (counts == counts[0]).all() else counts
        found.append(counts)
    return found


@dataclass(frozen=True)
class Reach:
    """Which positions of an axis each result sums.

    Result i has positions ``firsts[i] + t * step`` for t in ``[0, counts[i])``; those outside
    ``[0, size)`` count as +0.0.

    Attributes
    ----------
    size : int
        Positions of the axis that is read.
    firsts, counts : ndarray of int64
        For each result.
    step : int
        From one position to the next.
    """

    size: int
    firsts: np.ndarray
    counts: np.ndarray
    step: int

    @property
    def results(self) -> int:
        """How many results there are."""
        return len(self.firsts)

    @property
    def most(self) -> int:
        """The largest count."""
        return int(self.counts.max())

    def part(self, start: int, stop: int) -> tuple[int, int, Reach]:
        """The results from `start` up to `stop`, of the positions that they reach alone.

        Returns
        -------
        low, high : int
            Those positions are the ones from `low` up to `high`, at least one.
        reach : Reach
            The same results on these positions.
        """
        firsts, counts = self.firsts[start:stop], self.counts[start:stop]
        reached = counts > 0
        lows = firsts[reached]
        lasts = lows + (counts[reached] - 1) * self.step
        low = min(max(int(lows.min(initial=self.size)), 0), self.size - 1)
        high = max(min(int(lasts.max(initial=0)) + 1, self.size), low + 1)
        return low, high, Reach(high - low, firsts - low, counts, self.step)


@dataclass(frozen=True)
class EvenReach:
    """A `Reach` whose results begin at even distances, and have equally many positions.

    There may be as many results as cells of an array, so it holds no arrays of them.
    """

    size: int
    results: int
    first: int
    stride: int
    most: int
    step: int

    @property
    def firsts(self) -> np.ndarray:
        """As in `Reach`."""
        return self.first + np.arange(self.results, dtype=np.int64) * self.stride

    @property
    def counts(self) -> np.ndarray:
        """As in `Reach`."""
        return np.full(self.results, self.most, np.int64)

    def part(self, start: int, stop: int) -> tuple[int, int, EvenReach]:
        """As in `Reach`."""
        first, last = (self.first + number * self.stride for number in (start, stop - 1))
        low = min(max(first, 0), self.size - 1)
        end = last + (self.most - 1) * self.step + 1
        high = max(min(end, self.size), low + 1)
        changes = {"size": high - low, "results": stop - start, "first": first - low}
        return low, high, replace(self, **changes)


AnyReach: TypeAlias = Reach | EvenReach


def window_reach(axis: Axis) -> AnyReach:
    """Of each window the cells under its taps."""
    if not axis.regular:
        return Reach(axis.size, axis.starts, axis.tap_counts, 1)
    return EvenReach(axis.size, axis.output, -axis.pad_low, axis.stride, axis.kernel, axis.dilation)


def most_reaching(axis: Axis) -> int:
    """How many windows may reach a cell, if there is no end to either."""
    return -(-axis.kernel * math.gcd(axis.stride, axis.dilation) // axis.stride)


@lru_cache(maxsize=16)
def cell_reach(axis: Axis) -> AnyReach:
    """Of each cell the windows that reach it, if there were windows in all directions.

    Window o reaches with tap t the cell ``o * stride + t * dilation - pad_low``. With both divided
    by what they have in common, the taps of a cell are `stride` apart, and its windows `dilation`.
    """
    if isinstance(axis, AdaptiveAxis):
        return Reach(axis.output, *axis.cell_windows, 1)
    if axis.stride == 1:
        first = axis.pad_low - (axis.kernel - 1) * axis.dilation
        return EvenReach(axis.output, axis.size, first, 1, axis.kernel, axis.dilation)
    common = math.gcd(axis.stride, axis.dilation)
    stride, dilation = axis.stride // common, axis.dilation // common
    cells = np.arange(axis.size, dtype=np.int64) + axis.pad_low
    place, rest = cells // common, cells % common
    inverse = pow(dilation, -1, stride) if stride > 1 else 0
    if stride < 2**31:
        taps = place % stride * inverse % stride
    else:  # in Python's integers, which do not wrap
        taps = np.array([int(n) % stride * inverse % stride for n in place])
    reached = (rest == 0) & (taps < axis.kernel)
    taps = np.where(reached, taps, 0)
    counts = np.where(reached, -((taps - axis.kernel) // stride), 0)
    lasts = (place - taps * dilation) // stride
    firsts = np.where(reached, lasts - (counts - 1) * dilation, 0)
    return Reach(axis.output, firsts, counts, dilation)


def in_order(geometry: Geometry, backward: bool) -> bool:
    """Whether sums are made one tap, or one window, after the other.

    If not, some or all are trees: see `trees`. The gradients of adaptive windows never are.
    """
    axes = geometry.axes
    if backward:
        return not geometry.regular or math.prod(map(most_reaching, axes)) <= MOST_IN_ORDER
    return math.prod(axis.kernel for axis in axes) <= MOST_IN_ORDER


def trees(counts: Sequence[np.ndarray]) -> np.ndarray | None:
    """Which windows are summed as trees; None if all are.

    `counts` are their taps along each axis of a canonical array.
    """
    large: np.ndarray = products(counts) > MOST_IN_ORDER
    return None if large.all() else large

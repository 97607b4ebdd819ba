"""The forward pass without indices: the extremes of windows, whichever cells they lie in.

NumPy's maximum of whole arrays is fast on long rows. Axes are reduced from the first to the last,
so the last one, whose cells lie apart, has the fewest. There are two ways along an axis::

    slices    max(x[0::s], x[1::s]), ...    a view for each tap, of as many cells as windows
    shifts    max(x[:-1], x[1:]), ...       extremes of 2, 4, ... taps from every cell on: the
                                            block is one long row; windows are picked at the end

Windows that stick out see a frame around the block, of the number that loses to all others.

An extreme has the bits of the cell that is picked, unless it is a zero or a NaN: NumPy's maximum
keeps either zero, and any NaN. The windows of these are looked at again.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ...rules.arrays import infinity_bits, is_half, native
from ...rules.axis import Axis
from ...rules.call import Call
from ...rules.operation import Operation
from . import select
from .blocks import blocks_to_read, joined

# Bytes a block. On 4096 x 4096 k2 s2, 2**18 takes 1.3 times as long for uint8 and 1.5 times for
# float32; 2**21 takes 0.95 and 0.9, and twice the memory.
BYTES = 2**20
# What calls of NumPy cost, in cells that one compares in a long row: to begin, to begin a row, and
# a cell that does not lie beside the one before it.
CALL, ROW, APART = 5000, 256, 4
# How large a frame may make a block: so many times as large, or of so many cells.
GROWTH, FEW = 4, 2**12

Slices: TypeAlias = tuple[slice, ...]


def forward(call: Call, x: np.ndarray, output: np.ndarray) -> None:
    """Fill `output`."""
    behind = len(call.geometry.axes) + 1
    x, output = joined([x, output], behind)
    for block in blocks_to_read(call.geometry, BYTES // x.itemsize, x.ndim == behind + 1):
        output[block.windows] = picked(call, native(x[block.cells]), block.axes, call.operation)


def picked(
    call: Call, cells: np.ndarray, axes: tuple[Axis, ...], operation: Operation
) -> np.ndarray:
    """The picked cell of every window of a block of a call; see `extremes`."""
    best = extremes(cells, axes, operation)
    if best is None:
        geometry = replace(call.geometry, lead=(len(cells),), axes=axes)
        function = replace(call.function, operation=operation)
        block = replace(call, geometry=geometry, function=function)
        best = np.empty((len(cells), *geometry.outputs, cells.shape[-1]), cells.dtype)
        select.forward(block, cells, best)
    return best


def extremes(cells: np.ndarray, axes: tuple[Axis, ...], operation: Operation) -> np.ndarray | None:
    """The picked cell of every window of a block.

    Parameters
    ----------
    cells : ndarray, shape (planes, spatial axes, channels)
        The block, in native byte order.
    axes : tuple of Axis
        Its windows.
    operation : Operation
        Which cell is picked.

    Returns
    -------
    ndarray or None
        None where this way does not pay: windows that stick out far, bools of many bytes, or many
        extremes that are zeros of either sign, or NaN.
    """
    way = _way(cells.shape, axes)
    numbers = None if way is None else _numbers(cells, operation)
    if way is None or numbers is None:
        return None
    if way.inside:
        framed = np.full(way.shape, _loser(numbers.dtype, operation), numbers.dtype)
        framed[way.inside] = numbers
        numbers = framed
    with np.errstate(invalid="ignore"):
        for step in way.steps:
            numbers = step(numbers, np.maximum if operation.sign > 0 else np.minimum)
        best = numbers[way.picked]
        if cells.dtype.kind in "iub":
            return best.view(cells.dtype)
        if is_half(cells.dtype):
            best = _mirrored(best).view(cells.dtype)
        return _mended(best, cells, axes, operation)


class BySlices(NamedTuple):
    """Extremes along an axis, from a view for each tap."""

    taps: tuple[Slices, ...]

    @classmethod
    def along(cls, number: int, axis: Axis, windows: slice) -> BySlices:
        """The views along axis `number` of a block; `windows` is that of the first tap."""
        shifts = range(0, axis.span, axis.dilation)
        taps = (slice(shift, windows.stop + shift, axis.stride) for shift in shifts)
        return cls(tuple((*(slice(None),) * number, tap) for tap in taps))

    def __call__(self, numbers: np.ndarray, extreme: np.ufunc) -> np.ndarray:
        first, second, *others = self.taps
        best: np.ndarray = extreme(numbers[first], numbers[second])
        for tap in others:
            extreme(best, numbers[tap], out=best)
        return best


class ByShifts(NamedTuple):
    """Extremes of `kernel` taps from every cell on, taps being `step` cells apart.

    Those of cells near the end of an axis go on in the next row. No window has them.
    """

    kernel: int
    step: int

    def __call__(self, numbers: np.ndarray, extreme: np.ufunc) -> np.ndarray:
        row, end, length = numbers.reshape(-1), numbers.size, 1
        while length < self.kernel:
            more = min(length, self.kernel - length)
            shift = more * self.step
            end -= shift
            longer = np.empty_like(row)
            extreme(row[:end], row[shift : shift + end], out=longer[:end])
            row, length = longer, length + more
        return row.reshape(numbers.shape)


class Way(NamedTuple):
    """How the windows of a block are reduced.

    Attributes
    ----------
    shape : tuple of int
        Of the block within its frame.
    inside : tuple of slices
        Where the block stands within its frame; empty if it needs none.
    steps : tuple
        One for each axis, from the first to the last.
    picked : tuple of slices
        Where the windows are at the end.
    """

    shape: tuple[int, ...]
    inside: Slices
    steps: tuple[BySlices | ByShifts, ...]
    picked: Slices


@lru_cache(maxsize=256)
def _way(shape: tuple[int, ...], axes: tuple[Axis, ...]) -> Way | None:
    """The cheapest way for a block of that shape.

    None if its frame would be much larger, or windows are not alike.
    """
    if not all(axis.regular for axis in axes):
        return None
    ends = [
        max((axis.output - 1) * axis.stride + axis.span, axis.pad_low + axis.size) for axis in axes
    ]
    whole = (shape[0], *ends, shape[-1])
    if math.prod(whole) > max(GROWTH * math.prod(shape), FEW):
        return None
    inside = (slice(None), *(slice(axis.pad_low, axis.pad_low + axis.size) for axis in axes))
    sizes, steps, picked = list(whole), list[BySlices | ByShifts](), [slice(None)]
    for number, axis in enumerate(axes, 1):
        # Where the first tap of every window is.
        windows = slice(0, (axis.output - 1) * axis.stride + 1, axis.stride)
        if axis.kernel > 1 and _pays_slices(sizes, number, axis):
            steps.append(BySlices.along(number, axis, windows))
            sizes[number], windows = axis.output, slice(None)
        elif axis.kernel > 1:
            behind = math.prod(sizes[number + 1 :])
            steps.append(ByShifts(axis.kernel, axis.dilation * behind))
        picked.append(windows)
    return Way(whole, () if whole == shape else inside, tuple(steps), tuple(picked))


def _pays_slices(sizes: list[int], number: int, axis: Axis) -> bool:
    """Whether slices take less time than shifts along an axis of an array of these sizes."""
    behind, lines = math.prod(sizes[number + 1 :]), math.prod(sizes) // sizes[number]
    dear = 1 + ROW / behind if behind > 1 else APART + ROW / axis.output
    windows = lines * axis.output * dear
    slices = (axis.kernel - 1) * (windows + CALL)
    shifts = (axis.kernel - 1).bit_length() * (lines * sizes[number] + CALL)
    return slices < shifts + windows / 3


def _numbers(cells: np.ndarray, operation: Operation) -> np.ndarray | None:
    """Numbers in the order of `cells`, of as many bytes; None if there are none.

    NumPy compares integers of 16 bits 100 times faster than floats of that size. A NaN beats
    all numbers.
    """
    if cells.dtype.kind == "b":  # any byte but 0 is True, and is kept
        truths = cells.view(np.uint8)
        return truths if truths.max() <= 1 else None
    if not is_half(cells.dtype):
        return cells
    numbers, infinity = _mirrored(cells.view(np.int16)), infinity_bits(cells.dtype)
    if numbers.max() > infinity or numbers.min() < ~infinity:
        nan = (numbers > infinity) | (numbers < ~infinity)
        limits = np.iinfo(np.int16)
        numbers[nan] = limits.max if operation.sign > 0 else limits.min
    return numbers


def _mirrored(bits: np.ndarray) -> np.ndarray:
    """Bits of 16-bit floats as integers in their order, -0.0 before 0.0; and back."""
    mirrored: np.ndarray = bits >> 15
    mirrored &= np.int16(np.iinfo(np.int16).max)
    mirrored ^= bits
    return mirrored


def _loser(dtype: np.dtype[Any], operation: Operation) -> Any:
    """The number that no other one loses to."""
    if dtype.kind == "f":
        return -operation.sign * np.inf
    return np.iinfo(dtype).min if operation.sign > 0 else np.iinfo(dtype).max


def _mended(
    best: np.ndarray, cells: np.ndarray, axes: tuple[Axis, ...], operation: Operation
) -> np.ndarray | None:
    """The cells that are picked, bit for bit, where `best` has their values.

    None if too many windows would have to be looked at again.
    """
    bits, infinity = np.dtype(f"i{cells.dtype.itemsize}"), infinity_bits(cells.dtype)
    limits = np.iinfo(bits)
    if is_half(cells.dtype):
        magnitude = best.view(bits) & bits.type(limits.max)
        certain = magnitude.min() > 0 and magnitude.max() <= infinity
    else:  # of a NaN, both NumPy's minimum and the comparison are false
        certain = np.abs(best).min() > 0
    if certain:
        return best
    magnitude = best.view(bits) & bits.type(limits.max)
    doubtful = magnitude > infinity
    if (cells.view(bits) == limits.min).any():  # where no zero is negative, any will do
        doubtful |= magnitude == 0
    if not doubtful.any():
        return best
    windows = np.nonzero(doubtful)
    taps = math.prod(axis.kernel for axis in axes)
    # The general way takes as long as to look at 0.3 (2 x 2 taps) to 2.6 (13 x 13) times the cells.
    if len(windows[0]) * taps > cells.size // 2:
        return None
    seen = cells.reshape(-1).take(_positions(windows, axes, cells.shape[-1]).reshape(-1, taps))
    keys = seen.astype(np.float32) if is_half(seen.dtype) else seen
    winner = keys.argmax(1) if operation.sign > 0 else keys.argmin(1)
    best = best.copy()
    best[windows] = np.take_along_axis(seen, winner[:, np.newaxis], 1)[:, 0]
    return best


def _positions(
    windows: tuple[np.ndarray, ...], axes: tuple[Axis, ...], channels: int
) -> np.ndarray:
    """Where the taps of these windows lie in the flattened block: a row for each window.

    A tap outside stands where its neighbour inside does, which the window sees twice.
    """
    cell, *outputs, channel = (along.reshape(-1, *(1,) * len(axes)) for along in windows)
    for number, (axis, output) in enumerate(zip(axes, outputs, strict=True), 1):
        first, count = axis.first_taps[output], axis.tap_counts[output]
        taps = np.arange(axis.kernel).reshape(-1, *(1,) * (len(axes) - number))
        taps = np.clip(taps, first, first + count - 1)
        cell = cell * axis.size + axis.starts[output] + taps * axis.dilation
    positions: np.ndarray = cell * channels + channel
    return positions

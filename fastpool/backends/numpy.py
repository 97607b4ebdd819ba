"""The NumPy backend: advanced indexing and whole-array selection, one block at a time.

How one routes a gradient to exactly one cell per window, for many images and channels,
without a Python loop: the forward finds the *tap* of each window's first maximum as an
integer array, taps and window starts add up to positions in the flattened block, and one
indexing operation with them reads all maxima (`forward`) or writes all gradients
(`backward`). Ties are settled by the strict comparison, once, in the forward.

The maximum of a window is that of its rows' maxima, and the earlier operand wins ties, so
rows are reduced first, then columns: the cost grows with KH + KW instead of KH * KW. Along
an axis, many taps are not compared one by one either, but with the table of Bender and
Farach-Colton (2000): maxima of 2, 4, 8, ... taps from two of the half length, and every
window from two that cover it, a logarithmic number of steps.

Arrays are canonical here: (leading axes, height, width, channels). Blocks are copied out of
and into them, whatever their strides and byte order are, so that the working memory does not
depend on the size of the input, and most of it stays in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..arrays import infinity_bits, is_half, native
from ..geometry import Axis, Geometry

# Cells a block. On (8, 64, 224, 224) k2 s2 2**18 takes 0.9 of the time and twice the memory;
# 2**16 takes 1.3 times as long, 2**23 1.9 times.
BLOCK = 2**17


def forward(
    geometry: Geometry,
    x: np.ndarray,
    output: np.ndarray,
    indices: np.ndarray | None,
    window: bool,
) -> None:
    """Fill `output`, and `indices` unless None, in window or flat format."""
    channels, channel = geometry.channels, np.arange(geometry.channels)
    for _, planes, rows, columns in _blocks(geometry, *_tile(geometry)):
        low, high, height = _part(geometry.height, rows)
        left, right, width = _part(geometry.width, columns)
        cells = native(x[(*planes, slice(low, high), slice(left, right))])
        best, column_taps = _first_maxima(_keys(cells), width, 2)
        row_taps = _first_maxima(best, height, 1)[1].astype(np.int64)
        # Positions in the flattened block: first of the window's best row, then of its cell.
        plane = np.arange(len(cells))[:, np.newaxis, np.newaxis, np.newaxis] * height.size
        row = plane + height.starts[:, np.newaxis, np.newaxis] + row_taps * height.dilation
        winner = (row * width.output + np.arange(width.output)[:, np.newaxis]) * channels + channel
        column_tap = column_taps.reshape(-1).take(winner).astype(np.int64)
        column = width.starts[:, np.newaxis] + column_tap * width.dilation
        where = (*planes, rows, columns)
        output[where] = cells.reshape(-1).take((row * width.size + column) * channels + channel)
        if indices is not None and window:
            indices[where] = row_taps * width.kernel + column_tap
        elif indices is not None:
            indices[where] = (row - plane + low) * geometry.width.size + left + column


def backward(
    geometry: Geometry,
    grad_output: np.ndarray,
    indices: np.ndarray,
    grad_input: np.ndarray,
    window: bool,
) -> int | None:
    """Add every gradient to its cell; the C-order position of the first bad index, or None."""
    accumulator = np.dtype(np.float32) if is_half(grad_input.dtype) else grad_input.dtype

    def add(target: np.ndarray, cells: np.ndarray, values: np.ndarray) -> None:
        if geometry.overlapping:
            np.add.at(target, cells, values.astype(target.dtype, copy=False))
        else:
            target[cells] += values.astype(target.dtype, copy=False)

    with np.errstate(all="ignore"):
        return _scatter(geometry, grad_output, indices, grad_input, window, True, add, accumulator)


def unpool(
    geometry: Geometry,
    x: np.ndarray,
    indices: np.ndarray,
    output: np.ndarray,
    window: bool,
) -> int | None:
    """Put every value at its index; the C-order position of the first bad index, or None."""

    def put(target: np.ndarray, cells: np.ndarray, values: np.ndarray) -> None:
        target[cells] = values  # of equal indices the last value stays

    return _scatter(geometry, x, indices, output, window, window, put, output.dtype)


def _scatter(
    geometry: Geometry,
    values: np.ndarray,
    indices: np.ndarray,
    target: np.ndarray,
    window: bool,
    tied: bool,
    scatter: Callable[[np.ndarray, np.ndarray, np.ndarray], None],
    accumulator: np.dtype[Any],
) -> int | None:
    """Call `scatter` on blocks of cells, positions and values; `tied` indices name taps."""
    height, width, channels = geometry.height, geometry.width, geometry.channels
    row_length = width.output * channels
    cells: np.ndarray
    for first, planes, rows, _ in _blocks(geometry, max(1, BLOCK // row_length), width.output):
        if rows.start == 0:
            cells = np.zeros((len(planes[0]), height.size, width.size, channels), accumulator)
        where = (*planes, rows)
        codes = indices[where].astype(np.int64)
        starts = height.starts[rows, np.newaxis, np.newaxis], width.starts[:, np.newaxis]
        if window:
            valid = (codes >= 0) & (codes < height.kernel * width.kernel)
            tap = codes // width.kernel
            row = starts[0] + tap * height.dilation
            column = starts[1] + (codes - tap * width.kernel) * width.dilation
            valid &= (row >= 0) & (row < height.size) & (column >= 0) & (column < width.size)
        else:
            valid = (codes >= 0) & (codes < height.size * width.size)
            row = codes // width.size
            column = codes - row * width.size
            if tied:
                valid &= _is_tap(row - starts[0], height) & _is_tap(column - starts[1], width)
        if not valid.all():
            seen = (first * height.output + int(rows.start)) * row_length
            return seen + int(valid.argmin())
        plane = np.arange(len(cells))[:, np.newaxis, np.newaxis, np.newaxis] * height.size
        position = ((plane + row) * width.size + column) * channels + np.arange(channels)
        scatter(cells.reshape(-1), position.reshape(-1), native(values[where]).reshape(-1))
        if rows.stop == height.output:
            target[planes] = cells.astype(target.dtype, copy=False)
    return None


def _is_tap(offset: np.ndarray, axis: Axis) -> np.ndarray:
    """Whether cells at `offset` from a window's start are taps of it."""
    inside: np.ndarray = (offset >= 0) & (offset < axis.span) & (offset % axis.dilation == 0)
    return inside


def _blocks(geometry: Geometry, rows: int, columns: int) -> Iterator[tuple[int, Any, slice, slice]]:
    """First plane, index of all planes, and the output rows and columns of every block.

    Small planes come several at a time and whole, large ones alone and in tiles.
    """
    height, width = geometry.height, geometry.width
    if geometry.plane_cells <= BLOCK:
        rows, columns = height.output, width.output
    for first, planes in geometry.plane_blocks(BLOCK):
        for top in range(0, height.output, rows):
            for left in range(0, width.output, columns):
                yield (
                    first,
                    planes,
                    slice(top, min(top + rows, height.output)),
                    slice(left, min(left + columns, width.output)),
                )


def _tile(geometry: Geometry) -> tuple[int, int]:
    """Output rows and columns of a tile, which reads its overlap with the next ones again.

    Of input rows and columns it has twice the reach of a window or more, and so at most half
    of them are shared. Rows are whole unless windows are very large.
    """
    height, width, channels = geometry.height, geometry.width, geometry.channels
    down, across = min(height.span, height.size), min(width.span, width.size)
    columns = max(2 * across, BLOCK // (2 * down * channels))
    rows = max(2 * down, BLOCK // (min(columns, width.size) * channels))
    return max(1, (rows - down) // height.stride), max(1, (columns - across) // width.stride)


def _part(axis: Axis, outputs: slice) -> tuple[int, int, Axis]:
    """First and last cell that some windows of an axis can reach, and those windows alone."""
    start = outputs.start * axis.stride - axis.pad_low
    low = max(start, 0)
    high = min((outputs.stop - 1) * axis.stride - axis.pad_low + axis.span, axis.size)
    count = outputs.stop - outputs.start
    return low, high, replace(axis, size=high - low, output=count, pad_low=low - start)


def _keys(cells: np.ndarray) -> np.ndarray:
    """Numbers in the order of `cells` that ``>`` and `numpy.maximum` are exact on.

    Of bools each byte but 0 is True, and equal to the others: 1. Integers and floats without a
    NaN are themselves. Otherwise floats are mapped to signed
    integers: negative ones in reverse order of their bits, both zeros to 0, NaN above all.
    16-bit floats always are, as NumPy compares integers of their size 100 times faster.
    """
    dtype = cells.dtype
    if dtype.kind == "b":
        truths: np.ndarray = cells.view(np.uint8) != 0
        return truths.view(np.uint8)
    if dtype.kind in "iu":
        return cells
    if not is_half(dtype):
        with np.errstate(invalid="ignore"):
            if not np.isnan(cells.max()):
                return cells
    bits = cells.view(f"i{dtype.itemsize}")
    magnitude = bits & np.iinfo(bits.dtype).max
    sign = bits >> (8 * dtype.itemsize - 1)  # 0 or -1: complement and increment negate
    keys: np.ndarray = (magnitude ^ sign) - sign
    nan = magnitude > infinity_bits(dtype)
    if nan.any():
        keys[nan] = np.iinfo(bits.dtype).max
    return keys


def _first_maxima(keys: np.ndarray, windows: Axis, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """The maximum of every window along `axis`, and the number of its first tap."""
    most = min(windows.kernel, -(-windows.size // windows.dilation))
    by_table = windows.size * (most.bit_length() - 1) + windows.output
    if (windows.kernel - 1) * windows.output <= by_table:
        return _by_taps(keys, windows, axis)
    return _by_table(keys, windows, axis)


def _by_taps(keys: np.ndarray, windows: Axis, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Compare tap after tap, each as a strided view over the windows that have it."""
    first = windows.first_taps
    begins = windows.starts + first * windows.dilation
    best, taps = _empty(keys, windows, axis)
    taps[...] = _along(first, axis)
    cut = int(np.count_nonzero(first))  # the windows that start in front of the input
    best[_slice(axis, 0, cut)] = keys[_positions(axis, begins[:cut])]
    best[_slice(axis, cut, windows.output)] = keys[_positions(axis, begins[cut:])]
    for tap in range(1, windows.kernel):
        shift = tap * windows.dilation - windows.pad_low
        low = max(-(shift // windows.stride), 0)
        high = min(-((shift - windows.size) // windows.stride), windows.output)
        if low < high:
            inside = _slice(axis, low, high)
            begin = low * windows.stride + shift
            end = begin + (high - low - 1) * windows.stride + 1
            cells = keys[_slice(axis, begin, end, windows.stride)]
            _update(best[inside], taps[inside], cells, taps.dtype.type(tap))
    return best, taps


def _by_table(keys: np.ndarray, windows: Axis, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Compare maxima of 1, 2, 4, ... taps; two that overlap cover any window."""
    first, counts = windows.first_taps, windows.tap_counts
    begins = windows.starts + first * windows.dilation
    levels = np.frexp(counts)[1] - 1
    best, taps = _empty(keys, windows, axis)
    # The maximum of the `length` taps that start at each cell, and how many taps its first
    # one lies behind the start.
    table, distance, length = keys, np.zeros(keys.shape, taps.dtype), 1
    for level in range(int(levels.max()) + 1):
        if level:
            step = length * windows.dilation
            length *= 2
            starts = windows.size - (length - 1) * windows.dilation
            near, far = _slice(axis, 0, starts), _slice(axis, step, step + starts)
            maxima, taps_behind = table[near].copy(), distance[near].copy()
            _update(maxima, taps_behind, table[far], distance[far] + taps.dtype.type(length // 2))
            table, distance = maxima, taps_behind
        chosen = np.flatnonzero(levels == level)
        if chosen.size:
            rest = counts[chosen] - length
            left = _positions(axis, begins[chosen])
            maxima, taps_behind = table[left].copy(), distance[left].copy()
            if rest.any():
                right = _positions(axis, begins[chosen] + rest * windows.dilation)
                rest = _along(rest.astype(taps.dtype), axis)
                _update(maxima, taps_behind, table[right], distance[right] + rest)
            target = _positions(axis, chosen)
            best[target] = maxima
            taps[target] = taps_behind + _along(first[chosen].astype(taps.dtype), axis)
    return best, taps


def _update(
    best: np.ndarray, taps: np.ndarray, values: np.ndarray, later: np.ndarray | np.generic
) -> None:
    """Where `values` are above `best`, take them over, and the taps `later`.

    A later tap has the larger number, so its choice is a maximum too: on random numbers 20
    times faster than `numpy.where`, or `numpy.copyto` with a mask.
    """
    above = values > best
    np.maximum(best, values, out=best)
    np.maximum(taps, above * later, out=taps)


def _empty(keys: np.ndarray, windows: Axis, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Arrays for the maxima of the windows along `axis`, and for their taps."""
    shape = (*keys.shape[:axis], windows.output, *keys.shape[axis + 1 :])
    # Not uint64, which with int64 makes float64.
    small = windows.kernel <= 2**32
    tap_dtype = np.min_scalar_type(windows.kernel - 1) if small else np.dtype(np.int64)
    return np.empty(shape, keys.dtype), np.empty(shape, tap_dtype)


def _along(numbers: np.ndarray, axis: int) -> np.ndarray:
    """`numbers` as an array of four axes, along `axis`."""
    return numbers.reshape((-1,) + (1,) * (3 - axis))


def _slice(axis: int, start: int, stop: int, step: int = 1) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(start, stop, step),)


def _positions(axis: int, numbers: np.ndarray) -> tuple[slice | np.ndarray, ...]:
    """An index of `numbers` along `axis`: a slice, 19 times faster, where they allow it."""
    steps = np.diff(numbers)
    if numbers.size and (steps == steps[:1]).all() and (steps > 0).all():
        step = int(steps[0]) if steps.size else 1
        return _slice(axis, int(numbers[0]), int(numbers[-1]) + 1, step)
    return (slice(None),) * axis + (numbers,)

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
from typing import Any

import numpy as np

from ..arrays import infinity_bits, is_half, native
from ..geometry import Axis, Geometry

# Cells a block. Measured on (8, 64, 224, 224) k2 s2: 2**15 to 2**18 within 10 %, 2**21 1.5
# times slower.
BLOCK = 2**17


def forward(
    geometry: Geometry,
    x: np.ndarray,
    output: np.ndarray,
    indices: np.ndarray | None,
    window: bool,
) -> None:
    """Fill `output`, and `indices` unless None, in window or flat format."""
    height, width, channels = geometry.height, geometry.width, geometry.channels
    columns = np.arange(width.output)[:, np.newaxis]
    channel = np.arange(channels)
    for _, planes, start, stop in _blocks(geometry, _strip(geometry)):
        where = _rows(planes, start, stop)
        low = max(start * height.stride - height.pad_low, 0)
        high = min((stop - 1) * height.stride - height.pad_low + height.span, height.size)
        cells = native(x[_rows(planes, low, high)])
        rows = Axis(
            high - low,
            stop - start,
            height.kernel,
            height.stride,
            height.dilation,
            height.pad_low + low - start * height.stride,
        )
        best, column_taps = _first_maxima(_keys(cells), width, 2)
        row_taps = _first_maxima(best, rows, 1)[1].astype(np.int64)
        del best
        # Positions in the block, flattened: of the window's best row first, then of its cell.
        plane = np.arange(len(cells))[:, np.newaxis, np.newaxis, np.newaxis] * rows.size
        row = plane + rows.starts[:, np.newaxis, np.newaxis] + row_taps * rows.dilation
        winner = (row * width.output + columns) * channels + channel
        column_tap = column_taps.reshape(-1).take(winner)
        column = width.starts[:, np.newaxis] + column_tap * np.int64(width.dilation)
        output[where] = cells.reshape(-1).take((row * width.size + column) * channels + channel)
        if indices is not None and window:
            indices[where] = row_taps * width.kernel + column_tap
        elif indices is not None:
            indices[where] = (row - plane + low) * width.size + column


def backward(
    geometry: Geometry,
    grad_output: np.ndarray,
    indices: np.ndarray,
    grad_input: np.ndarray,
    window: bool,
) -> int | None:
    """Add every gradient to its cell; the C-order position of the first bad index, or None."""
    half = is_half(grad_input.dtype)

    def add(target: np.ndarray, cells: np.ndarray, values: np.ndarray) -> None:
        if geometry.overlapping:
            np.add.at(target, cells, values.astype(target.dtype, copy=False))
        else:
            target[cells] += values.astype(target.dtype, copy=False)

    with np.errstate(all="ignore"):
        return _scatter(
            geometry,
            grad_output,
            indices,
            grad_input,
            window,
            True,
            add,
            np.dtype(np.float32) if half else grad_input.dtype,
        )


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
    for first, planes, start, stop in _blocks(geometry, max(1, BLOCK // row_length)):
        if start == 0:
            cells = np.zeros((len(planes[0]), height.size, width.size, channels), accumulator)
        where = _rows(planes, start, stop)
        codes = indices[where].astype(np.int64)
        starts = height.starts[start:stop, np.newaxis, np.newaxis], width.starts[:, np.newaxis]
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
            bad = int(valid.argmin())
            return (first * height.output + start) * row_length + bad
        plane = np.arange(len(cells))[:, np.newaxis, np.newaxis, np.newaxis] * height.size
        position = ((plane + row) * width.size + column) * channels + np.arange(channels)
        scatter(cells.reshape(-1), position.reshape(-1), native(values[where]).reshape(-1))
        if stop == height.output:
            target[planes] = cells.astype(target.dtype, copy=False)
    return None


def _is_tap(offset: np.ndarray, axis: Axis) -> np.ndarray:
    """Whether cells at `offset` from a window's start are taps of it."""
    inside: np.ndarray = (offset >= 0) & (offset < axis.span) & (offset % axis.dilation == 0)
    return inside


def _rows(planes: tuple[np.ndarray, ...], start: int, stop: int) -> Any:
    """The index of some rows of some planes."""
    return (*planes, slice(start, stop))


def _blocks(
    geometry: Geometry, rows: int
) -> Iterator[tuple[int, tuple[np.ndarray, ...], int, int]]:
    """First plane, its and the other planes' indices, first and last output row of blocks.

    Small planes come several at a time and whole, large ones alone and by output `rows`.
    """
    height, width = geometry.height, geometry.width
    plane = max(height.size * width.size, height.output * width.output) * geometry.channels
    rows = rows if plane > BLOCK else height.output
    for first, planes in geometry.plane_blocks(BLOCK):
        for start in range(0, height.output, rows):
            yield first, planes, start, min(start + rows, height.output)


def _strip(geometry: Geometry) -> int:
    """Output rows a block, so that no input row is reduced more than twice or so."""
    reach = min(geometry.height.span, geometry.height.size)
    row_length = max(geometry.width.size, geometry.width.output) * geometry.channels
    rows = max(BLOCK // row_length, 2 * reach)
    return max(1, (rows - reach) // geometry.height.stride)


def _keys(cells: np.ndarray) -> np.ndarray:
    """Numbers in the order of `cells` that ``>`` and `numpy.maximum` are exact on.

    Integers and floats without a NaN are themselves. Otherwise floats are mapped to signed
    integers: negative ones in reverse order of their bits, both zeros to 0, NaN above all.
    16-bit floats always are, as their comparison in NumPy is 10 times slower.
    """
    dtype = cells.dtype
    if dtype.kind == "b":
        return cells.view(np.uint8)
    if dtype.kind in "iu":
        return cells
    if not is_half(dtype):
        with np.errstate(invalid="ignore"):
            if not np.isnan(cells.max()):
                return cells
    bits = cells.view(f"i{dtype.itemsize}")
    limits = np.iinfo(bits.dtype)
    keys = np.where(bits < 0, limits.min - bits, bits)
    keys[(bits & limits.max) > infinity_bits(dtype)] = limits.max
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
            right = _positions(axis, begins[chosen] + rest * windows.dilation)
            maxima, taps_behind = table[left].copy(), distance[left].copy()
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

    A later tap has the larger number, so its choice is a maximum too: half as long as
    `numpy.where`, a quarter of `numpy.copyto` with a mask.
    """
    above = values > best
    np.maximum(best, values, out=best)
    np.maximum(taps, above * later, out=taps)


def _empty(keys: np.ndarray, windows: Axis, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Arrays for the maxima of the windows along `axis`, and for their taps."""
    shape = (*keys.shape[:axis], windows.output, *keys.shape[axis + 1 :])
    return np.empty(shape, keys.dtype), np.empty(shape, np.min_scalar_type(windows.kernel - 1))


def _along(numbers: np.ndarray, axis: int) -> np.ndarray:
    """`numbers` as an array of four axes, along `axis`."""
    return numbers.reshape((-1,) + (1,) * (3 - axis))


def _slice(axis: int, start: int, stop: int, step: int = 1) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(start, stop, step),)


def _positions(axis: int, numbers: np.ndarray) -> tuple[slice | np.ndarray, ...]:
    """An index of `numbers` along `axis`: a slice, five times faster, where they allow it."""
    steps = np.diff(numbers)
    if numbers.size and (steps == steps[:1]).all() and (steps > 0).all():
        step = int(steps[0]) if steps.size else 1
        return _slice(axis, int(numbers[0]), int(numbers[-1]) + 1, step)
    return (slice(None),) * axis + (numbers,)

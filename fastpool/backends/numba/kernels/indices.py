"""Indices read a vector at a time: which cells they name, and whether they may."""

from __future__ import annotations

import numpy as np

from ..compile.jit import inlined
from ..table import CHANNELS, HEIGHT, PAD, SIZE, STRIDE, TAPS, WIDTH, WINDOW
from ..vectors.lanes import below, both, clipped, minus, plus, quotient, times, widened
from ..vectors.memory import (
    cell,
    cells_of,
    load,
    load_inside,
    set_cell,
    shifted,
    store,
    store_inside,
)
from .places import axis, strides, taps_inside

LANES = 16  # of every dtype: the codes are int32
ALL = (1 << LANES) - 1


@inlined
def read_lanes(row, start, stop):
    """A vector of cells from `start` on; zeros outside [0, stop)."""
    if start >= 0 and start + LANES <= stop:
        return load(row, start)
    return load_inside(row, 0, start, stop, 0)


@inlined
def write_lanes(row, start, stop, vector):
    """Store the lanes in [0, stop)."""
    if start >= 0 and start + LANES <= stop:
        store(row, start, vector)
    else:
        store_inside(row, start, stop, vector)


@inlined
def first_bad(valid, start, stop):
    """The first cell in [0, stop) whose bit is not set, lanes counting from `start`; or -1."""
    if valid == ALL:
        return -1
    lanes = max(0, min(LANES, stop - start))
    bad = ~valid & ((1 << lanes) - 1) & (-1 << max(0, -start))
    if not bad:
        return -1
    while not bad & 1:
        bad >>= 1
        start += 1
    return start


@inlined
def in_line(array, origin, which, length, table, copy):
    """The cells of `length` columns one behind the other: where they are, or copied."""
    _, column, channel = strides(table, which)
    channels = table[CHANNELS]
    if (column == channels or length == 1) and (channel == 1 or channels == 1):
        return shifted(array, origin)
    for k in range(length):
        for c in range(channels):
            set_cell(copy, k * channels + c, cell(array, origin + k * column + c * channel))
    return copy


@inlined
def fill_lanes(scratch, length, planes, rows, table, like):
    """What `named_cells` must know of each output in some rows of some planes.

    Four arrays of `length`: the index of the first tap inside the input, how many columns of
    taps are inside, the cell of that first tap, and the first cell of the plane.
    """
    width, outputs, kernel, stride, _, pad, _ = axis(table, WIDTH)
    channels, plane_cells = table[CHANNELS], table[HEIGHT + SIZE] * width * table[CHANNELS]
    origins = cells_of(scratch, np.int32, like)
    counts, starts = shifted(origins, length), shifted(origins, 2 * length)
    offsets = shifted(origins, 3 * length)
    j = 0
    for plane in range(planes):
        for oh in range(rows):
            top = oh * table[HEIGHT + STRIDE] * width
            for ow in range(outputs):
                first, last = taps_inside(ow * stride - pad, width, kernel, 1)
                column = max(ow * stride - pad, 0)
                for c in range(channels):
                    set_cell(origins, j, first if table[WINDOW] else top + column)
                    set_cell(counts, j, last - first)
                    set_cell(starts, j, (top + column) * channels + c)
                    set_cell(offsets, j, plane * plane_cells)
                    j += 1
    for rest in range(j, length):
        for array in (origins, counts, starts, offsets):
            set_cell(array, rest, 0)
    return origins, counts, starts, offsets


@inlined
def line_of(oh, table):
    """What all windows of an output row have in common, for `named_cells`."""
    width, channels = table[WIDTH + SIZE], table[CHANNELS]
    top = (oh * table[HEIGHT + STRIDE] - table[HEIGHT + PAD]) * width
    step = table[WIDTH + TAPS] if table[WINDOW] else width  # from one row of taps to the next
    return (
        0 if table[WINDOW] else top,
        top * channels,
        step,
        np.float32(1) / np.float32(step),
        table[HEIGHT + TAPS],
        (width - step) * channels,
        channels,
        table[HEIGHT + SIZE] * width * channels,
    )


@inlined
def named_cells(indices, j, stop, line, lanes):
    """The cells that the indices from `j` on name, counted within the plane; and the valid ones.

    An index is a row of taps times `step`, plus a column; a cell lies in a row of taps inside
    the input if it lies in the plane. The division is a float32 product, so that the cost does
    not depend on the kernel.
    """
    base, start, step, reciprocal, taps, excess, channels, plane_cells = line
    origins, counts, starts, _ = lanes
    code = clipped(minus(widened(read_lanes(indices, j, stop), np.int64), base))
    code = minus(code, load(origins, j))
    down = quotient(code, reciprocal)
    right = minus(code, times(down, step))
    if channels > 1:
        code = times(code, channels)
    if excess:
        code = plus(code, times(down, excess))
    place = minus(plus(code, load(starts, j)), -start)
    valid = both(below(right, load(counts, j)), below(down, taps))
    return place, both(valid, below(place, plane_cells))

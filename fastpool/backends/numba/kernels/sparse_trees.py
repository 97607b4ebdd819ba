"""Sums of windows that stick so far out of the input that zeros around it would take much memory.

Zeros change no sum. So each sum is made of the taps that lie inside alone, in the order of the
tree: two sums of as many taps become one, as a binary counter carries. Along each axis there is a
counter, whose digits are parts of a sum::

    taps 0 1 2 3 4    0 | 0-1 | 0-1, 2 | 0-3 | 0-3, 4
"""

from __future__ import annotations

from ..compile.jit import inlined
from ..compile.signature import WALK, Signature, kernel
from ..table import (
    ADD_TAPS,
    CELL_BYTES,
    CHANNELS,
    DEPTH,
    DILATION,
    HEIGHT,
    INPUT,
    OUTPUT,
    OUTPUTS,
    PARTS,
    REACH_DEPTH,
    REACH_HEIGHT,
    REACH_WIDTH,
    RESULT_BYTES,
    ROW,
    SLICE,
    STRETCH_WINDOWS,
    TOTALS,
    WIDTH,
)
from ..vectors.adding import as_sum
from ..vectors.lanes import plus
from ..vectors.memory import address_of, load, shifted, splat, store
from .places import plane_origin, rows_of_plane
from .sums import finish, reach_of, row_of_windows

DIGITS = 64  # of a counter
# The totals of some windows of a row.
CELLS = Signature("source totals parts table od oh first count", constants="half")
sum_cells_at = CELLS.call


@inlined
def count_up(parts, held, tap, value):
    """Add the sum of one more tap to a counter; which digits it has."""
    level = 0
    while tap >> level & 1:
        if held >> level & 1:
            value = plus(load(parts, level), value)
            held ^= 1 << level
        level += 1
    store(parts, level, value)
    return held | 1 << level


@inlined
def counted(parts, held):
    """The sum of a counter."""
    total, level = splat(0, parts), 0
    while held:
        if held & 1:
            total = plus(load(parts, level), total)
        held >>= 1
        level += 1
    return total


@kernel(CELLS)
def sum_cells(source, totals, parts, table, od, oh, first, count, half):
    """The totals of a row of windows; `source`, `totals` and `parts` have vectors of one lane."""
    channels, slice_step, row_step = table[CHANNELS], table[INPUT + SLICE], table[INPUT + ROW]
    step_d, step_h, step = (
        table[DEPTH + DILATION],
        table[HEIGHT + DILATION],
        table[WIDTH + DILATION],
    )
    front, nearest, furthest = reach_of(table, DEPTH, REACH_DEPTH, od)
    top, above, below = reach_of(table, HEIGHT, REACH_HEIGHT, oh)
    rows, columns = shifted(parts, DIGITS), shifted(parts, 2 * DIGITS)
    for ow in range(count):
        left, begin, stop = reach_of(table, WIDTH, REACH_WIDTH, first + ow)
        for c in range(channels):
            columns_held = 0
            for w in range(begin, stop):
                rows_held = 0
                for h in range(above, below):
                    at = (top + h * step_h) * row_step + (left + w * step) * channels + c
                    held = 0
                    for d in range(nearest, furthest):
                        value = load(source, at + (front + d * step_d) * slice_step)
                        held = count_up(parts, held, d, as_sum(value, totals, half))
                    rows_held = count_up(rows, rows_held, h, counted(parts, held))
                columns_held = count_up(columns, columns_held, w, counted(rows, rows_held))
            store(totals, ow * channels + c, counted(columns, columns_held))
    return 0


@kernel(WALK)
def sum_sparsely(x, output, places, scratch, table, first_row, last_row):
    """Sum the output rows from `first_row` up to `last_row`, counted through all slices."""
    slices, rows = table[DEPTH + OUTPUTS], table[HEIGHT + OUTPUTS]
    row_outputs, stretch = table[WIDTH + OUTPUTS], table[STRETCH_WINDOWS]
    numbers = address_of(table)
    begin_of_scratch = (scratch + 63) // 64 * 64
    totals, parts = begin_of_scratch + table[TOTALS], begin_of_scratch + table[PARTS]
    for row in range(first_row, last_row):
        all_slices, oh, _ = rows_of_plane(row, last_row, rows)
        plane = all_slices // slices
        od = all_slices - plane * slices
        source = x + plane_origin(table, INPUT, plane) * table[CELL_BYTES]
        target = output + plane_origin(table, OUTPUT, plane) * table[RESULT_BYTES]
        for first in range(0, row_outputs, stretch):
            windows = od, oh, first, min(stretch, row_outputs - first)
            sum_cells_at(table[ADD_TAPS], (source, totals, parts, numbers, *windows))
            to = target + row_of_windows(table, od, oh, first) * table[RESULT_BYTES]
            finish(table, (totals, begin_of_scratch), 0, to, windows)
    return -1

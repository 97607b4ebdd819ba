"""The forward walk of sums of integers at a stride of 1: the cost is the same for all windows.

Integers may be added in any order, and taken away again. So the sums of the columns of a row of
windows are those of the row before, with the row of cells that enters, and without the one that
leaves. Along the row their running sum is made, and a window is the difference of two of its
places::

    columns       c0    c1    c2    c3    c4    ...
    running sum   c0    c0-1  c0-2  c0-3  c0-4  ...
    3 taps                    c0-2  c0-3 less c0,  c0-4 less c0-1, ...

Sums may wrap on the way: the difference is right where the window's own sum fits.
"""

from __future__ import annotations

from ..compile.jit import inlined
from ..compile.signature import WALK, Signature, kernel
from ..table import (
    ADD_TAPS,
    CELL_BYTES,
    CHANNELS,
    DEPTH,
    FINISH_ROW,
    FRAME_CELLS,
    FRAME_LOW,
    FRAMES,
    HEIGHT,
    INPUT,
    OUTPUT,
    OUTPUTS,
    PARTS,
    RESULT_BYTES,
    ROUNDED_NUMBER,
    ROW,
    RUN_ALONG,
    SIZE,
    SLICE,
    TAKE_ROW,
    TAPS,
    TOTAL_BYTES,
    TOTALS,
    WIDTH,
    ZEROS,
)
from ..vectors.adding import as_sum, rounded_quotient, zero_of
from ..vectors.lanes import minus, plus
from ..vectors.memory import address_of, lanes, load, load_inside, splat, store, store_first
from ..vectors.scans import carried, run_lanes
from .places import axis, plane_origin, rows_of_plane
from .sums import finish, row_of_windows
from .writing import clear

# A row of cells is added to the sums of the columns.
ENTER = Signature("source columns table")
# The same with one that leaves; then the running sum of the columns is made. `few` are the
# channels, if they are fewer than the lanes, else 0.
RUN = Signature("source left columns running table", constants="few")
# Sums of windows from the running sum: as they are, or divided and rounded.
TAKE = Signature("running output table", constants="divided")
enter_row_at, run_along_at, take_row_at = ENTER.call, RUN.call, TAKE.call


@inlined
def cells_from(source, at, size):
    """A vector of a row of cells, with zeros behind it."""
    if at + lanes(source) <= size:
        return load(source, at)
    return load_inside(source, 0, at, size, zero_of(source))


@kernel(ENTER)
def enter_row(source, columns, table):
    """Add a row of cells to the sums of the columns."""
    size = table[WIDTH + SIZE] * table[CHANNELS]
    for j in range(0, size, lanes(columns)):
        cells = as_sum(cells_from(source, j, size), columns, 0)
        store(columns, j, plus(load(columns, j), cells))
    return 0


@kernel(RUN)
def run_along(source, left, columns, running, table, few):
    """Add a row of cells, take another one away, and make the running sum."""
    size, channels = table[WIDTH + SIZE] * table[CHANNELS], table[CHANNELS]
    low, end, width = table[FRAME_LOW], table[FRAME_CELLS], lanes(columns)
    carry = splat(0, columns)
    for j in range(0, end, width):
        sums = splat(0, columns)
        if j < size:
            change = minus(
                as_sum(cells_from(source, j, size), columns, 0),
                as_sum(cells_from(left, j, size), columns, 0),
            )
            sums = plus(load(columns, j), change)
            store(columns, j, sums)
        if few:
            sums = run_lanes(sums, few)
            made = plus(sums, carry)
            carry = carried(sums, carry, few)
        else:
            made = plus(sums, load(running, low + j))
        store(running, low + channels + j, made)
    return 0


@kernel(TAKE)
def take_row(running, output, table, divided):
    """The sums of a row of windows: divided and rounded, if `divided`."""
    channels, number = table[CHANNELS], table[ROUNDED_NUMBER]
    n, reach, width = (
        table[WIDTH + OUTPUTS] * channels,
        table[WIDTH + TAPS] * channels,
        lanes(running),
    )
    for j in range(0, n, width):
        sums = minus(load(running, j + reach), load(running, j))
        if divided:
            cells = rounded_quotient(sums, number, output, divided)
        else:
            cells = as_sum(sums, output, 0)
        if j + width <= n:
            store(output, j, cells)
        else:
            store_first(output, j, cells, n - j)
    return 0


@kernel(WALK)
def sum_running(x, output, places, scratch, table, first_row, last_row):
    """Sum the output rows from `first_row` up to `last_row`, counted through all slices."""
    slices, row_outputs = table[DEPTH + OUTPUTS], table[WIDTH + OUTPUTS]
    height, rows, taps, _, _, pad, _ = axis(table, HEIGHT)
    item, numbers = table[CELL_BYTES], address_of(table)
    begin_of_scratch = (address_of(scratch) + 63) // 64 * 64
    totals, columns = begin_of_scratch + table[TOTALS], begin_of_scratch + table[FRAMES]
    running, zeros = begin_of_scratch + table[PARTS], begin_of_scratch + table[ZEROS]
    clear(scratch, running, (table[FRAME_LOW] + table[CHANNELS]) * table[TOTAL_BYTES])
    line = table[WIDTH + SIZE] * table[CHANNELS]
    clear(scratch, zeros, line * item)
    step, known, row = table[INPUT + ROW] * item, 0, first_row
    while row < last_row:
        all_slices, begin, stop = rows_of_plane(row, last_row, rows)
        row += stop - begin
        plane = all_slices // slices
        od = all_slices - plane * slices
        source = x + (plane_origin(table, INPUT, plane) + od * table[INPUT + SLICE]) * item
        target = output + plane_origin(table, OUTPUT, plane) * table[RESULT_BYTES]
        clear(scratch, columns, line * table[TOTAL_BYTES])
        for h in range(max(begin - pad, 0), min(begin - pad + taps - 1, height)):
            enter_row_at(table[ADD_TAPS], (source + h * step, columns, numbers))
        for oh in range(begin, stop):
            enters, leaves = oh - pad + taps - 1, oh - pad - 1
            new, old = zeros, zeros
            if 0 <= enters < height:
                new = source + enters * step
            if oh > begin and 0 <= leaves < height:
                old = source + leaves * step
            run_along_at(table[RUN_ALONG], (new, old, columns, running, numbers))
            to = target + row_of_windows(table, od, oh, 0) * table[RESULT_BYTES]
            if table[FINISH_ROW] == 0:  # sums are rounded as they are taken
                take_row_at(table[TAKE_ROW], (running, to, numbers))
                continue
            take_row_at(table[TAKE_ROW], (running, totals, numbers))
            windows = od, oh, 0, row_outputs
            known = finish(table, (totals, begin_of_scratch), known, to, windows)
    return -1

"""The forward walk of sums and averages whose taps are added one after the other.

A row of totals, one for each window, stays in cache. Each row of cells that the windows have is
added to it, tap by tap; then the totals are divided, rounded and written::

    row 0   taps 0 1 2 ──┐
    row 1   taps 3 4 5 ──┼──> totals ── divided ──> a row of the output
    row 2   taps 6 7 8 ──┘

Rows and taps outside are left out: a zero that is added changes nothing.

Small planes go side by side into the lanes, as if they were channels; `vectors.transpose` draws it.
Rows that go past the caches are gathered in the scratch, and written as one stream.
"""

from __future__ import annotations

from ..compile.jit import inlined
from ..compile.signature import WALK, Signature, kernel
from ..table import (
    ADD_TAPS,
    BRING_IN,
    BRING_OUT,
    CELL_BYTES,
    CHANNEL,
    CHANNELS,
    COLUMN,
    DEPTH,
    DILATION,
    DIVISOR_DEPTH,
    DIVISOR_HEIGHT,
    DIVISOR_WIDTH,
    DIVISORS,
    EACH_COLUMN,
    FILL_DIVISORS,
    FINISH_ROW,
    HEIGHT,
    HELD_ROWS,
    INPUT,
    LANE_PLANES,
    LAST_GROUP,
    OUTPUT,
    OUTPUTS,
    PAD,
    PLANES_IN,
    PLANES_OUT,
    PLANES_PAST,
    REACH_DEPTH,
    REACH_HEIGHT,
    REACH_WIDTH,
    RESULT_BYTES,
    RESULTS,
    ROW,
    SIZE,
    SLICE,
    SPREAD_ROW,
    STRETCH_WINDOWS,
    TAPS,
    TOTAL_BYTES,
    TOTALS,
    WIDTH,
    WRITE_PAST,
)
from ..vectors.adding import as_result, as_sum, zero_of
from ..vectors.lanes import plus
from ..vectors.memory import (
    address_of,
    fence,
    lanes,
    load,
    load_inside,
    shifted,
    splat,
    store,
    store_first,
)
from ..vectors.strided import load_every, load_every_inside, whole_lanes
from ..vectors.transpose import transpose_in, transpose_out
from .places import plane_origin, rows_of_plane, taps_inside
from .signatures import spread_rows
from .writing import clear, write_out

# The taps of a row of cells are added to the totals of `count` windows from `first` on.
ADD = Signature("source totals table first count", constants="stride few half")
# What the totals of a row are divided by: the number of its windows, times what each column has.
FILL = Signature("divisors table number first count")
# Totals become a row of the output.
FINISH = Signature("totals divisors output n", constants="half divide")
# Some cells of planes side by side go from `source` to `target`.
BRING = Signature("source target table start count")
add_taps_at, fill_divisors_at, finish_row_at = ADD.call, FILL.call, FINISH.call
bring = BRING.call


@inlined
def reach_of(table, which, place, number):
    """Where a window's taps begin on an axis, and which of them lie inside."""
    at = table[place] + number
    first, count = table[at], table[at + table[which + OUTPUTS]]
    return first, *taps_inside(first, table[which + SIZE], count, table[which + DILATION])


@kernel(ADD)
def add_line(source, totals, table, first, count, stride, few, half):
    """Windows side by side at a constant stride, with as many channels if they are `few`.

    Others have one channel, or a stride of 1.
    """
    channels, taps = table[CHANNELS], table[WIDTH + TAPS]
    size, tap_step = table[WIDTH + SIZE] * channels, table[WIDTH + DILATION] * channels
    shift, n = (table[WIDTH + PAD] - first * stride) * channels, count * channels
    width, zero = whole_lanes(totals, few), zero_of(source)
    reach, further, block = (taps - 1) * tap_step + stride * width, stride * width, 4 * width
    for start in range(0, n, block):
        at, stop = stride * start - shift, min(start + block, n)
        if start + block <= stop and at >= 0 and at + reach + 3 * further <= size:
            # The additions of one vector wait for each other: so four take turns.
            first_total, second = load(totals, start), load(totals, start + width)
            third, fourth = load(totals, start + 2 * width), load(totals, start + 3 * width)
            for tap in range(taps):
                place = at + tap * tap_step
                cells = load_every(source, place, stride, few)
                first_total = plus(first_total, as_sum(cells, totals, half))
                cells = load_every(source, place + further, stride, few)
                second = plus(second, as_sum(cells, totals, half))
                cells = load_every(source, place + 2 * further, stride, few)
                third = plus(third, as_sum(cells, totals, half))
                cells = load_every(source, place + 3 * further, stride, few)
                fourth = plus(fourth, as_sum(cells, totals, half))
            store(totals, start, first_total)
            store(totals, start + width, second)
            store(totals, start + 2 * width, third)
            store(totals, start + 3 * width, fourth)
            continue
        for j in range(start, stop, width):
            at, total = stride * j - shift, load(totals, j)
            inside = at >= 0 and at + reach <= size
            for tap in range(taps):
                place = at + tap * tap_step
                if inside:
                    cells = load_every(source, place, stride, few)
                else:
                    cells = load_every_inside(source, place, size, zero, stride, few)
                total = plus(total, as_sum(cells, totals, half))
            store(totals, j, total)
    return 0


@kernel(ADD)
def add_reached(source, totals, table, first, count, stride, few, half):
    """Windows wherever they begin, with as many taps as each of them has, channel by channel."""
    channels, zero, step = table[CHANNELS], zero_of(source), table[WIDTH + DILATION]
    width = lanes(totals)
    if table[BRING_IN]:  # one vector a window: half of the time
        for ow in range(count):
            left, begin, stop = reach_of(table, WIDTH, REACH_WIDTH, first + ow)
            total = load(totals, ow * width)
            for tap in range(begin, stop):
                cells = load(source, (left + tap * step) * width)
                total = plus(total, as_sum(cells, totals, half))
            store(totals, ow * width, total)
        return 0
    for ow in range(count):
        left, begin, stop = reach_of(table, WIDTH, REACH_WIDTH, first + ow)
        for c in range(0, channels, width):
            to = ow * channels + c
            total = load(totals, to)
            for tap in range(begin, stop):
                at = (left + tap * step) * channels + c
                if c + width <= channels:
                    cells = load(source, at)
                else:
                    cells = load_inside(source, at, 0, channels - c, zero)
                total = plus(total, as_sum(cells, totals, half))
            store(totals, to, total)
    return 0


@kernel(FILL)
def fill_divisors(divisors, table, number, first, count):
    """The divisors of a row of windows and channels."""
    channels, at, each = table[CHANNELS], table[DIVISOR_WIDTH], table[EACH_COLUMN]
    for ow in range(count):  # from left to right, as the last vector ends in the next window
        divisor = splat(number * table[at + (first + ow) * each], divisors)
        for c in range(0, channels, lanes(divisors)):
            store(divisors, ow * channels + c, divisor)
    return 0


@kernel(FINISH)
def finish_row(totals, divisors, output, n, half, divide):
    """Divide, round and write."""
    width = lanes(totals)
    for j in range(0, n, width):
        values = as_result(load(totals, j), load(divisors, j), output, half, divide)
        if j + width <= n:
            store(output, j, values)
        else:
            store_first(output, j, values, n - j)
    return 0


@kernel(BRING)
def bring_in(source, target, table, start, count):
    """Cells of planes come together in the lanes: those of one place are a vector."""
    width = lanes(source)
    for at in range(start, start + count, width):
        left = start + count - at
        transpose_in(source, table[INPUT + CHANNEL], at, left, target, at * width)
    return 0


@inlined
def bring_planes(table, function, source, here):
    """`bring_in` of all cells of a group of planes."""
    cells = table[DEPTH + SIZE] * table[HEIGHT + SIZE] * table[WIDTH + SIZE]
    bring(function, (source, here, address_of(table), 0, cells))


@kernel(BRING)
def bring_out(source, target, table, start, count):
    """`bring_in`, the other way."""
    width = lanes(source)
    for at in range(start, start + count, width):
        left = start + count - at
        transpose_out(source, at * width, target, table[OUTPUT + CHANNEL], at, left)
    return 0


@kernel(BRING)
def write_past(source, target, table, start, count):
    """Cells that follow each other go out as one stream, past the caches."""
    write_out(shifted(target, start), shifted(source, start), count, 1, 0)
    return 0


@inlined
def add_rows(table, source, totals, tops, insides, windows):
    """The taps of a row of windows, from the first row of cells inside to the last one."""
    (front, top), (nearest, furthest, above, below), (first, count) = tops, insides, windows
    for d in range(nearest, furthest):
        for h in range(above, below):
            origin = (front + d * table[DEPTH + DILATION]) * table[INPUT + SLICE]
            origin += (top + h * table[HEIGHT + DILATION]) * table[INPUT + ROW]
            origin = source + origin * table[CELL_BYTES]
            add_taps_at(table[ADD_TAPS], (origin, totals, address_of(table), first, count))


@inlined
def row_of_windows(table, od, oh, first):
    """Where in its plane of the output a row of windows begins."""
    return od * table[OUTPUT + SLICE] + oh * table[OUTPUT + ROW] + first * table[OUTPUT + COLUMN]


@inlined
def finish(table, memory, known, to, windows):
    """Divide, round and write the totals of a row; what its slice and row have as a divisor.

    `known` is that of the divisors in the scratch.
    """
    totals, scratch = memory
    od, oh, first, count = windows
    numbers, n = address_of(table), count * table[CHANNELS]
    divisors = scratch + table[DIVISORS]
    number = table[table[DIVISOR_DEPTH] + od] * table[table[DIVISOR_HEIGHT] + oh]
    if number != known:
        # Where all columns are alike, for windows that are yet to come, too.
        filled = count if table[EACH_COLUMN] else table[STRETCH_WINDOWS]
        where = divisors, numbers, number, first, filled
        fill_divisors_at(table[FILL_DIVISORS], where)
    if table[SPREAD_ROW] == 0:
        finish_row_at(table[FINISH_ROW], (totals, divisors, to, n))
    else:
        line = scratch + table[RESULTS]
        finish_row_at(table[FINISH_ROW], (totals, divisors, line, n))
        spread_rows(table[SPREAD_ROW], (line, to, numbers, OUTPUT, count, 1))
    return number


@kernel(WALK)
def sum_rows(x, output, places, scratch, table, first_row, last_row):
    """Sum the output rows from `first_row` up to `last_row`, counted through all slices."""
    slices, rows = table[DEPTH + OUTPUTS], table[HEIGHT + OUTPUTS]
    row_outputs, stretch, channels = table[WIDTH + OUTPUTS], table[STRETCH_WINDOWS], table[CHANNELS]
    item, numbers = table[CELL_BYTES], address_of(table)
    begin_of_scratch = (address_of(scratch) + 63) // 64 * 64
    totals, row, known = begin_of_scratch + table[TOTALS], first_row, 0
    together, here = table[BRING_IN], begin_of_scratch + table[PLANES_IN]
    there, brought = begin_of_scratch + table[PLANES_OUT], -1
    lines = begin_of_scratch + table[RESULTS]
    if together:  # whole groups of planes
        row, last_row = row * slices * rows, last_row * slices * rows
    while row < last_row:
        all_slices, begin, stop = rows_of_plane(row, last_row, rows)
        row += stop - begin
        plane = all_slices // slices
        od = all_slices - plane * slices
        plane = min(plane * table[LANE_PLANES], table[LAST_GROUP])
        source = x + plane_origin(table, INPUT, plane) * item
        target = output + plane_origin(table, OUTPUT, plane) * table[RESULT_BYTES]
        front, nearest, furthest = reach_of(table, DEPTH, REACH_DEPTH, od)
        written = target
        if together:
            if plane != brought:
                bring_planes(table, together, source, here)
                brought = plane
            source, target = here, there
        for first in range(0, row_outputs, stretch):
            count = min(stretch, row_outputs - first)
            known = 0 if table[EACH_COLUMN] and stretch < row_outputs else known
            size, summed, held = count * channels * table[RESULT_BYTES], (-1, -1, -1), 0
            row_step = table[OUTPUT + ROW] * table[RESULT_BYTES]
            to = target + row_of_windows(table, od, begin, first) * table[RESULT_BYTES]
            for oh in range(begin, stop):
                rows_of_cells = reach_of(table, HEIGHT, REACH_HEIGHT, oh)
                if rows_of_cells != summed:  # rows of a gradient often have the same ones
                    summed = rows_of_cells
                    top, above, below = rows_of_cells
                    clear(scratch, totals, count * channels * table[TOTAL_BYTES])
                    insides = nearest, furthest, above, below
                    add_rows(table, source, totals, (front, top), insides, (first, count))
                windows = od, oh, first, count
                if table[HELD_ROWS] == 0:
                    known = finish(table, (totals, begin_of_scratch), known, to, windows)
                    to += row_step
                    continue
                line = lines + held * size
                known = finish(table, (totals, begin_of_scratch), known, line, windows)
                held += 1
                if held == table[HELD_ROWS] or oh == stop - 1:
                    bring(table[WRITE_PAST], (lines, to, numbers, 0, held * count * channels))
                    to += held * row_step
                    held = 0
        if together and od == slices - 1:
            cells, past = slices * rows * row_outputs, table[WRITE_PAST]
            out = begin_of_scratch + table[PLANES_PAST] if past else written
            bring(table[BRING_OUT], (there, out, numbers, 0, cells))
            if past:
                bring(past, (out, written, numbers, 0, cells * table[LANE_PLANES]))
    fence()
    return -1

"""The forward walk of sums and averages of large windows: trees of a fixed shape.

A band of rows of windows is summed at once. Its rows of cells, with zeros around, become sums of 2,
4, 8, ... rows in place; each row of windows takes those that it is made of; then the same is done
along the row. With windows of 5 rows, at a stride of 1::

    rows of cells      r0   r1   r2   r3   r4   r5
    of 2               r0-1 r1-2 r2-3 r3-4 ...
    of 4               r0-3 r1-4 ...
    windows            r0-3 and r4,  r1-4 and r5

A sum depends on the cells of its window alone, and not on where a band begins.
"""

from __future__ import annotations

from ..compile.jit import inlined
from ..compile.signature import WALK, Signature, kernel
from ..table import (
    BAND,
    CELL_BYTES,
    CHANNELS,
    DEPTH,
    DILATION,
    FRAME_CELLS,
    FRAME_LOW,
    FRAME_ROW,
    FRAMES,
    HEIGHT,
    INPUT,
    JOIN_LINES,
    OUTPUT,
    OUTPUTS,
    PARTS,
    REACH_DEPTH,
    RESULT_BYTES,
    ROW,
    SIZE,
    SLICE,
    TOTAL_BYTES,
    TOTALS,
    TREE_ALONG,
    TREE_DOWN,
    WIDTH,
)
from ..vectors.adding import as_sum, zero_of
from ..vectors.lanes import plus
from ..vectors.memory import (
    address_of,
    bytes_of,
    cell,
    lanes,
    load,
    load_inside,
    set_cell,
    splat,
    store,
)
from .places import axis, plane_origin, rows_of_plane
from .sums import finish, reach_of, row_of_windows
from .writing import clear

# Columns of a band that become trees at a time stay in half of a usual first-level cache, and have
# so many vectors at least: with 25 x 25 it takes 0.88 of the time of whole rows.
NEAR_BYTES, FEWEST = 2**14, 4

# A row of cells as they are summed, with zeros before and behind.
FRAME = Signature("source line table", constants="half")
# A line becomes another one, or the sum of both.
JOIN = Signature("first line n add")
# Rows of cells become rows of windows, not summed along the rows yet; and these become totals.
DOWN = Signature("frames totals table count")
ALONG = Signature("line parts table")
frame_row_at, join_lines_at, tree_down_at, tree_along_at = (
    FRAME.call,
    JOIN.call,
    DOWN.call,
    ALONG.call,
)


@kernel(FRAME)
def frame_row(source, line, table, half):
    """The cells of a row, and zeros where windows reach beyond it."""
    size, cells, low = table[WIDTH + SIZE] * table[CHANNELS], table[FRAME_CELLS], table[FRAME_LOW]
    width, zero = lanes(line), zero_of(source)
    for j in range(0, cells, width):
        at = j - low
        if at >= 0 and at + width <= size:
            values = load(source, at)
        else:
            values = load_inside(source, 0, at, size, zero)
        store(line, j, as_sum(values, line, half))
    return 0


@kernel(JOIN)
def join_lines(first, line, n, add):
    """`line` becomes `first`, or with `add` the sum of both."""
    for j in range(0, n, lanes(line)):
        values = load(first, j)
        store(line, j, plus(values, load(line, j)) if add else values)
    return 0


@inlined
def grow(line, to, of, cells):
    """Add what lies `of - to` cells further, in place."""
    for j in range(0, cells, lanes(line)):
        store(line, to + j, plus(load(line, to + j), load(line, of + j)))


@kernel(DOWN)
def tree_down(frames, totals, table, count):
    """Trees down the columns of a band of `count` rows of windows, some columns at a time."""
    _, _, taps, stride, dilation, _, span = axis(table, HEIGHT)
    cells, width, held = table[FRAME_CELLS], lanes(frames), (count - 1) * stride + span
    some = max(FEWEST, NEAR_BYTES // (held * bytes_of(frames) * width)) * width
    for first in range(0, cells, some):
        here, size, wide = first, 1, min(some, cells - first)
        while True:
            if taps & size:
                before = taps // (2 * size) * (2 * size)  # taps of larger parts
                for row in range(count):
                    of = (row * stride + before * dilation) * cells + here
                    to = row * cells + here
                    if taps & (size - 1):
                        for j in range(0, wide, width):
                            store(totals, to + j, plus(load(frames, of + j), load(totals, to + j)))
                    else:
                        for j in range(0, wide, width):
                            store(totals, to + j, load(frames, of + j))
            if 2 * size > taps:
                break
            further = size * dilation * cells
            if stride < span:
                for row in range(held - (2 * size - 1) * dilation):
                    grow(frames, row * cells + here, row * cells + here + further, wide)
            else:  # windows share no rows: each has its own trees
                for begin in range(0, count * stride, stride):
                    for tap in range(0, taps - 2 * size + 1, 2 * size):
                        at = (begin + tap * dilation) * cells + here
                        grow(frames, at, at + further, wide)
            size *= 2
    return 0


@kernel(ALONG)
def tree_along(line, parts, table):
    """Trees along a row, made in place; their sums go to the first cells of `parts`."""
    _, outputs, taps, stride, dilation, _, span = axis(table, WIDTH)
    channels, width, size = table[CHANNELS], lanes(line), 1
    needed = ((outputs - 1) * stride + 1) * channels
    reach, step = needed + (span - 1) * channels, dilation * channels
    while True:
        if taps & size:
            before = taps // (2 * size) * (2 * size) * step
            if taps & (size - 1):
                for j in range(0, needed, width):
                    store(parts, j, plus(load(line, before + j), load(parts, j)))
            else:  # with zero, so that no sum is -0.0
                for j in range(0, needed, width):
                    store(parts, j, plus(load(line, before + j), splat(0, parts)))
        if 2 * size > taps:
            break
        grow(line, 0, size * step, reach - (2 * size - 1) * step)
        size *= 2
    if stride > 1:
        for ow in range(outputs):
            for c in range(channels):
                set_cell(parts, ow * channels + c, cell(parts, ow * stride * channels + c))
    return 0


@inlined
def tree_of_slices(table, slices, line, parts, line_bytes):
    """The sum of a row of cells in several slices: two sums of as many slices become one.

    So a binary counter carries. Slices outside change no sum.
    """
    origin, step, nearest, furthest = slices
    numbers, cells, join, held = address_of(table), table[FRAME_CELLS], table[JOIN_LINES], 0
    for d in range(nearest, furthest):
        frame_row_at(table[FRAME_ROW], (origin + d * step, line, numbers))
        if furthest - nearest == 1:
            return
        level = 0
        while d >> level & 1:
            if held >> level & 1:  # held: a bit for each part
                join_lines_at(join, (parts + level * line_bytes, line, cells, 1))
                held ^= 1 << level
            level += 1
        join_lines_at(join, (line, parts + level * line_bytes, cells, 0))
        held |= 1 << level
    level, add = 0, 0
    while held:
        if held & 1:
            join_lines_at(join, (parts + level * line_bytes, line, cells, add))
            add = 1
        held >>= 1
        level += 1


@kernel(WALK)
def sum_trees(x, output, places, scratch, table, first_row, last_row):
    """Sum the output rows from `first_row` up to `last_row`, counted through all slices."""
    slices, step_d = table[DEPTH + OUTPUTS], table[DEPTH + DILATION]
    height, rows, _, stride, _, pad, span = axis(table, HEIGHT)
    row_outputs, numbers, item = table[WIDTH + OUTPUTS], address_of(table), table[CELL_BYTES]
    line_bytes = table[FRAME_CELLS] * table[TOTAL_BYTES]
    begin_of_scratch = (address_of(scratch) + 63) // 64 * 64
    totals, frames = begin_of_scratch + table[TOTALS], begin_of_scratch + table[FRAMES]
    parts, known, row = begin_of_scratch + table[PARTS], 0, first_row
    while row < last_row:
        all_slices, begin, stop = rows_of_plane(row, last_row, rows)
        stop = min(stop, begin + table[BAND])
        row += stop - begin
        plane = all_slices // slices
        od = all_slices - plane * slices
        source = x + plane_origin(table, INPUT, plane) * item
        target = output + plane_origin(table, OUTPUT, plane) * table[RESULT_BYTES]
        front, nearest, furthest = reach_of(table, DEPTH, REACH_DEPTH, od)
        for number in range((stop - begin - 1) * stride + span):
            h, line = begin * stride - pad + number, frames + number * line_bytes
            if not 0 <= h < height or nearest >= furthest:
                clear(scratch, line, line_bytes)
                continue
            origin = source + (front * table[INPUT + SLICE] + h * table[INPUT + ROW]) * item
            step = step_d * table[INPUT + SLICE] * item
            tree_of_slices(table, (origin, step, nearest, furthest), line, parts, line_bytes)
        tree_down_at(table[TREE_DOWN], (frames, totals, numbers, stop - begin))
        for oh in range(begin, stop):
            line = totals + (oh - begin) * line_bytes
            tree_along_at(table[TREE_ALONG], (line, parts, numbers))
            windows = od, oh, 0, row_outputs
            to = target + row_of_windows(table, od, oh, 0) * table[RESULT_BYTES]
            known = finish(table, (parts, begin_of_scratch), known, to, windows)
    return -1

"""The forward walk for small windows, whose taps are all held in registers.

Rows of windows are taken in groups, as many as a block has. The last group of a plane overlaps the
one before, so that all have as many rows::

    rows of windows      0 1 2 3 | 4 5 6 7       ten rows, in groups of four
                                   6 7 8 9

What pools them, `block_rows.pool_rows`, takes several groups at once that differ in their addresses
alone: those of a plane that follow each other, the same group of planes that follow each other, or
the windows of a group, where a block holds the channels of one window. So what a group costs beside
its blocks is paid once for them all: (32, 512, 7, 7) k2 s2 took three times as long before.

Before groups are pooled, each line of their memory is read once, in order. The blocks themselves go
through several rows at a time, and where rows are short a processor does not foresee what is read
next: (8, 64, 224, 224) k2 s2 took three times as long (AMD Zen 4), and prefetch instructions made
that 0.9 of it.
"""

from __future__ import annotations

from ..compile.jit import inlined
from ..compile.signature import WALK, kernel
from ..table import (
    ABOVE,
    BASE,
    BELOW,
    BLOCK_LANES,
    BLOCK_LENGTH,
    BLOCK_REACH,
    BLOCK_ROWS,
    CHANNELS,
    CODES_AT,
    COLUMNS,
    COLUMNS_AT,
    DEPTH,
    END,
    FILL_TABLES,
    FIRSTS,
    FURTHEST,
    GROUP,
    HEIGHT,
    INDEX_SIZE,
    INDICES,
    INNER,
    INPUT,
    INSIDE,
    ITEM_SIZE,
    LAST_PLANE,
    LEFT,
    LINE,
    LINE_INDEX_SIZE,
    LINE_INDICES,
    LINE_STEP,
    LONGEST,
    NEAREST,
    NEXT_BASE,
    NEXT_LEFT,
    NEXT_OUTPUT,
    NEXT_PLACE,
    NEXT_PLACES,
    NEXT_X,
    NUMBERS,
    OUTPUT,
    PIXELS,
    PLACES_STEP,
    PLANE_STEP,
    POOL_ROWS,
    ROW,
    RUN_ROWS,
    SLICE,
    SPREAD_INDICES,
    SPREAD_VALUES,
    STAGE,
    STAGE_ROWS,
    STAGE_STEP,
    TOGETHER,
    TOUCHED,
    TOUCHED_BYTES,
    VALUES_STEP,
    WIDTH,
)
from ..vectors.memory import address_of, integers_at
from .places import axis, plane_origin, rows_of_plane, taps_inside
from .signatures import fill_tables, pool_rows, spread_rows, stage_rows


@kernel(WALK)
def direct_rows(x, output, places, scratch, table, first_row, last_row):
    """Pool the groups of rows from `first_row` up to `last_row`, counted through all planes."""
    depth, slices, taps_d, stride_d, dilation_d, pad_d, _ = axis(table, DEPTH)
    height, outputs, taps, stride, dilation, pad, _ = axis(table, HEIGHT)
    width, windows, _, _, _, pad_w, _ = axis(table, WIDTH)
    item, index_size, staged = table[ITEM_SIZE], table[INDEX_SIZE], table[STAGE_ROWS]
    rows, end, numbers = table[BLOCK_ROWS], table[END], address_of(table)
    x_row, x_slice = table[INPUT + ROW] * item, table[INPUT + SLICE] * item
    scratch = (scratch + 63) // 64 * 64
    run, stage, stage_step = start_runs(table, scratch), scratch + table[STAGE], table[STAGE_STEP]
    next_x, next_output, next_places = run[NEXT_X], run[NEXT_OUTPUT], run[NEXT_PLACES]
    by_plane, pixels = table[TOGETHER] > 1, table[PIXELS]
    groups, taken = (outputs + rows - 1) // rows, (rows - 1) * stride + taps
    # The last cell of a row at which a block lies inside.
    long = table[BLOCK_LENGTH] >= table[BLOCK_LANES] or end
    inside = width * table[CHANNELS] - table[BLOCK_REACH] if long else -1
    read = bytes_read(table, taken)
    all_slices, begin, stop = rows_of_plane(first_row, last_row, groups)
    number, unit = all_slices // slices, first_row
    od = all_slices - number * slices
    while unit < last_row:
        unit += stop - begin
        plane = min(number * table[GROUP], table[LAST_PLANE])
        together = min(table[TOGETHER], table[LAST_PLANE] + 1 - plane)
        front = od * stride_d - pad_d
        nearest, furthest = taps_inside(front, depth, taps_d, dilation_d)
        source = x + plane_origin(table, INPUT, plane) * item
        target = output + (plane_origin(table, OUTPUT, plane) + od * table[OUTPUT + SLICE]) * item
        place = plane_origin(table, INDICES, plane) + od * table[INDICES + SLICE]
        place = places + place * index_size
        group, first = begin, 0  # the first plane of a run, of those that go together
        while group < stop:
            oh = min(group * rows, outputs - rows)
            top = oh * stride - pad
            above, below = taps_inside(top, height, taken, dilation)
            count = 1
            if by_plane:
                count = together - first
            elif pixels:
                count = windows
            elif below - above == taken:
                alike = (height - 1 - top - (taken - 1) * dilation) // (rows * stride) + 1
                count = max(min(alike, table[LONGEST], min(stop, outputs // rows) - group), 1)
            origin = source + front * x_slice + top * x_row + first * next_x
            step, slice_step, until = dilation * x_row, dilation_d * x_slice, inside
            if end:  # neither the last row of all, nor one that reads beyond the input, runs over
                final = unit >= last_row and group + (1 if by_plane else count) == stop
                safe = count - 1 if final and first + count >= together else count
                while safe > 0 and origin + (safe - 1) * next_x + read > x + end * item:
                    safe -= 1
                count, until = (safe, inside) if safe else (1, -1)
            ahead = (below - above - 1) * step + x_row
            if by_plane and begin == 0:  # the first rows, and all that follows in the plane
                ahead = 0 if group else next_x - (top + above * dilation) * x_row
            run[TOUCHED_BYTES] = ahead if table[TOUCHED] else 0
            if staged:
                for d in range(nearest, furthest):
                    to = stage + (d * taken + above) * stage_step
                    row = origin + d * slice_step + above * step
                    stage_rows(staged, (row, to, numbers, below - above, step))
                origin, step, slice_step = stage, stage_step, taken * stage_step
            run[RUN_ROWS], run[INSIDE] = count, until
            run[BASE] = (front * height + top) * width - pad_w
            run[ABOVE], run[BELOW], run[NEAREST], run[FURTHEST] = above, below, nearest, furthest
            run[LINE_STEP], run[PLANE_STEP] = step, slice_step
            to = target + oh * table[OUTPUT + ROW] * item + first * next_output
            to_places = place + oh * table[INDICES + ROW] * index_size + first * next_places
            values, indices = to, to_places
            if table[SPREAD_VALUES]:
                values, indices = scratch + table[LINE], scratch + table[LINE_INDICES]
            pool_rows(table[POOL_ROWS], (origin, values, indices, numbers, address_of(run)))
            if table[SPREAD_VALUES]:
                spread_rows(table[SPREAD_VALUES], (values, to, numbers, OUTPUT, windows, rows))
                if index_size:
                    spread_rows(
                        table[SPREAD_INDICES],
                        (indices, to_places, numbers, INDICES, windows, rows),
                    )
            if by_plane:
                first += count
                if first < together:
                    continue
                first, count = 0, 1
            group += 1 if pixels else count
        begin, stop, od = 0, min(groups, last_row - unit), od + 1
        if od == slices:
            od, number = 0, number + 1
    return -1


@inlined
def start_runs(table, scratch):
    """The numbers of runs, of which those that all runs share are set."""
    rows, channels = table[BLOCK_ROWS], table[CHANNELS]
    item, index_size = table[ITEM_SIZE], table[INDEX_SIZE]
    stride = axis(table, HEIGHT)[3]
    width, windows, _, stride_w, _, pad_w, _ = axis(table, WIDTH)
    run = integers_at(scratch + table[NUMBERS])
    codes, columns = scratch + table[FIRSTS], scratch + table[COLUMNS]
    run[CODES_AT], run[COLUMNS_AT], run[LEFT] = codes, columns, -pad_w * channels
    if table[FILL_TABLES]:
        fill_tables(table[FILL_TABLES], (codes, address_of(table), columns))
    run[VALUES_STEP] = table[OUTPUT + ROW] * item
    run[PLACES_STEP] = table[INDICES + ROW] * index_size
    if table[SPREAD_VALUES]:
        run[VALUES_STEP] = windows * channels * item
        run[PLACES_STEP] = windows * channels * table[LINE_INDEX_SIZE]
    # A run goes down a plane, from plane to plane, or from window to window.
    run[NEXT_X] = rows * stride * table[INPUT + ROW] * item
    run[NEXT_OUTPUT] = rows * table[OUTPUT + ROW] * item
    run[NEXT_PLACES] = rows * table[INDICES + ROW] * index_size
    run[NEXT_LEFT], run[NEXT_BASE], run[NEXT_PLACE] = 0, rows * stride * width, 0
    if table[TOGETHER] > 1:
        run[NEXT_X], run[NEXT_OUTPUT] = table[INPUT + INNER] * item, table[OUTPUT + INNER] * item
        run[NEXT_PLACES], run[NEXT_BASE] = table[INDICES + INNER] * index_size, 0
    if table[PIXELS]:
        run[NEXT_X], run[NEXT_OUTPUT], run[NEXT_PLACES] = 0, 0, 0
        run[NEXT_LEFT], run[NEXT_BASE], run[NEXT_PLACE] = stride_w * channels, stride_w, channels
    return run


@inlined
def bytes_read(table, taken):
    """From the first cell of a block's rows to where one that runs over stops reading."""
    taps_d, dilation_d = axis(table, DEPTH)[2], axis(table, DEPTH)[4]
    windows, stride_w = axis(table, WIDTH)[1], axis(table, WIDTH)[3]
    cells = (windows - 1) * stride_w + table[BLOCK_LANES] * stride_w
    cells += (taken - 1) * axis(table, HEIGHT)[4] * table[INPUT + ROW]
    return (cells + (taps_d - 1) * dilation_d * table[INPUT + SLICE]) * table[ITEM_SIZE]

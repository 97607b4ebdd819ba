"""The forward kernel for small windows: blocks of them, in registers.

Rows of windows are taken in groups, each from left to right. The last group of a plane overlaps
the one before, so that all have as many rows, and so does the last block of a row::

    rows of windows      0 1 2 3 | 4 5 6 7       ten rows, in groups of four
                                   6 7 8 9

Before a group is pooled, each line of its memory is read once, in order. The blocks themselves go
through several rows at a time, and where rows are short a processor does not foresee what is read
next: (8, 64, 224, 224) k2 s2 took three times as long (AMD Zen 4), and prefetch instructions made
that 0.9 of it.
"""

from __future__ import annotations

import numpy as np

from ..compile.jit import inlined
from ..compile.signature import WALK, Signature, kernel
from ..table import (
    BLOCK_REACH,
    BLOCK_ROWS,
    CHANNELS,
    CODE_SIZE,
    COLUMN_STEP,
    COLUMNS,
    DEPTH,
    END,
    FIRSTS,
    GROUP,
    HEIGHT,
    INDEX_SIZE,
    INDICES,
    INPUT,
    ITEM_SIZE,
    LAST_PLANE,
    LINE,
    LINE_INDEX_SIZE,
    LINE_INDICES,
    OUTPUT,
    ROW,
    ROW_STEP,
    SLICE,
    SLICE_STEP,
    SPREAD_INDICES,
    SPREAD_VALUES,
    STAGE,
    STAGE_ROWS,
    STAGE_STEP,
    TOUCHED,
    WIDTH,
    WINDOW,
    ZONE,
)
from ..vectors.memory import address_of, byte_at, cells_of, lanes, set_cell, touch
from ..vectors.windows import pool_block
from .places import axis, plane_origin, rows_of_plane, taps_inside
from .signatures import spread_rows, stage_rows

# With pixels, a block is a window's channels; else it is cells side by side of a row of windows.
DIRECT = Signature(" ".join(WALK.parameters), constants="block pixels")


@kernel(DIRECT)
def direct_rows(x, output, places, scratch, table, first_row, last_row, block, pixels):
    """Pool the groups of rows from `first_row` up to `last_row`, counted through all planes."""
    depth, slices, taps_d, stride_d, dilation_d, pad_d, _ = axis(table, DEPTH)
    height, outputs, taps, stride, dilation, pad, _ = axis(table, HEIGHT)
    width, windows, _, stride_w, dilation_w, pad_w, _ = axis(table, WIDTH)
    channels, item, index_size = table[CHANNELS], table[ITEM_SIZE], table[INDEX_SIZE]
    rows, reach, zone, touched = table[BLOCK_ROWS], table[BLOCK_REACH], table[ZONE], table[TOUCHED]
    staged, stage_step, code_size = table[STAGE_ROWS], table[STAGE_STEP], table[CODE_SIZE]
    x_row, x_slice = table[INPUT + ROW] * item, table[INPUT + SLICE] * item
    output_row, places_row = table[OUTPUT + ROW] * item, table[INDICES + ROW] * index_size
    scratch, numbers = (scratch + 63) // 64 * 64, address_of(table)
    names = (
        table[SLICE_STEP], table[ROW_STEP], table[COLUMN_STEP], dilation * width, dilation_w,
    )  # fmt: skip
    firsts, columns = fill_names(scratch, table, x)
    groups, taken = (outputs + rows - 1) // rows, (rows - 1) * stride + taps
    stage, line, line_indices = (
        scratch + table[STAGE], scratch + table[LINE], scratch + table[LINE_INDICES],
    )  # fmt: skip
    parts, length, lane_stride, lane_count = 1, windows * channels, stride_w, lanes(x)
    n, ramp = length, stride_w if channels == 1 else 0
    if pixels:
        parts, length, lane_stride = windows, channels, 1
    size, tap_step, last = width * channels, dilation_w * channels, max(length - lane_count, 0)
    end, read = table[END], (windows - 1) * stride_w * item + lane_count * stride_w * item
    unit = first_row
    while unit < last_row:
        all_slices, begin, stop = rows_of_plane(unit, last_row, groups)
        unit += stop - begin
        plane = all_slices // slices
        od = all_slices - plane * slices
        plane = min(plane * table[GROUP], table[LAST_PLANE])
        front = od * stride_d - pad_d
        nearest, furthest = taps_inside(front, depth, taps_d, dilation_d)
        source = address_of(x) + plane_origin(table, INPUT, plane) * item
        target = output + (plane_origin(table, OUTPUT, plane) + od * table[OUTPUT + SLICE]) * item
        place = plane_origin(table, INDICES, plane) + od * table[INDICES + SLICE]
        place = address_of(places) + place * index_size
        for group in range(begin, stop):
            oh = min(group * rows, outputs - rows)
            top = oh * stride - pad
            above, below = taps_inside(top, height, taken, dilation)
            origin, step, slice_step = (
                source + front * x_slice + top * x_row, dilation * x_row, dilation_d * x_slice,
            )  # fmt: skip
            if staged:
                for d in range(nearest, furthest):
                    to = stage + (d * taken + above) * stage_step
                    first = origin + d * slice_step + above * step
                    stage_rows(staged, (first, to, numbers, below - above, step))
                origin, step, slice_step = stage, stage_step, taken * stage_step
            if touched:
                for d in range(nearest, furthest):
                    first = origin + d * slice_step + above * step
                    for byte in range(first, first + (below - above) * step, 64):
                        touch(byte_at(byte), 0)
            whole = below - above == taken and furthest - nearest == taps_d
            whole = whole and (length >= lane_count or end > 0)
            lines = origin, step, slice_step, above, below, nearest, furthest
            to = target + oh * output_row, output_row, place + oh * places_row, places_row
            if table[SPREAD_VALUES]:
                to = line, n * item, line_indices, n * table[LINE_INDEX_SIZE]
            for part in range(parts):
                left = (part * stride_w - pad_w) * channels
                base = (front * height + top) * width + part * stride_w - pad_w
                # The cells of the row from which on, and up to which, blocks lie inside.
                inside = -(left // lane_stride)
                until = min((size - reach - left) // lane_stride, last) if whole else -1
                if end and whole:
                    final = unit >= last_row and group == stop - 1
                    beyond = origin + (taken - 1) * step + (taps_d - 1) * slice_step + left * item
                    if final or beyond + read > address_of(x) + end * item:
                        until = -1
                start = 0
                while start < length:
                    c = min(start, last)
                    while inside <= c <= until and start < length:
                        cells = left + c * lane_stride, tap_step, size
                        written = to + (part * channels + c, length - c)
                        named = names + (firsts, columns, base + c * ramp)
                        if pool_block(block, 0, x, places, lines, cells, named, written):
                            break
                        start += lane_count
                        c = min(start, last)
                    if start < length:
                        cells = left + c * lane_stride, tap_step, size
                        j = part * channels + c
                        written = to + (j, length - c)
                        named = names + (
                            firsts + min(j, zone) * code_size,
                            columns,
                            base + c * ramp,
                        )
                        if pool_block(block, 1, x, places, lines, cells, named, written):
                            pool_block(block, 2, x, places, lines, cells, named, written)
                        start += lane_count
            if table[SPREAD_VALUES]:
                to_row = target + oh * output_row
                spread_rows(table[SPREAD_VALUES], (line, to_row, numbers, OUTPUT, windows, rows))
                if index_size:
                    to_row = place + oh * places_row
                    spread_rows(
                        table[SPREAD_INDICES],
                        (line_indices, to_row, numbers, INDICES, windows, rows),
                    )
    return -1


@inlined
def fill_names(scratch, table, like):
    """The addresses of what a window's place tells: the code of its first tap, and its column."""
    _, windows, _, stride, dilation, pad, _ = axis(table, WIDTH)
    channels, size, step = table[CHANNELS], table[CODE_SIZE], table[COLUMN_STEP]
    firsts, columns = scratch + table[FIRSTS], cells_of(scratch + table[COLUMNS], np.int32, like)
    if channels > 1 and size and not table[WINDOW]:
        for j in range(windows * channels):
            set_cell(columns, j, np.int32(j // channels * stride))
    narrow, wide = cells_of(firsts, np.uint8, like), cells_of(firsts, np.int32, like)
    short = cells_of(firsts, np.uint16, like)
    for j in range(table[ZONE] + lanes(like) if size else 0):
        outside = pad - j // channels * stride
        code = (outside + dilation - 1) // dilation * step if outside > 0 else 0
        if size == 1:
            set_cell(narrow, j, np.uint8(code))
        elif size == 2:
            set_cell(short, j, np.uint16(code))
        else:
            set_cell(wide, j, np.int32(code))
    return firsts, address_of(columns)

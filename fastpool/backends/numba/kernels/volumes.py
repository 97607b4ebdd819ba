"""The forward kernel for volumes: all rows of a window are reduced, and become one.

::

    window of 2 x 2 rows:  slice 0  row 0 ── reduce_row, join ──> best so far
                                    row 1 ── reduce_row, join ──> best so far
                           slice 1  row 0 ── reduce_row, join ──> best so far
                                    row 1 ── reduce_row, join ──> best so far ── emit ──> output row

Rows are not shared between windows here, so the cost grows with KD * KH, and within a row as that
of planes does.
"""

from __future__ import annotations

from ..compile.signature import WALK, kernel
from ..table import (
    CHANNELS,
    CODES,
    COMBINE,
    COPY_ROW,
    DEPTH,
    FILL_TABLES,
    HEIGHT,
    INDEX_SIZE,
    INDICES,
    INPUT,
    ITEM_SIZE,
    MEND_ROW,
    OUTPUT,
    PREFIX,
    PREFIX_CODES,
    REDUCE,
    ROW,
    ROW_STEP,
    SLICE,
    SLICE_STEP,
    STAGE,
    STAGE_ROWS,
    STRETCH,
    WIDTH,
)
from ..vectors.memory import address_of
from .places import axis, plane_origin, rows_of_plane, taps_inside
from .signatures import fill_tables, join_rows, mend_row, reduce_row, stage_rows
from .wide import emit


@kernel(WALK)
def volume_rows(x, output, places, scratch, table, first_row, last_row):
    """Pool the output rows from `first_row` up to `last_row`, counted through all volumes."""
    depth, slices, kernel_d, stride_d, dilation_d, pad_d, _ = axis(table, DEPTH)
    height, rows, kernel_h, stride_h, dilation_h, pad_h, _ = axis(table, HEIGHT)
    width, row_outputs, _, stride_w, _, pad_w, _ = axis(table, WIDTH)
    item, index_size, numbers = table[ITEM_SIZE], table[INDEX_SIZE], address_of(table)
    scratch = (scratch + 63) // 64 * 64
    ring = scratch, scratch + table[CODES]
    best, stage = (scratch + table[PREFIX], scratch + table[PREFIX_CODES]), scratch + table[STAGE]
    staged, stretch = table[STAGE_ROWS], table[STRETCH]
    fill_tables(table[FILL_TABLES], (ring[1], numbers, scratch))
    row = first_row
    while row < last_row:
        all_slices, begin, stop = rows_of_plane(row, last_row, rows)
        row += stop - begin
        plane = all_slices // slices
        od = all_slices - plane * slices
        source = x + plane_origin(table, INPUT, plane) * item
        target = output + (plane_origin(table, OUTPUT, plane) + od * table[OUTPUT + SLICE]) * item
        place = plane_origin(table, INDICES, plane) + od * table[INDICES + SLICE]
        place = places + place * index_size
        front = od * stride_d - pad_d
        nearest, furthest = taps_inside(front, depth, kernel_d, dilation_d)
        for first in range(0, row_outputs, stretch):
            count = min(stretch, row_outputs - first)
            n = count * table[CHANNELS]
            for oh in range(begin, stop):
                top = oh * stride_h - pad_h
                above, below = taps_inside(top, height, kernel_h, dilation_h)
                join, lost = table[COPY_ROW], 0
                for d in range(nearest, furthest):
                    for h in range(above, below):
                        origin = source + (front + d * dilation_d) * table[INPUT + SLICE] * item
                        origin += (top + h * dilation_h) * table[INPUT + ROW] * item
                        if staged:
                            lost |= stage_rows(staged, (origin, stage, numbers, 1, 0))
                            origin = stage
                        windows = numbers, scratch, first, count
                        reduce_row(table[REDUCE], (origin, *ring, *windows, 1, 0, 0))
                        distance = d * table[SLICE_STEP] + h * table[ROW_STEP]
                        join_rows(join, (*best, *ring, n, distance))
                        join = table[COMBINE]
                base = (front * height + top) * width + first * stride_w - pad_w
                emit(
                    (*best, *best), target, place, scratch, table, (0, 0, base),
                    (oh, first, count),
                )  # fmt: skip
                if lost:
                    mend_row(table[MEND_ROW], (source, target, numbers, od, oh, first, count))
    return -1

"""The forward kernel for large windows, whose cost does not depend on their height.

Van Herk (1992) and Gil and Werman (1993): the rows are cut into blocks as high as a window.
Every window is the end of one block and the beginning of the next; the extremes over all ends of a
block are made in one pass from its last row up, those over its beginnings in one pass down. That
is three comparisons a cell, whatever the window. With windows of 4 rows::

    rows      0   1   2   3 | 4   5   6   7 | 8
    ends      0-3 1-3 2-3 3 |                      in place, from the right
    prefix                  | 4  4-5 4-6 4-7|      one row, from the left
    window 2          2-3  +  4-5                  the end of one block, the beginning of the next

The first extreme stays the first because the earlier operand of a comparison wins a tie. Rows are
reduced as in `ring`, which takes 1.25 times as long for 13 x 13 windows, and 2.3 times for 31 x 31.
"""

from __future__ import annotations

from ..compile.jit import inlined
from ..compile.signature import WALK, kernel
from ..table import (
    CHANNELS,
    CODE_SIZE,
    CODES,
    COLUMN,
    COMBINE,
    COPY_ROW,
    EMIT,
    FILL_TABLES,
    GROUP,
    HEIGHT,
    INDEX_SIZE,
    INDICES,
    INPUT,
    ITEM_SIZE,
    LAST_PLANE,
    LINE,
    LINE_INDICES,
    MEND_ROW,
    OUTPUT,
    OUTPUTS,
    PHASES,
    PITCH,
    PREFIX,
    PREFIX_CODES,
    REDUCE,
    RING_STEP,
    ROW,
    ROW_STEP,
    SPREAD_INDICES,
    SPREAD_VALUES,
    STAGE,
    STAGE_ROWS,
    STRETCH,
    WIDTH,
)
from ..vectors.memory import address_of
from .places import axis, plane_origin, rows_of_plane
from .signatures import (
    emit_row,
    fill_tables,
    join_rows,
    mend_row,
    reduce_row,
    spread_rows,
    stage_rows,
)


@kernel(WALK)
def wide_rows(x, output, places, scratch, table, first_row, last_row):
    """Pool the output rows from `first_row` up to `last_row`, counted through all planes."""
    item, index_size = table[ITEM_SIZE], table[INDEX_SIZE]
    scratch = (scratch + 63) // 64 * 64
    fill_tables(table[FILL_TABLES], (scratch + table[CODES], address_of(table), scratch))
    phases = table[PHASES]  # windows that share rows are walked together
    row = first_row
    while row < last_row:
        plane, begin, stop = rows_of_plane(row, last_row, table[HEIGHT + OUTPUTS])
        row += stop - begin
        plane = min(plane * table[GROUP], table[LAST_PLANE])
        source = x + plane_origin(table, INPUT, plane) * item
        target = output + plane_origin(table, OUTPUT, plane) * item
        place = places + plane_origin(table, INDICES, plane) * index_size
        for first in range(0, table[WIDTH + OUTPUTS], table[STRETCH]):
            for phase in range(min(phases, stop - begin)):
                wide_phase(
                    source, target, place, scratch, table, first, begin + phase, stop, phases
                )
    return -1


@inlined
def wide_phase(source, target, place, scratch, table, first, oh, stop, phases):
    """Pool every `phases`-th row of windows from `oh` up to `stop`, of the stretch at `first`."""
    height, _, kernel_size, stride, dilation, pad, _ = axis(table, HEIGHT)
    width, row_outputs, _, stride_w, _, pad_w, _ = axis(table, WIDTH)
    item, code_size, pitch = table[ITEM_SIZE], table[CODE_SIZE], table[PITCH]
    numbers, row_step, step = address_of(table), table[ROW_STEP], table[RING_STEP]
    count = min(table[STRETCH], row_outputs - first)
    n = count * table[CHANNELS]
    values, codes, stage = scratch, scratch + table[CODES], scratch + table[STAGE]
    prefix = scratch + table[PREFIX], scratch + table[PREFIX_CODES]
    combine, staged = table[COMBINE], table[STAGE_ROWS]
    # Row r of this phase is row top + r * dilation of the input, which has those from
    # `inside` up to `outside`.
    top = oh * stride - pad
    inside = -(top // dilation) if top < 0 else 0
    outside = (height - top + dilation - 1) // dilation
    windows = (stop - 1 - oh) // phases + 1
    # Of the block before: its rows inside, and of this one: whether there is a prefix.
    low, high, started, lost = 0, 0, False, 0
    for r in range(min((windows - 1) * step + kernel_size, outside + kernel_size)):
        slot = r % kernel_size
        block = r - slot
        at = values + slot * pitch * item, codes + slot * pitch * code_size
        if slot == 0:
            started = False
        if inside <= r < outside:
            origin = source + (top + r * dilation) * table[INPUT + ROW] * item
            if staged:
                lost |= stage_rows(staged, (origin, stage, numbers, 1, 0))
                origin = stage
            reduce_row(table[REDUCE], (origin, *at, numbers, scratch, first, count, 1, 0, 0))
            if block > 0:
                add = combine if started else table[COPY_ROW]
                join_rows(add, (*prefix, *at, n, slot * row_step))
            started = True
        if slot == kernel_size - 1:  # the block is complete: the maxima over its ends, in place
            low, high = max(inside - block, 0), min(outside - block, kernel_size)
            for u in range(high - 2, low - 1, -1):
                upper = values + u * pitch * item, codes + u * pitch * code_size
                lower = upper[0] + pitch * item, upper[1] + pitch * code_size
                join_rows(combine, (*upper, *lower, n, row_step))
        start = r - kernel_size + 1
        if start < 0 or start % step or start // step >= windows:
            continue
        window_row = oh + start // step * phases
        u = start % kernel_size
        suffix = max(u, low)
        upper = values + suffix * pitch * item, codes + suffix * pitch * code_size
        lower, offset, distance = upper, (suffix - u) * row_step, (kernel_size - u) * row_step
        if u == 0:
            distance = offset
        elif started and u >= high:
            upper, lower, offset = prefix, prefix, distance
        elif started:
            lower = prefix
        else:
            distance = offset
        base = (top + start * dilation) * width + first * stride_w - pad_w
        emit(
            (*upper, *lower), target, place, scratch, table, (offset, distance, base),
            (window_row, first, count),
        )  # fmt: skip
        if lost:
            mend_row(table[MEND_ROW], (source, target, numbers, 0, window_row, first, count))


@inlined
def emit(rows, target, place, scratch, table, codes, windows):
    """Write a row of windows where it belongs."""
    oh, first, count = windows
    item, index_size, numbers = table[ITEM_SIZE], table[INDEX_SIZE], address_of(table)
    n = count * table[CHANNELS]
    to = target + (oh * table[OUTPUT + ROW] + first * table[OUTPUT + COLUMN]) * item
    index_to = place + (oh * table[INDICES + ROW] + first * table[INDICES + COLUMN]) * index_size
    if table[SPREAD_VALUES] == 0:
        emit_row(table[EMIT], (*rows, to, index_to, numbers, scratch, *codes, n))
        return
    line, indices = scratch + table[LINE], scratch + table[LINE_INDICES]
    emit_row(table[EMIT], (*rows, line, indices, numbers, scratch, *codes, n))
    spread_rows(table[SPREAD_VALUES], (line, to, numbers, OUTPUT, count, 1))
    if index_size:
        spread_rows(table[SPREAD_INDICES], (indices, index_to, numbers, INDICES, count, 1))

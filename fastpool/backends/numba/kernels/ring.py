"""The forward kernel for small windows: rows first, then columns.

Every input row is reduced once to the extremes of its windows, into a ring of as many rows as a
window has; an output row is the extreme over the ring. So overlapping windows share their rows'
work, and the cost grows with KH + KW. With KH = 3 and a stride of 1::

    input row 4 ── reduce_row ──> slot 1      ring:  slot 0   row 3
                                                     slot 1   row 4   (was row 1)
                                                     slot 2   row 2
                                               merge_rows over rows 2, 3, 4 ──> output row 2

The kernel walks through rows and calls the functions of `reduce`, `merge` and `staging` by their
addresses.
"""

from __future__ import annotations

from ..compile.jit import inlined
from ..compile.signature import WALK, kernel
from ..table import (
    BATCH,
    CHANNELS,
    CODES,
    COLUMN,
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
    MERGE,
    OUTPUT,
    PHASES,
    REDUCE,
    RING_STEP,
    ROW,
    SLOTS,
    SPREAD_INDICES,
    SPREAD_VALUES,
    STAGE,
    STAGE_ROWS,
    STAGE_STEP,
    STRETCH,
    WIDTH,
)
from ..vectors.memory import address_of
from .places import axis, plane_origin, rows_of_plane, taps_inside
from .signatures import (
    fill_tables,
    mend_row,
    merge_rows,
    reduce_row,
    spread_rows,
    stage_rows,
)


@kernel(WALK)
def ring_rows(x, output, places, scratch, table, first_row, last_row):
    """Pool the output rows from `first_row` up to `last_row`, counted through all planes."""
    height, outputs, kernel_size, stride, dilation, pad, span = axis(table, HEIGHT)
    width, row_outputs, _, stride_w, _, pad_w, _ = axis(table, WIDTH)
    item, index_size = table[ITEM_SIZE], table[INDEX_SIZE]
    slots, stretch = table[SLOTS], table[STRETCH]
    x_row, staged = table[INPUT + ROW] * item, table[STAGE_ROWS]
    scratch, numbers = (scratch + 63) // 64 * 64, address_of(table)
    ring, codes, stage = scratch, scratch + table[CODES], scratch + table[STAGE]
    fill_tables(table[FILL_TABLES], (codes, numbers, scratch))
    # Windows that share rows are walked together, and a ring as long as the window will do.
    phases = table[PHASES]
    row = first_row
    while row < last_row:
        plane, begin, stop = rows_of_plane(row, last_row, outputs)
        row += stop - begin
        plane = min(plane * table[GROUP], table[LAST_PLANE])
        source = x + plane_origin(table, INPUT, plane) * item
        target = output + plane_origin(table, OUTPUT, plane) * item
        place = places + plane_origin(table, INDICES, plane) * index_size
        for first in range(0, row_outputs, stretch):
            count = min(stretch, row_outputs - first)
            for phase in range(min(phases, stop - begin)):
                lost, held, slot = 0, -1, 0  # held: the last row in the ring
                oh = begin + phase
                while oh < stop:
                    top = oh * stride - pad
                    tap, last = taps_inside(top, height, kernel_size, dilation)
                    batch = 1
                    if last - tap == kernel_size:
                        below = (height - top - span) // (stride * phases) + 1
                        batch = min(table[BATCH], below, (stop - 1 - oh) // phases + 1)
                    lowest = (top + tap * dilation) // dilation  # rows of this phase are counted
                    if held < lowest - 1:
                        held, slot = lowest - 1, lowest % slots
                    rows = lowest + last - tap - 1 + (batch - 1) * table[RING_STEP] - held
                    origin = source + (top + (tap + held + 1 - lowest) * dilation) * x_row
                    held += rows
                    windows = numbers, scratch, first, count
                    step = dilation * x_row
                    if staged:
                        lost |= stage_rows(staged, (origin, stage, numbers, rows, step))
                        origin, step = stage, table[STAGE_STEP]
                    if rows > 0:
                        reduce_row(table[REDUCE], (origin, ring, codes, *windows, rows, step, slot))
                        slot = (slot + rows) % slots
                    oldest = slot - (held - lowest + 1)
                    write_rows(
                        (ring, codes, target, place, numbers, scratch),
                        table,
                        (oldest if oldest >= 0 else oldest + slots, tap, last),
                        top * width + first * stride_w - pad_w,
                        (oh, first, count, batch),
                    )
                    if lost:
                        for mended in range(oh, oh + batch * phases, phases):
                            windows_of_row = 0, mended, first, count
                            mend_row(table[MEND_ROW], (source, target, numbers, *windows_of_row))
                    oh += batch * phases
    return -1


@inlined
def write_rows(memory, table, taps, base, windows):
    """Merge rows of the ring into rows of windows, and write them where they belong."""
    ring, codes, target, place, numbers, scratch = memory
    oh, first, count, batch = windows
    item, index_size, n = table[ITEM_SIZE], table[INDEX_SIZE], count * table[CHANNELS]
    to = target + (oh * table[OUTPUT + ROW] + first * table[OUTPUT + COLUMN]) * item
    index_to = place + (oh * table[INDICES + ROW] + first * table[INDICES + COLUMN]) * index_size
    if table[SPREAD_VALUES] == 0:
        merge_rows(
            table[MERGE], (ring, codes, to, index_to, numbers, scratch, *taps, base, n, batch)
        )
        return
    line, indices = scratch + table[LINE], scratch + table[LINE_INDICES]
    merge_rows(table[MERGE], (ring, codes, line, indices, numbers, scratch, *taps, base, n, batch))
    spread_rows(table[SPREAD_VALUES], (line, to, numbers, OUTPUT, count, batch))
    if index_size:
        spread_rows(table[SPREAD_INDICES], (indices, index_to, numbers, INDICES, count, batch))

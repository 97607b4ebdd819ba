"""Rows of blocks of small windows, from left to right.

The last block of a row overlaps the one before, so that all have as many windows. Blocks inside the
input are pooled at once; those at an edge read and write under masks, and what holds a NaN is
pooled again, with care.
"""

from __future__ import annotations

import numpy as np

from ..compile.jit import inlined
from ..compile.signature import kernel
from ..table import (
    ABOVE,
    BASE,
    BELOW,
    BLOCK_LENGTH,
    CHANNELS,
    CODE_SIZE,
    CODES_AT,
    COLUMN_STEP,
    COLUMNS_AT,
    DIVISOR,
    FURTHEST,
    HEIGHT,
    INSIDE,
    LANE_STRIDE,
    LEFT,
    LINE_STEP,
    NEAREST,
    NEXT_BASE,
    NEXT_LEFT,
    NEXT_OUTPUT,
    NEXT_PLACE,
    NEXT_PLACES,
    NEXT_X,
    PIXELS,
    PLACES_STEP,
    PLANE_STEP,
    ROW_STEP,
    RUN_ROWS,
    SLICE_STEP,
    TOUCHED_BYTES,
    VALUES_STEP,
    WIDTH,
    WINDOW,
    WRITTEN_PAST,
    ZONE,
)
from ..vectors.memory import address_of, byte_at, cells_of, fence, lanes, set_cell, touch
from ..vectors.windows import block_lanes, pool_block
from ..vectors.writing import PAST
from . import signatures
from .places import axis


@kernel(signatures.BLOCKS)
def pool_rows(x, output, places, table, run, block):
    """Pool the rows of blocks of a run."""
    width, _, _, _, dilation_w, _, _ = axis(table, WIDTH)
    dilation, channels = axis(table, HEIGHT)[4], table[CHANNELS]
    size, tap_step = width * channels, dilation_w * channels
    length, lane_stride, lane_count = table[BLOCK_LENGTH], table[LANE_STRIDE], block_lanes(block, x)
    ramp = lane_stride if channels == 1 else 0
    zone, code_size, last = table[ZONE], table[CODE_SIZE], max(length - lane_count, 0)
    firsts, columns, left, base, inside = (
        run[CODES_AT], run[COLUMNS_AT], run[LEFT], run[BASE], run[INSIDE],
    )  # fmt: skip
    shape = run[LINE_STEP], run[PLANE_STEP], run[ABOVE], run[BELOW], run[NEAREST], run[FURTHEST]
    names = (
        table[SLICE_STEP], table[ROW_STEP], table[COLUMN_STEP], dilation * width, dilation_w,
    )  # fmt: skip
    origin, values, indices, place = address_of(x), address_of(output), address_of(places), 0
    past = table[WRITTEN_PAST] if (values | indices) % PAST == 0 else 0
    touched = run[TOUCHED_BYTES]
    for _ in range(run[RUN_ROWS]):
        if touched:
            for d in range(run[NEAREST], run[FURTHEST]):
                touch_all(origin + d * run[PLANE_STEP] + run[ABOVE] * run[LINE_STEP], touched)
        lines = (origin, *shape, table[DIVISOR])
        to = values, run[VALUES_STEP], indices, run[PLACES_STEP]
        start = 0
        while start < length:
            c = min(start, last)
            while 0 <= left + c * lane_stride <= inside and start < length:
                cells = left + c * lane_stride, tap_step, size
                written, named = (place + c, length - c, past), (firsts, columns, base + c * ramp)
                if pool_block(block, 0, x, places, lines, cells, names + named, to + written):
                    break
                start += lane_count
                c = min(start, last)
            if start < length:
                cells = left + c * lane_stride, tap_step, size
                first = firsts + min(place + c, zone) * code_size
                written, named = (place + c, length - c, past), (first, columns, base + c * ramp)
                if pool_block(block, 1, x, places, lines, cells, names + named, to + written):
                    pool_block(block, 2, x, places, lines, cells, names + named, to + written)
                start += lane_count
        touched = touched if run[NEXT_X] else 0  # windows of one row share its cells
        origin += run[NEXT_X]
        left += run[NEXT_LEFT]
        base += run[NEXT_BASE]
        place += run[NEXT_PLACE]
        values += run[NEXT_OUTPUT]
        indices += run[NEXT_PLACES]
    if past:
        fence()
    return 0


@kernel(signatures.FILL)
def fill_names(codes, table, scratch):
    """What a window's place tells: the code of its first tap inside, and its column."""
    _, windows, _, stride, dilation, pad, _ = axis(table, WIDTH)
    channels, columns = table[CHANNELS], cells_of(scratch, np.int32, codes)
    if channels > 1 and not table[PIXELS] and not table[WINDOW]:
        for j in range(windows * channels):
            set_cell(columns, j, np.int32(j // channels * stride))
    for j in range(table[ZONE] + lanes(codes)):
        outside = pad - j // channels * stride
        tap = (outside + dilation - 1) // dilation if outside > 0 else 0
        set_cell(codes, j, tap * table[COLUMN_STEP])
    return 0


@kernel(signatures.FILL)
def fill_zeros(codes, table, scratch):
    """Zeros where sums find rows that lie outside, and on both sides of it."""
    for j in range(-table[ZONE], table[ZONE]):
        set_cell(codes, j, 0)
    return 0


@inlined
def touch_all(first, count):
    """Read each line of some bytes once."""
    for byte in range(first, first + count, 64):
        touch(byte_at(byte), 0)

"""Along a row: the extremes of its windows, from left to right.

A row is a line of W * C cells, taps `dilation * C` apart: with C = 1 the lanes of a vector are
windows that lie side by side, and with channels last they are channels, or both. Value and code
move together, by one selection; a code says which tap a value came from.

Large windows are put together from smaller ones that overlap (`reduce_double`). With 13 taps::

    cells      0 1 2 3 4 5 6 7 8 9 a b c
    4 taps     [_____]                         made at every cell
    8 taps     [_____] [_____]                 of two that lie side by side
    13 taps    [_____________]
                         [_____________]       of two that overlap
"""

from __future__ import annotations

import numpy as np

from ..compile.jit import inlined
from ..compile.signature import kernel
from ..table import (
    AHEAD,
    CHANNELS,
    CODE_SIZE,
    COLUMN_STEP,
    COLUMNS,
    DENSE,
    DENSE_CELLS,
    DENSE_CODES,
    DENSE_STRIDE,
    DILATION,
    FIRSTS,
    PAD,
    PITCH,
    SIZE,
    SLOTS,
    TAPS,
    WIDTH,
)
from ..vectors.lanes import beats, cell_beats, plus, select
from ..vectors.memory import (
    beyond,
    cell,
    cells_at,
    cells_of,
    lanes,
    load,
    load_inside,
    many_weakest,
    prefetch,
    set_cell,
    splat,
    store,
    weakest,
)
from ..vectors.strided import load_every, load_every_inside
from . import signatures
from .places import axis, taps_inside


@inlined
def ring_row(table, slot, row):
    """The offset of a row of the ring, `row` rows after that in `slot`."""
    slot += row
    if slot >= table[SLOTS]:
        slot -= table[SLOTS]
    return slot * table[PITCH]


@inlined
def reduce_line(source, ring, codes, table, firsts, shift, n, rows, step, slot, taps, stride):
    """Windows side by side at a constant stride, which is 1 if there are several channels."""
    size, tap_step = (
        table[WIDTH + SIZE] * table[CHANNELS],
        table[WIDTH + DILATION] * table[CHANNELS],
    )
    code_step, ahead, width, low = table[COLUMN_STEP], table[AHEAD], lanes(source), weakest(source)
    last, reach = max(n - width, 0), (taps - 1) * tap_step + stride * width
    for start in range(0, n, width):
        j = min(start, last)
        at = stride * j - shift
        if at >= 0 and at + reach <= size:
            for row in range(rows):
                line, to = beyond(source, row * step), ring_row(table, slot, row) + j
                prefetch(line, at + ahead)
                best, code = load_every(line, at, stride, 1), splat(0, codes)
                for tap in range(1, taps):
                    value = load_every(line, at + tap * tap_step, stride, 1)
                    later = beats(value, best)
                    best = select(later, value, best)
                    code = select(later, splat(tap * code_step, codes), code)
                store(ring, to, best)
                store(codes, to, code)
        else:
            for row in range(rows):
                line, to = beyond(source, row * step), ring_row(table, slot, row) + j
                best, code = load_every_inside(line, at, size, low, stride, 1), load(firsts, j)
                for tap in range(1, taps):
                    value = load_every_inside(line, at + tap * tap_step, size, low, stride, 1)
                    later = beats(value, best)
                    best = select(later, value, best)
                    code = select(later, splat(tap * code_step, codes), code)
                store(ring, to, best)
                store(codes, to, code)


@inlined
def first_codes(codes, table, scratch, first):
    """The codes of the first taps inside, in a stretch that starts at window `first`."""
    # Beyond the first stretch no window starts in the padding: codes of zero.
    return cells_at(
        scratch + table[FIRSTS] + (table[CODE_SIZE] * table[DENSE_CELLS] if first else 0), codes
    )


@inlined
def mend_truths(source, ring, table, first, count, rows, step, slot):
    """Put the first cell inside where no cell has beaten what fills the taps in front of the row.

    Of a minimum of truth values: what fills them is True, as all these cells are, but has bits of
    its own. The codes are right, since those of the first taps inside were there before.
    """
    size, _, kernel_size, stride, dilation, pad, _ = axis(table, WIDTH)
    channels = table[CHANNELS]
    for row in range(rows):
        line, into = beyond(source, row * step), ring_row(table, slot, row)
        for ow in range(min(count, (pad + stride - 1) // stride - first)):
            left = (first + ow) * stride - pad
            begin, _ = taps_inside(left, size, kernel_size, dilation)
            for c in range(channels):
                to = into + ow * channels + c
                if cell(ring, to):
                    set_cell(ring, to, cell(line, (left + begin * dilation) * channels + c))


@kernel(signatures.REDUCE)
def reduce_windows(source, ring, codes, table, scratch, first, count, rows, step, slot, stride):
    """`reduce_line` for windows: 6 to 8 times as fast as tap by tap."""
    channels, taps = table[CHANNELS], table[WIDTH + TAPS]
    shift, n = (table[WIDTH + PAD] - first * stride) * channels, count * channels
    firsts = first_codes(codes, table, scratch, first)
    reduce_line(source, ring, codes, table, firsts, shift, n, rows, step, slot, taps, stride)
    if many_weakest(source):
        mend_truths(source, ring, table, first, count, rows, step, slot)
    return 0


@kernel(signatures.REDUCE)
def reduce_double(source, ring, codes, table, scratch, first, count, rows, step, slot, stride):
    """Large windows: maxima over 4 taps, then over 8, 16, ... from two that lie side by side.

    The number of comparisons grows with the logarithm of the window: rows of 13 taps take 0.77 of
    the time, rows of 31 less than half.
    """
    channels, taps = table[CHANNELS], table[WIDTH + TAPS]
    shift, tap_step = (
        (table[WIDTH + PAD] - first * stride) * channels,
        table[WIDTH + DILATION] * channels,
    )
    code_step, width = table[COLUMN_STEP], lanes(source)
    firsts = first_codes(codes, table, scratch, first)
    dense = cells_at(scratch + table[DENSE], ring)
    dense_codes = cells_at(scratch + table[DENSE_CODES], codes)
    n = ((count - 1) * stride + 1) * channels
    for row in range(rows):
        covered = min(4, taps)
        cells = n + (taps - covered) * tap_step
        line = beyond(source, row * step)
        reduce_line(line, dense, dense_codes, table, firsts, shift, cells, 1, 0, 0, covered, 1)
        while 2 * covered < taps:
            cells = n + (taps - 2 * covered) * tap_step
            distances = covered * tap_step, covered * code_step
            for j in range(0, cells, width):
                join(dense, dense_codes, j, 1, distances, dense, dense_codes, j)
            covered *= 2
        distances = (taps - covered) * tap_step, (taps - covered) * code_step
        at = ring_row(table, slot, row)
        if channels == 1:
            for j in range(0, count, width):
                join(dense, dense_codes, j * stride, stride, distances, ring, codes, at + j)
        elif stride == 1:
            for j in range(0, n, width):
                join(dense, dense_codes, j, 1, distances, ring, codes, at + j)
        else:
            for j in range(0, n, width):
                join(dense, dense_codes, j, 1, distances, dense, dense_codes, j)
            for ow in range(count):
                for c in range(channels):
                    j = ow * stride * channels + c
                    set_cell(ring, at + ow * channels + c, cell(dense, j))
                    set_cell(codes, at + ow * channels + c, cell(dense_codes, j))
    if many_weakest(source):
        mend_truths(source, ring, table, first, count, rows, step, slot)
    return 0


@inlined
def join(values, codes, j, stride, distances, into, into_codes, to):
    """The maxima of windows, and of those some cells further, become those of larger windows."""
    best, value = load_every(values, j, stride, 1), load_every(values, j + distances[0], stride, 1)
    later, code = beats(value, best), load_every(codes, j, stride, 1)
    further = plus(load_every(codes, j + distances[0], stride, 1), splat(distances[1], codes))
    store(into, to, select(later, value, best))
    store(into_codes, to, select(later, further, code))


@kernel(signatures.REDUCE)
def reduce_pixels(source, ring, codes, table, scratch, first, count, rows, step, slot, stride):
    """One window with all its channels at a time: 5 times as fast as cell by cell."""
    size, _, kernel_size, stride, dilation, pad, _ = axis(table, WIDTH)
    channels, width, low = table[CHANNELS], lanes(source), weakest(source)
    code_step, tap_step, ahead = table[COLUMN_STEP], dilation * channels, table[AHEAD]
    last = max(channels - width, 0)
    for row in range(rows):
        line, into = beyond(source, row * step), ring_row(table, slot, row)
        for ow in range(count):
            left = (first + ow) * stride - pad
            begin, stop = taps_inside(left, size, kernel_size, dilation)
            for start in range(0, channels, width):
                c = min(start, last)
                at, to = (left + begin * dilation) * channels + c, into + ow * channels + c
                prefetch(line, at + ahead)
                code = splat(begin * code_step, codes)
                if channels < width:
                    best = load_inside(line, at, 0, channels, low)
                    for tap in range(begin + 1, stop):
                        at += tap_step
                        value = load_inside(line, at, 0, channels, low)
                        later = beats(value, best)
                        best = select(later, value, best)
                        code = select(later, splat(tap * code_step, codes), code)
                else:
                    best = load(line, at)
                    for tap in range(begin + 1, stop):
                        at += tap_step
                        value = load(line, at)
                        later = beats(value, best)
                        best = select(later, value, best)
                        code = select(later, splat(tap * code_step, codes), code)
                store(ring, to, best)
                store(codes, to, code)
    return 0


@kernel(signatures.REDUCE)
def reduce_taps(source, ring, codes, table, scratch, first, count, rows, step, slot, stride):
    """One tap at a time, of those inside: for windows that lie mostly outside."""
    size, _, kernel_size, stride, dilation, pad, _ = axis(table, WIDTH)
    channels = table[CHANNELS]
    for row in range(rows):
        line, into = beyond(source, row * step), ring_row(table, slot, row)
        for ow in range(count):
            left = (first + ow) * stride - pad
            begin, stop = taps_inside(left, size, kernel_size, dilation)
            for c in range(channels):
                best, best_tap = cell(line, (left + begin * dilation) * channels + c), begin
                for tap in range(begin + 1, stop):
                    value = cell(line, (left + tap * dilation) * channels + c)
                    if cell_beats(source, value, best):
                        best, best_tap = value, tap
                set_cell(ring, into + ow * channels + c, best)
                set_cell(codes, into + ow * channels + c, best_tap * table[COLUMN_STEP])
    return 0


@kernel(signatures.FILL)
def fill_tables(codes, table, scratch):
    """What depends on a window's place in its stretch alone: columns, and codes of first taps."""
    _, _, _, stride, dilation, pad, _ = axis(table, WIDTH)
    channels, pitch = table[CHANNELS], table[PITCH]
    columns = cells_of(scratch + table[COLUMNS], np.int64, codes)
    dense = table[DENSE_CELLS]
    firsts = cells_at(scratch + table[FIRSTS], codes)
    zeros = cells_at(scratch + table[FIRSTS] + table[CODE_SIZE] * dense, codes)
    for j in range(dense):
        outside = pad - j // channels * table[DENSE_STRIDE]
        tap = (outside + dilation - 1) // dilation if outside > 0 else 0
        set_cell(firsts, j, tap * table[COLUMN_STEP])
        set_cell(zeros, j, 0)
    for j in range(pitch):
        set_cell(columns, j, j // channels * stride)
    return 0

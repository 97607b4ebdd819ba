"""Down the rows: maxima of rows that are reduced, written with the indices that codes stand for."""

from __future__ import annotations

import numpy as np

from ..compile.jit import inlined
from ..compile.signature import kernel
from ..table import (
    COLUMNS,
    DILATION,
    HEIGHT,
    INDICES_STEP,
    LINE_INDEX_SIZE,
    OUTPUT_STEP,
    PHASES,
    PITCH,
    RING_STEP,
    ROW_BITS,
    ROW_STEP,
    SIZE,
    SLOTS,
    STRIDE,
    WIDTH,
)
from ..vectors.lanes import beats, key_bits, masked, plus, select, shift_right, times, widened
from ..vectors.memory import beyond, bytes_of, cells_of, lanes, load, splat, store, store_first
from . import signatures


@inlined
def flat_index(code, table, columns, j, base):
    """The positions of cells in their plane, from the codes of taps."""
    bits = table[ROW_BITS]
    index = widened(code, np.int64)
    if bits:  # a narrow code is a tap's row and column, side by side
        code = widened(code, np.int32)
        down = times(shift_right(code, bits), table[WIDTH + SIZE] * table[HEIGHT + DILATION])
        right = times(masked(code, (1 << bits) - 1), table[WIDTH + DILATION])
        index = widened(plus(down, right), np.int64)
    return plus(plus(index, load(columns, j)), splat(base, columns))


@inlined
def write(output, places, j, n, best, code, table, columns, base, flat, half):
    """Write a vector of maxima, and their indices, to a row of `n` cells from `j` on."""
    if half:
        best = key_bits(best)
    index = widened(code, places)
    if flat:
        index = widened(flat_index(code, table, columns, j, base), places)
    if n >= lanes(output):
        store(output, j, best)
        store(places, j, index)
    else:
        store_first(output, j, best, n)
        store_first(places, j, index, n)


@kernel(signatures.MERGE)
def merge_ring(
    ring, codes, output, places, table, scratch, slot, begin, stop, base, n, rows, flat, half
):
    """Write the maxima of windows over rows of the ring, for `rows` rows of windows.

    The taps from `begin` to `stop` lie inside; the first one's row is in `slot`, and `base` is
    the position of the first window's first tap.
    """
    width, pitch, row_step = lanes(output), table[PITCH], table[ROW_STEP]
    columns = cells_of(scratch + table[COLUMNS], np.int64, codes)
    slots, last, inside = table[SLOTS], max(n - width, 0), stop - begin
    end = slots * pitch
    output_step = table[OUTPUT_STEP] or n * bytes_of(output)
    places_step = table[INDICES_STEP] or n * table[LINE_INDEX_SIZE]
    ring_step, base_step = (
        table[RING_STEP],
        table[PHASES] * table[HEIGHT + STRIDE] * table[WIDTH + SIZE],
    )
    for start in range(0, n, width):
        j = min(start, last)
        oldest, origin = slot, base
        for row in range(rows):
            at = oldest * pitch + j
            best, code = load(ring, at), plus(load(codes, at), splat(begin * row_step, codes))
            for tap in range(1, inside):
                at += pitch
                if at >= end:
                    at -= end
                value = load(ring, at)
                later = beats(value, best)
                below = plus(load(codes, at), splat((begin + tap) * row_step, codes))
                best, code = select(later, value, best), select(later, below, code)
            values, indices = beyond(output, row * output_step), beyond(places, row * places_step)
            write(values, indices, j, n, best, code, table, columns, origin, flat, half)
            oldest += ring_step
            if oldest >= slots:
                oldest -= slots
            origin += base_step
    return 0


@kernel(signatures.JOIN)
def combine_rows(values, codes, later_values, later_codes, n, distance):
    """Let a later row replace what it beats, its codes being `distance` higher."""
    for j in range(0, n, lanes(values)):
        best, value = load(values, j), load(later_values, j)
        later = beats(value, best)
        store(values, j, select(later, value, best))
        code = plus(load(later_codes, j), splat(distance, codes))
        store(codes, j, select(later, code, load(codes, j)))
    return 0


@kernel(signatures.JOIN)
def copy_row(values, codes, later_values, later_codes, n, distance):
    """`combine_rows` where there is nothing to beat."""
    for j in range(0, n, lanes(values)):
        store(values, j, load(later_values, j))
        store(codes, j, plus(load(later_codes, j), splat(distance, codes)))
    return 0


@kernel(signatures.EMIT)
def emit_rows(
    values, codes, later_values, later_codes, output, places, table, scratch,
    offset, distance, base, n, flat, half,
):  # fmt: skip
    """Write the maxima of the end of a block and the beginning of the next.

    `offset` and `distance` are added to the codes of the one and the other.
    """
    width = lanes(output)
    columns = cells_of(scratch + table[COLUMNS], np.int64, codes)
    last = max(n - width, 0)
    for start in range(0, n, width):
        j = min(start, last)
        best, code = load(values, j), plus(load(codes, j), splat(offset, codes))
        value = load(later_values, j)
        later = beats(value, best)
        below = plus(load(later_codes, j), splat(distance, codes))
        best, code = select(later, value, best), select(later, below, code)
        write(output, places, j, n, best, code, table, columns, base, flat, half)
    return 0

"""Rows of indices made taps of a byte each, and rows of gradients, as `pull` reads them."""

from __future__ import annotations

import numpy as np

from ..compile.jit import inlined
from ..compile.signature import Signature, kernel
from ..table import (
    CHANNELS,
    GRADIENT_DIVISOR,
    HEIGHT,
    INDICES,
    OUTPUT,
    OUTPUTS,
    PITCH_UNITS,
    ROW,
    TAP_STEP,
    UNITS,
    WIDTH,
    WINDOW,
)
from ..vectors.adding import passed_on
from ..vectors.halves import single
from ..vectors.lanes import (
    below,
    bits,
    both,
    counted,
    masked,
    minus,
    plus,
    quotient,
    select,
    times,
    widened,
)
from ..vectors.memory import cells_of, lanes, load, load_inside, set_cell, shifted, splat, store
from .indices import LANES, first_bad, read_lanes
from .places import axis, taps_inside

BEYOND = 64  # codes that are written at a time, at most

# Rows of indices become taps; 0 if one is bad, else -1.
TRANSLATE = Signature("places taps shifts table oh rows")
# Rows of gradients are copied to where the taps lie, 16-bit floats as float32, and divided if they
# are those of averages.
COPY = Signature("x gradients table rows", "half divided")


@inlined
def fill_shifts(shifts, bytes_alone, table, like):
    """What translation must know of the columns of each window.

    That is its first column; or for window indices of a byte each, the first column of taps inside,
    and behind those of all windows how many are.
    """
    width, outputs, kernel_size, stride, _, pad, _ = axis(table, WIDTH)
    channels, window, length = table[CHANNELS], table[WINDOW], outputs * table[CHANNELS]
    numbers, codes = cells_of(shifts, np.int32, like), cells_of(shifts, np.uint8, like)
    for ow in range(outputs):
        shift = ow * stride - pad
        first, stop = taps_inside(shift, width, kernel_size, 1)
        for j in range(ow * channels, (ow + 1) * channels):
            if bytes_alone:
                set_cell(codes, j, first)
                set_cell(codes, length + j, stop - first)
            else:
                set_cell(numbers, j, -shift if window else shift)


@kernel(TRANSLATE)
def translate_rows(places, taps, shifts, table, oh, rows):
    """The taps that rows of indices name, `TAP_STEP` from one row of a window to the next.

    An index, less that of the first row of taps inside, is a number of rows and a column: of
    the plane if it is flat, of the window else. The quotient is a float32 product, and what
    follows shows whether it is right: an index that is no tap passes no test.
    """
    height, _, kernel_size, stride, _, pad, _ = axis(table, HEIGHT)
    width, outputs, columns, _, _, _, _ = axis(table, WIDTH)
    length, window, pitch = outputs * table[CHANNELS], table[WINDOW], table[TAP_STEP]
    row_step, row_pitch = table[INDICES + ROW], table[PITCH_UNITS]
    step, limit = (columns, width) if window else (width, columns)
    keep = -1 if window else 0
    reciprocal = np.float32(1) / np.float32(step) if kernel_size > 1 else np.float32(0)
    for _ in range(rows):
        top = oh * stride - pad
        first, stop = taps_inside(top, height, kernel_size, 1)
        base = first * columns if window else (top + first) * width
        for j in range(0, length, LANES):
            code = counted(read_lanes(places, j, length), base)
            down = quotient(code, reciprocal)
            across = minus(code, times(down, step))
            shift = load(shifts, j)
            column = minus(across, shift)
            valid = both(below(across, step), below(column, limit))
            valid = both(valid, below(down, stop - first))
            if first_bad(bits(valid), j, length) >= 0:
                return 0
            tap = plus(plus(column, masked(shift, keep)), times(down, pitch))
            store(taps, j, widened(minus(tap, -first * pitch), taps))
        places, taps = shifted(places, row_step), shifted(taps, row_pitch)
        oh += 1
    return -1


@kernel(TRANSLATE)
def translate_codes(places, taps, shifts, table, oh, rows):
    """`translate_rows` for window indices of a byte each: as many at a time as a vector has bytes.

    Rows of taps are taken off until a column is left.
    """
    height, _, kernel_size, stride, _, pad, _ = axis(table, HEIGHT)
    length, columns = table[WIDTH + OUTPUTS] * table[CHANNELS], axis(table, WIDTH)[2]
    row_step, row_pitch = table[INDICES + ROW], table[PITCH_UNITS]
    many, excess, counts = lanes(places), table[TAP_STEP] - columns, shifted(shifts, length)
    end = rows * length if row_step == length else length  # of rows that follow each other
    for _ in range(rows):
        first, stop = taps_inside(oh * stride - pad, height, kernel_size, 1)
        for j in range(0, length, many):
            code = read_vector(places, j, end)
            column, tap = code, code
            for _ in range(kernel_size - 1):
                left = minus(column, columns)
                over = below(left, column)
                column = select(over, left, column)
                tap = select(over, minus(tap, -excess), tap)
            valid = below(minus(column, load(shifts, j)), load(counts, j))
            valid = both(valid, below(minus(code, first * columns), (stop - first) * columns))
            # What lies behind the row is shifted out.
            if (bits(valid) ^ -1) << (64 - min(many, length - j)):
                return 0
            store(taps, j, tap)
        places, taps = shifted(places, row_step), shifted(taps, row_pitch)
        oh, end = oh + 1, max(length, end - length)
    return -1


@inlined
def read_vector(row, start, stop):
    """A vector of cells from `start` on; zeros from `stop` on.

    Of bytes, such a vector takes a branch for each lane where they cannot be masked.
    """
    if start + lanes(row) <= stop:
        return load(row, start)
    return load_inside(row, 0, start, stop, 0)


@kernel(COPY)
def copy_rows(x, gradients, table, rows, half, divided):
    """Rows of gradients, with zeros up to the next row."""
    many, units, length = lanes(x), table[UNITS], table[WIDTH + OUTPUTS] * table[CHANNELS]
    row_step, row_pitch = table[OUTPUT + ROW], table[PITCH_UNITS]
    end = rows * length if row_step == length else length  # of rows that follow each other
    number = table[GRADIENT_DIVISOR]
    for _ in range(rows):
        for j in range(0, length, many):  # what is read behind a row is written over
            values = single(read_vector(x, j, end), half)
            store(gradients, j, passed_on(values, number, divided))
        for j in range(length, max(units, length + 1), many):
            store(gradients, j, splat(0, gradients))
        x, gradients = shifted(x, row_step), shifted(gradients, row_pitch)
        end = max(length, end - length)
    # Behind the last row lie codes of indices that there are none of.
    for j in range(length - row_pitch, length - row_pitch + BEYOND, many):
        store(gradients, j, splat(0, gradients))
    return -1

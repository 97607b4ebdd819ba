"""What compiled code reads from its table: axes, strides, and where planes and windows lie.

A division takes as long as a block of windows, so the usual case has none.
"""

from __future__ import annotations

import numpy as np

from ..compile.jit import inlined
from ..table import (
    CHANNEL,
    COLUMN,
    DILATION,
    INDICES,
    INNER,
    INPUT,
    OUTER,
    OUTPUT,
    OUTPUTS,
    PAD,
    ROW,
    SIZE,
    SPAN,
    SPLIT,
    STRIDE,
    TAPS,
)


@inlined
def axis(table, which):
    """The seven numbers of an axis."""
    return (
        table[which + SIZE],
        table[which + OUTPUTS],
        table[which + TAPS],
        table[which + STRIDE],
        table[which + DILATION],
        table[which + PAD],
        table[which + SPAN],
    )


@inlined
def strides(table, which):
    """From one row, column and channel of an array to the next."""
    return table[which + ROW], table[which + COLUMN], table[which + CHANNEL]


@inlined
def plane_origin(table, which, plane):
    """Where plane number `plane` of an array begins; see `Memory`."""
    split = table[which + SPLIT]
    if plane < split:
        return plane * table[which + INNER]
    return plane // split * table[which + OUTER] + plane % split * table[which + INNER]


@inlined
def plane_origins(table, plane):
    """Where that plane of the input, the output and the indices begins."""
    return (
        plane_origin(table, INPUT, plane),
        plane_origin(table, OUTPUT, plane),
        plane_origin(table, INDICES, plane),
    )


@inlined
def whole_quotient(number, divisor):
    """A number that is not negative over another one: unsigned, which needs no correction."""
    return np.int64(np.uint64(number) // np.uint64(divisor))


@inlined
def rows_of_plane(row, last_row, height):
    """The plane that `row` lies in, and the rows of it from there up to `last_row`."""
    plane = row // height
    start = row - plane * height
    return plane, start, min(height, start + last_row - row)


@inlined
def taps_inside(start, size, kernel_size, dilation):
    """First tap of a window inside the input, and the one after its last."""
    if start >= 0 and start + (kernel_size - 1) * dilation < size:
        return 0, kernel_size
    if dilation == 1:
        return max(-start, 0), min(kernel_size, size - start)
    first = -(start // dilation) if start < 0 else 0
    return first, min(kernel_size, -((start - size) // dilation))

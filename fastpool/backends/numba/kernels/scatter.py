"""The scatter kernels: backward, which adds at the indices, and unpool, which writes there.

A band of input rows, or a whole plane, is filled by one task, which walks through all outputs
that can reach it, in order. So every cell gets its gradients in the order of the outputs,
whatever the number of tasks::

    input rows    0 1 2 3 | 4 5 6 7        two bands, of a task each
    windows of 3  0 0 0                    seen by the first task
      at stride 2     1 1 1                seen by both: each keeps what falls into its band
                          2 2 2            seen by the second task
"""

from __future__ import annotations

import numpy as np

from ..compile.jit import inlined
from ..compile.signature import WALK, kernel
from ..table import (
    ADD,
    CHANNELS,
    DEPTH,
    HEIGHT,
    INDICES,
    INPUT,
    OUTPUT,
    OUTPUTS,
    SIZE,
    SLICE,
    TIED,
    WIDTH,
    WINDOW,
)
from ..vectors.memory import cell, set_cell
from .places import axis, plane_origins, rows_of_plane, strides, whole_quotient


@inlined
def cell_of(code, oh, ow, table):
    """Row and column that an index names, or -1 and -1 if it may not."""
    height, _, kernel_h, stride_h, dilation_h, pad_h, span_h = axis(table, HEIGHT)
    width, _, kernel_w, stride_w, dilation_w, pad_w, span_w = axis(table, WIDTH)
    top, left = oh * stride_h - pad_h, ow * stride_w - pad_w
    if code < 0:
        return -1, -1
    if table[WINDOW]:
        if code >= kernel_h * kernel_w:
            return -1, -1
        tap = code // kernel_w
        h, w = top + tap * dilation_h, left + (code - tap * kernel_w) * dilation_w
        inside = h >= 0 and h < height and w >= 0 and w < width
        return (h, w) if inside else (-1, -1)
    h = whole_quotient(code, width)
    w = code - h * width
    if h >= height:
        return -1, -1
    if table[TIED]:
        down, right = h - top, w - left
        if down < 0 or down >= span_h or right < 0 or right >= span_w:
            return -1, -1
        if (dilation_h > 1 and down % dilation_h) or (dilation_w > 1 and right % dilation_w):
            return -1, -1
    return h, w


@inlined
def windows_near(start, stop, numbers):
    """The windows that reach rows, or slices, from `start` up to `stop`.

    Windows beyond the plane, which unpooling may have, belong to its first and last band.
    """
    size, outputs, _, stride, _, pad, span = numbers
    low = max(0, -((span - 1 - pad - start) // stride)) if start > 0 else 0
    high = min(outputs, (stop - 1 + pad) // stride + 1) if stop < size else outputs
    return low, high


@inlined
def outside(place, count):
    """Whether a place is none of the first so many: one comparison for both ends."""
    return np.uint64(place) >= np.uint64(count)


@inlined
def quotient(number, reciprocal):
    """A number, which is not negative, over another one whose reciprocal this is, rounded down.

    The quotient is half a unit of ``1 / divisor`` away from an integer, or more: so it is right
    below 2**51.
    """
    return np.int64((number + 0.5) * reciprocal)


@kernel(WALK)
def scatter_any(x, output, places, scratch, table, first_row, last_row):
    """Fill the rows of `output` from `first_row` up to `last_row`, counted through all planes.

    For everything: any memory, dilation and size. Tied indices must be taps of their own
    window, others any cell of the plane. Returns the C-order position of the first index that
    is neither, among those seen, or -1.
    """
    height, outputs = table[HEIGHT + SIZE], table[HEIGHT + OUTPUTS]
    width, length, channels = table[WIDTH + SIZE], table[WIDTH + OUTPUTS], table[CHANNELS]
    to_row, to_column, to_channel = strides(table, INPUT)
    of_row, of_column, of_channel = strides(table, OUTPUT)
    at_row, at_column, at_channel = strides(table, INDICES)
    row = first_row
    while row < last_row:
        plane, start, stop = rows_of_plane(row, last_row, height)
        row += stop - start
        to, of, at = plane_origins(table, plane)
        for h in range(start, stop):
            for w in range(width):
                for c in range(channels):
                    set_cell(output, to + h * to_row + w * to_column + c * to_channel, 0)
        low, high = 0, outputs
        if table[TIED]:
            low, high = windows_near(start, stop, axis(table, HEIGHT))
        for oh in range(low, high):
            for ow in range(length):
                for c in range(channels):
                    source = at + oh * at_row + ow * at_column + c * at_channel
                    code = np.int64(cell(places, source))
                    h, w = cell_of(code, oh, ow, table)
                    if h < 0:
                        return ((plane * outputs + oh) * length + ow) * channels + c
                    if start <= h < stop:
                        place = to + h * to_row + w * to_column + c * to_channel
                        value = cell(x, of + oh * of_row + ow * of_column + c * of_channel)
                        if table[ADD]:
                            value += cell(output, place)
                        set_cell(output, place, value)
    return -1


@inlined
def any_stray(places, at, table, shares, windows):
    """Whether some index of a row of windows names no cell; or, if tied, no tap of its own window.

    Tied ones are divided, as floats. `shares` are the reciprocals of sizes and dilations. No index
    is looked at before another: of such a loop LLVM can make vectors.
    """
    depth, _, _, stride_d, dilation_d, pad_d, span_d = axis(table, DEPTH)
    height, _, _, stride_h, dilation_h, pad_h, span_h = axis(table, HEIGHT)
    width, length, _, stride_w, dilation_w, pad_w, span_w = axis(table, WIDTH)
    _, at_column, at_channel = strides(table, INDICES)
    of_height, of_width, of_dilation_d, of_dilation_h, of_dilation_w = shares
    cells, tied = depth * height * width, table[TIED]
    gaps = max(dilation_d, dilation_h, dilation_w) > 1
    od, oh = windows
    front, top, stray = od * stride_d - pad_d, oh * stride_h - pad_h, False
    for c in range(table[CHANNELS]):
        for ow in range(length):
            code = np.int64(cell(places, at + ow * at_column + c * at_channel))
            stray |= outside(code, cells)
            if tied:
                h = quotient(code, of_width)
                w = code - h * width - (ow * stride_w - pad_w)
                d = quotient(h, of_height)
                h -= d * height + top
                d -= front
                stray |= outside(d, span_d)
                stray |= outside(h, span_h)
                stray |= outside(w, span_w)
                if gaps:
                    stray |= d != quotient(d, of_dilation_d) * dilation_d
                    stray |= h != quotient(h, of_dilation_h) * dilation_h
                    stray |= w != quotient(w, of_dilation_w) * dilation_w
    return stray


@inlined
def first_outside(places, at, table):
    """Which index of a row, in C order, is the first that names no cell; 0 if there is none."""
    cells = table[DEPTH + SIZE] * table[HEIGHT + SIZE] * table[WIDTH + SIZE]
    _, at_column, at_channel = strides(table, INDICES)
    length, channels = table[WIDTH + OUTPUTS], table[CHANNELS]
    for ow in range(length):
        for c in range(channels):
            if outside(np.int64(cell(places, at + ow * at_column + c * at_channel)), cells):
                return ow * channels + c
    return 0


@kernel(WALK)
def scatter_flat(x, output, places, scratch, table, first_row, last_row):
    """Fill planes, or volumes, whose cells follow each other, by flat indices.

    An index is then the cell's place. Rows are those of all slices. Returns the position of the
    first index that names no cell; that of the row, if all do and some lie in other windows; or -1.
    """
    depth, slices, _, _, dilation_d, _, _ = axis(table, DEPTH)
    height, outputs, _, _, dilation_h, _, _ = axis(table, HEIGHT)
    width, length, _, _, dilation_w, _, _ = axis(table, WIDTH)
    shares = 1 / height, 1 / width, 1 / dilation_d, 1 / dilation_h, 1 / dilation_w
    of_row, of_column, of_channel = strides(table, OUTPUT)
    at_row, at_column, at_channel = strides(table, INDICES)
    rows, channels, adds = depth * height, table[CHANNELS], table[ADD]
    row = first_row
    while row < last_row:
        plane, start, stop = rows_of_plane(row, last_row, rows)
        row += stop - start
        to, of, at = plane_origins(table, plane)
        first, count = start * width, (stop - start) * width
        for j in range(first * channels, (first + count) * channels):
            set_cell(output, to + j, 0)
        (low, high), (above, below) = (0, slices), (0, outputs)
        if table[TIED]:
            nearest, last = start // height, (stop - 1) // height
            low, high = windows_near(nearest, last + 1, axis(table, DEPTH))
            if nearest == last:
                top, bottom = start - nearest * height, stop - nearest * height
                above, below = windows_near(top, bottom, axis(table, HEIGHT))
        for od in range(low, high):
            for oh in range(above, below):
                values = of + od * table[OUTPUT + SLICE] + oh * of_row
                codes = at + od * table[INDICES + SLICE] + oh * at_row
                if any_stray(places, codes, table, shares, (od, oh)):
                    begin = ((plane * slices + od) * outputs + oh) * length * channels
                    return begin + first_outside(places, codes, table)
                for c in range(channels):
                    for ow in range(length):
                        code = np.int64(cell(places, codes + ow * at_column + c * at_channel))
                        if outside(code - first, count):
                            continue
                        place = to + code * channels + c
                        value = cell(x, values + ow * of_column + c * of_channel)
                        if adds:
                            value += cell(output, place)
                        set_cell(output, place, value)
    return -1


@inlined
def cell_in_volume(code, od, oh, ow, table):
    """Slice, row and column that an index names, or three times -1 if it may not."""
    depth, _, kernel_d, stride_d, dilation_d, pad_d, span_d = axis(table, DEPTH)
    height, width = table[HEIGHT + SIZE], table[WIDTH + SIZE]
    front = od * stride_d - pad_d
    if code < 0:
        return -1, -1, -1
    cells = height * width
    if table[WINDOW]:
        cells = axis(table, HEIGHT)[2] * axis(table, WIDTH)[2]
    d = whole_quotient(code, cells)
    h, w = cell_of(code - d * cells, oh, ow, table)
    if table[WINDOW]:
        if d >= kernel_d:
            return -1, -1, -1
        d = front + d * dilation_d
    elif table[TIED]:
        back = d - front
        if back < 0 or back >= span_d or (dilation_d > 1 and back % dilation_d):
            return -1, -1, -1
    if h < 0 or d < 0 or d >= depth:
        return -1, -1, -1
    return d, h, w


@kernel(WALK)
def scatter_volumes(x, output, places, scratch, table, first_row, last_row):
    """`scatter_any` for volumes: a row is a slice, and a band some slices of one volume."""
    depth, outputs = table[DEPTH + SIZE], table[DEPTH + OUTPUTS]
    height, rows, width, length = (
        table[HEIGHT + SIZE], table[HEIGHT + OUTPUTS], table[WIDTH + SIZE], table[WIDTH + OUTPUTS],
    )  # fmt: skip
    channels = table[CHANNELS]
    to_slice, of_slice, at_slice = (
        table[INPUT + SLICE],
        table[OUTPUT + SLICE],
        table[INDICES + SLICE],
    )
    to_row, to_column, to_channel = strides(table, INPUT)
    of_row, of_column, of_channel = strides(table, OUTPUT)
    at_row, at_column, at_channel = strides(table, INDICES)
    row = first_row
    while row < last_row:
        plane, start, stop = rows_of_plane(row, last_row, depth)
        row += stop - start
        to, of, at = plane_origins(table, plane)
        for d in range(start, stop):
            for h in range(height):
                for w in range(width):
                    for c in range(channels):
                        line = to + d * to_slice + h * to_row
                        set_cell(output, line + w * to_column + c * to_channel, 0)
        low, high = 0, outputs
        if table[TIED]:
            low, high = windows_near(start, stop, axis(table, DEPTH))
        for od in range(low, high):
            for oh in range(rows):
                for ow in range(length):
                    for c in range(channels):
                        source = at + od * at_slice + oh * at_row + ow * at_column + c * at_channel
                        code = np.int64(cell(places, source))
                        d, h, w = cell_in_volume(code, od, oh, ow, table)
                        if d < 0:
                            line = (plane * outputs + od) * rows + oh
                            return (line * length + ow) * channels + c
                        if start <= d < stop:
                            place = to + d * to_slice + h * to_row + w * to_column + c * to_channel
                            from_ = of + od * of_slice + oh * of_row
                            value = cell(x, from_ + ow * of_column + c * of_channel)
                            if table[ADD]:
                                value += cell(output, place)
                            set_cell(output, place, value)
    return -1

"""Rows on their way in and out, where kernels cannot read or write them where they are."""

from __future__ import annotations

import numpy as np

from ..compile.signature import kernel
from ..table import (
    CHANNEL,
    CHANNELS,
    DEPTH,
    HEIGHT,
    INFINITY,
    INPUT,
    OUTPUT,
    PHASES,
    ROW,
    SIZE,
    SLICE,
    WIDTH,
)
from ..vectors.lanes import differ, key_bits, nan_bits, sort_key
from ..vectors.memory import (
    beyond,
    bytes_of,
    cell,
    lanes,
    load,
    load_inside,
    set_cell,
    shifted,
    store,
)
from ..vectors.transpose import transpose_in, transpose_out
from . import signatures
from .places import axis, strides, taps_inside


@kernel(signatures.STAGE)
def stage_lines(x, stage, table, rows, step):
    """Copy rows, `step` bytes apart, to where their cells lie side by side.

    16-bit floats become their order. Returns whether an order stands for several bits: a
    negative zero or a NaN.
    """
    size, channels, width = table[WIDTH + SIZE], table[CHANNELS], lanes(x)
    _, column, channel = strides(table, INPUT)
    n, infinity, lost = size * channels, table[INFINITY], 0
    for row in range(rows):
        source, to = beyond(x, row * step), row * n
        if column != channels or channel != 1:
            for w in range(size):
                for c in range(channels):
                    value = cell(source, w * column + c * channel)
                    set_cell(stage, to + w * channels + c, value)
            source = shifted(stage, to)
        for start in range(0, n if infinity else 0, width):
            bits = load_inside(source, 0, start, n, 0)
            key = sort_key(bits, infinity)
            store(stage, to + start, key)
            lost |= differ(key_bits(key), bits)
    return lost


@kernel(signatures.STAGE)
def stage_planes(x, stage, table, rows, step):
    """`stage_lines` for planes side by side in the lanes.

    (32, 512, 7, 7) k3 s1 takes half the time.
    """
    size, width, infinity, lost = table[WIDTH + SIZE], lanes(x), table[INFINITY], 0
    cells = rows * size
    if step == size * bytes_of(x):  # rows that follow each other are one: full blocks
        rows, size = 1, cells
    for row in range(rows):
        line = beyond(x, row * step)
        for start in range(0, size, width):
            at = (row * size + start) * width
            transpose_in(line, table[INPUT + CHANNEL], start, size - start, stage, at)
    for j in range(0, cells * width if infinity else 0, width):
        bits = load(stage, j)
        key = sort_key(bits, infinity)
        store(stage, j, key)
        lost |= differ(key_bits(key), bits)
    return lost


@kernel(signatures.SPREAD)
def spread_planes(line, target, table, which, count, rows):
    """`spread_lines` for planes side by side in the lanes; indices take their final width."""
    width, step, size = lanes(line), table[PHASES] * table[which + ROW], count
    if step == count:
        rows, size = 1, rows * count
    for row in range(rows):
        for start in range(0, size, width):
            at = (row * size + start) * width
            to = row * step + start
            transpose_out(line, at, target, table[which + CHANNEL], to, size - start)
    return 0


@kernel(signatures.SPREAD)
def spread_lines(line, target, table, which, count, rows):
    """Copy rows of windows and channels to where their cells lie apart."""
    row_step, column, channel = strides(table, which)
    channels = table[CHANNELS]
    for row in range(rows):
        to, at = row * table[PHASES] * row_step, row * count * channels
        for ow in range(count):
            for c in range(channels):
                value = cell(line, at + ow * channels + c)
                set_cell(target, to + ow * column + c * channel, value)
    return 0


@kernel(signatures.MEND)
def mend_keys(x, output, table, od, oh, first, count):
    """Find the bits of 16-bit zeros and NaNs in a row of a plane: their keys do not tell.

    The first cell of the window with that key is the one that was picked.
    """
    depth, _, kernel_d, stride_d, dilation_d, pad_d, _ = axis(table, DEPTH)
    height, _, kernel_h, stride_h, dilation_h, pad_h, _ = axis(table, HEIGHT)
    width, _, kernel_w, stride_w, dilation_w, pad_w, _ = axis(table, WIDTH)
    x_row, x_column, x_channel = strides(table, INPUT)
    row, column, channel = strides(table, OUTPUT)
    front, top = od * stride_d - pad_d, oh * stride_h - pad_h
    nearest, furthest = taps_inside(front, depth, kernel_d, dilation_d)
    above, below = taps_inside(top, height, kernel_h, dilation_h)
    rows = (furthest - nearest) * (below - above)
    nan = nan_bits(output)
    for ow in range(first, first + count):
        left = ow * stride_w - pad_w
        begin, stop = taps_inside(left, width, kernel_w, dilation_w)
        for c in range(table[CHANNELS]):
            at = oh * row + ow * column + c * channel
            found = np.int64(cell(output, at))
            if found != 0 and found != nan:
                continue
            wanted = np.int64(-1)
            for tap in range(rows * (stop - begin)):
                line = tap // (stop - begin)
                d = front + (nearest + line // (below - above)) * dilation_d
                h = top + (above + line % (below - above)) * dilation_h
                w = left + (begin + tap % (stop - begin)) * dilation_w
                place = d * table[INPUT + SLICE] + h * x_row + w * x_column + c * x_channel
                if tap == 0:
                    wanted = place
                magnitude = np.int64(cell(x, place)) & 0x7FFF
                if magnitude == 0 if found == 0 else magnitude > table[INFINITY]:
                    wanted = place
                    break
            set_cell(output, at, cell(x, wanted))
    return 0

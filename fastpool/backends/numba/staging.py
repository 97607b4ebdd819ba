"""Rows on their way in and out, where kernels cannot read or write them where they are."""

from __future__ import annotations

import numpy as np

from .lanes import differ, order, order_bits
from .plan import (
    CHANNELS,
    HEIGHT,
    INFINITY,
    INPUT,
    OUTPUT,
    PHASES,
    WIDTH,
    axis,
    strides,
    taps_inside,
)
from .simd import (
    address_of,
    beyond,
    bytes_of,
    cell,
    lanes,
    load,
    load_inside,
    set_cell,
    shifted,
    store,
    store_first,
    store_past,
    transpose_in,
    transpose_out,
)


def stage_rows(x, stage, table, rows, step):
    """Copy rows, `step` bytes apart, to where their cells lie side by side.

    16-bit floats become their order. Returns whether an order stands for several bits: a
    negative zero or a NaN.
    """
    size, channels, width = table[WIDTH], table[CHANNELS], lanes(x)
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
            key = order(bits, infinity)
            store(stage, to + start, key)
            lost |= differ(order_bits(key), bits)
    return lost


def stage_planes(x, stage, table, rows, step):
    """`stage_rows` for planes side by side in the lanes: (32, 512, 7, 7) k3 s1 in half the time."""
    size, width, infinity, lost = table[WIDTH], lanes(x), table[INFINITY], 0
    cells = rows * size
    if step == size * bytes_of(x):  # rows that follow each other are one: full blocks
        rows, size = 1, cells
    for row in range(rows):
        line = beyond(x, row * step)
        for start in range(0, size, width):
            at = (row * size + start) * width
            transpose_in(line, table[INPUT + 5], start, size - start, stage, at)
    for j in range(0, cells * width if infinity else 0, width):
        bits = load(stage, j)
        key = order(bits, infinity)
        store(stage, j, key)
        lost |= differ(order_bits(key), bits)
    return lost


def spread_planes(line, target, table, which, count, rows):
    """`spread_rows` for planes side by side in the lanes; indices take their final width."""
    width, step, size = lanes(line), table[PHASES] * table[which + 3], count
    if step == count:
        rows, size = 1, rows * count
    for row in range(rows):
        for start in range(0, size, width):
            at = (row * size + start) * width
            to = row * step + start
            transpose_out(line, at, target, table[which + 5], to, size - start)
    return 0


def spread_rows(line, target, table, which, count, rows):
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


def stream_row(line, target, size):
    """Copy `size` bytes past the caches, which do not hold outputs of such a size anyway.

    A line that is written as a whole need not be read before: 1.2 to 1.5 times faster from memory.
    """
    width = lanes(line)
    first = min(-address_of(target) % width, size)
    store_first(target, 0, load(line, 0), first)
    at = first
    while at + width <= size:
        store_past(target, at, load(line, at))
        at += width
    if at < size:
        store_first(target, at, load(line, at), size - at)
    return 0


def mend_row(x, output, table, oh, first, count):
    """Find the bits of 16-bit zeros and NaNs in a row of a plane: their order does not tell."""
    height, _, kernel_h, stride_h, dilation_h, pad_h, _ = axis(table, HEIGHT)
    width, _, kernel_w, stride_w, dilation_w, pad_w, _ = axis(table, WIDTH)
    x_row, x_column, x_channel = strides(table, INPUT)
    row, column, channel = strides(table, OUTPUT)
    top = oh * stride_h - pad_h
    above, below = taps_inside(top, height, kernel_h, dilation_h)
    for ow in range(first, first + count):
        left = ow * stride_w - pad_w
        begin, stop = taps_inside(left, width, kernel_w, dilation_w)
        for c in range(table[CHANNELS]):
            at = oh * row + ow * column + c * channel
            found = np.int64(cell(output, at))
            if found != 0 and found != 0x7FFF:
                continue
            wanted = (above, begin)
            for tap in range((below - above) * (stop - begin)):
                down, right = above + tap // (stop - begin), begin + tap % (stop - begin)
                h, w = top + down * dilation_h, left + right * dilation_w
                magnitude = np.int64(cell(x, h * x_row + w * x_column + c * x_channel)) & 0x7FFF
                if magnitude == 0 if found == 0 else magnitude > table[INFINITY]:
                    wanted = (down, right)
                    break
            h, w = top + wanted[0] * dilation_h, left + wanted[1] * dilation_w
            set_cell(output, at, cell(x, h * x_row + w * x_column + c * x_channel))
    return 0

"""The scatter kernel: backward, which adds at the indices, and unpool, which writes there.

A task owns a band of input rows and walks through all outputs that can reach it, in order, so
that every cell gets its gradients in the order of the outputs whatever the number of tasks.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from .jit import driver, inlined, kernel
from .plan import HEIGHT, INDICES, INPUT, OUTPUT, WIDTH, axis, plane_origin, rows_of_plane


@inlined
def cell_of(code, oh, ow, plan, window, tied):
    """Row and column that an index names, or -1 and -1 if it may not."""
    height, _, kernel_h, stride_h, dilation_h, pad_h, span_h = axis(plan, HEIGHT)
    width, _, kernel_w, stride_w, dilation_w, pad_w, span_w = axis(plan, WIDTH)
    top, left = oh * stride_h - pad_h, ow * stride_w - pad_w
    if code < 0:
        return -1, -1
    if window:
        if code >= kernel_h * kernel_w:
            return -1, -1
        tap = code // kernel_w
        h, w = top + tap * dilation_h, left + (code - tap * kernel_w) * dilation_w
        inside = h >= 0 and h < height and w >= 0 and w < width
        return (h, w) if inside else (-1, -1)
    h = np.int64(np.uint64(code) // np.uint64(width))  # unsigned: no correction of the sign
    w = code - h * width
    if h >= height:
        return -1, -1
    if tied:
        down, right = h - top, w - left
        if down < 0 or down >= span_h or right < 0 or right >= span_w:
            return -1, -1
        if (dilation_h > 1 and down % dilation_h) or (dilation_w > 1 and right % dilation_w):
            return -1, -1
    return h, w


@inlined
def clear_row(target, origin, width, column, channels, channel):
    """Set one row of all channels to zero."""
    if column == channels and (channels == 1 or channel == 1):
        for j in range(np.uintp(width * channels)):
            target[np.uintp(origin) + j] = 0
        return
    for w in range(width):
        for c in range(channels):
            target[np.uintp(origin + w * column + c * channel)] = 0


@kernel
def scatter_rows(values, indices, target, plan, channels, window, tied, add, first_row, last_row):
    """Fill the rows of `target` from `first_row` up to `last_row`, counted through all planes.

    `tied` indices must be taps of their own window, others any cell of the plane. Returns the
    C-order position of the first index that is neither, among those seen, or -1.
    """
    height, outputs, _, stride, _, pad, span = axis(plan, HEIGHT)
    width, length = plan[WIDTH, 0], plan[WIDTH, 1]
    to_row, to_column, to_channel = plan[INPUT, 4], plan[INPUT, 5], plan[INPUT, 6]
    of_row, of_column, of_channel = plan[OUTPUT, 4], plan[OUTPUT, 5], plan[OUTPUT, 6]
    at_row, at_column, at_channel = plan[INDICES, 4], plan[INDICES, 5], plan[INDICES, 6]
    row = first_row
    while row < last_row:
        plane, start, stop = rows_of_plane(row, last_row, height)
        row += stop - start
        to = plane_origin(plan, INPUT, plane)
        of = plane_origin(plan, OUTPUT, plane)
        at = plane_origin(plan, INDICES, plane)
        for h in range(start, stop):
            clear_row(target, to + h * to_row, width, to_column, channels, to_channel)
        low, high = 0, outputs
        if tied:
            low = max(0, -((span - 1 - pad - start) // stride))
            high = min(outputs, (stop - 1 + pad) // stride + 1)
        for oh in range(low, high):
            for ow in range(length):
                for c in range(channels):
                    place = np.uintp(at + oh * at_row + ow * at_column + c * at_channel)
                    code = np.int64(indices[place])
                    h, w = cell_of(code, oh, ow, plan, window, tied)
                    if h < 0:
                        return ((plane * outputs + oh) * length + ow) * channels + c
                    if start <= h < stop:
                        cell = np.uintp(to + h * to_row + w * to_column + c * to_channel)
                        value = values[np.uintp(of + oh * of_row + ow * of_column + c * of_channel)]
                        target[cell] = target[cell] + value if add else value
    return -1


@driver
def scatter_parallel(values, indices, target, plan, channels, window, tied, add, rows, tasks):
    """`scatter_rows` over all rows, in `tasks` bands; the first offender of all, or -1."""
    found = np.empty(tasks, np.int64)
    for number in prange(tasks):
        task = np.int64(number)  # prange counts unsigned, and unsigned with signed is float64
        found[task] = scatter_rows(
            values,
            indices,
            target,
            plan,
            channels,
            window,
            tied,
            add,
            rows * task // tasks,
            rows * (task + 1) // tasks,
        )
    bad = found[found >= 0]
    return bad.min() if bad.size else -1

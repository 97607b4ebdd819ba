"""The forward kernel: rows first, then columns.

Every input row is reduced once to its window maxima, into a ring of as many rows as a window
has; an output row is the maximum over the ring. So overlapping windows share their rows' work,
and the cost grows with KH + KW. Value and position move together, by one selection.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from .jit import driver, inlined, kernel
from .plan import HEIGHT, INDICES, INPUT, OUTPUT, WIDTH, axis, plane_origin, rows_of_plane


@inlined
def beats(value, best, infinity):
    """Whether a later `value` replaces `best`: it is larger, or the first NaN.

    `infinity` is None but for 16-bit floats, which come as their bits; magnitudes above it
    are NaN.
    """
    if infinity is None:
        # One unordered and one ordered comparison: 1.6 times faster than `or` and a branch.
        return (not (value <= best)) & (best == best)
    return order(value, infinity) > order(best, infinity)


@inlined
def order(bits, infinity):
    """An int32 in the order of a 16-bit float: both zeros are 0, every NaN is above all."""
    magnitude = np.int32(bits & 0x7FFF)
    signed = -magnitude if bits & 0x8000 else magnitude
    return np.int32(0x8000) if magnitude > np.int32(infinity) else signed


@inlined
def taps_inside(start, size, kernel_size, dilation):
    """First tap of a window inside the input, and the one after its last."""
    if start >= 0 and start + (kernel_size - 1) * dilation < size:
        return 0, kernel_size
    first = -(start // dilation) if start < 0 else 0
    return first, min(kernel_size, -((start - size) // dilation))


@inlined
def take_run(x, at, step, values, codes, j, length, code, code_step):
    """Set a run of windows to one tap each: `step` apart in `x`, side by side in the row."""
    for i in range(np.uintp(length)):
        values[np.uintp(j) + i] = x[np.uintp(at) + i * np.uintp(step)]
        codes[np.uintp(j) + i] = code + np.int64(i) * code_step


@inlined
def update_run(x, at, step, values, codes, j, length, code, code_step, infinity):
    """Let one more tap replace what it beats, in a run of windows.

    Positions are unsigned, which spares Numba's test for indices from the end.
    """
    for i in range(np.uintp(length)):
        value, best = x[np.uintp(at) + i * np.uintp(step)], values[np.uintp(j) + i]
        later = beats(value, best, infinity)
        candidate, current = code + np.int64(i) * code_step, codes[np.uintp(j) + i]
        values[np.uintp(j) + i] = value if later else best
        codes[np.uintp(j) + i] = candidate if later else current


@inlined
def reduce_row(x, origin, plan, channels, window, infinity, values, codes, slot):
    """Maximum of every window over one input row, with its column or its tap as code."""
    size, outputs, kernel_size, stride, dilation, pad, _ = axis(plan, WIDTH)
    column, channel = plan[INPUT, 5], plan[INPUT, 6]
    # A run is one window with all its channels, or, where there is one channel, all windows
    # that start inside the input, whose taps lie side by side.
    alone = 0
    if channels > 1 or pad > size:
        alone = outputs
    elif pad > 0:
        alone = min(-(-pad // stride), outputs)
    for run in range(min(alone + 1, outputs)):
        start = run * stride - pad
        if run < alone:
            first, stop = taps_inside(start, size, kernel_size, dilation)
            step, length, code_step = channel, channels, 0
        else:
            first, stop = 0, min(kernel_size, -((start - size) // dilation))
            step, code_step = stride * column, 0 if window else stride
            length = outputs - run
        for tap in range(first, stop):
            w = start + tap * dilation
            if run == alone:
                length = min(outputs, -((tap * dilation - pad - size) // stride)) - run
            at, j, code = origin + w * column, slot + run * channels, tap if window else w
            if tap == first:
                take_run(x, at, step, values, codes, j, length, code, code_step)
            elif step == 1:  # as constants, 1 and 2 become vector loads
                update_run(x, at, 1, values, codes, j, length, code, code_step, infinity)
            elif step == 2:
                update_run(x, at, 2, values, codes, j, length, code, code_step, infinity)
            else:
                update_run(x, at, step, values, codes, j, length, code, code_step, infinity)


@inlined
def merge_row(values, codes, ring_values, ring_codes, slot, code, infinity):
    """Let a later row of the ring replace what it beats."""
    for j in range(np.uintp(values.size)):
        value, best = ring_values[np.uintp(slot) + j], values[j]
        later = beats(value, best, infinity)
        candidate, current = ring_codes[np.uintp(slot) + j] + code, codes[j]
        values[j] = value if later else best
        codes[j] = candidate if later else current


@inlined
def store_row(source, target, plan, which, origin, channels):
    """Write a row of windows and channels to where it belongs."""
    column, channel = plan[which, 5], plan[which, 6]
    if column == channels and (channels == 1 or channel == 1):
        for j in range(np.uintp(source.size)):
            target[np.uintp(origin) + j] = source[j]
        return
    for output in range(plan[WIDTH, 1]):
        for c in range(channels):
            at = np.uintp(origin + output * column + c * channel)
            target[at] = source[np.uintp(output * channels + c)]


@kernel
def forward_rows(x, output, indices, plan, channels, window, infinity, first_row, last_row):
    """Pool the output rows from `first_row` up to `last_row`, counted through all planes.

    Without `indices` (an empty array) only `output` is written.
    """
    height, outputs, kernel_size, stride, dilation, pad, _ = axis(plan, HEIGHT)
    length = plan[WIDTH, 1] * channels
    # Windows share rows if their starts are congruent modulo the dilation, so those are
    # walked together, and a ring as long as the window will do.
    phases = dilation // math.gcd(stride, dilation)
    slots = min(kernel_size, -(-height // dilation))
    ring_values = np.empty(slots * length, x.dtype)
    ring_codes = np.empty(slots * length, np.int64)
    held = np.empty(slots, np.int64)
    values = np.empty(length, x.dtype)
    codes = np.empty(length, np.int64)
    row = first_row
    while row < last_row:
        plane, start, stop = rows_of_plane(row, last_row, outputs)
        row += stop - start
        source = plane_origin(plan, INPUT, plane)
        for phase in range(min(phases, stop - start)):
            held[:] = -1
            for oh in range(start + phase, stop, phases):
                top = oh * stride - pad
                first, last = taps_inside(top, height, kernel_size, dilation)
                for tap in range(first, last):
                    h = top + tap * dilation
                    number = h // dilation % slots
                    slot = number * length
                    if held[number] != h:
                        held[number] = h
                        reduce_row(
                            x,
                            source + h * plan[INPUT, 4],
                            plan,
                            channels,
                            window,
                            infinity,
                            ring_values,
                            ring_codes,
                            slot,
                        )
                    code = tap * plan[WIDTH, 2] if window else h * plan[WIDTH, 0]
                    if tap == first:
                        for j in range(length):
                            values[j] = ring_values[slot + j]
                            codes[j] = ring_codes[slot + j] + code
                    else:
                        merge_row(values, codes, ring_values, ring_codes, slot, code, infinity)
                target = plane_origin(plan, OUTPUT, plane) + oh * plan[OUTPUT, 4]
                store_row(values, output, plan, OUTPUT, target, channels)
                if indices.size:
                    target = plane_origin(plan, INDICES, plane) + oh * plan[INDICES, 4]
                    store_row(codes, indices, plan, INDICES, target, channels)


@driver
def forward_parallel(x, output, indices, plan, channels, window, infinity, rows, tasks):
    """`forward_rows` over all rows, in `tasks` ranges."""
    for number in prange(tasks):
        task = np.int64(number)  # prange counts unsigned, and unsigned with signed is float64
        forward_rows(
            x,
            output,
            indices,
            plan,
            channels,
            window,
            infinity,
            rows * task // tasks,
            rows * (task + 1) // tasks,
        )

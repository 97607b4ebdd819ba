"""The most frequent value of every window, counted in a table with open addresses.

Most windows of label images have one value alone, and are done when that is seen. The values of
others are counted, and then looked up in the order of their taps: the first of those that no other
beats wins. A slot of the table is empty unless it has the number of its window, so that nothing is
cleared from one window to the next (Knuth, The Art of Computer Programming 3, 6.4).
"""

from __future__ import annotations

import numpy as np

from ..compile.jit import inlined
from ..compile.signature import kernel
from ..table import (
    CHANNELS,
    DEPTH,
    DILATION,
    HEIGHT,
    INDICES,
    INPUT,
    OUTPUT,
    OUTPUTS,
    PICK_REACH_DEPTH,
    PICK_REACH_HEIGHT,
    PICK_REACH_WIDTH,
    SIZE,
    SLICE,
    SLOTS_OF_COUNTS,
    TAPS,
    WIDTH,
    WINDOW,
)
from ..vectors.memory import cell, integers_at, set_cell
from .picking import PICK
from .places import strides
from .sums import reach_of

# The golden ratio of 2**64, of odd numbers: values that follow each other go far apart.
_SPREAD = np.int64(-7046029254386353131)


@inlined
def label(x, at, truth):
    """A cell as a number that equal labels share."""
    value = np.int64(cell(x, at))
    return np.int64(value != 0) if truth else value


@inlined
def slot_of(table, window, value):
    """The slot of a value: the one that has it, or the first empty one after its own."""
    keys, windows, last = table
    slot = ((value * _SPREAD) >> 32) & last
    while windows[slot] == window and keys[slot] != value:
        slot = (slot + 1) & last
    return slot


@kernel(PICK)
def count_row(x, output, places, table, scratch, od, oh, half):
    """The most frequent value of each window of a row; with `half`, cells are truth values."""
    front, nearest, furthest = reach_of(table, DEPTH, PICK_REACH_DEPTH, od)
    top, above, below = reach_of(table, HEIGHT, PICK_REACH_HEIGHT, oh)
    step_d, step_h, step = (
        table[DEPTH + DILATION],
        table[HEIGHT + DILATION],
        table[WIDTH + DILATION],
    )
    height, width, named = table[HEIGHT + SIZE], table[WIDTH + SIZE], table[WINDOW]
    row, column, channel = strides(table, INPUT)
    _, to_column, to_channel = strides(table, OUTPUT)
    _, place_column, place_channel = strides(table, INDICES)
    slots = table[SLOTS_OF_COUNTS]
    keys, counts = integers_at(scratch + 64), integers_at(scratch + 64 + 8 * slots)
    windows, state = integers_at(scratch + 64 + 16 * slots), integers_at(scratch)
    values = keys, windows, slots - 1
    rows = (furthest - nearest) * (below - above)
    for ow in range(table[WIDTH + OUTPUTS]):
        left, begin, stop = reach_of(table, WIDTH, PICK_REACH_WIDTH, ow)
        columns = stop - begin
        for c in range(table[CHANNELS]):
            best, code, most, alike = np.int64(0), np.int64(0), np.int64(0), True
            state[0] += 1
            # First whether all are alike; then counted; then the first of the most frequent.
            for turn in range(3):
                if turn and alike:
                    break
                for line in range(rows):
                    d = nearest + line // (below - above)
                    h = above + line % (below - above)
                    start = (front + d * step_d) * table[INPUT + SLICE] + (top + h * step_h) * row
                    start += (left + begin * step) * column + c * channel
                    for tap in range(columns):
                        at = start + tap * step * column
                        value = label(x, at, half)
                        if turn == 0:
                            if line == 0 and tap == 0:
                                best = at
                            elif value != label(x, best, half):
                                alike = False
                        elif turn == 1:
                            slot = slot_of(values, state[0], value)
                            if windows[slot] != state[0]:
                                windows[slot], keys[slot], counts[slot] = state[0], value, 0
                            counts[slot] += 1
                            continue
                        else:
                            found = counts[slot_of(values, state[0], value)]
                            if found <= most:
                                continue
                            most, best = found, at
                        if turn == 2 or (line == 0 and tap == 0):
                            if named:
                                code = (d * table[HEIGHT + TAPS] + h) * table[WIDTH + TAPS]
                                code += begin + tap
                            else:
                                code = (front + d * step_d) * height + top + h * step_h
                                code = code * width + left + (begin + tap) * step
            set_cell(output, ow * to_column + c * to_channel, cell(x, best))
            set_cell(places, ow * place_column + c * place_channel, code)
    return 0

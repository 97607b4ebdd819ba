"""The forward walk for windows that differ from each other: each is searched by itself.

Adaptive windows have no common stride, and some have more taps than others, so neighbours share no
work. The lanes of a vector are channels where these lie side by side, or small planes that are
brought there; else there is one lane.
"""

from __future__ import annotations

import numpy as np

from ..compile.signature import WALK, Signature, kernel
from ..table import (
    CHANNELS,
    DEPTH,
    HEIGHT,
    INDICES,
    INPUT,
    OUTPUT,
    OUTPUTS,
    PICK_BYTES,
    PICK_IN,
    PICK_INDEX,
    PICK_INFINITY,
    PICK_LAST_GROUP,
    PICK_OUT,
    PICK_PLACES_OUT,
    PICK_PLANES,
    PICK_REACH_DEPTH,
    PICK_REACH_HEIGHT,
    PICK_REACH_WIDTH,
    PICK_ROW,
    PICKED,
    PICKED_FROM,
    PICKED_PLACES,
    ROW,
    SCRATCH_CLEARED,
    SIZE,
    SLICE,
    WIDTH,
)
from ..vectors.adding import zero_of
from ..vectors.lanes import beats, select, sort_key
from ..vectors.memory import (
    address_of,
    cell,
    lanes,
    load,
    load_inside,
    shifted,
    splat,
    store,
    store_first,
)
from .places import plane_origin, rows_of_plane, strides, whole_quotient
from .sums import bring, bring_planes, reach_of
from .writing import clear

# A row of windows: number `oh` of slice `od`.
PICK = Signature("x output places table scratch od oh", constants="half")
pick_row_at = PICK.call


@kernel(PICK)
def pick_row(x, output, places, table, scratch, od, oh, half):
    """The first extreme of each window of a row, and where it stands."""
    front, nearest, furthest = reach_of(table, DEPTH, PICK_REACH_DEPTH, od)
    top, above, below = reach_of(table, HEIGHT, PICK_REACH_HEIGHT, oh)
    height, width, channels = table[HEIGHT + SIZE], table[WIDTH + SIZE], table[CHANNELS]
    row, column, channel = strides(table, INPUT)
    _, to_column, to_channel = strides(table, OUTPUT)
    _, place_column, place_channel = strides(table, INDICES)
    many, zero, infinity = lanes(x), zero_of(x), table[PICK_INFINITY]
    for ow in range(table[WIDTH + OUTPUTS]):
        left, begin, stop = reach_of(table, WIDTH, PICK_REACH_WIDTH, ow)
        for c in range(0, channels, many):
            count = channels - c
            line = shifted(x, c * channel)
            first = front * table[INPUT + SLICE] + top * row + left * column
            best = load(line, first) if count >= many else load_inside(line, first, 0, count, zero)
            key = sort_key(best, infinity) if half else best
            code = splat((front * height + top) * width + left, places)
            for d in range(nearest, furthest):
                for h in range(above, below):
                    start = (front + d) * table[INPUT + SLICE] + (top + h) * row
                    number = ((front + d) * height + top + h) * width
                    for w in range(left + begin, left + stop):
                        at = start + w * column
                        if count >= many:
                            value = load(line, at)
                        else:
                            value = load_inside(line, at, 0, count, zero)
                        later_key = sort_key(value, infinity) if half else value
                        later = beats(later_key, key)
                        key = select(later, later_key, key)
                        best = select(later, value, best)
                        code = select(later, splat(number + w, places), code)
            to, place = ow * to_column + c * to_channel, ow * place_column + c * place_channel
            if count >= many:
                store(output, to, best)
                store(places, place, code)
            else:
                store_first(output, to, best, count)
                store_first(places, place, code, count)
    return 0


@kernel(WALK)
def pick_rows(x, output, places, scratch, table, first_row, last_row):
    """Pool the output rows from `first_row` up to `last_row`, counted through all slices.

    Of planes side by side, these are numbers of groups of planes.
    """
    slices, rows, item = table[DEPTH + OUTPUTS], table[HEIGHT + OUTPUTS], table[PICK_BYTES]
    numbers, begin = address_of(table), (address_of(scratch) + 63) // 64 * 64
    together, index, brought = table[PICK_IN], table[PICK_INDEX], -1
    here, there = begin + table[PICKED_FROM], begin + table[PICKED]
    named = begin + table[PICKED_PLACES]
    clear(scratch, begin, table[SCRATCH_CLEARED])
    if together:
        first_row, last_row = first_row * slices * rows, last_row * slices * rows
    for number in range(first_row, last_row):
        all_slices, oh, _ = rows_of_plane(number, last_row, rows)
        plane = all_slices // slices
        od = all_slices - plane * slices
        plane = min(plane * table[PICK_PLANES], table[PICK_LAST_GROUP])
        source = x + plane_origin(table, INPUT, plane) * item
        target = output + plane_origin(table, OUTPUT, plane) * item
        indices = places + plane_origin(table, INDICES, plane) * index
        to, place = target, indices
        if together:
            if plane != brought:
                bring_planes(table, together, source, here)
                brought = plane
            source, to, place = here, there, named
        to += (od * table[OUTPUT + SLICE] + oh * table[OUTPUT + ROW]) * item
        place += (od * table[INDICES + SLICE] + oh * table[INDICES + ROW]) * index
        pick_row_at(table[PICK_ROW], (source, to, place, numbers, begin, od, oh))
        if together and od == slices - 1 and oh == rows - 1:
            windows = slices * rows * table[WIDTH + OUTPUTS]
            bring(table[PICK_OUT], (there, target, numbers, 0, windows))
            if index:
                bring(table[PICK_PLACES_OUT], (named, indices, numbers, 0, windows))
    return -1


@kernel(WALK)
def check_rows(x, output, places, scratch, table, first_row, last_row):
    """The C-order position of the first index, in some rows of windows, that names a cell outside
    its window; or -1.
    """
    slices, rows, windows = table[DEPTH + OUTPUTS], table[HEIGHT + OUTPUTS], table[WIDTH + OUTPUTS]
    depth, height, width = table[DEPTH + SIZE], table[HEIGHT + SIZE], table[WIDTH + SIZE]
    channels, row = table[CHANNELS], first_row
    at_row, at_column, at_channel = strides(table, INDICES)
    while row < last_row:
        all_slices, start, stop = rows_of_plane(row, last_row, rows)
        plane = all_slices // slices
        od = all_slices - plane * slices
        front, nearest, furthest = reach_of(table, DEPTH, PICK_REACH_DEPTH, od)
        at = plane_origin(table, INDICES, plane) + od * table[INDICES + SLICE]
        for oh in range(start, stop):
            top, above, below = reach_of(table, HEIGHT, PICK_REACH_HEIGHT, oh)
            for ow in range(windows):
                left, begin, end = reach_of(table, WIDTH, PICK_REACH_WIDTH, ow)
                for c in range(channels):
                    code = np.int64(
                        cell(places, at + oh * at_row + ow * at_column + c * at_channel)
                    )
                    h = whole_quotient(code, width)
                    w = code - h * width
                    d = 0
                    if depth > 1:
                        d = whole_quotient(h, height)
                        h -= d * height
                    inside = nearest <= d - front < furthest and above <= h - top < below
                    if not (inside and begin <= w - left < end):
                        return ((row + oh - start) * windows + ow) * channels + c
        row += stop - start
    return -1

"""The forward walk for windows that differ from each other: each is searched by itself.

Adaptive windows have no common stride, and some have more taps than others, so neighbours share no
work. The lanes of a vector are channels where these lie side by side, else there is one lane.
"""

from __future__ import annotations

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
    PICK_INDEX,
    PICK_INFINITY,
    PICK_REACH_DEPTH,
    PICK_REACH_HEIGHT,
    PICK_REACH_WIDTH,
    PICK_ROW,
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
    lanes,
    load,
    load_inside,
    shifted,
    splat,
    store,
    store_first,
)
from .places import plane_origin, rows_of_plane, strides
from .sums import reach_of
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
    """Pool the output rows from `first_row` up to `last_row`, counted through all slices."""
    slices, rows, item = table[DEPTH + OUTPUTS], table[HEIGHT + OUTPUTS], table[PICK_BYTES]
    numbers, begin = address_of(table), (address_of(scratch) + 63) // 64 * 64
    clear(scratch, begin, table[SCRATCH_CLEARED])
    for number in range(first_row, last_row):
        all_slices, oh, _ = rows_of_plane(number, last_row, rows)
        plane = all_slices // slices
        od = all_slices - plane * slices
        source = x + plane_origin(table, INPUT, plane) * item
        to = plane_origin(table, OUTPUT, plane) + od * table[OUTPUT + SLICE]
        to = output + (to + oh * table[OUTPUT + ROW]) * item
        place = plane_origin(table, INDICES, plane) + od * table[INDICES + SLICE]
        place = places + (place + oh * table[INDICES + ROW]) * table[PICK_INDEX]
        pick_row_at(table[PICK_ROW], (source, to, place, numbers, begin, od, oh))
    return -1

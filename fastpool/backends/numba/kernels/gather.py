"""The gather kernel: each cell looks whether its window names it.

So every row is written once, where a scatter sets it to zero first and then goes back. A vector of
windows becomes two vectors of each of its two rows of cells::

    indices         0    3    2    1         taps, of windows of 2 x 2
    gradients       a    b    c    d
    upper row     a  0 0  0 0  0 0  d        the cells of taps 0 and 1, in turns
    lower row     0  0 0  b c  0 0  0        the cells of taps 2 and 3

Many cells are written past the caches, in whole lines. Rows as long as some lines are one stream.
If it begins within a line, so does each row, and the first vector takes fewer windows. What a row
leaves of its last line is completed by the first vector of the next row::

    lines         |       :       |       |       |
    upper row             a a a a  a a a a  a a a a . .
    lower row                                       b b  b b b b ...

Other rows are gathered in the scratch. That takes up to twice as long, as nothing is computed while
they are written.
"""

from __future__ import annotations

import numpy as np

from ..compile.jit import inlined
from ..compile.signature import WALK, Signature, kernel
from ..table import (
    CHANNELS,
    HEIGHT,
    INDICES,
    INPUT,
    OUTPUT,
    OUTPUTS,
    PAIRS,
    ROW,
    SIZE,
    WIDTH,
    WINDOW,
    WINDOWS,
)
from ..vectors.halves import plus_zero
from ..vectors.lanes import (
    bits,
    clipped,
    either,
    equal,
    lane_numbers,
    minus,
    plus,
    select,
    widened,
    zip_high,
    zip_low,
)
from ..vectors.memory import (
    address_of,
    bytes_of,
    cells_at,
    fence,
    set_cell,
    shifted,
    splat,
    store_inside,
    store_past,
)
from .indices import LANES, first_bad, read_lanes, write_lanes
from .places import plane_origins, rows_of_plane
from .writing import LINE, write_out, write_rows

GATHER = Signature(" ".join(WALK.parameters), constants="half")


@inlined
def four_cells(x, indices, start, stop, base, ramp, down, half):
    """What a vector of windows gives to their four cells, and the bits of the valid indices."""
    place = widened(read_lanes(indices, start, stop), np.int64)
    code = clipped(minus(minus(place, base), ramp))
    zero = splat(0, x)
    value = plus(zero, plus_zero(read_lanes(x, start, stop), half))  # 0.0 + -0.0 is 0.0
    upper_left, upper_right = equal(code, 0), equal(code, 1)
    lower_left, lower_right = equal(code, down), equal(code, down + 1)
    return (
        select(upper_left, value, zero),
        select(upper_right, value, zero),
        select(lower_left, value, zero),
        select(lower_right, value, zero),
        bits(either(either(upper_left, upper_right), either(lower_left, lower_right))),
    )


@inlined
def gather_line(upper, lower, values, codes, line, base, ramp, down, half):
    """The cells of windows side by side, in both rows; the first window with a bad index, or -1."""
    first, stop, step = line
    to = 0
    for j in range(first, stop, LANES):
        a, b, c, d, valid = four_cells(values, codes, j, stop, base + step * j, ramp, down, half)
        bad = first_bad(valid, j, stop)
        if bad >= 0:
            return bad
        end = to + 2 * (stop - j)
        write_lanes(upper, to, end, zip_low(a, b))
        write_lanes(upper, to + LANES, end, zip_high(a, b))
        write_lanes(lower, to, end, zip_low(c, d))
        write_lanes(lower, to + LANES, end, zip_high(c, d))
        to += 2 * LANES
    return -1


@inlined
def gather_pixels(upper, lower, values, codes, line, channels, base, ramp, down, half):
    """`gather_line` where the channels of a window lie side by side."""
    first, stop, step = line
    for ow in range(first, stop):
        origin, left = ow * channels, 2 * (ow - first) * channels
        own, named = shifted(values, origin), shifted(codes, origin)
        right = left + channels
        place = base + step * ow
        for j in range(0, channels, LANES):
            a, b, c, d, valid = four_cells(own, named, j, channels, place, ramp, down, half)
            bad = first_bad(valid, j, channels)
            if bad >= 0:
                return origin + bad
            write_lanes(shifted(upper, left), j, channels, a)
            write_lanes(shifted(upper, right), j, channels, b)
            write_lanes(shifted(lower, left), j, channels, c)
            write_lanes(shifted(lower, right), j, channels, d)
    return -1


@inlined
def lead_of(row):
    """How many cells before a row a vector is aligned; -1 if none is, or an odd number."""
    size = bytes_of(row)
    over = address_of(row) % (LANES * size)
    return over // size if over % (2 * size) == 0 else -1


@inlined
def gather_stream(upper, lower, values, codes, line, stream, base, ramp, down, half):
    """`gather_line` in whole lines; also the beginning of the next row's first line.

    Of a `stream`: the cells of the line in which the upper row begins that lie before it, these
    cells, and whether they are another's.
    """
    lead, rest, alone = stream
    first, stop, step = line
    width, zero = 2 * (stop - first), splat(0, upper)
    head, tail, left = zero, zero, zero
    for j in range(-(lead // 2), stop, LANES):
        a, b, c, d, valid = four_cells(values, codes, j, stop, base + step * j, ramp, down, half)
        bad = first_bad(valid, j, stop)
        if bad >= 0:
            return bad, rest
        for part in range(2):
            at = 2 * j + part * LANES
            above, under = zip_low(a, b), zip_low(c, d)
            if part:
                above, under = zip_high(a, b), zip_high(c, d)
            if at >= 0 and at + LANES <= width:
                store_past(upper, at, above)
                store_past(lower, at, under)
            elif at >= 0:
                if at < width:
                    tail, left = above, under
            elif alone:
                store_inside(upper, at, width, above)
                head = under
            else:
                store_past(upper, at, plus(above, rest))
                head = under
    if lead:
        store_past(lower, -lead, plus(tail, head))
    return -1, left


@kernel(GATHER)
def gather_rows(x, output, places, scratch, table, first_row, last_row, half):
    """Fill the rows of `output` under the output rows from `first_row` up to `last_row`.

    For windows of 2 x 2 side by side, and rows in line. Returns the C-order position of the
    first bad index, or -1.
    """
    height, outputs = table[HEIGHT + SIZE], table[HEIGHT + OUTPUTS]
    width, length = table[WIDTH + SIZE], table[WIDTH + OUTPUTS]
    to_row, of_row, at_row = table[INPUT + ROW], table[OUTPUT + ROW], table[INDICES + ROW]
    channels, window, piece, held = table[CHANNELS], table[WINDOW], table[WINDOWS], table[PAIRS]
    row_cells, rest = width * channels, (width - 2 * length) * channels
    streamed = held and channels == 1 and rest == 0 and to_row == width
    streamed = streamed and width % LANES == 0
    step, down = (0, 2) if window else (2, width)
    ramp = widened(lane_numbers(x), np.int64)
    ramp = minus(ramp, ramp) if window or channels > 1 else plus(ramp, ramp)
    # What is written out is read from a vector before on.
    begin = (scratch + LANES * bytes_of(output) + LINE - 1) & -LINE
    row = first_row
    while row < last_row:
        plane, start, stop = rows_of_plane(row, last_row, outputs)
        row += stop - start
        to, of, at = plane_origins(table, plane)
        pairs = 0  # of rows that are to be written
        lead = lead_of(shifted(output, to + 2 * start * to_row)) if streamed else -1
        left = splat(0, output)
        for oh in range(start, stop):
            top = shifted(output, to + 2 * oh * to_row)
            values = shifted(x, of + oh * of_row)
            codes = shifted(places, at + oh * at_row)
            base = 0 if window else 2 * oh * width
            if lead >= 0:
                bad, left = gather_stream(
                    top, shifted(top, to_row), values, codes, (0, length, step),
                    (lead, left, oh == start), base, ramp, down, half,
                )  # fmt: skip
                if bad >= 0:
                    return (plane * outputs + oh) * length + bad
                if lead and oh + 1 == stop:
                    store_inside(top, 2 * width - lead, 2 * width, left)
                continue
            for ow in range(0, length, piece):
                end, apart = min(ow + piece, length), piece < length
                upper, lower = top, shifted(top, to_row)
                if held:
                    upper = cells_at(begin, output)
                    if not apart:
                        upper = shifted(upper, 2 * pairs * row_cells)
                    lower = shifted(upper, 2 * piece * channels if apart else row_cells)
                line = ow, end, step
                if channels == 1:
                    bad = gather_line(upper, lower, values, codes, line, base, ramp, down, half)
                else:
                    bad = gather_pixels(
                        upper, lower, values, codes, line, channels, base, ramp, down, half
                    )
                if bad >= 0:
                    return (plane * outputs + oh) * length * channels + bad
                if held and apart:
                    part = 2 * (end - ow) * channels
                    target = shifted(top, 2 * ow * channels)
                    write_out(target, upper, part, True, 0)
                    write_out(shifted(target, to_row), lower, part, True, 0)
                    upper, lower = target, shifted(target, to_row)
                if end == length and rest:
                    for j in range(2 * (end - ow) * channels, 2 * (end - ow) * channels + rest):
                        set_cell(upper, j, 0)
                        set_cell(lower, j, 0)
            pairs += 1
            if held and piece >= length and (pairs == held or oh + 1 == stop):
                target = shifted(output, to + 2 * (oh + 1 - pairs) * to_row)
                write_rows(target, cells_at(begin, output), 2 * pairs, row_cells, to_row, True, 0)
                pairs = 0
        if stop == outputs:
            for h in range(2 * outputs, height):
                for j in range(row_cells):
                    set_cell(output, to + h * to_row + j, 0)
    fence()
    return -1

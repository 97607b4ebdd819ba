"""The backward kernel of small windows: each cell looks which of its windows name it.

So every cell is written once, where a scatter sets it to zero first and then goes back. Rows of
windows are read once, checked, and laid side by side with zeros around them. Each row of cells
looks at the rows of windows that reach it, from the earliest on::

    windows of 3, stride 2        o0     o1     o2
    what they name (tap)          2      0      1
    gradients                     a      b      c

    cells                         0  1   2  3   4  5   6
    taps of the last window       0  1   0  1   0  1           cell 2 gets b, cell 5 gets c
    taps of the window before            2      2      2       cell 2 gets a, before it gets b

An index that was found to be inside the input names no cell outside. So a row of cells may see the
end of the row of windows before its own: where windows are as many as cells, all rows are one.

Cells are gathered in the scratch. From there they go out as one stream of whole lines, past the
caches where there are many: else memory that is overwritten would be read before.
"""

from __future__ import annotations

from ..compile.jit import inlined
from ..compile.signature import WALK, Signature, kernel
from ..table import (
    AHEAD_INDICES,
    AHEAD_VALUES,
    BATCHED,
    BUFFER_UNITS,
    BYTES_ALONE,
    CHANNELS,
    COPY_ROWS,
    HEIGHT,
    HELD,
    INDEX_BYTES,
    INDICES,
    INPUT,
    ITEM_BYTES,
    LEAD,
    OUTPUT,
    PAD,
    PAST,
    PHASES_ALONG,
    PIECE,
    PITCH_UNITS,
    ROW,
    SHIFT_BYTES,
    SIZE,
    STRIDE,
    SUM_BYTES,
    SUM_ROWS,
    TAP_STEP,
    TRANSLATE_ROWS,
    UNITS,
    WIDTH,
)
from ..vectors.memory import (
    address_of,
    byte_at,
    fence,
    lanes,
    prefetch,
    shifted,
)
from ..vectors.pulling import pull_cells
from .places import axis, plane_origin, rows_of_plane
from .translate import COPY, TRANSLATE, fill_shifts
from .writing import LINE, clear, move, write_out, write_rows

# Rows of cells, from the sums to the output; `x` and `places` are the addresses of what comes next.
PULL = Signature(
    "output codes gradients cells table h low count x places", "pull pixels named half"
)
translate_rows_at, copy_rows_at, sum_rows_at = TRANSLATE.call, COPY.call, PULL.call


@inlined
def sum_line(pull, some, few, rows, cells, line, table, taps, ahead):
    """The sums of cells side by side, of windows that lie there too; what to read ahead next."""
    (codes, gradients), (to, stop, at) = rows, line
    windows, many = (table[PITCH_UNITS], table[CHANNELS]), lanes(cells)
    past, step, (values, indices) = table[PAST], table[PHASES_ALONG] * many, ahead
    while to < stop:
        if past:
            prefetch(byte_at(values), 0)
            prefetch(byte_at(indices), 0)
        values, indices = values + table[AHEAD_VALUES], indices + table[AHEAD_INDICES]
        pull_cells(pull, some, few, codes, gradients, cells, at, to, windows, taps)
        to += step
        at += many
    return values, indices


@inlined
def sum_pixels(pull, some, named, rows, cells, to, table, taps, ahead):
    """`sum_line` for each pixel of a row, where windows are apart.

    Where windows are not named, those that have no tap for a pixel must be left out.
    """
    width, _, kernel_size, stride, _, pad, _ = axis(table, WIDTH)
    channels, (wanted, less) = table[CHANNELS], taps
    for w in range(width):
        window = (w + pad) // stride
        tap = wanted + w + pad - window * stride
        line = to + w * channels, to + (w + 1) * channels, window * channels
        if not named and w + pad - window * stride + table[TAP_STEP] - stride >= kernel_size:
            ahead = sum_line(pull, some, 1, rows, cells, line, table, (tap, less), ahead)
        else:
            ahead = sum_line(pull, some, 0, rows, cells, line, table, (tap, less), ahead)
    return ahead


@kernel(PULL)
def sum_rows(
    output, codes, gradients, cells, table, h, low, count, x, places, pull, pixels, named, half
):
    """Write `count` rows of cells from row `h` on, which windows from row `low` on reach."""
    _, _, kernel_size, stride, _, pad, _ = axis(table, HEIGHT)
    row_cells, ahead, past = table[WIDTH + SIZE] * table[CHANNELS], (x, places), table[PAST]
    lines, length = (1, count * row_cells) if table[BATCHED] else (count, row_cells)
    step, piece, units = table[INPUT + ROW], table[PIECE], table[PIECE] // table[PHASES_ALONG]
    start = table[WIDTH + PAD] // table[WIDTH + STRIDE] * table[CHANNELS]
    reach, less = (kernel_size - 1) // stride, stride * table[TAP_STEP]
    first = (h + pad) // stride
    phase = h + pad - first * stride
    first -= reach + low
    for number in range(lines):
        some = 1 if phase + reach * stride >= kernel_size else 0
        slot = (first + some) * table[PITCH_UNITS]
        rows = shifted(codes, slot), shifted(gradients, slot)
        taps, at = ((phase + (reach - some) * stride) * table[TAP_STEP], less), start
        for begin in range(0, length, piece):
            to = 0 if piece < length else number * length
            part = min(piece, length - begin)
            line = to, to + part, at
            if pixels:
                if some:
                    ahead = sum_pixels(pull, 1, named, rows, cells, to, table, taps, ahead)
                else:
                    ahead = sum_pixels(pull, 0, named, rows, cells, to, table, taps, ahead)
            elif some:
                ahead = sum_line(pull, 1, 0, rows, cells, line, table, taps, ahead)
            else:
                ahead = sum_line(pull, 0, 0, rows, cells, line, table, taps, ahead)
            if piece < length:
                write_out(shifted(output, number * step + begin), cells, part, past, half)
            at += units
        phase += 1
        if phase == stride:
            phase = 0
            first += 1
    if piece < length:
        return -1
    write_rows(output, cells, count, row_cells, step, past, half)
    return -1


@kernel(WALK)
def pull_planes(x, output, places, scratch, table, first_row, last_row):
    """Fill the rows of `output` from `first_row` up to `last_row`, counted through all planes.

    For small windows without dilation, and rows in line. Returns 0 if an index is bad, which
    need not be the first one, else -1.
    """
    height, outputs, kernel_size, stride, _, pad, _ = axis(table, HEIGHT)
    item, index, pitch = table[ITEM_BYTES], table[INDEX_BYTES], table[PITCH_UNITS]
    wide = table[SUM_BYTES]
    reach, size, numbers = (kernel_size - 1) // stride, table[BUFFER_UNITS], address_of(table)
    begin = (address_of(scratch) + LINE - 1) & -LINE
    codes, gradients = begin + table[LEAD], begin + size + table[LEAD] * wide
    shifts = begin + size + size * wide
    cells = shifts + table[SHIFT_BYTES]
    clear(scratch, begin + size, size * wide)
    named = table[TRANSLATE_ROWS]  # 0 where every window gives to all its cells
    if named:
        fill_shifts(shifts, table[BYTES_ALONE], table, scratch)
    row = first_row
    while row < last_row:
        plane, h, stop = rows_of_plane(row, last_row, height)
        row += stop - h
        to = output + plane_origin(table, INPUT, plane) * item
        of = x + plane_origin(table, OUTPUT, plane) * item
        at = places + plane_origin(table, INDICES, plane) * index
        # The first row of windows in the scratch, and how many there are: none, before all others.
        low, held = -reach, 0
        while h < stop:
            # Rows that were seen before, and as many more as there is place for.
            first = (h + pad) // stride - reach
            kept = max(0, low + held - first)
            if kept:
                gone = (first - low) * pitch
                if named:
                    move(scratch, codes, codes + gone, kept * pitch)
                move(scratch, gradients, gradients + gone * wide, kept * pitch * wide)
            low, last = first, (stop - 1 + pad) // stride
            held = min(table[HELD], last + 1 - low)
            slot = kept
            while slot < held:
                oh, rows = low + slot, 1
                own, values = codes + slot * pitch, gradients + slot * pitch * wide
                if 0 <= oh < outputs:
                    rows = min(held - slot, outputs - oh)
                    source = at + oh * table[INDICES + ROW] * index
                    indices = source, own, shifts, numbers, oh, rows
                    if named and translate_rows_at(named, indices) >= 0:
                        return 0
                    source = of + oh * table[OUTPUT + ROW] * item
                    copy_rows_at(table[COPY_ROWS], (source, values, numbers, rows))
                else:
                    clear(scratch, values, table[UNITS] * wide)
                slot += rows
            # The rows of cells that no later row of windows reaches.
            end = min(stop, (low + held) * stride - pad)
            after = low + held
            block = to + h * table[INPUT + ROW] * item, codes, gradients, cells, numbers
            following = (
                of + after * table[OUTPUT + ROW] * item,
                at + after * table[INDICES + ROW] * index,
            )
            sum_rows_at(table[SUM_ROWS], block + (h, low, end - h) + following)
            h = end
    fence()
    return -1

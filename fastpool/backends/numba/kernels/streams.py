"""The scatter kernel for the common case: gradients of overlapping windows, vectors of indices.

A band of input rows, or a group of planes, is a *stream*: one after the other, its outputs add
their gradients to its cells. Where windows are large, several streams take turns, so that no
addition waits for the one before it::

    stream 0   a0      a1      a2            each addition to one cell waits for the last
    stream 1      b0      b1      b2         ... and meanwhile the others go on
    stream 2         c0      c1      c2
"""

from __future__ import annotations

import numpy as np

from ..compile.jit import inlined
from ..compile.signature import WALK, kernel
from ..table import (
    BANDS,
    CHANNELS,
    COUNT,
    HEIGHT,
    INDICES,
    INPUT,
    LINE_CELLS,
    OUTPUT,
    OUTPUTS,
    PLANES,
    ROW,
    ROWS,
    SIZE,
    TURNS,
    WIDTH,
)
from ..vectors.lanes import below, bits, minus, plus, select
from ..vectors.memory import (
    address_of,
    cell,
    cells_at,
    cells_of,
    load,
    set_cell,
    shifted,
    splat,
    store,
)
from .indices import (
    LANES,
    fill_lanes,
    first_bad,
    in_line,
    line_of,
    named_cells,
    read_lanes,
    write_lanes,
)
from .places import axis, plane_origin

# Bands, or planes, that take turns where windows are large, and neighbouring outputs often name
# the same cell: each addition to it waits for the one before. (1, 3, 512, 512) k31 s1 takes
# 0.87 ms instead of 1.37, (1, 512, 20, 20) k13 s1 0.20 instead of 0.31; k5 is the same either
# way, and k3 loses up to a fifth.
STREAMS = 8
CHUNK = 256  # outputs of a stream at a time: 2 KB of cells and gradients in float32
WHOLE = 4096  # outputs, up to which a plane is read as one line: rows of 20 leave lanes idle

# Of a stream: the first cell and the number of cells of its band, its place in memory, its
# first plane, the number of planes, and the output rows that it has yet to see.
FIRST, CELLS, TARGET, PLANE, SHARE, LOW, HIGH, STATE = range(8)


@inlined
def start_stream(state, unit, output, table):
    """Set a band, or a group of planes, to zero, and note what fills it; its steps."""
    height, outputs, _, stride, _, pad, span = axis(table, HEIGHT)
    bands, planes, rows = table[BANDS], table[PLANES], table[ROWS]
    row_cells = table[WIDTH + SIZE] * table[CHANNELS]
    band = unit % bands
    plane = unit // bands * planes
    share = min(planes, table[COUNT] - plane)
    start, stop = height * band // bands, height * (band + 1) // bands
    low = max(0, -((span - 1 - pad - start) // stride))
    high = min(outputs, (stop - 1 + pad) // stride + 1)
    first, cells = start * row_cells, (stop - start) * row_cells * share
    target = shifted(output, plane_origin(table, INPUT, plane) + first)
    for j in range(0, cells, LANES):
        write_lanes(target, j, cells, splat(0, output))
    set_cell(state, FIRST, first)
    set_cell(state, CELLS, cells)
    set_cell(state, TARGET, address_of(target))
    set_cell(state, PLANE, plane)
    set_cell(state, SHARE, share)
    set_cell(state, LOW, low)
    set_cell(state, HIGH, high)
    return (high - low + rows - 1) // rows


@inlined
def target_of(stream, streams, like):
    """Where the band of a stream begins."""
    return cells_at(cell(streams, STATE * stream + TARGET), like)


@inlined
def add_one(target, places, gradients, k):
    """Add a gradient to its cell."""
    place = np.int64(cell(places, k))
    set_cell(target, place, cell(target, place) + cell(gradients, k))


@kernel(WALK)
def scatter_streams(x, output, places, scratch, table, first_row, last_row):
    """Add all gradients of the units from `first_row` up to `last_row`: bands, or planes.

    For tied indices without dilation, and planes of `output` in line. A vector of indices is
    checked and made cells of the band; then all streams add one gradient each in turns. On
    (8, 192, 28, 28) k3 s1 it takes a fifth of the time of `scatter_any`. Returns 0 if an index
    is bad, which need not be the first one, else -1.
    """
    line, rows, turns = table[LINE_CELLS], table[ROWS], table[TURNS]
    parts = table[BANDS] > 1 or table[PLANES] > 1
    row_length = table[WIDTH + OUTPUTS] * table[CHANNELS]
    lanes = fill_lanes(scratch, line, table[PLANES], rows, table, x)
    named = shifted(lanes[3], line)
    streams = cells_of(scratch + 16 * line + 4 * CHUNK * STREAMS, np.int64, x)
    buffers = scratch + 16 * line + (4 * CHUNK + 8 * STATE) * STREAMS
    index_copy, copy = cells_at(buffers, places), cells_at(buffers + 8 * line, x)
    gradients = shifted(copy, line)
    nowhere = shifted(gradients, CHUNK * STREAMS)  # the cell of streams without work
    set_cell(nowhere, 0, 0)
    nothing, first_cell = splat(0, x), splat(0, named)
    for group in range(first_row, last_row, turns):
        steps = 0
        for s in range(turns):
            state = shifted(streams, STATE * s)
            if group + s < last_row:
                steps = max(steps, start_stream(state, group + s, output, table))
            else:
                set_cell(state, TARGET, address_of(nowhere))
                set_cell(state, LOW, 0)
                set_cell(state, HIGH, 0)
        for step in range(steps):
            for chunk in range(0, table[PLANES] * rows * row_length, CHUNK):
                part = min(CHUNK, table[PLANES] * rows * row_length - chunk)
                for s in range(turns):
                    state = shifted(streams, STATE * s)
                    to, of = shifted(named, s * CHUNK), shifted(gradients, s * CHUNK)
                    oh = cell(state, LOW) + step * rows
                    if oh >= cell(state, HIGH):
                        for j in range(0, part, LANES):
                            store(to, j, first_cell)
                            store(of, j, nothing)
                        continue
                    plane, share = cell(state, PLANE), cell(state, SHARE) * rows
                    at = plane_origin(table, INDICES, plane) + oh * table[INDICES + ROW]
                    index_line = in_line(
                        places, at, INDICES, share * table[WIDTH + OUTPUTS], table, index_copy
                    )
                    at = plane_origin(table, OUTPUT, plane) + oh * table[OUTPUT + ROW]
                    x_line = in_line(x, at, OUTPUT, share * table[WIDTH + OUTPUTS], table, copy)
                    windows, stop = line_of(oh, table), share * row_length
                    first, cells = cell(state, FIRST), cell(state, CELLS)
                    for j in range(0, part, LANES):
                        place, valid = named_cells(index_line, chunk + j, stop, windows, lanes)
                        if first_bad(bits(valid), chunk + j, stop) >= 0:
                            return 0
                        gradient = read_lanes(x_line, chunk + j, stop)
                        if parts:
                            # What goes to another band is 0 here, and what lies beyond `stop`.
                            place = minus(plus(place, load(lanes[3], chunk + j)), first)
                            inside = below(place, cells)
                            place = select(inside, place, first_cell)
                            gradient = select(inside, gradient, nothing)
                        store(to, j, place)
                        store(of, j, gradient)
                if turns == 1:
                    target = target_of(0, streams, x)
                    for j in range(part):
                        add_one(target, named, gradients, j)
                    continue
                t0, t1, t2, t3, t4, t5, t6, t7 = (
                    target_of(0, streams, x),
                    target_of(1, streams, x),
                    target_of(2, streams, x),
                    target_of(3, streams, x),
                    target_of(4, streams, x),
                    target_of(5, streams, x),
                    target_of(6, streams, x),
                    target_of(7, streams, x),
                )
                for j in range(part):
                    add_one(t0, named, gradients, j)
                    add_one(t1, named, gradients, j + CHUNK)
                    add_one(t2, named, gradients, j + 2 * CHUNK)
                    add_one(t3, named, gradients, j + 3 * CHUNK)
                    add_one(t4, named, gradients, j + 4 * CHUNK)
                    add_one(t5, named, gradients, j + 5 * CHUNK)
                    add_one(t6, named, gradients, j + 6 * CHUNK)
                    add_one(t7, named, gradients, j + 7 * CHUNK)
    return -1

"""The scatter kernels: backward, which adds at the indices, and unpool, which writes there.

A band of input rows, or a whole plane, is filled by one task, which walks through all outputs
that can reach it, in order. So every cell gets its gradients in the order of the outputs,
whatever the number of tasks.
"""

from __future__ import annotations

import numpy as np

from ...geometry import Geometry
from .indices import (
    LANES,
    fill_lanes,
    first_bad,
    in_line,
    line_of,
    named_cells,
    read_lanes,
    reads_vectors,
    write_lanes,
)
from .jit import inlined
from .lanes import below, bits, minus, plus, select
from .plan import (
    CHANNELS,
    HEIGHT,
    INDICES,
    INPUT,
    OUTPUT,
    OWN,
    WIDTH,
    WINDOW,
    axis,
    plane_origin,
    rows_of_plane,
    strides,
)
from .simd import address_of, cell, cells_at, cells_of, load, set_cell, shifted, splat, store

# Bands, or planes, that take turns where windows are large, and neighbouring outputs often name
# the same cell: each addition to it waits for the one before. (1, 3, 512, 512) k31 s1 takes
# 0.87 ms instead of 1.37, (1, 512, 20, 20) k13 s1 0.20 instead of 0.31; k5 is the same either
# way, and k3 loses up to a fifth.
STREAMS = 8
CHUNK = 256  # outputs of a stream at a time: 2 KB of cells and gradients in float32
WHOLE = 4096  # outputs, up to which a plane is read as one line: rows of 20 leave lanes idle

TIED, ADD = OWN, OWN + 1
LINE, BANDS, PLANES, ROWS, TURNS, COUNT = range(OWN, OWN + 6)
# Of a stream: the first cell and the number of cells of its band, its place in memory, its
# first plane, the number of planes, and the output rows that it has yet to see.
FIRST, CELLS, TARGET, PLANE, SHARE, LOW, HIGH, STATE = range(8)


@inlined
def cell_of(code, oh, ow, table):
    """Row and column that an index names, or -1 and -1 if it may not."""
    height, _, kernel_h, stride_h, dilation_h, pad_h, span_h = axis(table, HEIGHT)
    width, _, kernel_w, stride_w, dilation_w, pad_w, span_w = axis(table, WIDTH)
    top, left = oh * stride_h - pad_h, ow * stride_w - pad_w
    if code < 0:
        return -1, -1
    if table[WINDOW]:
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
    if table[TIED]:
        down, right = h - top, w - left
        if down < 0 or down >= span_h or right < 0 or right >= span_w:
            return -1, -1
        if (dilation_h > 1 and down % dilation_h) or (dilation_w > 1 and right % dilation_w):
            return -1, -1
    return h, w


def scatter_any(x, output, indices, scratch, table, first_row, last_row):
    """Fill the rows of `output` from `first_row` up to `last_row`, counted through all planes.

    For everything: any memory, dilation and size. Tied indices must be taps of their own
    window, others any cell of the plane. Returns the C-order position of the first index that
    is neither, among those seen, or -1.
    """
    height, outputs, _, stride, _, pad, span = axis(table, HEIGHT)
    width, length, channels = table[WIDTH], table[WIDTH + 1], table[CHANNELS]
    to_row, to_column, to_channel = strides(table, INPUT)
    of_row, of_column, of_channel = strides(table, OUTPUT)
    at_row, at_column, at_channel = strides(table, INDICES)
    row = first_row
    while row < last_row:
        plane, start, stop = rows_of_plane(row, last_row, height)
        row += stop - start
        to = plane_origin(table, INPUT, plane)
        of = plane_origin(table, OUTPUT, plane)
        at = plane_origin(table, INDICES, plane)
        for h in range(start, stop):
            for w in range(width):
                for c in range(channels):
                    set_cell(output, to + h * to_row + w * to_column + c * to_channel, 0)
        low, high = 0, outputs
        if table[TIED]:
            # Windows beyond the plane, which unpooling may have, belong to its first and last band.
            if start > 0:
                low = max(0, -((span - 1 - pad - start) // stride))
            if stop < height:
                high = min(outputs, (stop - 1 + pad) // stride + 1)
        for oh in range(low, high):
            for ow in range(length):
                for c in range(channels):
                    source = at + oh * at_row + ow * at_column + c * at_channel
                    code = np.int64(cell(indices, source))
                    h, w = cell_of(code, oh, ow, table)
                    if h < 0:
                        return ((plane * outputs + oh) * length + ow) * channels + c
                    if start <= h < stop:
                        place = to + h * to_row + w * to_column + c * to_channel
                        value = cell(x, of + oh * of_row + ow * of_column + c * of_channel)
                        if table[ADD]:
                            value += cell(output, place)
                        set_cell(output, place, value)
    return -1


@inlined
def start_stream(state, unit, output, table):
    """Set a band, or a group of planes, to zero, and note what fills it; its steps."""
    height, outputs, _, stride, _, pad, span = axis(table, HEIGHT)
    bands, planes, rows = table[BANDS], table[PLANES], table[ROWS]
    row_cells = table[WIDTH] * table[CHANNELS]
    band = unit % bands
    plane = unit // bands * planes
    share = min(planes, table[COUNT] - plane)
    start, stop = height * band // bands, height * (band + 1) // bands
    low = max(0, -((span - 1 - pad - start) // stride))
    high = min(outputs, (stop - 1 + pad) // stride + 1)
    first, cells = start * row_cells, (stop - start) * row_cells * share
    target = shifted(output, plane_origin(table, INPUT, plane) + first)
    for j in range(0, cells, LANES):
        write_lanes(target, j, cells, splat(0, output), False)
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


def scatter_streams(x, output, indices, scratch, table, first_unit, last_unit):
    """Add all gradients of the units from `first_unit` up to `last_unit`: bands, or planes.

    For tied indices without dilation, and planes of `output` in line. A vector of indices is
    checked and made cells of the band; then all streams add one gradient each in turns. On
    (8, 192, 28, 28) k3 s1 it takes a fifth of the time of `scatter_any`. Returns 0 if an index
    is bad, which need not be the first one, else -1.
    """
    line, rows, turns = table[LINE], table[ROWS], table[TURNS]
    parts = table[BANDS] > 1 or table[PLANES] > 1
    row_length = table[WIDTH + 1] * table[CHANNELS]
    lanes = fill_lanes(scratch, line, table[PLANES], rows, table, x)
    places = shifted(lanes[3], line)
    streams = cells_of(scratch + 16 * line + 4 * CHUNK * STREAMS, np.int64, x)
    buffers = scratch + 16 * line + (4 * CHUNK + 8 * STATE) * STREAMS
    index_copy, copy = cells_at(buffers, indices), cells_at(buffers + 8 * line, x)
    gradients = shifted(copy, line)
    nowhere = shifted(gradients, CHUNK * STREAMS)  # the cell of streams without work
    set_cell(nowhere, 0, 0)
    nothing, first_cell = splat(0, x), splat(0, places)
    for group in range(first_unit, last_unit, turns):
        steps = 0
        for s in range(turns):
            state = shifted(streams, STATE * s)
            if group + s < last_unit:
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
                    to, of = shifted(places, s * CHUNK), shifted(gradients, s * CHUNK)
                    oh = cell(state, LOW) + step * rows
                    if oh >= cell(state, HIGH):
                        for j in range(0, part, LANES):
                            store(to, j, first_cell)
                            store(of, j, nothing)
                        continue
                    plane, share = cell(state, PLANE), cell(state, SHARE) * rows
                    at = plane_origin(table, INDICES, plane) + oh * table[INDICES + 3]
                    index_line = in_line(
                        indices, at, INDICES, share * table[WIDTH + 1], table, index_copy
                    )
                    at = plane_origin(table, OUTPUT, plane) + oh * table[OUTPUT + 3]
                    x_line = in_line(x, at, OUTPUT, share * table[WIDTH + 1], table, copy)
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
                        add_one(target, places, gradients, j)
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
                    add_one(t0, places, gradients, j)
                    add_one(t1, places, gradients, j + CHUNK)
                    add_one(t2, places, gradients, j + 2 * CHUNK)
                    add_one(t3, places, gradients, j + 3 * CHUNK)
                    add_one(t4, places, gradients, j + 4 * CHUNK)
                    add_one(t5, places, gradients, j + 5 * CHUNK)
                    add_one(t6, places, gradients, j + 6 * CHUNK)
                    add_one(t7, places, gradients, j + 7 * CHUNK)
    return -1


def split_streams(
    geometry: Geometry,
    memories: tuple[tuple[int, ...], ...],
    itemsize: int,
    threads: int,
) -> tuple[tuple[int, ...], int, int, int]:
    """The kernel's part of the table, its bytes, how many units there are, and take turns."""
    height, width, channels = geometry.height, geometry.width, geometry.channels
    counts = geometry.planes, channels
    turns = STREAMS if channels == 1 and width.kernel > 5 * width.stride else 1
    wanted = turns * threads
    # Bands much taller than a window, which is seen from both sides of a border.
    bands = max(1, min(wanted // geometry.planes, height.size // (2 * height.span)))
    row, planes, rows = width.output * channels, 1, 1
    sources = [_in_line(memory, height.output, width.output, *counts) for memory in memories[1:]]
    if bands == 1 and min(sources) and height.output * row <= WHOLE:
        rows = height.output
        if min(*sources, _in_line(memories[0], height.size, width.size, *counts)) > 1:
            planes = max(1, min(CHUNK // (rows * row), geometry.planes // wanted))
    line = LANES * (planes * rows * row // LANES + 2)
    size = line * (24 + itemsize) + (4 * CHUNK + 8 * STATE) * STREAMS
    size += (CHUNK * STREAMS + LANES) * itemsize
    units = -(-geometry.planes // planes) * bands
    return (line, bands, planes, rows, turns, geometry.planes), size, units, turns


def takes_streams(geometry: Geometry, memory: tuple[int, ...]) -> bool:
    """Whether the kernel takes this geometry and memory of the output."""
    height, width = geometry.height, geometry.width
    return reads_vectors(geometry) and (
        _in_line(memory, height.size, width.size, geometry.planes, geometry.channels) > 0
    )


def _in_line(memory: tuple[int, ...], rows: int, columns: int, planes: int, channels: int) -> int:
    """2 if all cells lie one behind the other, 1 if those of a plane do, else 0."""
    split, outer, inner, row, column, channel = memory
    if (row, column) != (columns * channels, channels) or (channels > 1 and channel != 1):
        return 0
    plane = rows * row
    return 2 if inner == plane and (split == planes or outer == split * plane) else 1

"""The walk for tiles: windows that share no cell, of which no tap lies outside.

The rows of a slice go through one function at a time, each from left to right. The last vector of a
row overlaps the one before, so that all have as many lanes.
"""

from __future__ import annotations

from ..compile.jit import inlined
from ..compile.signature import WALK, Signature, kernel
from ..table import COLUMN, DEPTH, HEIGHT, INPUT, OUTPUT, OUTPUTS, ROW, SLICE, TAPS
from ..tile_table import (
    TILE_AHEAD,
    TILE_BYTES,
    TILE_CELLS_INSIDE,
    TILE_COUNT,
    TILE_FROM,
    TILE_GROUP_FROM,
    TILE_GROUP_TO,
    TILE_GROUPS,
    TILE_ROWS,
    TILE_ROWS_INSIDE,
    TILE_SLICES_INSIDE,
    TILE_TO,
)
from ..vectors.memory import address_of, lanes
from ..vectors.tiles import reduce_tile
from .places import plane_origin, rows_of_plane

# Some rows of tiles that follow each other in a slice.
TILES = Signature("x output table rows", constants="tile")
reduce_rows_at = TILES.call


@kernel(TILES)
def reduce_rows(x, output, table, rows, tile):
    """Reduce the tiles of some rows."""
    count, groups, many = table[TILE_COUNT], table[TILE_GROUPS], lanes(x)
    step, to = table[TILE_FROM], table[TILE_TO]
    group_step, group_to = table[TILE_GROUP_FROM], table[TILE_GROUP_TO]
    steps = table[INPUT + SLICE], table[INPUT + ROW], table[INPUT + COLUMN]
    down, row_to = table[HEIGHT + TAPS] * table[INPUT + ROW], table[OUTPUT + ROW]
    limits, ahead = (
        (table[TILE_SLICES_INSIDE], table[TILE_ROWS_INSIDE], table[TILE_CELLS_INSIDE]),
        table[TILE_AHEAD],
    )
    for row in range(rows):
        source, target = row * down, row * row_to
        for _ in range(groups):
            j = 0
            while j + many <= count:
                at, place = source + j * step, target + j * to
                reduce_tile(tile, x, output, at, place, steps, limits, ahead)
                j += many
            if j < count:
                j = count - many
                at, place = source + j * step, target + j * to
                reduce_tile(tile, x, output, at, place, steps, limits, ahead)
            source += group_step
            target += group_to
    return 0


@kernel(WALK)
def tile_rows(x, output, places, scratch, table, first_row, last_row):
    """Reduce the rows of tiles from `first_row` up to `last_row`, counted through all planes."""
    outputs, slices, item = table[HEIGHT + OUTPUTS], table[DEPTH + OUTPUTS], table[TILE_BYTES]
    all_slices, begin, stop = rows_of_plane(first_row, last_row, outputs)
    number, unit = all_slices // slices, first_row
    od = all_slices - number * slices
    while unit < last_row:
        source = x + origin(table, INPUT, number, od * table[DEPTH + TAPS]) * item
        source += begin * table[HEIGHT + TAPS] * table[INPUT + ROW] * item
        target = output + origin(table, OUTPUT, number, od) * item
        target += begin * table[OUTPUT + ROW] * item
        rows = stop - begin
        reduce_rows_at(table[TILE_ROWS], (source, target, address_of(table), rows))
        unit += rows
        begin, stop, od = 0, min(outputs, last_row - unit), od + 1
        if od == slices:
            od, number = 0, number + 1
    return -1


@inlined
def origin(table, which, plane, slice_):
    """Where a slice of a plane begins."""
    return plane_origin(table, which, plane) + slice_ * table[which + SLICE]

"""The walk for tiles: windows that share no cell, without padding.

The rows of a slice go through one function at a time, each from left to right. The last vector of a
row overlaps the one before, so that all have as many lanes.
"""

from __future__ import annotations

from ..compile.jit import inlined
from ..compile.signature import WALK, Signature, kernel
from ..table import COLUMN, DEPTH, HEIGHT, INDICES, INPUT, OUTPUT, OUTPUTS, ROW, SLICE, TAPS
from ..tile_table import (
    TILE_AHEAD,
    TILE_BYTES,
    TILE_CELLS_INSIDE,
    TILE_COUNT,
    TILE_ENOUGH,
    TILE_FEW,
    TILE_FILL,
    TILE_FROM,
    TILE_GROUP_FROM,
    TILE_GROUP_MASK,
    TILE_GROUP_TO,
    TILE_GROUPS,
    TILE_MASK,
    TILE_NUMBER,
    TILE_RESULT_BYTES,
    TILE_ROWS,
    TILE_ROWS_INSIDE,
    TILE_SLICES_INSIDE,
    TILE_TO,
)
from ..vectors.memory import address_of, lanes
from ..vectors.tiles import reduce_tile
from .places import plane_origin, rows_of_plane

# Some rows of tiles that follow each other in a slice; where a mask, and tiles with too few cells,
# lie, which may be nowhere.
TILES = Signature("x output mask few table rows", constants="tile")
reduce_rows_at = TILES.call


@kernel(TILES)
def reduce_rows(x, output, mask, few, table, rows, tile):
    """Reduce the tiles of some rows."""
    count, groups, many = table[TILE_COUNT], table[TILE_GROUPS], lanes(x)
    step, to, mask_step = table[TILE_FROM], table[TILE_TO], table[TILE_MASK]
    steps = table[INPUT + SLICE], table[INPUT + ROW], table[INPUT + COLUMN]
    mask_steps = table[INDICES + SLICE], table[INDICES + ROW], table[INDICES + COLUMN]
    limits = table[TILE_SLICES_INSIDE], table[TILE_ROWS_INSIDE], table[TILE_CELLS_INSIDE]
    numbers, ahead = (table[TILE_NUMBER], table[TILE_ENOUGH], table[TILE_FILL]), table[TILE_AHEAD]
    down, taps = table[INPUT + ROW], table[HEIGHT + TAPS]
    arrays, last = (x, output, mask, few), max(count - many, 0)
    for row in range(rows):
        source, target = row * taps * down, row * table[OUTPUT + ROW]
        hidden = row * taps * table[INDICES + ROW]
        for _ in range(groups):
            j = 0
            while j < count:
                j = min(j, last)
                places = source + j * step, target + j * to, hidden + j * mask_step
                reduce_tile(tile, arrays, places, steps, mask_steps, limits, numbers, ahead)
                j += many
            source += table[TILE_GROUP_FROM]
            target += table[TILE_GROUP_TO]
            hidden += table[TILE_GROUP_MASK]
    return 0


@kernel(WALK)
def tile_rows(x, output, places, scratch, table, first_row, last_row):
    """Reduce the rows of tiles from `first_row` up to `last_row`, counted through all planes."""
    outputs, slices = table[HEIGHT + OUTPUTS], table[DEPTH + OUTPUTS]
    taps, taps_d = table[HEIGHT + TAPS], table[DEPTH + TAPS]
    all_slices, begin, stop = rows_of_plane(first_row, last_row, outputs)
    number, unit = all_slices // slices, first_row
    od = all_slices - number * slices
    while unit < last_row:
        source = cell_of(table, INPUT, number, od * taps_d, begin * taps) * table[TILE_BYTES]
        hidden = cell_of(table, INDICES, number, od * taps_d, begin * taps)
        target, rows = cell_of(table, OUTPUT, number, od, begin), stop - begin
        arrays = (
            x + source,
            output + target * table[TILE_RESULT_BYTES],
            places + hidden,
            table[TILE_FEW] + target,
        )
        reduce_rows_at(table[TILE_ROWS], (*arrays, address_of(table), rows))
        unit += rows
        begin, stop, od = 0, min(outputs, last_row - unit), od + 1
        if od == slices:
            od, number = 0, number + 1
    return -1


@inlined
def cell_of(table, which, plane, depth, row):
    """Where a row of a plane begins."""
    first = plane_origin(table, which, plane)
    return first + depth * table[which + SLICE] + row * table[which + ROW]

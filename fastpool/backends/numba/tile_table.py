"""What the kernel of tiles must know of a call; see `table`."""

from __future__ import annotations

from .table import Layout

TILING = Layout(
    """
    TILE_BYTES TILE_RESULT_BYTES
    TILE_COUNT TILE_FROM TILE_TO TILE_MASK
    TILE_GROUPS TILE_GROUP_FROM TILE_GROUP_TO TILE_GROUP_MASK
    TILE_SLICES_INSIDE TILE_ROWS_INSIDE TILE_CELLS_INSIDE TILE_AHEAD
    TILE_NUMBER TILE_ENOUGH TILE_FILL TILE_FEW
    TILE_ROWS
    """
)
(
    TILE_BYTES,  # of a cell
    TILE_RESULT_BYTES,
    TILE_COUNT,  # tiles of a row that are reduced in vectors, or channels of one tile
    TILE_FROM,  # cells from one of them to the next, in the input, the output and the mask
    TILE_TO,
    TILE_MASK,
    TILE_GROUPS,  # channels of a row, or tiles: a vector holds cells of one of these
    TILE_GROUP_FROM,
    TILE_GROUP_TO,
    TILE_GROUP_MASK,
    TILE_SLICES_INSIDE,  # of a tile
    TILE_ROWS_INSIDE,
    TILE_CELLS_INSIDE,  # of a row of a tile
    TILE_AHEAD,  # cells from what is read to what is fetched meanwhile
    TILE_NUMBER,  # the bits of the number that cells are missing at
    TILE_ENOUGH,  # valid cells of a tile
    TILE_FILL,  # the bits of what tiles with fewer get
    TILE_FEW,  # the address of where it is written which those are; 0 for nowhere
    TILE_ROWS,  # the address of the function for some rows
) = TILING.places

"""Blocks of a pooling: several planes at a time where they are small, parts of one where not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from ...rules.geometry import Geometry

# Cells a block. On (8, 64, 224, 224) k2 s2 2**18 takes 0.9 of the time and twice the memory;
# 2**16 takes 1.3 times as long, 2**23 1.9 times.
BLOCK = 2**17


def blocks(geometry: Geometry, tile: Sequence[int]) -> Iterator[tuple[int, Any, tuple[slice, ...]]]:
    """The first plane, the index of all planes, and the outputs along each axis, of every block.

    `tile` has the outputs of a block along each axis; planes that are small come whole. Blocks
    come in the row-major order of the outputs where the axes behind a divided one are whole.
    """
    outputs = geometry.outputs
    if geometry.plane_cells <= BLOCK:
        tile = outputs
    along = [
        [slice(start, min(start + step, count)) for start in range(0, count, step)]
        for step, count in zip(tile, outputs, strict=True)
    ]
    for first, planes in geometry.plane_blocks(BLOCK):
        for part in product(*along):
            yield first, planes, part


def tile_to_read(geometry: Geometry) -> list[int]:
    """Outputs along each axis of a block whose input is read, with what overlaps the next one.

    Of cells it has twice the reach of a window or more along each axis, and so at most half of
    them are read again. Rows are whole unless windows are very large.
    """
    axes = geometry.axes
    reaches = [min(axis.span, axis.size) for axis in axes]
    tile, behind = [0] * len(axes), geometry.channels
    for number in reversed(range(len(axes))):
        before = math.prod(2 * reach for reach in reaches[:number])
        cells = max(2 * reaches[number], BLOCK // (before * behind))
        tile[number] = max(1, (cells - reaches[number]) // axes[number].stride)
        behind *= min(cells, axes[number].size)
    return tile


def tile_to_write(geometry: Geometry) -> list[int]:
    """Outputs along each axis of a block that is contiguous in the order of the outputs."""
    tile, behind = [], geometry.channels
    for count in reversed(geometry.outputs):
        tile.append(max(1, min(count, BLOCK // behind)))
        behind *= count
    return tile[::-1]

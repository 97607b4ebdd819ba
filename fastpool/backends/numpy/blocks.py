"""Blocks of a pooling: several planes at a time where they are small, parts of one where not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import Any, NamedTuple

import numpy as np

from ...rules.axis import Axis
from ...rules.geometry import Geometry

# Cells a block. On (8, 64, 224, 224) k2 s2 2**18 takes 0.9 of the time and twice the memory;
# 2**16 takes 1.3 times as long, 2**23 1.9 times.
BLOCK = 2**17


def joined(arrays: Sequence[np.ndarray], behind: int) -> Sequence[np.ndarray]:
    """Views with one leading axis in place of several, if all the canonical arrays have one.

    `behind` is the number of axes that follow. With one leading axis a block is a view; otherwise
    it is a copy, as its planes are picked by their numbers.
    """
    for array in arrays:
        lead = list(zip(array.shape, array.strides, strict=True))[:-behind]
        steps = [(count, step) for count, step in lead if count > 1]
        if any(outer != count * step for (_, outer), (count, step) in pairwise(steps)):
            return arrays
    return [array.reshape(-1, *array.shape[-behind:]) for array in arrays]


def blocks(
    geometry: Geometry, extent: Sequence[int], cells: int = BLOCK, sliced: bool = False
) -> Iterator[tuple[int, Any, tuple[slice, ...]]]:
    """The first plane, the index of all planes, and the outputs along each axis, of every block.

    `extent` has the outputs of a block along each axis; planes of up to `cells` cells come whole.
    Blocks come in the row-major order of the outputs where the axes behind a divided one are
    whole. `sliced` says that there is one leading axis, so that the index is a slice.
    """
    outputs = geometry.outputs
    if geometry.plane_cells <= cells:
        extent = outputs
    along = [
        [slice(start, min(start + step, count)) for start in range(0, count, step)]
        for step, count in zip(extent, outputs, strict=True)
    ]
    for first, numbers in geometry.plane_blocks(cells):
        planes = (slice(first, first + len(numbers[0])),) if sliced else numbers
        for part in product(*along):
            yield first, planes, part


class Read(NamedTuple):
    """A block whose input is read.

    Attributes
    ----------
    cells, windows : tuple
        Where it stands in the input, and in the outputs.
    axes : tuple of Axis
        The windows on these cells.
    lows : tuple of int
        The first cell along each axis.
    """

    cells: Any
    windows: Any
    axes: tuple[Axis, ...]
    lows: tuple[int, ...]


def blocks_to_read(geometry: Geometry, cells: int, sliced: bool) -> Iterator[Read]:
    """Blocks of about so many cells, with what overlaps the next one; see `blocks`."""
    for _, planes, part in blocks(geometry, _tile_to_read(geometry, cells), cells, sliced):
        pieces = [
            (0, axis.size, axis)  # all, so that whole rows stay side by side
            if along == slice(0, axis.output)
            else axis.part(along.start, along.stop)
            for axis, along in zip(geometry.axes, part, strict=True)
        ]
        lows, highs, axes = zip(*pieces, strict=True)
        yield Read((*planes, *map(slice, lows, highs)), (*planes, *part), axes, lows)


def _tile_to_read(geometry: Geometry, cells: int) -> list[int]:
    """Outputs along each axis of a block whose input is read, with what overlaps the next one.

    Of cells it has twice the reach of a window or more along each axis, and so at most half of
    them are read again. Rows are whole unless windows are very large.
    """
    axes = geometry.axes
    reaches = [min(axis.span, axis.size) for axis in axes]
    extent, behind = [0] * len(axes), geometry.channels
    for number in reversed(range(len(axes))):
        before = math.prod(2 * reach for reach in reaches[:number])
        length = max(2 * reaches[number], cells // (before * behind))
        extent[number] = max(1, (length - reaches[number]) // axes[number].stride)
        behind *= min(length, axes[number].size)
    return extent


def tile_to_write(geometry: Geometry) -> list[int]:
    """Outputs along each axis of a block that is contiguous in the order of the outputs."""
    extent, behind = [], geometry.channels
    for count in reversed(geometry.outputs):
        extent.append(max(1, min(count, BLOCK // behind)))
        behind *= count
    return extent[::-1]

"""Small planes side by side in the lanes of vectors, as if they were channels.

Kernels bring some of them into the scratch, where a cell of each of them is a vector, and bring
what they made of them out; see `vectors.transpose`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...rules.geometry import Geometry
from .memory import Memory, three
from .table import three_axes

# Rows of up to so many cells and windows are short, and planes of up to so many bytes, in all,
# go side by side: (32, 512, 14, 14) to 5 x 5 takes 0.1 of the time, forward and backward.
SHORT, MOST_BYTES = 20, 2**18
# Lanes for planes: to transpose 64 x 64 bytes takes longer than it spares.
MOST_PLANES = 16


def small_planes(
    geometry: Geometry, memories: Sequence[Memory], itemsizes: Sequence[int], lanes: int
) -> bool:
    """Whether planes go side by side into lanes, as their rows are short.

    `memories` are those of the input and of the outputs, of which all lie alike.
    """
    source, *targets = memories
    width = three_axes(geometry)[2]
    if geometry.channels > 1 or geometry.planes < lanes or max(width.size, width.output) > SHORT:
        return False
    sizes = geometry.plane_cells, *[math.prod(geometry.outputs)] * len(targets)
    taken = sum(cells * size for cells, size in zip(sizes, itemsizes, strict=True))
    whole = source.whole(geometry, geometry.sizes) and all(
        target.whole(geometry, geometry.outputs) and target.inner == targets[0].inner
        for target in targets
    )
    return whole and taken * lanes <= MOST_BYTES


def side_by_side(
    geometry: Geometry, memories: Sequence[Memory], lanes: int
) -> tuple[Geometry, tuple[Memory, ...]]:
    """Planes as channels: their geometry, and their memories, as they lie in the scratch.

    The planes themselves are as far apart as they were.
    """
    sizes = geometry.sizes, *[geometry.outputs] * (len(memories) - 1)
    found = []
    for memory, each in zip(memories, sizes, strict=True):
        apart = {"split": memory.split, "outer": memory.outer, "inner": memory.inner}
        here = Memory.in_order(1, three(each), lanes)
        found.append(here._replace(**apart, channel=memory.inner))
    return replace(geometry, channels=lanes), tuple(found)


def brought_bytes(sizes: tuple[int, ...], lanes: int, dtype: np.dtype[Any]) -> int:
    """Bytes of planes of these sizes in the scratch, with what transposing writes beyond."""
    return (math.prod(sizes) * lanes + lanes * lanes) * dtype.itemsize

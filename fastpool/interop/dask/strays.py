"""Values that flat indices send out of their own windows, as unpooling allows: strays.

They are found in every chunk, collected for each plane, and put where they belong in order with
all others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from ...rules.call import Call
from ...rules.indices import named_cells
from .halo import borders, joined, spatial, with_spatial


def search(call: Call, values: Any, indices: Any, name: str) -> dict[Any, Any]:
    """Tasks that find strays: those along the last axis are collected first, then along the others.

    Usually there are none. The position -1 along an axis stands for all of its chunks.
    """
    graph: dict[Any, Any] = {}
    along = [borders(sizes) for sizes in spatial(call, values.chunks)]
    numbers = [range(count) for count in spatial(call, values.numblocks)]
    others = with_spatial(call, values.numblocks, (1,) * len(numbers))
    for other in product(*map(range, others)):
        for place in product(*numbers):
            key = with_spatial(call, other, place)
            windows = [each[n] for each, n in zip(along, place, strict=True)]
            chunks = (values.name, *key), (indices.name, *key)
            graph[(name, *key)] = partial(_strays, call, windows), *chunks
        for axis in reversed(range(len(numbers))):
            rest = (-1,) * (len(numbers) - 1 - axis)
            for before in product(*numbers[:axis]):
                found = [
                    (name, *with_spatial(call, other, (*before, n, *rest))) for n in numbers[axis]
                ]
                key = with_spatial(call, other, (*before, -1, *rest))
                graph[(name, *key)] = collected, found
    return graph


def _strays(
    call: Call, windows: Sequence[tuple[int, int]], values: np.ndarray, codes: np.ndarray
) -> Any:
    """The entries of one chunk whose indices name cells of other windows."""
    first, second = call.function.inputs
    values, codes = joined(call, first, values), joined(call, second, codes)
    cells, valid, own = cells_of(call, windows, codes)
    return entries(call, windows, cells, valid & ~own, values)


def cells_of(
    call: Call, windows: Sequence[tuple[int, int]], codes: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """`named_cells` of the indices of some windows."""
    axes = call.geometry.axes
    starts = [
        _along(call, number, np.arange(*pair) * axis.stride - axis.pad_low)
        for number, (axis, pair) in enumerate(zip(axes, windows, strict=True))
    ]
    return named_cells(axes, codes.astype(np.int64), starts, call.window)


def _along(call: Call, axis: int, values: np.ndarray) -> np.ndarray:
    """Values of one spatial axis as an array that broadcasts with those of a chunk."""
    behind = len(call.geometry.axes) - 1 - axis + call.geometry.channels_last
    return values.reshape(-1, *(1,) * behind)


def entries(
    call: Call,
    windows: Sequence[tuple[int, int]],
    cells: Sequence[np.ndarray],
    chosen: np.ndarray,
    values: np.ndarray,
) -> Any:
    """The chosen values, where they go to, and the positions of their windows in the plane."""
    outputs, order = call.geometry.outputs, np.zeros((), np.int64)
    for number, pair in enumerate(windows):
        behind = math.prod(outputs[number + 1 :])
        order = order + _along(call, number, np.arange(*pair) * behind)
    order = np.broadcast_to(order, chosen.shape)
    where = with_spatial(call, np.nonzero(chosen), [cell[chosen] for cell in cells])
    return where, order[chosen], values[chosen]


def collected(entries: Sequence[Any]) -> Any:
    """Entries of several chunks as one."""
    where = zip(*(where for where, _, _ in entries), strict=True)
    return (
        tuple(map(np.concatenate, where)),
        np.concatenate([order for _, order, _ in entries]),
        np.concatenate([values for _, _, values in entries]),
    )

"""Chunks, and the rectangles of neighbouring ones that a chunk of a result is made of.

::

    chunks of x   |      0      |      1      |      2      |
    cells that the windows      |<--- low .. high --->|
    of one chunk reach       |  |             |       |
                             cut    whole        cut        ──> joined: one array
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, pairwise
from typing import Any

import dask.array as da
import numpy as np
from dask.core import flatten
from dask.highlevelgraph import HighLevelGraph

from ...rules import arrays, masks, sums
from ...rules.axis import Axis
from ...rules.call import Call


def known(name: str, parameter: str, value: Any) -> Any:
    """A Dask array, if the sizes of its chunks are known.

    Nothing is computed, and of a list that holds Dask arrays each is looked at by itself.
    """
    masks.refuse_masks(name, parameter, (value,), lazy=(da.Array,))
    if isinstance(value, (list, tuple)):
        metas = [leaf._meta for leaf in flatten(value, (list, tuple)) if isinstance(leaf, da.Array)]
        masks.refuse_masks(name, parameter, metas)
    elif isinstance(value, da.Array):
        masks.refuse_masks(name, parameter, value._meta)
    array = value if isinstance(value, da.Array) else da.asarray(value)
    if any(np.isnan(size) for size in array.shape):
        raise ValueError(
            f"{name}: {parameter} has chunks of unknown sizes; compute_chunk_sizes() finds them"
        )
    return array


def new_array(graph: Any, name: str, chunks: Any, dtype: Any, inputs: Sequence[Any]) -> Any:
    """A Dask array of what tasks make of others."""
    layers = HighLevelGraph.from_collections(name, graph, dependencies=inputs)
    return da.Array(layers, name, chunks, meta=np.empty((0,) * len(chunks), dtype))


def spatial(call: Call, values: Sequence[Any]) -> Sequence[Any]:
    """Of one value for each axis of an array, those of the spatial axes."""
    at = len(call.geometry.lead)
    return values[at : at + len(call.geometry.axes)]


def with_spatial(call: Call, values: Sequence[Any], others: Sequence[Any]) -> tuple[Any, ...]:
    """One value for each axis of an array, other ones for the spatial axes."""
    at = len(call.geometry.lead)
    return (*values[:at], *others, *values[at + len(call.geometry.axes) :])


def on_chunk(call: Call, axes: tuple[Axis, ...], array: np.ndarray, index_dtype: Any) -> Call:
    """The call of one chunk: windows on the cells that they reach, for the planes of an array.

    The array may have a dtype of its own, which is not that of the Dask array.
    """
    channels = array.shape[-1] if call.geometry.channels_last else call.geometry.channels
    local = call.with_axes(axes, array.shape[: len(call.geometry.lead)], channels)
    dtype = arrays.data_type(call.name, call.function.inputs[0], array.dtype)
    division = call.division and sums.for_dtype(call.name, call.division, dtype, call.part)
    return replace(local, dtype=dtype, index_dtype=index_dtype, division=division)


def borders(sizes: Iterable[int]) -> list[tuple[int, int]]:
    """Where each chunk starts and stops."""
    return list(pairwise((0, *accumulate(sizes))))


class Halo:
    """The pieces of an array's chunks that make up a rectangle, each cut out where its chunk is."""

    def __init__(self, call: Call, array: Any, name: str, graph: dict[Any, Any]) -> None:
        self._call, self._array, self._name, self._graph = call, array, name, graph
        self._sizes = spatial(call, array.chunks)
        self._ends = [list(accumulate(sizes)) for sizes in self._sizes]

    def pieces(self, key: Sequence[int], ranges: Iterable[tuple[int, int]]) -> Any:
        """Lists of lists of pieces, one level an axis; the other axes are those of a key."""
        pairs = zip(self._ends, ranges, strict=True)
        return self._nested(key, [list(_cuts(ends, *limits)) for ends, limits in pairs], ())

    def _nested(self, key: Sequence[int], along: Sequence[Any], chosen: tuple[Any, ...]) -> Any:
        if len(chosen) == len(along):
            return self._piece(key, chosen)
        return [self._nested(key, along, (*chosen, cut)) for cut in along[len(chosen)]]

    def _piece(self, key: Sequence[int], cuts: Sequence[tuple[int, int, int]]) -> Any:
        chunk = with_spatial(self._call, key, [number for number, _, _ in cuts])
        whole = (self._array.name, *chunk)
        sizes = [along[number] for along, (number, _, _) in zip(self._sizes, cuts, strict=True)]
        limits = tuple((start, stop) for _, start, stop in cuts)
        if limits == tuple((0, size) for size in sizes):
            return whole
        cut = (self._name, *chunk, *(number for pair in limits for number in pair))
        self._graph[cut] = partial(_cut, len(self._call.geometry.lead), limits), whole
        return cut


def _cuts(ends: Sequence[int], low: int, high: int) -> Iterator[tuple[int, int, int]]:
    """The chunks that hold the cells from `low` up to `high`, and which of its cells each gives."""
    number = bisect_right(ends, low)
    while low < high:
        start, end = ends[number - 1] if number else 0, ends[number]
        if low < end:
            yield number, low - start, min(high, end) - start
        low, number = end, number + 1


def _cut(at: int, limits: Sequence[tuple[int, int]], chunk: np.ndarray) -> np.ndarray:
    """A part of a chunk; a small one is copied, lest it keep all of the chunk in memory."""
    part = chunk[(slice(None),) * at + tuple(slice(*pair) for pair in limits)]
    return part.copy() if 2 * part.size < chunk.size else part


def joined(call: Call, parameter: str, pieces: Any) -> np.ndarray:
    """Pieces as one array: the piece itself if it is alone.

    Raises
    ------
    TypeError
        One of them is a masked array, whatever the array that it is a block of says: joining
        would drop the mask.
    """
    alone, levels = pieces, len(call.geometry.axes)
    while isinstance(alone, list) and len(alone) == 1:
        (alone,) = alone
    if not isinstance(alone, list):
        return _plain(call, parameter, alone)
    return np.block(_checked(call, parameter, pieces, levels))


def _checked(call: Call, parameter: str, pieces: Any, levels: int) -> Any:
    """Nested pieces that `numpy.block` joins along the spatial axes."""
    if levels:
        return [_checked(call, parameter, each, levels - 1) for each in pieces]
    piece = _plain(call, parameter, pieces)
    return [piece] if call.geometry.channels_last else piece


def _plain(call: Call, parameter: str, piece: Any) -> np.ndarray:
    (array,) = arrays.as_arrays(call.name, (parameter,), (piece,))
    return array

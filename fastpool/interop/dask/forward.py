"""Pooling of Dask arrays: a chunk of windows is made of the cells that they reach."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import accumulate, pairwise, product
from operator import getitem
from typing import Any, TypeAlias

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from ...api.execute import PoolResult, execute_call
from ...process.threads import one_thread
from ...rules.axis import Axis
from ...rules.call import Call
from ...rules.indices import flat_of, unraveled
from .halo import Halo, borders, joined, new_array, on_chunk, spatial, with_spatial

# Along an axis: the cells that some windows reach, from which on up to which, and these windows on
# those cells.
Part: TypeAlias = tuple[int, int, Axis]


def pooled(call: Call, x: Any, backend: str, make: Any = None, given: tuple[Any, ...] = ()) -> Any:
    """The Dask array, or the two, of a pooling.

    `make` makes a chunk, by default with what the call computes; `given` is what else it takes.
    """
    if 0 in call.geometry.outputs:
        return _empty(call, x)
    axes = call.geometry.axes
    windows = [
        _chunks(axis, sizes) for axis, sizes in zip(axes, spatial(call, x.chunks), strict=True)
    ]
    chunks = with_spatial(call, x.chunks, windows)
    token = tokenize(x, call, backend, *given)
    graph: dict[Any, Any] = {}
    made, halo = f"{call.name}-{token}", Halo(call, x, f"{call.name}-halo-{token}", graph)
    parts = [
        [axis.part(*each) for each in borders(sizes)]
        for axis, sizes in zip(axes, windows, strict=True)
    ]
    for key in product(*map(range, map(len, chunks))):
        numbers = zip(parts, spatial(call, key), strict=True)
        reached = tuple(along[number] for along, number in numbers)
        pieces = halo.pieces(key, [(low, high) for low, high, _ in reached])
        graph[(made, *key)] = partial(make or _pool, call, reached, backend, *given), pieces
    if call.index_dtype is None:
        ((_, dtype),) = call.results
        return new_array(graph, made, chunks, dtype, [x])
    both = HighLevelGraph.from_collections(made, graph, dependencies=[x])
    kinds = call.dtype, call.index_dtype
    return PoolResult(*(_result(both, made, i, chunks, kind) for i, kind in enumerate(kinds)))


def _empty(call: Call, x: Any) -> Any:
    """What there is of no windows, as adaptive pooling may be asked for."""
    chunks = with_spatial(call, x.chunks, [(output,) for output in call.geometry.outputs])
    made = [da.empty(shape, dtype=dtype, chunks=chunks) for shape, dtype in call.results]
    return PoolResult(*made) if len(made) == 2 else made[0]


def _chunks(axis: Axis, sizes: Sequence[int]) -> tuple[int, ...]:
    """How many windows start in each chunk of the cells, where any does."""
    stops = [axis.starting(end) for end in accumulate(sizes)]
    return tuple(stop - first for first, stop in pairwise((0, *stops)) if stop > first)


def _result(both: Any, made: str, number: int, chunks: Any, dtype: Any) -> Any:
    """The outputs, or the indices, of tasks that make both."""
    name = f"{made}-{('output', 'indices')[number]}"
    keys = product(*map(range, map(len, chunks)))
    layer = {(name, *key): (getitem, (made, *key), number) for key in keys}
    graph = HighLevelGraph({**both.layers, name: layer}, {**both.dependencies, name: {made}})
    return da.Array(graph, name, chunks, meta=np.empty((0,) * len(chunks), dtype))


def _pool(call: Call, parts: Sequence[Part], backend: str, pieces: Any) -> Any:
    """Windows, from the cells that they reach."""
    x = joined(call, "x", pieces)
    local = on_chunk(call, tuple(axis for _, _, axis in parts), x, call.index_dtype)
    with one_thread():
        result: Any = execute_call(local, (x,), None, backend)
    if call.index_dtype is None:
        return result
    output, indices = result
    if not call.window and local.geometry.sizes != call.geometry.sizes:
        places = unraveled(local.geometry.sizes, indices)
        whole = [place + low for place, (low, _, _) in zip(places, parts, strict=True)]
        indices = flat_of(call.geometry.axes, whole)
    return output, indices

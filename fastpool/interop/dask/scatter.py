"""Gradients and unpooling of Dask arrays: a chunk visits all windows that reach it, in order."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from dask.base import tokenize

from ...api.execute import execute_call
from ...process.threads import one_thread
from ...rules.call import Call
from ...rules.indices import unraveled
from .halo import Halo, joined, new_array, on_chunk, spatial, with_spatial
from .strays import cells_of, collected, entries, search
from .targets import Target, cut_to, normalized, parts_of, targets


def scattered(call: Call, values: Any, indices: Any, chunks: Any, backend: str) -> Any:
    """The Dask array of a gradient, or of what is unpooled."""
    name = call.name
    call.check_indices(indices.shape, indices.dtype)
    if values.npartitions < indices.npartitions:  # as one that came from NumPy
        values = values.rechunk(indices.chunks)
    chunks = normalized(call, values, chunks)
    shared = with_spatial(call, chunks, spatial(call, values.chunks))
    values, indices = values.rechunk(shared), indices.rechunk(shared)

    token = tokenize(values, indices, call, chunks, backend)
    graph: dict[Any, Any] = {}
    made, strays = f"{name}-{token}", f"{name}-strays-{token}"
    halos = [
        Halo(call, array, f"{name}-{kind}-{token}", graph)
        for array, kind in ((values, "values"), (indices, "indices"))
    ]
    far = not call.tied
    if far:
        graph.update(search(call, values, indices, strays))
    for key, target in targets(call, chunks):
        sources: list[Any] = [halo.pieces(key, target.windows) for halo in halos]
        if far:
            sources.append((strays, *with_spatial(call, key, (-1,) * len(call.geometry.axes))))
        graph[(made, *key)] = partial(_fill, call, target, backend), *sources
    return new_array(graph, made, chunks, call.dtype, [values, indices])


def _fill(
    call: Call, target: Target, backend: str, values: Any, indices: Any, strays: Any = None
) -> np.ndarray:
    """A chunk of a gradient, or of what is unpooled: in the order of the outputs, strays too."""
    found = []
    if strays is not None and strays[1].size:
        found.append(_those_in(call, target, strays))
    if target.reached:
        values = joined(call, call.function.inputs[0], values)
        codes = joined(call, "indices", indices)
        if not found:
            return _own(call, target, backend, values, codes)
        cells, valid, own = cells_of(call, target.windows, codes)
        if not valid.all():
            position = np.unravel_index(int(valid.argmin()), valid.shape)
            raise _bad_index(call, target, codes, tuple(map(int, position)))
        reached = entries(call, target.windows, cells, own, values)
        found.append(_those_in(call, target, reached))
    result = np.zeros(target.shape, call.dtype)
    if found:
        where, order, values = collected(found)
        sort = np.argsort(order, kind="stable")
        result[tuple(along[sort] for along in where)] = values[sort]
    return result


def _own(
    call: Call, target: Target, backend: str, values: np.ndarray, codes: np.ndarray
) -> np.ndarray:
    """A chunk, if no index leads out of its window: of all that the windows reach, its part."""
    parts = parts_of(call, target.windows)
    chunk = on_chunk(call, tuple(axis for _, _, axis in parts), values, np.dtype(np.int64))
    chunk.check_indices(codes.shape, codes.dtype)
    if min(high - low for low, high, _ in parts) < 1:  # beyond the plane, as unpooling may have
        if codes.size:
            raise _bad_index(call, target, codes, (0,) * codes.ndim)
        return np.zeros(target.shape, call.dtype)
    local = codes
    if call.window:
        chunk = replace(chunk, index_dtype=codes.dtype.newbyteorder("="))
    else:
        inside, local = np.ones(codes.shape, bool), np.zeros(codes.shape, np.int64)
        for place, (low, high, _) in zip(unraveled(call.geometry.sizes, codes), parts, strict=True):
            inside &= (place >= low) & (place < high)
            local = local * (high - low) + (place - low)
        local[~inside] = -1
    try:
        with one_thread():
            reached = execute_call(chunk, (values, local), None, backend)
    except IndexError as error:
        position: tuple[int, ...] = error.position  # type: ignore[attr-defined]
        raise _bad_index(call, target, codes, position) from None
    return cut_to(call, target, reached, parts)


def _those_in(call: Call, target: Target, found: Any) -> Any:
    """The entries that go to a chunk, and where they go in it."""
    where, order, values = found
    inside = np.ones(order.shape, bool)
    for along, (low, high) in zip(spatial(call, where), target.cells, strict=True):
        inside &= (along >= low) & (along < high)
    starts = with_spatial(call, (0,) * len(where), [low for low, _ in target.cells])
    here = tuple((along - start)[inside] for along, start in zip(where, starts, strict=True))
    return here, order[inside], values[inside]


def _bad_index(
    call: Call, target: Target, codes: np.ndarray, position: tuple[int, ...]
) -> IndexError:
    """The error for an index at a position among the windows of a chunk."""
    whole = tuple(start + place for start, place in zip(target.start, position, strict=True))
    return call.bad_index(whole, codes[position])

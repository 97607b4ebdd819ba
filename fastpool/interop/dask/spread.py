"""Gradients of averages of Dask arrays: a chunk sums what all windows that reach it pass on."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from dask.base import tokenize

from ...api.execute import execute_call
from ...process.threads import one_thread
from ...rules.call import Call
from .halo import Halo, joined, new_array, on_chunk, spatial, with_spatial
from .targets import Target, cut_to, normalized, parts_of, targets


def spread(call: Call, values: Any, chunks: Any, backend: str) -> Any:
    """The Dask array of the gradient of an average."""
    return gathered(call, (values,), chunks, _sum, (backend,))


def gathered(
    call: Call, arrays: tuple[Any, ...], chunks: Any, make: Any, given: tuple[Any, ...]
) -> Any:
    """A Dask array of the input's shape, whose chunks `make` makes.

    It gets the values of the windows that reach a chunk, and where there is a second array, its
    cells under these windows.
    """
    name = call.name
    chunks = normalized(call, arrays[0], chunks)
    shared = [
        array.rechunk(with_spatial(call, chunks, spatial(call, array.chunks))) for array in arrays
    ]
    token = tokenize(*shared, call, chunks, *given)
    graph: dict[Any, Any] = {}
    kinds = zip(shared, ("values", "cells"), strict=False)
    halos = [Halo(call, array, f"{name}-{kind}-{token}", graph) for array, kind in kinds]
    made = f"{name}-{token}"
    for key, target in targets(call, chunks):
        ranges = target.windows, _cells(call, target)
        pieces = [halo.pieces(key, each) for halo, each in zip(halos, ranges, strict=False)]
        graph[(made, *key)] = partial(make, call, target, *given), *pieces
    return new_array(graph, made, chunks, call.dtype, shared)


def _cells(call: Call, target: Target) -> tuple[tuple[int, int], ...]:
    """From which on up to which cell the windows of a chunk reach, along each axis."""
    if not target.reached:
        return target.windows
    return tuple((low, high) for low, high, _ in parts_of(call, target.windows))


def _sum(call: Call, target: Target, backend: str, pieces: Any) -> np.ndarray:
    """A chunk of a gradient: of all cells that its windows reach, its part.

    The others lack windows. Its own have all of theirs, at the same places among those that are
    added: so they are added in the same order.
    """
    if not target.reached:
        return np.zeros(target.shape, call.dtype)
    parts = parts_of(call, target.windows)
    values = joined(call, call.function.inputs[0], pieces)
    local = on_chunk(call, tuple(axis for _, _, axis in parts), values, None)
    with one_thread():
        reached = execute_call(local, (values,), None, backend)
    return cut_to(call, target, reached, parts)

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
from .targets import Target, cut_to, normalized, targets


def spread(call: Call, values: Any, chunks: Any, backend: str) -> Any:
    """The Dask array of a gradient."""
    name = call.name
    chunks = normalized(call, values, chunks)
    values = values.rechunk(with_spatial(call, chunks, spatial(call, values.chunks)))
    token = tokenize(values, call, chunks, backend)
    graph: dict[Any, Any] = {}
    made, halo = f"{name}-{token}", Halo(call, values, f"{name}-values-{token}", graph)
    for key, target in targets(call, chunks):
        pieces = halo.pieces(key, target.windows)
        graph[(made, *key)] = partial(_sum, call, target, backend), pieces
    return new_array(graph, made, chunks, call.dtype, [values])


def _sum(call: Call, target: Target, backend: str, pieces: Any) -> np.ndarray:
    """A chunk of a gradient: of all cells that its windows reach, its part.

    The others lack windows. Its own have all of theirs, at the same places among those that are
    added: so they are added in the same order.
    """
    if any(first >= stop for first, stop in target.windows):
        return np.zeros(target.shape, call.dtype)
    pairs = zip(call.geometry.axes, target.windows, strict=True)
    parts = [axis.part(*windows) for axis, windows in pairs]
    values = joined(call, call.function.inputs[0], pieces)
    local = on_chunk(call, tuple(axis for _, _, axis in parts), values, None)
    with one_thread():
        reached = execute_call(local, (values,), None, backend)
    return cut_to(call, target, reached, parts)

"""Filters of Dask arrays: pooling of stride 1, after what lies beyond the edges is joined on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dask.array as da
import numpy as np

import fastpool

from ...filters.average import understood as average_of
from ...filters.borders import Rims, Window
from ...filters.extremes import PAIRS
from ...filters.extremes import understood as extreme_of
from ...filters.footprints import boxes
from ...filters.passes import MOST
from .halo import known


def filtered(function: str, x: Any, given: dict[str, Any]) -> Any:
    """The Dask array that a filter makes of one; nothing is computed.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or value, or chunks have unknown sizes.
    """
    x, given = known(function, "input", x), dict(given)
    backend = given.pop("backend")
    if function == "uniform_filter":
        made = _averages(x, backend, **given)
    else:
        made = _extremes(function, x, backend, **given)
    return made.rechunk(x.chunks)


def host(function: str, x: Any) -> Any:
    """None: how many peaks there are is known once all is computed.

    Raises
    ------
    TypeError
        Always.
    """
    raise TypeError(
        f"{function}: x is a Dask array, and the shape of the result depends on its cells; pass "
        "x.compute(), or compare x with maximum_filter(x), which is lazy"
    )


def _averages(x: Any, backend: Any, **given: Any) -> Any:
    found = average_of(x, **given)
    if not found.windows or not x.size:
        return x.astype(found.result)
    if x.dtype.kind == "b":
        x = x.astype(np.uint8)
    x, paddings = _padded(x, found.windows, found.rims, found.fill)
    taps = [window.size for window in found.windows]
    axes = [window.axis for window in found.windows]
    made = _pooled("avg", x, axes, taps, paddings, found.between, backend, dtype=found.computed)
    if found.rounded:
        made = np.rint(made)
    return made.astype(found.result)


def _extremes(function: str, x: Any, backend: Any, **given: Any) -> Any:
    found = extreme_of(function, x, **given)
    name, windows = found.extreme, found.windows
    if not windows or not x.size:
        return x.astype(found.result)
    axes = [window.axis for window in windows]
    lengths = x.shape
    x, paddings = _padded(x, windows, found.rims, found.fill)
    if found.footprint is None:
        taps = [window.size for window in windows]
        made = _pooled(name, x, axes, taps, paddings, x.dtype, backend)
        return made.astype(found.result)
    parts = []
    for box in boxes(found.footprint):
        view, taps = [slice(None)] * x.ndim, []
        for axis, cells in zip(axes, box, strict=True):
            taps.append(cells.stop - cells.start)
            view[axis] = slice(cells.start, cells.stop - 1 + lengths[axis])
        parts.append(_pooled(name, x[tuple(view)], axes, taps, paddings, x.dtype, backend))
    made = parts[0]
    for part in parts[1:]:
        made = PAIRS[name](made, part)
    return made.astype(found.result)


def _padded(
    x: Any, windows: Sequence[Window], rims: Sequence[Rims], fill: Any
) -> tuple[Any, list[tuple[int, int]]]:
    """The array with what lies beyond its edges, and what is to be skipped there instead."""
    paddings = []
    for window, ends in zip(windows, rims, strict=True):
        if not ends:
            paddings.append((window.low, window.high))
            continue
        before = _beyond(x, window, -window.low, 0, fill)
        behind = _beyond(x, window, window.length, window.length + window.high, fill)
        sizes = list(x.chunks[window.axis])
        sizes[0] += window.low
        sizes[-1] += window.high
        x = da.concatenate([*before, x, *behind], window.axis).rechunk({window.axis: tuple(sizes)})
        paddings.append((0, 0))
    return x, paddings


def _beyond(x: Any, window: Window, first: int, stop: int, fill: Any) -> list[Any]:
    if first == stop:
        return []
    if window.mode == "constant":
        shape = list(x.shape)
        shape[window.axis] = stop - first
        return [da.full(shape, fill, x.dtype)]
    return [da.take(x, window.cells(first, stop), window.axis)]


def _pooled(
    name: str,
    x: Any,
    axes: Sequence[int],
    taps: Sequence[int],
    paddings: Sequence[tuple[int, int]],
    between: Any,
    backend: Any,
    **options: Any,
) -> Any:
    """Pooling of stride 1 along some axes, the last three first, as `passes.pool_axes` has it."""
    if len(axes) > MOST:
        given = {"dtype": between} if options else {}
        last = slice(-MOST, None)
        x = _pooled(name, x, axes[last], taps[last], paddings[last], between, backend, **given)
        first = slice(-MOST)
        axes, taps, paddings = axes[first], taps[first], paddings[first]
        return _pooled(name, x, axes, taps, paddings, between, backend, **options)
    ends, pool = range(-len(axes), 0), getattr(fastpool, f"{name}pool{len(axes)}d")
    moved = da.moveaxis(x, axes, ends)
    made = pool(moved, tuple(taps), 1, tuple(paddings), backend=backend, **options)
    return da.moveaxis(made, ends, axes)

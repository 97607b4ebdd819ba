"""The filters of maximum and minimum."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..api import extremes
from ..api.types import BackendName, Entries
from ..dispatch import defaults
from . import documents
from .arguments import limits, read_array, read_axes, read_fill, read_windows
from .borders import Window
from .footprints import boxes, read_footprint
from .outputs import Output
from .passes import Pool, Span, pool_axes
from .rectangles import filter_rectangles

_POOLS = {
    "max": (extremes.maxpool1d, extremes.maxpool2d, extremes.maxpool3d),
    "min": (extremes.minpool1d, extremes.minpool2d, extremes.minpool3d),
}
_PAIRS: dict[str, Callable[..., Any]] = {"max": np.maximum, "min": np.minimum}


@documents.described(documents.EXTREME, documents.MAXIMUM)
def maximum_filter(
    input: ArrayLike,  # noqa: A002
    size: Entries | None = None,
    footprint: ArrayLike | None = None,
    output: np.ndarray | DTypeLike | None = None,
    mode: str | Sequence[str] = "reflect",
    cval: float = 0.0,
    origin: Entries = 0,
    *,
    axes: Entries | None = None,
    backend: BackendName | None = None,
) -> np.ndarray:
    arguments = size, footprint, output, mode, cval, origin, axes, backend
    return _filter("maximum_filter", "max", input, *arguments)


@documents.described(documents.EXTREME, documents.MINIMUM)
def minimum_filter(
    input: ArrayLike,  # noqa: A002
    size: Entries | None = None,
    footprint: ArrayLike | None = None,
    output: np.ndarray | DTypeLike | None = None,
    mode: str | Sequence[str] = "reflect",
    cval: float = 0.0,
    origin: Entries = 0,
    *,
    axes: Entries | None = None,
    backend: BackendName | None = None,
) -> np.ndarray:
    arguments = size, footprint, output, mode, cval, origin, axes, backend
    return _filter("minimum_filter", "min", input, *arguments)


def _filter(
    name: str,
    extreme: str,
    values: object,
    size: object,
    footprint: object,
    output: object,
    mode: object,
    cval: object,
    origin: object,
    axes: object,
    backend: object,
) -> np.ndarray:
    chosen = defaults.resolve(name, backend)
    x = read_array(name, "input", values)
    along = read_axes(name, axes, x.ndim)
    shape = None
    if footprint is not None:
        if size is not None:
            warnings.warn(
                f"{name}: size is ignored, as there is a footprint", UserWarning, stacklevel=3
            )
        shape = read_footprint(name, footprint, len(along))
        size = tuple(shape.shape[sorted(along).index(axis)] for axis in along)
    elif size is None:
        raise ValueError(f"{name}: size or footprint is required")
    windows = read_windows(name, x.shape, size, mode, origin, along)
    fill = None
    if any(window.mode == "constant" for window in windows):
        fill = _winner(name, extreme, read_fill(name, cval, x.dtype), x.dtype)
    target = Output(name, output, x)
    made = target.room(x.dtype.newbyteorder("="))
    if not x.size:
        return target.finish(made)
    pool = functools.partial(_pool, extreme, chosen)
    if not windows:
        np.copyto(made, x)
    elif shape is None or shape.all():
        windows = tuple(window.bounded() for window in windows)
        rims = [window.extreme_rims(fill is not None) for window in windows]
        filter_rectangles(pool, x, made, windows, rims, fill)
    else:
        if fill is None:
            fill = _loser(extreme, x.dtype)
        _filter_footprint(extreme, pool, x, made, windows, shape, fill)
    return target.finish(made)


def _pool(
    extreme: str, backend: Any, x: np.ndarray, out: np.ndarray, spans: Sequence[Span]
) -> None:
    spans = [span for span in spans if span.taps > 1]
    if spans:
        pool_axes(_POOLS[extreme], x, out, spans, out.dtype, backend=backend)
    else:
        np.copyto(out, x)


def _winner(name: str, extreme: str, fill: Any, dtype: np.dtype[Any]) -> Any:
    """What counts beyond the edges; None if it can never win, so that it may be skipped."""
    sign = 1 if extreme == "max" else -1
    if fill == -sign * math.inf:
        return None
    if dtype.kind not in "iub":
        return fill
    if fill == sign * math.inf:
        raise ValueError(f"{name}: cval lies outside {dtype}, and would be the result")
    return None if fill == limits(dtype)[extreme != "max"] else fill


def _loser(extreme: str, dtype: np.dtype[Any]) -> Any:
    """The value that no other loses against."""
    if dtype.kind in "iub":
        return dtype.type(limits(dtype)[extreme != "max"])
    return np.array(-np.inf if extreme == "max" else np.inf).astype(dtype)[()]


def _filter_footprint(
    extreme: str,
    pool: Pool,
    x: np.ndarray,
    out: np.ndarray,
    windows: Sequence[Window],
    footprint: np.ndarray,
    fill: Any,
) -> None:
    """The extreme over the rectangles of a footprint, from a copy of all with what lies beyond."""
    lengths = x.shape
    for window in windows:
        cells = window.cells(-window.low, window.length + window.high)
        x = x.take(cells, window.axis, mode="wrap")
        if window.mode == "constant":
            x[(slice(None),) * window.axis + (cells < 0,)] = fill
    # Axes of a single tap are no windows.
    footprint = footprint.reshape([window.size for window in windows])
    held = np.empty_like(out)
    for number, box in enumerate(boxes(footprint)):
        spans, view = [], [slice(None)] * x.ndim
        for window, taps in zip(windows, box, strict=True):
            count = taps.stop - taps.start
            spans.append(Span(window.axis, count))
            view[window.axis] = slice(taps.start, taps.start + lengths[window.axis] + count - 1)
        pool(x[tuple(view)], held if number else out, spans)
        if number:
            with np.errstate(invalid="ignore"):  # a signalling NaN
                _PAIRS[extreme](out, held, out=out)

"""The filters of maximum and minimum."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..api import extremes
from ..api.types import BackendName, Entries
from ..dispatch import defaults
from ..rules.arrays import check_dtype, limits
from . import documents, guests
from .arguments import WrongShape, read_array, read_axes, read_fill, read_windows
from .borders import Rims, Window
from .footprints import boxes, read_footprint
from .outputs import Output, result_dtype
from .passes import Pool, Span, pool_axes
from .rectangles import filter_rectangles

_POOLS = {
    "max": (extremes.maxpool1d, extremes.maxpool2d, extremes.maxpool3d),
    "min": (extremes.minpool1d, extremes.minpool2d, extremes.minpool3d),
}
PAIRS: dict[str, Callable[..., Any]] = {"max": np.maximum, "min": np.minimum}


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
    given = {"size": size, "footprint": footprint, "mode": mode, "cval": cval, "origin": origin}
    return _filter("maximum_filter", input, output, {**given, "axes": axes}, backend)


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
    given = {"size": size, "footprint": footprint, "mode": mode, "cval": cval, "origin": origin}
    return _filter("minimum_filter", input, output, {**given, "axes": axes}, backend)


def _filter(
    name: str, values: object, output: object, given: dict[str, Any], backend: Any
) -> np.ndarray:
    if given["footprint"] is not None and given["size"] is not None:
        warnings.warn(
            f"{name}: size is ignored, as there is a footprint", UserWarning, stacklevel=3
        )
        given["size"] = None
    if type(values) is not np.ndarray:
        found = guests.filtered(name, values, output, {**given, "backend": backend})
        if found is not None:
            return found  # type: ignore[no-any-return]
    chosen = defaults.resolve(name, backend)
    x = read_array(name, "input", values)
    asked = understood(name, x, output=output, **given)
    target = Output(name, output, x)
    made = target.room(x.dtype.newbyteorder("="))
    if not x.size:
        return target.finish(made)
    pool = functools.partial(_pool, asked.extreme, chosen)
    if not asked.windows:
        np.copyto(made, x)
    elif asked.footprint is None:
        filter_rectangles(pool, x, made, asked.windows, asked.rims, asked.fill)
    else:
        _filter_footprint(asked, pool, x, made)
    return target.finish(made)


class Extreme(NamedTuple):
    """What a user asked for."""

    extreme: str  # "max" or "min"
    windows: tuple[Window, ...]
    rims: list[Rims]  # of each of them, the outputs for which cells beyond the edges count
    fill: Any  # what lies beyond the edges where the mode is "constant", if it may win
    footprint: np.ndarray | None  # what windows hold, if that is no rectangle
    result: np.dtype[Any]


def understood(
    name: str,
    x: Any,
    *,
    output: object,
    size: Any,
    footprint: object,
    mode: object,
    cval: object,
    origin: object,
    axes: Any,
) -> Extreme:
    """What a call means for an array, of which it asks for nothing but the shape and the dtype.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or value.
    """
    check_dtype(name, "input", x.dtype)
    extreme, along, shape = name[:3], read_axes(name, axes, x.ndim), None
    if footprint is not None:
        shape = read_footprint(name, footprint, len(along))
        size = tuple(shape.shape[sorted(along).index(axis)] for axis in along)
    elif size is None:
        raise WrongShape(f"{name}: size or footprint is required")
    windows = read_windows(name, x.shape, size, mode, origin, along)
    fill = None
    if any(window.mode == "constant" for window in windows):
        fill = _winner(name, extreme, read_fill(name, cval, x.dtype), x.dtype)
    result = result_dtype(name, output, x.dtype)
    if shape is not None and not shape.all():
        if fill is None:
            fill = _loser(extreme, x.dtype)
        # Axes of a single tap are no windows.
        shape = shape.reshape([window.size for window in windows])
        everywhere: list[Rims] = [((0, window.length),) for window in windows]
        return Extreme(extreme, windows, everywhere, fill, shape, result)
    windows = tuple(window.bounded() for window in windows)
    rims = [window.extreme_rims(fill is not None) for window in windows]
    return Extreme(extreme, windows, rims, fill, None, result)


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


def _filter_footprint(asked: Extreme, pool: Pool, x: np.ndarray, out: np.ndarray) -> None:
    """The extreme over the rectangles of a footprint, from a copy of all with what lies beyond."""
    lengths, windows = x.shape, asked.windows
    assert asked.footprint is not None
    for window in windows:
        cells = window.cells(-window.low, window.length + window.high)
        x = x.take(cells, window.axis, mode="wrap")
        if window.mode == "constant":
            x[(slice(None),) * window.axis + (cells < 0,)] = asked.fill
    held = np.empty_like(out)
    for number, box in enumerate(boxes(asked.footprint)):
        spans, view = [], [slice(None)] * x.ndim
        for window, taps in zip(windows, box, strict=True):
            count = taps.stop - taps.start
            spans.append(Span(window.axis, count))
            view[window.axis] = slice(taps.start, taps.start + lengths[window.axis] + count - 1)
        pool(x[tuple(view)], held if number else out, spans)
        if number:
            with np.errstate(invalid="ignore"):  # a signalling NaN
                PAIRS[asked.extreme](out, held, out=out)

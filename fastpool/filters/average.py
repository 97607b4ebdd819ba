"""The filter that averages."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..api import average
from ..api.types import BackendName, Entries
from ..dispatch import defaults
from . import documents
from .arguments import read_array, read_axes, read_fill, read_number, read_windows
from .outputs import Output
from .passes import MOST, Span, pool_axes
from .rectangles import filter_rectangles

_POOLS = average.avgpool1d, average.avgpool2d, average.avgpool3d
_NAME = "uniform_filter"


@documents.described(documents.UNIFORM, documents.UNIFORM_EXAMPLES)
def uniform_filter(
    input: ArrayLike,  # noqa: A002
    size: Entries = 3,
    output: np.ndarray | DTypeLike | None = None,
    mode: str | Sequence[str] = "reflect",
    cval: float = 0.0,
    origin: Entries = 0,
    *,
    axes: Entries | None = None,
    backend: BackendName | None = None,
) -> np.ndarray:
    chosen = defaults.resolve(_NAME, backend)
    x = read_array(_NAME, "input", input)
    windows = read_windows(_NAME, x.shape, size, mode, origin, read_axes(_NAME, axes, x.ndim))
    fill = None
    if any(window.mode == "constant" for window in windows):
        fill = _fill(cval, x.dtype)
    target = Output(_NAME, output, x)
    if not windows or not x.size:
        made = target.room(x.dtype.newbyteorder("="))
        np.copyto(made, x)
        return target.finish(made)
    if x.dtype.kind == "b":  # averages of bools are numbers
        x = x.view(np.uint8)
    computed = _computed(x.dtype, target.dtype, len(windows))
    made = target.room(computed)
    rims = [window.average_rims(bool(fill)) for window in windows]
    pool = functools.partial(_pool, chosen)
    filter_rectangles(pool, x, made, windows, rims, fill)
    if computed.kind not in "iub" and target.dtype.kind in "iub":
        made = np.rint(made)
    return target.finish(made)


def _fill(cval: object, dtype: np.dtype[Any]) -> Any:
    """What lies beyond the edges; it must be a value that cells can have."""
    fill = read_fill(_NAME, cval, dtype)
    whole = dtype.kind in "iub"
    if whole and (fill in (-math.inf, math.inf) or fill != read_number(_NAME, "cval", cval)):
        raise ValueError(f"{_NAME}: cval must be a value of {dtype}, got {cval!r}")
    return fill


def _computed(dtype: np.dtype[Any], result: np.dtype[Any], count: int) -> np.dtype[Any]:
    """The dtype of averages, before they become the result's."""
    native = dtype.newbyteorder("=")
    if result.kind not in "iub":
        return result
    if dtype.kind in "iu":
        # Of more axes than a pass has, the averages of averages are rounded once.
        return native if count <= MOST else np.dtype(np.float64)
    return native


def _pool(backend: Any, x: np.ndarray, out: np.ndarray, spans: Sequence[Span]) -> None:
    between = out.dtype if out.dtype.kind not in "iub" else np.dtype(np.float64)
    pool_axes(_POOLS, x, out, spans, between, dtype=out.dtype, backend=backend)

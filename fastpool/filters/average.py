"""The filter that averages."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..api import average
from ..api.types import BackendName, Entries
from ..dispatch import defaults
from ..rules.arrays import check_dtype
from . import documents, guests
from .arguments import read_array, read_axes, read_fill, read_number, read_windows
from .borders import Rims, Window
from .outputs import Output, result_dtype
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
    given = {"size": size, "mode": mode, "cval": cval, "origin": origin, "axes": axes}
    if type(input) is not np.ndarray:
        made = guests.filtered(_NAME, input, output, {**given, "backend": backend})
        if made is not None:
            return made  # type: ignore[no-any-return]
    chosen = defaults.resolve(_NAME, backend)
    x = read_array(_NAME, "input", input)
    asked = understood(x, output=output, **given)
    target = Output(_NAME, output, x)
    if not asked.windows or not x.size:
        made = target.room(x.dtype.newbyteorder("="))
        np.copyto(made, x)
        return target.finish(made)
    if x.dtype.kind == "b":  # averages of bools are numbers
        x = x.view(np.uint8)
    made = target.room(asked.computed)
    pool = functools.partial(_pool, chosen, asked.between)
    filter_rectangles(pool, x, made, asked.windows, asked.rims, asked.fill)
    if asked.rounded:
        made = np.rint(made)
    return target.finish(made)


class Average(NamedTuple):
    """What a user asked for."""

    windows: tuple[Window, ...]
    rims: list[Rims]  # of each of them, the outputs for which cells beyond the edges count
    fill: Any  # what lies beyond the edges where the mode is "constant"
    between: np.dtype[Any]  # of averages from one pass to the next
    computed: np.dtype[Any]  # of the last ones
    result: np.dtype[Any]

    @property
    def rounded(self) -> bool:
        """Whether averages are floats, and the result is not."""
        return self.computed.kind not in "iub" and self.result.kind in "iub"


def understood(
    x: Any, *, output: object, size: object, mode: object, cval: object, origin: object, axes: Any
) -> Average:
    """What a call means for an array, of which it asks for nothing but the shape and the dtype.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or value.
    """
    check_dtype(_NAME, "input", x.dtype)
    windows = read_windows(_NAME, x.shape, size, mode, origin, read_axes(_NAME, axes, x.ndim))
    fill = None
    if any(window.mode == "constant" for window in windows):
        fill = _fill(cval, x.dtype)
    result = result_dtype(_NAME, output, x.dtype)
    dtype = np.dtype(np.uint8) if x.dtype.kind == "b" else x.dtype
    computed = _computed(dtype, result, len(windows))
    between = computed if computed.kind not in "iub" else np.dtype(np.float64)
    rims = [window.average_rims(bool(fill)) for window in windows]
    return Average(windows, rims, fill, between, computed, result)


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


def _pool(
    backend: Any, between: np.dtype[Any], x: np.ndarray, out: np.ndarray, spans: Sequence[Span]
) -> None:
    pool_axes(_POOLS, x, out, spans, between, dtype=out.dtype, backend=backend)

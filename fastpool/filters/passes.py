"""Pooling along any axes of an array, by functions that pool the last ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

MOST = 3  # axes of a pooling


class Span(NamedTuple):
    """The windows of a pooling along one axis, with cells to skip at both ends."""

    axis: int
    taps: int
    padding: tuple[int, int] = (0, 0)


# Pools an array along some of its axes, in their order, into an array.
Pool = Callable[[np.ndarray, np.ndarray, Sequence[Span]], None]
_LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}


def pool_axes(
    functions: Sequence[Any],
    x: np.ndarray,
    out: np.ndarray,
    spans: Sequence[Span],
    between: np.dtype[Any],
    **options: Any,
) -> None:
    """Pool with stride 1 along the axes of `spans`, the last three first.

    Parameters
    ----------
    functions : sequence of functions
        Those of a member for 1, 2 and 3 axes.
    x, out : ndarray
        Input and output, without empty axes.
    spans : sequence of Span
        In the order of axes.
    between : dtype
        What is kept between one pass and the next.
    options
        Further arguments; `dtype` is that of the last pass.
    """
    while len(spans) > MOST:
        spans, last = spans[:-MOST], spans[-MOST:]
        shape = list(x.shape)
        for span in last:
            shape[span.axis] = out.shape[span.axis]
        step = np.empty(shape, between)
        given = {**options, "dtype": between} if "dtype" in options else options
        pool_axes(functions, x, step, last, between, **given)
        x = step
    count, axes = len(spans), [span.axis for span in spans]
    behind, layout = axes[-1] + 1, _LAYOUTS[count][0]
    apart = axes[-1] - axes[0] + 1 > count
    if apart or not (_is_one(x, behind) and _is_one(out, behind)):
        ends = range(-count, 0)
        x, out = np.moveaxis(x, axes, ends), np.moveaxis(out, axes, ends)
    elif behind < x.ndim:
        layout = _LAYOUTS[count][1]
        x, out = (array.reshape(*array.shape[:behind], -1) for array in (x, out))
    kernel, padding = tuple(s.taps for s in spans), tuple(s.padding for s in spans)
    functions[count - 1](x, kernel, 1, padding, layout=layout, out=out, **options)


def _is_one(array: np.ndarray, first: int) -> bool:
    """Whether the axes from `first` on can be seen as one, without a copy."""
    steps = zip(array.shape[first + 1 :], array.strides[first + 1 :], strict=True)
    return all(
        stride == length * step
        for stride, (length, step) in zip(array.strides[first:], steps, strict=False)
    )

"""What an index says: which cell it names, in either format, and which it may not.

A flat index counts the cells of the input plane without its padding, row by row; a window index
counts the taps of the window, in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .arguments import IndexFormat, Integers
from .axis import Axis
from .geometry import Geometry

# Window indices are held in 32 bits at most.
MOST_TAPS = 2**32


def dtype_of(geometry: Geometry, index_format: IndexFormat) -> np.dtype[Any]:
    """The dtype of the indices that a forward pass returns."""
    return np.dtype(np.int64) if index_format == "flat" else window_dtype(geometry.kernel)


def window_dtype(kernel: Sequence[int]) -> np.dtype[Any]:
    """The smallest dtype that holds all window indices of a kernel."""
    return np.min_scalar_type(math.prod(kernel) - 1)


def check_taps(function: str, kernel: Integers, index_format: IndexFormat) -> None:
    """Raise ValueError for window indices of too many taps."""
    if index_format == "window" and math.prod(kernel) > MOST_TAPS:
        raise ValueError(
            f"{function}: index_format 'window' holds windows of up to 2**32 taps, "
            f"got kernel_size {kernel}"
        )


def named_cells(
    axes: Sequence[Axis],
    codes: np.ndarray,
    starts: Sequence[np.ndarray],
    window: bool,
    spans: Sequence[np.ndarray] | None = None,
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """The cells that indices name.

    Parameters
    ----------
    axes : sequence of Axis
        The spatial axes.
    codes : ndarray of int64
        The indices.
    starts : sequence of ndarray
        For each axis, where the windows of the indices start: they broadcast with `codes`.
    window : bool
        Whether they are window indices, or flat ones.
    spans : sequence of ndarray, optional
        How far the windows reach, where that differs from one to the next.

    Returns
    -------
    cells : list of ndarray
        The position on each axis.
    valid : ndarray of bool
        Whether the index names a cell of the plane.
    own : ndarray of bool
        Whether that is also a tap of its own window.
    """
    valid, rest, cells = codes >= 0, codes, list[np.ndarray]()
    own = valid
    for number in reversed(range(len(axes))):
        axis, start, place = axes[number], starts[number], rest
        if number:  # the first axis has what is left, whether it is too large or not
            rest, place = np.divmod(rest, axis.kernel if window else axis.size)
        if window:
            valid = valid & (place < axis.kernel)
            place = start + place * axis.dilation
            valid &= (place >= 0) & (place < axis.size)
        else:
            valid = valid & (place < axis.size)
            offset = place - start
            span = axis.span if spans is None else spans[number]
            own = own & (offset >= 0) & (offset < span)
            if axis.dilation > 1:
                own &= offset % axis.dilation == 0
        cells.insert(0, place)
    return cells, valid, valid if window else own & valid


def gather(cells: np.ndarray, codes: np.ndarray, geometry: Geometry, window: bool) -> np.ndarray:
    """The cells that the indices of a pooling name: the transpose of its backward pass.

    Parameters
    ----------
    cells : ndarray, shape of the input
        An array such as the backward pass returns.
    codes : ndarray of integers, shape of the output
        What the forward pass returned: not checked again.
    geometry : Geometry
        The pooling.
    window : bool
        Whether they are window indices, or flat ones.

    Returns
    -------
    ndarray, shape of the output, dtype of `cells`
    """
    places = geometry.canonical(codes)
    if window:
        starts = starts_of(geometry.axes)
        named, _, _ = named_cells(geometry.axes, places.astype(np.int64), starts, True)
        places = flat_of(geometry.axes, named)
    lead, channels = places.shape[: -len(geometry.axes) - 1], places.shape[-1]
    found = np.take_along_axis(
        geometry.canonical(cells).reshape(*lead, math.prod(geometry.sizes), channels),
        places.reshape(*lead, math.prod(geometry.outputs), channels),
        axis=-2,
    )
    return found.reshape(codes.shape)


def starts_of(axes: Sequence[Axis]) -> list[np.ndarray]:
    """Where windows start, along each axis of a canonical array of outputs."""
    count = len(axes)
    return [axis.starts.reshape(-1, *(1,) * (count - i)) for i, axis in enumerate(axes)]


def spans_of(axes: Sequence[Axis]) -> list[np.ndarray] | None:
    """How far windows reach, like `starts_of`; None if all of an axis reach as far."""
    if all(axis.regular for axis in axes):
        return None
    count = len(axes)
    spans = (
        axis.tap_counts if not axis.regular else np.full(axis.output, axis.span) for axis in axes
    )
    return [span.reshape(-1, *(1,) * (count - i)) for i, span in enumerate(spans)]


def flat_of(axes: Sequence[Axis], cells: Sequence[np.ndarray]) -> np.ndarray:
    """Flat indices of cells."""
    place = cells[0]
    for axis, along in zip(axes[1:], cells[1:], strict=True):
        place = place * axis.size + along
    return place


def tap_of(axes: Sequence[Axis], taps: Sequence[np.ndarray]) -> np.ndarray:
    """Window indices of taps."""
    place = taps[0]
    for axis, along in zip(axes[1:], taps[1:], strict=True):
        place = place * axis.kernel + along
    return place


def unraveled(sizes: Sequence[int], codes: np.ndarray) -> list[np.ndarray]:
    """The position along each axis that flat indices name, unchecked; int64."""
    rest, places = codes.astype(np.int64, copy=False), list[np.ndarray]()
    for size in reversed(sizes[1:]):
        rest, place = np.divmod(rest, size)
        places.insert(0, place)
    return [rest, *places]

"""Windows that are no rectangle: the maximum over rectangles that cover them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..rules.masks import as_array
from .arguments import WrongShape

Box = tuple[slice, ...]


def read_footprint(function: str, footprint: object, count: int) -> np.ndarray:
    """A footprint as an array of bools with `count` axes.

    Raises
    ------
    TypeError, ValueError
        It is no array, has another number of axes, or names no cell.
    """
    array = as_array(function, "footprint", footprint)
    if array.ndim != count:
        raise WrongShape(
            f"{function}: footprint.ndim ({array.ndim}) must match len(axes) ({count})"
        )
    array = array.astype(bool)
    if not array.any():
        raise ValueError(f"{function}: footprint of shape {array.shape} has no cell that is True")
    return array


def boxes(footprint: np.ndarray) -> Iterator[Box]:
    """Rectangles of True that cover a footprint, and may overlap: a cross of two axes is two."""
    left = footprint.copy()
    while left.any():
        cell = np.unravel_index(int(left.argmax()), left.shape)
        box = [slice(int(at), int(at) + 1) for at in cell]
        # The last axis first: rows are what kernels like.
        for axis in reversed(range(footprint.ndim)):
            _grow(footprint, box, axis)
        left[tuple(box)] = False
        yield tuple(box)


def _grow(footprint: np.ndarray, box: list[slice], axis: int) -> None:
    """Lengthen a box along an axis to both sides, as far as all that it holds is True."""
    whole: list[Any] = list(box)
    whole[axis] = slice(None)
    others = tuple(other for other in range(footprint.ndim) if other != axis)
    full = footprint[tuple(whole)].all(axis=others)
    start, stop = box[axis].start, box[axis].stop
    while start and full[start - 1]:
        start -= 1
    while stop < len(full) and full[stop]:
        stop += 1
    box[axis] = slice(start, stop)

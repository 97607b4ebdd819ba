"""Tiles of an array whose cells lie side by side along another axis than the last.

Such an axis is seen as two: the taps of a tile, and the tiles, which become the channels::

    cells  a a b b c c d d        first taps  a b c d        second taps  a b c d

So rows are read as they lie, though each gives all its first taps first, and taps keep their order,
which decides about bits. A tile that is cut at the end of the axis is seen apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .arrays import Storage
from .axis import Axis
from .call import Call
from .geometry import LAYOUTS


class Part(NamedTuple):
    """Some tiles of a call.

    Attributes
    ----------
    call : Call
        What is asked of the views of its arrays.
    axis : int
        Which axis of the arrays is divided.
    cells, windows : slice
        Where the part lies along it, in what is read and in what is written.
    split : bool
        Whether the axis is seen as two.
    """

    call: Call
    axis: int
    cells: slice
    windows: slice
    split: bool

    def views(
        self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]
    ) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """Of the arrays of the whole call those of the part."""
        return (
            tuple(self._seen(array, self.cells) for array in inputs),
            tuple(self._seen(array, self.windows) for array in outputs),
        )

    def storages(self, storages: Sequence[Storage]) -> tuple[Storage, ...]:
        """Of the storages of the whole call those of the views."""
        count = len(self.call.inputs)
        return tuple(
            self._held(storage, self.cells if number < count else self.windows)
            for number, storage in enumerate(storages)
        )

    def _seen(self, array: np.ndarray, along: slice) -> np.ndarray:
        axis = self.axis
        array = array[(*(slice(None),) * axis, along)]
        if not self.split:
            return array
        shape, count = array.shape, self.call.geometry.channels
        pair = count, shape[axis] // count
        return np.moveaxis(array.reshape(*shape[:axis], *pair, *shape[axis + 1 :]), axis, -1)

    def _held(self, storage: Storage, along: slice) -> Storage:
        (shape, steps, dtype), axis = storage, self.axis
        size, step, count = along.stop - along.start, steps[axis], self.call.geometry.channels
        if not self.split:
            return Storage((*shape[:axis], size, *shape[axis + 1 :]), steps, dtype)
        taps = size // count
        shape = (*shape[:axis], taps, *shape[axis + 1 :], count)
        return Storage(shape, (*steps[:axis], step, *steps[axis + 1 :], step * taps), dtype)


def split_tiles(call: Call, storages: Sequence[Storage]) -> tuple[Part, ...]:
    """The parts of a call on arrays of these storages, x first; none if its rows lie well."""
    geometry = call.geometry
    axis = across(call, storages[0])
    if axis is None or geometry.channels_last:
        return ()
    along, at = geometry.axes[axis], len(geometry.lead) + axis
    full = min(along.size // along.kernel, along.output)
    if full < 2:
        return ()
    taps, parts = along.kernel, list[Part]()
    axes, layout = list(geometry.axes), LAYOUTS[len(geometry.axes)][1]
    axes[axis] = Axis(taps, 1, taps, taps, 1, 0, 0)
    seen = replace(geometry, axes=tuple(axes), channels=full, layout=layout)
    whole, first = replace(call, geometry=seen), full * taps
    parts.append(Part(whole, at, slice(0, first), slice(0, full), True))
    if full < along.output:
        axes[axis] = replace(along, size=along.size - first, output=1)
        rest = replace(call, geometry=replace(geometry, axes=tuple(axes)))
        parts.append(Part(rest, at, slice(first, along.size), slice(full, along.output), False))
    return tuple(parts)


def across(call: Call, storage: Storage) -> int | None:
    """The axis of tiles along which the cells of x lie side by side, if that is not the last."""
    axes, at = call.geometry.axes, len(call.geometry.lead)
    if call.part != "forward" or call.index_dtype is not None or not call.tiled:
        return None
    steps = [abs(step) for step in storage.strides[at : at + len(axes)]]
    found = [number for number, axis in enumerate(axes) if axis.size > 1]
    if not found:
        return None
    least = min(reversed(found), key=steps.__getitem__)
    return None if least == found[-1] else least

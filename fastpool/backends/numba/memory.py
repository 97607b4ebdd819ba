"""How the arrays of a call lie in memory, as kernels see it: in cells, with three spatial axes."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...rules.arrays import Storage, is_half
from ...rules.geometry import Geometry

# From this many bytes of output on, vectors are written past the caches, which reads nothing in
# before.
PAST_BYTES = 2**24


class Memory(NamedTuple):
    """How an array lies in memory, in cells.

    The leading axes are merged into two at most, the inner one of length `split`. A spatial axis
    that the array lacks has a stride too, which is never taken.
    """

    split: int
    outer: int
    inner: int
    slice: int
    row: int
    column: int
    channel: int

    @classmethod
    def in_order(cls, planes: int, sizes: tuple[int, ...], channels: int) -> Memory:
        """That of an array in C order: planes, three spatial axes, channels."""
        depth, height, width = sizes
        row = width * channels
        return cls(planes, 0, depth * height * row, height * row, row, channels, 1)

    def in_line(self, geometry: Geometry) -> bool:
        """Whether rows of an output follow each other, those of all planes too."""
        planes, cells = geometry.planes, math.prod(geometry.outputs) * geometry.channels
        whole = self.whole(geometry, geometry.outputs)
        return whole and (planes == 1 or self.inner == cells)

    def whole(self, geometry: Geometry, sizes: tuple[int, ...]) -> bool:
        """Whether the rows of a plane follow each other, and planes are at even distances."""
        slices, height, width = three(sizes)
        row = width * geometry.channels
        found = self.split >= geometry.planes and (slices == 1 or self.slice == height * row)
        return found and (height == 1 or self.row == row) and self.dense(geometry.channels)

    def end(self, geometry: Geometry) -> int:
        """The cells of an input's memory from its first one on; 0 if some lie in front of it."""
        outer = -(-geometry.planes // self.split)
        inner = min(self.split, geometry.planes)
        sizes = outer, inner, *three(tuple(axis.size for axis in geometry.axes)), geometry.channels
        steps = [0 if n == 1 else step for n, step in zip(sizes, self[1:], strict=True)]
        if min(steps) < 0:
            return 0
        return 1 + sum((n - 1) * step for n, step in zip(sizes, steps, strict=True))

    def dense(self, channels: int) -> bool:
        """Whether the cells of a row lie side by side."""
        return self.column == channels and (channels == 1 or self.channel == 1)


class Place(NamedTuple):
    """Where a kernel finds an array: where it is, or in a copy."""

    memory: Memory
    copied: bool


def held_as(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type as which kernels hold cells: 16-bit floats and booleans are integers there."""
    if is_half(dtype):
        return np.dtype(np.int16)
    return np.dtype(np.uint8) if dtype == np.bool_ else dtype


def three(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Spatial sizes of a line, a plane or a volume as depth, height and width."""
    return (1,) * (3 - len(sizes)) + sizes


def place_of(storage: Storage, geometry: Geometry) -> Place:
    """Where a kernel finds an array of this storage.

    It is copied as a whole if it is byte-swapped, if its strides are no whole cells, or if its
    leading axes do not merge into two.
    """
    shape, strides, dtype = storage
    count, last = len(geometry.axes), geometry.channels_last
    at = len(shape) - count - last
    sizes = three(shape[at : at + count])
    planes, channels = math.prod(shape[:at]), shape[-1] if last else 1
    in_order = Memory.in_order(planes, sizes, channels)
    steps = [0 if n == 1 else step for n, step in zip(shape, strides, strict=True)]
    if not dtype.isnative:
        return Place(in_order, True)
    ordered = Storage.in_order(shape, dtype).strides
    if all(n == 1 or step == whole for n, step, whole in zip(shape, strides, ordered, strict=True)):
        return Place(in_order, False)
    lead = _merged(shape[:at], strides[:at])
    if len(lead) > 2 or any(step % dtype.itemsize for step in steps):
        return Place(in_order, True)
    (_, outer), (split, inner) = [(1, 0)] * (2 - len(lead)) + lead
    spatial = [0] * (3 - count) + steps[at : at + count]
    numbers = (outer, inner, *spatial, steps[-1] if last else 0)
    return Place(Memory(split, *(number // dtype.itemsize for number in numbers)), False)


def _merged(shape: tuple[int, ...], strides: tuple[int, ...]) -> list[tuple[int, int]]:
    """Lengths and strides of as few axes as walk through memory in the same order."""
    axes: list[tuple[int, int]] = []
    for length, stride in zip(shape, strides, strict=True):
        if length == 1:
            continue
        if axes and axes[-1][1] == length * stride:
            axes[-1] = (axes[-1][0] * length, stride)
        else:
            axes.append((length, stride))
    return axes

"""The axes of an array put in the order that blocks are reduced in fastest, without a copy.

Axes that are kept may stand anywhere. Those that follow each other in memory become one, or stay
two where there is room: as axes of windows of one tap, as channels, or as leading axes. Pooled axes
keep their order where it may change bits: backends see to it that rows are read as they lie.
Elsewhere they stand as in memory, so that an array in Fortran's order is as fast as one in C's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .axis import Axis
from .downsampling import MOST_POOLED, Blocks
from .geometry import LAYOUTS, Geometry

# So many leading axes are taken where they are.
MOST_LEADING = 2
# Cells of the last axis, if it is kept, from which on windows of one tap along it take less time
# than channels do: uint8 (16, 1024, 1024) by (2, 1, 1) a third, (1024, 1024, 16) by (2, 2, 1) 1.3
# times.
LONG = 64


@dataclass(frozen=True)
class Arrangement:
    """How an array, its mask and the result are seen by a backend.

    Attributes
    ----------
    order : tuple of int
        Their axes, in the order in which the backend sees them.
    geometry : Geometry
        What it sees, in which some axes have become one.
    """

    order: tuple[int, ...]
    geometry: Geometry

    def seen(self, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """A view of `array`, which has `shape`, one of those of the geometry."""
        if not self._as_it_is:
            array = array.transpose(self.order)
        return array if array.shape == shape else array.reshape(shape)

    @cached_property
    def _as_it_is(self) -> bool:
        return self.order == tuple(range(len(self.order)))


def memory_order(shape: Sequence[int], steps: Sequence[int]) -> tuple[int, ...]:
    """Axes from the largest stride to the least; those of one cell where they are."""
    found, reach = [0] * len(shape), 0
    for axis in reversed(range(len(shape))):
        if shape[axis] > 1:
            reach = abs(steps[axis])
        found[axis] = reach
    return tuple(sorted(range(len(shape)), key=lambda axis: -found[axis]))


def arranged(blocks: Blocks, steps: Sequence[tuple[int, ...]]) -> Arrangement:
    """How arrays with these strides are seen, that of `blocks` first."""
    shape, factors = blocks.shape, blocks.factors
    by_memory = memory_order(shape, steps[0])
    places = {axis: place for place, axis in enumerate(by_memory)}
    pooled = [axis for axis in by_memory if factors[axis] > 1]
    groups: list[list[int]] = []
    for axis in by_memory:
        if shape[axis] == 1 or factors[axis] > 1:
            continue
        if groups and _follow(shape, steps, groups[-1][-1], axis):
            groups[-1].append(axis)
        else:
            groups.append([axis])
    windows, channels = [[axis] for axis in pooled], list[int]()
    room, outer = MOST_POOLED - len(windows), places[pooled[0]] if pooled else len(shape)
    if not pooled:
        windows = [groups.pop() if groups else []]
    elif groups and places[groups[-1][-1]] > places[pooled[-1]]:
        inner = groups.pop()
        if room and shape[inner[-1]] >= LONG:
            several = room > 1 and len(inner) > 1
            parts = [inner[:-1], inner[-1:]] if several else [inner]
            windows, room = windows + parts, room - len(parts)
        else:
            channels = inner
    # Those between pooled axes, and those that would be too many in front.
    while groups and room > 0 and (places[groups[-1][0]] > outer or len(groups) > MOST_LEADING):
        windows.append(groups.pop())
        room -= 1
    windows.sort(key=lambda group: [places[axis] for axis in group])
    if blocks.in_order:
        turn = iter(sorted(pooled))
        windows = [[next(turn)] if factors[group[0]] > 1 else group for group in windows]
    axes = tuple(_axis(blocks, group) for group in windows)
    count = math.prod(shape[axis] for axis in channels)
    single = [axis for axis in by_memory if shape[axis] == factors[axis] == 1]
    order = [axis for part in (single, *groups, *windows, channels) for axis in part]
    lead = tuple(math.prod(shape[axis] for axis in group) for group in groups)
    layout = LAYOUTS[len(axes)][bool(channels)]
    return Arrangement(tuple(order), Geometry(lead, axes, count, layout))


def _follow(shape: Sequence[int], steps: Sequence[tuple[int, ...]], outer: int, inner: int) -> bool:
    """Whether two axes that are kept are one in all arrays."""
    return all(each[outer] == each[inner] * shape[inner] for each in steps)


def _axis(blocks: Blocks, group: Sequence[int]) -> Axis:
    """The windows along an axis, or along several that are kept."""
    size = math.prod(blocks.shape[axis] for axis in group)
    output = math.prod(blocks.outputs[axis] for axis in group)
    kernel = math.prod(blocks.factors[axis] for axis in group)
    return Axis(size, output, kernel, kernel, 1, 0, 0)

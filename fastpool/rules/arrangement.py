"""The axes of an array put in the order that blocks are reduced in fastest, without a copy.

Axes that are kept may stand anywhere. Those that follow each other in memory become one; the one
whose cells lie side by side becomes the channels, or an axis of windows of one tap, and the others
become leading axes, of which backends take two in place. Pooled axes keep their order where it
may change bits; elsewhere they stand as in memory, so that an array in Fortran's order is as fast
as one in C's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .axis import Axis
from .downsampling import MOST_POOLED, Blocks
from .geometry import LAYOUTS, Geometry

# So many leading axes are taken where they are.
MOST_LEADING = 2


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
        return array.transpose(self.order).reshape(shape)


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
    single = [axis for axis in by_memory if shape[axis] == 1]
    pooled = [axis for axis in by_memory if factors[axis] > 1]
    if blocks.in_order:
        pooled.sort()
    kept = [axis for axis in by_memory if shape[axis] > 1 and factors[axis] == 1]
    groups: list[list[int]] = []
    for axis in kept:
        if groups and _follow(shape, steps, groups[-1][-1], axis):
            groups[-1].append(axis)
        else:
            groups.append([axis])
    channels, windows = [], [[axis] for axis in pooled]
    sizes = {axis: place for place, axis in enumerate(by_memory)}
    innermost = bool(groups) and all(sizes[groups[-1][-1]] > sizes[axis] for axis in pooled)
    if not pooled:
        windows = [groups.pop() if groups else []]
    elif innermost:
        channels = groups.pop()
    while len(groups) > MOST_LEADING and len(windows) < MOST_POOLED:
        windows.insert(0, groups.pop())
    if blocks.in_order is False:
        windows.sort(key=lambda group: [sizes[axis] for axis in group])
    axes = tuple(_axis(blocks, group) for group in windows)
    lead = tuple(math.prod(shape[axis] for axis in group) for group in groups)
    count = math.prod(shape[axis] for axis in channels)
    layout = LAYOUTS[len(axes)][bool(channels)]
    parts = [single, *groups, *windows, channels]
    return Arrangement(
        tuple(axis for part in parts for axis in part), Geometry(lead, axes, count, layout)
    )


def _follow(shape: Sequence[int], steps: Sequence[tuple[int, ...]], outer: int, inner: int) -> bool:
    """Whether two axes that are kept are one in all arrays."""
    return all(each[outer] == each[inner] * shape[inner] for each in steps)


def _axis(blocks: Blocks, group: Sequence[int]) -> Axis:
    """The windows along an axis, or along several that are kept."""
    size = math.prod(blocks.shape[axis] for axis in group)
    output = math.prod(blocks.outputs[axis] for axis in group)
    kernel = math.prod(blocks.factors[axis] for axis in group)
    return Axis(size, output, kernel, kernel, 1, 0, 0)

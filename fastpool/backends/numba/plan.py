"""What a kernel must know of a call, as one table of integers.

Rows HEIGHT and WIDTH hold an axis: size, output, kernel, stride, dilation, pad_low, span. Rows
INPUT, OUTPUT and INDICES hold the memory of an array, in elements: origin, split, outer, inner
(of the leading axes, see `plane_origin`), then the strides of rows, columns and channels.

A kernel's call takes 0.3 us with a table, 0.6 with its numbers as scalars, 3 with named tuples.
"""

from __future__ import annotations

import numpy as np

from ...geometry import Axis, Geometry
from .jit import inlined

HEIGHT, WIDTH, INPUT, OUTPUT, INDICES = range(5)


@inlined
def axis(plan, which):
    """The seven numbers of an axis."""
    return (
        plan[which, 0],
        plan[which, 1],
        plan[which, 2],
        plan[which, 3],
        plan[which, 4],
        plan[which, 5],
        plan[which, 6],
    )


@inlined
def plane_origin(plan, which, plane):
    """Where plane number `plane` of an array begins.

    Its leading axes are merged into two at most, the inner one of length `split`.
    """
    origin, split = plan[which, 0], plan[which, 1]
    return origin + plane // split * plan[which, 2] + plane % split * plan[which, 3]


@inlined
def rows_of_plane(row, last_row, height):
    """The plane that `row` lies in, and the rows of it from there up to `last_row`."""
    plane = row // height
    start = row - plane * height
    return plane, start, min(height, start + last_row - row)


def make_plan(geometry: Geometry, *memories: tuple[int, ...]) -> np.ndarray:
    """The table of a geometry and of the memory of input, output and indices."""
    axes = (_axis_row(geometry.height), _axis_row(geometry.width))
    return np.array(axes + memories, np.int64)


def _axis_row(axis: Axis) -> tuple[int, ...]:
    return (
        axis.size,
        axis.output,
        axis.kernel,
        axis.stride,
        axis.dilation,
        axis.pad_low,
        axis.span,
    )


def line_up(array: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]] | None:
    """All elements between an array's first and last address as one line, and its row of a plan.

    None if that cannot be: unaligned memory, strides that are no whole elements, or leading
    axes that do not merge into two. The byte order must be the machine's.

    The line is writeable even if the array is not, which spares kernels for read-only
    types; kernels write to outputs alone.
    """
    flags = array.flags
    if flags.carray:  # the usual case: 0.6 us instead of 8
        _, width, channels = array.shape[-3:]
        row = width * channels
        plane = array.shape[-3] * row
        return array.reshape(-1), (0, array.size // plane, 0, plane, row, channels, 1)
    size = array.itemsize
    lead = _merged(array.shape[:-3], array.strides[:-3])
    strides = [0 if n == 1 else s for n, s in zip(array.shape, array.strides, strict=True)]
    if len(lead) > 2 or not flags.aligned or any(stride % size for stride in strides):
        return None
    reach = [(n - 1) * s for n, s in zip(array.shape, strides, strict=True)]
    lowest, highest = sum(min(r, 0) for r in reach), sum(max(r, 0) for r in reach)
    line = np.asarray(_Line(array, lowest, (highest - lowest) // size + 1))
    (_, outer), (split, inner) = [(1, 0)] * (2 - len(lead)) + lead
    row, column, channel = (stride // size for stride in strides[-3:])
    return line, (-lowest // size, split, outer // size, inner // size, row, column, channel)


class _Line:
    """What NumPy asks for to lay an array over memory; keeps the owner alive."""

    def __init__(self, owner: np.ndarray, offset: int, length: int) -> None:
        self.owner = owner
        self.__array_interface__ = {
            "version": 3,
            "shape": (length,),
            "typestr": owner.dtype.str,
            "data": (owner.__array_interface__["data"][0] + offset, False),
        }


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

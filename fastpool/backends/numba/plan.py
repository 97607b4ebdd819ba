"""What a kernel must know of a call, as one table of integers.

From HEIGHT and WIDTH on stands an axis: size, output, kernel, stride, dilation, pad_low, span.
From INPUT, OUTPUT and INDICES on stands the memory of an array, in cells: split, outer, inner
(of the leading axes, see `plane_origin`), then the strides of rows, columns and channels. What
follows OWN belongs to the kernel.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...arrays import is_half
from ...geometry import Axis, Geometry
from .jit import inlined

HEIGHT, WIDTH, INPUT, OUTPUT, INDICES, CHANNELS, WINDOW, OWN = 0, 7, 14, 20, 26, 32, 33, 34

# What a forward pass adds.
(
    ITEM_SIZE,  # bytes of a cell
    CODE_SIZE,  # bytes of a code, 0 for none
    INDEX_SIZE,  # bytes of an index, 0 for none
    INFINITY,  # the bits of infinity of a 16-bit float, else 0
    ROW_STEP,  # what one tap down adds to a code
    COLUMN_STEP,  # what one tap right adds to a code
    ROW_BITS,  # of the tap column in a code that is taken apart to become a flat index, else 0
    TILE,  # windows of a row that are done together
    SLOTS,  # rows of the ring
    PITCH,  # cells from one row of the ring to the next
    PHASES,  # rows of windows until rows of the input are shared again
    RING_STEP,  # rows of the ring from one window to the next
    BATCH,  # rows of windows that are done together
    STAGE_STEP,  # bytes from one staged row to the next
    OUTPUT_STEP,  # from one row that is written to the next; 0 for lines of the scratch
    INDICES_STEP,
    LINE_INDEX_SIZE,  # bytes of an index in those
    GROUP,  # planes that are done together
    LAST_PLANE,  # where the last group begins; it may overlap the one before
    DENSE_STRIDE,  # of the windows of a row, before they are picked
    DENSE_CELLS,  # cells of a tile of windows at that stride
    AHEAD,  # cells from what is read to what is fetched meanwhile
    # The functions for one row: their addresses, 0 for what is not needed.
    REDUCE,
    MERGE,
    MERGE_ALL,  # where no tap lies outside
    COMBINE,
    COPY_ROW,
    EMIT,
    STAGE_ROWS,
    SPREAD_VALUES,
    SPREAD_INDICES,
    STREAM_ROW,
    MEND_ROW,
    FILL_TABLES,
    # Places in the scratch.
    RING,
    CODES,  # of the ring
    PREFIX,  # maxima over the beginning of a block
    PREFIX_CODES,
    FIRSTS,  # codes of the first taps inside
    COLUMNS,  # of the windows
    STAGE,  # rows of the input
    DENSE,  # values of a row at stride 1
    DENSE_CODES,
    LINE,  # rows of the output
    LINE_INDICES,
) = range(OWN, OWN + 45)
FUNCTIONS = range(REDUCE, RING)


@inlined
def axis(table, which):
    """The seven numbers of an axis."""
    return (
        table[which],
        table[which + 1],
        table[which + 2],
        table[which + 3],
        table[which + 4],
        table[which + 5],
        table[which + 6],
    )


@inlined
def strides(table, which):
    """From one row, column and channel of an array to the next."""
    return table[which + 3], table[which + 4], table[which + 5]


@inlined
def plane_origin(table, which, plane):
    """Where plane number `plane` of an array begins; see `Memory`."""
    split = table[which]
    return plane // split * table[which + 1] + plane % split * table[which + 2]


@inlined
def rows_of_plane(row, last_row, height):
    """The plane that `row` lies in, and the rows of it from there up to `last_row`."""
    plane = row // height
    start = row - plane * height
    return plane, start, min(height, start + last_row - row)


@inlined
def taps_inside(start, size, kernel_size, dilation):
    """First tap of a window inside the input, and the one after its last."""
    if start >= 0 and start + (kernel_size - 1) * dilation < size:
        return 0, kernel_size
    first = -(start // dilation) if start < 0 else 0
    return first, min(kernel_size, -((start - size) // dilation))


class Memory(NamedTuple):
    """How a canonical array lies in memory, in cells.

    The leading axes are merged into two at most, the inner one of length `split`.
    """

    split: int
    outer: int
    inner: int
    row: int
    column: int
    channel: int

    @classmethod
    def in_order(cls, planes: int, height: int, width: int, channels: int) -> Memory:
        """That of an array in C order."""
        row = width * channels
        return cls(planes, 0, height * row, row, channels, 1)

    def dense(self, channels: int) -> bool:
        """Whether the cells of a row lie side by side."""
        return self.column == channels and (channels == 1 or self.channel == 1)


def make_table(
    geometry: Geometry, window: bool, memories: tuple[Memory, ...], own: tuple[int, ...]
) -> np.ndarray:
    """The table of a geometry, the memory of input, output and indices, and a kernel's part."""
    numbers = [*_axis(geometry.height), *_axis(geometry.width)]
    for memory in memories:
        numbers += memory
    return np.array([*numbers, geometry.channels, window, *own], np.int64)


def _axis(axis: Axis) -> tuple[int, ...]:
    return (
        axis.size,
        axis.output,
        axis.kernel,
        axis.stride,
        axis.dilation,
        axis.pad_low,
        axis.span,
    )


def held_as(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type as which kernels hold cells: 16-bit floats and booleans are integers there."""
    if is_half(dtype):
        return np.dtype(np.int16)
    return np.dtype(np.uint8) if dtype == np.bool_ else dtype


def memory_of(array: np.ndarray) -> Memory | None:
    """The memory of a canonical array, of any alignment.

    None if that cannot be said: strides that are no whole cells, or leading axes that do not
    merge into two.
    """
    shape, size = array.shape, array.itemsize
    if array.flags.c_contiguous:  # the usual case: 0.6 us instead of 8
        return Memory.in_order(math.prod(shape[:-3]), *shape[-3:])
    steps = [0 if n == 1 else s for n, s in zip(shape, array.strides, strict=True)]
    lead = _merged(shape[:-3], array.strides[:-3])
    if len(lead) > 2 or any(step % size for step in steps):
        return None
    (_, outer), (split, inner) = [(1, 0)] * (2 - len(lead)) + lead
    row, column, channel = (step // size for step in steps[-3:])
    return Memory(split, outer // size, inner // size, row, column, channel)


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

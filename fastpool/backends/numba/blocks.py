"""The plan of a forward pass in blocks: what a block is, its part of the table, its scratch."""

from __future__ import annotations

import math

from ...rules.geometry import Geometry
from . import table
from .memory import Memory
from .table import three_axes
from .vectors.windows import Block

# Taps along an axis, and in all, up to which windows are pooled in registers.
MOST, MOST_TAPS = 7, 64
# Strides up to which vectors are picked from as many others.
MOST_STRIDE = 8
# Rows of windows of a block, by their stride, where windows share rows: 0.6 of the time for 4 rows
# of 3 x 3 windows at stride 1, 0.8 for 2 at stride 2, and more for 2 at stride 3.
ROWS = {1: 4, 2: 2}
# Where rows of windows are shorter than a vector: rows in a block, largest kernel, fewest windows.
LOOSE_ROWS, LOOSE, FEWEST_WINDOWS = 4, 3, 5
# The rows of a group are read once before they are pooled if they have up to NEAR bytes, half of a
# usual first-level cache, and the input has more than FAR: in cache that costs a tenth.
NEAR, FAR = 2**14, 2**21


def pools_in_blocks(geometry: Geometry) -> bool:
    """Whether windows are small enough, and the codes of their taps fit in 32 bits."""
    axes = depth, height, width = three_axes(geometry)
    if max(axis.kernel for axis in axes) > MOST:
        return False
    if math.prod(axis.kernel for axis in axes) > MOST_TAPS:
        return False
    if width.stride > MOST_STRIDE and geometry.channels == 1:
        return False
    rows = height.span + ROWS[1] * height.stride
    reach = (depth.span * height.size + rows) * width.size + width.span
    small = reach < 2**30 and width.output * width.stride < 2**30
    return small and all(axis.stride < 32 and axis.span <= 4 * axis.size + 64 for axis in axes)


def block_of(
    geometry: Geometry, itemsize: int, flat: bool, half: int, indices: bool, loose: bool
) -> Block:
    """The block of a geometry."""
    depth, height, width = three_axes(geometry)
    line, pixels = geometry.channels == 1, in_pixels(geometry)
    rows = 1
    if height.dilation == 1 and height.kernel > height.stride:
        rows = ROWS.get(height.stride, 1)
    rows = LOOSE_ROWS if loose else rows
    rows = rows if rows <= height.output else 1  # as many kernels for a window, and no more
    block = Block(
        depth.kernel, height.kernel, width.kernel, height.stride, 1 if pixels else width.stride,
        rows, int(line and width.dilation == 1), int(flat), 0 if pixels else 1 if line else 2,
        0, 0, half,
    )  # fmt: skip
    if not indices:
        return block
    bits = max((width.kernel - 1).bit_length(), 1)
    if not flat:
        taps = (depth.kernel - 1) * height.kernel * width.kernel + block.height * width.kernel
        return block._replace(code_size=1 if taps <= 256 else 2)
    if itemsize < 4 and depth.kernel == 1 and block.height << bits <= 256:
        return block._replace(code_size=1, row_bits=bits)
    return block._replace(code_size=4)


def runs_over(geometry: Geometry, lanes: int, memories: tuple[Memory, ...]) -> bool:
    """Whether rows of windows, shorter than a vector, are written over the beginning of the next.

    What follows a row must be another row, which comes later, and windows must lie inside: then
    (64, 64, 28, 28) k2 s2 takes 0.3 to 0.7 of the time of planes side by side.
    """
    _, height, width = three_axes(geometry)
    if geometry.channels > 1 or not FEWEST_WINDOWS <= width.output < lanes:
        return False
    if width.pad_low or width.span + (width.output - 1) * width.stride > width.size:
        return False
    small = max(height.kernel, width.kernel) <= LOOSE and height.dilation == width.dilation == 1
    small = small and height.output >= LOOSE_ROWS
    source, *targets = memories
    inside = source.dense(1) and source.end(geometry) > 0
    return small and inside and all(memory.in_line(geometry) for memory in targets)


def in_pixels(geometry: Geometry) -> bool:
    """Whether a block holds the channels of one window."""
    return geometry.channels > 1 and three_axes(geometry)[2].stride > 1


def block_numbers(geometry: Geometry, block: Block, lanes: int) -> dict[int, int]:
    """What the table says of blocks, of codes, and of windows whose first taps lie outside."""
    depth, height, width = three_axes(geometry)
    channels = geometry.channels
    reach = (width.kernel - 1) * width.dilation * channels + lanes
    if channels == 1:
        last = (lanes - 1) * block.stride_w + (width.kernel - 1) * width.dilation + 1
        reach = max(last, lanes * block.stride_w)
        if not block.adjacent:
            reach = (width.kernel - 1) * width.dilation + lanes * block.stride_w
    slice_step, row_step, column_step = height.kernel * width.kernel, width.kernel, 1
    if block.flat:
        # Of one tap a dilation of any size may be said, which is no step.
        slice_step, row_step, column_step = (
            (axis.dilation if axis.kernel > 1 else 1) * cells
            for axis, cells in (
                (depth, height.size * width.size), (height, width.size), (width, 1),
            )
        )  # fmt: skip
    if block.row_bits:
        row_step, column_step = 1 << block.row_bits, 1
    return {
        table.BLOCK_ROWS: block.rows,
        table.BLOCK_REACH: reach,
        table.ZONE: -(-width.pad_low // width.stride) * channels,
        table.CODE_SIZE: block.code_size,
        table.SLICE_STEP: slice_step,
        table.ROW_STEP: row_step,
        table.COLUMN_STEP: column_step,
    }

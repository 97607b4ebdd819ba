"""The plan of a forward pass in blocks: what a block is, its part of the table, its scratch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...rules.arrays import is_half
from ...rules.call import Call
from ...rules.geometry import Geometry
from . import table
from .division import division_by, one_divisor
from .kernels.writing import LINE
from .memory import PAST_BYTES, Memory
from .table import three_axes
from .vectors.adding import DIVIDED, SHIFTED
from .vectors.types import BYTES, MASKED_BITS, MASKS
from .vectors.windows import ANY, Block

# Taps along an axis, and in all, up to which windows are pooled in registers.
MOST, MOST_TAPS = 7, 64
# Strides up to which vectors are picked from as many others.
MOST_STRIDE = 8
# Rows of windows of a block, by their stride, where windows share rows: 0.6 of the time for 4 rows
# of 3 x 3 windows at stride 1, 0.8 for 2 at stride 2, and more for 2 at stride 3.
ROWS = {1: 4, 2: 2}
# Planes of up to so many rows of up to so many windows are one block: 0.6 to 0.8 of the time.
LOW, SHORT = 7, 8
# Where rows are written one over the end of the other: the largest kernel, and rows in a block. The
# first of these that divides the rows of a plane, so that no block overlaps another; else the last.
LOOSE, LOOSE_ROWS = 3, (7, 6, 5, 4, 3, 2, 4)
# The rows of a group are read once before they are pooled if they have up to NEAR bytes, of which a
# usual first-level cache holds 32 KB, and the input has more than FAR: in cache that costs a tenth.
# Two rows of 12 KB take 0.7 to 1.0 of the time.
NEAR, FAR = 3 * 2**13, 2**21
# Small planes are pooled one after the other, up to so many bytes, in at least so many sets.
PLANES_BYTES, SETS = 2**14, 32


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
    reach = ((depth.span - 1) * height.size + rows) * width.size + width.span
    small = reach < 2**30 and width.output * width.stride < 2**30
    return small and all(axis.stride < 32 and axis.span <= 4 * axis.size + 64 for axis in axes)


def sums_in_blocks(call: Call) -> bool:
    """Whether a sum or an average is pooled in registers: cells, sums and results are alike.

    All are divided by one number.
    """
    division = call.division
    if division is None or call.dtype != division.dtype or not pools_in_blocks(call.geometry):
        return False
    small = call.dtype.kind == "f" or is_half(call.dtype) or call.dtype.itemsize <= 2
    if not small or call.dtype.kind == "b":
        return False
    return one_divisor(call) is not None


def block_of(
    geometry: Geometry,
    itemsize: int,
    lanes: int,
    flat: bool,
    half: int,
    indices: bool,
    loose: bool,
) -> Block:
    """The block of a geometry."""
    depth, height, width = three_axes(geometry)
    line, few = geometry.channels == 1, interleaved(geometry, lanes)
    pixels = not line and not few and width.stride > 1
    rows = 1
    if height.dilation == 1 and height.kernel > height.stride:
        rows = ROWS.get(height.stride, 1)
        if line and rows < height.output <= LOW and width.output <= SHORT:
            rows = height.output
    if loose:
        rows = next((n for n in LOOSE_ROWS if height.output % n == 0), LOOSE_ROWS[-1])
    rows = rows if rows <= height.output else 1  # as many kernels for a window, and no more
    block = Block(
        depth.kernel, height.kernel, width.kernel, height.stride, 1 if pixels else width.stride,
        rows, int((line or few) and width.dilation == 1), int(flat),
        0 if pixels else geometry.channels if line or few else ANY, 0, half,
    )  # fmt: skip
    if not indices:
        return block
    bits = max((width.kernel - 1).bit_length(), 1)
    # A mask that lies in lanes picks from lanes as wide: 0.7 to 0.9 of the time on an AMD Zen 3.
    least = 1 if MASKS else min(itemsize, 4)
    if not flat:
        taps = (depth.kernel - 1) * height.kernel * width.kernel + block.height * width.kernel
        return block._replace(code_size=max(least, 1 if taps <= 256 else 2))
    if itemsize < 4 and depth.kernel == 1 and block.height << bits <= 256:
        return block._replace(code_size=least, row_bits=bits)
    return block._replace(code_size=4)


def summed(block: Block, dtype: np.dtype[Any], half: int, divisor: int) -> tuple[Block, float]:
    """The block of sums, and what they are multiplied with or divided by."""
    divided, number = division_by(divisor)
    if dtype.kind != "f" and not half:
        divided, number = DIVIDED, float(divisor)
        if divisor > 0 and divisor.bit_count() == 1 and divisor <= MOST_TAPS:
            divided = SHIFTED + divisor.bit_length() - 1
    return block._replace(divided=divided), number


def zeros_beside(geometry: Geometry, numbers: dict[int, int], lanes: int) -> int:
    """Zeros on each side of where a row outside is read: as far as a block may read beyond."""
    width = three_axes(geometry)[2]
    ends = (width.output - 1) * width.stride + width.span - width.size
    beyond = max(width.pad_low, ends, 0) * geometry.channels
    return beyond + numbers[table.BLOCK_REACH] + 2 * lanes * max(numbers[table.LANE_STRIDE], 1)


def fills_vectors(geometry: Geometry, lanes: int) -> bool:
    """Whether a vector of at most so many lanes is for windows or channels that lie side by side.

    If not, planes go side by side into lanes, if they can. That took 0.9 of the time for rows at an
    edge that were longer than a vector, and less for shorter ones of two windows. For all others it
    took 1.1 to 2.5 times as long.
    """
    windows = three_axes(geometry)[2].output
    return geometry.channels > 1 or (windows > 1 and (inside(geometry) or 2 < windows < lanes))


def inside(geometry: Geometry) -> bool:
    """Whether no row of windows sticks out of the rows of the input."""
    width = three_axes(geometry)[2]
    last = (width.output - 1) * width.stride + width.span
    return width.pad_low == 0 and last <= width.size


def lanes_of(geometry: Geometry, itemsize: int, loose: bool) -> int:
    """The lanes of a vector of windows or channels that lie side by side.

    As few as a row needs. Where cells cannot be masked, as many as a row has: the last vector of a
    row begins before the end of the one before it.
    """
    width, channels, count = three_axes(geometry)[2], geometry.channels, BYTES // itemsize
    length = width.output * channels
    if interleaved(geometry, count):
        while count - count % channels > length or count > width.size * channels:
            count //= 2
        return count
    if channels > 1 and width.stride > 1:
        length = channels
    count = 1 << (length - 1).bit_length()
    if not loose and 8 * itemsize < MASKED_BITS:
        length = min(length, width.size * channels)
        count = 1 << (length.bit_length() - 1)
    return min(BYTES // itemsize, count)


def runs_over(geometry: Geometry, itemsize: int, memories: tuple[Memory, ...]) -> bool:
    """Whether rows of windows, shorter than a vector, are written over the beginning of the next.

    What follows a row must be another row, which comes later, and windows must lie inside. Under
    masks (64, 64, 28, 28) k2 s2 takes 1.4 to 2.0 times as long.
    """
    _, height, width = three_axes(geometry)
    if geometry.channels > 1 or not 1 < width.output < BYTES // itemsize or not inside(geometry):
        return False
    if width.size < lanes_of(geometry, itemsize, loose=True):  # as `Reading.slid` needs them
        return False
    small = max(height.kernel, width.kernel) <= LOOSE and height.dilation == width.dilation == 1
    source, *targets = memories
    known = source.dense(1) and source.end(geometry) > 0
    return small and known and all(memory.in_line(geometry) for memory in targets)


def planes_together(geometry: Geometry, block: Block, itemsize: int, loose: bool) -> int:
    """Planes that are pooled one after the other, if they are small, and lie at even distances."""
    depth, height, _ = three_axes(geometry)
    if depth.output > 1 or block.channels == 0 or (loose and block.rows < height.output):
        return 1
    near = PLANES_BYTES // (geometry.plane_cells * geometry.channels * itemsize)
    return max(min(near, geometry.planes // SETS), 1)


def written_past(geometry: Geometry, block: Block, targets: tuple[tuple[Memory, int], ...]) -> bool:
    """Whether windows are written past the caches, which reads nothing in before.

    That takes many bytes, and windows whose channels fill whole lines. And one row at a time: of
    two in turns, the processor may send away half a line, and again the other half, which took 3.6
    times as long on an AMD Zen 3. `targets` are the outputs and the bytes of their cells.
    """
    if block.channels or block.rows > 1:
        return False
    whole = all(
        geometry.channels * size % LINE == 0 and memory.row * size % LINE == 0
        for memory, size in targets
    )
    written = math.prod(geometry.output_shape) * sum(size for _, size in targets)
    return whole and written >= PAST_BYTES


def interleaved(geometry: Geometry, lanes: int) -> bool:
    """Whether a block holds windows at a stride side by side, with all their few channels.

    Otherwise it holds the channels of one window, which took 1.1 to 10 times as long.
    """
    width = three_axes(geometry)[2]
    few = 1 < geometry.channels < min(lanes, ANY) and 1 < width.stride <= MOST_STRIDE
    return few and width.size > 1  # so that a row has as many cells as the shortest vector


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
    if block.interleaved:
        taps = (width.kernel - 1) * width.dilation * channels
        one = block.places(lanes)[-1] + 1
        reach = max(taps + one, lanes) if block.adjacent else taps + max(one, lanes)
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
        table.BLOCK_LENGTH: (width.output if block.channels else 1) * channels,
        table.BLOCK_LANES: block.whole(lanes),
        table.LANE_STRIDE: block.stride_w,
        table.PIXELS: int(block.channels == 0),
        table.ZONE: -(-width.pad_low // width.stride) * channels,
        table.CODE_SIZE: block.code_size,
        table.SLICE_STEP: slice_step,
        table.ROW_STEP: row_step,
        table.COLUMN_STEP: column_step,
    }

"""Which functions pool a row, and which walks through the rows: the choice, and its reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...rules.geometry import Geometry
from ...rules.operation import Operation
from .blocks import fills_vectors, interleaved, lanes_of, pools_in_blocks, runs_over
from .kernels import reduce
from .kernels.direct import direct_rows
from .kernels.ring import ring_rows
from .kernels.volumes import volume_rows
from .kernels.wide import wide_rows
from .memory import Memory
from .table import three_axes
from .together import MOST_PLANES
from .vectors.types import BYTES

# A window is large down from 3 strides and so many taps on, and to the right above so many strides.
TALL, BROAD = 6, 6
# Strides up to this one have functions of their own.
MOST_STRIDE = 16
# Windows a row up to which planes go side by side into lanes: small ones, and large ones, for which
# it takes 0.5 to 0.9 of the time.
NARROW, NARROW_LARGE, LARGE = 20, 64, 5


class Codes(NamedTuple):
    """How a number says which tap of its window a maximum came from."""

    dtype: np.dtype[Any]
    slice_step: int  # what one tap back adds
    row_step: int  # what one tap down adds
    column_step: int  # what one tap to the right adds
    row_bits: int  # of the tap's column, where row and column stand side by side; else 0


class Choice(NamedTuple):
    """How a forward pass is done."""

    walk: Callable[..., Any]  # the kernel
    reduce: Any  # the function that makes the maxima of a row; None if the walk does
    lanes: int  # of a vector of cells
    planes: bool  # whether a vector holds cells of as many planes
    staged: bool  # whether rows must be copied to be read
    direct: bool  # whether rows can be written where they belong
    loose: bool  # whether rows are written one over the end of the other
    reasons: tuple[str, ...]


def choose(
    operation: Operation,
    geometry: Geometry,
    itemsize: int,
    half: bool,
    memories: tuple[Memory, ...],
) -> Choice:
    """How to pool: `memories` are those of the input, the output and the indices, if any.

    Algorithms that see a cell twice are for idempotent operations alone.
    """
    again = operation.idempotent
    _, height, width = three_axes(geometry)
    volumes, reasons = len(geometry.axes) == 3, []
    lanes, channels, planes = BYTES // itemsize, geometry.channels, False
    group = min(lanes, MOST_PLANES)
    aligned = not volumes and all(
        memory.split >= geometry.planes and memory.column == 1 for memory in memories
    )
    # Flat indices are transposed in 32 bits.
    fits = geometry.planes >= group and geometry.plane_cells < 2**31
    # Rows at an edge are seen again, or are zeros to a sum.
    small = (again or not operation.picks_cell) and pools_in_blocks(geometry)
    narrow = NARROW if small or max(height.kernel, width.kernel) < LARGE else NARROW_LARGE
    loose = small and aligned and runs_over(geometry, itemsize, memories)
    side_by_side = channels == 1 and width.output <= narrow and fits and aligned
    if side_by_side and not (small and fills_vectors(geometry, lanes)):
        planes, lanes, channels = True, group, group
        reasons.append(f"{group} planes side by side, as rows are short")
    elif small:
        most, lanes = lanes, lanes_of(geometry, itemsize, loose)
        if lanes < most:
            over = ", written one over the end of the other" if loose else ""
            reasons.append(f"vectors of {lanes} lanes, as rows are short{over}")

    dense = [not planes and memory.dense(channels) for memory in memories]
    staged, direct = not dense[0], all(dense[1:])
    if half and not small:
        staged = True
        reasons.append("rows copied to be read: 16-bit floats")
    elif staged and not planes:
        reasons.append("rows copied to be read: strides")
    if small:
        if interleaved(geometry, lanes):
            reasons.append(f"vectors of windows and their {channels} channels")
        reasons.append("all taps of a window in registers")
        return Choice(direct_rows, None, lanes, planes, staged, direct, loose, tuple(reasons))
    walk = ring_rows
    # The last term: windows that stick far out of the input are cut to what is inside.
    if volumes:
        walk = volume_rows
        reasons.append("all rows of a window at a time, as there are slices")
    elif again and 3 * height.stride + TALL <= height.kernel <= 2 * height.size:
        walk = wide_rows
        reasons.append(f"van Herk down the rows, as windows have {height.kernel}")

    apart = width.stride > MOST_STRIDE
    if width.span > 4 * width.size + 64 or (apart and channels == 1):
        reducer = reduce.reduce_taps
        reasons.append("tap by tap, as most taps lie outside the input or far apart")
    elif again and width.kernel > BROAD * width.stride and not apart:
        reducer = reduce.reduce_double
        reasons.append(f"doubling along a row, as windows have {width.kernel} columns")
    elif channels > 1 and width.stride > 1:
        reducer = reduce.reduce_pixels
        reasons.append(f"{channels} channels side by side")
    else:
        reducer = reduce.reduce_windows
        reasons.append(f"windows at stride {width.stride} side by side")

    return Choice(walk, reducer, lanes, planes, staged, direct, False, tuple(reasons))


def choose_codes(geometry: Geometry, itemsize: int, flat: bool) -> Codes:
    """Codes in lanes as wide as the values', if that is enough; flat indices made of them."""
    depth, height, width = three_axes(geometry)
    back, down, right = depth.kernel - 1, height.kernel - 1, width.kernel - 1
    slice_step, row_step, column_step, row_bits = height.kernel * width.kernel, width.kernel, 1, 0
    if flat:
        slice_step = depth.dilation * height.size * width.size
        row_step, column_step = height.dilation * width.size, width.dilation
        row_bits = max(right.bit_length(), 1)
    largest = back * slice_step + down * row_step + right * column_step
    # A step of a huge dilation is taken modulo 2**64, as are the sums of which it is a part.
    slice_step, row_step = ((step + 2**63) % 2**64 - 2**63 for step in (slice_step, row_step))
    if itemsize < 4 and largest < 2**31 and not (flat and back):
        narrow_step = 1 << row_bits if flat else row_step
        if back * slice_step + down * narrow_step + right < 2 ** (8 * itemsize):
            return Codes(np.dtype(f"u{itemsize}"), slice_step, narrow_step, 1, row_bits)
    if itemsize < 8 and largest < 2**31:
        return Codes(np.dtype(np.int32), slice_step, row_step, column_step, 0)
    return Codes(np.dtype(np.int64), slice_step, row_step, column_step, 0)

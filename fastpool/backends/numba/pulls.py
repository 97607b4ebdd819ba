"""The plan of a backward pass in which cells pull: where it pays, its table, and its scratch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...rules.call import Call
from ...rules.geometry import Geometry
from . import table
from .compile.jit import address, cells
from .kernels.indices import LANES
from .kernels.pull import sum_rows
from .kernels.translate import copy_rows, translate_codes, translate_rows
from .kernels.writing import LINE
from .memory import Memory
from .table import three_axes
from .vectors.pulling import Pull

# From this many bytes of output on, vectors are written past the caches, which reads nothing in
# before.
PAST_BYTES = 2**24
# Bytes of cells and of rows of windows in the scratch, together: half of a usual first-level cache.
BUFFER = 2**14
# To look at a tap takes a fifth of a cycle for each byte of a cell's item, and 5 cycles a window
# are what the streams take.
MOST_TAP_BYTES = 80
MOST_STRIDE = 8
SHORT = 20


def pulls(geometry: Geometry, memories: Sequence[Memory], itemsize: int) -> bool:
    """Whether the kernel in which cells pull takes this geometry and memory, and is the fastest."""
    _, height, width = three_axes(geometry)
    channels = geometry.channels
    if height.dilation != 1 or width.dilation != 1 or width.stride > MOST_STRIDE:
        return False
    if not all(memory.dense(channels) for memory in memories):
        return False
    if height.kernel * width.kernel * itemsize > MOST_TAP_BYTES:
        return False
    # In short rows most lanes are idle. Cells of larger strides have few windows, and there only
    # what is written past the caches is faster: (8, 64, 224, 224) k3 s3 takes 0.6 of the time.
    if width.size * channels < SHORT if width.stride == 1 else not writes_past(geometry, itemsize):
        return False
    # What is computed fits int32, and float32 where it divides; taps fit a byte.
    if height.size * width.size >= 2**31 or width.size * channels >= 2**24:
        return False
    return (height.kernel + 1) * max(width.size, width.kernel) < 2**21


def writes_past(geometry: Geometry, itemsize: int) -> bool:
    """Whether so many cells are written that they go past the caches."""
    return math.prod(geometry.input_shape) * itemsize >= PAST_BYTES


class Rows(NamedTuple):
    """The kernel's part of the table, and its bytes of scratch."""

    numbers: dict[int, int]
    scratch: int


def split_rows(call: Call, memories: Sequence[Memory], dtype: np.dtype) -> Rows:
    """How rows of windows and of cells lie in the scratch."""
    geometry, index_dtype = call.geometry, call.index_dtype or np.dtype(np.int64)
    _, height, width = three_axes(geometry)
    channels, item, row = geometry.channels, dtype.itemsize, width.size * geometry.channels
    many, units = LINE // item, width.output * channels
    line = channels == 1
    columns = -(-width.kernel // width.stride)  # windows along a row that hold a cell
    tap_step = columns * width.stride
    pull = Pull(
        width.stride if line else 1,
        width.stride,
        width.kernel if line else tap_step,
        width.pad_low % width.stride if line else 0,
        -(-height.kernel // height.stride),
        height.kernel // height.stride,
    )
    piece = BUFFER // 2 // item // pull.phases // LINE * LINE * pull.phases
    if row <= piece or pull.phases < width.stride:
        piece = 2**62
    lead = _up((columns - 1) * channels, LINE)
    batched = height.stride == width.stride == 1 and units <= row
    if batched:
        pitch = units = row
    else:
        reached = (width.size + width.pad_low) // width.stride * channels + 2 * many
        pitch = _up(lead + max(units, reached) + many, LINE)
    bytes_of_row = pitch * (item + 1) + height.stride * row * item
    held = pull.rows - 1 + max(1, min(BUFFER // bytes_of_row, height.output + 2))
    size = _up(lead + held * pitch + (pull.rows + 8) * LINE, LINE)
    shift_bytes = _up(4 * (width.output * channels + LINE), LINE)
    x, codes = cells(dtype), cells(np.uint8, many)
    narrow = call.window and index_dtype == np.uint8
    if narrow:
        whole = cells(np.uint8)
        translate = address(translate_codes, places=whole, taps=whole, shifts=whole)
    else:
        taps, shifts = cells(np.uint8, LANES), cells(np.int32)
        places = cells(index_dtype, LANES)
        translate = address(translate_rows, places=places, taps=taps, shifts=shifts)
    sums = {"output": x, "codes": codes, "gradients": x, "cells": x}
    # Bytes that are read for each vector of windows, and so for its cells.
    read = many / height.stride * (1 if line else 1 / width.stride)
    numbers = {
        table.ITEM_BYTES: item,
        table.INDEX_BYTES: index_dtype.itemsize,
        table.HELD: held,
        table.BUFFER_UNITS: size,
        table.SHIFT_BYTES: shift_bytes,
        table.PITCH_UNITS: pitch,
        table.UNITS: units,
        table.LEAD: lead,
        table.TAP_STEP: tap_step,
        table.PHASES_ALONG: pull.phases,
        table.PIECE: piece,
        table.BATCHED: int(batched),
        table.BYTES_ALONE: int(narrow),
        table.PAST: int(writes_past(geometry, item)),
        table.AHEAD_VALUES: round(read * item),
        table.AHEAD_INDICES: round(read * index_dtype.itemsize),
        table.TRANSLATE_ROWS: translate,
        table.COPY_ROWS: address(copy_rows, x=x, gradients=x),
        table.SUM_ROWS: address(sum_rows, **sums, pull=pull.packed()),
    }
    rows = (held - pull.rows + 1) * height.stride + height.stride
    scratch = 2 * LINE + size * (item + 1) + shift_bytes + rows * row * item
    return Rows(numbers, scratch + (MOST_STRIDE + 1) * LINE)


def _up(size: int, unit: int) -> int:
    """The next multiple of `unit`."""
    return -(-size // unit) * unit

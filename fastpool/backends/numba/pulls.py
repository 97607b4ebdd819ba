"""The plan of a backward pass in which cells pull: where it pays, its table, and its scratch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...rules.call import Call
from ...rules.geometry import Geometry
from . import table
from .compile.jit import address, cells
from .compile.launch import SPREAD, Launch
from .division import division_by, one_divisor
from .kernels.indices import LANES
from .kernels.pull import pull_planes, sum_rows
from .kernels.translate import copy_rows, translate_codes, translate_rows
from .kernels.writing import LINE
from .memory import PAST_BYTES, Memory, held_as
from .scratch import rounded_up
from .table import PULL, make_table, three_axes
from .vectors.halves import mantissa
from .vectors.pulling import Pull
from .vectors.types import BYTES, pack

# Bytes of cells and of rows of windows in the scratch, together: half of a usual first-level cache.
BUFFER = 2**14
# Taps of a window, in all and along an axis: each has code of its own.
MOST_TAPS, MOST = 64, 16
MOST_STRIDE = 8
# To look at a tap takes a fifth of a cycle for each byte of a cell, and the streams take 5 cycles
# for a window.
MOST_TAP_BYTES = 80
# Cells of a row up to which most lanes are idle.
SHORT = 20


def can_pull(geometry: Geometry, memories: Sequence[Memory]) -> bool:
    """Whether the kernel in which cells pull takes this geometry and memory."""
    _, height, width = three_axes(geometry)
    channels = geometry.channels
    if height.dilation != 1 or width.dilation != 1 or width.stride > MOST_STRIDE:
        return False
    if not all(memory.dense(channels) for memory in memories):
        return False
    if max(height.kernel, width.kernel) > MOST or height.kernel * width.kernel > MOST_TAPS:
        return False
    # What is computed fits int32, and float32 where it divides.
    if height.size * width.size >= 2**31 or width.size * channels >= 2**24:
        return False
    return (height.kernel + 1) * max(width.size, width.kernel) < 2**21


def pulls(geometry: Geometry, itemsize: int) -> bool:
    """Whether that kernel is the fastest.

    Cells of larger strides have few windows, and there only what is written past the caches is
    faster: (8, 64, 224, 224) k3 s3 takes 0.6 of the time.
    """
    _, height, width = three_axes(geometry)
    if height.kernel * width.kernel * itemsize > MOST_TAP_BYTES:
        return False
    if width.stride == 1:
        return width.size * geometry.channels >= SHORT
    return writes_past(geometry, itemsize)


def writes_past(geometry: Geometry, itemsize: int) -> bool:
    """Whether so many cells are written that they go past the caches."""
    return math.prod(geometry.input_shape) * itemsize >= PAST_BYTES


class PullSetup:
    """The backward pass of an average of small windows: each cell sums what its windows pass on.

    Parameters
    ----------
    call : Call
        Such a pass, for which `sums_pull` is true.
    memories : tuple of Memory
        Of what is read, and of what is written.
    """

    reason = "backend numba, pull_planes: each cell sums what its windows pass on"

    def __init__(self, call: Call, memories: tuple[Memory, Memory]) -> None:
        self._call, self._memories = call, memories
        self.work = math.prod(call.geometry.input_shape)

    def launch(self) -> Launch:
        """The kernel and its table: everything is compiled, or loaded."""
        call, geometry = self._call, self._call.geometry
        source, target = self._memories
        pull = split_rows(call, held_as(call.dtype), mantissa(call.dtype))
        numbers = make_table(geometry, False, (target, source, source), PULL, pull.numbers)
        walk = address(pull_planes, scratch=cells(np.uint8))
        rows = geometry.planes * three_axes(geometry)[1].size
        return Launch(walk, numbers, pull.scratch, rows, self.work, SPREAD, 1)


def sums_pull(call: Call, memories: Sequence[Memory]) -> bool:
    """Whether the gradient of an average is pulled: there is one divisor, and windows are small."""
    regular = call.geometry.regular and len(call.geometry.axes) < 3
    if not regular or one_divisor(call) is None:
        return False
    return can_pull(call.geometry, memories)


class Rows(NamedTuple):
    """The kernel's part of the table, and its bytes of scratch."""

    numbers: dict[int, int]
    scratch: int


def split_rows(call: Call, dtype: np.dtype, half: int) -> Rows:
    """How rows of windows and of cells lie in the scratch."""
    geometry, named = call.geometry, call.division is None
    index_dtype = call.index_dtype or np.dtype(np.int64)
    _, height, width = three_axes(geometry)
    item, sums = dtype.itemsize, np.dtype(np.float32) if half else dtype
    wide = sums.itemsize
    channels, row = geometry.channels, width.size * geometry.channels
    many, units = BYTES // sums.itemsize, width.output * channels
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
    piece = max(1, BUFFER // 2 // (sums.itemsize * pull.phases * LINE)) * LINE * pull.phases
    apart = pull.phases < width.stride
    if row <= piece or apart:
        piece = 2**62
    lead = rounded_up((columns - 1) * channels, LINE)
    batched = named and height.stride == width.stride == 1 and units <= row
    if batched:
        pitch = units = row
    else:
        reached = (width.size + width.pad_low) // width.stride * channels + 2 * many
        pitch = rounded_up(lead + max(units, reached) + many, LINE)
    bytes_of_row = pitch * (wide + 1) + height.stride * row * wide
    held = pull.rows - 1 + max(1, min(BUFFER // bytes_of_row, height.output + 2))
    size = rounded_up(lead + held * pitch + (pull.rows + 8) * LINE, LINE)
    shift_bytes = rounded_up(4 * (width.output * channels + LINE), LINE)
    x, sum_cells, codes = cells(dtype, many), cells(sums), cells(np.uint8, many)
    narrow = call.window and index_dtype == np.uint8
    translate, divided, divisor = 0, 0, 0.0
    if not named:
        one = one_divisor(call)
        assert one is not None
        divided, divisor = division_by(one)
    elif narrow:
        whole = cells(np.uint8)
        translate = address(translate_codes, places=whole, taps=whole, shifts=whole)
    else:
        taps, shifts = cells(np.uint8, LANES), cells(np.int32, LANES)
        places = cells(index_dtype, LANES)
        translate = address(translate_rows, places=places, taps=taps, shifts=shifts)
    kinds: dict[str, Any] = {
        "output": x,
        "codes": codes if named else None,
        "gradients": sum_cells,
        "cells": sum_cells,
    }
    # Bytes that are read for each vector of windows, and so for its cells.
    read = many / height.stride * (1 if line else 1 / width.stride)
    numbers = {
        table.ITEM_BYTES: item,
        table.SUM_BYTES: wide,
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
        table.AHEAD_INDICES: round(read * index_dtype.itemsize) if named else 0,
        table.GRADIENT_DIVISOR: int(np.float64(divisor).view(np.int64)),
        table.TRANSLATE_ROWS: translate,
        table.COPY_ROWS: address(copy_rows, x=x, gradients=sum_cells, half=half, divided=divided),
        table.SUM_ROWS: address(
            sum_rows, **kinds, pull=pack(pull), pixels=int(apart), named=int(named), half=half
        ),
    }
    rows = (held - pull.rows + 1) * height.stride + height.stride
    scratch = 2 * LINE + size * (wide + 1) + shift_bytes + rows * row * wide
    return Rows(numbers, scratch + (MOST_STRIDE + 1) * LINE)

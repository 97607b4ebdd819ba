"""The plan of a forward pass: its table, its scratch, and the functions compiled for its types."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ...arrays import infinity_bits, is_half
from ...geometry import Geometry
from . import merge, plan, reduce, staging
from .choice import Choice, Codes, choose, choose_codes
from .jit import address, cells, compiled
from .plan import Memory, held_as
from .wide import wide_rows

# Numbers of taps for which functions are compiled with that number as a constant.
CONSTANT_TAPS = (2, 3)
# What the rows in work may take: half of a usual first-level cache, for large windows half of a
# usual second-level one.
RING_BYTES, WIDE_BYTES = 24 * 1024, 512 * 1024
# Cells of windows at stride 1 that are made at a time, to pick those of larger strides from.
DENSE_CELLS = 8192
# Bytes of values that bypass the caches at once: pieces of 12 KB took three times as long.
STREAM_PIECE = 4096
# Bytes that are fetched before they are needed: up to 1.25 times faster from memory.
AHEAD = 4096
_INDEX_TYPES = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.int64}


class Plan(NamedTuple):
    """A kernel that is ready to run."""

    kernel: Any
    table: np.ndarray
    scratch: int  # bytes
    rows: int
    grain: int  # rows that a task should have at least


@lru_cache(maxsize=256)
def plan_forward(
    geometry: Geometry,
    dtype: np.dtype[Any],
    index_size: int,
    window: bool,
    *memories: Memory,
) -> Plan:
    """The kernel for a forward pass of a native dtype, and its table."""
    infinity = infinity_bits(dtype) if is_half(dtype) else 0
    item, flat = dtype.itemsize, not window
    choice = choose(geometry, item, infinity > 0, index_size, memories)
    code = choose_codes(geometry, item, flat)
    lanes, groups, wide = choice.lanes, geometry.planes, choice.walk is wide_rows
    if choice.planes:
        groups = -(-geometry.planes // lanes)
        geometry = replace(geometry, channels=lanes)
        memories = tuple(memory._replace(channel=memory.inner) for memory in memories)
    height, width, channels = geometry.height, geometry.width, geometry.channels

    # Rows of the input that are held at least, and the windows of a row for which they fit.
    held = height.kernel if wide else min(height.kernel, -(-height.size // height.dilation))
    code_size = code.dtype.itemsize if index_size else 0
    room = (WIDE_BYTES if wide else RING_BYTES) // (item + code_size)
    tile = max(8 * lanes, room // held) // channels
    if choice.reduce is reduce.reduce_double:
        tile = min(tile, max(DENSE_CELLS // (width.stride * channels), 1))
    # All windows that start in the padding belong to the first tile.
    tile = max(tile, -(-width.pad_low // width.stride), 1)
    tile = -(-width.output // -(-width.output // tile))
    # Windows of few channels are written as whole vectors, one over the end of the other.
    pitch = _up(tile * channels, lanes) + (lanes if choice.reduce is reduce.reduce_pixels else 0)

    dense, dense_stride = tile * channels + lanes, width.stride
    if choice.reduce is reduce.reduce_double:
        dense = ((tile - 1) * width.stride + width.span) * channels
        dense += (width.stride + 4) * lanes  # what is picked is read as whole vectors
        dense_stride = 1
    stage = width.size * channels * item if choice.staged else 0

    # Windows share rows if their starts are congruent modulo the dilation.
    common = math.gcd(height.stride, height.dilation)
    # More phases than rows of windows, of which no two share any, would overflow the table.
    phases = min(height.dilation // common, height.output)
    ring_step, batch = height.stride // common, 1
    line = width.output * channels
    if not wide and ring_step <= height.kernel:
        fitting = RING_BYTES // (pitch * (item + code_size) + stage)
        batch = max(1, min((fitting - held) // ring_step + 1, height.output))
    if choice.streamed:
        whole = phases == 1 and tile == width.output
        whole &= all(memory.row == line for memory in memories[1:])
        batch = max(1, min(batch, STREAM_PIECE // (line * item))) if whole else 1
    slots = held + (batch - 1) * ring_step

    own = {
        plan.ITEM_SIZE: item,
        plan.CODE_SIZE: code_size,
        plan.INDEX_SIZE: index_size,
        plan.INFINITY: infinity,
        plan.ROW_STEP: code.row_step,
        plan.COLUMN_STEP: code.column_step,
        plan.ROW_BITS: code.row_bits,
        plan.TILE: tile,
        plan.SLOTS: slots,
        plan.PITCH: pitch,
        plan.PHASES: phases,
        plan.RING_STEP: ring_step,
        plan.BATCH: batch,
        plan.STAGE_STEP: stage,
        plan.OUTPUT_STEP: 0,
        plan.INDICES_STEP: 0,
        plan.LINE_INDEX_SIZE: 0,
        plan.GROUP: lanes if choice.planes else 1,
        plan.LAST_PLANE: geometry.planes - (lanes if choice.planes else 1),
        plan.DENSE_STRIDE: dense_stride,
        plan.DENSE_CELLS: dense,
        plan.AHEAD: 0,
    }
    if choice.direct and not choice.streamed:
        own[plan.OUTPUT_STEP] = phases * memories[1].row * item
        own[plan.INDICES_STEP] = phases * memories[-1].row * index_size
    if index_size:
        own[plan.LINE_INDEX_SIZE] = _line_index(choice, code, index_size, flat).itemsize
    if not choice.staged:
        read = tile * width.stride * channels * item
        own[plan.AHEAD] = -(-AHEAD // read) * memories[0].row
    own |= _functions(geometry, choice, code, dtype, infinity > 0, index_size, flat)
    scratch = 0
    for name, size in (
        (plan.RING, slots * pitch * item),
        (plan.CODES, slots * pitch * code_size),
        (plan.PREFIX, pitch * item),
        (plan.PREFIX_CODES, pitch * code_size),
        (plan.FIRSTS, 2 * dense * code_size),
        (plan.COLUMNS, 8 * pitch),
        (plan.STAGE, slots * stage + lanes * lanes * item),
        (plan.DENSE, dense * item),
        (plan.DENSE_CODES, dense * code_size),
        (plan.LINE, (batch * pitch + lanes * lanes) * item),
        (plan.LINE_INDICES, (batch * pitch + lanes * lanes) * max(index_size, code_size, 4)),
    ):
        own[name] = scratch
        scratch += _up(size, 64)
    numbers = tuple(own[name] for name in range(plan.OWN, plan.OWN + len(own)))
    table = plan.make_table(geometry, window, (*memories, memories[-1])[:3], numbers)
    grain = 4 * height.kernel if wide else 1
    # The scratch is aligned in the kernel.
    return Plan(compiled(choice.walk), table, scratch + 64, groups * height.output, grain)


def _line_index(choice: Choice, code: Codes, index_size: int, flat: bool) -> np.dtype[Any]:
    """The type of indices in a line of the scratch."""
    if choice.planes:  # as narrow as can be, to be transposed
        return np.dtype(np.int32) if flat and code.dtype.itemsize < 4 else code.dtype
    return np.dtype(_INDEX_TYPES[index_size])


def _functions(
    geometry: Geometry,
    choice: Choice,
    code: Codes,
    dtype: np.dtype[Any],
    half: bool,
    index_size: int,
    flat: bool,
) -> dict[int, int]:
    """The addresses of the functions for one row that are needed, compiled for these types."""
    height, width, lanes, planes = geometry.height, geometry.width, choice.lanes, choice.planes
    # Of bools the kind of cells must be told: their bytes are compared in another way.
    values = cells(dtype if dtype.kind == "b" else held_as(dtype), lanes)
    codes, indices, line_indices = None, None, None
    if index_size:
        codes, indices = cells(code.dtype, lanes), cells(_INDEX_TYPES[index_size], lanes)
        line_indices = cells(_line_index(choice, code, index_size, flat), lanes)
    found = dict.fromkeys(plan.FUNCTIONS, 0)
    constant = width.kernel if width.kernel in CONSTANT_TAPS else 0
    strided = choice.reduce in (reduce.reduce_windows, reduce.reduce_double)
    stride = width.stride if strided else 0
    found[plan.REDUCE] = address(
        choice.reduce, source=values, ring=values, codes=codes, taps=constant, stride=stride
    )
    found[plan.FILL_TABLES] = address(reduce.fill_tables, codes=codes)
    written = {"output": values, "places": line_indices, "flat": int(flat), "half": int(half)}
    if choice.walk is wide_rows:
        pair = {"values": values, "later_values": values, "codes": codes, "later_codes": codes}
        found[plan.COMBINE] = address(merge.combine_rows, **pair)
        found[plan.COPY_ROW] = address(merge.copy_row, **pair)
        found[plan.EMIT] = address(merge.emit_row, **pair, **written)
    else:
        written |= {"ring": values, "codes": codes}
        constant = height.kernel if height.kernel in CONSTANT_TAPS else 0
        found[plan.MERGE_ALL] = address(merge.merge_rows, **written, taps=constant)
        if int(height.tap_counts.min()) < height.kernel:
            found[plan.MERGE] = address(merge.merge_rows, **written, taps=0)
    if choice.staged:
        stage = staging.stage_planes if planes else staging.stage_rows
        found[plan.STAGE_ROWS] = address(stage, x=values, stage=values)
    if choice.streamed:
        found[plan.STREAM_ROW] = address(staging.stream_row, line=cells("u1"), target=cells("u1"))
    if not choice.direct:
        spread = staging.spread_planes if planes else staging.spread_rows
        found[plan.SPREAD_VALUES] = address(spread, line=values, target=values)
        if index_size:
            found[plan.SPREAD_INDICES] = address(spread, line=line_indices, target=indices)
    if half:
        found[plan.MEND_ROW] = address(staging.mend_row, x=values, output=values)
    return found


def _up(size: int, unit: int) -> int:
    """The next multiple of `unit`."""
    return -(-size // unit) * unit

"""The plan of a forward pass: its table, its scratch, and the functions compiled for its types."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...rules.arrays import infinity_bits, is_half
from ...rules.call import Call
from . import table
from .blocks import (
    FAR,
    NEAR,
    block_numbers,
    block_of,
    planes_together,
    summed,
    written_past,
    zeros_beside,
)
from .choice import Choice, Codes, choose, choose_codes
from .compile.jit import address, cells
from .compile.launch import SPREAD, Launch
from .division import one_divisor
from .kernels import merge, reduce, staging
from .kernels.block_rows import fill_names, fill_zeros, pool_rows
from .kernels.direct import direct_rows
from .kernels.ring import ring_rows
from .kernels.wide import wide_rows
from .memory import Memory, held_as
from .scratch import placed, rounded_up
from .table import FORWARD, make_table, three_axes
from .vectors.halves import mantissa
from .vectors.types import Cells, Order, pack
from .vectors.windows import CODES

# What the rows in work may take: half of a usual first-level cache, for large windows half of a
# usual second-level one.
RING_BYTES, WIDE_BYTES = 24 * 1024, 512 * 1024
# Cells of windows at stride 1 that are made at a time, to pick those of larger strides from.
DENSE_CELLS = 8192
# Bytes that are fetched before they are needed: up to 1.25 times faster from memory.
AHEAD = 4096
_INDEX_TYPES = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.int64}


class ForwardSetup:
    """What is decided before anything is compiled.

    Parameters
    ----------
    call : Call
        A forward pass.
    memories : sequence of Memory
        Those of the input, the output, and the indices if there are any.
    """

    def __init__(self, call: Call, memories: Sequence[Memory]) -> None:
        geometry = call.geometry
        self.half, self.flat = is_half(call.dtype), not call.window
        self.dtype = held_as(call.dtype)
        self.order = Order(call.operation.sign, call.dtype.kind == "b")
        self.infinity = infinity_bits(call.dtype) if self.half else 0
        self.index_size = 0 if call.index_dtype is None else call.index_dtype.itemsize
        item = self.dtype.itemsize
        self.choice = choose(call.operation, geometry, item, self.half, tuple(memories))
        self.work = max(math.prod(geometry.input_shape), math.prod(geometry.output_shape))
        self.end = memories[0].end(geometry)
        self.planes = groups = geometry.planes
        if self.choice.planes:
            groups = -(-geometry.planes // self.choice.lanes)
            geometry = replace(geometry, channels=self.choice.lanes)
            memories = [memory._replace(channel=memory.inner) for memory in memories]
        self.geometry, self.memories = geometry, tuple(memories)
        self.code = choose_codes(geometry, item, self.flat)
        self.block = block_of(
            geometry, item, self.choice.lanes, self.flat, mantissa(call.dtype), self.index_size > 0,
            self.choice.loose,
        )  # fmt: skip
        self.divisor = 0.0
        if call.division is not None:
            divisor = one_divisor(call)
            assert divisor is not None
            half = mantissa(call.dtype)
            self.block, self.divisor = summed(self.block, self.dtype, half, divisor)
        depth, height, _ = three_axes(geometry)
        rows, self.together = 1, 1
        if self.choice.walk is direct_rows:
            rows = self.block.rows
            even = all(memory.split >= self.planes for memory in self.memories)
            if even and self.choice.direct and not self.choice.staged:
                self.together = planes_together(geometry, self.block, item, self.choice.loose)
        sets = -(-groups // self.together)
        self.rows = sets * depth.output * -(-height.output // rows)

    @property
    def reason(self) -> str:
        """Which kernel and why, for the log."""
        return f"backend numba, {self.choice.walk.__name__}: {'; '.join(self.choice.reasons)}"

    def launch(self) -> Launch:
        """The kernel and its table: everything is compiled, or loaded."""
        # The scratch is aligned in the kernel.
        memories = (*self.memories, self.memories[-1])[:3]
        if self.choice.walk is direct_rows:
            (numbers, scratch), grain = _blocks(self), 1
        else:
            numbers, scratch, grain = _numbers(self)
        walk = address(self.choice.walk)
        numbers |= _functions(self)
        return Launch(
            walk,
            make_table(self.geometry, not self.flat, memories, FORWARD, numbers),
            scratch + 64,
            self.rows,
            self.work,
            SPREAD,
            grain,
        )


def _numbers(setup: ForwardSetup) -> tuple[dict[int, int], int, int]:
    """The kernel's part of the table but for functions, bytes of scratch, and rows of a task."""
    geometry, choice, code, memories = setup.geometry, setup.choice, setup.code, setup.memories
    _, height, width = three_axes(geometry)
    channels, item, lanes = geometry.channels, setup.dtype.itemsize, choice.lanes
    index_size = setup.index_size
    ring, wide = choice.walk is ring_rows, choice.walk is wide_rows

    # Rows of the input that are held at least, and the windows of a row for which they fit.
    held = 1
    if wide:
        held = height.kernel
    elif ring:
        held = min(height.kernel, -(-height.size // height.dilation))
    code_size = code.dtype.itemsize if index_size else 0
    room = (WIDE_BYTES if wide else RING_BYTES) // (item + code_size)
    stretch = max(8 * lanes, room // held) // channels
    if choice.reduce is reduce.reduce_double:
        stretch = min(stretch, max(DENSE_CELLS // (width.stride * channels), 1))
    # All windows that start in the padding belong to the first stretch.
    stretch = max(stretch, -(-width.pad_low // width.stride), 1)
    stretch = -(-width.output // -(-width.output // stretch))
    # Windows of few channels are written as whole vectors, one over the end of the other.
    pitch = rounded_up(stretch * channels, lanes) + (
        lanes if choice.reduce is reduce.reduce_pixels else 0
    )

    dense, dense_stride = stretch * channels + lanes, width.stride
    if choice.reduce is reduce.reduce_double:
        dense = ((stretch - 1) * width.stride + width.span) * channels
        dense += (width.stride + 4) * lanes  # what is picked is read as whole vectors
        dense_stride = 1
    stage = width.size * channels * item if choice.staged else 0

    # Windows share rows if their starts are congruent modulo the dilation.
    common = math.gcd(height.stride, height.dilation)
    # More phases than rows of windows, of which no two share any, would overflow the table.
    phases = min(height.dilation // common, height.output) if ring or wide else 1
    ring_step, batch = height.stride // common, 1
    if ring and ring_step <= height.kernel:
        fitting = RING_BYTES // (pitch * (item + code_size) + stage)
        batch = max(1, min((fitting - held) // ring_step + 1, height.output))
    slots = held + (batch - 1) * ring_step

    own = {
        table.ITEM_SIZE: item,
        table.CODE_SIZE: code_size,
        table.INDEX_SIZE: index_size,
        table.INFINITY: setup.infinity,
        table.SLICE_STEP: code.slice_step,
        table.ROW_STEP: code.row_step,
        table.COLUMN_STEP: code.column_step,
        table.ROW_BITS: code.row_bits,
        table.STRETCH: stretch,
        table.SLOTS: slots,
        table.PITCH: pitch,
        table.PHASES: phases,
        table.RING_STEP: ring_step,
        table.BATCH: batch,
        table.STAGE_STEP: stage,
        table.OUTPUT_STEP: 0,
        table.INDICES_STEP: 0,
        table.LINE_INDEX_SIZE: 0,
        table.GROUP: lanes if choice.planes else 1,
        table.LAST_PLANE: setup.planes - (lanes if choice.planes else 1),
        table.DENSE_STRIDE: dense_stride,
        table.DENSE_CELLS: dense,
        table.AHEAD: 0,
        **dict.fromkeys(table.OF_BLOCKS, 0),
    }
    if choice.direct:
        own[table.OUTPUT_STEP] = phases * memories[1].row * item
        own[table.INDICES_STEP] = phases * memories[-1].row * index_size
    if index_size:
        own[table.LINE_INDEX_SIZE] = _line_index(setup).itemsize
    if not choice.staged:
        read = stretch * width.stride * channels * item
        own[table.AHEAD] = -(-AHEAD // read) * memories[0].row
    scratch = placed(
        own,
        {
            table.RING: slots * pitch * item,
            table.CODES: slots * pitch * code_size,
            table.PREFIX: pitch * item,
            table.PREFIX_CODES: pitch * code_size,
            table.FIRSTS: 2 * dense * code_size,
            table.COLUMNS: 8 * pitch,
            table.STAGE: slots * stage + lanes * lanes * item,
            table.DENSE: dense * item,
            table.DENSE_CODES: dense * code_size,
            table.LINE: (batch * pitch + lanes * lanes) * item,
            table.LINE_INDICES: (batch * pitch + lanes * lanes) * max(index_size, code_size, 4),
            table.NUMBERS: 0,
        },
    )
    return own, scratch, 4 * height.kernel if wide else 1


def _blocks(setup: ForwardSetup) -> tuple[dict[int, int], int]:
    """The table's part of blocks, and bytes of scratch."""
    geometry, choice, block, item = setup.geometry, setup.choice, setup.block, setup.dtype.itemsize
    depth, _, width = three_axes(geometry)
    lanes, channels = choice.lanes, geometry.channels
    names = block_numbers(geometry, block, lanes)
    codes = (names[table.ZONE] + lanes) * block.code_size
    if block.divided:
        names[table.ZONE] = zeros_beside(geometry, names, lanes)
        names[table.DIVISOR] = int(np.float64(setup.divisor).view(np.int64))
        codes = 2 * names[table.ZONE] * item
    stage, line = width.size * channels * item, width.output * channels
    own = dict.fromkeys(FORWARD.places, 0) | names
    own |= {
        table.ITEM_SIZE: item,
        table.INDEX_SIZE: setup.index_size,
        table.PHASES: 1,
        table.GROUP: lanes if choice.planes else setup.together,
        table.LAST_PLANE: setup.planes - (lanes if choice.planes else 1),
        table.TOGETHER: setup.together,
        table.LONGEST: 1 if choice.staged or not choice.direct else geometry.plane_cells,
        table.STAGE_STEP: stage,
        table.LINE_INDEX_SIZE: _line_index(setup).itemsize if setup.index_size else 0,
    }
    memory, taken = setup.memories[0], depth.kernel * block.height * stage
    in_order = not choice.staged and memory.row == width.size * channels
    if setup.together > 1:
        in_order = in_order and memory.inner == geometry.plane_cells * channels
    if in_order and setup.work * item > FAR and taken <= NEAR:
        own[table.TOUCHED] = 1
    sizes = (item, setup.index_size) if setup.index_size else (item,)
    if choice.direct:
        targets = tuple(zip(setup.memories[1:], sizes, strict=True))
        own[table.WRITTEN_PAST] = int(written_past(geometry, block, targets))
    if choice.loose:
        own[table.END] = setup.end
        own[table.BLOCK_REACH] = (width.output - 1) * width.stride + width.kernel
    rows = depth.kernel * block.height if choice.staged else 0
    lines = 0 if choice.direct else block.rows * line + lanes * lanes
    columns = line if channels > 1 and block.flat else 0
    scratch = placed(
        own,
        {
            table.FIRSTS: codes,
            table.COLUMNS: 4 * (columns + lanes),
            table.STAGE: rows * stage + lanes * lanes * item,
            table.LINE: lines * item,
            table.LINE_INDICES: lines * max(setup.index_size, 4),
            table.NUMBERS: 8 * table.RUN_NUMBERS,
        },
    )
    if block.divided:
        own[table.FIRSTS] += codes // 2
    return own, scratch


def _line_index(setup: ForwardSetup) -> np.dtype[Any]:
    """The type of indices in a line of the scratch."""
    if setup.choice.planes:  # as narrow as can be, to be transposed
        if setup.choice.walk is direct_rows:
            return np.dtype(np.int32) if setup.flat else np.dtype(f"u{setup.block.code_size}")
        code: Codes = setup.code
        return np.dtype(np.int32) if setup.flat and code.dtype.itemsize < 4 else code.dtype
    return np.dtype(_INDEX_TYPES[setup.index_size])


def _functions(setup: ForwardSetup) -> dict[int, int]:
    """The addresses of the functions for one row that are needed, compiled for these types."""
    choice: Choice = setup.choice
    lanes, planes = choice.lanes, choice.planes
    values, codes, indices, line_indices = cells(setup.dtype, lanes, setup.order), None, None, None
    if setup.index_size:
        codes = cells(setup.code.dtype, lanes)
        indices = cells(_INDEX_TYPES[setup.index_size], lanes)
        line_indices = cells(_line_index(setup), lanes)
    found = dict.fromkeys(table.FUNCTIONS, 0)
    if choice.walk is direct_rows:
        found |= _block_functions(setup, values, line_indices)
    else:
        found |= _row_functions(setup, values, codes, line_indices)
    if choice.staged:
        stage = staging.stage_planes if planes else staging.stage_lines
        found[table.STAGE_ROWS] = address(stage, x=values, stage=values)
    if not choice.direct:
        spread = staging.spread_planes if planes else staging.spread_lines
        found[table.SPREAD_VALUES] = address(spread, line=values, target=values)
        if setup.index_size:
            found[table.SPREAD_INDICES] = address(spread, line=line_indices, target=indices)
    if setup.half and choice.walk is not direct_rows:
        found[table.MEND_ROW] = address(staging.mend_keys, x=values, output=values)
    return found


def _block_functions(setup: ForwardSetup, values: Any, indices: Any) -> dict[int, int]:
    """Those of the walk in blocks."""
    block = setup.block
    kinds = {"x": values, "output": values, "places": indices}
    found = {table.POOL_ROWS: address(pool_rows, **kinds, block=pack(block))}
    if block.code_size:
        codes = Cells(CODES[block.code_size], setup.choice.lanes)
        found[table.FILL_TABLES] = address(fill_names, codes=codes)
    elif block.divided:
        found[table.FILL_TABLES] = address(fill_zeros, codes=values)
    return found


def _row_functions(setup: ForwardSetup, values: Any, codes: Any, indices: Any) -> dict[int, int]:
    """Those of the walks that reduce and join one row after the other."""
    choice, found = setup.choice, {}
    strided = choice.reduce in (reduce.reduce_windows, reduce.reduce_double)
    stride = three_axes(setup.geometry)[2].stride if strided else 0
    found[table.REDUCE] = address(
        choice.reduce, source=values, ring=values, codes=codes, stride=stride
    )
    found[table.FILL_TABLES] = address(reduce.fill_tables, codes=codes)
    written: dict[str, Any] = {"output": values, "places": indices}
    written |= {"flat": int(setup.flat), "half": int(setup.half)}
    if choice.walk is ring_rows:
        written |= {"ring": values, "codes": codes}
        found[table.MERGE] = address(merge.merge_ring, **written)
        return found
    pair = {"values": values, "later_values": values, "codes": codes, "later_codes": codes}
    found[table.COMBINE] = address(merge.combine_rows, **pair)
    found[table.COPY_ROW] = address(merge.copy_row, **pair)
    found[table.EMIT] = address(merge.emit_rows, **pair, **written)
    return found

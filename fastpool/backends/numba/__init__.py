"""The Numba backend: the same three functions as the NumPy backend, compiled and parallel.

Arrays are canonical here: (leading axes, height, width, channels). Kernels read and write them
where they are, whatever their strides; `memory_of` tells the few cases where they cannot, and
only those are copied, whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np

from ...arrays import infinity_bits, is_half, native
from ...geometry import Geometry
from . import merge, plan, reduce, staging
from .choice import choose, choose_codes
from .gather import PAST_BYTES, gather_rows, gathers
from .indices import LANES
from .jit import address, cells, compiled, run
from .plan import Memory, memory_of
from .scatter import scatter_any, scatter_streams, split_streams, takes_streams
from .wide import wide_rows

# Cells that a backward pass of 16-bit floats holds in float32 at a time.
BLOCK = 2**22
# Numbers of taps for which functions are compiled with that number as a constant.
CONSTANT_TAPS = (2, 3)
# Ranges of rows a thread: enough to even out threads of different speed.
SPREAD = 4
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
_NO_INDICES = np.empty((1, 1, 1, 1), np.int64)


class Plan(NamedTuple):
    """A kernel that is ready to run."""

    kernel: Any
    table: np.ndarray
    scratch: int  # bytes
    rows: int
    grain: int  # rows that a task should have at least


def forward(
    geometry: Geometry,
    x: np.ndarray,
    output: np.ndarray,
    indices: np.ndarray | None,
    window: bool,
) -> None:
    """Fill `output`, and `indices` unless None, in window or flat format."""
    source, *memories = _readable(x)
    values, memory = _writeable(output)
    memories.append(memory)
    places, index_size = _NO_INDICES, 0
    if indices is not None:
        places, memory = _writeable(indices)
        memories.append(memory)
        index_size = places.itemsize
    infinity = infinity_bits(x.dtype) if is_half(x.dtype) else 0
    ready = _plan_forward(geometry, source.dtype, infinity, index_size, window, *memories)
    work = max(x.size, output.size)
    arrays = source, values, places
    run(ready.kernel, *arrays, ready.table, ready.scratch, ready.rows, work, SPREAD, ready.grain)
    _finish(output, values)
    if indices is not None:
        _finish(indices, places)


def prepared(
    geometry: Geometry, dtype: np.dtype[Any], index_dtype: np.dtype[Any] | None, window: bool
) -> Callable[[np.ndarray, np.ndarray, np.ndarray | None], None]:
    """`forward` for contiguous arrays of this geometry and these dtypes: 1.5 us instead of 6."""
    half, index_size = is_half(dtype), 0 if index_dtype is None else index_dtype.itemsize
    inputs = Memory.in_order(geometry, geometry.height.size, geometry.width.size)
    outputs = Memory.in_order(geometry, geometry.height.output, geometry.width.output)
    memories = (inputs, outputs) if index_dtype is None else (inputs, outputs, outputs)
    held = np.dtype(np.int16) if half else np.dtype(np.uint8) if dtype == np.bool_ else dtype
    infinity = infinity_bits(dtype) if half else 0
    kernel, table, scratch, rows, grain = _plan_forward(
        geometry, held, infinity, index_size, window, *memories
    )
    work = geometry.planes * geometry.plane_cells

    def forward(x: np.ndarray, output: np.ndarray, indices: np.ndarray | None) -> None:
        places = _NO_INDICES if indices is None else indices
        run(kernel, x, output, places, table, scratch, rows, work, SPREAD, grain)

    return forward


@lru_cache(maxsize=256)
def _plan_forward(
    geometry: Geometry,
    dtype: np.dtype[Any],
    infinity: int,
    index_size: int,
    window: bool,
    *memories: Memory,
) -> Plan:
    """The kernel for a forward pass, and its table."""
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
    phases, ring_step, batch = height.dilation // common, height.stride // common, 1
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


def _line_index(choice: Any, code: Any, index_size: int, flat: bool) -> np.dtype[Any]:
    """The type of indices in a line of the scratch."""
    if choice.planes:  # as narrow as can be, to be transposed
        return np.dtype(np.int32) if flat and code.dtype.itemsize < 4 else code.dtype
    return np.dtype(_INDEX_TYPES[index_size])


def _functions(
    geometry: Geometry,
    choice: Any,
    code: Any,
    dtype: np.dtype[Any],
    half: bool,
    index_size: int,
    flat: bool,
) -> dict[int, int]:
    """The addresses of the functions for one row that are needed, compiled for these types."""
    height, width, lanes, planes = geometry.height, geometry.width, choice.lanes, choice.planes
    values, codes, indices, line_indices = cells(dtype, lanes), None, None, None
    if index_size:
        codes, indices = cells(code.dtype, lanes), cells(_INDEX_TYPES[index_size], lanes)
        line_indices = cells(_line_index(choice, code, index_size, flat), lanes)
    found = dict.fromkeys(plan.FUNCTIONS, 0)
    constant = width.kernel if width.kernel in CONSTANT_TAPS else 0
    strided = choice.reduce in (reduce.reduce_strided, reduce.reduce_double)
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


def backward(
    geometry: Geometry,
    grad_output: np.ndarray,
    indices: np.ndarray,
    grad_input: np.ndarray,
    window: bool,
) -> int | None:
    """Add every gradient to its cell; the C-order position of the first bad index, or None."""
    if not _is_summed_in_float32(grad_input.dtype):
        return _scatter(geometry, grad_output, indices, grad_input, window, True, True)
    # Numba has no 16-bit floats; a block of planes at a time is added up in float32. So is a
    # block of bools, whose sum is their disjunction.
    for first, planes in geometry.plane_blocks(BLOCK):
        count = len(planes[0])
        sums = np.empty((count, *grad_input.shape[-3:]), np.float32)
        block = replace(geometry, lead=(count,))
        values = grad_output[planes].astype(np.float32)
        offender = _scatter(block, values, indices[planes], sums, window, True, True)
        if offender is not None:
            return offender + first * (indices.size // geometry.planes)
        with np.errstate(over="ignore"):
            grad_input[planes] = sums.astype(grad_input.dtype)
    return None


def unpool(
    geometry: Geometry,
    x: np.ndarray,
    indices: np.ndarray,
    output: np.ndarray,
    window: bool,
) -> int | None:
    """Put every value at its index; the C-order position of the first bad index, or None."""
    bits = np.dtype(f"u{output.itemsize}")  # values are moved: four kernels serve all dtypes
    x, output = native(x).view(bits), output.view(bits)
    return _scatter(geometry, x, indices, output, window, window, False)


def _is_summed_in_float32(dtype: np.dtype[Any]) -> bool:
    return is_half(dtype) or dtype.kind == "b"


def _scatter(
    geometry: Geometry,
    values: np.ndarray,
    indices: np.ndarray,
    target: np.ndarray,
    window: bool,
    tied: bool,
    add: bool,
) -> int | None:
    """Run a kernel; `tied` indices can reach no further than their window."""
    x, x_memory = _readable(values)
    places, places_memory = _readable(indices)
    output, output_memory = _writeable(target)
    memories = output_memory, x_memory, places_memory
    key = geometry, window, tied, add, memories, x.dtype, places.dtype, numba.get_num_threads()
    for exact in (False, True):  # the fastest kernel, then the one that finds the first bad index
        kernel, table, scratch, rows, spread = _scatter_call(*key, exact)
        offender = run(kernel, x, output, places, table, scratch, rows, target.size, spread)
        if offender < 0:
            break
    else:
        return offender
    if output is not target:
        target[...] = output
    return None


@lru_cache(maxsize=256)
def _scatter_call(
    geometry: Geometry,
    window: bool,
    tied: bool,
    add: bool,
    memories: tuple[Memory, ...],
    dtype: np.dtype[Any],
    index_dtype: np.dtype[Any],
    threads: int,
    exact: bool,
) -> tuple[Any, np.ndarray, int, int, int]:
    """The fastest kernel, its table, bytes of scratch, rows, and ranges of them a thread."""
    rows, scratch, spread = geometry.planes * geometry.height.size, 0, SPREAD
    own: tuple[int, ...] = int(tied), int(add)
    function: Callable[..., Any] = scatter_any
    if not tied:
        spread = 1  # an index can name any cell: every band of a plane walks through all of them
    elif exact or (geometry.overlapping and not add):
        pass
    elif gathers(geometry, memories):
        function, rows = gather_rows, geometry.planes * geometry.height.output
        own = (int(math.prod(geometry.input_shape) * dtype.itemsize >= PAST_BYTES),)
    elif takes_streams(geometry, memories[0]):
        function = scatter_streams
        own, scratch, rows, turns = split_streams(geometry, memories, dtype.itemsize, threads)
        spread = max(1, min(SPREAD, rows // (turns * threads)))
    kernel = _kernel(function, dtype, index_dtype)
    table = plan.make_table(geometry, window, memories, own)
    return kernel, table, scratch, rows, spread


@cache
def _kernel(function: Callable[..., Any], dtype: np.dtype[Any], index_dtype: np.dtype[Any]) -> Any:
    x = cells(dtype, LANES)
    return compiled(function, x=x, output=x, indices=cells(index_dtype, LANES))


def _up(size: int, unit: int) -> int:
    """The next multiple of `unit`."""
    return -(-size // unit) * unit


def _bits(array: np.ndarray) -> np.ndarray:
    """16-bit floats and booleans as integers, which is how kernels hold them."""
    if is_half(array.dtype):
        return array.view(np.int16)
    return array.view(np.uint8) if array.dtype == np.bool_ else array


def _readable(array: np.ndarray) -> tuple[np.ndarray, Memory]:
    """An input and its memory, or those of a copy where that cannot be said."""
    array = _bits(native(array))
    memory = memory_of(array)
    if memory is None:
        return _readable(array.copy())
    return array, memory


def _writeable(array: np.ndarray) -> tuple[np.ndarray, Memory]:
    """An output and its memory, or those of a new one where that cannot be said."""
    bits = _bits(array)
    memory = memory_of(bits)
    if memory is None:
        return _writeable(np.empty(array.shape, array.dtype))
    return bits, memory


def _finish(array: np.ndarray, computed: np.ndarray) -> None:
    """Copy the result to where it belongs if it was computed elsewhere."""
    if computed is not array and not np.may_share_memory(array, computed):
        array[...] = computed.view(array.dtype)

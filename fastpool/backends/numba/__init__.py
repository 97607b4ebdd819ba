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
from typing import Any

import numba
import numpy as np

from ...arrays import is_half, native
from ...geometry import Geometry
from .disk import nothing_compiled as nothing_compiled
from .gather import PAST_BYTES, gather_rows, gathers
from .indices import LANES
from .jit import cells, compiled, run, thread_count
from .jit import compiled_functions as compiled_functions
from .jit import prepare_drivers as prepare_drivers
from .plan import Memory, held_as, make_table, memory_of
from .planning import Plan, plan_forward
from .scatter import scatter_any, scatter_streams, split_streams, takes_streams

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
    raise ImportError("NUMBA_DISABLE_JIT is set, and vectors exist in compiled code alone")

# Cells that a backward pass of 16-bit floats holds in float32 at a time.
BLOCK = 2**22
# Ranges of rows a thread: enough to even out threads of different speed.
SPREAD = 4

_NO_INDICES = np.empty((1, 1, 1, 1), np.int64)


def forward(
    geometry: Geometry,
    x: np.ndarray,
    output: np.ndarray,
    indices: np.ndarray | None,
    window: bool,
) -> None:
    """Fill `output`, and `indices` unless None, in window or flat format."""
    x = native(x)
    source, *memories = _readable(x)
    values, memory = _writeable(output)
    memories.append(memory)
    places, index_size = _NO_INDICES, 0
    if indices is not None:
        places, memory = _writeable(indices)
        memories.append(memory)
        index_size = places.itemsize
    ready = plan_forward(geometry, x.dtype, index_size, window, *memories)
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
    inputs, outputs = _memories(geometry)
    memories = (inputs, outputs) if index_dtype is None else (inputs, outputs, outputs)
    index_size = 0 if index_dtype is None else index_dtype.itemsize
    kernel, table, scratch, rows, grain = plan_forward(
        geometry, dtype, index_size, window, *memories
    )
    work = geometry.planes * geometry.plane_cells

    def forward(x: np.ndarray, output: np.ndarray, indices: np.ndarray | None) -> None:
        places = _NO_INDICES if indices is None else indices
        run(kernel, x, output, places, table, scratch, rows, work, SPREAD, grain)

    return forward


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
    # A cast may meet a signalling NaN or too large a sum: no error, whatever the caller's errstate.
    with np.errstate(all="ignore"):
        for first, planes in geometry.plane_blocks(BLOCK):
            count = len(planes[0])
            sums = np.empty((count, *grad_input.shape[-3:]), np.float32)
            block = replace(geometry, lead=(count,))
            values = grad_output[planes].astype(np.float32)
            offender = _scatter(block, values, indices[planes], sums, window, True, True)
            if offender is not None:
                return offender + first * (indices.size // geometry.planes)
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


def plan_in_place(
    function: str,
    geometry: Geometry,
    window: bool,
    source: np.ndarray,
    output: np.ndarray,
    places: np.ndarray | None,
) -> Plan | None:
    """How one thread runs a public function on native arrays where they lie; None if it cannot.

    The kernel's result is 0 or more if some index is bad, which need not be the first one.
    """
    arrays = [geometry.canonical(array) for array in (source, output, places) if array is not None]
    lying = [memory_of(_bits(array)) for array in arrays]
    memories = tuple(memory for memory in lying if memory is not None)
    if len(memories) < len(arrays):
        return None
    if function == "maxpool2d":
        index_size = 0 if places is None else places.itemsize
        return plan_forward(geometry, source.dtype, index_size, window, *memories)
    add = function == "maxpool2d_backward"
    if add and _is_summed_in_float32(source.dtype):
        return None
    dtype = source.dtype if add else np.dtype(f"u{source.itemsize}")
    memories = memories[1], memories[0], memories[2]
    tied, kinds = add or window, (dtype, arrays[2].dtype)
    kernel, table, scratch, rows, _ = _scatter_call(
        geometry, window, tied, add, memories, *kinds, 1, False
    )
    return Plan(kernel, table, scratch, rows, 1)


def prepare_backward(
    geometry: Geometry, dtype: np.dtype[Any], index_dtype: np.dtype[Any], window: bool
) -> None:
    """Compile what `backward` needs for contiguous arrays."""
    if _is_summed_in_float32(dtype):
        _, planes = next(geometry.plane_blocks(BLOCK))
        geometry, dtype = replace(geometry, lead=(len(planes[0]),)), np.dtype(np.float32)
    _prepare_scatter(geometry, dtype, index_dtype, window, True, True)


def prepare_unpool(
    geometry: Geometry, dtype: np.dtype[Any], index_dtype: np.dtype[Any], window: bool
) -> None:
    """Compile what `unpool` needs for contiguous arrays."""
    bits = np.dtype(f"u{dtype.itemsize}")
    _prepare_scatter(geometry, bits, index_dtype, window, window, False)


def _prepare_scatter(
    geometry: Geometry,
    dtype: np.dtype[Any],
    index_dtype: np.dtype[Any],
    window: bool,
    tied: bool,
    add: bool,
) -> None:
    inputs, outputs = _memories(geometry)
    threads = thread_count(math.prod(geometry.input_shape))
    for exact in (False, True):
        memories = inputs, outputs, outputs
        _scatter_call(geometry, window, tied, add, memories, dtype, index_dtype, threads, exact)


def _memories(geometry: Geometry) -> tuple[Memory, Memory]:
    """Those of contiguous arrays, input and output."""
    height, width, rest = geometry.height, geometry.width, (geometry.planes, geometry.channels)
    return (
        Memory.in_order(rest[0], height.size, width.size, rest[1]),
        Memory.in_order(rest[0], height.output, width.output, rest[1]),
    )


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
    key = geometry, window, tied, add, memories, x.dtype, places.dtype, thread_count(target.size)
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
    elif exact or not (add or _plain(geometry)):
        pass
    elif gathers(geometry, memories):
        function, rows = gather_rows, geometry.planes * geometry.height.output
        own = (int(math.prod(geometry.input_shape) * dtype.itemsize >= PAST_BYTES),)
    elif takes_streams(geometry, memories[0]):
        function = scatter_streams
        own, scratch, rows, turns = split_streams(geometry, memories, dtype.itemsize, threads)
        spread = max(1, min(SPREAD, rows // (turns * threads)))
    kernel = _kernel(function, dtype, index_dtype)
    table = make_table(geometry, window, memories, own)
    return kernel, table, scratch, rows, spread


def _plain(geometry: Geometry) -> bool:
    """Whether each cell lies in one window at most, and each window holds a cell."""
    axes = geometry.height, geometry.width
    return not geometry.overlapping and all(axis.empty_window is None for axis in axes)


@cache
def _kernel(function: Callable[..., Any], dtype: np.dtype[Any], index_dtype: np.dtype[Any]) -> Any:
    x = cells(dtype, LANES)
    return compiled(function, x=x, output=x, indices=cells(index_dtype, LANES))


def _bits(array: np.ndarray) -> np.ndarray:
    """An array as kernels hold it."""
    held = held_as(array.dtype)
    return array if held == array.dtype else array.view(held)


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

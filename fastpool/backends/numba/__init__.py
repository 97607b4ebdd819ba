"""The Numba backend: the same three functions as the NumPy backend, compiled and parallel.

Arrays are canonical here: (leading axes, height, width, channels). Kernels read and write them
where they are, whatever their strides; `line_up` tells the few cases where they cannot, and
only those are copied, whole.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...arrays import infinity_bits, is_half, native
from ...geometry import Geometry
from .forward import forward_parallel, forward_rows
from .jit import run
from .plan import line_up, make_plan
from .scatter import scatter_parallel, scatter_rows

# Cells that a backward pass of 16-bit floats holds in float32 at a time.
BLOCK = 2**22
# Ranges of rows a thread: enough to even out threads of different speed.
SPREAD = 4

_NO_INDICES = np.empty((0, 1, 1, 1), np.int64)


def forward(
    geometry: Geometry,
    x: np.ndarray,
    output: np.ndarray,
    indices: np.ndarray | None,
    window: bool,
) -> None:
    """Fill `output`, and `indices` unless None, in window or flat format."""
    infinity = np.uint16(infinity_bits(x.dtype)) if is_half(x.dtype) else None
    cells, cells_memory = _readable(x)
    values, values_memory, values_owner = _writeable(output)
    places, places_memory, places_owner = _writeable(_NO_INDICES if indices is None else indices)
    plan = make_plan(geometry, cells_memory, values_memory, places_memory)
    run(
        forward_rows,
        forward_parallel,
        (cells, values, places, plan, geometry.channels, window, infinity),
        geometry.planes * geometry.height.output,
        max(x.size, output.size),
        SPREAD,
    )
    _finish(output, values_owner)
    if indices is not None:
        _finish(indices, places_owner)


def backward(
    geometry: Geometry,
    grad_output: np.ndarray,
    indices: np.ndarray,
    grad_input: np.ndarray,
    window: bool,
) -> int | None:
    """Add every gradient to its cell; the C-order position of the first bad index, or None."""
    if not is_half(grad_input.dtype):
        return _scatter(geometry, grad_output, indices, grad_input, window, True, True)
    # Numba has no 16-bit floats; a block of planes at a time is added up in float32.
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
    return _scatter(geometry, x, indices, output, window, window, False)


def _scatter(
    geometry: Geometry,
    values: np.ndarray,
    indices: np.ndarray,
    target: np.ndarray,
    window: bool,
    tied: bool,
    add: bool,
) -> int | None:
    """Run the scatter kernel; `tied` indices can reach no further than their window."""
    cells, cells_memory, cells_owner = _writeable(target)
    sources, sources_memory = _readable(values)
    places, places_memory = _readable(indices)
    plan = make_plan(geometry, cells_memory, sources_memory, places_memory)
    offender = run(
        scatter_rows,
        scatter_parallel,
        (sources, places, cells, plan, geometry.channels, window, tied, add),
        geometry.planes * geometry.height.size,
        target.size,
        # Where an index can name any cell, every band of a plane walks through all of them.
        SPREAD if tied else 1,
    )
    if offender >= 0:
        return int(offender)
    _finish(target, cells_owner)
    return None


def _bits(array: np.ndarray) -> np.ndarray:
    """16-bit floats as their bits, which is how Numba can hold them; others as they are."""
    return array.view(np.uint16) if is_half(array.dtype) else array


def _readable(array: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """The line of an input and its row of a plan, of a copy where the memory forbids it."""
    array = _bits(native(array))
    found = line_up(array)
    if found is None:
        found = line_up(array.copy())
        assert found is not None, "a new array lines up"
    return found


def _writeable(array: np.ndarray) -> tuple[np.ndarray, tuple[int, ...], np.ndarray]:
    """The line of an output, its row of a plan, and the array that the line belongs to."""
    bits = _bits(array)
    found = line_up(bits)
    if found is None:
        array = np.empty(array.shape, array.dtype)
        found = line_up(_bits(array))
        assert found is not None, "a new array lines up"
    return (*found, array)


def _finish(array: np.ndarray, owner: np.ndarray) -> None:
    """Copy the result to where it belongs if it was computed elsewhere."""
    if owner is not array:
        array[...] = owner

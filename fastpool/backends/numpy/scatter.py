"""Backward and unpooling: values go to the cells that indices name, all of a block at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...rules.arrays import is_half, native
from ...rules.call import Call
from ...rules.indices import flat_of, named_cells, spans_of, starts_of
from .blocks import blocks, tile_to_write


def backward(
    call: Call, grad_output: np.ndarray, indices: np.ndarray, grad_input: np.ndarray
) -> int | None:
    """Add every gradient to its cell; the C-order position of the first bad index, or None."""
    accumulator = np.dtype(np.float32) if is_half(grad_input.dtype) else grad_input.dtype

    def add(target: np.ndarray, cells: np.ndarray, values: np.ndarray) -> None:
        if call.geometry.overlapping:
            np.add.at(target, cells, values.astype(target.dtype, copy=False))
        else:
            target[cells] += values.astype(target.dtype, copy=False)

    with np.errstate(all="ignore"):
        return _scatter(call, grad_output, indices, grad_input, add, accumulator)


def unpool(call: Call, x: np.ndarray, indices: np.ndarray, output: np.ndarray) -> int | None:
    """Put every value at its index; the C-order position of the first bad index, or None."""

    def put(target: np.ndarray, cells: np.ndarray, values: np.ndarray) -> None:
        target[cells] = values  # of equal indices the last value stays

    return _scatter(call, x, indices, output, put, output.dtype)


def _scatter(
    call: Call,
    values: np.ndarray,
    indices: np.ndarray,
    target: np.ndarray,
    scatter: Callable[[np.ndarray, np.ndarray, np.ndarray], None],
    accumulator: np.dtype[Any],
) -> int | None:
    """Call `scatter` on blocks of cells, positions and values."""
    geometry, channels = call.geometry, call.geometry.channels
    axes, sizes, outputs = geometry.axes, geometry.sizes, geometry.outputs
    all_starts, all_spans, last = starts_of(axes), spans_of(axes), len(outputs) - 1
    cells: np.ndarray
    for first, planes, part in blocks(geometry, tile_to_write(geometry)):
        if not any(along.start for along in part):
            cells = np.zeros((len(planes[0]), *sizes, channels), accumulator)
        where = (*planes, *part)
        codes = indices[where].astype(np.int64)
        starts = [start[along] for start, along in zip(all_starts, part, strict=True)]
        spans = all_spans
        if all_spans is not None:
            spans = [span[along] for span, along in zip(all_spans, part, strict=True)]
        named, valid, own = named_cells(axes, codes, starts, call.window, spans)
        if call.tied:
            valid = own
        if not valid.all():
            begin = first * math.prod(outputs)
            begin += int(np.ravel_multi_index([along.start for along in part], outputs))
            return begin * channels + int(valid.argmin())
        plane = np.arange(len(cells)).reshape(-1, *(1,) * (last + 2)) * math.prod(sizes)
        position = (plane + flat_of(axes, named)) * channels + np.arange(channels)
        scatter(cells.reshape(-1), position.reshape(-1), native(values[where]).reshape(-1))
        if all(along.stop == count for along, count in zip(part, outputs, strict=True)):
            target[planes] = cells.astype(target.dtype, copy=False)
    return None

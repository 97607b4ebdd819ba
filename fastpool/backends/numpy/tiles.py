"""Windows side by side, with cells that are missing, or whose value is a rank or a count.

Tiles that are cut at the end of an axis are walked apart from the others, so all tiles of a block
are of one size and lack no cell::

    full | full | cut
    -----+------+----
    cut  | cut  | cut

A missing cell is replaced by what changes nothing: zero in a sum, the number that loses to all
others in an extreme, False or True in a truth. Blocks fit the cache, so no copy is as large as the
input.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ...rules import sums as rules
from ...rules.arrays import infinity_bits, is_half, native
from ...rules.axis import Axis
from ...rules.call import Call
from ...rules.missing import Missing
from ...rules.operation import MAXIMUM, MINIMUM
from . import ranks, values
from .blocks import joined
from .sums import divided, quotients, summed

# Cells a block.
BLOCK = 2**16


def forward(call: Call, x: np.ndarray, *others: np.ndarray) -> None:
    """Fill the outputs, which follow x and its mask."""
    missing, count = call.missing, len(call.geometry.axes)
    masked = missing is not None and missing.masked
    x, *rest = joined([x, *others], count + 1)
    mask = rest.pop(0) if masked else None
    output, *few = rest
    with np.errstate(all="ignore"):
        for block in _blocks(call, x.ndim == count + 2):
            cells = native(x[block.cells])
            hidden = None if mask is None else mask[block.cells]
            valid = None if missing is None else _valid(cells, hidden, missing)
            found = _reduced(call, cells, block.axes, valid)
            if missing is not None:
                taps = math.prod(axis.kernel for axis in block.axes)
                counts: Any = taps if valid is None else _counts(valid, block.axes)
                lacks = counts < missing.min_count
                if np.any(lacks):
                    fill = False if call.operation.truth else (missing.fill or 0)
                    found = np.where(lacks, found.dtype.type(fill), found)
                if few:
                    few[0][block.windows] = lacks
            output[block.windows] = found


class _Block(NamedTuple):
    """Some tiles, all of one size: where their cells stand, and they among the outputs."""

    cells: Any
    windows: Any
    axes: tuple[Axis, ...]


def _blocks(call: Call, sliced: bool) -> Iterator[_Block]:
    geometry = call.geometry
    regions = list(product(*(_regions(axis) for axis in geometry.axes)))
    for first, numbers in geometry.plane_blocks(BLOCK):
        planes = (slice(first, first + len(numbers[0])),) if sliced else numbers
        for region in regions:
            whole = geometry.plane_cells <= BLOCK
            steps = (
                [count for _, count, _ in region] if whole else _steps(region, geometry.channels)
            )
            along = [
                [
                    (start, min(step, begin + count - start))
                    for start in range(begin, begin + count, step)
                ]
                for (begin, count, _), step in zip(region, steps, strict=True)
            ]
            kernels = [kernel for _, _, kernel in region]
            for part in product(*along):
                windows = [slice(start, start + count) for start, count in part]
                cells, axes = [], []
                for (start, count), kernel, axis in zip(part, kernels, geometry.axes, strict=True):
                    low = start * axis.stride
                    cells.append(slice(low, low + count * kernel))
                    axes.append(Axis(count * kernel, count, kernel, kernel, 1, 0, 0))
                yield _Block((*planes, *cells), (*planes, *windows), tuple(axes))


def _regions(axis: Axis) -> list[tuple[int, int, int]]:
    """The first tile, how many there are, and their cells: of full ones and of one that is cut."""
    full = min(axis.output, axis.size // axis.kernel)
    regions = [(0, full, axis.kernel)] if full else []
    if full < axis.output:
        regions.append((full, 1, axis.size - full * axis.kernel))
    return regions


def _steps(region: tuple[tuple[int, int, int], ...], channels: int) -> list[int]:
    """Tiles of a block along each axis: rows are whole unless they are very long."""
    steps, behind = [0] * len(region), channels
    for number in reversed(range(len(region))):
        before = math.prod(kernel for _, _, kernel in region[:number])
        _, count, kernel = region[number]
        steps[number] = max(1, min(count, BLOCK // (before * behind * kernel)))
        behind *= steps[number] * kernel
    return steps


def _valid(cells: np.ndarray, hidden: np.ndarray | None, missing: Missing) -> np.ndarray | None:
    """Which cells of a block are valid; None if all are."""
    found: np.ndarray | None = None
    if missing.nan:
        if is_half(cells.dtype):
            found = (cells.view(np.int16) & np.int16(2**15 - 1)) <= infinity_bits(cells.dtype)
        else:
            found = cells == cells
    if missing.nodata is not None:
        other = cells != cells.dtype.type(missing.nodata)
        found = other if found is None else np.logical_and(found, other, out=found)
    if hidden is not None:
        seen = ~(hidden.view(np.uint8) != 0)
        found = seen if found is None else np.logical_and(found, seen, out=found)
    return None if found is None or found.all() else found


def _counts(valid: np.ndarray, axes: tuple[Axis, ...]) -> np.ndarray:
    """How many cells of each tile are valid."""
    taps = math.prod(axis.kernel for axis in axes)
    kind = np.uint8 if taps < 2**8 else np.int64
    reaches = [rules.window_reach(axis) for axis in axes]
    return summed(valid.astype(kind), reaches, taps <= rules.MOST_IN_ORDER).astype(np.int64)


def _reduced(
    call: Call, cells: np.ndarray, axes: tuple[Axis, ...], valid: np.ndarray | None
) -> np.ndarray:
    """What the tiles of a block are reduced to, which may be a view of the block."""
    operation = call.operation
    if call.division is not None:
        return _summed(call, cells, axes, valid)
    if operation.ranks or operation.counts:
        return ranks.reduced(cells, axes, valid, operation)
    if operation.truth:
        cells, operation = cells != 0, MAXIMUM if operation.sign > 0 else MINIMUM
    if valid is not None and cells.dtype.kind == "b" and call.operation is MINIMUM:
        return ranks.least_truths(cells, axes, valid)
    if valid is not None:
        cells = np.where(valid, cells, _loser(cells.dtype, operation.sign))
    return values.picked(call, cells, axes, operation)


def _loser(dtype: np.dtype[Any], sign: int) -> Any:
    """The value that no other one loses to."""
    if dtype.kind == "b":
        return dtype.type(sign < 0)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return dtype.type(limits.min if sign > 0 else limits.max)
    return dtype.type(-sign * math.inf)


def _summed(
    call: Call, cells: np.ndarray, axes: tuple[Axis, ...], valid: np.ndarray | None
) -> np.ndarray:
    """Sums, or averages, of the valid cells."""
    division = call.division
    assert division is not None
    reaches, ordered = (
        [rules.window_reach(axis) for axis in axes],
        rules.in_order(call.geometry, False),
    )
    sums, large = rules.exact_sums(call.dtype, division, math.prod(call.geometry.kernel))
    if cells.dtype.kind == "b":
        cells = cells.view(np.uint8) != 0
    if valid is not None:
        cells = np.where(valid, cells, cells.dtype.type(0))
    if division.divisor is not None:
        divisors = np.array(division.divisor)
    elif valid is None:
        divisors = np.array(math.prod(axis.kernel for axis in axes))
    else:
        divisors = np.maximum(_counts(valid, axes), 1)
    if large:
        return quotients(cells, reaches, ordered, divisors, division.dtype)
    return divided(
        summed(cells.astype(sums, copy=False), reaches, ordered), divisors, division.dtype
    )

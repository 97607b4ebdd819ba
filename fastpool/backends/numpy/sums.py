"""Sums and averages: taps added in a fixed order, so that every backend makes the same bits.

Small windows are summed tap after tap, a view of all windows at a time. Large ones are a tree of a
fixed shape, one axis after the other: the sum of n taps is that of the first m, the largest power
of two below n, and that of the others. Sums of 1, 2, 4, ... taps from every cell on are made once
for all windows::

    13 taps     x x x x x x x x | x x x x | x        8 and (4 and 1)

Averages divide once. Their gradient is a sum too, of what each window passes on to its cells; see
`rules.sums.Reach`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from ...rules import sums as rules
from ...rules.arrays import native
from ...rules.call import Call
from ...rules.quotients import halves, rounded_quotients
from ...rules.sums import AnyReach, EvenReach
from .blocks import BLOCK, joined

# How large zeros around may make an axis: so many times as large, or of so many positions.
GROWTH, FEW = 4, 64

Part = tuple[slice, ...]


def forward(call: Call, x: np.ndarray, output: np.ndarray) -> None:
    """Fill `output` with sums, or averages."""
    assert call.division is not None
    reaches = [rules.window_reach(axis) for axis in call.geometry.axes]
    counts = rules.counted_taps(call.geometry, call.division)
    ordered, dtype = rules.in_order(call.geometry, False), call.division.dtype
    regular = call.geometry.regular
    taps = math.prod(call.geometry.kernel)
    sums, large = rules.exact_sums(call.dtype, call.division, taps)
    x, output = joined([x, output], len(reaches) + 1)
    with np.errstate(all="ignore"):
        for block in _blocks(call, reaches, x, output):
            cells = native(x[block.source])
            if cells.dtype.kind == "b":
                cells = cells.view(np.uint8) != 0
            divisors = _divisors(counts, block.part)
            if large:
                output[block.target] = quotients(cells, block.reaches, ordered, divisors, dtype)
                continue
            cells = cells.astype(sums, copy=False)
            large_windows = (
                None
                if ordered or regular
                else rules.trees([reach.counts for reach in block.reaches])
            )
            found = summed(cells, block.reaches, ordered)
            if large_windows is not None:
                np.copyto(found, summed(cells, block.reaches, True), where=~large_windows)
            output[block.target] = divided(found, divisors, dtype)


def backward(call: Call, grad_output: np.ndarray, grad_input: np.ndarray) -> None:
    """Fill `grad_input`: each cell gets the sum of what its windows pass on."""
    assert call.division is not None
    reaches = [rules.cell_reach(axis) for axis in call.geometry.axes]
    counts = rules.counted_taps(call.geometry, call.division)
    ordered = rules.in_order(call.geometry, True)
    dtype = call.division.dtype
    sums = rules.accumulator(call.dtype, dtype)
    grad_output, grad_input = joined([grad_output, grad_input], len(reaches) + 1)
    with np.errstate(all="ignore"):
        for block in _blocks(call, reaches, grad_output, grad_input):
            passed = native(grad_output[block.source]).astype(sums)
            passed /= _divisors(counts, block.source[-len(reaches) :]).astype(sums)
            found = summed(passed, block.reaches, ordered)
            grad_input[block.target] = found.astype(dtype, copy=False)


class _Block:
    """Some results: where they stand, what they read, and which positions of that they sum."""

    def __init__(self, planes: Any, part: Part, reaches: Sequence[AnyReach]) -> None:
        pieces = [
            reach.part(along.start, along.stop) for reach, along in zip(reaches, part, strict=True)
        ]
        lows, highs, self.reaches = zip(*pieces, strict=True)
        self.part = part
        self.source = (*planes, *map(slice, lows, highs))
        self.target = (*planes, *part)


def _blocks(
    call: Call, reaches: Sequence[AnyReach], source: np.ndarray, target: np.ndarray
) -> Iterator[_Block]:
    """All results in blocks: several planes where they are small, parts of one where not."""
    geometry, channels = call.geometry, call.geometry.channels
    results = target.shape[-len(reaches) - 1 : -1]
    extent, behind = [0] * len(reaches), channels
    for number in reversed(range(len(reaches))):
        reach = reaches[number]
        # Results that read twice the reach of one, or more: at most half is read again.
        spread = min(reach.most * reach.step, reach.size)
        rate = max(results[number], reach.size) / results[number]
        room = BLOCK // (behind * 2 ** (2 * number))
        extent[number] = max(1, math.ceil(2 * spread / rate), int(room / rate))
        behind *= min(math.ceil(extent[number] * rate), max(results[number], reach.size))
    if geometry.plane_cells <= BLOCK:
        extent = list(results)
    along = [
        [slice(start, min(start + step, count)) for start in range(0, count, step)]
        for step, count in zip(extent, results, strict=True)
    ]
    one_axis = source.ndim == len(reaches) + 2
    for first, numbers in geometry.plane_blocks(BLOCK):
        planes = (slice(first, first + len(numbers[0])),) if one_axis else numbers
        for part in product(*along):
            yield _Block(planes, part, reaches)


def summed(cells: np.ndarray, reaches: Sequence[AnyReach], ordered: bool) -> np.ndarray:
    """The sums of a block.

    Parameters
    ----------
    cells : ndarray, shape (planes, spatial axes, channels)
        In the dtype of the sums.
    reaches : sequence of Reach
        For each spatial axis, what is summed.
    ordered : bool
        Whether one tap is added after the other, in row-major order, or as a tree.
    """
    if ordered:
        return _in_order(cells, reaches)
    for number, reach in enumerate(reaches, 1):
        cells = _tree(cells, reach, number)
    cells += 0  # no sum is -0.0
    return cells


def _in_order(cells: np.ndarray, reaches: Sequence[AnyReach]) -> np.ndarray:
    """Sums of one tap after the other, in row-major order; taps outside are left out."""
    taps = [[_tap(reach, tap) for tap in range(reach.most)] for reach in reaches]
    outputs = [reach.results for reach in reaches]
    shape = len(cells), *outputs, cells.shape[-1]
    # The first tap of all windows is the sum so far, with zero, so that no sum is -0.0.
    begun = all(tap[0][0] == slice(0, n, 1) for tap, n in zip(taps, outputs, strict=True))
    total = np.empty(shape, cells.dtype) if begun else np.zeros(shape, cells.dtype)
    for number, along in enumerate(taps, 1):
        if any(results is None for results, _ in along):
            cells = _framed(cells, number, 0, cells.shape[number] + 1)

    def add(source: np.ndarray, target: np.ndarray, number: int, first: bool) -> None:
        if number == len(taps):
            np.add(source, 0 if first else target, out=target)
            return
        before: tuple[Any, ...] = (slice(None),) * (number + 1)
        for results, positions in taps[number]:
            part = target if results is None else target[(*before, results)]
            add(source[(*before, positions)], part, number + 1, first)
            first = False

    add(cells, total, 0, begun)
    return total


def _tap(reach: AnyReach, tap: int) -> tuple[slice | None, slice | np.ndarray]:
    """The results that have a tap inside, and where it lies.

    Where the results are at no even distances, None stands for all of them: those that lack the tap
    find it one position behind the last, where a zero is.
    """
    positions = reach.firsts + tap * reach.step
    inside = (positions >= 0) & (positions < reach.size) & (tap < reach.counts)
    results = _as_slice(np.flatnonzero(inside))
    if results is None:
        return None, np.where(inside, positions, reach.size)
    positions = positions[inside]
    places = _as_slice(positions)
    return results, positions if places is None else places


def _as_slice(numbers: np.ndarray) -> slice | None:
    """Numbers as a slice, if they are at the same distance from each other."""
    if not numbers.size:
        return slice(0, 0)
    steps = np.diff(numbers)
    if steps.size and not (steps[0] > 0 and (steps == steps[0]).all()):
        return None
    return slice(int(numbers[0]), int(numbers[-1]) + 1, int(steps[0]) if steps.size else 1)


def _tree(cells: np.ndarray, reach: AnyReach, axis: int) -> np.ndarray:
    """Sums along an axis, as trees."""
    if isinstance(reach, EvenReach) and _are_tiles(reach):
        return _tree_of_tiles(cells, reach, axis)
    low = int(reach.firsts.min())
    end = int((reach.firsts + np.maximum(reach.counts, 1) * reach.step).max())
    if end - low > max(GROWTH * reach.size, FEW):
        return _one_by_one(cells, reach, axis)
    level = _framed(cells, axis, low, end)
    before: tuple[Any, ...] = (slice(None),) * axis
    levels = reach.most.bit_length()
    shape = (*cells.shape[:axis], reach.results, *cells.shape[axis + 1 :])
    total = np.zeros(shape, cells.dtype)
    places = reach.firsts - low
    for bit in range(levels):
        size = 1 << bit
        if bit:
            shift = size // 2 * reach.step
            stop = level.shape[axis] - shift
            level = level[(*before, slice(0, stop))] + level[(*before, slice(shift, None))]
        chosen = np.flatnonzero(reach.counts & size)
        if not chosen.size:
            continue
        # The blocks before this one are larger.
        taps = reach.counts[chosen] >> (bit + 1) << (bit + 1)
        positions, results = places[chosen] + taps * reach.step, _as_slice(chosen)
        along = _as_slice(positions)
        part = level[(*before, positions if along is None else along)]
        if results is not None:
            into = total[(*before, results)]
            np.add(part, into, out=into)
        else:
            total[(*before, chosen)] += part
    return total


def _are_tiles(reach: EvenReach) -> bool:
    """Whether windows share no cell, nor take much memory with the zeros around."""
    apart = reach.stride >= reach.most * reach.step
    return apart and reach.results * reach.stride <= max(GROWTH * reach.size, FEW)


def _tree_of_tiles(cells: np.ndarray, reach: EvenReach, axis: int) -> np.ndarray:
    """`_tree` for windows that share no cell: each level has half as many sums as the one before.

    (8, 64, 224, 224) to 7 x 7 takes 0.6 of the time.
    """
    count, stride = reach.results, reach.stride
    framed = _framed(cells, axis, reach.first, reach.first + count * stride)
    tiles = framed.reshape(*cells.shape[:axis], count, stride, *cells.shape[axis + 1 :])
    before: tuple[Any, ...] = (slice(None),) * (axis + 1)
    level = tiles[(*before, slice(0, reach.most * reach.step, reach.step))]
    total = np.zeros((*cells.shape[:axis], count, *cells.shape[axis + 1 :]), cells.dtype)
    for bit in range(reach.most.bit_length()):
        if bit:
            end = level.shape[axis + 1] // 2 * 2
            level = level[(*before, slice(0, end, 2))] + level[(*before, slice(1, end, 2))]
        if reach.most >> bit & 1:
            total += level[(*before, -1)]
    return total


def _framed(cells: np.ndarray, axis: int, low: int, end: int) -> np.ndarray:
    """The positions from `low` up to `end` along an axis; those that do not exist are zeros."""
    size = cells.shape[axis]
    if low == 0 and end == size:
        return cells
    before: tuple[Any, ...] = (slice(None),) * axis
    shape = (*cells.shape[:axis], end - low, *cells.shape[axis + 1 :])
    framed = np.zeros(shape, cells.dtype)
    first, last = max(low, 0), min(end, size)
    framed[(*before, slice(first - low, last - low))] = cells[(*before, slice(first, last))]
    return framed


def _one_by_one(cells: np.ndarray, reach: AnyReach, axis: int) -> np.ndarray:
    """`_tree` for windows that stick out so far that zeros in their places would take much memory.

    Zeros change no sum. So the taps of a window that lie inside are added in the order of the tree
    alone: pairs of sums of as many taps become one, as a binary counter carries.
    """
    before: tuple[Any, ...] = (slice(None),) * axis
    shape = (*cells.shape[:axis], reach.results, *cells.shape[axis + 1 :])
    total = np.zeros(shape, cells.dtype)
    for result, (start, count) in enumerate(zip(reach.firsts, reach.counts, strict=True)):
        first = max(-(int(start) // reach.step), 0)
        stop = min(-((int(start) - reach.size) // reach.step), int(count))
        found: list[tuple[int, np.ndarray]] = []
        for tap in range(first, stop):
            level, part = 0, cells[(*before, int(start) + tap * reach.step)]
            while tap >> level & 1:
                if found and found[-1][0] == level:
                    part = found.pop()[1] + part
                level += 1
            found.append((level, part))
        if found:
            part = found.pop()[1]
            while found:
                part = found.pop()[1] + part
            total[(*before, result)] = part
    return total


def _divisors(counts: Sequence[np.ndarray], part: Part) -> np.ndarray:
    """What the sums of a block are divided by: integers that broadcast with it."""
    pairs = zip(counts, part, strict=True)
    return rules.products([along if along.size == 1 else along[where] for along, where in pairs])


def divided(sums: np.ndarray, divisors: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Sums over divisors, rounded once."""
    if divisors.size == 1 and divisors.item() == 1:
        return sums.astype(dtype, copy=False)
    found = sums.astype(rules.divided_in(np.dtype(np.float64), sums.dtype), copy=False)
    found = np.divide(found, divisors.astype(found.dtype), out=found)
    if dtype.kind in "iu":  # exact, see EXACT; ties go to the even integer
        found = np.rint(found, out=found).astype(np.int64, copy=False)
    rounded: np.ndarray = found.astype(dtype, copy=False)
    return rounded


def quotients(
    cells: np.ndarray,
    reaches: Sequence[AnyReach],
    ordered: bool,
    divisors: np.ndarray,
    dtype: np.dtype[Any],
) -> np.ndarray:
    """Exact averages of large integers, whose halves are summed apart."""
    parts = [summed(half, reaches, ordered) for half in halves(cells)]
    return rounded_quotients(parts[0], parts[1], divisors, dtype)

"""Medians and modes of tiles: one row for each tap, which holds it of all tiles of a block.

The median of few taps is found by a network of comparisons, of which those that it does not depend
on are left out: each takes the minimum and the maximum of two rows. That of more taps is found by
NumPy's partition. The mode of few taps is found by comparing each with all later ones, and that of
more by sorting.

Where cells are missing, the first of them get the least number and the others the largest, as many
as put the median of the valid cells in the middle of all.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from ...rules.axis import Axis
from ...rules.operation import MAXIMUM, Operation
from .counting import modes
from .select import keys_of

# Taps of which a network, and comparisons of pairs, take less time than NumPy's sorts.
MOST_IN_NETWORK = 64
MOST_IN_PAIRS = 32


def reduced(
    cells: np.ndarray, axes: tuple[Axis, ...], valid: np.ndarray | None, operation: Operation
) -> np.ndarray:
    """The median or the mode of the valid cells of each tile; any cell of one without any."""
    kernel = tuple(axis.kernel for axis in axes)
    outputs = (len(cells), *(axis.output for axis in axes), cells.shape[-1])
    rows = _rows(cells, kernel)
    if len(rows) == 1:
        return rows.reshape(outputs)
    seen = None if valid is None else _rows(valid, kernel)
    keys = keys_of(rows, MAXIMUM)
    find = _modes if operation.counts else _medians
    return find(rows, keys, seen).reshape(outputs)


def _rows(cells: np.ndarray, kernel: tuple[int, ...]) -> np.ndarray:
    """The taps of the tiles of a block: a row for each tap, in row-major order."""
    planes, *sizes, channels = cells.shape
    split = [planes]
    for size, taps in zip(sizes, kernel, strict=True):
        split += [size // taps, taps]
    count = len(kernel)
    taps_first = [2 * number + 2 for number in range(count)]
    others = [0, *(2 * number + 1 for number in range(count)), 2 * count + 1]
    tiles = cells.reshape(*split, channels).transpose(*taps_first, *others)
    return tiles.reshape(math.prod(kernel), -1)


def _medians(rows: np.ndarray, keys: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    mapped = keys.dtype != rows.dtype
    integers = rows.dtype.kind in "iu"
    if rows.dtype.kind == "b":  # any byte but 0 is True
        integers = bool(rows.view(np.uint8).max() <= 1)
    if keys.dtype.kind == "f":
        low, high = keys.dtype.type(-np.inf), keys.dtype.type(np.inf)
    else:
        limits = np.iinfo(keys.dtype)
        low, high = keys.dtype.type(limits.min), keys.dtype.type(limits.max)
    poisoned = None
    if mapped and rows.dtype.kind != "b":  # a NaN has the largest key, which no number has
        nan = keys == high
        if valid is not None:
            nan &= valid
        poisoned = nan.any(0)
    if valid is not None:
        keys = _centred(keys, valid, low, high)
    middle = _middle(keys)
    if poisoned is not None and poisoned.any():
        middle = np.where(poisoned, high, middle)
    else:
        poisoned = None
    if integers:
        return middle.view(rows.dtype)
    if not mapped:  # floats without NaN, of which zeros may differ by their sign
        negative = np.iinfo(f"i{rows.dtype.itemsize}").min
        zeros = (middle == 0).any()
        if not (zeros and (rows.view(f"i{rows.dtype.itemsize}") == negative).any()):
            return middle
    keys = keys_of(rows, MAXIMUM)
    found: np.ndarray = rows[0].copy()
    for number in reversed(range(len(rows))):
        equal = keys[number] == middle
        if valid is not None:
            equal &= valid[number]
        np.copyto(found, rows[number], where=equal)
    return found


def _centred(keys: np.ndarray, valid: np.ndarray, low: np.generic, high: np.generic) -> np.ndarray:
    """Keys whose median is that of the valid ones."""
    taps = len(keys)
    kind = np.int16 if taps < 2**15 else np.int64
    counts = valid.sum(0, dtype=kind)
    room = (taps - 1) // 2 - (counts - 1) // 2
    keys, seen = keys.copy(), np.zeros_like(counts)
    for row, has in zip(keys, valid, strict=True):
        lacks = ~has
        under = lacks & (seen < room)
        np.copyto(row, high, where=lacks)
        np.copyto(row, low, where=under)
        seen += lacks
    return keys


def _middle(keys: np.ndarray) -> np.ndarray:
    """The lower median of each column."""
    taps = len(keys)
    rank = (taps - 1) // 2
    if taps > MOST_IN_NETWORK:
        found: np.ndarray = np.partition(keys.T, rank, -1)[:, rank]
        return found
    rows, spare = list(keys.copy()), np.empty_like(keys[0])
    for first, second, low, high in _network(taps, rank):
        a, b = rows[first], rows[second]
        if low and high:
            np.minimum(a, b, out=spare)
            np.maximum(a, b, out=b)
            rows[first], spare = spare, a
        elif low:
            np.minimum(a, b, out=a)
        else:
            np.maximum(a, b, out=b)
    middle: np.ndarray = rows[rank]
    return middle


@lru_cache(maxsize=64)
def _network(taps: int, rank: int) -> tuple[tuple[int, int, bool, bool], ...]:
    """Batcher's merge exchange (Knuth, volume 3, 5.2.2), as far as `rank` depends on it.

    Each step leaves the less of two rows in the first, and the larger in the second; the flags say
    which of the two is needed.
    """
    pairs, top = [], 1 << (taps - 1).bit_length() - 1
    p = top
    while p:
        q, r, d = top, 0, p
        while True:
            pairs += [(i, i + d) for i in range(taps - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q // 2, p
        p //= 2
    needed, kept = {rank}, []
    for first, second in reversed(pairs):
        low, high = first in needed, second in needed
        if low or high:
            kept.append((first, second, low, high))
            needed |= {first, second}
    return tuple(reversed(kept))


def _modes(rows: np.ndarray, keys: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    taps = len(rows)
    if taps > MOST_IN_PAIRS:
        inside = np.ones((), bool) if valid is None else valid.T
        picked = modes(np.ascontiguousarray(keys.T), inside)
        found: np.ndarray = np.take_along_axis(rows, picked[None], 0)[0]
        return found
    # Of equal cells the first one has the most others behind it.
    best: np.ndarray = rows[-1].copy()
    most = np.zeros(rows.shape[1], np.int8)
    if valid is not None:
        most -= ~valid[-1]
    for first in reversed(range(taps - 1)):
        score = np.zeros_like(most)
        for later in range(first + 1, taps):
            equal = keys[first] == keys[later]
            if valid is not None:
                equal &= valid[later]
            score += equal
        wins = score >= most
        if valid is not None:
            wins &= valid[first]
        np.copyto(best, rows[first], where=wins)
        np.copyto(most, score, where=wins)
    return best

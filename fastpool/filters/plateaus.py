"""Of cells that are the largest around them, those that are peaks.

Equal cells that touch each other, corners included, are a *plateau*. It is a peak if all of its
cells are the largest of their windows, and its first cell stands for it::

    5 5 9      no peak: the second 5 has a larger neighbour

Of two peaks that are as near as the windows reach, and so equal, the first remains.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..rules.arguments import Integers

Array = np.ndarray[Any, Any]


class Cells:
    """The cells of an array by their number in C order, wherever they lie."""

    def __init__(self, array: Array) -> None:
        self._array = array
        self._flat = array.reshape(-1) if array.flags.c_contiguous else None

    def __getitem__(self, numbers: Array) -> Array:
        if self._flat is not None:
            found: Array = self._flat.take(numbers)
            return found
        return np.asarray(self._array[np.unravel_index(numbers, self._array.shape)])

    def behind(self, numbers: Array, step: int) -> Array:
        """The cells so far behind others; those that are not there, at the end, are left out."""
        there = numbers[: np.searchsorted(numbers, self._array.size - step)]
        if self._flat is not None:  # in 0.6 of the time that sums of numbers take
            found: Array = self._flat[step:].take(there)
            return found
        return self[there + step]


def beside_equals(x: Array, sizes: Integers, cells: Array, firsts: bool) -> Array:
    """Which of `cells`, in order, have an equal neighbour, or may have one.

    A cell at the end of a row is compared with the next row, too: what is then taken for a plateau
    is one of a single cell. With `firsts`, no cell has an equal one before it.
    """
    look = Cells(x)
    values, found = look[cells], np.zeros(len(cells), bool)
    for _, step in _neighbours(sizes):
        if step > 0:
            near = look.behind(cells, step)
            found[: len(near)] |= near == values[: len(near)]
        elif not firsts:
            found |= look[np.maximum(cells + step, 0)] == values
    return found


def first_of_each(x: Array, sizes: Integers, cells: Array) -> Array:
    """Which cells are the first of a plateau that is a peak.

    Parameters
    ----------
    x : ndarray
        The images.
    sizes : tuple of int
        The lengths of its last axes, those of an image.
    cells : ndarray of int64
        In order, all the cells on plateaus that are the largest of their windows.
    """
    look, count = Cells(x), len(cells)
    values, spoilt, pairs = look[cells], np.zeros(count, bool), []
    places = np.unravel_index(cells % math.prod(sizes), sizes)
    for moves, step in _neighbours(sizes):
        inside = np.ones(count, bool)
        for at, move, size in zip(places, moves, sizes, strict=True):
            if move:
                inside &= (at > 0) if move < 0 else (at < size - 1)
        cell = np.flatnonzero(inside)
        cell = cell[look[cells[cell] + step] == values[cell]]
        near = cells[cell] + step
        other = np.searchsorted(cells, near).clip(max=count - 1)
        known = cells[other] == near
        spoilt[cell[~known]] = True  # an equal neighbour that has a larger one
        if step > 0:
            pairs.append((cell[known], other[known]))
    some, others = (np.concatenate(each) for each in zip(*pairs, strict=True))
    roots = _least_of_each(count, some, others)
    without = np.ones(count, bool)
    without[roots[spoilt]] = False
    without &= roots == np.arange(count)
    return without


def _least_of_each(count: int, some: Array, others: Array) -> Array:
    """The least number of the set of each number, once all pairs are joined.

    In every round each set joins a neighbour that is less, if it has one, so that half of the sets
    that are to be joined are left.
    """
    least = np.arange(count)
    while len(some):
        a, b = least[some], least[others]
        np.minimum.at(least, np.maximum(a, b), np.minimum(a, b))
        while True:
            further = least[least]
            if (further == least).all():
                break
            least = further
        apart = least[some] != least[others]
        some, others = some[apart], others[apart]
    return least


def _neighbours(sizes: Integers) -> list[tuple[Integers, int]]:
    """The neighbours of a cell: how far along each axis, and how far in C order."""
    moves = itertools.product((-1, 0, 1), repeat=len(sizes))
    return [(move, _step(move, sizes)) for move in moves if any(move)]


def _step(move: Integers, sizes: Integers) -> int:
    step = 0
    for far, size in zip(move, sizes, strict=True):
        step = step * size + far
    return step


def apart(sizes: Integers, radius: Integers, cells: Array, late: Array) -> Array:
    """Which of `cells` remain if, in their order, each must be far from those that remain.

    Parameters
    ----------
    sizes, radius : tuple of int
        The lengths of the axes of an image, and how far is near along each.
    cells : ndarray of int64
        In order.
    late : ndarray of bool
        Which of them may be near to one before them.
    """
    keep = np.ones(len(cells), bool)
    partners: dict[int, list[int]] = {}
    for cell, other in _near(sizes, radius, cells, np.flatnonzero(late)):
        partners.setdefault(cell, []).append(other)
    for cell in sorted(partners):
        keep[cell] = not keep[partners[cell]].any()
    return keep


def _near(sizes: Integers, radius: Integers, cells: Array, late: Array) -> Iterator[Integers]:
    """Pairs of the places in `cells` of one that is `late`, and of one before it that is near."""
    places = np.unravel_index(cells[late] % math.prod(sizes), sizes)
    low = np.maximum(places[-1] - radius[-1], 0) - places[-1]
    high = np.minimum(places[-1] + radius[-1], sizes[-1] - 1) - places[-1]
    for move in itertools.product(*(range(-far, far + 1) for far in radius[:-1])):
        step = _step((*move, 0), sizes)
        if step > 0:
            continue
        inside = np.ones(len(late), bool)
        for at, far, size in zip(places[:-1], move, sizes[:-1], strict=True):
            inside &= (at + far >= 0) & (at + far < size)
        row = cells[late] + step
        first = np.searchsorted(cells, row + low)
        # In its own row, a cell's partners end before itself.
        stop = np.searchsorted(cells, row + high + 1) if step else late
        lengths = np.where(inside, stop - first, 0)
        some = np.repeat(late, lengths)
        starts = np.cumsum(lengths) - lengths
        others = np.arange(len(some)) + np.repeat(first - starts, lengths)
        yield from zip(some.tolist(), others.tolist(), strict=True)

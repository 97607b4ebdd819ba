"""The search for peaks in images that lie one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..api import extremes
from ..rules.arguments import Integers
from .plateaus import Cells, apart, beside_equals, first_of_each

_POOLS = {1: extremes.maxpool1d, 2: extremes.maxpool2d, 3: extremes.maxpool3d}
# Maxima and indices are made of so many cells at a time, which bounds the memory.
STRIP = 2**22


class Strip(NamedTuple):
    """Some images, or some rows of one with those near them."""

    x: np.ndarray
    offset: int  # the number of its first cell
    first: int  # the first of its own cells, of those of `x`
    stop: int  # the last one, and 1


class Images:
    """The images of an array along its last axes.

    Attributes
    ----------
    x : ndarray
        All images, and at least one cell.
    sizes : tuple of int
        The shape of an image.
    """

    def __init__(self, x: np.ndarray, radius: Integers, backend: Any) -> None:
        self.x = x
        self.sizes: Integers = x.shape[-len(radius) :]
        self._cells = math.prod(self.sizes)
        pairs = zip(radius, self.sizes, strict=True)
        self._radius = tuple(min(far, size - 1) for far, size in pairs)
        self._kernel = tuple(2 * far + 1 for far in self._radius)
        self._backend = backend
        self._floats = x.dtype.kind not in "iub"

    def peaks(self, least: float | None, share: float | None) -> np.ndarray:
        """The numbers of the cells that are peaks, in order.

        `least` is a threshold for all images, `share` one for each, as a part of its maximum.
        """
        cells, firsts, gaps = self._largest()
        values = Cells(self.x)[cells]
        keep = self._uneven(cells, values, gaps)
        if least is not None:
            keep &= values > least
        if share is not None and len(cells):
            starts, lengths = self._groups(cells)
            tops = np.maximum.reduceat(_wide(values), starts)
            keep &= _wide(values) > np.repeat(tops * share, lengths)
        if not keep.all():
            cells, firsts = cells[keep], firsts[keep]
        at = np.flatnonzero(beside_equals(self.x, self.sizes, cells, bool(firsts.all())))
        if len(at):
            keep = np.ones(len(cells), bool)
            keep[at] = first_of_each(self.x, self.sizes, cells[at])
            cells, firsts = cells[keep], firsts[keep]
        if not firsts.all():
            cells = cells[apart(self.sizes, self._radius, cells, ~firsts)]
        return cells

    def highest(self, cells: np.ndarray, most: int) -> np.ndarray:
        """The places in `cells` of the highest ones of each image, in order."""
        values = _wide(Cells(self.x)[cells])
        falling = len(cells) - 1 - np.argsort(values[::-1], kind="stable")[::-1]
        falling = falling[np.argsort(cells[falling] // self._cells, kind="stable")]
        starts, lengths = self._groups(cells)
        rank = np.arange(len(cells)) - np.repeat(starts, lengths)
        return np.sort(falling[rank < most])

    def _largest(self) -> tuple[np.ndarray, np.ndarray, bool]:
        """The largest cells of their windows; which are the first; whether there are NaNs."""
        found, firsts, gaps = [], [], False
        for strip in self._strips(self.x, 0):
            own = slice(strip.first, strip.stop)
            largest, first = self._compare(strip.x)
            # The first NaN is the first of its window, and equals nothing.
            if self._floats and (first & ~largest).any():
                gaps = True
                largest, first = self._compare(self._known(strip.x))
                largest &= (strip.x > -np.inf).reshape(-1)
            cells = np.flatnonzero(largest[own])
            found.append(cells + (strip.offset + strip.first))
            firsts.append(first[own][cells])
        return np.concatenate(found), np.concatenate(firsts), gaps

    def _compare(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which cells are the largest of their windows, and which are the first of these."""
        largest, codes = _POOLS[len(self._kernel)](
            x,
            self._kernel,
            1,
            self._radius,
            return_indices=True,
            index_format="window",
            backend=self._backend,
        )
        # A window has an odd number of taps, and the cell is in the middle.
        first = codes == math.prod(self._kernel) // 2
        return (largest == x).reshape(-1), first.reshape(-1)

    def _known(self, x: np.ndarray) -> np.ndarray:
        """The same with NaNs less than all."""
        return np.where(x == x, x, np.array(-np.inf).astype(x.dtype))

    def _strips(self, x: np.ndarray, offset: int) -> Iterator[Strip]:
        """Parts of about `STRIP` cells of `x`, whose first cell has the number `offset`."""
        if x.size <= STRIP or x.ndim == len(self.sizes):
            yield from self._rows(x, offset)
            return
        each = x.size // len(x)
        count = max(1, STRIP // each)
        for first in range(0, len(x), count):
            some = x[first : first + count] if count > 1 else x[first]
            yield from self._strips(some, offset + first * each)

    def _rows(self, x: np.ndarray, offset: int) -> Iterator[Strip]:
        """All of it, or rows of one image with those that their windows reach."""
        if x.size <= STRIP:
            yield Strip(x, offset, 0, x.size)
            return
        row, far = x.size // len(x), self._radius[0]
        # As many rows again are pooled at most.
        count = max(STRIP // row, 2 * far, 1)
        for first in range(0, len(x), count):
            stop = min(first + count, len(x))
            low, high = max(first - far, 0), min(stop + far, len(x))
            yield Strip(x[low:high], offset + low * row, (first - low) * row, (stop - low) * row)

    def _uneven(self, cells: np.ndarray, values: np.ndarray, gaps: bool) -> np.ndarray:
        """Which cells lie in images whose cells are not all equal, NaNs aside."""
        keep = np.ones(len(cells), bool)
        starts, lengths = self._groups(cells)
        # Where all are numbers and equal, all are the largest of their windows.
        alike = np.ones(len(starts), bool) if gaps else lengths == self._cells
        lead = self.x.shape[: -len(self.sizes)]
        for group in np.flatnonzero(alike):
            start, value = starts[group], values[starts[group]]
            image = self.x[np.unravel_index(cells[start] // self._cells, lead)] if lead else self.x
            # NaNs are not less, either.
            if not (image != value)[image == image].any():
                keep[start : start + lengths[group]] = False
        return keep

    def _groups(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the cells of each image begin among these, and how many they are."""
        new = np.zeros(len(cells), bool)
        new[:1] = True
        if self._cells < self.x.size:
            numbers = cells // self._cells
            new[1:] = numbers[1:] != numbers[:-1]
        starts = np.flatnonzero(new)
        return starts, np.diff(np.append(starts, len(cells)))


def _wide(values: np.ndarray) -> np.ndarray:
    """Values that NumPy can sort and multiply: 16-bit floats are made float32."""
    small = values.dtype.itemsize == 2 and values.dtype.kind not in "iu"
    return values.astype(np.float32) if small else values

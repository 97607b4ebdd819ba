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
# So many cells are searched at a time: what is made of them stays in the cache, and memory that is
# used again costs nothing. 0.6 of the time of all at once, at 2048 x 2048.
STRIP = 2**19
_BLOCK = 2**14


class Strip(NamedTuple):
    """Some images, or some rows of one with those near them."""

    x: np.ndarray
    offset: int  # the number of its first cell
    first: int  # the first of its own cells, of those of `x`
    stop: int  # the last one, and 1


class Found(NamedTuple):
    """The largest cells of their windows, in order."""

    cells: np.ndarray  # their numbers
    firsts: np.ndarray  # whether no equal one stands before it in its window
    beside: np.ndarray  # whether an equal one may touch it

    def only(self, keep: np.ndarray) -> Found:
        """Some of them."""
        return self if keep.all() else Found(*(each[keep] for each in self))


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
        self._room: tuple[np.ndarray, ...] | None = None  # what is made of a strip

    def peaks(self, least: float | None, share: float | None) -> np.ndarray:
        """The numbers of the cells that are peaks, in order.

        `least` is a threshold for all images, `share` one for each, as a part of its maximum.
        """
        strips = [self._search(strip, least) for strip in self._strips(self.x, 0)]
        gaps = any(gap for _, gap in strips)
        parts = zip(*(found for found, _ in strips), strict=True)
        found = Found(*(np.concatenate(part) for part in parts))
        found = found.only(self._uneven(found, gaps))
        if share is not None and len(found.cells):
            values = _wide(Cells(self.x)[found.cells])
            starts, lengths = self._groups(found.cells)
            tops = np.maximum.reduceat(values, starts)
            found = found.only(values > np.repeat(tops * share, lengths))
        if found.beside.any():
            at = np.flatnonzero(found.beside)
            keep = np.ones(len(found.cells), bool)
            keep[at] = first_of_each(self.x, self.sizes, found.cells[at])
            found = found.only(keep)
        if not found.firsts.all():
            found = found.only(apart(self.sizes, self._radius, found.cells, ~found.firsts))
        return found.cells

    def highest(self, cells: np.ndarray, most: int) -> np.ndarray:
        """The places in `cells` of the highest ones of each image, in order."""
        values = _wide(Cells(self.x)[cells])
        falling = len(cells) - 1 - np.argsort(values[::-1], kind="stable")[::-1]
        falling = falling[np.argsort(cells[falling] // self._cells, kind="stable")]
        starts, lengths = self._groups(cells)
        rank = np.arange(len(cells)) - np.repeat(starts, lengths)
        return np.sort(falling[rank < most])

    def places(self, cells: np.ndarray) -> np.ndarray:
        """The index of every cell along all axes, a row for each."""
        found = np.empty((self.x.ndim, len(cells)), np.int64)
        for first in range(0, len(cells), _BLOCK):  # a third of the time of all at once
            some = slice(first, first + _BLOCK)
            found[:, some] = np.unravel_index(cells[some], self.x.shape)
        return found.T

    def _search(self, strip: Strip, least: float | None) -> tuple[Found, bool]:
        """The largest cells of their windows that belong to a strip; whether it has NaNs."""
        own, x = slice(strip.first, strip.stop), strip.x
        largest, first = self._compare(x)
        # The first NaN is the first of its window, and equals nothing.
        gaps = self._floats and bool((first > largest).any())
        if gaps:
            largest, first = self._compare(self._known(x))
            largest &= (x > -np.inf).reshape(-1)
        cells = np.flatnonzero(largest[own]) + strip.first
        values = Cells(x)[cells]
        if least is not None:
            high = values > least
            cells, values = cells[high], values[high]
        firsts = first[cells]
        beside = beside_equals(x, self.sizes, cells, values, bool(firsts.all()))
        return Found(cells + strip.offset, firsts, beside), gaps

    def _compare(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which cells are the largest of their windows, and which are the first of these.

        Both are overwritten by the next strip.
        """
        if self._room is None or self._room[0].shape != x.shape:
            taps = np.min_scalar_type(math.prod(self._kernel) - 1)
            dtypes = x.dtype.newbyteorder("="), taps, np.dtype(bool), np.dtype(bool)
            self._room = tuple(np.empty(x.shape, dtype) for dtype in dtypes)
        pool, (values, codes, largest, first) = _POOLS[len(self._kernel)], self._room
        pool(
            x,
            self._kernel,
            1,
            self._radius,
            return_indices=True,
            index_format="window",
            out=(values, codes),
            backend=self._backend,
        )
        np.equal(values, x, out=largest)
        # A window has an odd number of taps, and the cell is in the middle.
        np.equal(codes, math.prod(self._kernel) // 2, out=first)
        return largest.reshape(-1), first.reshape(-1)

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
        # Few rows are pooled twice.
        count = max(STRIP // row, 16 * far, 1)
        for first in range(0, len(x), count):
            stop = min(first + count, len(x))
            low, high = max(first - far, 0), min(stop + far, len(x))
            yield Strip(x[low:high], offset + low * row, (first - low) * row, (stop - low) * row)

    def _uneven(self, found: Found, gaps: bool) -> np.ndarray:
        """Which cells lie in images whose cells are not all equal, NaNs aside."""
        cells = found.cells
        keep = np.ones(len(cells), bool)
        starts, lengths = self._groups(cells)
        # Where all are numbers and equal, all are the largest of their windows.
        alike = np.ones(len(starts), bool) if gaps else lengths == self._cells
        lead = self.x.shape[: -len(self.sizes)]
        for group in np.flatnonzero(alike):
            start = starts[group]
            value = Cells(self.x)[cells[start : start + 1]]
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

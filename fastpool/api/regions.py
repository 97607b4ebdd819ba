"""Arrays that lie in files, shrunk region by region in bounded memory.

A source and a target are anything with ``shape`` and ``dtype`` of which a region can be read, or
written, by a tuple of slices: arrays of NumPy and Zarr, memory-mapped files, and the command's own.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from ..process.threads import one_thread
from ..rules.levels import Level
from ..rules.masks import as_array
from .downsample import downsample
from .types import BackendName

Region: TypeAlias = tuple[slice, ...]
Progress: TypeAlias = Callable[[int, int], object]


class Source(Protocol):
    """What regions are read from."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    def __getitem__(self, region: Any) -> Any: ...


class Target(Protocol):
    """What regions are written to."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    def __setitem__(self, region: Any, values: Any) -> None: ...


class Copied(NamedTuple):
    """The part of a `Level` that regions ask for, of one that is made without a change."""

    factors: tuple[int, ...]
    shape: tuple[int, ...]
    result: np.dtype[Any]


def of_cells(level: Level | Copied, cells: np.ndarray, backend: BackendName | None) -> np.ndarray:
    """The part of a level that is made of these cells."""
    if isinstance(level, Copied):
        return cells
    made: np.ndarray = downsample(cells, level.factors, **level.options, backend=backend)
    return made


def of_region(
    level: Level | Copied, source: Source, region: Region, backend: BackendName | None
) -> np.ndarray:
    """A region of a level, made of the cells of the source that its blocks hold."""
    reach = tuple(
        slice(part.start * factor, min(part.stop * factor, size))
        for size, part, factor in zip(source.shape, region, level.factors, strict=True)
    )
    # A mask would be lost: neither files nor Zarr have any.
    return of_cells(level, as_array("write_pyramid", "x", source[reach]), backend)


class Grid:
    """A result cut into regions of one size, each of whole chunks, so none is written twice.

    Parameters
    ----------
    shape : tuple of int
        Of the result.
    chunk : sequence of int
        What must be written in one go.
    weight : float
        Bytes in memory for each cell of the result while its region is made.
    budget : float
        Bytes that a region may take. One chunk is the least, whatever it takes.
    order : sequence of int, optional
        The axes along which regions grow first: those whose cells are neighbours in the file.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        chunk: Sequence[int],
        weight: float,
        budget: float,
        order: Sequence[int] | None = None,
    ) -> None:
        sides = [max(1, min(side, size)) for side, size in zip(chunk, shape, strict=True)]
        for axis in range(len(shape))[::-1] if order is None else order:
            affordable = int(budget // (weight * math.prod(sides)))
            wanted = -(-shape[axis] // sides[axis])
            sides[axis] *= max(1, min(affordable, wanted))
            if affordable < wanted:
                break  # a longer neighbour would cut what lies together in the file
        self.shape = shape
        self.sides = tuple(sides)
        self.counts = tuple(-(-size // side) for size, side in zip(shape, sides, strict=True))

    def __len__(self) -> int:
        return math.prod(self.counts)

    def region(self, number: int) -> Region:
        """A region by its number: the last axis first."""
        places = np.unravel_index(number, self.counts) if self.counts else ()
        return tuple(
            slice(int(at) * side, min((int(at) + 1) * side, size))
            for at, side, size in zip(places, self.sides, self.shape, strict=True)
        )

    def cells(self, number: int) -> int:
        """How many cells a region has."""
        return math.prod(part.stop - part.start for part in self.region(number))


def grid_of(
    level: Level | Copied,
    itemsize: int,
    chunk: Sequence[int],
    budget: float,
    order: Sequence[int] | None = None,
) -> Grid:
    """The regions of a level, made of cells of `itemsize` bytes, in a budget of bytes."""
    cells = math.prod(level.factors) * itemsize + level.result.itemsize
    # Codecs hold everything once more.
    return Grid(level.shape, chunk, 2.0 * cells, budget, order)


def make(
    level: Level | Copied,
    source: Source,
    target: Target,
    grid: Grid,
    *,
    backend: BackendName | None = None,
    workers: int = 1,
    done: Callable[[int], object] = lambda number: None,
    skipped: Callable[[int], bool] = lambda number: False,
) -> None:
    """Make every region of a level from those of the one before.

    Parameters
    ----------
    level : Level
        What is made.
    source, target
        Where regions are read and written; from several threads if there are several workers.
    grid : Grid
        The regions of the target.
    backend
        As everywhere.
    workers : int
        How many regions are made at a time.
    done : callable
        Called with the number of each region that has been written, by one thread at a time.
    skipped : callable
        Which regions are there already, by number.
    """
    lock = threading.Lock()

    def one(number: int) -> None:
        region = grid.region(number)
        with one_thread() if workers > 1 else nullcontext():
            target[region] = of_region(level, source, region, backend)
        with lock:
            done(number)

    rest = (number for number in range(len(grid)) if not skipped(number))
    if workers == 1:
        for number in rest:
            one(number)
        return
    with ThreadPoolExecutor(workers, "fastpool") as pool:
        running: set[Future[None]] = set()
        for number in rest:
            if len(running) == workers:  # so that an error or Ctrl-C waits for these alone
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    future.result()
            running.add(pool.submit(one, number))
        for future in running:
            future.result()

"""Pyramids of Dask arrays: chunks of whole blocks, joined again from level to level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

import dask.array as da
import numpy as np
from numpy.typing import DTypeLike

from ...api.regions import of_cells
from ...api.types import BackendName
from ...dispatch import defaults
from ...process.threads import one_thread
from ...rules.arrays import data_type
from ...rules.levels import Factors, Level, plan_levels
from .halo import known


def pyramid(
    x: Any,
    factors: Factors | Sequence[Factors] = 2,
    levels: SupportsIndex | None = None,
    method: str = "mean",
    *,
    axes: Any = None,
    boundary: str = "partial",
    skipna: bool = False,
    nodata: Any = None,
    min_count: int = 1,
    dtype: DTypeLike | None = None,
    backend: BackendName | None = None,
) -> list[Any]:
    """All levels of a pyramid of a Dask array, as those of `fastpool.pyramid`, to the bit.

    Nothing is computed. The chunks of a level are whole blocks of the one before, and small ones
    are joined, so that those of all levels are about as large as the largest of `x`. To compute
    several levels in one go reads `x` once: ``dask.compute(*levels)``.

    Parameters
    ----------
    x : dask.array.Array or array_like
        In any chunks.
    factors, levels, method, axes, boundary, skipna, nodata, min_count, dtype, backend
        As in `fastpool.pyramid`.

    Returns
    -------
    list of dask.array.Array
        The levels, `x` first.

    Raises
    ------
    ValueError, TypeError
        As there.

    Examples
    --------
    >>> import dask.array as da
    >>> from fastpool.interop.dask import pyramid
    >>> x = da.zeros((1000, 1000), chunks=(300, 300), dtype="uint8")
    >>> [level.chunks[0] for level in pyramid(x, levels=3)]
    [(300, 300, 300, 100), (300, 200), (250,), (125,)]
    """
    x = known("pyramid", "x", x)
    result = None if dtype is None else data_type("pyramid", "dtype", dtype)
    planned = plan_levels(
        "pyramid", x.shape, x.dtype, factors, levels, method, axes=axes, boundary=boundary,
        skipna=skipna, nodata=nodata, min_count=min_count, result=result,
    )  # fmt: skip
    chosen = defaults.resolve("pyramid", backend)
    sides = [max(sizes, default=1) for sizes in x.chunks]
    made = [x]
    for level in planned:
        made.append(_shrunk(made[-1], level, sides, chosen))
    return made


def _shrunk(x: Any, level: Level, sides: Sequence[int], backend: Any) -> Any:
    """A level, of chunks up to so long that they are whole blocks of the one before."""
    chunks = tuple(
        _joined(sizes, factor, length, side)
        for sizes, factor, length, side in zip(
            x.chunks, level.factors, level.shape, sides, strict=True
        )
    )
    reached = tuple(
        _reached(along, factor, size)
        for along, factor, size in zip(chunks, level.factors, x.shape, strict=True)
    )
    # What "trim" leaves out is in no chunk.
    kept = x[tuple(slice(sum(along)) for along in reached)].rechunk(reached)
    meta = np.empty((0,) * x.ndim, level.result)
    return da.map_blocks(_on_chunk, kept, level, backend, chunks=chunks, meta=meta, token="pyramid")


def _on_chunk(cells: np.ndarray, level: Level, backend: BackendName) -> np.ndarray:
    with one_thread():
        return of_cells(level, cells, backend)


def _joined(sizes: Sequence[int], factor: int, length: int, side: int) -> tuple[int, ...]:
    """Chunks of a level: those that begin in a chunk of the one before, joined up to a side."""
    found: list[int] = []
    before = end = 0
    for size in sizes:
        end += size
        stop = min(-(-end // factor), length)
        if stop == before:
            continue
        if found and found[-1] + stop - before <= side:
            found[-1] += stop - before
        else:
            found.append(stop - before)
        before = stop
    return tuple(found) or (0,)


def _reached(chunks: Sequence[int], factor: int, size: int) -> tuple[int, ...]:
    """The cells of each chunk's blocks."""
    found, begin = [], 0
    for chunk in chunks:
        stop = min(begin + chunk * factor, size)
        found.append(stop - begin)
        begin = stop
    return tuple(found)

"""Pyramids of Zarr arrays of any size, written level by level, chunk by chunk."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np
import zarr
from numpy.typing import DTypeLike

from ...api.regions import Copied, Grid, Progress, grid_of, make
from ...api.types import BackendName
from ...process.progress import Bar
from ...rules.arrays import data_type
from ...rules.levels import Factors, Level, per_level, plan_levels
from ...rules.masks import as_array, refuse_masks
from . import metadata, record
from .layout import Layout, is_level_0, written_at_once

__all__ = ["write_pyramid"]


def write_pyramid(
    x: Any,
    group: Any,
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
    chunks: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    spacing: Sequence[float] | None = None,
    unit: str | None = None,
    memory: int = 2**28,
    workers: int = 1,
    progress: bool | Progress = False,
    backend: BackendName | None = None,
) -> list[zarr.Array]:
    """Write all levels of a pyramid into a Zarr group, as the arrays "0", "1", "2" and so on.

    An array of any size needs `memory` bytes and no more: regions of whole chunks are read, shrunk
    and written, each once. The levels have the bits of `fastpool.pyramid`.

    A run that ends early, killed or not, leaves a group that says so in its attributes and has no
    metadata of OME-Zarr. The same call again goes on where it ended.

    Parameters
    ----------
    x : zarr.Array, dask.array.Array or array_like
        What is shrunk. If it is the array "0" of `group`, it stays as it is; else it is copied
        there. What is sliced gives arrays of NumPy: of an array of Dask, a region is computed at a
        time.
    group : zarr.Group, or what `zarr.open_group` opens
        Where the levels are written. Its format says which version of OME-Zarr they follow: 0.4
        for Zarr 2, 0.5 for Zarr 3.
    factors, method, axes, boundary, skipna, nodata, min_count, dtype, backend
        As in `fastpool.pyramid`; `nodata` becomes the fill value of what is written.
    levels : int, optional
        How many are made of `x`. By default until one chunk holds all cells of the axes that
        shrink.
    chunks : sequence of int, optional
        Of all levels; by default those of `x`. Zarr chooses where it has none. Levels that are
        smaller than a chunk have smaller ones. An array with shards has levels with shards.
    names : sequence of str, optional
        The axes, of "t", "c", "z", "y", "x": with these the group becomes an image of OME-Zarr. By
        default what a Zarr array says of its dimensions, if these are such names.
    spacing : sequence of float, optional
        The distance of neighbouring cells of `x` for each axis, 1 by default, in units of `unit`.
    unit : str, optional
        Of the axes of space, such as "micrometer".
    memory : int
        How many bytes the regions in work may take, if it is more than a chunk of a level needs.
    workers : int
        How many threads make regions, each another one. A call of `downsample` uses several by
        itself, but reading and writing does not.
    progress : bool or callable
        True draws a bar on standard error, if that is a terminal. A function is called with how
        many cells are written, of how many.

    Returns
    -------
    list of zarr.Array
        The levels, `x` or its copy first.

    Raises
    ------
    FileExistsError
        The group has levels already.
    ValueError, TypeError
        Wrong arguments, or an unfinished pyramid with others.

    Examples
    --------
    >>> import zarr
    >>> from fastpool.interop.zarr import write_pyramid
    >>> image = np.arange(60, dtype=np.uint8).reshape(6, 10)
    >>> group = zarr.create_group({})
    >>> [level.shape for level in write_pyramid(image, group, chunks=(2, 4), names="yx")]
    [(6, 10), (3, 5), (2, 3)]
    >>> group.attrs["ome"]["multiscales"][0]["datasets"][1]["coordinateTransformations"]
    [{'type': 'scale', 'scale': [2.0, 2.0]}, {'type': 'translation', 'translation': [0.5, 0.5]}]
    """
    if not hasattr(x, "shape"):
        x = as_array("write_pyramid", "x", x)
    for each in (x, getattr(x, "_meta", None)):  # what Dask's blocks are
        if isinstance(each, np.ma.MaskedArray):
            refuse_masks("write_pyramid", "x", each)
    if not isinstance(group, zarr.Group):
        group = zarr.open_group(group, mode="a")
    shape, dimensions = tuple(map(int, x.shape)), len(x.shape)
    workers, memory = operator.index(workers), operator.index(memory)
    if workers < 1 or memory < 1:
        raise ValueError(f"write_pyramid: workers {workers} and memory {memory} must be positive")
    result = None if dtype is None else data_type("write_pyramid", "dtype", dtype)
    planned = plan_levels(
        "write_pyramid", shape, x.dtype, factors, levels, method, axes=axes, boundary=boundary,
        skipna=skipna, nodata=nodata, min_count=min_count, result=result,
    )  # fmt: skip
    axis_names = _names(x, names)
    distances = metadata.check_spacing(spacing, dimensions)
    layout = Layout.of(x, group.metadata.zarr_format, chunks, nodata, axis_names)
    own = is_level_0(x, group)
    record.tidy(group)
    for name in "01"[own:]:
        if record.ATTRIBUTE not in group.attrs and name in group:
            raise FileExistsError(f'write_pyramid: the group has an array "{name}" already')
    record.begin(
        group,
        {
            "shape": list(shape),
            "dtype": np.dtype(x.dtype).str,
            "levels": None if levels is None else len(planned),
            "factors": [list(level.factors) for level in planned],
            "method": method,
            "boundary": boundary,
            "skipna": bool(skipna),
            "nodata": repr(nodata),
            "min_count": operator.index(min_count),
            "dtype of levels": str(dtype),
            **layout.described(),
        },
    )
    first = x if own else _level(group, layout, "0", shape, np.dtype(x.dtype))
    if levels is None and not per_level(factors):
        planned = _until_one_chunk(first, planned)
    targets = [first]
    for number, level in enumerate(planned, 1):
        targets.append(_level(group, layout, str(number), level.shape, level.result))
    work: list[tuple[Level | Copied, Any, zarr.Array]] = []
    if not own:
        work.append((Copied((1,) * dimensions, shape, np.dtype(x.dtype)), x, first))
    work += zip(planned, targets, targets[1:], strict=False)

    bar = Bar("pyramid") if progress is True else None
    report: Progress = bar or (progress if callable(progress) else _ignore)
    written, total = 0, sum(math.prod(target.shape) for _, _, target in work)
    for part, source, target in work:
        sides, itemsize = written_at_once(target), source.dtype.itemsize
        grid = grid_of(part, itemsize, sides, memory / workers)
        marks = record.marks_of(group, target.basename, grid)
        ready = marks[:]
        written += sum(map(grid.cells, np.flatnonzero(ready).tolist()))

        def done(number: int, marks: Any = marks, grid: Grid = grid) -> None:
            nonlocal written
            marks[number] = 1
            written += grid.cells(number)
            report(written, total)

        make(
            part, source, target, grid, backend=backend, workers=workers, done=done,
            skipped=ready.__getitem__,
        )  # fmt: skip
    if bar is not None:
        bar.close()
    attributes = {}
    if axis_names is not None:
        title, steps = group.basename or "image", [level.factors for level in planned]
        entry = metadata.multiscales(title, axis_names, distances, unit, steps, method)
        attributes = metadata.attributes(group.metadata.zarr_format, entry)
    record.finish(group, attributes)
    return targets


def _ignore(done: int, total: int) -> None:
    """Nobody wants to know."""


def _level(
    group: zarr.Group, layout: Layout, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> zarr.Array:
    """The array of a level, which an earlier run may have made."""
    if name in group:
        return group[name]
    record.forget(group, name)
    return group.create_array(name, **layout.arguments(shape, dtype))


def _names(x: Any, names: Sequence[str] | None) -> tuple[str, ...] | None:
    """The axes by name, if any are given, or the array's own are names of OME-Zarr."""
    dimensions = len(x.shape)
    if names is not None:
        return metadata.check_axes(names, dimensions)
    own = getattr(getattr(x, "metadata", None), "dimension_names", None)
    try:
        return metadata.check_axes(own, dimensions) if own and all(own) else None
    except ValueError:
        return None


def _until_one_chunk(first: zarr.Array, planned: list[Level]) -> list[Level]:
    """The levels up to the first whose axes that shrink fit in a chunk."""
    shape = first.shape
    for number, level in enumerate(planned):
        sizes = zip(shape, first.chunks, level.factors, strict=True)
        if all(size <= side for size, side, factor in sizes if factor > 1):
            return planned[:number]
        shape = level.shape
    return planned

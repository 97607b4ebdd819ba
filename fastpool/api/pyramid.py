"""Pyramids: an array at several scales, each level made from the one before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike

from ..rules.arrays import data_type
from ..rules.levels import Factors, by_dim, plan_levels
from ..rules.masks import as_array
from . import guests
from .downsample import Boundary, Method, downsample
from .types import BackendName


def pyramid(
    x: Any,
    factors: Factors | Sequence[Factors] = 2,
    levels: SupportsIndex | None = None,
    method: Method = "mean",
    *,
    axes: Any = None,
    boundary: Boundary = "partial",
    skipna: bool = False,
    nodata: Any = None,
    min_count: int = 1,
    dtype: DTypeLike | None = None,
    backend: BackendName | None = None,
) -> list[Any]:
    """All levels of a pyramid: `x`, `x` shrunk once, twice, and so on.

    Each level is made from the one before, as by `downsample`: ``levels[k + 1]`` has the bits of
    ``downsample(levels[k], factors, method, ...)``.

    Parameters
    ----------
    x : array_like
        An array of any number of axes, in any order in memory, as `downsample` takes it. Tensors,
        JAX arrays, Dask arrays and DataArrays have levels of their own kind.
    factors : int, sequence of int, or sequence of these for each level
        By how much an axis shrinks from a level to the next, as in `downsample`. A sequence of
        sequences has the factors of each level, for volumes whose slices lie far apart:
        ``[(1, 2, 2), (1, 2, 2), (2, 2, 2)]``.
    levels : int, optional
        How many levels are made of `x`: the result has one more. By default all that there are:
        until no axis can shrink any further; with the boundaries "trim" and "exact", as long as
        every axis keeps a cell, and each factor divides.
    method : str
        What a block becomes, as in `downsample`. A mean of integers is rounded at each level, since
        the next one is made from it; ``dtype=np.float32`` keeps the fractions.
    axes : int or sequence of int, optional
        Which axes shrink; all by default. An image with channels names its two.
    boundary, skipna, nodata, min_count, dtype, backend
        As in `downsample`, for every level. A block counts its valid cells in the level that it is
        made from.

    Returns
    -------
    list of array
        Level 0 is `x` itself, not a copy; level k has been shrunk k times.

    Raises
    ------
    ValueError, TypeError
        Wrong arguments, as in `downsample`; `levels` that are negative, or not as many as factors.

    See Also
    --------
    downsample : One level.

    Examples
    --------
    >>> image = np.arange(60, dtype=np.uint8).reshape(6, 10)
    >>> [level.shape for level in fastpool.pyramid(image)]
    [(6, 10), (3, 5), (2, 3), (1, 2), (1, 1)]
    >>> image, half, quarter = fastpool.pyramid(image, levels=2, method="max")
    >>> quarter
    array([[33, 37, 39],
           [53, 57, 59]], dtype=uint8)

    An image with channels, and a volume with slices that lie twice as far apart as its pixels:

    >>> photograph = np.zeros((400, 600, 3), np.uint8)
    >>> [level.shape for level in fastpool.pyramid(photograph, levels=2, axes=(0, 1))]
    [(400, 600, 3), (200, 300, 3), (100, 150, 3)]
    >>> volume = np.zeros((50, 200, 200), np.uint16)
    >>> [level.shape for level in fastpool.pyramid(volume, [(1, 2, 2), (2, 2, 2)])]
    [(50, 200, 200), (50, 100, 100), (25, 50, 50)]
    """
    guest = guests.guest_of(x)
    if guest is not None:
        options = axes, boundary, skipna, nodata, min_count, dtype, backend
        return _of_guest(guest.load(), x, factors, levels, method, *options)
    masked = issubclass(type(x), np.ma.MaskedArray)
    if not masked:
        x = as_array("pyramid", "x", x)
    result = None if dtype is None else data_type("pyramid", "dtype", dtype)
    planned = plan_levels(
        "pyramid", x.shape, x.dtype, factors, levels, method, masked=masked, axes=axes,
        boundary=boundary, skipna=skipna, nodata=nodata, min_count=min_count, result=result,
    )  # fmt: skip
    made = [x]
    for level in planned:
        # Slab by slab, so that a slab's further levels find it in the cache, takes 1.1 to 1.2 of
        # the time on 2 cores: levels 2 to 5 together take an eighth of it, and more calls more.
        made.append(downsample(made[-1], level.factors, **level.options, backend=backend))
    return made


def _of_guest(
    adapter: Any, x: Any, factors: Any, levels: Any, method: Any, *options: Any
) -> list[Any]:
    """The levels of an array of another library, made by its own pyramid, or one by one."""
    axes, boundary, skipna, nodata, min_count, dtype, backend = options
    if hasattr(adapter, "pyramid"):
        own: list[Any] = adapter.pyramid(
            x, factors, levels, method, axes=axes, boundary=boundary, skipna=skipna,
            nodata=nodata, min_count=min_count, dtype=dtype, backend=backend,
        )  # fmt: skip
        return own
    if hasattr(x, "dims"):
        factors = by_dim("pyramid", x.dims, factors)
    # What dtype the array has, its adapter knows: it refuses what does not go with it.
    planned = plan_levels(
        "pyramid", tuple(x.shape), np.dtype(np.float64), factors, levels, "max", axes=axes,
        boundary=boundary,
    )  # fmt: skip
    made = [x]
    for level in planned:
        missing = nodata if len(made) == 1 or method not in ("any", "all") else None
        found = downsample(
            made[-1], level.factors, method, boundary=boundary, skipna=skipna, nodata=missing,
            min_count=min_count, dtype=dtype, backend=backend,
        )  # fmt: skip
        made.append(found)
    return made

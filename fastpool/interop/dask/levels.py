"""Pyramids of Dask arrays: chunks of whole blocks, joined again from level to level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, SupportsIndex

import dask.array as da
import numpy as np
from numpy.typing import DTypeLike

from ...api.types import BackendName
from ...rules.arrays import data_type
from ...rules.levels import Factors, plan_levels
from .blocks import downsample


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

    Nothing is computed. The chunks of a level are joined again, so that those of all levels have
    about as many cells as the largest of `x`. To compute several levels in one go reads `x` once:
    ``dask.compute(*levels)``.

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
    x = x if isinstance(x, da.Array) else da.asarray(x)
    if any(np.isnan(size) for size in x.shape):
        raise ValueError("pyramid: x has chunks of unknown sizes; compute_chunk_sizes() finds them")
    result = None if dtype is None else data_type("pyramid", "dtype", dtype)
    planned = plan_levels(
        "pyramid", x.shape, x.dtype, factors, levels, method,
        masked=isinstance(x._meta, np.ma.MaskedArray), axes=axes, boundary=boundary,
        skipna=skipna, nodata=nodata, min_count=min_count, result=result,
    )  # fmt: skip
    sides = [max(sizes, default=1) for sizes in x.chunks]
    made = [x]
    for level in planned:
        given = (
            level.factors, method, None, boundary, skipna, level.nodata, min_count, result
        )  # fmt: skip
        found = downsample(made[-1], given, backend)
        # Chunks are joined when they are small: eight times less is moved than before.
        made.append(found.rechunk(_fewer(found.chunks, sides)))
    return made


def _fewer(chunks: Sequence[tuple[int, ...]], sides: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Chunks joined to such sides, and on to as many cells where an axis has chunks of few."""
    found = [_joined(sizes, side) for sizes, side in zip(chunks, sides, strict=True)]
    most = [max(sizes, default=1) for sizes in found]
    for axis, sizes in enumerate(found):
        room = math.prod(sides) // max(1, math.prod(most))
        if room > 1:
            found[axis] = _joined(sizes, most[axis] * room)
            most[axis] = max(found[axis], default=1)
    return tuple(found)


def _joined(sizes: Sequence[int], side: int) -> tuple[int, ...]:
    """Chunks in a row joined, up to a side."""
    found: list[int] = []
    for size in sizes:
        if found and found[-1] + size <= side:
            found[-1] += size
        else:
            found.append(size)
    return tuple(found)

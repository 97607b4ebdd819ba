"""`downsample` of Dask arrays: chunks whose borders are borders of blocks, each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ...api.downsample import downsampled, understood
from ...dispatch import defaults
from ...process.threads import one_thread
from ...rules.downsampling import NAME, factors_of


def downsample(x: Any, given: tuple[Any, ...], backend: Any) -> Any:
    """The Dask array of what becomes of blocks."""
    chosen = defaults.resolve(NAME, backend)
    if any(np.isnan(size) for size in x.shape):
        raise ValueError(f"{NAME}: x has chunks of unknown sizes; compute_chunk_sizes() finds them")
    blocks, (factors, method, axes, *rest) = understood(x, given)
    wanted = factors_of(factors, axes, x.shape)
    ends = [
        min(size, count * factor)
        for size, count, factor in zip(x.shape, blocks.outputs, wanted, strict=True)
    ]
    x = x[tuple(map(slice, ends))]  # "trim" leaves out the others
    x = x.rechunk(tuple(map(_fitted, x.chunks, wanted)))
    chunks = tuple(
        tuple(-(-size // factor) for size in sizes)
        for sizes, factor in zip(x.chunks, wanted, strict=True)
    )
    empty = np.ma.empty if isinstance(x._meta, np.ma.MaskedArray) else np.empty
    return x.map_blocks(
        _chunk, (wanted, method, None, *rest), chosen, dtype=blocks.result, chunks=chunks,
        meta=empty((0,) * x.ndim, blocks.result), name=None, token=NAME,
    )  # fmt: skip


def _fitted(sizes: Sequence[int], factor: int) -> tuple[int, ...]:
    """Chunks whose borders lie between blocks, where the next such border is."""
    size = sum(sizes)
    ends = {min(size, -(-end // factor) * factor) for end in accumulate(sizes)}
    borders = sorted({0, *ends})
    return tuple(stop - start for start, stop in pairwise(borders)) or (0,)


def _chunk(chunk: Any, given: tuple[Any, ...], backend: str) -> Any:
    with one_thread():
        return downsampled(chunk, given, backend)

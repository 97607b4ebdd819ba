"""The chunks that windows put values in: which windows reach each, and what of theirs it keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise, product
from typing import Any, NamedTuple

import numpy as np
from dask.array.core import normalize_chunks

from ...rules.axis import Axis
from ...rules.call import Call
from .halo import borders, spatial, with_spatial


class Target(NamedTuple):
    """A chunk that values go to."""

    cells: tuple[tuple[int, int], ...]  # from which on up to which, along each spatial axis
    windows: tuple[tuple[int, int], ...]  # that reach them
    shape: tuple[int, ...]
    start: tuple[int, ...]  # the position of the first of the windows in the whole array

    @property
    def reached(self) -> bool:
        """Whether there are such windows."""
        return all(first < stop for first, stop in self.windows)


def normalized(call: Call, values: Any, chunks: Any) -> Any:
    """The chunks of a result: those asked for, or those that suit the chunks of the values."""
    if chunks is None:
        pairs = zip(call.geometry.axes, spatial(call, values.chunks), strict=True)
        chunks = with_spatial(call, values.chunks, [_chunks(*pair) for pair in pairs])
    return normalize_chunks(chunks, call.geometry.input_shape, dtype=call.dtype)


def _chunks(axis: Axis, sizes: Sequence[int]) -> tuple[int, ...]:
    """Chunks of the cells that end where the windows of the next chunk start."""
    starts = [axis.start(stop) for stop in [*accumulate(sizes)][:-1]]
    stops = [*(min(max(start, 0), axis.size) for start in starts), axis.size]
    return tuple(stop - first for first, stop in pairwise((0, *stops)) if stop > first)


def targets(call: Call, chunks: Any) -> Iterator[tuple[tuple[int, ...], Target]]:
    """Each chunk, and its position among all."""
    axes, along = call.geometry.axes, [borders(sizes) for sizes in chunks]
    for key in product(*map(range, map(len, chunks))):
        limits = [each[number] for each, number in zip(along, key, strict=True)]
        cells = tuple(spatial(call, limits))
        windows = tuple(axis.reaching(*pair) for axis, pair in zip(axes, cells, strict=True))
        start = with_spatial(call, [low for low, _ in limits], [first for first, _ in windows])
        yield key, Target(cells, windows, tuple(b - a for a, b in limits), start)


def parts_of(call: Call, windows: Sequence[tuple[int, int]]) -> list[tuple[int, int, Axis]]:
    """`Axis.part` of some windows, along each axis."""
    pairs = zip(call.geometry.axes, windows, strict=True)
    return [axis.part(*limits) for axis, limits in pairs]


def cut_to(
    call: Call, target: Target, reached: np.ndarray, parts: Sequence[tuple[int, int, Axis]]
) -> np.ndarray:
    """A chunk, of all that its windows reach, which `Axis.part` gave; zeros where they do not."""
    result = np.zeros(target.shape, call.dtype)
    here, there = [], []
    for (low, high), (first, last, _) in zip(target.cells, parts, strict=True):
        both = max(low, first), min(high, last)
        here.append(slice(both[0] - low, both[1] - low))
        there.append(slice(both[0] - first, both[1] - first))
    before = (slice(None),) * len(call.geometry.lead)
    result[(*before, *here)] = reached[(*before, *there)]
    return result

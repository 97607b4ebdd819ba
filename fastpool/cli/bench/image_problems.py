"""What is computed of images, volumes and labels, and fastpool's way to do it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

import fastpool

from ...api.types import BackendName
from .problems import Contender

DOWNSAMPLE, PYRAMID, PEAKS = "downsample", "pyramid", "peaks"
MAXIMUM, MINIMUM, UNIFORM = FILTERS = ("maximum_filter", "minimum_filter", "uniform_filter")
NAN, NODATA = "NaN", "nodata"
# The number that is missing, the share of missing cells, and the side of a segment of labels: odd
# so that blocks lie across its borders.
NUMBER, MISSING, SEGMENT = -9999.0, 0.3, 9
LEVELS = 5


@dataclass(frozen=True)
class Image:
    """A call on random data, which are made when needed.

    Attributes
    ----------
    function : str
        Its name.
    shape : tuple of int
        Of the array.
    size : int
        A factor, the size of a window, or the distance of peaks.
    dtype : str
        Of the array.
    method : str
        Of `downsample` and `pyramid`.
    missing : str
        Which cells are missing: `NAN`, `NODATA`, or none of them.
    axes : int
        How many axes, the first ones, are pooled; 0 for all.
    """

    function: str
    shape: tuple[int, ...]
    size: int
    dtype: str = "uint8"
    method: str = ""
    missing: str = ""
    axes: int = 0

    def __str__(self) -> str:
        name = self.method if self.function == DOWNSAMPLE else self.function
        parts = (name, self.shape, f"k{self.size}", self.dtype, self.missing)
        return " ".join(str(part) for part in parts if part)

    @property
    def pooled(self) -> int:
        """How many axes are pooled."""
        return self.axes or len(self.shape)

    @property
    def floats(self) -> bool:
        """Whether the cells are floats."""
        return np.dtype(self.dtype).kind == "f"

    @property
    def factors(self) -> tuple[int, ...]:
        """Cells of a block along each axis."""
        return (self.size,) * self.pooled + (1,) * (len(self.shape) - self.pooled)

    @cached_property
    def x(self) -> np.ndarray:
        """Noise of the whole range, segments of labels, or for peaks a smooth image."""
        rng, dtype = np.random.default_rng(0), np.dtype(self.dtype)
        if self.method == "mode":
            sides = [-(-size // SEGMENT) for size in self.shape]
            labels = rng.integers(0, min(np.iinfo(dtype).max, 50_000), sides).astype(dtype)
            for axis in range(labels.ndim):
                labels = np.repeat(labels, SEGMENT, axis)
            return np.ascontiguousarray(labels[tuple(map(slice, self.shape))])
        if not self.floats:
            return rng.integers(0, np.iinfo(dtype).max, self.shape, dtype, endpoint=True)
        x = rng.random(self.shape, np.float32)
        if self.function == PEAKS:
            for _ in range(3):
                x = fastpool.uniform_filter(x, 7)
            x += rng.random(self.shape, np.float32) / 1000
        if self.missing:
            x[rng.random(self.shape) < MISSING] = np.nan if self.missing == NAN else NUMBER
        return x

    @cached_property
    def expected(self) -> tuple[np.ndarray, ...]:
        """What the NumPy backend computes."""
        return by_fastpool(self, "numpy").outputs

    @property
    def traffic(self) -> int:
        """The bytes that a call must read and write at least."""
        written = 0 if self.function == PEAKS else sum(each.nbytes for each in self.expected)
        return self.x.nbytes + written


def by_fastpool(image: Image, backend: BackendName) -> Contender:
    """fastpool on one of its backends, into preallocated outputs where the function takes them.

    Raises
    ------
    NotImplementedError
        The backend cannot be used here.
    """
    options: dict[str, Any] = {"backend": backend}
    if image.function in (DOWNSAMPLE, PYRAMID):
        options |= {"method": image.method, "axes": tuple(range(image.pooled))}
    if image.function == PYRAMID:
        options["levels"] = LEVELS
    if image.missing:
        options |= {"skipna": True} if image.missing == NAN else {"nodata": NUMBER}
    function = getattr(fastpool, image.function)
    call: Callable[..., Any] = partial(function, image.x, image.size, **options)
    try:
        found = call()
    except fastpool.BackendUnavailable as error:
        raise NotImplementedError(str(error)) from error
    if image.function == PYRAMID:
        return Contender(call, tuple(found[1:]))
    if image.function != PEAKS:
        call = partial(call, **{"out" if image.function == DOWNSAMPLE else "output": found})
    return Contender(call, (found,))

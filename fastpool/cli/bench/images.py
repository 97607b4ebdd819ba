"""Images, volumes and labels: what ``python -m fastpool bench --images`` measures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from . import measure
from .image_libraries import LIBRARIES
from .image_problems import (
    DOWNSAMPLE,
    FILTERS,
    NAN,
    NODATA,
    PEAKS,
    PYRAMID,
    Image,
    by_fastpool,
)
from .peers import COPY, FASTPOOL, NUMPY, copied
from .problems import Contender, load

PLANE, VOLUME, FILTERED = (4096, 4096), (256, 256, 256), (2048, 2048)
DTYPES = ("uint8", "uint16", "float32")


def _smaller(method: str, dtypes: Sequence[str], *shapes: tuple[int, ...]) -> list[Image]:
    return [Image(DOWNSAMPLE, shape, 2, each, method) for shape in shapes for each in dtypes]


# By name, what is measured. A part takes up to half a minute on two cores.
PARTS: dict[str, list[Image]] = {
    "extremes": [*_smaller("max", DTYPES, PLANE), *_smaller("min", DTYPES, PLANE)],
    "means": [
        *_smaller("mean", DTYPES, PLANE),
        Image(DOWNSAMPLE, (*PLANE, 3), 2, method="mean", axes=2),
    ],
    "labels": _smaller("mode", ("uint8", "uint32", "uint64"), PLANE, VOLUME),
    "medians": _smaller("median", DTYPES, PLANE, VOLUME),
    "missing": [
        Image(DOWNSAMPLE, PLANE, 2, "float32", "mean", missing) for missing in (NAN, NODATA)
    ],
    "pyramid": [Image(PYRAMID, (512, 512, 512), 2, "uint8", "mean")],
    "filters": [
        Image(name, FILTERED, size, dtype)
        for name in FILTERS
        for dtype in ("uint8", "float32")
        for size in (3, 25)
    ],
    "peaks": [Image(PEAKS, FILTERED, distance, "float32") for distance in (1, 5)],
}


def by_numba(image: Image, threads: int) -> Contender:
    """fastpool with the Numba backend, which is what the others are compared with."""
    load("numba").set_num_threads(threads)
    return by_fastpool(image, "numba")


def by_numpy(image: Image, threads: int) -> Contender:
    """fastpool with the NumPy backend, on one thread."""
    return by_fastpool(image, "numpy")


def copy(image: Image, threads: int) -> Contender:
    """The limit: a copy that reads and writes as many bytes in all as the call must."""
    return copied(image.traffic, threads)


CONTENDERS: dict[str, Callable[[Image, int], Contender]] = {
    FASTPOOL: by_numba,
    NUMPY: by_numpy,
    COPY: copy,
    **LIBRARIES,
}


def prepare(image: Image, names: Iterable[str], threads: int) -> dict[str, Contender]:
    """Those of the contenders that can be used here, after a comparison of their results."""
    image = replace(image)  # a copy, so that its data are freed with the contenders
    makers = {name: partial(CONTENDERS[name], image, threads) for name in names}
    return dict(measure.agreeing(makers, image.expected, str(image)))


def measure_image(image: Image, threads: int, rounds: int) -> dict[str, float]:
    """The seconds of one call of each contender, in one interleaved run, by who it is."""
    ready = prepare(image, CONTENDERS, threads)
    return measure.interleaved({name: each.call for name, each in ready.items()}, rounds)

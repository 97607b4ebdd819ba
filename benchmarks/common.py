"""Shared cases, seeded data, and calls that are ready to be timed.

asv calls ``setup`` before every sample; what is prepared here is kept, so that only the
first one takes time. Every parameter combination runs in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

import fastpool


class Case(NamedTuple):
    """A pooling of a float32 input; `shape` is given as NCHW."""

    shape: tuple[int, int, int, int]
    kernel: int
    stride: int
    padding: int


# Smallest first. A call on the tiny plane is nothing but overhead; small planes come out of
# the last layers of a network; 8192x8192 is one large plane; wide windows are where a cost
# that grows with the window would show.
CASES = {
    "1x1x4x4 k2 s2": Case((1, 1, 4, 4), 2, 2, 0),
    "32x512x7x7 k2 s2": Case((32, 512, 7, 7), 2, 2, 0),
    "32x512x7x7 k3 s1 p1": Case((32, 512, 7, 7), 3, 1, 1),
    "32x512x14x14 k2 s2": Case((32, 512, 14, 14), 2, 2, 0),
    "8x192x28x28 k3 s1 p1": Case((8, 192, 28, 28), 3, 1, 1),
    "16x64x112x112 k3 s2 p1": Case((16, 64, 112, 112), 3, 2, 1),
    "8x64x224x224 k2 s2": Case((8, 64, 224, 224), 2, 2, 0),
    "1x1x8192x8192 k2 s2": Case((1, 1, 8192, 8192), 2, 2, 0),
    "1x512x20x20 k13 s1 p6": Case((1, 512, 20, 20), 13, 1, 6),
    "1x3x512x512 k31 s1 p15": Case((1, 3, 512, 512), 31, 1, 15),
}
TINY, SMALL, SMALL_OVERLAPPING, MIDDLE, OVERLAPPING, STEM, LARGE, HUGE, DENSE, WIDE = CASES

LAYOUTS = ["NCHW", "NHWC"]
BACKENDS = ["numpy", "numba"]
# What a forward returns: the maxima alone, or indices too, in one of the two formats.
RESULTS = ["values", "flat", "window"]
INDEX_FORMATS = ["flat", "window"]
# The family beside the maximum and the minimum, and the gradients that it has.
FAMILY = [
    "avgpool2d",
    "sumpool2d",
    "lppool2d",
    "modepool2d",
    "adaptive_avgpool2d",
    "adaptive_maxpool2d",
]
GRADIENTS = [
    f"{name}_backward"
    for name in ("avgpool2d", "lppool2d", "minpool2d", "adaptive_avgpool2d", "adaptive_maxpool2d")
]
# Those that return indices; of adaptive ones always flat ones.
PICKS = ("maxpool2d", "minpool2d", "modepool2d", "adaptive_maxpool2d")
# Adaptive windows of an axis, as before the last layers of a network.
ADAPTIVE_WINDOWS = 7
# Sides of images and of volumes, the smallest first, and what is computed of images: the arguments
# of `Image` beside the shape.
SIDES, VOLUME_SIDES = [64, 2048], [64, 256]
IMAGES = {
    "max": {"function": "downsample", "size": 2, "method": "max"},
    "mean": {"function": "downsample", "size": 2, "method": "mean"},
    "mode": {"function": "downsample", "size": 2, "method": "mode"},
    "median": {"function": "downsample", "size": 2, "method": "median"},
    "valid": {
        "function": "downsample",
        "size": 2,
        "method": "mean",
        "dtype": "float32",
        "missing": "NaN",
    },
    "pyramid": {"function": "pyramid", "size": 2, "method": "mean"},
    "filter": {"function": "maximum_filter", "size": 25},
    "peaks": {"function": "peaks", "size": 5, "dtype": "float32"},
}
# How the cells of an input lie in memory.
ORDERED, SWAPPED, TRANSPOSED = ARRANGEMENTS = ["C order", "byte-swapped", "transposed"]


def calls_per_sample(case: str) -> int:
    """The `number` of asv: the clock is read around a call, and a tiny one needs many."""
    return 1000 if case == TINY else 1


def random_array(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    """Normal floats, or integers over the whole range: nearly every window has one maximum."""
    dtype, rng = np.dtype(dtype), np.random.default_rng(0)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    if dtype == np.float64:
        return rng.standard_normal(shape)
    return rng.standard_normal(shape, np.float32).astype(dtype, copy=False)


def input_shape(case: str, layout: str) -> tuple[int, ...]:
    """The shape of the input of `case` in `layout`."""
    n, c, h, w = CASES[case].shape
    return (n, c, h, w) if layout == "NCHW" else (n, h, w, c)


def arranged(x: np.ndarray, arrangement: str) -> np.ndarray:
    """`x` with its cells lying in its memory in another way: nothing is allocated."""
    if arrangement == SWAPPED:
        return x.byteswap(inplace=True).view(x.dtype.newbyteorder())
    if arrangement == TRANSPOSED:
        *lead, height, width = x.shape
        return x.reshape(*lead, width, height).swapaxes(-1, -2)
    return x


def windows(case: str, function: str) -> dict[str, Any]:
    """What a function is told of the windows of `case`."""
    _, kernel, stride, padding = CASES[case]
    if function.startswith("adaptive"):
        return {"output_size": ADAPTIVE_WINDOWS}
    norm = {"norm_type": 2} if function.startswith("lp") else {}
    return norm | {"kernel_size": kernel, "stride": stride, "padding": padding}


def forward(
    x: np.ndarray, case: str, layout: str, backend: str, result: str, function: str = "maxpool2d"
) -> Callable[[], Any]:
    """A call of a pooling that allocates its outputs.

    Raises
    ------
    NotImplementedError
        This commit does not have the function, or the case would take minutes.
    """
    if not hasattr(fastpool, function):
        raise NotImplementedError(f"no {function} at this commit")
    if function == "modepool2d" and case not in (TINY, SMALL, MIDDLE, LARGE):
        raise NotImplementedError("the mode of windows of four taps alone")
    options = windows(case, function)
    if function in PICKS:
        options["return_indices"] = result != "values"
    if function in PICKS and not function.startswith("adaptive"):
        options["index_format"] = "flat" if result == "values" else result
    return partial(getattr(fastpool, function), x, **options, layout=layout, backend=backend)


def warmed(call: Callable[..., Any]) -> Callable[[], Any]:
    """`call` into the outputs of a first one, which has compiled and loaded everything.

    Raises
    ------
    NotImplementedError
        The backend cannot be used here: asv skips the benchmark.
    """
    try:
        return partial(call, out=call())
    except fastpool.BackendUnavailable as error:
        raise NotImplementedError(str(error)) from error


@lru_cache(maxsize=1)
def warm_forward(
    case: str,
    layout: str,
    backend: str,
    result: str,
    dtype: Any = np.float32,
    arrangement: str = ORDERED,
    function: str = "maxpool2d",
) -> Callable[[], Any]:
    """A warm call of a pooling into preallocated outputs."""
    if function == "modepool2d":
        dtype = np.uint8  # labels
    x = arranged(random_array(input_shape(case, layout), dtype), arrangement)
    return warmed(forward(x, case, layout, backend, result, function))


@lru_cache(maxsize=1)
def warm_fresh_forward(case: str, layout: str, backend: str, result: str) -> Callable[[], Any]:
    """A warm call of maxpool2d that allocates its outputs."""
    call = forward(random_array(input_shape(case, layout)), case, layout, backend, result)
    warmed(call)
    return call


@lru_cache(maxsize=1)
def warm_backward(
    case: str, layout: str, backend: str, index_format: str, function: str = "maxpool2d_backward"
) -> Callable[[], Any]:
    """A warm call of a backward into a preallocated gradient."""
    pool = function.removesuffix("_backward")
    x = random_array(input_shape(case, layout))
    pooled = warmed(forward(x, case, layout, backend, index_format, pool))()
    output = pooled.output if pool in PICKS else pooled
    if pool in PICKS:
        inputs = (pooled.indices, x.shape)
    else:
        inputs = (x,) if pool.startswith("lp") else (x.shape,)
    options = windows(case, pool)
    if pool in PICKS and not pool.startswith("adaptive"):
        options["index_format"] = index_format
    return warmed(
        partial(
            getattr(fastpool, function),
            random_array(output.shape),
            *inputs,
            **options,
            layout=layout,
            backend=backend,
        )
    )


@lru_cache(maxsize=1)
def warm_unpool(case: str, layout: str, backend: str, index_format: str) -> Callable[[], Any]:
    """A warm call of maxunpool2d into a preallocated output, of the size of the input."""
    _, kernel, stride, padding = CASES[case]
    shape = input_shape(case, layout)
    pooled = warmed(forward(random_array(shape), case, layout, backend, index_format))()
    return warmed(
        partial(
            fastpool.maxunpool2d,
            pooled.output,
            pooled.indices,
            kernel,
            stride,
            padding,
            output_size=CASES[case].shape[2:],
            index_format=index_format,
            layout=layout,
            backend=backend,
        )
    )


@lru_cache(maxsize=1)
def warm_contenders(
    case: str, task: str, *names: str, member: str = "max"
) -> dict[str, Callable[[], Any]]:
    """Warm calls of fastpool or others, which have been seen to give the same result.

    Raises
    ------
    NotImplementedError
        One of them cannot do it here, or this commit has no `fastpool.cli.bench`.
    """
    try:
        from fastpool.cli.bench import measure
        from fastpool.cli.bench.problems import Problem
    except ImportError as error:
        raise NotImplementedError(str(error)) from error
    threads = measure.available_threads()
    ready = measure.prepare(Problem(*CASES[case], member=member), {task: names}, threads)
    missing = [name for name in names if (name, task) not in ready]
    if missing:
        raise NotImplementedError(f"{missing}: not installed, or cannot do {task} of {case}")
    return {name: ready[name, task].call for name in names}


@lru_cache(maxsize=1)
def warm_image(backend: str, *arguments: Any) -> Callable[[], Any]:
    """A warm call on an image, which `arguments` say, into a preallocated result if it may be.

    Raises
    ------
    NotImplementedError
        The backend cannot be used here, or this commit has no such images.
    """
    try:
        from fastpool.cli.bench.image_problems import Image, by_fastpool
    except ImportError as error:
        raise NotImplementedError(str(error)) from error
    call: Callable[[], Any] = by_fastpool(Image(*arguments), backend).call
    return call


@lru_cache(maxsize=1)
def warm_image_contenders(side: int, image: str, name: str) -> dict[str, Callable[[], Any]]:
    """Warm calls of fastpool and another on an image, which give the same result.

    Raises
    ------
    NotImplementedError
        One of them cannot do it here, or this commit has no such images.
    """
    try:
        from fastpool.cli.bench import images, measure
        from fastpool.cli.bench.image_problems import Image
    except ImportError as error:
        raise NotImplementedError(str(error)) from error
    asked = Image(shape=(side, side), **IMAGES[image])
    ready = images.prepare(asked, ("fastpool", name), measure.available_threads())
    missing = [each for each in ("fastpool", name) if each not in ready]
    if missing:
        raise NotImplementedError(f"{missing}: not installed, or cannot do {asked}")
    return {each: contender.call for each, contender in ready.items()}


def ratio(case: str, calls: dict[str, Callable[[], Any]]) -> float:
    """Time of the first of two calls over that of the second, measured interleaved."""
    from fastpool.cli.bench.measure import interleaved

    own, other = interleaved(calls, number=100 if case == TINY else 1).values()
    return own / other

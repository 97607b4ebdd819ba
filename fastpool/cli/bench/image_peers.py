"""Pooling by what those have who work with images and arrays: values alone.

See `peers`, which lists them beside the libraries of neural networks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from .problems import (
    ADAPTIVE_AVERAGE,
    ADAPTIVE_MAXIMUM,
    AVERAGE,
    CLOSE,
    DIRECT_TAPS,
    MAXIMUM,
    MINIMUM,
    SUM,
    VALUES,
    Contender,
    Problem,
    load,
)

# What NumPy reduces the cells of a window with, and how it joins two views.
REDUCTIONS: dict[str, Any] = {MAXIMUM: np.max, MINIMUM: np.min, AVERAGE: np.mean, SUM: np.sum}
REDUCTIONS |= {ADAPTIVE_MAXIMUM: np.max, ADAPTIVE_AVERAGE: np.mean}
JOINS = {MAXIMUM: np.maximum, MINIMUM: np.minimum, AVERAGE: np.add, SUM: np.add}
FILTERS = {MAXIMUM: "maximum_filter", MINIMUM: "minimum_filter", AVERAGE: "uniform_filter"}
# The dtypes of `cv2.dilate`, `erode` and `blur`.
OPENCV_DTYPES = ("uint8", "uint16", "int16", "float32", "float64")
# Half-way averages of integers are rounded up by others.
ROUNDED = 1


def tolerance(problem: Problem) -> float:
    """What of the result is up to who computes it: nothing of a cell that is picked."""
    return 0 if problem.picks else CLOSE


def blocks_alone(name: str, problem: Problem, task: str) -> None:
    """Refuse all but values of windows that tile the input."""
    if task != VALUES or not problem.tiled or problem.member not in REDUCTIONS:
        raise NotImplementedError(f"{name}: values of windows that tile the input alone")


def of_blocks(problem: Problem, call: Callable[[], Any]) -> Contender:
    """A call whose result is rounded to integers, if integers are asked for."""
    rounded = call
    if problem.result:

        def rounded() -> Any:
            return np.rint(call()).astype(problem.result)

    return Contender(rounded, (rounded(),), tolerance=0 if problem.result else tolerance(problem))


def scikit_image(problem: Problem, task: str, threads: int) -> Contender:
    """scikit-image, which reduces blocks: windows that tile the input."""
    measure = load("skimage.measure")
    blocks_alone("scikit-image", problem, task)
    block = (1, 1, *[problem.kernel] * problem.axes)
    reduction = REDUCTIONS[problem.member]
    return of_blocks(problem, partial(measure.block_reduce, problem.x, block, reduction))


def local_mean(problem: Problem, task: str, threads: int) -> Contender:
    """scikit-image's function that shrinks images by averages."""
    transform = load("skimage.transform")
    if problem.member not in (AVERAGE, ADAPTIVE_AVERAGE):
        raise NotImplementedError("local mean: averages alone")
    blocks_alone("local mean", problem, task)
    block = (1, 1, *[problem.kernel] * problem.axes)
    return of_blocks(problem, partial(transform.downscale_local_mean, problem.x, block))


def reshape(problem: Problem, task: str, threads: int) -> Contender:
    """NumPy's reduction of two axes out of one: the shortest way to write it."""
    blocks_alone("reshape", problem, task)
    pairs = [(size // problem.kernel, problem.kernel) for size in problem.shape[2:]]
    blocks = problem.x.reshape(*problem.shape[:2], *(size for pair in pairs for size in pair))
    within = tuple(range(3, 3 + 2 * problem.axes, 2))
    call = partial(REDUCTIONS[problem.member], blocks, axis=within)
    if problem.result:
        return of_blocks(problem, call)
    return of_blocks(problem, partial(call, out=np.empty(problem.output_shape, problem.dtype)))


def slices(problem: Problem, task: str, threads: int) -> Contender:
    """NumPy's operation on one view for each tap: a short way to write it for windows that tile."""
    kernel, stride, padding, dilation = problem.arguments
    overlapping = kernel != stride or kernel == 1 or padding or dilation > 1
    if task != VALUES or overlapping or problem.result or problem.member not in JOINS:
        raise NotImplementedError("slices: values of windows that tile the input alone")

    def every(tap: int, size: int) -> slice:
        return slice(tap, tap + size * stride, stride)

    first, second, *others = (
        problem.x[(slice(None), slice(None), *map(every, taps, problem.output_shape[2:]))]
        for taps in product(range(kernel), repeat=problem.axes)
    )
    output = np.empty(problem.output_shape, problem.dtype)
    join, count = JOINS[problem.member], kernel**problem.axes

    def call() -> None:
        join(first, second, out=output)
        for view in others:
            join(output, view, out=output)
        if problem.member == AVERAGE:
            np.divide(output, count, out=output)

    call()
    # One tap after the other is fastpool's own order.
    near = 0 if count <= DIRECT_TAPS else tolerance(problem)
    return Contender(call, (output,), tolerance=near)


def scipy(problem: Problem, task: str, threads: int) -> Contender:
    """SciPy, whose filter has one output for each cell; those of the rim are cut off."""
    ndimage = load("scipy.ndimage")
    kernel, stride, padding, dilation = problem.arguments
    around = stride == 1 and dilation == 1 and padding <= (kernel - 1) // 2
    if task != VALUES or not around or problem.windows or problem.member not in FILTERS:
        raise NotImplementedError("SciPy: values of windows of stride 1, around a cell, alone")
    filtered = np.empty_like(problem.x)
    call = partial(
        getattr(ndimage, FILTERS[problem.member]),
        problem.x,
        (1, 1, *[kernel] * problem.axes),
        output=filtered,
        mode="constant",
        cval=problem.outside,
    )
    call()
    first = kernel // 2 - padding
    inside = [slice(None)] * 2 + [slice(first, first + size) for size in problem.output_shape[2:]]
    return Contender(call, (filtered[tuple(inside)],), tolerance=tolerance(problem))


def opencv(problem: Problem, task: str, threads: int) -> Contender:
    """OpenCV, which dilates plane by plane: one maximum for each cell, of which a stride picks.

    The window of a cell begins `padding` cells before it: that is what its anchor says. Averages
    of windows that tile are those of an image that is made smaller.
    """
    kernel, stride, padding, dilation = problem.arguments
    if task != VALUES or problem.axes != 2 or problem.windows or problem.member not in FILTERS:
        raise NotImplementedError("OpenCV: values of planes alone")
    (height, width), (rows, columns) = problem.shape[2:], problem.output_shape[2:]
    beyond = (rows - 1) * stride >= height or (columns - 1) * stride >= width
    if problem.dtype not in OPENCV_DTYPES or padding >= kernel or beyond:
        raise NotImplementedError(
            f"OpenCV: values of windows that begin at a cell alone, and of {OPENCV_DTYPES}"
        )
    if problem.member == AVERAGE and dilation > 1:
        raise NotImplementedError("OpenCV: no dilated averages")
    cv2 = load("cv2")
    cv2.setNumThreads(threads)
    output = np.empty(problem.output_shape, problem.dtype)
    planes = problem.x.reshape(-1, height, width)
    targets = output.reshape(-1, rows, columns)
    dilated = np.empty((height, width), problem.dtype)
    picked = dilated[: (rows - 1) * stride + 1 : stride, : (columns - 1) * stride + 1 : stride]
    taps = np.zeros([dilation * (kernel - 1) + 1] * 2, np.uint8)
    taps[::dilation, ::dilation] = 1
    anchor = (padding, padding)
    if problem.member == AVERAGE:
        border = cv2.BORDER_CONSTANT  # of zeros
        filtering = partial(cv2.blur, ksize=(kernel, kernel), anchor=anchor, borderType=border)
    else:
        morphology = cv2.dilate if problem.member == MAXIMUM else cv2.erode
        filtering = partial(morphology, kernel=taps, anchor=anchor)

    def call() -> None:
        for plane, target in zip(planes, targets, strict=True):
            filtering(plane, dst=dilated)
            target[:] = picked

    def shrink() -> None:
        for plane, target in zip(planes, targets, strict=True):
            cv2.resize(plane, (columns, rows), target, interpolation=cv2.INTER_AREA)

    if problem.member == AVERAGE and problem.tiled:
        call = shrink
    call()
    return Contender(call, (output,), tolerance=ROUNDED if problem.result else tolerance(problem))


def pillow(problem: Problem, task: str, threads: int) -> Contender:
    """Pillow, which makes images smaller by averages, plane by plane."""
    blocks_alone("Pillow", problem, task)
    if problem.member != AVERAGE or problem.axes != 2:
        raise NotImplementedError("Pillow: averages of planes alone")
    if problem.dtype not in ("uint8", "float32") or problem.output_dtype != problem.dtype:
        raise NotImplementedError("Pillow: averages of uint8 and float32 alone")
    image = load("PIL.Image")
    planes = problem.x.reshape(-1, *problem.shape[2:])
    images = [image.fromarray(plane) for plane in planes]

    def call() -> list[Any]:
        return [each.reduce(problem.kernel) for each in images]

    output = np.stack([np.asarray(each) for each in call()]).reshape(problem.output_shape)
    near = ROUNDED if problem.result else tolerance(problem)
    return Contender(call, (output,), tolerance=near)

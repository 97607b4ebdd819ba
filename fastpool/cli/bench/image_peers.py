"""Max pooling by what those have who work with images and arrays: values alone.

See `peers`, which lists them beside the libraries of neural networks.
"""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np

from .problems import VALUES, Contender, Problem, load

# The dtypes of `cv2.dilate`.
OPENCV_DTYPES = ("uint8", "uint16", "int16", "float32", "float64")


def scikit_image(problem: Problem, task: str, threads: int) -> Contender:
    """scikit-image, which reduces blocks: windows that tile the input."""
    measure = load("skimage.measure")
    kernel, stride, padding, dilation = problem.arguments
    tiled = all(size % kernel == 0 for size in problem.shape[2:])
    if task != VALUES or kernel != stride or padding or dilation > 1 or not tiled:
        raise NotImplementedError("scikit-image: values of windows that tile the input alone")
    call = partial(measure.block_reduce, problem.x, (1, 1, kernel, kernel), np.max)
    return Contender(call, (call(),))


def scipy(problem: Problem, task: str, threads: int) -> Contender:
    """SciPy, whose filter has one output for each cell; those of the rim are cut off."""
    ndimage = load("scipy.ndimage")
    kernel, stride, padding, dilation = problem.arguments
    if task != VALUES or stride > 1 or dilation > 1 or padding > (kernel - 1) // 2:
        raise NotImplementedError("SciPy: values of windows of stride 1, around a cell, alone")
    filtered = np.empty_like(problem.x)
    call = partial(
        ndimage.maximum_filter,
        problem.x,
        (1, 1, kernel, kernel),
        output=filtered,
        mode="constant",
        cval=problem.least,
    )
    call()
    first = kernel // 2 - padding
    height, width = problem.output_shape[2:]
    return Contender(call, (filtered[..., first : first + height, first : first + width],))


def opencv(problem: Problem, task: str, threads: int) -> Contender:
    """OpenCV, which dilates plane by plane: one maximum for each cell, of which a stride picks.

    The window of a cell begins `padding` cells before it: that is what its anchor says.
    """
    kernel, stride, padding, dilation = problem.arguments
    (height, width), (rows, columns) = problem.shape[2:], problem.output_shape[2:]
    beyond = (rows - 1) * stride >= height or (columns - 1) * stride >= width
    if task != VALUES or problem.dtype not in OPENCV_DTYPES or padding >= kernel or beyond:
        raise NotImplementedError(
            f"OpenCV: values of windows that begin at a cell alone, and of {OPENCV_DTYPES}"
        )
    cv2 = load("cv2")
    cv2.setNumThreads(threads)
    taps = np.zeros([dilation * (kernel - 1) + 1] * 2, np.uint8)
    taps[::dilation, ::dilation] = 1
    output = np.empty(problem.output_shape, problem.dtype)
    dilated = np.empty((height, width), problem.dtype)
    picked = dilated[: (rows - 1) * stride + 1 : stride, : (columns - 1) * stride + 1 : stride]
    planes = problem.x.reshape(-1, height, width)
    targets = output.reshape(-1, rows, columns)

    def call() -> None:
        for plane, target in zip(planes, targets, strict=True):
            cv2.dilate(plane, taps, dilated, (padding, padding))
            target[:] = picked

    call()
    return Contender(call, (output,))


def slices(problem: Problem, task: str, threads: int) -> Contender:
    """NumPy's maximum of one view for each tap: the short way to write it for windows that tile."""
    kernel, stride, padding, dilation = problem.arguments
    if task != VALUES or kernel != stride or kernel == 1 or padding or dilation > 1:
        raise NotImplementedError("slices: values of windows that tile the input alone")
    height, width = problem.output_shape[2:]
    first, second, *others = (
        problem.x[
            ..., row : row + height * stride : stride, column : column + width * stride : stride
        ]
        for row, column in product(range(kernel), repeat=2)
    )
    output = np.empty(problem.output_shape, problem.dtype)

    def call() -> None:
        np.maximum(first, second, out=output)
        for view in others:
            np.maximum(output, view, out=output)

    call()
    return Contender(call, (output,))

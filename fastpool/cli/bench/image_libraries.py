"""Other libraries on images, volumes and labels, as calls that are ready to be timed.

Every function of `LIBRARIES` takes an `Image` and a number of threads. It raises
NotImplementedError if its library is missing or does not compute this. Only OpenCV uses several
threads. tinybrain gets its arrays in Fortran's order, which it is made for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from .image_problems import (
    DOWNSAMPLE,
    FILTERS,
    LEVELS,
    MAXIMUM,
    NAN,
    NUMBER,
    PEAKS,
    PYRAMID,
    UNIFORM,
    Image,
)
from .problems import CLOSE, Contender, load

REDUCTIONS: dict[str, Any] = {"max": np.max, "min": np.min, "mean": np.mean}
# Means of integers that are cut off, or rounded half up, are one step away.
STEP = 1


def near(image: Image) -> float:
    """How far the means of others may be from fastpool's."""
    return CLOSE if image.floats else STEP


def mean_error(image: Image) -> float:
    """How far those may be who round as fastpool does: floats may be added in another order."""
    return CLOSE if image.floats and image.method == "mean" else 0


def quietly(call: Callable[[], Any]) -> Any:
    """What a call returns that would warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def refuse(name: str, image: Image) -> NotImplementedError:
    """What is raised for something that a library does not have."""
    return NotImplementedError(f"{name}: not {image}")


def rounded(image: Image, call: Callable[[], Any]) -> Callable[[], Any]:
    """A mean in the dtype of the image: rounded, if that is one of integers."""
    if image.floats:
        return call
    return lambda: np.rint(call()).astype(image.dtype)


def opencv(image: Image, threads: int) -> Contender:
    """OpenCV: filters, of whose extremes slices pick those of blocks, and smaller images."""
    planes = image.pooled == 2 and not image.missing
    if not planes or image.function not in (DOWNSAMPLE, *FILTERS):
        raise refuse("OpenCV", image)
    if image.method not in ("", *REDUCTIONS):
        raise refuse("OpenCV", image)
    cv2 = load("cv2")
    cv2.setNumThreads(threads)
    x, size = image.x, (image.size, image.size)
    output = np.empty_like(image.expected[0])
    if image.method == "mean":
        columns_first = output.shape[1::-1]
        call = partial(cv2.resize, x, columns_first, output, interpolation=cv2.INTER_AREA)
        call()
        return Contender(call, (output,), tolerance=near(image))
    if image.function == UNIFORM:
        call = partial(cv2.blur, x, size, output, borderType=cv2.BORDER_REFLECT)
        call()
        return Contender(call, (output,), tolerance=near(image))
    largest = image.method == "max" or image.function == MAXIMUM
    morphology, window = cv2.dilate if largest else cv2.erode, np.ones(size, np.uint8)
    if image.function != DOWNSAMPLE:
        call = partial(morphology, x, window, output)
        call()
        return Contender(call, (output,))
    each = np.empty_like(x)

    def pick() -> None:
        morphology(x, window, each, anchor=(0, 0))
        output[...] = each[:: image.size, :: image.size]

    pick()
    return Contender(pick, (output,))


def pillow(image: Image, threads: int) -> Contender:
    """Pillow, which makes images smaller by averages."""
    known = image.dtype in ("uint8", "float32") and not image.missing
    if image.function != DOWNSAMPLE or image.method != "mean" or image.pooled != 2 or not known:
        raise refuse("Pillow", image)
    call = partial(load("PIL.Image").fromarray(image.x).reduce, image.size)
    return Contender(call, (np.asarray(call()),), tolerance=near(image))


def scikit_image(image: Image, threads: int) -> Contender:
    """scikit-image: blocks, whose size is that of the whole array's, and peaks."""
    if image.function == PEAKS:
        feature = load("skimage.feature")
        options = {"min_distance": image.size, "exclude_border": False}
        search = partial(feature.peak_local_max, image.x, **options)
        found = search()  # the highest come first
        return Contender(search, (found[np.lexsort(found.T[::-1])],))
    if image.function != DOWNSAMPLE or image.method not in REDUCTIONS or image.missing:
        raise refuse("scikit-image", image)
    measure, reduction = load("skimage.measure"), REDUCTIONS[image.method]
    call: Callable[[], Any] = partial(measure.block_reduce, image.x, image.factors, reduction)
    if image.method == "mean":
        call = rounded(image, call)
    return Contender(call, (call(),), tolerance=mean_error(image))


def scipy(image: Image, threads: int) -> Contender:
    """SciPy's filters, whose averages of integers are cut off after each axis."""
    if image.function not in FILTERS:
        raise refuse("SciPy", image)
    output = np.empty_like(image.x)
    function = getattr(load("scipy.ndimage"), image.function)
    call = partial(function, image.x, image.size, output=output)
    call()
    if image.function != UNIFORM:
        return Contender(call, (output,))
    return Contender(call, (output,), tolerance=CLOSE if image.floats else image.pooled * STEP)


def slices(image: Image, threads: int) -> Contender:
    """NumPy's operation on one view for each cell of a block."""
    joins = {"max": np.maximum, "min": np.minimum} | ({"mean": np.add} if image.floats else {})
    if image.function != DOWNSAMPLE or image.method not in joins or image.missing:
        raise refuse("slices", image)
    join, output = joins[image.method], np.empty_like(image.expected[0])
    first, second, *others = taps(image)

    def call() -> None:
        join(first, second, out=output)
        for view in others:
            join(output, view, out=output)
        if image.method == "mean":
            np.divide(output, 2 + len(others), out=output)

    call()
    return Contender(call, (output,))


def taps(image: Image) -> list[np.ndarray]:
    """For each cell of a block a view that has it of all blocks, in row-major order."""
    places = product(*map(range, image.factors))
    return [image.x[tuple(map(slice, place, image.shape, image.factors))] for place in places]


def reshape(image: Image, threads: int) -> Contender:
    """NumPy's reduction of every second axis of a view: the shortest way to write it."""
    if image.function == PYRAMID:
        return _levels(image)
    if image.function != DOWNSAMPLE or image.method == "mode":
        raise refuse("reshape", image)
    x = image.x
    if image.method == "median":
        middle = (image.size**image.pooled - 1) // 2

        def median() -> np.ndarray:
            cells = np.stack(taps(image), axis=-1)
            cells.partition(middle, axis=-1)
            return cells[..., middle]

        return Contender(median, (median(),))
    if image.missing:

        def valid() -> np.ndarray:
            cells = x if image.missing == NAN else np.where(x == np.float32(NUMBER), np.nan, x)
            # Some blocks have no valid cell.
            found: np.ndarray = quietly(partial(np.nanmean, *_blocks(cells, image.factors)))
            return found if image.missing == NAN else np.nan_to_num(found, copy=False, nan=NUMBER)

        return Contender(valid, (valid(),), tolerance=CLOSE)
    call: Callable[[], Any] = partial(REDUCTIONS[image.method], *_blocks(x, image.factors))
    if image.method == "mean":
        call = rounded(image, call)
    return Contender(call, (call(),), tolerance=mean_error(image))


def _blocks(x: np.ndarray, factors: Sequence[int]) -> tuple[np.ndarray, tuple[int, ...]]:
    """A view with two axes for each one, and those within blocks."""
    pairs = [(size // each, each) for size, each in zip(x.shape, factors, strict=True)]
    return x.reshape([size for pair in pairs for size in pair]), tuple(range(1, 2 * x.ndim, 2))


def _levels(image: Image) -> Contender:
    def call() -> list[np.ndarray]:
        made = [image.x]
        for _ in range(LEVELS):
            mean = partial(np.mean, *_blocks(made[-1], image.factors))
            made.append(rounded(image, mean)())
        return made[1:]

    return Contender(call, tuple(call()))


def tinybrain(image: Image, threads: int) -> Contender:
    """tinybrain, whose means of integers are cut off."""
    functions = {
        "max": "downsample_with_max_pooling",
        "min": "downsample_with_min_pooling",
        "mean": "downsample_with_averaging",
        "mode": "downsample_segmentation",
    }
    made = image.function in (DOWNSAMPLE, PYRAMID) and not image.missing
    if not made or image.method not in functions:
        raise refuse("tinybrain", image)
    levels = LEVELS if image.function == PYRAMID else 1
    function = getattr(load("tinybrain").downsample, functions[image.method])
    call = partial(function, np.asfortranarray(image.x), image.factors, num_mips=levels)
    call = partial(quietly, call)  # it calls NumPy in a way that is deprecated
    found = tuple(call())
    if image.method == "mode":
        return Contender(call, (_as_frequent(image, found[0]),))
    picks = image.method != "mean"
    return Contender(call, found, tolerance=0 if picks else levels * near(image))


def _as_frequent(image: Image, labels: np.ndarray) -> np.ndarray:
    """fastpool's labels wherever these ones are as frequent in their blocks, else these."""
    own = image.expected[0]
    counts = [
        sum((view == each).astype(np.uint8) for view in taps(image)) for each in (own, labels)
    ]
    return np.where(counts[0] == counts[1], own, labels)


LIBRARIES: dict[str, Callable[[Image, int], Contender]] = {
    "OpenCV": opencv,
    "Pillow": pillow,
    "SciPy": scipy,
    "scikit-image": scikit_image,
    "tinybrain": tinybrain,
    "slices": slices,
    "reshape": reshape,
}

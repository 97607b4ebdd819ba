"""Where an array has its local maxima."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..api.types import BackendName, Entries
from ..dispatch import defaults
from ..rules.arguments import Integers, integer
from . import guests
from .arguments import read_array, read_axes, read_integers, read_number
from .images import Images

_NAME = "peaks"


def peaks(
    x: ArrayLike,
    min_distance: Entries = 1,
    threshold: float | None = None,
    *,
    threshold_rel: float | None = None,
    exclude_border: bool | Entries = False,
    num_peaks: int | None = None,
    axes: Entries | None = None,
    backend: BackendName | None = None,
) -> np.ndarray:
    """Coordinates of the local maxima of an array, or of each of many images in it.

    A cell is a peak if no cell within `min_distance` along all axes is larger. Equal cells that
    touch each other, corners included, are a plateau: this is a peak if none of them has a larger
    cell so near, and its first cell, in row-major order, stands for it. Of equal peaks that are
    nearer to each other than `min_distance`, the first remains.

    Parameters
    ----------
    x : array_like
        Up to three axes, or any number with `axes`; any of the library's dtypes.
    min_distance : int, or one for each of `axes`
        How far a peak looks around, in cells, at least 1: its window is ``2 * min_distance + 1``
        long. Any two peaks are so far apart along some axis, or further.
    threshold : float, optional
        Peaks are larger than this.
    threshold_rel : float, optional
        Peaks are larger than this times the largest cell of their image.
    exclude_border : bool, int, or ints, one for each of `axes`
        No peak lies within so many cells of an edge; True is `min_distance`. Larger cells there
        count as neighbours all the same.
    num_peaks : int, optional
        Of each image at most so many peaks, the highest ones; of equal ones the first.
    axes : int or ints, optional
        The axes of an image, at most three, all by default. Along the others, as those of a batch
        and of channels, every image is searched by itself.
    backend : {"auto", "numpy", "numba"}, optional
        What computes the result, the same to the bit; by default what `use_backend`,
        `set_default_backend` or the environment variable ``FASTPOOL_BACKEND`` say.

    Returns
    -------
    ndarray of int64, shape (peaks, axes of `x`)
        A row for each peak with its index along every axis of `x`, in row-major order, as that of
        `numpy.argwhere`. ``x[tuple(result.T)]`` are their values.

    Raises
    ------
    ValueError
        An argument has the wrong value: the message names it.
    TypeError
        The dtype is not supported, an argument has the wrong type, or `x` is a masked array.
    MemoryError
        There is no room to work in.
    BackendUnavailable
        An explicit `backend` cannot be used here.

    See Also
    --------
    maximum_filter : The largest value around every cell.

    Notes
    -----
    NaN is no peak, and counts as if it were not there. An image whose cells are all equal has no
    peak.

    Where no two neighbours are equal, the peaks are those of
    `skimage.feature.peak_local_max` with the same `min_distance`, whose `exclude_border` is True by
    default and whose order is by value. On plateaus it keeps cells beside larger ones, and of a
    plateau several.

    Examples
    --------
    >>> image = np.zeros((5, 7))
    >>> image[1, 1], image[3, 4:6] = 4, 9
    >>> fastpool.peaks(image)
    array([[1, 1],
           [3, 4]])
    >>> fastpool.peaks(image, num_peaks=1)
    array([[3, 4]])

    Heat maps of a detector, such as CenterNet's: a batch of 1 with 2 classes. What its
    ``heat * (max_pool2d(heat, 3, 1, 1) == heat)`` leaves above the threshold, highest score first:

    >>> heat = np.zeros((1, 2, 4, 4), np.float32)
    >>> heat[0, 0, 1, 1], heat[0, 0, 1, 2], heat[0, 1, 3, 3] = 0.5, 0.25, 0.75
    >>> found = fastpool.peaks(heat, threshold=0.1, num_peaks=100, axes=(-2, -1))
    >>> scores = heat[tuple(found.T)]
    >>> for (image, label, y, x), score in sorted(zip(found, scores), key=lambda pair: -pair[1]):
    ...     print(image, label, y, x, score)
    0 1 3 3 0.75
    0 0 1 1 0.5
    """
    chosen = defaults.resolve(_NAME, backend)
    array = read_array(_NAME, "x", guests.as_host(_NAME, x))
    named = read_axes(_NAME, axes, array.ndim)
    count = len(named)
    if not 1 <= count <= 3:
        raise ValueError(
            f"{_NAME}: axes must name one to three axes of an image; x has shape {array.shape}"
        )
    radius = read_integers(_NAME, "min_distance", min_distance, count, 1)
    border = _border(exclude_border, radius)
    least = None if threshold is None else read_number(_NAME, "threshold", threshold)
    share = None if threshold_rel is None else read_number(_NAME, "threshold_rel", threshold_rel)
    most = None if num_peaks is None else integer(_NAME, "num_peaks", num_peaks, 0)
    if not array.size:
        return np.empty((0, array.ndim), np.int64)
    along, radius, border = zip(*sorted(zip(named, radius, border, strict=True)), strict=True)
    images = Images(np.moveaxis(array, along, range(-count, 0)), radius, chosen)
    largest = images.peaks(least, share)
    found = images.places(largest.cells)
    if any(border):
        inside = np.ones(len(found), bool)
        for at, size, width in zip(found.T[-count:], images.sizes, border, strict=True):
            inside &= (at >= width) & (at < size - width)
        found, largest = found[inside], largest.only(inside)
    if not largest.firsts.all():
        far = images.far(largest)
        found, largest = found[far], largest.only(far)
    if most is not None:
        found = found[images.highest(largest.cells, most)]
    return _in_place(found, array.shape, along)


def _border(value: object, radius: Integers) -> Integers:
    """How many cells at the edges of each axis have no peak."""
    if isinstance(value, (bool, np.bool_)):
        return radius if value else (0,) * len(radius)
    return read_integers(_NAME, "exclude_border", value, len(radius), 0)


def _in_place(found: np.ndarray, shape: Integers, along: Integers) -> np.ndarray:
    """Coordinates whose last columns are those of the axes `along`, as those of an array."""
    lead = [axis for axis in range(len(shape)) if axis not in along]
    order = [*lead, *along]
    if order == sorted(order):
        return found
    found = found[:, np.argsort(order)]
    return found[np.lexsort(found.T[::-1])]

"""What scikit-image has for blocks: ``block_reduce`` and ``downscale_local_mean``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..api.downsample import Method, downsample
from ..rules.masks import as_array

# The functions that have a method of `downsample`. In NumPy 1.26, amax and max are two functions.
_METHODS: dict[Callable[..., Any], Method] = {
    np.sum: "sum",
    np.mean: "mean",
    np.max: "max",
    np.amax: "max",
    np.min: "min",
    np.amin: "min",
    np.any: "any",
    np.all: "all",
}
_MOST_AXES = 3  # that `downsample` reduces at a time


def block_reduce(
    image: ArrayLike,
    block_size: int | Sequence[int] = 2,
    func: Callable[..., Any] = np.sum,
    cval: float = 0,
    func_kwargs: Mapping[str, Any] | None = None,
) -> np.ndarray:
    """Reduce the blocks of an image, as ``skimage.measure.block_reduce``.

    Parameters
    ----------
    image : array_like
        The image, of any number of axes.
    block_size : int or sequence of int
        The size of a block, for all axes or for each.
    func : callable
        What reduces a block. ``np.sum``, ``np.mean``, ``np.max``, ``np.min``, ``np.any`` and
        ``np.all`` of real numbers are done by fastpool. Any other function is called on all blocks
        at once, with ``axis``, a tuple of the axes to reduce.
    cval : scalar
        What blocks at the end of an axis are filled up with.
    func_kwargs : mapping, optional
        Further arguments of `func`, which is then called as it is.

    Returns
    -------
    ndarray
        One value a block. Means of integers are float64, as NumPy's.

    Raises
    ------
    ValueError, TypeError
        A block size below 1, or not one an axis; a masked array.

    Notes
    -----
    Results equal the original's. Float means and sums may differ from NumPy's in the last bit: they
    add the cells of a block in their order.

    Blocks at the end are filled up with `cval` here, because the original does so: the maximum of a
    part of a block of -1 is 0. ``fastpool.downsample`` takes the cells that are there.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import block_reduce
    >>> block_reduce(np.arange(15).reshape(3, 5), (2, 2), np.max)
    array([[ 6,  8,  9],
           [11, 13, 14]])
    """
    cells = as_array("block_reduce", "image", image)
    blocks: tuple[Any, ...] = (
        tuple(block_size) if isinstance(block_size, Iterable) else (block_size,) * cells.ndim
    )
    if len(blocks) != cells.ndim:
        raise ValueError(
            f"block_reduce: block_size must be a number, or one for each of {cells.ndim} axes, "
            f"got {blocks}"
        )
    if any(size < 1 for size in blocks):
        raise ValueError(f"block_reduce: block sizes must be at least 1, got {blocks}")
    reduce = _reducer(cells.dtype, blocks, func, dict(func_kwargs or {}))
    # Of a block of ones, to learn the dtype.
    dtype = reduce(np.ones(blocks, cells.dtype)).dtype
    result = np.empty([-(-n // size) for n, size in zip(cells.shape, blocks, strict=True)], dtype)
    if result.size:
        _reduce_filled(cells, result, blocks, reduce, cval)
    return result


def downscale_local_mean(
    image: ArrayLike, factors: int | Sequence[int], cval: float = 0, clip: bool = True
) -> np.ndarray:
    """Average the blocks of an image, as ``skimage.transform.downscale_local_mean``.

    Parameters
    ----------
    image : array_like
        The image, of any number of axes.
    factors : int or sequence of int
        The size of a block, for all axes or for each.
    cval : scalar
        What blocks at the end of an axis are filled up with.
    clip : bool
        Without effect, as in the original.

    Returns
    -------
    ndarray
        One average a block; float64 for integers.

    Raises
    ------
    ValueError, TypeError
        A factor below 1, or not one an axis; a masked array.

    Notes
    -----
    As the original, blocks at the end are filled up with `cval`, 0 if nothing else is said, so that
    they are too dark. ``fastpool.downsample`` averages the cells that are there.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import downscale_local_mean
    >>> downscale_local_mean(np.arange(15).reshape(3, 5), (2, 3))
    array([[3.5, 4. ],
           [5.5, 4.5]])
    """
    cells = as_array("downscale_local_mean", "image", image)
    return block_reduce(cells, factors, np.mean, cval)


def _reducer(
    dtype: np.dtype[Any],
    blocks: tuple[int, ...],
    func: Callable[..., Any],
    arguments: dict[str, Any],
) -> Callable[[np.ndarray], np.ndarray]:
    """What reduces an image that whole blocks fill."""
    method = _METHODS.get(func) if dtype.kind in "biuf" and not arguments else None
    if method is None or sum(size > 1 for size in blocks) > _MOST_AXES:
        return functools.partial(_by_function, blocks=blocks, func=func, arguments=arguments)
    means = np.float64 if method == "mean" and dtype.kind in "biu" else None
    return functools.partial(
        downsample, factors=blocks, method=method, boundary="exact", dtype=means
    )


def _by_function(
    image: np.ndarray,
    blocks: tuple[int, ...],
    func: Callable[..., Any],
    arguments: dict[str, Any],
) -> np.ndarray:
    """All blocks at once, by a function that knows nothing of blocks."""
    split = [
        number for n, size in zip(image.shape, blocks, strict=True) for number in (n // size, size)
    ]
    cells, last = image.reshape(split), 2 * image.ndim
    order = (*range(0, last, 2), *range(1, last, 2))
    result = func(cells.transpose(order), axis=tuple(range(image.ndim, last)), **arguments)
    return np.asarray(result)


def _reduce_filled(
    image: np.ndarray,
    result: np.ndarray,
    blocks: tuple[int, ...],
    reduce: Callable[[np.ndarray], np.ndarray],
    cval: float,
    axis: int = 0,
) -> None:
    """Reduce into `result`, where axes before `axis` end with whole blocks.

    Only the cut blocks at the end of each axis are copied, with what they are filled up with.
    """
    while axis < image.ndim and image.shape[axis] % blocks[axis] == 0:
        axis += 1
    if axis == image.ndim:
        result[...] = reduce(image)
        return
    whole, rest = divmod(image.shape[axis], blocks[axis])
    before = (slice(None),) * axis
    if whole:
        inner = image[(*before, slice(whole * blocks[axis]))]
        _reduce_filled(inner, result[(*before, slice(whole))], blocks, reduce, cval, axis + 1)
    widths = [(0, 0)] * image.ndim
    widths[axis] = 0, blocks[axis] - rest
    rim = np.pad(image[(*before, slice(-rest, None))], widths, constant_values=cval)
    _reduce_filled(rim, result[(*before, slice(whole, None))], blocks, reduce, cval, axis + 1)

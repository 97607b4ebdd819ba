"""What xarray-multiscale reduces windows with: ``f(array, window_size)``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..api.downsample import downsample
from ..rules.masks import as_array
from .blocks import block_reduce


def windowed_mean(array: ArrayLike, window_size: Sequence[int], **kwargs: Any) -> np.ndarray:
    """Average windows, as ``xarray_multiscale.reducers.windowed_mean``.

    Parameters
    ----------
    array : array_like
        An array of any number of axes.
    window_size : sequence of int
        The size of a window, one an axis.
    **kwargs
        Further arguments of ``np.mean``.

    Returns
    -------
    ndarray
        One average a window; float64 for integers.

    Raises
    ------
    ValueError, TypeError
        Sizes that windows do not fill, or a size of windows that is not one an axis; a masked
        array.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import windowed_mean
    >>> windowed_mean(np.arange(16).reshape(4, 4), (2, 2))
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    return _windowed("windowed_mean", array, window_size, np.mean, kwargs)


def windowed_max(array: ArrayLike, window_size: Sequence[int], **kwargs: Any) -> np.ndarray:
    """Take the maximum of windows, as ``xarray_multiscale.reducers.windowed_max``.

    Parameters
    ----------
    array : array_like
        An array of any number of axes.
    window_size : sequence of int
        The size of a window, one an axis.
    **kwargs
        Further arguments of ``np.max``.

    Returns
    -------
    ndarray
        One value a window, of the array's dtype.

    Raises
    ------
    ValueError, TypeError
        As `windowed_mean`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import windowed_max
    >>> windowed_max(np.arange(16).reshape(4, 4), (2, 2))
    array([[ 5,  7],
           [13, 15]])
    """
    return _windowed("windowed_max", array, window_size, np.max, kwargs)


def windowed_min(array: ArrayLike, window_size: Sequence[int], **kwargs: Any) -> np.ndarray:
    """Take the minimum of windows, as ``xarray_multiscale.reducers.windowed_min``.

    Parameters
    ----------
    array : array_like
        An array of any number of axes.
    window_size : sequence of int
        The size of a window, one an axis.
    **kwargs
        Further arguments of ``np.min``.

    Returns
    -------
    ndarray
        One value a window, of the array's dtype.

    Raises
    ------
    ValueError, TypeError
        As `windowed_mean`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import windowed_min
    >>> windowed_min(np.arange(16).reshape(4, 4), (2, 2))
    array([[ 0,  2],
           [ 8, 10]])
    """
    return _windowed("windowed_min", array, window_size, np.min, kwargs)


def windowed_mode(array: ArrayLike, window_size: Sequence[int]) -> np.ndarray:
    """Take the most frequent value of windows, as ``xarray_multiscale.reducers.windowed_mode``.

    Parameters
    ----------
    array : array_like
        Integers or bool, of any number of axes.
    window_size : sequence of int
        The size of a window, one an axis.

    Returns
    -------
    ndarray
        One value a window, of the array's dtype.

    Raises
    ------
    ValueError, TypeError
        As `windowed_mean`.

    Notes
    -----
    Of values that are equally frequent, the one whose first cell comes first wins. The original
    leaves open which.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import windowed_mode
    >>> windowed_mode(np.arange(16).reshape(4, 4) % 3, (2, 2))
    array([[1, 0],
           [0, 2]])
    """
    cells, sizes = _checked("windowed_mode", array, window_size)
    return _picked(cells, sizes, "mode")


def windowed_rank(array: ArrayLike, window_size: Sequence[int], rank: int = -1) -> np.ndarray:
    """Take the value of a rank of windows, as ``xarray_multiscale.reducers.windowed_rank``.

    Parameters
    ----------
    array : array_like
        An array of any number of axes.
    window_size : sequence of int
        The size of a window, one an axis.
    rank : int
        Which value of a window, from the least, 0, on; from the largest, -1, back.

    Returns
    -------
    ndarray
        One value a window, of the array's dtype.

    Raises
    ------
    ValueError, TypeError
        A rank that a window has not, and as `windowed_mean`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import windowed_rank
    >>> windowed_rank(np.arange(16).reshape(4, 4), (2, 2), rank=1)
    array([[ 1,  3],
           [ 9, 11]])
    """
    cells, sizes = _checked("windowed_rank", array, window_size)
    taps = math.prod(sizes)
    if not -taps <= rank < taps:
        raise ValueError(f"windowed_rank: rank {rank} is not in a window of {taps} cells")
    rank %= taps
    if rank == taps - 1:
        return _picked(cells, sizes, "max")
    if rank == 0:
        return _picked(cells, sizes, "min")
    if rank == (taps - 1) // 2:
        return _picked(cells, sizes, "median")

    def ranked(blocks: np.ndarray, axis: tuple[int, ...]) -> np.ndarray:
        flat = blocks.reshape(*blocks.shape[: -len(axis)], taps)
        picked: np.ndarray = np.take(np.partition(flat, rank, axis=-1), rank, axis=-1)
        return picked

    return block_reduce(cells, sizes, ranked)


def _windowed(
    name: str, array: ArrayLike, window_size: Sequence[int], func: Any, kwargs: dict[str, Any]
) -> np.ndarray:
    cells, sizes = _checked(name, array, window_size)
    return block_reduce(cells, sizes, func, func_kwargs=kwargs)


def _picked(cells: np.ndarray, sizes: tuple[int, ...], method: Any) -> np.ndarray:
    return np.asarray(downsample(cells, sizes, method, boundary="exact"))


def _checked(
    name: str, array: ArrayLike, window_size: Sequence[int]
) -> tuple[np.ndarray, tuple[int, ...]]:
    """An array and the sizes of its windows, which fill it."""
    cells, sizes = as_array(name, "array", array), tuple(window_size)
    if len(sizes) != cells.ndim:
        raise ValueError(
            f"{name}: window_size must be one number an axis, {cells.ndim}, got {sizes}"
        )
    for axis, (cell_count, size) in enumerate(zip(cells.shape, sizes, strict=True)):
        if size < 1 or cell_count % size:
            raise ValueError(
                f"{name}: axis {axis} of size {cell_count} is not filled by windows of {size}"
            )
    return cells, sizes

"""What SciPy has for windows around every cell: filters of maximum, minimum and mean."""

from __future__ import annotations

from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..filters.average import uniform_filter
from ..filters.extremes import maximum_filter, minimum_filter

__all__ = [
    "maximum_filter",
    "maximum_filter1d",
    "minimum_filter",
    "minimum_filter1d",
    "uniform_filter",
    "uniform_filter1d",
]


def maximum_filter1d(
    input: ArrayLike,  # noqa: A002
    size: SupportsIndex,
    axis: SupportsIndex = -1,
    output: np.ndarray | DTypeLike | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: SupportsIndex = 0,
) -> np.ndarray:
    """Maximum over a window along one axis, as ``scipy.ndimage.maximum_filter1d``.

    Parameters
    ----------
    input : array_like
        Any number of axes.
    size : int
        Cells of the window.
    axis : int
        The axis that it lies along.
    output, mode, cval, origin
        As in `fastpool.maximum_filter`.

    Returns
    -------
    ndarray, shape of `input`
        The maximum of every window.

    Raises
    ------
    TypeError, ValueError
        As `fastpool.maximum_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import maximum_filter1d
    >>> maximum_filter1d(np.array([2, 8, 0, 4, 1, 9, 9, 0]), size=3)
    array([8, 8, 8, 4, 9, 9, 9, 9])
    """
    return maximum_filter(input, size, None, output, mode, cval, origin, axes=axis)


def minimum_filter1d(
    input: ArrayLike,  # noqa: A002
    size: SupportsIndex,
    axis: SupportsIndex = -1,
    output: np.ndarray | DTypeLike | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: SupportsIndex = 0,
) -> np.ndarray:
    """Minimum over a window along one axis, as ``scipy.ndimage.minimum_filter1d``.

    Parameters
    ----------
    input : array_like
        Any number of axes.
    size : int
        Cells of the window.
    axis : int
        The axis that it lies along.
    output, mode, cval, origin
        As in `fastpool.minimum_filter`.

    Returns
    -------
    ndarray, shape of `input`
        The minimum of every window.

    Raises
    ------
    TypeError, ValueError
        As `fastpool.minimum_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import minimum_filter1d
    >>> minimum_filter1d(np.array([2, 8, 0, 4, 1, 9, 9, 0]), size=3)
    array([2, 0, 0, 0, 1, 1, 0, 0])
    """
    return minimum_filter(input, size, None, output, mode, cval, origin, axes=axis)


def uniform_filter1d(
    input: ArrayLike,  # noqa: A002
    size: SupportsIndex,
    axis: SupportsIndex = -1,
    output: np.ndarray | DTypeLike | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: SupportsIndex = 0,
) -> np.ndarray:
    """Mean over a window along one axis, as ``scipy.ndimage.uniform_filter1d``.

    Parameters
    ----------
    input : array_like
        Any number of axes.
    size : int
        Cells of the window.
    axis : int
        The axis that it lies along.
    output, mode, cval, origin
        As in `fastpool.uniform_filter`.

    Returns
    -------
    ndarray, shape of `input`
        The mean of every window.

    Raises
    ------
    TypeError, ValueError
        As `fastpool.uniform_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import uniform_filter1d
    >>> uniform_filter1d(np.array([2.0, 8, 2, 5]), size=3)
    array([4., 4., 5., 4.])
    """
    return uniform_filter(input, size, output, mode, cval, origin, axes=axis)

"""What tinybrain has: several levels of an image or a volume, each from the one before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..api.downsample import Method, downsample
from ..rules.masks import as_array


def downsample_with_averaging(
    img: np.ndarray, factor: Sequence[int], num_mips: int = 1, sparse: bool = False
) -> list[np.ndarray]:
    """Average blocks, as ``tinybrain.downsample_with_averaging``.

    Parameters
    ----------
    img : ndarray
        An image or a volume, of any memory order.
    factor : sequence of int
        The size of a block; axes that it leaves out keep their size.
    num_mips : int
        How many levels, each from the one before.
    sparse : bool
        Whether cells of 0 count nowhere.

    Returns
    -------
    list of ndarray
        The levels, without `img`, with its dtype.

    Raises
    ------
    ValueError, TypeError
        A factor below 1, or more factors than axes; a masked array.

    Notes
    -----
    Averages of integers are rounded half to even; the original cuts them off, so that its levels
    get darker. A block at the end is the average of the cells that are there, whatever the size;
    the original is wrong there if ``num_mips`` is 1 and a size is odd. Every dtype may be sparse.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import downsample_with_averaging
    >>> downsample_with_averaging(np.arange(12, dtype=np.uint8).reshape(3, 4), (2, 2))
    [array([[2, 4],
           [8, 10]], dtype=uint8)]
    """
    return _levels("downsample_with_averaging", img, factor, num_mips, "mean", sparse)


def downsample_with_max_pooling(
    array: np.ndarray, factor: Sequence[int], num_mips: int = 1
) -> list[np.ndarray]:
    """Take the maximum of blocks, as ``tinybrain.downsample_with_max_pooling``.

    Parameters
    ----------
    array : ndarray
        An image or a volume, of any memory order.
    factor : sequence of int
        The size of a block; axes that it leaves out keep their size.
    num_mips : int
        How many levels, each from the one before.

    Returns
    -------
    list of ndarray
        The levels, without `array`, with its dtype.

    Raises
    ------
    ValueError, TypeError
        A factor below 1, or more factors than axes; a masked array.

    Notes
    -----
    Sizes that are no multiple of their factor give cut blocks, of the cells that are there. The
    original fails or is wrong there.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import downsample_with_max_pooling
    >>> downsample_with_max_pooling(np.arange(15).reshape(3, 5), (2, 2), num_mips=2)
    [array([[ 6,  8,  9],
           [11, 13, 14]]), array([[13, 14]])]
    """
    return _levels("downsample_with_max_pooling", array, factor, num_mips, "max")


def downsample_with_min_pooling(
    array: np.ndarray, factor: Sequence[int], num_mips: int = 1
) -> list[np.ndarray]:
    """Take the minimum of blocks, as ``tinybrain.downsample_with_min_pooling``.

    Parameters
    ----------
    array : ndarray
        An image or a volume, of any memory order.
    factor : sequence of int
        The size of a block; axes that it leaves out keep their size.
    num_mips : int
        How many levels, each from the one before.

    Returns
    -------
    list of ndarray
        The levels, without `array`, with its dtype.

    Raises
    ------
    ValueError, TypeError
        A factor below 1, or more factors than axes; a masked array.

    Notes
    -----
    Cut blocks are as in `downsample_with_max_pooling`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import downsample_with_min_pooling
    >>> downsample_with_min_pooling(np.arange(15).reshape(3, 5), (2, 2))
    [array([[ 0,  2,  4],
           [10, 12, 14]])]
    """
    return _levels("downsample_with_min_pooling", array, factor, num_mips, "min")


def downsample_with_striding(
    array: np.ndarray, factor: Sequence[int], num_mips: int = 1
) -> list[np.ndarray]:
    """Take the first cell of blocks, as ``tinybrain.downsample_with_striding``.

    Parameters
    ----------
    array : ndarray
        An image or a volume, of any memory order.
    factor : sequence of int
        The size of a block; axes that it leaves out keep their size.
    num_mips : int
        How many levels, each from the one before.

    Returns
    -------
    list of ndarray
        The levels, without `array`, with its dtype.

    Raises
    ------
    ValueError, TypeError
        A factor below 1, or more factors than axes; a masked array.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import downsample_with_striding
    >>> downsample_with_striding(np.arange(15).reshape(3, 5), (2, 2))
    [array([[ 0,  2,  4],
           [10, 12, 14]])]
    """
    return _levels("downsample_with_striding", array, factor, num_mips, "stride")


def downsample_segmentation(
    img: np.ndarray, factor: Sequence[int], sparse: bool = False, num_mips: int = 1
) -> list[np.ndarray]:
    """Take the most frequent label of blocks, as ``tinybrain.downsample_segmentation``.

    Parameters
    ----------
    img : ndarray
        Labels: an image or a volume, of any memory order.
    factor : sequence of int
        The size of a block; axes that it leaves out keep their size.
    sparse : bool
        Whether cells of 0 count nowhere, so that thin labels last.
    num_mips : int
        How many levels, each from the one before.

    Returns
    -------
    list of ndarray
        The levels, without `img`, with its dtype.

    Raises
    ------
    ValueError, TypeError
        A factor below 1, or more factors than axes; a masked array.

    Notes
    -----
    Every factor counts labels. Of labels that are equally frequent, the one whose first cell comes
    first wins. The original takes the last cell of a 2 x 2 block of four labels, the second of two
    that cross, and the first cell of a block, uncounted, for factors that are no powers of two.
    Floats are strided, as there.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpool.compat import downsample_segmentation
    >>> downsample_segmentation(np.array([[1, 2, 0, 0], [3, 2, 0, 4]]), (2, 2))
    [array([[2, 0]])]
    >>> downsample_segmentation(np.array([[1, 2, 0, 0], [3, 2, 0, 4]]), (2, 2), sparse=True)
    [array([[2, 4]])]
    """
    labels = as_array("downsample_segmentation", "img", img)
    if labels.dtype.kind not in "biu":
        return _levels("downsample_segmentation", labels, factor, num_mips, "stride")
    return _levels("downsample_segmentation", labels, factor, num_mips, "mode", sparse)


def _levels(
    name: str,
    array: Any,
    factor: Sequence[int],
    levels: int,
    method: Method,
    sparse: bool = False,
) -> list[np.ndarray]:
    """Further levels of an array."""
    level = as_array(name, "the image", array)
    # The original takes 2.0 for 2, as quotients of resolutions are.
    factors = tuple(int(size) if size == int(size) else size for size in factor)
    if len(factors) > level.ndim:
        # Trailing factors of 1 are how users of the original write "and nothing else".
        if any(size != 1 for size in factors[level.ndim :]):
            raise ValueError(f"{name}: got {len(factors)} factors for {level.ndim} axes")
        factors = factors[: level.ndim]
    factors += (1,) * (level.ndim - len(factors))
    made = []
    for _ in range(levels):
        level = downsample(level, factors, method, nodata=0 if sparse else None)
        made.append(level)
    return made

"""Max pooling where arrays are another library's: one module a guest, none imported unasked."""

from __future__ import annotations

import numpy as np

from ..geometry import Geometry


def gather(cells: np.ndarray, indices: np.ndarray, geometry: Geometry, window: bool) -> np.ndarray:
    """The cells that indices of a pooling name: the transpose of `fastpool.maxpool2d_backward`.

    Parameters
    ----------
    cells : ndarray, shape of the input
        An array such as the backward pass returns.
    indices : ndarray of integers, shape of the output
        What the forward pass returned: not checked again.
    geometry : Geometry
        The pooling.
    window : bool
        Whether they are window indices, or flat ones.

    Returns
    -------
    ndarray, shape of the output, dtype of `cells`
    """
    height, width, places = geometry.height, geometry.width, geometry.canonical(indices)
    if window:
        down, right = np.divmod(places.astype(np.int64), width.kernel)
        row = height.starts[:, np.newaxis, np.newaxis] + down * height.dilation
        column = width.starts[:, np.newaxis] + right * width.dilation
        places = row * width.size + column
    *lead, _, _, channels = places.shape
    found = np.take_along_axis(
        geometry.canonical(cells).reshape(*lead, height.size * width.size, channels),
        places.reshape(*lead, height.output * width.output, channels),
        axis=-2,
    )
    return found.reshape(indices.shape)

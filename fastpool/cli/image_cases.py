"""Random calls of `downsample` and of the filters, for arrays of any number of axes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..rules.downsampling import BOUNDARIES, METHODS, MOST_POOLED
from .adversarial import STYLES, adversarial

FILTERS = ("maximum_filter", "minimum_filter", "uniform_filter")
BORDERS = ("reflect", "mirror", "nearest", "wrap", "constant")
# The least and the largest factor or size of a window, and that of every tenth call.
SIZES, WIDE = (1, 5), (1, 12)

# Cells of the largest window that is not a box: more boxes, each with kernels of its own, cover it.
SHAPED = 9


class Calls(NamedTuple):
    """What some calls have in common, so that they run the same kernels.

    Attributes
    ----------
    sizes : tuple of int
        Factors along the axes that are pooled; the first is the size of the filter's windows.
    axes : int
        How many axes are pooled, if the array has so many.
    method, boundary : str
        Of `downsample`.
    missing : tuple of str
        What makes cells missing there: of "skipna", "nodata" and "mask".
    filter : str
        The name of a filter.
    """

    sizes: tuple[int, ...]
    axes: int
    method: str
    boundary: str
    missing: tuple[str, ...]
    filter: str


def random_calls(rng: np.random.Generator) -> Calls:
    """Any method and any filter; in half of the calls cells are missing."""
    low, high = WIDE if rng.random() < 0.1 else SIZES
    sizes = tuple(int(n) for n in rng.integers(low, high + 1, MOST_POOLED))
    several = rng.random() < 0.5
    missing = [kind for kind in ("skipna", "nodata", "mask") if several and rng.random() < 0.4]
    return Calls(
        sizes,
        int(rng.integers(1, MOST_POOLED + 1)),
        str(rng.choice(list(METHODS))),
        str(rng.choice(BOUNDARIES)),
        tuple(missing),
        str(rng.choice(FILTERS)),
    )


def block_arguments(
    rng: np.random.Generator, x: np.ndarray, calls: Calls
) -> tuple[np.ndarray, dict[str, Any]]:
    """The array, or a masked one, and what of `downsample` follows it."""
    axes = _axes(rng, x, calls.axes)
    arguments: dict[str, Any] = {
        "factors": calls.sizes[: len(axes)],
        "method": calls.method,
        "axes": axes,
        "boundary": calls.boundary,
        "skipna": "skipna" in calls.missing,
        "min_count": int(rng.integers(0, 4)),
    }
    if "nodata" in calls.missing and x.size:
        # A value that is there, of any byte order, NaN included.
        arguments["nodata"] = x.flat[rng.integers(x.size)].item()
    if calls.method in ("mean", "sum") and x.dtype.kind in "iu" and rng.random() < 0.5:
        arguments["dtype"] = str(rng.choice(("float32", "float64", x.dtype.name)))
    if "mask" in calls.missing:
        x = np.ma.MaskedArray(x, rng.random(x.shape) < 0.3)
    return x, arguments


def filter_arguments(rng: np.random.Generator, x: np.ndarray, calls: Calls) -> dict[str, Any]:
    """What of the filter follows the array: all borders and origins, some footprints."""
    axes = _axes(rng, x, calls.axes)
    # One size for all axes, since each takes seconds to compile.
    size = calls.sizes[0]
    arguments: dict[str, Any] = {
        "size": size,
        "axes": axes,
        "mode": tuple(str(each) for each in rng.choice(BORDERS, len(axes))),
        "origin": int(rng.integers(-(size // 2), (size - 1) // 2 + 1)),
        # A value of the dtype, for the border "constant".
        "cval": adversarial(rng, (1,), x.dtype, str(rng.choice(STYLES)))[0].item(),
    }
    if calls.filter == "uniform_filter":
        arguments["output"] = str(rng.choice(("float32", "float64", x.dtype.name)))
    elif size ** len(axes) <= SHAPED and rng.random() < 0.3:
        arguments["footprint"] = rng.random([size] * len(axes)) < 0.6
        arguments["footprint"].flat[0] = True  # it must have one
        del arguments["size"]
    return arguments


def _axes(rng: np.random.Generator, x: np.ndarray, count: int) -> tuple[int, ...]:
    """Axes in any order, so many if there are."""
    return tuple(int(axis) for axis in rng.permutation(x.ndim)[:count])

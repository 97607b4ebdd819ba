"""What becomes of coordinates: of each window, the mean over its cells inside the input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray

from ...api.execute import execute
from ...rules.axis import Axis
from ...rules.members import FUNCTIONS

# Of these xarray knows a mean: numbers, and times.
MEANS = "biufcmM"
# Along how many axes fastpool averages.
_MOST = 3


def pooled(x: Any, axes: Mapping[Any, Axis]) -> dict[Any, Any]:
    """The coordinates that lie along pooled dims, as variables; those without a mean are left out.

    `axes` has the windows of each pooled dim.
    """
    return {
        name: _mean(coordinate.variable, axes)
        for name, coordinate in x.coords.items()
        if any(dim in axes for dim in coordinate.dims) and coordinate.dtype.kind in MEANS
    }


def _mean(variable: Any, axes: Mapping[Any, Axis]) -> Any:
    along = {dim: axes[dim] for dim in variable.dims if dim in axes}
    if all(map(_tiles, along.values())):
        windows = {dim: axis.kernel for dim, axis in along.items()}
        return variable.coarsen(windows, "mean", boundary="trim")
    if len(along) > 1 and variable.dtype.kind in "iuf":
        return _averaged(variable, along)
    return _gathered(variable, along)


def _tiles(axis: Axis) -> bool:
    """Whether the windows lie side by side from the first cell on."""
    side_by_side = axis.stride == axis.kernel and axis.dilation == 1 and axis.pad_low == 0
    return axis.regular and side_by_side and axis.output == axis.size // axis.kernel


def _averaged(variable: Any, along: Mapping[Any, Axis]) -> Any:
    """The mean of a coordinate with several pooled dims, as of any image."""
    dims, count = variable.dims, len(along)
    others = [dim for dim in dims if dim not in along]
    ordered = variable.transpose(*others, *along)
    layout = FUNCTIONS[f"avgpool{count}d"].layouts[0]
    if all(axis.regular for axis in along.values()):
        function, arguments = FUNCTIONS[f"avgpool{count}d"], (
            *zip(*map(_entries, along.values()), strict=True), False, False, None,
            tuple(axis.dilation for axis in along.values()), layout, None,
        )  # fmt: skip
    else:
        outputs = tuple(axis.output for axis in along.values())
        function, arguments = FUNCTIONS[f"adaptive_avgpool{count}d"], (outputs, layout, None)
    data = execute(function, (ordered.data,), arguments, None, None)
    return xarray.Variable(ordered.dims, data, variable.attrs).transpose(*dims)


def _entries(axis: Axis) -> tuple[int, int, tuple[int, int]]:
    """The length, the stride and the padding of the same windows, without ``ceil_mode``."""
    reach = (axis.output - 1) * axis.stride - axis.pad_low + axis.span
    return axis.kernel, axis.stride, (axis.pad_low, max(0, reach - axis.size))


def _gathered(variable: Any, along: Mapping[Any, Axis]) -> Any:
    """The mean over the cells of every window, for what fastpool takes no average of."""
    dims, taps, places = variable.dims, list[str](), dict[Any, Any]()
    inside: Any = True
    for number, (dim, axis) in enumerate(along.items()):
        tap = f"fastpool tap {number}"
        steps = np.arange(axis.kernel)
        cells = axis.starts[:, np.newaxis] + steps * axis.dilation
        valid = (cells >= 0) & (cells < axis.size)
        if not axis.regular:
            valid &= steps < axis.tap_counts[:, np.newaxis]
        taps.append(tap)
        places[dim] = xarray.Variable((dim, tap), np.where(valid, cells, 0))
        inside = xarray.Variable((dim, tap), valid) & inside
    cells = variable.to_base_variable().isel(places)
    if not inside.all():
        cells = cells.where(inside)
    return cells.mean(taps, keep_attrs=True).transpose(*dims)

"""Calls of fastpool's own functions whose arrays are DataArrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray

from ...api.execute import PoolResult, understand
from ...api.norms import execute_any, understood
from ...rules.arguments import shown
from ...rules.axis import Axis
from ...rules.call import Function
from ...rules.operation import NORM
from . import coordinates
from .blocks import downsample as downsample
from .filters import filtered as filtered
from .filters import host as host
from .like import like


class _Facts(NamedTuple):
    """What must be known of an array to understand a call."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def answer(
    function: Function, inputs: tuple[Any, ...], arguments: tuple[Any, ...], backend: Any
) -> Any:
    """The DataArray, or the two, that a function of `fastpool` makes of DataArrays."""
    named = [x for x in inputs if isinstance(x, xarray.DataArray)]
    first, last = named[0], named[-1]
    if first.dims != last.dims:
        raise ValueError(
            f"{function.name}: {function.inputs[0]} has dims {shown(first.dims)}, "
            f"{function.inputs[-1]} {shown(last.dims)}"
        )
    data = tuple(x.data if isinstance(x, xarray.DataArray) else x for x in inputs)
    results = execute_any(function, data, arguments, None, backend)
    dims = _spatial(function, first.dims, arguments)
    made: dict[Any, Any] = {}
    if function.part == "forward":
        axes = _axes(function, data, arguments)
        made = coordinates.pooled(first, dict(zip(dims, axes, strict=True)))
    elif function.inputs[-1] == "x" and isinstance(inputs[-1], xarray.DataArray):
        made = dict(last.coords)  # the gradient of norms has the cells of their input
    if isinstance(results, PoolResult):
        output, indices = (like(first, result, dims, made) for result in results)
        indices.attrs = {}  # units and their like are those of values
        return PoolResult(output, indices)
    return like(first, results, dims, made)


def _spatial(function: Function, dims: tuple[Any, ...], arguments: tuple[Any, ...]) -> Any:
    """The names of the pooled axes."""
    n = function.dimensions
    summed = function.part == "forward" and not function.operation.picks_cell
    layout = arguments[-2] if summed and function.operation is not NORM else arguments[-1]
    return dims[-n - 1 : -1] if layout == function.layouts[1] else dims[-n:]


def _axes(
    function: Function, data: tuple[Any, ...], arguments: tuple[Any, ...]
) -> tuple[Axis, ...]:
    """The windows along each of them."""
    facts = tuple(_Facts(each.shape, each.dtype) for each in data)
    if function.operation is NORM:
        _, call = understood(function, "x", *facts[0], arguments)
    else:
        call = understand(function, facts, arguments)
    return call.geometry.axes

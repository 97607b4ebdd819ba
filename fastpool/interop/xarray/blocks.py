"""`downsample` of DataArrays, whose coordinates become what `coarsen` makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...api.downsample import downsampled
from ...rules.arguments import shown
from ...rules.downsampling import NAME, factors_of
from .coordinates import MEANS
from .like import like

# What xarray calls the boundaries, for the mean of a coordinate: it skips what it fills up.
_BOUNDARIES = {"partial": "pad", "pad": "pad", "trim": "trim", "exact": "exact"}


def downsample(x: Any, given: tuple[Any, ...], backend: Any) -> Any:
    """The DataArray of what becomes of blocks; factors may be given by dims."""
    factors, method, axes, boundary, *rest = given
    if isinstance(factors, Mapping):
        factors, axes = _by_dim(x, factors, axes)
    data = downsampled(x.data, (factors, method, axes, boundary, *rest), backend)
    wanted = factors_of(factors, axes, x.shape)
    windows = {dim: each for dim, each in zip(x.dims, wanted, strict=True) if each > 1}
    made = {
        name: _pooled(coordinate.variable, windows, method, boundary)
        for name, coordinate in x.coords.items()
        if any(dim in windows for dim in coordinate.dims)
        and (method == "stride" or coordinate.dtype.kind in MEANS)
    }
    return like(x, data, windows, made)


def _by_dim(x: Any, factors: Mapping[Any, Any], axes: Any) -> tuple[Any, Any]:
    if axes is not None:
        raise TypeError(f"{NAME}: factors by dim name their axes; leave axes out")
    unknown = [dim for dim in factors if dim not in x.dims]
    if unknown:
        raise ValueError(f"{NAME}: factors has dims {shown(unknown)}, and x has {shown(x.dims)}")
    return tuple(factors.values()), tuple(x.dims.index(dim) for dim in factors)


def _pooled(variable: Any, windows: Mapping[Any, int], method: str, boundary: str) -> Any:
    """The mean of a coordinate in each block; or that of its first cell, if that is taken."""
    along = {dim: each for dim, each in windows.items() if dim in variable.dims}
    if method != "stride":
        return variable.coarsen(along, "mean", boundary=_BOUNDARIES[boundary])
    if boundary == "trim":
        sizes = dict(zip(variable.dims, variable.shape, strict=True))
        whole = {dim: slice(sizes[dim] // each * each) for dim, each in along.items()}
        variable = variable.isel(whole)
    return variable.isel({dim: slice(None, None, each) for dim, each in along.items()})

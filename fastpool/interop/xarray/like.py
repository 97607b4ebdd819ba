"""A DataArray as another one is: dims, name, attributes, and the coordinates that are kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import xarray


def like(x: Any, data: Any, dims: Iterable[Any], made: dict[Any, Any]) -> Any:
    """A DataArray as `x` is one, but for its pooled dims, whose coordinates are made anew."""
    dims = set(dims)
    along = [name for name, each in x.coords.items() if not dims.isdisjoint(each.dims)]
    kept = x.drop_vars(along).coords
    keep = xarray.get_options()["keep_attrs"] in (True, "default")
    attributes = x.attrs if keep else None
    result = xarray.DataArray(data, dims=x.dims, coords=kept, name=x.name, attrs=attributes)
    if x.name in made:  # a coordinate by itself, which is one of its own: as `coarsen` has it
        made = {**made, x.name: result.variable}
    return result.assign_coords(made)

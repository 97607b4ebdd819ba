"""Pooling of xarray's DataArrays: dims, names and attributes stay, coordinates are pooled.

There is no function here to call: `fastpool`'s own take a DataArray. What it holds, a NumPy or a
Dask array, is pooled as such. A coordinate along a pooled axis becomes the mean of its cells in
each window, as `xarray.DataArray.coarsen` makes it.
"""

from . import door as door

"""Functions of other libraries, by their own names and signatures: only an import changes.

::

    from skimage.measure import block_reduce          ->  from fastpool.compat import block_reduce
    from skimage.transform import downscale_local_mean  ...
    from scipy.ndimage import maximum_filter
    from tinybrain import downsample_with_averaging
    from xarray_multiscale.reducers import windowed_mean

Each docstring says where results differ from those of the original, and why. New code should call
`fastpool.downsample`, `fastpool.pyramid` and the filters: they have more to choose from.
"""

from .blocks import block_reduce, downscale_local_mean
from .filters import (
    maximum_filter,
    maximum_filter1d,
    minimum_filter,
    minimum_filter1d,
    uniform_filter,
    uniform_filter1d,
)
from .mips import (
    downsample_segmentation,
    downsample_with_averaging,
    downsample_with_max_pooling,
    downsample_with_min_pooling,
    downsample_with_striding,
)
from .reducers import windowed_max, windowed_mean, windowed_min, windowed_mode, windowed_rank

__all__ = [
    "block_reduce",
    "downsample_segmentation",
    "downsample_with_averaging",
    "downsample_with_max_pooling",
    "downsample_with_min_pooling",
    "downsample_with_striding",
    "downscale_local_mean",
    "maximum_filter",
    "maximum_filter1d",
    "minimum_filter",
    "minimum_filter1d",
    "uniform_filter",
    "uniform_filter1d",
    "windowed_max",
    "windowed_mean",
    "windowed_min",
    "windowed_mode",
    "windowed_rank",
]

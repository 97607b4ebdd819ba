"""fastpool: exact and fast pooling for NumPy arrays on the CPU."""

from . import interop as interop
from .api.adaptive import (
    adaptive_avgpool1d,
    adaptive_avgpool1d_backward,
    adaptive_avgpool2d,
    adaptive_avgpool2d_backward,
    adaptive_avgpool3d,
    adaptive_avgpool3d_backward,
    adaptive_maxpool1d,
    adaptive_maxpool1d_backward,
    adaptive_maxpool2d,
    adaptive_maxpool2d_backward,
    adaptive_maxpool3d,
    adaptive_maxpool3d_backward,
)
from .api.average import (
    avgpool1d,
    avgpool1d_backward,
    avgpool2d,
    avgpool2d_backward,
    avgpool3d,
    avgpool3d_backward,
    sumpool1d,
    sumpool2d,
    sumpool3d,
)
from .api.downsample import downsample
from .api.execute import PoolResult
from .api.extremes import (
    maxpool1d,
    maxpool1d_backward,
    maxpool2d,
    maxpool2d_backward,
    maxpool3d,
    maxpool3d_backward,
    maxunpool1d,
    maxunpool2d,
    maxunpool3d,
    minpool1d,
    minpool1d_backward,
    minpool2d,
    minpool2d_backward,
    minpool3d,
    minpool3d_backward,
    modepool1d,
    modepool2d,
    modepool3d,
)
from .api.norms import (
    lppool1d,
    lppool1d_backward,
    lppool2d,
    lppool2d_backward,
    lppool3d,
    lppool3d_backward,
)
from .api.warmup import warmup
from .backends.protocol import BackendUnavailable
from .dispatch.defaults import set_default_backend, use_backend
from .dispatch.table import BackendStatus, available_backends
from .filters.average import uniform_filter
from .filters.extremes import maximum_filter, minimum_filter
from .filters.peaks import peaks

__version__ = "0.2.0"

__all__ = [
    "BackendStatus",
    "BackendUnavailable",
    "PoolResult",
    "__version__",
    "adaptive_avgpool1d",
    "adaptive_avgpool1d_backward",
    "adaptive_avgpool2d",
    "adaptive_avgpool2d_backward",
    "adaptive_avgpool3d",
    "adaptive_avgpool3d_backward",
    "adaptive_maxpool1d",
    "adaptive_maxpool1d_backward",
    "adaptive_maxpool2d",
    "adaptive_maxpool2d_backward",
    "adaptive_maxpool3d",
    "adaptive_maxpool3d_backward",
    "available_backends",
    "avgpool1d",
    "avgpool1d_backward",
    "avgpool2d",
    "avgpool2d_backward",
    "avgpool3d",
    "avgpool3d_backward",
    "downsample",
    "lppool1d",
    "lppool1d_backward",
    "lppool2d",
    "lppool2d_backward",
    "lppool3d",
    "lppool3d_backward",
    "maximum_filter",
    "maxpool1d",
    "maxpool1d_backward",
    "maxpool2d",
    "maxpool2d_backward",
    "maxpool3d",
    "maxpool3d_backward",
    "maxunpool1d",
    "maxunpool2d",
    "maxunpool3d",
    "minimum_filter",
    "minpool1d",
    "minpool1d_backward",
    "minpool2d",
    "minpool2d_backward",
    "minpool3d",
    "minpool3d_backward",
    "modepool1d",
    "modepool2d",
    "modepool3d",
    "peaks",
    "set_default_backend",
    "sumpool1d",
    "sumpool2d",
    "sumpool3d",
    "uniform_filter",
    "use_backend",
    "warmup",
]

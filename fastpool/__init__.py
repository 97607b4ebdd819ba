"""fastpool: exact and fast pooling for NumPy arrays on the CPU."""

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
)
from .api.warmup import warmup
from .backends.protocol import BackendUnavailable
from .dispatch.defaults import set_default_backend, use_backend
from .dispatch.table import BackendStatus, available_backends

__version__ = "0.2.0"

__all__ = [
    "BackendStatus",
    "BackendUnavailable",
    "PoolResult",
    "__version__",
    "available_backends",
    "avgpool1d",
    "avgpool1d_backward",
    "avgpool2d",
    "avgpool2d_backward",
    "avgpool3d",
    "avgpool3d_backward",
    "maxpool1d",
    "maxpool1d_backward",
    "maxpool2d",
    "maxpool2d_backward",
    "maxpool3d",
    "maxpool3d_backward",
    "maxunpool1d",
    "maxunpool2d",
    "maxunpool3d",
    "minpool1d",
    "minpool1d_backward",
    "minpool2d",
    "minpool2d_backward",
    "minpool3d",
    "minpool3d_backward",
    "set_default_backend",
    "sumpool1d",
    "sumpool2d",
    "sumpool3d",
    "use_backend",
    "warmup",
]

"""fastpool: exact and fast max and min pooling for NumPy arrays on the CPU."""

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
    "use_backend",
    "warmup",
]

"""fastpool: exact and fast 2-D max pooling for NumPy arrays on the CPU."""

from .ahead import warmup
from .api import PoolResult, maxpool2d, maxpool2d_backward, maxunpool2d
from .backends import BackendUnavailable
from .dispatch import BackendStatus, backends, set_default_backend, use_backend

__version__ = "0.1.0"

__all__ = [
    "BackendStatus",
    "BackendUnavailable",
    "PoolResult",
    "__version__",
    "backends",
    "maxpool2d",
    "maxpool2d_backward",
    "maxunpool2d",
    "set_default_backend",
    "use_backend",
    "warmup",
]

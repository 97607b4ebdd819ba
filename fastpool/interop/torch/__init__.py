"""Pooling of PyTorch tensors on the CPU, as custom operators on their memory.

::

    functional, averages,
    adaptive, norms        what users call; documents are their docstrings
    modules                the same as modules, and models made of them
    arguments              what these have in common
    derivatives, norms     of every order, for autograd and `torch.func`
    direct                 the way past PyTorch's dispatcher, where nobody looks
    operators              what PyTorch sees: operators, each with a fake for its compilers
    calls                  what an operator asks of fastpool, kept by shape and arguments
    tensors                memory formats, and tensors as arrays

Three kinds of operators close the calculus of what picks cells: pooling, whose backward pass
scatters; scattering, whose own backward pass gathers; and gathering, whose backward pass scatters
again. Maximum and minimum differ in the first kind alone. Averages are linear, and two kinds do:
averaging and spreading, each the backward pass of the other.
"""

from . import door as door
from .adaptive import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
)
from .averages import avg_pool1d, avg_pool2d, avg_pool3d
from .functional import (
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
    min_pool1d,
    min_pool2d,
    min_pool3d,
)
from .modules import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    LPPool1d,
    LPPool2d,
    LPPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    MaxUnpool1d,
    MaxUnpool2d,
    MaxUnpool3d,
    replace_max_pool2d,
    replace_pooling,
    restore_max_pool2d,
    restore_pooling,
)
from .norms import lp_pool1d, lp_pool2d, lp_pool3d

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "min_pool1d",
    "min_pool2d",
    "min_pool3d",
    "replace_max_pool2d",
    "replace_pooling",
    "restore_max_pool2d",
    "restore_pooling",
]

# Pickled models and the graphs of torch.fx name this package, wherever the definitions stand.
for _public in __all__:
    globals()[_public].__module__ = __name__

"""Max, min and average pooling of PyTorch tensors on the CPU, as custom operators on their memory.

::

    functional, averages   what users call
    modules                the same as modules, and models made of them
    arguments              what these have in common
    derivatives            of every order, for autograd and `torch.func`
    operators              what PyTorch sees: operators, each with a fake for its compilers
    calls                  what an operator asks of fastpool, kept by shape and arguments
    tensors                memory formats, and tensors as arrays

Three kinds of operators close the calculus of what picks cells: pooling, whose backward pass
scatters; scattering, whose own backward pass gathers; and gathering, whose backward pass scatters
again. Maximum and minimum differ in the first kind alone. Averages are linear, and two kinds do:
averaging and spreading, each the backward pass of the other.
"""

from .averages import avg_pool1d, avg_pool2d, avg_pool3d
from .functional import max_pool2d, min_pool2d
from .modules import (
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    MaxPool2d,
    replace_max_pool2d,
    replace_pooling,
    restore_max_pool2d,
    restore_pooling,
)

__all__ = [
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "MaxPool2d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "max_pool2d",
    "min_pool2d",
    "replace_max_pool2d",
    "replace_pooling",
    "restore_max_pool2d",
    "restore_pooling",
]

# Pickled models and the graphs of torch.fx name this package, wherever the definitions stand.
for _public in __all__:
    globals()[_public].__module__ = __name__

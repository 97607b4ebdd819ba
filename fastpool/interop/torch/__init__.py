"""Max and min pooling of PyTorch tensors on the CPU, as custom operators that share their memory.

::

    functional, modules    what users call
    derivatives            of every order, for autograd and `torch.func`
    operators              what PyTorch sees: six operators, each with a fake for its compilers
    calls                  what an operator asks of fastpool, kept by shape and arguments
    tensors                memory formats, and tensors as arrays

Three kinds of operators close the calculus: pooling, whose backward pass scatters; scattering,
whose own backward pass gathers; and gathering, whose backward pass scatters again. Maximum and
minimum differ in the first kind alone.
"""

from .functional import max_pool2d, min_pool2d
from .modules import MaxPool2d, replace_max_pool2d, restore_max_pool2d

__all__ = ["MaxPool2d", "max_pool2d", "min_pool2d", "replace_max_pool2d", "restore_max_pool2d"]

# Pickled models and the graphs of torch.fx name this package, wherever the definitions stand.
for _public in (MaxPool2d, max_pool2d, min_pool2d, replace_max_pool2d, restore_max_pool2d):
    _public.__module__ = __name__

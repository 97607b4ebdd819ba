"""Pooling of JAX arrays on the CPU: ``jit``, ``vmap``, and derivatives of every order.

::

    functional    what users call, by the size of windows
    adaptive      the same by how many windows there are
    documents     their docstrings
    primitives    operations of JAX: how they are lowered, mapped and differentiated
    in_place      the same on XLA's own buffers, without Python where there is a kernel
    host          what they compute, on NumPy arrays

The operations are those of NumPy arrays: the values; the values and their codes, one byte an
output for windows of up to 256 taps; and two linear maps along given codes, to gather cells and to
scatter gradients. Gathering is the derivative of pooling, and each of the two is the transpose of
the other, so that JAX finds the rest by itself: forward mode, reverse mode, one over the other.
Averages and sums are linear maps by themselves, whose transpose spreads gradients. Norms have two
linear maps too, which change with the input: the second derivatives are those of formulas.
"""

from .adaptive import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
)
from .functional import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    min_pool1d,
    min_pool2d,
    min_pool3d,
    mode_pool1d,
    mode_pool2d,
    mode_pool3d,
    sum_pool1d,
    sum_pool2d,
    sum_pool3d,
)

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_pool1d", "max_pool2d", "max_pool3d", "min_pool1d",
    "min_pool2d", "min_pool3d", "mode_pool1d", "mode_pool2d", "mode_pool3d", "sum_pool1d",
    "sum_pool2d", "sum_pool3d",
]  # fmt: skip

# What is pickled names this package, wherever the definition stands.
for _name in __all__:
    globals()[_name].__module__ = __name__

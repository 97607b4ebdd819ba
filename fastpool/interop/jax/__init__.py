"""Pooling of JAX arrays on the CPU: ``jit``, ``vmap``, and derivatives of every order.

::

    functional    what users call
    documents     its docstrings
    primitives    operations of JAX: how they are lowered, mapped and differentiated
    host          what they compute, on NumPy arrays

The operations call fastpool on NumPy arrays: the values; the values and their codes, one byte an
output for windows of up to 256 taps; and two linear maps along given codes, to gather cells and to
scatter gradients. Gathering is the derivative of pooling, and each of the two is the transpose of
the other, so that JAX finds the rest by itself: forward mode, reverse mode, one over the other.
Averages are a linear map by themselves, whose transpose spreads gradients.
"""

from .functional import avg_pool2d, max_pool2d, min_pool2d

__all__ = ["avg_pool2d", "max_pool2d", "min_pool2d"]

# What is pickled names this package, wherever the definition stands.
for _public in (avg_pool2d, max_pool2d, min_pool2d):
    _public.__module__ = __name__

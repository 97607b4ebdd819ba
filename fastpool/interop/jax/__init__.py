"""Max and min pooling of JAX arrays on the CPU: ``jit``, ``vmap``, and derivatives of every order.

::

    functional    what users call
    documents     its docstrings
    primitives    four operations of JAX: how they are lowered, mapped and differentiated
    host          what they compute, on NumPy arrays

The operations call fastpool on NumPy arrays: the values; the values and their codes, one byte an
output for windows of up to 256 taps; and two linear maps along given codes, to gather cells and to
scatter gradients. Gathering is the derivative of pooling, and each of the two is the transpose of
the other, so that JAX finds the rest by itself: forward mode, reverse mode, one over the other.
"""

from .functional import max_pool2d, min_pool2d

__all__ = ["max_pool2d", "min_pool2d"]

# What is pickled names this package, wherever the definition stands.
for _public in (max_pool2d, min_pool2d):
    _public.__module__ = __name__

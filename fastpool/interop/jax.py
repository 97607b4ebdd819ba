"""Max pooling of JAX arrays on the CPU: ``jit``, ``vmap``, and derivatives of every order.

Four primitives call fastpool on NumPy arrays: the values; the values and their codes, one byte an
output for windows of up to 256 taps; and two linear maps along given codes, to gather cells and to
scatter gradients. Gathering is the derivative of pooling, and each of the two is the transpose of
the other, so that JAX finds the rest by itself: forward mode, reverse mode, one over the other.

XLA calls them with views of its own memory and copies what they return. `jax.pure_callback` would
put the arguments through ``jax.device_put`` first, which for large ones needs another of XLA's
threads, and where all of these are in callbacks themselves, no call ever ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

import fastpool

from .. import arrays, dispatch
from ..api import IntOrPair, Padding
from ..arguments import Layout, Pair, Windows, windows
from ..geometry import Geometry, pooling
from . import gather


class _Pooling(NamedTuple):
    """What is known of a pooling when it is traced: all but the leading axes, which `vmap` adds."""

    sizes: Pair  # of the input
    windows: Windows
    ceil_mode: bool
    layout: Layout
    backend: str

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Those of fastpool's functions from `kernel_size` to `ceil_mode`."""
        return (*self.windows, self.ceil_mode)

    @property
    def options(self) -> dict[str, Any]:
        return {"index_format": "window", "layout": self.layout, "backend": self.backend}

    @property
    def leading(self) -> slice:
        """Where the leading axes stand in a shape."""
        return slice(-2 if self.layout == "NCHW" else -3)

    def input_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of the input, from that of an array with its leading axes and channels."""
        channels = () if self.layout == "NCHW" else shape[-1:]
        return (*shape[self.leading], *self.sizes, *channels)

    def geometry(self, shape: Sequence[int]) -> Geometry:
        shape = self.input_shape(shape)
        return pooling("max_pool2d", "x", shape, *self.arguments, self.layout, "window")


def max_pool2d(
    x: Any,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    *,
    layout: Layout = "NCHW",
) -> jax.Array:
    """Maximum over windows of the last two axes of a JAX array, or of those before the channels.

    Parameters
    ----------
    x : array_like, shape (..., H, W), or (..., H, W, C) with ``layout="NHWC"``
        The input, of any dtype that `fastpool.maxpool2d` takes.
    kernel_size, stride, padding, dilation, ceil_mode, layout
        As in `fastpool.maxpool2d`: Python values, known when the function is traced.

    Returns
    -------
    jax.Array, shape (..., OH, OW) or (..., OH, OW, C), dtype of `x`
        The bits of `fastpool.maxpool2d`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailable
        As in `fastpool.maxpool2d`, when the function is traced.

    Notes
    -----
    The gradient goes to the first maximum of each window, or to the first NaN where there is one,
    with the bits of `fastpool.maxpool2d_backward`. What is kept for it are the window indices.

    Under ``jax.vmap``, the mapped axis is one more leading axis: one call does all.

    The backend is the one that `fastpool.use_backend` and the like name when the function is
    traced. XLA runs it in threads of its own.

    Examples
    --------
    >>> import jax
    >>> import jax.numpy as jnp
    >>> from fastpool.interop.jax import max_pool2d
    >>> x = jnp.array([[1.0, 5.0, 5.0, 0.0], [5.0, 4.0, 9.0, 9.0]])
    >>> max_pool2d(x, 2)
    Array([[5., 9.]], dtype=float32)
    >>> jax.grad(lambda x: max_pool2d(x, 2).sum())(x)
    Array([[0., 1., 0., 0.],
           [0., 0., 1., 0.]], dtype=float32)
    """
    name = "max_pool2d"
    x = jnp.asarray(x)
    arrays.data_type(name, "x", x.dtype)
    spec = windows(name, kernel_size, stride, padding, dilation)
    geometry = pooling(name, "x", x.shape, *spec, ceil_mode, layout, "window")
    backend = dispatch.current_default()
    if backend != "auto":
        dispatch.load(backend)
    sizes = geometry.height.size, geometry.width.size
    (output,) = _values.bind(x, pooling=_Pooling(sizes, spec, bool(ceil_mode), layout, backend))
    return output


def _call_values(pooling: _Pooling, x: np.ndarray) -> tuple[np.ndarray]:
    return (fastpool.maxpool2d(x, *pooling.arguments, **pooling.options),)


def _call_maxima(pooling: _Pooling, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return fastpool.maxpool2d(x, *pooling.arguments, return_indices=True, **pooling.options)


def _call_gather(pooling: _Pooling, codes: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray]:
    lead = np.broadcast_shapes(codes.shape[pooling.leading], cells.shape[pooling.leading])
    codes = np.broadcast_to(codes, lead + codes.shape[len(lead) :])
    cells = np.broadcast_to(cells, lead + cells.shape[len(lead) :])
    return (gather(cells, codes, pooling.geometry(cells.shape), window=True),)


def _call_scatter(pooling: _Pooling, codes: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray]:
    codes, gradient = np.broadcast_arrays(codes, gradient)
    shape = pooling.input_shape(gradient.shape)
    grad_input = fastpool.maxpool2d_backward(
        gradient, codes, shape, *pooling.arguments, **pooling.options
    )
    return (grad_input,)


def _pooled(geometry: Geometry, *dtypes: Any) -> list[tuple[Any, ...]]:
    """Shapes and dtypes of results that have the output's shape."""
    return [(geometry.output_shape, dtype) for dtype in dtypes]

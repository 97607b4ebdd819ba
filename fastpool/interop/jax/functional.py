"""`max_pool2d` of JAX arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import jax
import jax.numpy as jnp

from ...api.types import Entries, Padding
from ...dispatch import defaults, table
from ...rules import arrays, calls, masks
from ...rules.members import FUNCTIONS
from .host import Pooling
from .primitives import pool_p

_FUNCTION = replace(FUNCTIONS["maxpool2d"], name="max_pool2d")


def max_pool2d(
    x: Any,
    kernel_size: Entries,
    stride: Entries | None = None,
    padding: Padding = 0,
    dilation: Entries = 1,
    ceil_mode: bool = False,
    *,
    layout: Literal["NCHW", "NHWC"] = "NCHW",
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
    masks.refuse_masks(_FUNCTION.name, "x", (x,), lazy=(jax.Array, jax.core.Tracer))
    x = jnp.asarray(x)
    dtype = arrays.data_type(_FUNCTION.name, "x", x.dtype)
    call = calls.forward(
        _FUNCTION, "x", x.shape, dtype, kernel_size, stride, padding, dilation, ceil_mode,
        True, "window", layout,
    )  # fmt: skip
    backend = defaults.current_default()
    if backend != defaults.AUTO:
        table.load(backend)
    (output,) = pool_p.bind(x, pooling=Pooling(call.with_lead(()), backend))
    return output

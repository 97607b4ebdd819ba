"""`downsample` of JAX arrays: a pooling where there is one, else a callback."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import fastpool

from ...api.as_windows import Pooling, pooling_of
from ...api.downsample import downsampled, understood
from ...dispatch import defaults, table
from ...rules.downsampling import NAME


def downsample(x: Any, given: tuple[Any, ...], backend: Any) -> jax.Array:
    """The JAX array of what becomes of blocks. Callbacks have no derivatives, and say so."""
    chosen = defaults.resolve(NAME, backend)
    if chosen != defaults.AUTO:
        table.load(chosen)
    blocks, arguments = understood(x, given)
    pooling = pooling_of(blocks)
    if pooling is not None:
        return _pooled(x, pooling, backend)
    if blocks.operation is None:
        steps = zip(blocks.factors, blocks.outputs, strict=True)
        return x[tuple(slice(0, step * count, step) for step, count in steps)]
    result = jax.dtypes.canonicalize_dtype(blocks.result)

    def compute(array: Any) -> np.ndarray:
        made: np.ndarray = downsampled(np.asarray(array), arguments, chosen)
        return np.ascontiguousarray(made.astype(result, copy=False))

    shape = jax.ShapeDtypeStruct(blocks.outputs, result)
    return jax.pure_callback(compute, shape, x, vmap_method="sequential")


def _pooled(x: jax.Array, pooling: Pooling, backend: Any) -> jax.Array:
    last = tuple(range(-len(pooling.axes), 0))
    pool = getattr(fastpool, pooling.name)
    moved, kernel = jnp.moveaxis(x, pooling.axes, last), pooling.kernel_size
    found = pool(moved, kernel, backend=backend, **pooling.options)
    return jnp.moveaxis(found, last, pooling.axes)

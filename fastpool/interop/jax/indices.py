"""Operations with indices as fastpool's own functions take them: gradients and values follow them.

A code is what `host` calls so: a window index, in the smallest dtype.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import ad

from ...api.execute import execute_call
from ...rules import indices
from ...rules.call import Call
from .host import Pooling, Types
from .primitives import _primitive, summed


def index_type(call: Call) -> np.dtype[Any]:
    """The dtype of flat indices: JAX's default integers, if these count all cells.

    Raises
    ------
    ValueError
        They do not.
    """
    dtype = np.dtype(jnp.result_type(int))
    cells = math.prod(call.geometry.sizes)
    if cells - 1 > np.iinfo(dtype).max:
        raise ValueError(
            f"{call.name}: JAX's integers of dtype {dtype} cannot count the {cells} cells of a "
            "plane; enable jax_enable_x64, or take window indices"
        )
    return dtype


@partial(jax.jit, static_argnames="pooling")
def flat_indices(codes: jax.Array, pooling: Pooling) -> jax.Array:
    """Codes as flat indices.

    By operations of JAX, of which XLA makes one loop: half of the time of a forward pass.
    """
    call, dtype = pooling.call, index_type(pooling.call)
    geometry = call.geometry
    # Codes have 32 bits at most, and all of them where padding makes windows large.
    rest = codes.astype(np.uint32 if dtype == np.int32 else dtype)
    places: list[jax.Array] = []
    for number in reversed(range(len(geometry.axes))):
        axis, tap = geometry.axes[number], rest
        if number:
            rest, tap = jnp.divmod(rest, rest.dtype.type(axis.kernel))
        behind = len(geometry.axes) - 1 - number + geometry.channels_last
        starts = jnp.asarray(axis.starts.reshape(-1, *(1,) * behind), dtype)
        places.insert(0, starts + tap.astype(dtype) * dtype.type(axis.dilation))
    return indices.flat_of(geometry.axes, places)


def _route(pooling: Pooling, given: np.ndarray, values: np.ndarray) -> tuple[np.ndarray]:
    """Values where their indices say."""
    call = _routing(pooling, given, values)
    given, values = np.broadcast_arrays(given, values)
    return (execute_call(call, (values, given), None, pooling.backend),)


def _route_types(pooling: Pooling, given: Any, values: Any) -> Types:
    return list(_routing(pooling, given, values).results)


def _routing(pooling: Pooling, given: Any, values: Any) -> Call:
    return pooling.call.with_lead(pooling.lead(given, values))


route_p = _primitive("route", _route, _route_types, _routing)


def _differentiate(primals: Any, tangents: Any, *, pooling: Pooling) -> Any:
    codes, x = primals
    outputs = route_p.bind(codes, x, pooling=pooling)
    if type(tangents[1]) is ad.Zero:
        return outputs, [jnp.zeros_like(outputs[0])]
    return outputs, route_p.bind(codes, tangents[1], pooling=pooling)


def _transpose(cotangents: Any, codes: Any, operand: Any, *, pooling: Pooling) -> Any:
    """As in PyTorch: each value gets what stands at its index."""
    (cells,) = cotangents
    if type(cells) is ad.Zero:
        return None, ad.Zero(operand.aval)
    call = pooling.call
    if call.window:
        codes = flat_indices(codes, pooling)
    n, last = call.function.dimensions, call.geometry.channels_last
    cells, codes = (_planes(array, n, last) for array in (cells, codes))
    found = jnp.take_along_axis(cells, codes, axis=-1)
    sizes = call.geometry.outputs
    found = found.reshape(*found.shape[:-1], *sizes)
    return None, summed(jnp.moveaxis(found, -n - 1, -1) if last else found, operand.aval.shape)


def _planes(array: jax.Array, n: int, channels_last: bool) -> jax.Array:
    """The cells of each plane, along one axis."""
    if channels_last:
        array = jnp.moveaxis(array, -1, -n - 1)
    return array.reshape(*array.shape[:-n], -1)


ad.primitive_jvps[route_p] = _differentiate
ad.primitive_transposes[route_p] = _transpose

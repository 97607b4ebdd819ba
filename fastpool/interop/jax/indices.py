"""Operations on the indices of JAX arrays: as fastpool has them, as codes, and unpooling.

A code is what `host` calls so: a window index, in the smallest dtype. What has indices is made of
these operations and those of `primitives`, which know derivatives of every order.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import ad

from ...api.execute import execute_call
from ...rules import indices
from ...rules.call import Call
from .host import Pooling, Types
from .primitives import _primitive


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


def _flat(pooling: Pooling, codes: np.ndarray) -> tuple[np.ndarray]:
    """Codes as flat indices."""
    ((_, dtype),) = _flat_types(pooling, codes)
    geometry = pooling.call.with_lead(pooling.lead(codes)).geometry
    axes, taps = geometry.axes, geometry.canonical(codes).astype(np.int64)
    cells, _, _ = indices.named_cells(axes, taps, indices.starts_of(axes), True)
    found = np.broadcast_to(indices.flat_of(axes, cells), taps.shape)
    return (found.reshape(codes.shape).astype(dtype),)


def _flat_types(pooling: Pooling, codes: Any) -> Types:
    return [(tuple(codes.shape), index_type(pooling.call))]


def _codes(pooling: Pooling, given: np.ndarray) -> tuple[np.ndarray]:
    """Indices of either format as codes, each of which is known to be a tap of its window.

    Raises
    ------
    IndexError
        One is not.
    """
    call = pooling.call.with_lead(pooling.lead(given))
    geometry, axes = call.geometry, call.geometry.axes
    places, starts = geometry.canonical(given), indices.starts_of(axes)
    if given.dtype == np.uint64:  # what int64 lacks is no index
        places = np.minimum(places, np.uint64(np.iinfo(np.int64).max))
    cells, _, own = indices.named_cells(
        axes, places.astype(np.int64), starts, call.window, indices.spans_of(axes)
    )
    if not own.all():
        position = tuple(map(int, np.argwhere(~own.reshape(given.shape))[0]))
        raise call.bad_index(position, given[position])
    taps = [
        (cell - start) // axis.dilation
        for cell, start, axis in zip(cells, starts, axes, strict=True)
    ]
    ((shape, dtype),) = _codes_types(pooling, given)
    return (np.ascontiguousarray(indices.tap_of(axes, taps).reshape(shape), dtype),)


def _codes_types(pooling: Pooling, given: Any) -> Types:
    return [(tuple(given.shape), indices.window_dtype(pooling.call.geometry.kernel))]


def _unpool(pooling: Pooling, codes: np.ndarray, x: np.ndarray) -> tuple[np.ndarray]:
    """Values where their indices say."""
    call = pooling.call.with_lead(pooling.lead(codes, x))
    codes, x = np.broadcast_arrays(codes, x)
    return (execute_call(call, (x, codes), None, pooling.backend),)


def _unpool_types(pooling: Pooling, codes: Any, x: Any) -> Types:
    return list(pooling.call.with_lead(pooling.lead(codes, x)).results)


flat_p = _primitive("flat_indices", _flat, _flat_types)
codes_p = _primitive("codes", _codes, _codes_types)
unpool_p = _primitive("unpool", _unpool, _unpool_types)


def _differentiate(primals: Any, tangents: Any, *, pooling: Pooling) -> Any:
    codes, x = primals
    outputs = unpool_p.bind(codes, x, pooling=pooling)
    if type(tangents[1]) is ad.Zero:
        return outputs, [jnp.zeros_like(outputs[0])]
    return outputs, unpool_p.bind(codes, tangents[1], pooling=pooling)


def _transpose(cotangents: Any, codes: Any, operand: Any, *, pooling: Pooling) -> Any:
    """As in PyTorch: each value gets what stands at its index."""
    (cells,) = cotangents
    if type(cells) is ad.Zero:
        return None, ad.Zero(operand.aval)
    call = pooling.call
    if call.window:
        (codes,) = flat_p.bind(codes, pooling=pooling)
    n, last = call.function.dimensions, call.geometry.channels_last
    cells, codes = (_planes(array, n, last) for array in (cells, codes))
    found = jnp.take_along_axis(cells, codes, axis=-1)
    sizes = call.geometry.outputs
    found = found.reshape(*found.shape[:-1], *sizes)
    return None, jnp.moveaxis(found, -n - 1, -1) if last else found


def _planes(array: jax.Array, n: int, channels_last: bool) -> jax.Array:
    """The cells of each plane, along one axis."""
    if channels_last:
        array = jnp.moveaxis(array, -1, -n - 1)
    return array.reshape(*array.shape[:-n], -1)


ad.primitive_jvps[unpool_p] = _differentiate
ad.primitive_transposes[unpool_p] = _transpose

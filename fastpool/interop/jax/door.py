"""Calls of fastpool's own functions whose arrays are JAX's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...api.execute import PoolResult, understand
from ...api.norms import understood
from ...dispatch import defaults, table
from ...rules import arrays, masks
from ...rules.call import Call, Function
from ...rules.indices import check_taps, window_dtype
from ...rules.members import FUNCTIONS
from ...rules.norms import Norm
from ...rules.operation import NORM, SUM
from ...rules.sums import check_gradient
from .blocks import downsample as downsample
from .filters import filtered as filtered
from .filters import host as host
from .functional import float_dtype, integer_dtype
from .host import Pooling
from .indices import flat_indices, index_type, route_p
from .primitives import (
    average_p,
    norm_gradient_p,
    norm_p,
    pool_p,
    pool_with_codes_p,
    spread_p,
)


def answer(
    function: Function, inputs: tuple[Any, ...], arguments: tuple[Any, ...], backend: Any
) -> Any:
    """The JAX array, or the two, that a function of `fastpool` makes of JAX arrays."""
    name = function.name
    chosen = defaults.resolve(name, backend)
    if chosen != defaults.AUTO:
        table.load(chosen)
    pairs = zip(function.inputs, inputs, strict=True)
    given = tuple(_array(name, label, value) for label, value in pairs)
    if function.operation is NORM:
        return _norm(function, given, arguments, chosen)
    if not function.operation.picks_cell:
        return _average(function, given, arguments, chosen)
    if function.part == "forward":
        return _pick(function, given, arguments, chosen)
    return _follow(function, given, arguments, chosen)


def _array(name: str, label: str, value: Any) -> jax.Array:
    masks.refuse_masks(name, label, (value,), lazy=(jax.Array, jax.core.Tracer))
    array = jnp.asarray(value)
    arrays.data_type(name, label, array.dtype)
    return array


def _static(call: Call, backend: str, p: Norm = 0) -> Pooling:
    return Pooling(call.with_lead(()), backend, p)


def _pick(function: Function, given: tuple[Any, ...], arguments: Any, backend: str) -> Any:
    call = understand(function, given, arguments)
    pooling = _static(_coded(call), backend)
    if call.index_dtype is None:
        return pool_p.bind(*given, pooling=pooling)[0]
    if not call.window:
        index_type(call)
    output, codes = pool_with_codes_p.bind(*given, pooling=pooling)
    if not call.window:
        codes = flat_indices(codes, pooling)
    return PoolResult(output, codes)


def _coded(call: Call) -> Call:
    """The same windows, with indices: those of windows, or flat ones if these are adaptive."""
    if call.function.adaptive:
        return replace(call, index_dtype=np.dtype(np.int64))
    kernel = call.geometry.kernel
    check_taps(call.name, kernel, "window")
    return replace(call, index_format="window", index_dtype=window_dtype(kernel))


def _follow(function: Function, given: tuple[Any, ...], arguments: Any, backend: str) -> Any:
    """Gradients, or values, go where indices say."""
    values, indices = given
    call = understand(function, given, arguments)
    return route_p.bind(indices, values, pooling=_static(call, backend))[0]


def _average(function: Function, given: tuple[Any, ...], arguments: Any, backend: str) -> Any:
    name, (x,) = function.name, given
    if function.part == "backward":
        call = understand(function, given, arguments)
        forward = replace(FUNCTIONS[name.removesuffix("_backward")], name=name)
        called = replace(call, function=forward)
        return spread_p.bind(x, pooling=_static(called, backend))[0]
    *windows, dtype = arguments
    if dtype is None:
        dtype = (integer_dtype if function.operation is SUM else float_dtype)(x.dtype)
    elif jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise TypeError(f"{name}: dtype {dtype} is none that JAX has without jax_enable_x64")
    call = understand(function, given, (*windows, dtype))
    return average_p.bind(x, pooling=_static(call, backend))[0]


def _norm(function: Function, given: tuple[Any, ...], arguments: Any, backend: str) -> Any:
    name, x = function.name, given[-1]
    p, call = understood(function, "x", x.shape, x.dtype, arguments)
    if function.part == "forward":
        call = replace(call, dtype=float_dtype(x.dtype) or call.dtype)
        return norm_p.bind(x, pooling=_static(call, backend, p))[0]
    gradient = given[0]
    check_gradient(name, gradient.dtype)
    arrays.check_shape(name, "grad_output", gradient.shape, call.geometry.output_shape)
    return norm_gradient_p.bind(x, gradient, pooling=_static(call, backend, p))[0]

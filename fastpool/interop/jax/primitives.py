"""Operations of JAX: how they are lowered, mapped and differentiated.

XLA calls them on its own arrays, without Python where there is a kernel: see `in_place`. Where that
cannot be, JAX calls them by its callbacks, which get copies of its arrays and have their results
copied.
`jax.pure_callback` would put the arguments through ``jax.device_put`` as well, which for large ones
needs another of XLA's threads, and where all of these are in callbacks, no call ever ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.extend.mlir import ir
from jax.extend.mlir.dialects import stablehlo as hlo
from jax.interpreters import ad, batching, mlir

from ...process.underflow import gradual_underflow
from ...rules.call import Call
from ...rules.members import FUNCTIONS
from . import host, in_place
from .host import Pooling, Types


def _is_wide(array: Any) -> bool:
    return array.dtype.itemsize == 8


def _types_of(arrays: Sequence[Any]) -> Types:
    return [(tuple(array.shape), np.dtype(array.dtype)) for array in arrays]


def _tensor_type(array: Any) -> Any:
    return ir.RankedTensorType.get(array.shape, mlir.dtype_to_ir_type(array.dtype))


def _primitive(
    name: str,
    function: Callable[..., tuple[np.ndarray, ...]],
    types: Callable[..., Types],
    call_of: Callable[..., Call | None] | None = None,
) -> Primitive:
    """An operation of JAX: a function of a pooling and arrays, and the types of its results.

    The arrays of a call have equally many leading axes; one that is of length 1 in one of them
    stands for as many as the other has. `call_of` finds the call that a kernel may answer: its
    arrays are the same ones in reverse.
    """
    primitive = Primitive(f"fastpool_{name}")
    primitive.multiple_results = True

    @partial(jax.jit, static_argnames="pooling")
    def compiled(*operands: Any, pooling: Pooling) -> Any:
        return primitive.bind(*operands, pooling=pooling)

    def evaluate(*operands: Any, pooling: Pooling) -> Any:
        with jax.disable_jit(False):
            return compiled(*operands, pooling=pooling)

    def evaluate_types(*operands: Any, pooling: Pooling) -> list[Any]:
        # As variants of an operand's: they know too over which axes of a mesh the values vary.
        return [
            operands[-1].update(shape=shape, dtype=dtype, weak_type=False)
            for shape, dtype in types(pooling, *operands)
        ]

    def lower(context: Any, *operands: Any, pooling: Pooling) -> Any:
        # `jax.enable_x64` does not reach XLA's threads, where JAX would then round what has 64 bits
        # to 32 of them. Two halves of 32 bits each pass.
        passed = [
            jax.core.ShapedArray((*result.shape, 2), np.uint32) if _is_wide(result) else result
            for result in context.avals_out
        ]

        def call(*arrays: np.ndarray) -> list[np.ndarray]:
            with gradual_underflow():  # which XLA's threads have not
                results = function(pooling, *arrays)
            return [
                result.view(np.uint32).reshape(*result.shape, 2) if _is_wide(result) else result
                for result in results
            ]

        results, _, _ = mlir.emit_python_callback(
            context.replace(avals_out=passed), call, None, list(operands), context.avals_in,
            passed, has_side_effect=False,
        )  # fmt: skip
        return [
            hlo.bitcast_convert(_tensor_type(kind), result) if _is_wide(kind) else result
            for kind, result in zip(context.avals_out, results, strict=True)
        ]

    def batch(operands: Sequence[Any], axes: Sequence[int | None], *, pooling: Pooling) -> Any:
        # A leading axis stays where it is, if all arrays have it there.
        axis, *others = {axis for axis in axes if axis is not None}
        if others or axis >= max(operand.ndim for operand in operands) - pooling.last:
            axis = 0
        operands = [
            jnp.expand_dims(operand, axis) if at is None else jnp.moveaxis(operand, at, axis)
            for operand, at in zip(operands, axes, strict=True)
        ]
        results = primitive.bind(*operands, pooling=pooling)
        return results, [axis] * len(results)

    def lower_in_place(context: Any, *operands: Any, pooling: Pooling) -> Any:
        arrays, results = context.avals_in, _types_of(context.avals_out)
        call = call_of(pooling, *arrays) if call_of else None
        number = in_place.number_of(name, function, pooling, call, _types_of(arrays), results)
        if number is None:
            return lower(context, *operands, pooling=pooling)
        return in_place.lowered(context, operands, number)

    primitive.def_impl(evaluate)
    primitive.def_abstract_eval(evaluate_types)
    mlir.register_lowering(primitive, lower)
    mlir.register_lowering(primitive, lower_in_place, platform="cpu")
    batching.primitive_batchers[primitive] = batch
    return primitive


pool_p = _primitive("pool", host.pool, host.pool_types, host.pool_call)
pool_with_codes_p = _primitive(
    "pool_with_codes", host.pool_with_codes, host.pool_with_codes_types, host.pool_with_codes_call
)
gather_p = _primitive("gather", host.gather, host.gather_types)
scatter_p = _primitive("scatter", host.scatter, host.scatter_types, host.scatter_call)
average_p = _primitive("average", host.average, host.average_types, host.average_call)
spread_p = _primitive("spread", host.spread, host.spread_types, host.spread_call)
norm_p = _primitive("norm", host.norm, host.norm_types)
norm_tangent_p = _primitive("norm_tangent", host.norm_tangent, host.norm_tangent_types)
norm_gradient_p = _primitive("norm_gradient", host.norm_gradient, host.norm_gradient_types)


def _differentiate_with_codes(primals: Any, tangents: Any, *, pooling: Pooling) -> Any:
    output, codes = pool_with_codes_p.bind(*primals, pooling=pooling)
    (tangent,) = gather_p.bind(codes, *tangents, pooling=pooling)
    return (output, codes), (tangent, ad.Zero(codes.aval.to_tangent_aval()))


def _differentiate(primals: Any, tangents: Any, *, pooling: Pooling) -> Any:
    """The values of the call with codes serve as values: one call in all."""
    outputs, tangents = _differentiate_with_codes(primals, tangents, pooling=pooling)
    return outputs[:1], tangents[:1]


def summed(gradient: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The gradient of an array of another shape, whose axes of length 1 stood for more."""
    pairs = enumerate(zip(gradient.shape, shape, strict=True))
    repeated = tuple(axis for axis, (many, one) in pairs if many != one)
    return jnp.sum(gradient, repeated, keepdims=True) if repeated else gradient


def _define_derivatives(
    primitive: Primitive, transposed: Primitive, formula: Callable[..., Any] | None = None
) -> None:
    """Those of an operation that is linear in its last operand.

    The other one is of codes; or `formula` computes the same by operations that JAX differentiates.
    For p of 1 or infinity, its derivative is 0 almost everywhere.
    """

    def differentiate(primals: Any, tangents: Any, *, pooling: Pooling) -> Any:
        first, second = primals
        outputs, parts = primitive.bind(first, second, pooling=pooling), []
        if type(tangents[1]) is not ad.Zero:
            parts += primitive.bind(first, tangents[1], pooling=pooling)
        if type(tangents[0]) is not ad.Zero and formula is not None and 1 < pooling.p < np.inf:
            changed = partial(formula, second=second, pooling=pooling)
            parts.append(jax.jvp(changed, (first,), (tangents[0],))[1])
        return outputs, [sum(parts[1:], parts[0])] if parts else [jnp.zeros_like(outputs[0])]

    def transpose(cotangents: Any, codes: Any, operand: Any, *, pooling: Pooling) -> Any:
        (cotangent,) = cotangents
        if type(cotangent) is ad.Zero:
            return None, ad.Zero(operand.aval)
        (result,) = transposed.bind(codes, cotangent, pooling=pooling)
        return None, summed(result, operand.aval.shape)

    ad.primitive_jvps[primitive] = differentiate
    ad.primitive_transposes[primitive] = transpose


def _define_linear(primitive: Primitive, transposed: Primitive) -> None:
    """The derivatives of an operation that is linear in its one operand."""

    def differentiate(primals: Any, tangents: Any, *, pooling: Pooling) -> Any:
        return tuple(primitive.bind(*each, pooling=pooling) for each in (primals, tangents))

    def transpose(cotangents: Any, operand: Any, *, pooling: Pooling) -> Any:
        (cotangent,) = cotangents
        if type(cotangent) is ad.Zero:
            return [ad.Zero(operand.aval)]
        return transposed.bind(cotangent, pooling=pooling)

    ad.primitive_jvps[primitive] = differentiate
    ad.primitive_transposes[primitive] = transpose


def _powers(x: Any, pooling: Pooling) -> tuple[Any, Any, Any]:
    """Powers p - 1 of cells, with their signs; those of the norms; and where norms are 0."""
    p = pooling.p
    (norms,) = norm_p.bind(x, pooling=pooling)
    zero = norms == 0
    return x * jnp.abs(x) ** (p - 2), jnp.where(zero, 1, norms) ** (p - 1), zero


def _sums(pooling: Pooling, dtype: Any) -> Pooling:
    """The sums over the windows of norms."""
    call = pooling.call
    assert call.division is not None
    function = FUNCTIONS[f"sumpool{call.function.dimensions}d"]
    division = replace(call.division, dtype=np.dtype(dtype))
    return Pooling(
        replace(call, function=function, dtype=np.dtype(dtype), division=division), pooling.backend
    )


def _tangent_formula(first: Any, *, second: Any, pooling: Pooling) -> Any:
    """The derivatives of norms along a tangent."""
    cells, norms, zero = _powers(first, pooling)
    (sums,) = average_p.bind(cells * second, pooling=_sums(pooling, second.dtype))
    return jnp.where(zero, 0, sums / norms)


def _gradient_formula(first: Any, *, second: Any, pooling: Pooling) -> Any:
    """What each cell gets of a gradient of norms."""
    cells, norms, zero = _powers(first, pooling)
    passed = jnp.where(zero, 0, second / norms)
    (spread,) = spread_p.bind(passed, pooling=_sums(pooling, second.dtype))
    return cells * spread


def _differentiate_norm(primals: Any, tangents: Any, *, pooling: Pooling) -> Any:
    outputs = norm_p.bind(*primals, pooling=pooling)
    return outputs, norm_tangent_p.bind(*primals, *tangents, pooling=pooling)


ad.primitive_jvps[pool_p] = _differentiate
ad.primitive_jvps[pool_with_codes_p] = _differentiate_with_codes
_define_derivatives(gather_p, scatter_p)
_define_derivatives(scatter_p, gather_p)
_define_linear(average_p, spread_p)
_define_linear(spread_p, average_p)
ad.primitive_jvps[norm_p] = _differentiate_norm
_define_derivatives(norm_tangent_p, norm_gradient_p, _tangent_formula)
_define_derivatives(norm_gradient_p, norm_tangent_p, _gradient_formula)

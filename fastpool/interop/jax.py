"""Max pooling of JAX arrays on the CPU: ``jit``, ``vmap``, and derivatives of every order.

Four primitives call fastpool on NumPy arrays: the values; the values and their codes, one byte an
output for windows of up to 256 taps; and two linear maps along given codes, to gather cells and to
scatter gradients. Gathering is the derivative of pooling, and each of the two is the transpose of
the other, so that JAX finds the rest by itself: forward mode, reverse mode, one over the other.

JAX calls them by its callbacks, which get copies of its arrays and have their results copied.
`jax.pure_callback` would put the arguments through ``jax.device_put`` as well, which for large ones
needs another of XLA's threads, and where all of these are in callbacks, no call ever ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.extend.mlir import ir
from jax.extend.mlir.dialects import stablehlo as hlo
from jax.interpreters import ad, batching, mlir

import fastpool

from .. import arrays, dispatch
from ..api import IntOrPair, Padding
from ..arguments import Layout, Pair, Windows, windows
from ..geometry import Geometry, pooling
from . import gather

_NAME = "max_pool2d"
_Types: TypeAlias = list[tuple[tuple[int, ...], Any]]  # shapes and dtypes


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
    def last(self) -> int:
        """How many axes follow the leading ones."""
        return 2 if self.layout == "NCHW" else 3

    def lead(self, *operands: Any) -> tuple[int, ...]:
        """The leading axes of a call with these arrays."""
        return np.broadcast_shapes(*(operand.shape[: -self.last] for operand in operands))

    def input_shape(self, lead: tuple[int, ...], like: Any) -> tuple[int, ...]:
        """The shape of the input that has these leading axes, and the channels of an array."""
        return (*lead, *self.sizes, *like.shape[like.ndim - self.last + 2 :])

    def geometry(self, shape: tuple[int, ...]) -> Geometry:
        """What is known once the shape of the input is, too."""
        kernel, stride, padding, dilation = self.windows
        return pooling(
            _NAME, "x", shape, kernel, stride, padding, dilation, self.ceil_mode, self.layout,
            "window",
        )  # fmt: skip


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
    arrays.refuse_masks(_NAME, "x", (x,), lazy=(jax.Array, jax.core.Tracer))
    x = jnp.asarray(x)
    arrays.data_type(_NAME, "x", x.dtype)
    spec = windows(_NAME, kernel_size, stride, padding, dilation)
    geometry = pooling(_NAME, "x", x.shape, *spec, ceil_mode, layout, "window")
    backend = dispatch.current_default()
    if backend != "auto":
        dispatch.load(backend)
    sizes = geometry.height.size, geometry.width.size
    (output,) = _pool_p.bind(x, pooling=_Pooling(sizes, spec, bool(ceil_mode), layout, backend))
    return output


def _is_wide(array: Any) -> bool:
    return array.dtype.itemsize == 8


def _tensor_type(array: Any) -> Any:
    return ir.RankedTensorType.get(array.shape, mlir.dtype_to_ir_type(array.dtype))


def _primitive(
    name: str,
    function: Callable[..., tuple[np.ndarray, ...]],
    types: Callable[..., _Types],
) -> Primitive:
    """An operation of JAX: a function of a pooling and arrays, and the types of its results.

    The arrays of a call have equally many leading axes; one that is of length 1 in one of them
    stands for as many as the other has.
    """
    primitive = Primitive(f"fastpool_{name}")
    primitive.multiple_results = True

    @partial(jax.jit, static_argnames="pooling")
    def compiled(*operands: Any, pooling: _Pooling) -> Any:
        return primitive.bind(*operands, pooling=pooling)

    def evaluate(*operands: Any, pooling: _Pooling) -> Any:
        with jax.disable_jit(False):
            return compiled(*operands, pooling=pooling)

    def evaluate_types(*operands: Any, pooling: _Pooling) -> list[Any]:
        # As variants of an operand's: they know too over which axes of a mesh the values vary.
        return [
            operands[-1].update(shape=shape, dtype=dtype, weak_type=False)
            for shape, dtype in types(pooling, *operands)
        ]

    def lower(context: Any, *operands: Any, pooling: _Pooling) -> Any:
        # `jax.enable_x64` does not reach XLA's threads, where JAX would then round what has 64 bits
        # to 32 of them. Two halves of 32 bits each pass.
        passed = [
            jax.core.ShapedArray((*result.shape, 2), np.uint32) if _is_wide(result) else result
            for result in context.avals_out
        ]

        def call(*arrays: np.ndarray) -> list[np.ndarray]:
            return [
                result.view(np.uint32).reshape(*result.shape, 2) if _is_wide(result) else result
                for result in function(pooling, *arrays)
            ]

        results, _, _ = mlir.emit_python_callback(
            context.replace(avals_out=passed), call, None, list(operands), context.avals_in,
            passed, has_side_effect=False,
        )  # fmt: skip
        return [
            hlo.bitcast_convert(_tensor_type(kind), result) if _is_wide(kind) else result
            for kind, result in zip(context.avals_out, results, strict=True)
        ]

    def batch(operands: Sequence[Any], axes: Sequence[int | None], *, pooling: _Pooling) -> Any:
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

    primitive.def_impl(evaluate)
    primitive.def_abstract_eval(evaluate_types)
    mlir.register_lowering(primitive, lower)
    batching.primitive_batchers[primitive] = batch
    return primitive


def _pool(pooling: _Pooling, x: np.ndarray) -> tuple[np.ndarray]:
    return (fastpool.maxpool2d(x, *pooling.arguments, **pooling.options),)


def _pool_types(pooling: _Pooling, x: Any) -> _Types:
    return [(pooling.geometry(x.shape).output_shape, x.dtype)]


def _pool_with_codes(pooling: _Pooling, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return fastpool.maxpool2d(x, *pooling.arguments, return_indices=True, **pooling.options)


def _pool_with_codes_types(pooling: _Pooling, x: Any) -> _Types:
    geometry = pooling.geometry(x.shape)
    shape = geometry.output_shape
    return [(shape, x.dtype), (shape, geometry.index_dtype("window"))]


def _gather(pooling: _Pooling, codes: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray]:
    """Of an array of the input's shape, the cells that the codes name."""
    lead = pooling.lead(codes, cells)
    cells = np.broadcast_to(cells, pooling.input_shape(lead, cells))
    codes = np.broadcast_to(codes, lead + codes.shape[len(lead) :])
    found = gather(cells, codes, pooling.geometry(cells.shape), window=True)
    return (np.ascontiguousarray(found),)


def _gather_types(pooling: _Pooling, codes: Any, cells: Any) -> _Types:
    lead = pooling.lead(codes, cells)
    return [(lead + codes.shape[len(lead) :], cells.dtype)]


def _scatter(pooling: _Pooling, codes: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray]:
    """Zeros of the input's shape, and each gradient added to the cell that its code names."""
    shape = pooling.input_shape(pooling.lead(codes, gradient), gradient)
    codes, gradient = np.broadcast_arrays(codes, gradient)
    arguments = pooling.arguments
    return (fastpool.maxpool2d_backward(gradient, codes, shape, *arguments, **pooling.options),)


def _scatter_types(pooling: _Pooling, codes: Any, gradient: Any) -> _Types:
    return [(pooling.input_shape(pooling.lead(codes, gradient), gradient), gradient.dtype)]


_pool_p = _primitive("pool", _pool, _pool_types)
_pool_with_codes_p = _primitive("pool_with_codes", _pool_with_codes, _pool_with_codes_types)
_gather_p = _primitive("gather", _gather, _gather_types)
_scatter_p = _primitive("scatter", _scatter, _scatter_types)


def _differentiate_with_codes(primals: Any, tangents: Any, *, pooling: _Pooling) -> Any:
    output, codes = _pool_with_codes_p.bind(*primals, pooling=pooling)
    (tangent,) = _gather_p.bind(codes, *tangents, pooling=pooling)
    return (output, codes), (tangent, ad.Zero(codes.aval.to_tangent_aval()))


def _differentiate(primals: Any, tangents: Any, *, pooling: _Pooling) -> Any:
    """The values of the call with codes serve as values: one call in all."""
    outputs, tangents = _differentiate_with_codes(primals, tangents, pooling=pooling)
    return outputs[:1], tangents[:1]


def _define_derivatives(primitive: Primitive, transposed: Primitive) -> None:
    """Those of an operation that is linear in its last operand."""

    def differentiate(primals: Any, tangents: Any, *, pooling: _Pooling) -> Any:
        return tuple(
            primitive.bind(primals[0], operand, pooling=pooling)
            for operand in (primals[1], tangents[1])
        )

    def transpose(cotangents: Any, codes: Any, operand: Any, *, pooling: _Pooling) -> Any:
        (cotangent,) = cotangents
        if type(cotangent) is ad.Zero:
            return None, ad.Zero(operand.aval)
        (result,) = transposed.bind(codes, cotangent, pooling=pooling)
        pairs = enumerate(zip(result.shape, operand.aval.shape, strict=True))
        repeated = tuple(axis for axis, (many, one) in pairs if many != one)
        return None, jnp.sum(result, repeated, keepdims=True) if repeated else result

    ad.primitive_jvps[primitive] = differentiate
    ad.primitive_transposes[primitive] = transpose


ad.primitive_jvps[_pool_p] = _differentiate
ad.primitive_jvps[_pool_with_codes_p] = _differentiate_with_codes
_define_derivatives(_gather_p, _scatter_p)
_define_derivatives(_scatter_p, _gather_p)

"""Max pooling of JAX arrays on the CPU, with ``jit``, ``grad`` and ``vmap``.

`jax.custom_vjp` says what the gradients are. The backward pass scatters, its own backward pass
gathers, and that of gathering scatters again: derivatives of every order are at hand. Between the
passes an output's place is kept in one byte, for windows of up to 256 taps.

XLA calls Python back as for `jax.pure_callback`, yet by a primitive, which gets the memory of
arrays as it is. `jax.pure_callback` has it copied first, by a thread of XLA's pool: when all of
them are in callbacks, each waits for ever (seen with two gradients at once on two cores).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

import fastpool

from .. import arrays, dispatch
from ..api import IntOrPair, Padding
from ..arguments import Layout, Windows, windows
from ..geometry import Geometry, pooling
from . import gather


class _Call(NamedTuple):
    """What is known of a call when it is traced; JAX compares it by value."""

    shape: tuple[int, ...]  # of the input
    windows: Windows
    ceil_mode: bool
    layout: Layout
    backend: str

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Those of fastpool's functions, from kernel_size on."""
        return (*self.windows, self.ceil_mode)

    @property
    def options(self) -> dict[str, Any]:
        return {"index_format": "window", "layout": self.layout, "backend": self.backend}

    def geometry(self) -> Geometry:
        rules = *self.arguments, self.layout, "window"
        return pooling("max_pool2d", "x", self.shape, *rules)


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
    ValueError, TypeError
        As in `fastpool.maxpool2d`, when the function is traced.

    Notes
    -----
    The gradient goes to the first maximum of each window, and to the first NaN where there is one.
    Reverse mode is supported to any order, with ``jax.jit`` and ``jax.vmap``, whose axes are
    leading ones here; forward mode (``jax.jvp``) is not, as for every `jax.custom_vjp`.

    The backend is chosen when the function is traced, by `fastpool.use_backend` and the like.

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
    call = _Call(
        x.shape,
        windows(name, kernel_size, stride, padding, dilation),
        ceil_mode,
        layout,
        dispatch.current_default(),
    )
    call.geometry()  # wrong arguments are errors here
    return _pool(call, x)


# What NumPy does, on arrays; and the shapes and dtypes of its results.
Operation: TypeAlias = Callable[..., Sequence[np.ndarray]]


def _values(call: _Call, x: np.ndarray) -> Sequence[np.ndarray]:
    return (fastpool.maxpool2d(x, *call.arguments, **call.options),)


def _values_and_codes(call: _Call, x: np.ndarray) -> Sequence[np.ndarray]:
    return fastpool.maxpool2d(x, *call.arguments, return_indices=True, **call.options)


def _scattered(call: _Call, codes: np.ndarray, gradient: np.ndarray) -> Sequence[np.ndarray]:
    arguments = gradient, codes, call.shape, *call.arguments
    return (fastpool.maxpool2d_backward(*arguments, **call.options),)


def _gathered(call: _Call, codes: np.ndarray, cells: np.ndarray) -> Sequence[np.ndarray]:
    return (gather(cells, codes, call.geometry(), window=True),)


_operation = Primitive("fastpool")
_operation.multiple_results = True


@_operation.def_abstract_eval
def _results(*operands: Any, function: Operation, call: _Call) -> Sequence[Any]:
    """Shapes and dtypes of what an operation returns; the last operand has its dtype."""
    geometry, like = call.geometry(), operands[-1]
    if function is _scattered:
        return (like.update(shape=call.shape),)
    output = like.update(shape=geometry.output_shape)
    if function is _values_and_codes:
        return output, output.update(dtype=geometry.index_dtype("window"), weak_type=False)
    return (output,)


@_operation.def_impl
def _run(*operands: Any, function: Operation, call: _Call) -> Sequence[Any]:
    """What happens outside of ``jit``."""
    return [jnp.asarray(result) for result in function(call, *map(np.asarray, operands))]


def _lower(context: Any, *operands: Any, function: Operation, call: _Call) -> Sequence[Any]:
    results, _, _ = mlir.emit_python_callback(
        context,
        partial(function, call),
        None,
        operands,
        context.avals_in,
        context.avals_out,
        has_side_effect=False,
    )
    return results


mlir.register_lowering(_operation, _lower, platform="cpu")


def _batch(
    operands: Sequence[Any], axes: Sequence[Any], *, function: Operation, call: _Call
) -> tuple[Sequence[Any], Iterable[int]]:
    """The axis of `jax.vmap` becomes the first one, which is a leading axis like others."""
    pairs = list(zip(operands, axes, strict=True))
    (size, *_) = (operand.shape[axis] for operand, axis in pairs if axis is not None)
    fronted = [
        jnp.broadcast_to(operand, (size, *operand.shape))
        if axis is None
        else jnp.moveaxis(operand, axis, 0)
        for operand, axis in pairs
    ]
    batched = call._replace(shape=(size, *call.shape))
    results = _operation.bind(*fronted, function=function, call=batched)
    return results, [0] * len(results)


batching.primitive_batchers[_operation] = _batch


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _pool(call: _Call, x: Any) -> Any:
    return _operation.bind(x, function=_values, call=call)[0]


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _pool_with_codes(call: _Call, x: Any) -> Any:
    """Output and codes: what is done instead of `_pool` where a gradient is wanted."""
    return tuple(_operation.bind(x, function=_values_and_codes, call=call))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _scatter(call: _Call, codes: Any, gradient: Any) -> Any:
    """Add each gradient to the cell of the input that its code names."""
    return _operation.bind(codes, gradient, function=_scattered, call=call)[0]


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _gather(call: _Call, codes: Any, cells: Any) -> Any:
    """Of an array of the input's shape, the cell that each code names."""
    return _operation.bind(codes, cells, function=_gathered, call=call)[0]


def _pool_with_codes_forward(call: _Call, x: Any) -> Any:
    output, codes = _pool_with_codes(call, x)
    return (output, codes), codes


_pool.defvjp(
    _pool_with_codes,
    lambda call, codes, gradient: (_scatter(call, codes, gradient),),
)
_pool_with_codes.defvjp(
    _pool_with_codes_forward,
    lambda call, codes, gradients: (_scatter(call, codes, gradients[0]),),
)
_scatter.defvjp(
    lambda call, codes, gradient: (_scatter(call, codes, gradient), codes),
    lambda call, codes, cells: (None, _gather(call, codes, cells)),
)
_gather.defvjp(
    lambda call, codes, cells: (_gather(call, codes, cells), codes),
    lambda call, codes, gradient: (None, _scatter(call, codes, gradient)),
)

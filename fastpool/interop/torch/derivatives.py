"""The derivatives of the operators, of every order.

Window indices, one byte an output for windows of up to 256 taps, are all that is kept for the
backward pass, and only if there may be one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.autograd import forward_ad

from .operators import AVERAGINGS, POOLINGS, gather, scatter
from .tensors import is_channels_last


class Scatter(torch.autograd.Function):
    """`scatter` with its derivatives; it is linear."""

    @staticmethod
    def forward(*arguments: Any) -> Any:
        return scatter(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])
        ctx.rest = inputs[2:]

    @staticmethod
    def backward(ctx: Any, cells: torch.Tensor) -> Any:
        return call(Gather, cells, ctx.saved_tensors[0], *ctx.rest[1:-1]), *[None] * 9

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
        return call(Scatter, tangent, ctx.saved_tensors[0], *ctx.rest)

    @staticmethod
    def vmap(info: Any, axes: Any, *arguments: Any) -> Any:
        gradient, indices, shape, *rest = arguments
        size, count = info.batch_size, len(shape)
        folded = _folded(gradient, axes[0], size), _folded(indices, axes[1], size)
        shape = (size * shape[0], *shape[1:]) if count > 3 else (size, *shape)
        return _unfolded(call(Scatter, *folded, shape, *rest), size, count), 0


class Gather(torch.autograd.Function):
    """`gather` with its derivatives; it is linear."""

    @staticmethod
    def forward(*arguments: Any) -> Any:
        return gather(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])
        ctx.shape, ctx.layout = inputs[0].shape, is_channels_last(inputs[0])
        ctx.windows = inputs[2:]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        (indices,) = ctx.saved_tensors
        return call(Scatter, gradient, indices, ctx.shape, *ctx.windows, ctx.layout), *[None] * 7

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
        return call(Gather, tangent, ctx.saved_tensors[0], *ctx.windows)

    @staticmethod
    def vmap(info: Any, axes: Any, *arguments: Any) -> Any:
        cells, indices, *windows = arguments
        size, count = info.batch_size, cells.dim() - (axes[0] is not None)
        folded = _folded(cells, axes[0], size), _folded(indices, axes[1], size)
        return _unfolded(call(Gather, *folded, *windows), size, count), 0


def _folded(tensor: torch.Tensor, axis: int | None, size: int, axes: int = 2) -> torch.Tensor:
    """A tensor with the axis of ``vmap`` in front, one with the batch's if there is one."""
    mapped = axis is not None
    tensor = tensor.movedim(axis, 0) if mapped else tensor.expand(size, *tensor.shape)
    return tensor.flatten(0, 1) if tensor.dim() > axes + 2 else tensor


def _unfolded(tensor: torch.Tensor, size: int, axes: int) -> torch.Tensor:
    """The result of a folded call, of so many axes without that of ``vmap``."""
    if tensor.dim() > axes:
        return tensor
    return tensor.unflatten(0, (size, tensor.shape[0] // size if size else 0))


def _register(operator: Any, function: Any) -> None:
    operator.register_autograd(function.backward, setup_context=function.setup_context)
    operator.register_vmap(function.vmap)


class Functions(NamedTuple):
    """Two operators that pick cells, as functions with derivatives."""

    pool: Any
    with_indices: Any


def _functions(pool: Any, pool_with_indices: Any) -> Functions:
    """Those of the operators of a maximum, or of a minimum."""

    class PoolWithIndices(torch.autograd.Function):
        """`pool_with_indices` with its derivatives."""

        @staticmethod
        def forward(*arguments: Any) -> Any:
            return pool_with_indices(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.save_for_backward(output[1])
            ctx.save_for_forward(output[1])
            ctx.mark_non_differentiable(output[1])
            ctx.set_materialize_grads(False)  # of the indices: zeros as large as they are
            ctx.shape, ctx.layout = inputs[0].shape, is_channels_last(inputs[0])
            ctx.windows = inputs[1:]

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor | None, _: Any) -> Any:
            if gradient is None:
                return (None,) * 7
            (indices,) = ctx.saved_tensors
            rest = ctx.shape, *ctx.windows, ctx.layout
            return call(Scatter, gradient, indices, *rest), *[None] * 6

        @staticmethod
        def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
            return call(Gather, tangent, ctx.saved_tensors[0], *ctx.windows), None

        @staticmethod
        def vmap(info: Any, axes: Any, input: torch.Tensor, *rest: Any) -> Any:  # noqa: A002
            size, count = info.batch_size, input.dim() - 1
            results = call(PoolWithIndices, _folded(input, axes[0], size), *rest)
            return tuple(_unfolded(result, size, count) for result in results), (0, 0)

    class Pool(torch.autograd.Function):
        """`pool` with its derivatives, which find the indices only then.

        As where a call cannot foresee that they are wanted, in a ``vmap`` inside of a ``grad``.
        """

        @staticmethod
        def forward(*arguments: Any) -> Any:
            return pool(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.save_for_backward(inputs[0])
            ctx.save_for_forward(inputs[0])
            ctx.windows = *inputs[1:], True

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> Any:
            (input,) = ctx.saved_tensors  # noqa: A001
            indices = call(PoolWithIndices, input, *ctx.windows)[1]
            layout = is_channels_last(input)
            return call(Scatter, gradient, indices, input.shape, *ctx.windows, layout), *[None] * 5

        @staticmethod
        def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
            indices = call(PoolWithIndices, ctx.saved_tensors[0], *ctx.windows)[1]
            return call(Gather, tangent, indices, *ctx.windows)

        @staticmethod
        def vmap(info: Any, axes: Any, input: torch.Tensor, *windows: Any) -> Any:  # noqa: A002
            size, count = info.batch_size, input.dim() - 1
            return _unfolded(call(Pool, _folded(input, axes[0], size), *windows), size, count), 0

    for operator, function in ((pool, Pool), (pool_with_indices, PoolWithIndices)):
        _register(operator, function)
    return Functions(Pool, PoolWithIndices)


def _average_function(axes: int, average: Any, spread: Any) -> Any:
    """The operators that average over so many axes, as a function with derivatives."""

    class Average(torch.autograd.Function):
        """`average` with its derivatives; it is linear, and nothing is kept for them."""

        @staticmethod
        def forward(*arguments: Any) -> Any:
            return average(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.shape, ctx.layout = inputs[0].shape, is_channels_last(inputs[0], axes)
            ctx.rules = inputs[1:]

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> Any:
            return call(Spread, gradient, ctx.shape, *ctx.rules, ctx.layout), *[None] * 6

        @staticmethod
        def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
            return call(Average, tangent, *ctx.rules)

        @staticmethod
        def vmap(info: Any, where: Any, input: torch.Tensor, *rules: Any) -> Any:  # noqa: A002
            size, count = info.batch_size, input.dim() - 1
            output = call(Average, _folded(input, where[0], size, axes), *rules)
            return _unfolded(output, size, count), 0

    class Spread(torch.autograd.Function):
        """`spread` with its derivatives; it is linear, the transpose of `Average`."""

        @staticmethod
        def forward(*arguments: Any) -> Any:
            return spread(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.rest = inputs[1:]

        @staticmethod
        def backward(ctx: Any, cells: torch.Tensor) -> Any:
            return call(Average, cells, *ctx.rest[1:-1]), *[None] * 8

        @staticmethod
        def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
            return call(Spread, tangent, *ctx.rest)

        @staticmethod
        def vmap(info: Any, where: Any, gradient: torch.Tensor, shape: Any, *rest: Any) -> Any:
            size, count = info.batch_size, len(shape)
            folded = _folded(gradient, where[0], size, axes)
            shape = (size * shape[0], *shape[1:]) if count > axes + 1 else (size, *shape)
            return _unfolded(call(Spread, folded, shape, *rest), size, count), 0

    for operator, function in ((average, Average), (spread, Spread)):
        _register(operator, function)
    return Average


def call(function: Any, *arguments: Any) -> Any:
    """Call a function's operator, or itself where only functions have the derivatives.

    That is below `torch.func` and in forward mode, whose tangents an operator loses in silence. A
    call of the operator takes 20 us, of the function 39.
    """
    if torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        return function.apply(*arguments)
    return function.forward(*arguments)


_register(scatter, Scatter)
_register(gather, Gather)
FUNCTIONS = {operation: _functions(*operators) for operation, operators in POOLINGS.items()}
AVERAGES = {axes: _average_function(axes, *operators) for axes, operators in AVERAGINGS.items()}

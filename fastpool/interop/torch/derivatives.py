"""The derivatives of the operators, of every order.

Window indices, one byte an output for windows of up to 256 taps, are all that is kept for the
backward pass of what picks cells, and only if there may be one. Adaptive windows have flat indices,
of eight bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.autograd import forward_ad

from .calls import MEMBERS, Member
from .direct import has_gradient, in_one, is_below_autograd, is_plain
from .operators import AVERAGINGS, PICKINGS, ROUTINGS, UNPOOLINGS, Averaging, Picking, Routing
from .tensors import is_channels_last


def folded(tensor: torch.Tensor, axis: int | None, size: int, axes: int) -> torch.Tensor:
    """A tensor with the axis of ``vmap`` in front, one with the batch's if there is one."""
    mapped = axis is not None
    tensor = tensor.movedim(axis, 0) if mapped else tensor.expand(size, *tensor.shape)
    return tensor.flatten(0, 1) if tensor.dim() > axes + 2 else tensor


def folded_shape(shape: Sequence[int], size: int, axes: int) -> tuple[int, ...]:
    """The shape of a folded tensor, of `shape` without the axis of ``vmap``."""
    return (size * shape[0], *shape[1:]) if len(shape) > axes + 1 else (size, *shape)


def unfolded(tensor: torch.Tensor, size: int, count: int) -> torch.Tensor:
    """The result of a folded call, of so many axes without that of ``vmap``."""
    if tensor.dim() > count:
        return tensor
    return tensor.unflatten(0, (size, tensor.shape[0] // size if size else 0))


def register(operator: Any, function: Any) -> None:
    """Give an operator the derivatives of a function."""
    operator.register_autograd(function.backward, setup_context=function.setup_context)
    operator.register_vmap(function.vmap)
    function.tensors, function.compute = operator.tensors, operator.compute
    function.direct = in_one(function, operator.compute)


def call(function: Any, *arguments: Any) -> Any:
    """Call a function by the shortest way that is right.

    Only functions have the derivatives of `torch.func` and of forward mode, whose tangents an
    operator loses in silence. Otherwise it is the operator, or what it computes where nobody else
    looks.
    """
    if torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        return function.apply(*arguments)
    if torch.compiler.is_compiling():  # which follows operators, and knows no more of a function
        return function.forward(*arguments)
    tensors = arguments[: function.tensors]
    if is_plain(tensors):
        if not has_gradient(tensors):
            return function.compute(*arguments)
        if not is_below_autograd():
            return function.direct.apply(*arguments)
    return function.forward(*arguments)


def _routing(member: Member, operators: Routing) -> Routing:
    """The operators that follow indices, as functions with derivatives: both are linear."""
    axes = member.axes

    class Scatter(torch.autograd.Function):
        @staticmethod
        def forward(*arguments: Any) -> Any:
            return operators.scatter(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.save_for_backward(inputs[1])
            ctx.save_for_forward(inputs[1])
            ctx.rest = inputs[2:]

        @staticmethod
        def backward(ctx: Any, cells: torch.Tensor) -> Any:
            gradient = call(Gather, cells, ctx.saved_tensors[0], *ctx.rest[1:-1])
            return gradient, None, *[None] * len(ctx.rest)

        @staticmethod
        def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
            return call(Scatter, tangent, ctx.saved_tensors[0], *ctx.rest)

        @staticmethod
        def vmap(info: Any, where: Any, *arguments: Any) -> Any:
            gradient, indices, shape, *rest = arguments
            size = info.batch_size
            inputs = folded(gradient, where[0], size, axes), folded(indices, where[1], size, axes)
            result = call(Scatter, *inputs, folded_shape(shape, size, axes), *rest)
            return unfolded(result, size, len(shape)), 0

    class Gather(torch.autograd.Function):
        @staticmethod
        def forward(*arguments: Any) -> Any:
            return operators.gather(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.save_for_backward(inputs[1])
            ctx.save_for_forward(inputs[1])
            ctx.shape, ctx.layout = inputs[0].shape, is_channels_last(inputs[0], axes)
            ctx.rules = inputs[2:]

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> Any:
            (indices,) = ctx.saved_tensors
            cells = call(Scatter, gradient, indices, ctx.shape, *ctx.rules, ctx.layout)
            return cells, None, *[None] * len(ctx.rules)

        @staticmethod
        def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
            return call(Gather, tangent, ctx.saved_tensors[0], *ctx.rules)

        @staticmethod
        def vmap(info: Any, where: Any, *arguments: Any) -> Any:
            cells, indices, *rules = arguments
            size, count = info.batch_size, cells.dim() - (where[0] is not None)
            inputs = folded(cells, where[0], size, axes), folded(indices, where[1], size, axes)
            return unfolded(call(Gather, *inputs, *rules), size, count), 0

    register(operators.scatter, Scatter)
    register(operators.gather, Gather)
    return Routing(Scatter, Gather)


def _picking(member: Member, operators: Picking, routing: Routing) -> Picking:
    """The operators that pick cells, as functions with derivatives."""
    axes = member.axes

    class WithIndices(torch.autograd.Function):
        @staticmethod
        def forward(*arguments: Any) -> Any:
            return operators.with_indices(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.save_for_backward(output[1])
            ctx.save_for_forward(output[1])
            ctx.mark_non_differentiable(output[1])
            ctx.set_materialize_grads(False)  # of the indices: zeros as large as they are
            ctx.shape, ctx.layout = inputs[0].shape, is_channels_last(inputs[0], axes)
            ctx.rules = inputs[1:]

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor | None, _: Any) -> Any:
            cells = None
            if gradient is not None:
                (indices,) = ctx.saved_tensors
                cells = call(routing.scatter, gradient, indices, ctx.shape, *ctx.rules, ctx.layout)
            return cells, *[None] * len(ctx.rules)

        @staticmethod
        def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
            return call(routing.gather, tangent, ctx.saved_tensors[0], *ctx.rules), None

        @staticmethod
        def vmap(info: Any, where: Any, input: torch.Tensor, *rules: Any) -> Any:  # noqa: A002
            size, count = info.batch_size, input.dim() - 1
            results = call(WithIndices, folded(input, where[0], size, axes), *rules)
            return tuple(unfolded(result, size, count) for result in results), (0, 0)

    class Pool(torch.autograd.Function):
        """Its derivatives find the indices only then.

        As where a call cannot foresee that they are wanted, in a ``vmap`` inside of a ``grad``.
        """

        @staticmethod
        def forward(*arguments: Any) -> Any:
            return operators.pool(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.save_for_backward(inputs[0])
            ctx.save_for_forward(inputs[0])
            ctx.rules = inputs[1:]

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> Any:
            (input,) = ctx.saved_tensors  # noqa: A001
            coded, last = member.coded(ctx.rules), is_channels_last(input, axes)
            indices = call(WithIndices, input, *coded)[1]
            cells = call(routing.scatter, gradient, indices, input.shape, *coded, last)
            return cells, *[None] * len(ctx.rules)

        @staticmethod
        def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
            coded = member.coded(ctx.rules)
            indices = call(WithIndices, ctx.saved_tensors[0], *coded)[1]
            return call(routing.gather, tangent, indices, *coded)

        @staticmethod
        def vmap(info: Any, where: Any, input: torch.Tensor, *rules: Any) -> Any:  # noqa: A002
            size, count = info.batch_size, input.dim() - 1
            return unfolded(call(Pool, folded(input, where[0], size, axes), *rules), size, count), 0

    register(operators.pool, Pool)
    register(operators.with_indices, WithIndices)
    return Picking(Pool, WithIndices)


def _averaging(member: Member, operators: Averaging) -> Averaging:
    """The operators that average, as functions with derivatives.

    Both are linear, and nothing is kept for their derivatives.
    """
    axes = member.axes

    class Average(torch.autograd.Function):
        @staticmethod
        def forward(*arguments: Any) -> Any:
            return operators.pool(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.shape, ctx.layout = inputs[0].shape, is_channels_last(inputs[0], axes)
            ctx.rules = inputs[1:]

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> Any:
            cells = call(Spread, gradient, ctx.shape, *ctx.rules, ctx.layout)
            return cells, *[None] * len(ctx.rules)

        @staticmethod
        def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
            return call(Average, tangent, *ctx.rules)

        @staticmethod
        def vmap(info: Any, where: Any, input: torch.Tensor, *rules: Any) -> Any:  # noqa: A002
            size, count = info.batch_size, input.dim() - 1
            output = call(Average, folded(input, where[0], size, axes), *rules)
            return unfolded(output, size, count), 0

    class Spread(torch.autograd.Function):
        @staticmethod
        def forward(*arguments: Any) -> Any:
            return operators.spread(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.rest = inputs[1:]

        @staticmethod
        def backward(ctx: Any, cells: torch.Tensor) -> Any:
            return call(Average, cells, *ctx.rest[1:-1]), *[None] * len(ctx.rest)

        @staticmethod
        def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
            return call(Spread, tangent, *ctx.rest)

        @staticmethod
        def vmap(info: Any, where: Any, gradient: torch.Tensor, shape: Any, *rest: Any) -> Any:
            size = info.batch_size
            inputs = folded(gradient, where[0], size, axes), folded_shape(shape, size, axes)
            return unfolded(call(Spread, *inputs, *rest), size, len(shape)), 0

    register(operators.pool, Average)
    register(operators.spread, Spread)
    return Averaging(Average, Spread)


def _unpooling(axes: int, unpool: Any) -> Any:
    """The operator that follows indices the other way, as a function with derivatives.

    Its gradient is PyTorch's: that of every value is what stands at its index, and it is linear.
    """

    class Unpool(torch.autograd.Function):
        @staticmethod
        def forward(*arguments: Any) -> Any:
            return unpool(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.save_for_backward(inputs[1])
            ctx.save_for_forward(inputs[1])
            ctx.rules = inputs[2:]

        @staticmethod
        def backward(ctx: Any, cells: torch.Tensor) -> Any:
            (indices,) = ctx.saved_tensors
            lead, sizes, counts = indices.shape[:-axes], cells.shape[-axes:], indices.shape[-axes:]
            places = indices.to(torch.int64).reshape(*lead, math.prod(counts))
            gradient = cells.reshape(*lead, math.prod(sizes)).gather(-1, places)
            gradient = gradient.reshape(indices.shape)
            return gradient, None, *[None] * len(ctx.rules)

        @staticmethod
        def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
            return call(Unpool, tangent, ctx.saved_tensors[0], *ctx.rules)

        @staticmethod
        def vmap(info: Any, where: Any, *arguments: Any) -> Any:
            values, indices, *rules = arguments
            size, count = info.batch_size, values.dim() - (where[0] is not None)
            inputs = folded(values, where[0], size, axes), folded(indices, where[1], size, axes)
            return unfolded(call(Unpool, *inputs, *rules), size, count), 0

    register(unpool, Unpool)
    return Unpool


ROUTED = {name: _routing(MEMBERS[name], operators) for name, operators in ROUTINGS.items()}
PICKED = {
    name: _picking(MEMBERS[name], operators, ROUTED[name.replace("min", "max")])
    for name, operators in PICKINGS.items()
}
AVERAGED = {name: _averaging(MEMBERS[name], operators) for name, operators in AVERAGINGS.items()}
UNPOOLED = {axes: _unpooling(axes, operator) for axes, operator in UNPOOLINGS.items()}

"""Norms of tensors, as functions made once for 1, 2 and 3 axes, and their derivatives."""

from __future__ import annotations

from typing import Any, Protocol

import torch

from ...api.documents import named
from ...rules import norms
from ...rules.arguments import check_flag
from . import calls
from . import documents as texts
from .arguments import IntOrSequence, elsewhere, numbers, prepare, strides
from .derivatives import AVERAGED, PICKED, ROUTED, call, folded, register, unfolded
from .operators import NORMS
from .tensors import is_channels_last


class Norm(Protocol):
    """A pooling of norms."""

    def __call__(
        self,
        input: torch.Tensor,  # noqa: A002 (PyTorch's name)
        norm_type: float,
        kernel_size: IntOrSequence,
        stride: IntOrSequence | None = None,
        ceil_mode: bool = False,
    ) -> torch.Tensor: ...


def _derivatives(axes: int, operators: Any) -> Any:
    """The operators of a norm, as functions with derivatives.

    The gradient is an operator as well. Its own derivatives are those of the same gradient written
    as operations that all have derivatives, this norm among them.
    """
    averaged = AVERAGED[f"avg_pool{axes}d"]

    class Function(torch.autograd.Function):
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
            cells = call(Gradient, gradient, ctx.saved_tensors[0], *ctx.rules)
            return cells, *[None] * len(ctx.rules)

        @staticmethod
        def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
            return pushed(tangent, ctx.saved_tensors[0], *ctx.rules)

        @staticmethod
        def vmap(info: Any, where: Any, input: torch.Tensor, *rules: Any) -> Any:  # noqa: A002
            size, count = info.batch_size, input.dim() - 1
            output = call(Function, folded(input, where[0], size, axes), *rules)
            return unfolded(output, size, count), 0

    class Gradient(torch.autograd.Function):
        @staticmethod
        def forward(*arguments: Any) -> Any:
            return operators.gradient(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.save_for_backward(*inputs[:2])
            ctx.save_for_forward(*inputs[:2])
            ctx.rules = inputs[2:]

        @staticmethod
        def backward(ctx: Any, cells: torch.Tensor) -> Any:
            _, pull = torch.func.vjp(lambda *both: passed(*both, *ctx.rules), *ctx.saved_tensors)
            return *pull(cells), *[None] * len(ctx.rules)

        @staticmethod
        def jvp(ctx: Any, tangent: torch.Tensor, direction: torch.Tensor, *_: Any) -> Any:
            gradient, input = ctx.saved_tensors  # noqa: A001
            moved = None
            if direction is not None:
                moved = bent(gradient, input, direction, *ctx.rules)
            if tangent is not None:
                other = passed(tangent, input, *ctx.rules)
                moved = other if moved is None else moved + other
            return moved

        @staticmethod
        def vmap(info: Any, where: Any, *arguments: Any) -> Any:
            gradient, input, *rules = arguments  # noqa: A001
            size, count = info.batch_size, input.dim() - (where[1] is not None)
            inputs = folded(gradient, where[0], size, axes), folded(input, where[1], size, axes)
            return unfolded(call(Gradient, *inputs, *rules), size, count), 0

    def slopes(x: torch.Tensor, p: int) -> torch.Tensor:
        """The derivative of the p-th power of magnitudes, but for the factor p."""
        return x ** (p - 1) if p % 2 == 0 else x.sign() * x ** (p - 1)

    def inverse(x: torch.Tensor, p: int, rules: Any) -> torch.Tensor:
        """What norms divide gradients by, as a factor; 0 at a norm of 0."""
        found = call(Function, x, float(p), *rules)
        zero = found == 0
        return torch.where(zero, 0.0, torch.where(zero, 1.0, found) ** (1 - p))

    def summed(rules: Any) -> tuple[Any, ...]:
        """The arguments of a sum: an average without a division."""
        kernel, stride, ceil_mode = rules
        return kernel, stride, [0] * axes, ceil_mode, True, 1

    def picked(x: torch.Tensor, rules: Any) -> tuple[Any, torch.Tensor]:
        """Of the largest magnitudes, the arguments that find them, and their indices."""
        kernel, stride, ceil_mode = rules
        coded = kernel, stride, [0] * axes, [1] * axes, ceil_mode, False
        pool = PICKED[f"max_pool{axes}d"].with_indices
        return coded, call(pool, x.detach().abs(), *coded)[1]

    def pushed(tangent: torch.Tensor, x: torch.Tensor, norm_type: float, *rules: Any) -> Any:
        """The tangent of the norms."""
        wide = x.double()
        tangent = tangent.double()
        if norm_type == float("inf"):
            coded, indices = picked(wide, rules)
            found = call(ROUTED[f"max_pool{axes}d"].gather, tangent * wide.sign(), indices, *coded)
        else:
            p = int(norm_type)
            sums = call(averaged.pool, slopes(wide, p) * tangent, *summed(rules))
            found = sums * inverse(wide, p, rules)
        return found.to(x.dtype)

    def passed(gradient: torch.Tensor, x: torch.Tensor, norm_type: float, *rules: Any) -> Any:
        """What the operator of the gradient computes, of operations that have derivatives."""
        wide, last = x.double(), is_channels_last(x, axes)
        if norm_type == float("inf"):
            coded, indices = picked(wide, rules)
            scatter = ROUTED[f"max_pool{axes}d"].scatter
            cells = call(scatter, gradient.double(), indices, x.shape, *coded, last) * wide.sign()
        else:
            p = int(norm_type)
            parts = gradient.double() * inverse(wide, p, rules)
            spread = call(averaged.spread, parts, x.shape, *summed(rules), last)
            cells = slopes(wide, p) * spread
        return cells.to(gradient.dtype)

    def bent(
        gradient: torch.Tensor,
        x: torch.Tensor,
        direction: torch.Tensor,
        norm_type: float,
        *rules: Any,
    ) -> Any:
        """The change of what is passed on where the input moves in a direction."""
        if norm_type == float("inf"):
            return torch.zeros_like(x)
        p, wide, last = int(norm_type), x.double(), is_channels_last(x, axes)
        found, factor = call(Function, wide, norm_type, *rules), inverse(wide, p, rules)
        change = pushed(direction.double(), wide, norm_type, *rules)

        def spread(parts: torch.Tensor) -> Any:
            return call(averaged.spread, parts, x.shape, *summed(rules), last)

        parts = gradient.double() * factor
        relative = torch.where(found == 0, 0.0, change / torch.where(found == 0, 1.0, found))
        cells = slopes(wide, p) * spread((1 - p) * parts * relative)
        if p > 1:
            curve = (p - 1) * (wide ** (p - 2) if p % 2 == 0 else wide.sign() * wide ** (p - 2))
            cells = cells + curve * direction * spread(parts)
        return cells.to(gradient.dtype)

    register(operators.pool, Function)
    register(operators.gradient, Gradient)
    return Function


FUNCTIONS = {axes: _derivatives(axes, operators) for axes, operators in NORMS.items()}


def _norm(axes: int, examples: str = "") -> Norm:
    name = f"lp_pool{axes}d"
    function = FUNCTIONS[axes]

    @prepare
    @named(calls.NORMS[axes], texts.NORM, examples)
    def pool(
        input: torch.Tensor,  # noqa: A002
        norm_type: float,
        kernel_size: IntOrSequence,
        stride: IntOrSequence | None = None,
        ceil_mode: bool = False,
    ) -> Any:
        answer = elsewhere(pool, (input,), (norm_type, kernel_size, stride, ceil_mode), _NO_NORMS)
        if answer is not NotImplemented:
            return answer
        check_flag(name, "ceil_mode", ceil_mode)
        kernel = numbers(name, "kernel_size", kernel_size, axes)
        rules = kernel, strides(name, stride, kernel, axes), bool(ceil_mode)
        return call(function, input, float(norms.norm_type(name, norm_type)), *rules)

    return pool


_NO_NORMS = "PyTorch has another norm of that name, and ONNX no operator that it becomes"

lp_pool1d = _norm(1)
lp_pool2d = _norm(2, texts.NORM_2D)
lp_pool3d = _norm(3)

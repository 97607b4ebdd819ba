"""Calls that no operator of the adapter answers, on the memory of tensors.

Sums of integers, modes, dilated averages, results of another dtype. Where fastpool has the gradient
of such a call, a tensor that requires one gets it, once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd import forward_ad
from torch.autograd.function import once_differentiable

from ...api.norms import execute_any
from ...rules.call import Function
from ...rules.members import FUNCTIONS
from ...rules.operation import AVERAGE, NORM, SUM
from .calls import threads
from .tensors import as_array, as_tensor


def answer(function: Function, inputs: tuple[Any, ...], arguments: tuple[Any, ...]) -> Any:
    """What a function makes of tensors; of several results a tuple.

    Raises
    ------
    TypeError
        The tensors are none with memory, or want gradients that this has not.
    """
    if any(is_abstract(tensor) for tensor in inputs):
        raise TypeError(f"{_these(function)} are computed on memory, and compilers have none")
    if is_watched():
        raise TypeError(f"{_these(function)} are nothing that torch.func or forward mode knows")
    if not wants_gradient(inputs):
        return _computed(function, inputs, arguments)
    if function.part != "forward" or function.operation not in (AVERAGE, SUM, NORM):
        raise TypeError(f"{_these(function)} have no gradient; pass x.detach()")
    return _Through.apply(*inputs, function, arguments)


def _these(function: Function) -> str:
    return f"{function.name}: results of these arguments and dtypes"


def is_abstract(tensor: torch.Tensor) -> bool:
    """Whether it has no memory: on the device "meta", or in a compiler."""
    fake = type(tensor).__name__ == "FakeTensor"
    return fake or tensor.is_meta or torch.compiler.is_compiling()


def is_watched() -> bool:
    """Whether `torch.func` or forward mode follows operations: what NumPy does they would miss."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def wants_gradient(tensors: tuple[Any, ...]) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def _computed(function: Function, inputs: tuple[Any, ...], arguments: tuple[Any, ...]) -> Any:
    arrays = tuple(as_array(tensor) for tensor in inputs)
    with threads():
        result = execute_any(function, arrays, arguments, None, None)
    if isinstance(result, tuple):
        return tuple(map(as_tensor, result))
    return as_tensor(result)


class _Through(torch.autograd.Function):
    """Sums, averages and norms with fastpool's own gradients."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, function: Function, arguments: Any) -> Any:
        ctx.function, ctx.arguments, ctx.shape, ctx.dtype = function, arguments, x.shape, x.dtype
        if function.operation is NORM:
            ctx.save_for_backward(x)
        return _computed(function, (x,), arguments)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        function, gradients = ctx.function, (gradient.to(ctx.dtype),)
        name = f"{function.name.replace('sum', 'avg')}_backward"
        if function.operation is NORM:
            rest = ctx.arguments
            gradients = *gradients, *ctx.saved_tensors
        else:
            rest = tuple(ctx.shape), *ctx.arguments[:-1]
        return _computed(FUNCTIONS[name], gradients, rest), None, None

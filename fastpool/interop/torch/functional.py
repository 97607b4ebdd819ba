"""Maxima, minima, and what undoes them, as functions of tensors, made once for 1, 2 and 3 axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, SupportsIndex, overload

import torch

from ...api.documents import named
from ...rules.arguments import check_flag, entries
from . import documents as texts
from .arguments import IntOrSequence, elsewhere, number, numbers, pads, prepare, strides
from .calls import MEMBERS, UNPOOLINGS, Rules
from .derivatives import PICKED, UNPOOLED, call


class Pool(Protocol):
    """A pooling that can return indices."""

    @overload
    def __call__(
        self,
        input: torch.Tensor,
        kernel_size: IntOrSequence,
        stride: IntOrSequence | None = None,
        padding: IntOrSequence = 0,
        dilation: IntOrSequence = 1,
        ceil_mode: bool = False,
        return_indices: Literal[False] = False,
    ) -> torch.Tensor: ...

    @overload
    def __call__(
        self,
        input: torch.Tensor,
        kernel_size: IntOrSequence,
        stride: IntOrSequence | None = None,
        padding: IntOrSequence = 0,
        dilation: IntOrSequence = 1,
        ceil_mode: bool = False,
        *,
        return_indices: Literal[True],
    ) -> tuple[torch.Tensor, torch.Tensor]: ...

    @overload
    def __call__(
        self,
        input: torch.Tensor,
        kernel_size: IntOrSequence,
        stride: IntOrSequence | None = None,
        padding: IntOrSequence = 0,
        dilation: IntOrSequence = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]: ...


class Unpool(Protocol):
    """What puts values back to where their indices say."""

    def __call__(
        self,
        input: torch.Tensor,  # noqa: A002
        indices: torch.Tensor,
        kernel_size: IntOrSequence,
        stride: IntOrSequence | None = None,
        padding: IntOrSequence = 0,
        output_size: Sequence[SupportsIndex] | None = None,
    ) -> torch.Tensor: ...


def picked(
    name: str,
    input: torch.Tensor,  # noqa: A002
    rules: Rules,
    return_indices: bool,
) -> Any:
    """What a public function returns, with the operator that serves its derivatives best."""
    member, functions = MEMBERS[name], PICKED[name]
    if return_indices:
        return call(functions.with_indices, input, *member.coded(rules, False))
    # `torch.jit.trace` compares the graphs of a call with gradients and of one without.
    if torch.is_grad_enabled() and input.requires_grad and not torch.jit.is_tracing():
        return call(functions.with_indices, input, *member.coded(rules))[0]
    return call(functions.pool, input, *rules)


def _extreme(name: str, template: str, examples: str = "", refusal: str = "") -> Pool:
    member = MEMBERS[name]
    axes = member.axes

    @prepare
    @named(member.forward, template, examples)
    def pool(
        input: torch.Tensor,  # noqa: A002
        kernel_size: IntOrSequence,
        stride: IntOrSequence | None = None,
        padding: IntOrSequence = 0,
        dilation: IntOrSequence = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        rest = kernel_size, stride, padding, dilation, ceil_mode, return_indices
        answer = elsewhere(pool, (input,), rest, refusal)
        if answer is not NotImplemented:
            return answer
        check_flag(name, "ceil_mode", ceil_mode)
        kernel = numbers(name, "kernel_size", kernel_size, axes)
        windows = (
            kernel,
            strides(name, stride, kernel, axes),
            pads(name, padding, axes),
            numbers(name, "dilation", dilation, axes),
            bool(ceil_mode),
        )
        return picked(name, input, windows, return_indices)

    return pool


def _unpool(axes: int) -> Unpool:
    name = UNPOOLINGS[axes].name

    @prepare
    @named(UNPOOLINGS[axes], texts.UNPOOL)
    def unpool(
        input: torch.Tensor,  # noqa: A002
        indices: torch.Tensor,
        kernel_size: IntOrSequence,
        stride: IntOrSequence | None = None,
        padding: IntOrSequence = 0,
        output_size: Sequence[SupportsIndex] | None = None,
    ) -> Any:
        rest = kernel_size, stride, padding, output_size
        answer = elsewhere(unpool, (input, indices), rest)
        if answer is not NotImplemented:
            return answer
        kernel = numbers(name, "kernel_size", kernel_size, axes)
        windows = (
            kernel,
            strides(name, stride, kernel, axes),
            pads(name, padding, axes),
            _sizes(name, output_size, input.shape, axes),
        )
        return call(UNPOOLED[axes], input, indices, *windows)

    return unpool


def _sizes(name: str, output_size: Any, shape: Sequence[Any], axes: int) -> Sequence[Any] | None:
    """The spatial sizes, from these alone or from a whole shape."""
    if output_size is None:
        return None
    values = entries(output_size)
    if values is None:
        values = (output_size,)
    sizes = [number(name, "output_size", each) for each in values]
    if len(sizes) == len(shape) and sizes[:-axes] == list(shape[:-axes]):
        return sizes[-axes:]
    return sizes  # of what is wrong with others, the geometry tells


_NO_MINIMA = "ONNX has no pooling of minima"

max_pool1d = _extreme("max_pool1d", texts.MAXIMUM)
max_pool2d = _extreme("max_pool2d", texts.MAXIMUM, texts.MAXIMUM_2D)
max_pool3d = _extreme("max_pool3d", texts.MAXIMUM)
min_pool1d = _extreme("min_pool1d", texts.MINIMUM, refusal=_NO_MINIMA)
min_pool2d = _extreme("min_pool2d", texts.MINIMUM, texts.MINIMUM_2D, _NO_MINIMA)
min_pool3d = _extreme("min_pool3d", texts.MINIMUM, refusal=_NO_MINIMA)
max_unpool1d = _unpool(1)
max_unpool2d = _unpool(2)
max_unpool3d = _unpool(3)

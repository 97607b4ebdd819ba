"""Adaptive pooling as functions of tensors, made once for 1, 2 and 3 axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, SupportsIndex, TypeAlias, overload

import torch

from ...api.documents import named
from . import documents as texts
from .arguments import elsewhere, output_sizes, prepare
from .calls import MEMBERS
from .derivatives import AVERAGED, call
from .functional import picked

OutputSize: TypeAlias = SupportsIndex | Sequence[SupportsIndex | None] | None


class Maximum(Protocol):
    """An adaptive pooling that can return indices."""

    @overload
    def __call__(
        self,
        input: torch.Tensor,
        output_size: OutputSize,
        return_indices: Literal[False] = False,
    ) -> torch.Tensor: ...

    @overload
    def __call__(
        self,
        input: torch.Tensor,
        output_size: OutputSize,
        return_indices: Literal[True],
    ) -> tuple[torch.Tensor, torch.Tensor]: ...

    @overload
    def __call__(
        self,
        input: torch.Tensor,
        output_size: OutputSize,
        return_indices: bool = False,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]: ...


class Average(Protocol):
    """An adaptive pooling that averages."""

    def __call__(
        self,
        input: torch.Tensor,  # noqa: A002
        output_size: OutputSize,
    ) -> torch.Tensor: ...


def _maximum(name: str) -> Maximum:
    member = MEMBERS[name]

    @prepare
    @named(member.forward, texts.ADAPTIVE_MAXIMUM)
    def pool(
        input: torch.Tensor,  # noqa: A002
        output_size: OutputSize,
        return_indices: bool = False,
    ) -> Any:
        answer = elsewhere(pool, (input,), (output_size, return_indices))
        if answer is not NotImplemented:
            return answer
        sizes = output_sizes(name, output_size, input.shape, member.axes)
        return picked(name, input, (sizes,), return_indices)

    return pool


def _average(name: str) -> Average:
    member = MEMBERS[name]

    @prepare
    @named(member.forward, texts.ADAPTIVE_AVERAGE)
    def pool(
        input: torch.Tensor,  # noqa: A002
        output_size: OutputSize,
    ) -> Any:
        answer = elsewhere(pool, (input,), (output_size,))
        if answer is not NotImplemented:
            return answer
        sizes = output_sizes(name, output_size, input.shape, member.axes)
        return call(AVERAGED[name].pool, input, sizes)

    return pool


adaptive_max_pool1d = _maximum("adaptive_max_pool1d")
adaptive_max_pool2d = _maximum("adaptive_max_pool2d")
adaptive_max_pool3d = _maximum("adaptive_max_pool3d")
adaptive_avg_pool1d = _average("adaptive_avg_pool1d")
adaptive_avg_pool2d = _average("adaptive_avg_pool2d")
adaptive_avg_pool3d = _average("adaptive_avg_pool3d")

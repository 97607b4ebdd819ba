"""Sums and averages, and the gradient of the average, each made once for 1, 2 and 3 axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, SupportsIndex, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..rules.arrays import data_type
from ..rules.members import FUNCTIONS
from . import average_documents as texts
from .documents import named
from .execute import execute
from .types import AnyArray, BackendName, Entries, GuestArray, Layout, Padding


class Average(Protocol):
    """A forward pass that averages."""

    @overload
    def __call__(
        self,
        x: GuestArray,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: SupportsIndex | None = None,
        *,
        dilation: Entries = 1,
        layout: Layout = ...,
        dtype: DTypeLike | None = None,
        out: None = None,
        backend: BackendName | None = None,
    ) -> GuestArray: ...

    @overload
    def __call__(
        self,
        x: ArrayLike,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: SupportsIndex | None = None,
        *,
        dilation: Entries = 1,
        layout: Layout = ...,
        dtype: DTypeLike | None = None,
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> np.ndarray: ...


class AverageBackward(Protocol):
    """The gradient of such a forward pass."""

    @overload
    def __call__(
        self,
        grad_output: GuestArray,
        input_shape: Sequence[SupportsIndex],
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: SupportsIndex | None = None,
        *,
        dilation: Entries = 1,
        layout: Layout = ...,
        out: None = None,
        backend: BackendName | None = None,
    ) -> GuestArray: ...

    @overload
    def __call__(
        self,
        grad_output: ArrayLike,
        input_shape: Sequence[SupportsIndex],
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: SupportsIndex | None = None,
        *,
        dilation: Entries = 1,
        layout: Layout = ...,
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> np.ndarray: ...


class Sum(Protocol):
    """A forward pass that sums."""

    @overload
    def __call__(
        self,
        x: GuestArray,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        *,
        dilation: Entries = 1,
        layout: Layout = ...,
        dtype: DTypeLike | None = None,
        out: None = None,
        backend: BackendName | None = None,
    ) -> GuestArray: ...

    @overload
    def __call__(
        self,
        x: ArrayLike,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        *,
        dilation: Entries = 1,
        layout: Layout = ...,
        dtype: DTypeLike | None = None,
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> np.ndarray: ...


def _average(name: str, examples: str = "") -> Average:
    function = FUNCTIONS[name]

    @named(function, texts.AVERAGE, examples)
    def average(
        x: AnyArray,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: SupportsIndex | None = None,
        *,
        dilation: Entries = 1,
        layout: Any = function.layouts[0],
        dtype: DTypeLike | None = None,
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> Any:
        result = None if dtype is None else data_type(name, "dtype", dtype)
        arguments = (
            kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override,
            dilation, layout, result,
        )  # fmt: skip
        return execute(function, (x,), arguments, out, backend)

    return average


def _backward(name: str, examples: str = "") -> AverageBackward:
    function = FUNCTIONS[name]

    @named(function, texts.BACKWARD, examples)
    def backward(
        grad_output: AnyArray,
        input_shape: Sequence[SupportsIndex],
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: SupportsIndex | None = None,
        *,
        dilation: Entries = 1,
        layout: Any = function.layouts[0],
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> Any:
        arguments = (
            input_shape, kernel_size, stride, padding, ceil_mode, count_include_pad,
            divisor_override, dilation, layout,
        )  # fmt: skip
        return execute(function, (grad_output,), arguments, out, backend)

    return backward


def _sum(name: str, examples: str = "") -> Sum:
    function = FUNCTIONS[name]

    @named(function, texts.SUM, examples)
    def pool(
        x: AnyArray,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        *,
        dilation: Entries = 1,
        layout: Any = function.layouts[0],
        dtype: DTypeLike | None = None,
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> Any:
        result = None if dtype is None else data_type(name, "dtype", dtype)
        # A sum is an average of divisor 1.
        arguments = (
            kernel_size, stride, padding, ceil_mode, True, 1, dilation, layout, result,
        )  # fmt: skip
        return execute(function, (x,), arguments, out, backend)

    return pool


avgpool1d = _average("avgpool1d", texts.AVERAGE_1D)
avgpool2d = _average("avgpool2d", texts.AVERAGE_2D)
avgpool3d = _average("avgpool3d")
avgpool1d_backward = _backward("avgpool1d_backward")
avgpool2d_backward = _backward("avgpool2d_backward", texts.BACKWARD_2D)
avgpool3d_backward = _backward("avgpool3d_backward")
sumpool1d = _sum("sumpool1d")
sumpool2d = _sum("sumpool2d", texts.SUM_2D)
sumpool3d = _sum("sumpool3d")

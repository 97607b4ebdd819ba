"""Maximum, minimum and mode, gradients and unpooling, each made once for 1, 2 and 3 axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, SupportsIndex, overload

import numpy as np
from numpy.typing import ArrayLike

from ..rules.members import FUNCTIONS
from . import extreme_documents as texts
from .documents import named
from .execute import PoolResult, execute
from .types import AnyArray, BackendName, Entries, GuestArray, IndexFormat, Layout, Padding


class Pool(Protocol):
    """A forward pass that can return indices."""

    @overload
    def __call__(
        self,
        x: GuestArray,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        dilation: Entries = 1,
        ceil_mode: bool = False,
        return_indices: Literal[False] = False,
        *,
        index_format: IndexFormat = "flat",
        layout: Layout = ...,
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
        dilation: Entries = 1,
        ceil_mode: bool = False,
        return_indices: Literal[False] = False,
        *,
        index_format: IndexFormat = "flat",
        layout: Layout = ...,
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> np.ndarray: ...

    @overload
    def __call__(
        self,
        x: GuestArray,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        dilation: Entries = 1,
        ceil_mode: bool = False,
        *,
        return_indices: Literal[True],
        index_format: IndexFormat = "flat",
        layout: Layout = ...,
        out: None = None,
        backend: BackendName | None = None,
    ) -> PoolResult[GuestArray]: ...

    @overload
    def __call__(
        self,
        x: ArrayLike,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        dilation: Entries = 1,
        ceil_mode: bool = False,
        *,
        return_indices: Literal[True],
        index_format: IndexFormat = "flat",
        layout: Layout = ...,
        out: tuple[np.ndarray, np.ndarray] | None = None,
        backend: BackendName | None = None,
    ) -> PoolResult: ...

    @overload
    def __call__(
        self,
        x: GuestArray,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        dilation: Entries = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
        *,
        index_format: IndexFormat = "flat",
        layout: Layout = ...,
        out: None = None,
        backend: BackendName | None = None,
    ) -> GuestArray | PoolResult[GuestArray]: ...

    @overload
    def __call__(
        self,
        x: ArrayLike,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        dilation: Entries = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
        *,
        index_format: IndexFormat = "flat",
        layout: Layout = ...,
        out: np.ndarray | tuple[np.ndarray, np.ndarray] | None = None,
        backend: BackendName | None = None,
    ) -> np.ndarray | PoolResult: ...


class PoolBackward(Protocol):
    """The gradient of such a forward pass."""

    @overload
    def __call__(
        self,
        grad_output: GuestArray,
        indices: GuestArray | ArrayLike,
        input_shape: Sequence[SupportsIndex],
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        dilation: Entries = 1,
        ceil_mode: bool = False,
        *,
        index_format: IndexFormat = "flat",
        layout: Layout = ...,
        out: None = None,
        backend: BackendName | None = None,
    ) -> GuestArray: ...

    @overload
    def __call__(
        self,
        grad_output: ArrayLike,
        indices: ArrayLike,
        input_shape: Sequence[SupportsIndex],
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        dilation: Entries = 1,
        ceil_mode: bool = False,
        *,
        index_format: IndexFormat = "flat",
        layout: Layout = ...,
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> np.ndarray: ...


class Unpool(Protocol):
    """The partial inverse of such a forward pass."""

    @overload
    def __call__(
        self,
        x: GuestArray,
        indices: GuestArray | ArrayLike,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        output_size: Sequence[SupportsIndex] | None = None,
        *,
        dilation: Entries = 1,
        index_format: IndexFormat = "flat",
        layout: Layout = ...,
        out: None = None,
        backend: BackendName | None = None,
    ) -> GuestArray: ...

    @overload
    def __call__(
        self,
        x: ArrayLike,
        indices: ArrayLike,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        output_size: Sequence[SupportsIndex] | None = None,
        *,
        dilation: Entries = 1,
        index_format: IndexFormat = "flat",
        layout: Layout = ...,
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> np.ndarray: ...


def _pool(name: str, template: str = texts.POOL) -> Pool:
    function = FUNCTIONS[name]

    @named(function, template, texts.example_of(name))
    def pool(
        x: AnyArray,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        dilation: Entries = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
        *,
        index_format: IndexFormat = "flat",
        layout: Any = function.layouts[0],
        out: Any = None,
        backend: BackendName | None = None,
    ) -> Any:
        arguments = (
            kernel_size, stride, padding, dilation, ceil_mode, return_indices, index_format,
            layout,
        )  # fmt: skip
        return execute(function, (x,), arguments, out, backend)

    return pool


def _backward(name: str) -> PoolBackward:
    function = FUNCTIONS[name]

    @named(function, texts.BACKWARD, texts.example_of(name))
    def backward(
        grad_output: AnyArray,
        indices: AnyArray,
        input_shape: Sequence[SupportsIndex],
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        dilation: Entries = 1,
        ceil_mode: bool = False,
        *,
        index_format: IndexFormat = "flat",
        layout: Any = function.layouts[0],
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> Any:
        arguments = (
            input_shape, kernel_size, stride, padding, dilation, ceil_mode, index_format, layout,
        )  # fmt: skip
        return execute(function, (grad_output, indices), arguments, out, backend)

    return backward


def _unpool(name: str) -> Unpool:
    function = FUNCTIONS[name]

    @named(function, texts.UNPOOL, texts.example_of(name))
    def unpool(
        x: AnyArray,
        indices: AnyArray,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        output_size: Sequence[SupportsIndex] | None = None,
        *,
        dilation: Entries = 1,
        index_format: IndexFormat = "flat",
        layout: Any = function.layouts[0],
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> Any:
        arguments = (
            kernel_size, stride, padding, output_size, dilation, index_format, layout,
        )  # fmt: skip
        return execute(function, (x, indices), arguments, out, backend)

    return unpool


maxpool1d = _pool("maxpool1d")
maxpool2d = _pool("maxpool2d")
maxpool3d = _pool("maxpool3d")
maxpool1d_backward = _backward("maxpool1d_backward")
maxpool2d_backward = _backward("maxpool2d_backward")
maxpool3d_backward = _backward("maxpool3d_backward")
maxunpool1d = _unpool("maxunpool1d")
maxunpool2d = _unpool("maxunpool2d")
maxunpool3d = _unpool("maxunpool3d")
minpool1d = _pool("minpool1d")
minpool2d = _pool("minpool2d")
minpool3d = _pool("minpool3d")
minpool1d_backward = _backward("minpool1d_backward")
minpool2d_backward = _backward("minpool2d_backward")
minpool3d_backward = _backward("minpool3d_backward")
modepool1d = _pool("modepool1d", texts.MODE)
modepool2d = _pool("modepool2d", texts.MODE)
modepool3d = _pool("modepool3d", texts.MODE)

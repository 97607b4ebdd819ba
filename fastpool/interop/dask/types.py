"""The signatures of the functions, each made for 1, 2 and 3 axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, SupportsIndex

import dask.array as da
from numpy.typing import DTypeLike

from ...api.adaptive import OutputSize
from ...api.types import BackendName, Entries, IndexFormat, Layout, Padding


class Pool(Protocol):
    """A forward pass that can return indices."""

    def __call__(
        self,
        x: Any,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        dilation: Entries = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
        *,
        index_format: IndexFormat = "flat",
        layout: Layout = ...,
        backend: BackendName | None = None,
    ) -> Any: ...


class PoolBackward(Protocol):
    """The gradient of such a forward pass."""

    def __call__(
        self,
        grad_output: Any,
        indices: Any,
        input_shape: Sequence[SupportsIndex],
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        dilation: Entries = 1,
        ceil_mode: bool = False,
        *,
        index_format: IndexFormat = "flat",
        layout: Layout = ...,
        chunks: Any = None,
        backend: BackendName | None = None,
    ) -> da.Array: ...


class Unpool(Protocol):
    """The partial inverse of such a forward pass."""

    def __call__(
        self,
        x: Any,
        indices: Any,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        output_size: Sequence[SupportsIndex] | None = None,
        *,
        dilation: Entries = 1,
        index_format: IndexFormat = "flat",
        layout: Layout = ...,
        chunks: Any = None,
        backend: BackendName | None = None,
    ) -> da.Array: ...


class Average(Protocol):
    """A forward pass that averages."""

    def __call__(
        self,
        x: Any,
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
        backend: BackendName | None = None,
    ) -> da.Array: ...


class AverageBackward(Protocol):
    """The gradient of such a forward pass."""

    def __call__(
        self,
        grad_output: Any,
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
        chunks: Any = None,
        backend: BackendName | None = None,
    ) -> da.Array: ...


class Sum(Protocol):
    """A forward pass that sums."""

    def __call__(
        self,
        x: Any,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        *,
        dilation: Entries = 1,
        layout: Layout = ...,
        dtype: DTypeLike | None = None,
        backend: BackendName | None = None,
    ) -> da.Array: ...


class AdaptivePool(Protocol):
    """An adaptive forward pass that can return indices."""

    def __call__(
        self,
        x: Any,
        output_size: OutputSize,
        return_indices: bool = False,
        *,
        layout: Layout = ...,
        backend: BackendName | None = None,
    ) -> Any: ...


class AdaptivePoolBackward(Protocol):
    """The gradient of such a forward pass."""

    def __call__(
        self,
        grad_output: Any,
        indices: Any,
        input_shape: Sequence[SupportsIndex],
        output_size: OutputSize,
        *,
        layout: Layout = ...,
        chunks: Any = None,
        backend: BackendName | None = None,
    ) -> da.Array: ...


class AdaptiveAverage(Protocol):
    """An adaptive forward pass that averages."""

    def __call__(
        self,
        x: Any,
        output_size: OutputSize,
        *,
        layout: Layout = ...,
        dtype: DTypeLike | None = None,
        backend: BackendName | None = None,
    ) -> da.Array: ...


class AdaptiveAverageBackward(Protocol):
    """The gradient of such a forward pass."""

    def __call__(
        self,
        grad_output: Any,
        input_shape: Sequence[SupportsIndex],
        output_size: OutputSize,
        *,
        layout: Layout = ...,
        chunks: Any = None,
        backend: BackendName | None = None,
    ) -> da.Array: ...


class Norm(Protocol):
    """A forward pass that takes norms."""

    def __call__(
        self,
        x: Any,
        norm_type: float,
        kernel_size: Entries,
        stride: Entries | None = None,
        ceil_mode: bool = False,
        *,
        padding: Padding = 0,
        dilation: Entries = 1,
        layout: Layout = ...,
        backend: BackendName | None = None,
    ) -> da.Array: ...


class NormBackward(Protocol):
    """The gradient of such a forward pass."""

    def __call__(
        self,
        grad_output: Any,
        x: Any,
        norm_type: float,
        kernel_size: Entries,
        stride: Entries | None = None,
        ceil_mode: bool = False,
        *,
        padding: Padding = 0,
        dilation: Entries = 1,
        layout: Layout = ...,
        chunks: Any = None,
        backend: BackendName | None = None,
    ) -> da.Array: ...

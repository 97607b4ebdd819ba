"""Adaptive pooling, by the number of windows, each function made once for 1, 2 and 3 axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, SupportsIndex, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..rules.arrays import data_type
from ..rules.members import FUNCTIONS
from . import adaptive_documents as texts
from .documents import named
from .execute import PoolResult, execute
from .types import AnyArray, BackendName, GuestArray, Layout

OutputSize: TypeAlias = SupportsIndex | Sequence[SupportsIndex | None] | None


class Pool(Protocol):
    """A forward pass that can return indices."""

    @overload
    def __call__(
        self,
        x: GuestArray,
        output_size: OutputSize,
        return_indices: Literal[False] = False,
        *,
        layout: Layout = ...,
        out: None = None,
        backend: BackendName | None = None,
    ) -> GuestArray: ...

    @overload
    def __call__(
        self,
        x: ArrayLike,
        output_size: OutputSize,
        return_indices: Literal[False] = False,
        *,
        layout: Layout = ...,
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> np.ndarray: ...

    @overload
    def __call__(
        self,
        x: GuestArray,
        output_size: OutputSize,
        return_indices: Literal[True],
        *,
        layout: Layout = ...,
        out: None = None,
        backend: BackendName | None = None,
    ) -> PoolResult[GuestArray]: ...

    @overload
    def __call__(
        self,
        x: ArrayLike,
        output_size: OutputSize,
        return_indices: Literal[True],
        *,
        layout: Layout = ...,
        out: tuple[np.ndarray, np.ndarray] | None = None,
        backend: BackendName | None = None,
    ) -> PoolResult: ...

    @overload
    def __call__(
        self,
        x: GuestArray,
        output_size: OutputSize,
        return_indices: bool = False,
        *,
        layout: Layout = ...,
        out: None = None,
        backend: BackendName | None = None,
    ) -> GuestArray | PoolResult[GuestArray]: ...

    @overload
    def __call__(
        self,
        x: ArrayLike,
        output_size: OutputSize,
        return_indices: bool = False,
        *,
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
        output_size: OutputSize,
        *,
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
        output_size: OutputSize,
        *,
        layout: Layout = ...,
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> np.ndarray: ...


class Average(Protocol):
    """A forward pass that averages."""

    @overload
    def __call__(
        self,
        x: GuestArray,
        output_size: OutputSize,
        *,
        layout: Layout = ...,
        dtype: DTypeLike | None = None,
        out: None = None,
        backend: BackendName | None = None,
    ) -> GuestArray: ...

    @overload
    def __call__(
        self,
        x: ArrayLike,
        output_size: OutputSize,
        *,
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
        output_size: OutputSize,
        *,
        layout: Layout = ...,
        out: None = None,
        backend: BackendName | None = None,
    ) -> GuestArray: ...

    @overload
    def __call__(
        self,
        grad_output: ArrayLike,
        input_shape: Sequence[SupportsIndex],
        output_size: OutputSize,
        *,
        layout: Layout = ...,
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> np.ndarray: ...


def _pool(name: str, examples: str = "") -> Pool:
    function = FUNCTIONS[name]

    @named(function, texts.POOL, examples)
    def pool(
        x: AnyArray,
        output_size: OutputSize,
        return_indices: bool = False,
        *,
        layout: Any = function.layouts[0],
        out: Any = None,
        backend: BackendName | None = None,
    ) -> Any:
        return execute(function, (x,), (output_size, return_indices, layout), out, backend)

    return pool


def _backward(name: str, examples: str = "") -> PoolBackward:
    function = FUNCTIONS[name]

    @named(function, texts.BACKWARD, examples)
    def backward(
        grad_output: AnyArray,
        indices: AnyArray,
        input_shape: Sequence[SupportsIndex],
        output_size: OutputSize,
        *,
        layout: Any = function.layouts[0],
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> Any:
        arguments = input_shape, output_size, layout
        return execute(function, (grad_output, indices), arguments, out, backend)

    return backward


def _average(name: str, examples: str = "") -> Average:
    function = FUNCTIONS[name]

    @named(function, texts.AVERAGE, examples)
    def average(
        x: AnyArray,
        output_size: OutputSize,
        *,
        layout: Any = function.layouts[0],
        dtype: DTypeLike | None = None,
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> Any:
        result = None if dtype is None else data_type(name, "dtype", dtype)
        return execute(function, (x,), (output_size, layout, result), out, backend)

    return average


def _average_backward(name: str, examples: str = "") -> AverageBackward:
    function = FUNCTIONS[name]

    @named(function, texts.AVERAGE_BACKWARD, examples)
    def backward(
        grad_output: AnyArray,
        input_shape: Sequence[SupportsIndex],
        output_size: OutputSize,
        *,
        layout: Any = function.layouts[0],
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> Any:
        arguments = input_shape, output_size, layout
        return execute(function, (grad_output,), arguments, out, backend)

    return backward


adaptive_maxpool1d = _pool("adaptive_maxpool1d", texts.POOL_1D)
adaptive_maxpool2d = _pool("adaptive_maxpool2d")
adaptive_maxpool3d = _pool("adaptive_maxpool3d")
adaptive_maxpool1d_backward = _backward("adaptive_maxpool1d_backward", texts.BACKWARD_1D)
adaptive_maxpool2d_backward = _backward("adaptive_maxpool2d_backward")
adaptive_maxpool3d_backward = _backward("adaptive_maxpool3d_backward")
adaptive_avgpool1d = _average("adaptive_avgpool1d")
adaptive_avgpool2d = _average("adaptive_avgpool2d", texts.AVERAGE_2D)
adaptive_avgpool3d = _average("adaptive_avgpool3d")
adaptive_avgpool1d_backward = _average_backward(
    "adaptive_avgpool1d_backward", texts.AVERAGE_BACKWARD_1D
)
adaptive_avgpool2d_backward = _average_backward("adaptive_avgpool2d_backward")
adaptive_avgpool3d_backward = _average_backward("adaptive_avgpool3d_backward")

"""Adaptive pooling of Dask arrays, and gradients, for 1, 2 and 3 axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

from numpy.typing import DTypeLike

from ...api.adaptive import OutputSize
from ...api.documents import named
from ...api.types import BackendName
from ...dispatch import defaults
from ...rules import arrays, calls
from ...rules.members import FUNCTIONS
from . import documents as texts
from .forward import pooled
from .halo import known
from .scatter import scattered
from .spread import spread
from .types import AdaptiveAverage, AdaptiveAverageBackward, AdaptivePool, AdaptivePoolBackward


def _pool(name: str) -> AdaptivePool:
    function = FUNCTIONS[name]

    @named(function, texts.ADAPTIVE)
    def pool(
        x: Any,
        output_size: OutputSize,
        return_indices: bool = False,
        *,
        layout: Any = function.layouts[0],
        backend: BackendName | None = None,
    ) -> Any:
        x = known(name, "x", x)
        dtype = arrays.data_type(name, "x", x.dtype)
        arguments = output_size, return_indices, layout
        call = calls.adaptive(function, "x", x.shape, dtype, *arguments)
        return pooled(call, x, defaults.resolve(name, backend))

    return pool


def _backward(name: str) -> AdaptivePoolBackward:
    function = FUNCTIONS[name]

    @named(function, texts.ADAPTIVE_BACKWARD)
    def backward(
        grad_output: Any,
        indices: Any,
        input_shape: Sequence[SupportsIndex],
        output_size: OutputSize,
        *,
        layout: Any = function.layouts[0],
        chunks: Any = None,
        backend: BackendName | None = None,
    ) -> Any:
        gradient = known(name, "grad_output", grad_output)
        indices = known(name, "indices", indices)
        dtype = arrays.data_type(name, "grad_output", gradient.dtype)
        arguments = input_shape, output_size, layout
        call = calls.adaptive_backward(function, dtype, indices.dtype, *arguments)
        arrays.check_shape(name, "grad_output", gradient.shape, call.geometry.output_shape)
        return scattered(call, gradient, indices, chunks, defaults.resolve(name, backend))

    return backward


def _average(name: str) -> AdaptiveAverage:
    function = FUNCTIONS[name]

    @named(function, texts.ADAPTIVE_AVERAGE, texts.EXAMPLES.get(name, ""))
    def average(
        x: Any,
        output_size: OutputSize,
        *,
        layout: Any = function.layouts[0],
        dtype: DTypeLike | None = None,
        backend: BackendName | None = None,
    ) -> Any:
        result = None if dtype is None else arrays.data_type(name, "dtype", dtype)
        x = known(name, "x", x)
        kind = arrays.data_type(name, "x", x.dtype)
        arguments = output_size, layout, result
        call = calls.adaptive_average(function, "x", x.shape, kind, *arguments)
        return pooled(call, x, defaults.resolve(name, backend))

    return average


def _average_backward(name: str) -> AdaptiveAverageBackward:
    function = FUNCTIONS[name]

    @named(function, texts.ADAPTIVE_AVERAGE_BACKWARD)
    def backward(
        grad_output: Any,
        input_shape: Sequence[SupportsIndex],
        output_size: OutputSize,
        *,
        layout: Any = function.layouts[0],
        chunks: Any = None,
        backend: BackendName | None = None,
    ) -> Any:
        gradient = known(name, "grad_output", grad_output)
        dtype = arrays.data_type(name, "grad_output", gradient.dtype)
        arguments = input_shape, output_size, layout
        call = calls.adaptive_average_backward(function, dtype, *arguments)
        arrays.check_shape(name, "grad_output", gradient.shape, call.geometry.output_shape)
        return spread(call, gradient, chunks, defaults.resolve(name, backend))

    return backward


adaptive_maxpool1d = _pool("adaptive_maxpool1d")
adaptive_maxpool2d = _pool("adaptive_maxpool2d")
adaptive_maxpool3d = _pool("adaptive_maxpool3d")
adaptive_maxpool1d_backward = _backward("adaptive_maxpool1d_backward")
adaptive_maxpool2d_backward = _backward("adaptive_maxpool2d_backward")
adaptive_maxpool3d_backward = _backward("adaptive_maxpool3d_backward")
adaptive_avgpool1d = _average("adaptive_avgpool1d")
adaptive_avgpool2d = _average("adaptive_avgpool2d")
adaptive_avgpool3d = _average("adaptive_avgpool3d")
adaptive_avgpool1d_backward = _average_backward("adaptive_avgpool1d_backward")
adaptive_avgpool2d_backward = _average_backward("adaptive_avgpool2d_backward")
adaptive_avgpool3d_backward = _average_backward("adaptive_avgpool3d_backward")

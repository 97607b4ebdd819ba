"""Sums and averages of Dask arrays, and the gradient of the average, for 1, 2 and 3 axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

from numpy.typing import DTypeLike

from ...api.documents import named
from ...api.types import BackendName, Entries, Padding
from ...dispatch import defaults
from ...rules import arrays, calls
from ...rules.members import FUNCTIONS
from . import documents as texts
from .forward import pooled
from .halo import known
from .spread import spread
from .types import Average, AverageBackward, Sum


def _average(name: str) -> Average:
    function = FUNCTIONS[name]

    @named(function, texts.AVERAGE, texts.EXAMPLES.get(name, ""))
    def average(
        x: Any,
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
        backend: BackendName | None = None,
    ) -> Any:
        arguments = (
            kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override,
            dilation, layout,
        )  # fmt: skip
        return _pooled(name, x, arguments, dtype, backend)

    return average


def _sum(name: str) -> Sum:
    function = FUNCTIONS[name]

    @named(function, texts.SUM, texts.EXAMPLES.get(name, ""))
    def pool(
        x: Any,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        *,
        dilation: Entries = 1,
        layout: Any = function.layouts[0],
        dtype: DTypeLike | None = None,
        backend: BackendName | None = None,
    ) -> Any:
        # A sum is an average of divisor 1.
        arguments = kernel_size, stride, padding, ceil_mode, True, 1, dilation, layout
        return _pooled(name, x, arguments, dtype, backend)

    return pool


def _pooled(name: str, x: Any, arguments: Any, dtype: Any, backend: BackendName | None) -> Any:
    result = None if dtype is None else arrays.data_type(name, "dtype", dtype)
    x = known(name, "x", x)
    kind = arrays.data_type(name, "x", x.dtype)
    arguments = *arguments, result
    call = calls.average(FUNCTIONS[name], "x", x.shape, kind, *arguments)
    return pooled(call, x, defaults.resolve(name, backend))


def _backward(name: str) -> AverageBackward:
    function = FUNCTIONS[name]

    @named(function, texts.AVERAGE_BACKWARD)
    def backward(
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
        layout: Any = function.layouts[0],
        chunks: Any = None,
        backend: BackendName | None = None,
    ) -> Any:
        gradient = known(name, "grad_output", grad_output)
        dtype = arrays.data_type(name, "grad_output", gradient.dtype)
        call = calls.average_backward(
            function, dtype, input_shape, kernel_size, stride, padding, ceil_mode,
            count_include_pad, divisor_override, dilation, layout,
        )  # fmt: skip
        arrays.check_shape(name, "grad_output", gradient.shape, call.geometry.output_shape)
        return spread(call, gradient, chunks, defaults.resolve(name, backend))

    return backward


avgpool1d = _average("avgpool1d")
avgpool2d = _average("avgpool2d")
avgpool3d = _average("avgpool3d")
avgpool1d_backward = _backward("avgpool1d_backward")
avgpool2d_backward = _backward("avgpool2d_backward")
avgpool3d_backward = _backward("avgpool3d_backward")
sumpool1d = _sum("sumpool1d")
sumpool2d = _sum("sumpool2d")
sumpool3d = _sum("sumpool3d")

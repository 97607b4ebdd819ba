"""How a `Call` is made of what a user wrote, for each kind of function."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from . import arguments, indices, sums
from .arguments import IndexFormat, check_choice, check_flag
from .call import Call, Function
from .geometry import Geometry, pooled, shared, unpooled
from .operation import SUM


def forward(
    function: Function,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    kernel_size: object,
    stride: object,
    padding: object,
    dilation: object,
    ceil_mode: object,
    return_indices: object,
    index_format: object,
    layout: object,
) -> Call:
    """A call that pools an input of `shape`, which messages call `name`.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or value, or some window would hold no cell.
    """
    check_flag(function.name, "return_indices", return_indices)
    if function.operation.counts and dtype.kind not in "iub":
        raise TypeError(f"{function.name}: {name} has dtype {dtype}; labels are integers or bools")
    geometry, form = _pooling(
        function, name, shape, kernel_size, stride, padding, dilation, ceil_mode, index_format,
        layout,
    )  # fmt: skip
    index_dtype = indices.dtype_of(geometry, form) if return_indices else None
    return Call(function, geometry, form, _native(dtype), index_dtype)


def backward(
    function: Function,
    dtype: np.dtype[Any],
    index_dtype: np.dtype[Any],
    input_shape: object,
    kernel_size: object,
    stride: object,
    padding: object,
    dilation: object,
    ceil_mode: object,
    index_format: object,
    layout: object,
) -> Call:
    """A call that routes gradients back to an input of `input_shape`.

    Raises
    ------
    TypeError, ValueError
        As `forward`.
    """
    shape = arguments.input_sizes(function.name, input_shape)
    geometry, form = _pooling(
        function, "input_shape", shape, kernel_size, stride, padding, dilation, ceil_mode,
        index_format, layout,
    )  # fmt: skip
    return Call(function, geometry, form, _native(dtype), _native(index_dtype))


def unpool(
    function: Function,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    index_dtype: np.dtype[Any],
    kernel_size: object,
    stride: object,
    padding: object,
    output_size: object,
    dilation: object,
    index_format: object,
    layout: object,
) -> Call:
    """A call that puts values of `shape` back to where their indices say.

    Raises
    ------
    TypeError, ValueError
        As `forward`.
    """
    name = function.name
    spec = arguments.windows(name, function.dimensions, kernel_size, stride, padding, dilation)
    order, form = _layout(function, layout), _index_format(name, index_format)
    indices.check_taps(name, spec.kernel, form)
    geometry = unpooled(name, shape, spec, output_size, order)
    return Call(function, geometry, form, _native(dtype), _native(index_dtype))


def average(
    function: Function,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    kernel_size: object,
    stride: object,
    padding: object,
    ceil_mode: object,
    count_include_pad: object,
    divisor_override: object,
    dilation: object,
    layout: object,
    result: np.dtype[Any] | None,
) -> Call:
    """A call that averages, or sums, an input of `shape`, which messages call `name`.

    Raises
    ------
    TypeError, ValueError
        As `forward`.
    """
    geometry, _ = _pooling(
        function, name, shape, kernel_size, stride, padding, dilation, ceil_mode, "flat", layout
    )
    called, dtype = function.name, _native(dtype)
    rule = sums.sum_dtype if function.operation is SUM else sums.average_dtype
    made = rule(called, dtype, result)
    division = sums.division(called, geometry, made, count_include_pad, divisor_override)
    return Call(function, geometry, "flat", dtype, None, division)


def average_backward(
    function: Function,
    dtype: np.dtype[Any],
    input_shape: object,
    kernel_size: object,
    stride: object,
    padding: object,
    ceil_mode: object,
    count_include_pad: object,
    divisor_override: object,
    dilation: object,
    layout: object,
) -> Call:
    """A call that spreads gradients over the windows of an input of `input_shape`.

    Raises
    ------
    TypeError, ValueError
        As `forward`, and for gradients that are no floats.
    """
    called = function.name
    sums.check_gradient(called, dtype)
    shape = arguments.input_sizes(called, input_shape)
    geometry, _ = _pooling(
        function, "input_shape", shape, kernel_size, stride, padding, dilation, ceil_mode, "flat",
        layout,
    )  # fmt: skip
    dtype = _native(dtype)
    division = sums.division(called, geometry, dtype, count_include_pad, divisor_override)
    return Call(function, geometry, "flat", dtype, None, division)


def adaptive(
    function: Function,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    output_size: object,
    return_indices: object,
    layout: object,
) -> Call:
    """A call that picks a cell of each of so many windows on an input of `shape`.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or value.
    """
    check_flag(function.name, "return_indices", return_indices)
    order = _layout(function, layout)
    geometry = shared(function.name, name, shape, output_size, function.dimensions, order)
    index_dtype = np.dtype(np.int64) if return_indices else None
    return Call(function, geometry, "flat", _native(dtype), index_dtype)


def adaptive_backward(
    function: Function,
    dtype: np.dtype[Any],
    index_dtype: np.dtype[Any],
    input_shape: object,
    output_size: object,
    layout: object,
) -> Call:
    """A call that routes gradients back to an input of `input_shape`.

    Raises
    ------
    TypeError, ValueError
        As `adaptive`.
    """
    shape = arguments.input_sizes(function.name, input_shape)
    call = adaptive(function, "input_shape", shape, dtype, output_size, False, layout)
    return replace(call, index_dtype=_native(index_dtype))


def adaptive_average(
    function: Function,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    output_size: object,
    layout: object,
    result: np.dtype[Any] | None,
) -> Call:
    """A call that averages so many windows on an input of `shape`.

    Raises
    ------
    TypeError, ValueError
        As `adaptive`.
    """
    call = adaptive(function, name, shape, dtype, output_size, False, layout)
    made = sums.average_dtype(function.name, call.dtype, result)
    return replace(call, division=sums.division(function.name, call.geometry, made, False, None))


def adaptive_average_backward(
    function: Function,
    dtype: np.dtype[Any],
    input_shape: object,
    output_size: object,
    layout: object,
) -> Call:
    """A call that spreads gradients over the windows of an input of `input_shape`.

    Raises
    ------
    TypeError, ValueError
        As `adaptive`, and for gradients that are no floats.
    """
    sums.check_gradient(function.name, dtype)
    shape = arguments.input_sizes(function.name, input_shape)
    return adaptive_average(function, "input_shape", shape, dtype, output_size, layout, None)


def _pooling(
    function: Function,
    name: str,
    shape: tuple[int, ...],
    kernel_size: object,
    stride: object,
    padding: object,
    dilation: object,
    ceil_mode: object,
    index_format: object,
    layout: object,
) -> tuple[Geometry, IndexFormat]:
    called = function.name
    spec = arguments.windows(called, function.dimensions, kernel_size, stride, padding, dilation)
    check_flag(called, "ceil_mode", ceil_mode)
    order, form = _layout(function, layout), _index_format(called, index_format)
    geometry = pooled(called, name, shape, spec, bool(ceil_mode), order)
    indices.check_taps(called, spec.kernel, form)
    return geometry, form


def _layout(function: Function, layout: object) -> str:
    check_choice(function.name, "layout", layout, function.layouts)
    return str(layout)


def _index_format(name: str, index_format: object) -> IndexFormat:
    check_choice(name, "index_format", index_format, ("flat", "window"))
    return "flat" if index_format == "flat" else "window"


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if dtype.isnative else dtype.newbyteorder("=")

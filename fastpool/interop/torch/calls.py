"""What an operator asks of fastpool: calls, made once for all tensors of a shape and dtype."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import torch

from ...api.execute import execute_call
from ...process.threads import one_thread
from ...rules import arrays, calls
from ...rules.arguments import Integers
from ...rules.call import Call
from ...rules.geometry import output_length
from ...rules.indices import dtype_of
from ...rules.members import DIMENSIONS, FUNCTIONS

# The public functions, by the name of the operation.
NAMES = {"max": "max_pool2d", "min": "min_pool2d"}
AVERAGES = {axes: f"avg_pool{axes}d" for axes in DIMENSIONS}
# kernel_size, stride, padding and dilation, each a pair, and ceil_mode.
Windows: TypeAlias = tuple[Integers, Integers, Integers, Integers, bool]
# Of averages: kernel_size, stride and padding; ceil_mode, count_include_pad and divisor_override.
Rules: TypeAlias = tuple[Integers, Integers, Integers, bool, bool, int | None]

_FORWARD = {
    operation: replace(FUNCTIONS[f"{operation}pool2d"], name=name)
    for operation, name in NAMES.items()
}
# It follows indices, whatever picked the cells: one operator serves both.
_BACKWARD = FUNCTIONS["maxpool2d_backward"]
_AVERAGE = {
    axes: replace(FUNCTIONS[f"avgpool{axes}d"], name=name) for axes, name in AVERAGES.items()
}
_ANY = np.dtype(np.uint8)
_MOST = 1024  # calls that each of the functions below remembers


def as_windows(
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Windows:
    """The arguments of an operator, to look up what is remembered."""
    return tuple(kernel_size), tuple(stride), tuple(padding), tuple(dilation), ceil_mode


def as_rules(
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Rules:
    """The arguments of an operator that averages, or spreads, to look up what is remembered."""
    lengths = tuple(kernel_size), tuple(stride), tuple(padding)
    return *lengths, ceil_mode, count_include_pad, divisor_override


@lru_cache(maxsize=_MOST)
def of_shape(
    shape: tuple[int, ...], windows: Windows, window: bool, operation: str = "max"
) -> Call:
    """The call that pools a tensor of a shape, of whatever dtype."""
    form = "window" if window else "flat"
    rules = *windows, False, form, "NCHW"
    return calls.forward(_FORWARD[operation], "input", tuple(shape), _ANY, *rules)


@lru_cache(maxsize=_MOST)
def forward(
    operation: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    windows: Windows,
    return_indices: bool,
    window: bool,
    channels_last: bool,
) -> tuple[Call, tuple[int, ...]]:
    """The call that pools a tensor, and the shape of what it returns, which is a tensor's too."""
    call = of_shape(shape, windows, window, operation)
    output_shape, geometry = call.geometry.output_shape, call.geometry
    arrays.check_dtype(call.name, "input", dtype)
    index_dtype = dtype_of(geometry, call.index_format) if return_indices else None
    call = replace(call, dtype=dtype, index_dtype=index_dtype)
    return _channels_last(call) if channels_last else call, output_shape


def _channels_last(call: Call) -> Call:
    """The same call of an array whose channels stand last."""
    images, channels = call.geometry.lead
    layout = call.function.layouts[1]
    geometry = replace(call.geometry, lead=(images,), channels=channels, layout=layout)
    return replace(call, geometry=geometry)


@lru_cache(maxsize=_MOST)
def backward(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    index_shape: tuple[int, ...],
    index_dtype: np.dtype[Any],
    input_shape: tuple[int, ...],
    windows: Windows,
    window: bool,
    channels_last: bool,
) -> Call:
    """The call that scatters gradients; all shapes are those of arrays."""
    form, layout = "window" if window else "flat", "NHWC" if channels_last else "NCHW"
    arrays.check_dtype(_BACKWARD.name, "grad_output", dtype)
    rules = input_shape, *windows, form, layout
    call = calls.backward(_BACKWARD, dtype, index_dtype, *rules)
    arrays.check_shape(_BACKWARD.name, "grad_output", shape, call.geometry.output_shape)
    call.check_indices(index_shape, index_dtype)
    return call


@lru_cache(maxsize=_MOST)
def average(
    axes: int, shape: tuple[int, ...], dtype: np.dtype[Any], rules: Rules, channels_last: bool
) -> tuple[Call, tuple[int, ...]]:
    """The call that averages a tensor, and the shape of what it returns."""
    function = _AVERAGE[axes]
    arrays.check_dtype(function.name, "input", dtype)
    rest = *rules, 1, function.layouts[0], None
    call = calls.average(function, "input", tuple(shape), dtype, *rest)
    return _channels_last(call) if channels_last else call, call.geometry.output_shape


@lru_cache(maxsize=_MOST)
def spread(
    axes: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    input_shape: tuple[int, ...],
    rules: Rules,
    channels_last: bool,
) -> Call:
    """The call that spreads gradients over windows; all shapes are those of arrays."""
    function = FUNCTIONS[f"avgpool{axes}d_backward"]
    arrays.check_dtype(function.name, "grad_output", dtype)
    layout = function.layouts[channels_last]
    call = calls.average_backward(function, dtype, input_shape, *rules, 1, layout)
    arrays.check_shape(function.name, "grad_output", shape, call.geometry.output_shape)
    return call


def output_of(shape: Sequence[Any], windows: Sequence[Any]) -> tuple[Any, ...]:
    """The shape of the output, also if a compiler's symbols stand for numbers."""
    if _are_known(shape, *windows[:-1]):
        return of_shape(tuple(shape), as_windows(*windows), False).geometry.output_shape
    return _foretold(shape, *windows)


def averages_of(axes: int, shape: Sequence[Any], rules: Sequence[Any]) -> tuple[Any, ...]:
    """The shape of averages, in the same way."""
    kernel, stride, padding, ceil_mode, _, divisor = rules
    if _are_known(shape, kernel, stride, padding, () if divisor is None else (divisor,)):
        return average(axes, tuple(shape), _ANY, as_rules(*rules), False)[1]
    return _foretold(shape, kernel, stride, padding, (1,) * axes, ceil_mode)


def _are_known(*sequences: Sequence[Any]) -> bool:
    return all(type(number) is int for numbers in sequences for number in numbers)


def _foretold(shape: Sequence[Any], *windows: Any) -> tuple[Any, ...]:
    *lengths, ceil_mode = windows
    at = len(shape) - len(lengths[0])
    sizes = [
        output_length(size, pad, pad, gap * (kernel - 1) + 1, step, ceil_mode)
        for size, kernel, step, pad, gap in zip(shape[at:], *lengths, strict=True)
    ]
    return (*shape[:at], *sizes)


def run(call: Call, inputs: tuple[np.ndarray, ...], out: Any) -> None:
    """Fill `out`, with one thread where PyTorch uses one."""
    if torch.get_num_threads() > 1:
        execute_call(call, inputs, out, None)
    else:
        with one_thread():
            execute_call(call, inputs, out, None)

"""The operators that PyTorch sees: on tensors' memory, and as fakes for its compilers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ...rules.indices import gather as gathered
from . import calls
from .calls import as_rules, as_windows, output_of
from .tensors import as_array, empty, index_type, is_channels_last, quotient_type, readable


def _operator(name: str) -> Any:
    return torch.library.custom_op(f"fastpool::{name}", mutates_args=(), device_types="cpu")


def _pooling(operation: str) -> tuple[Any, Any]:
    """Two operators that pick cells: the cells alone, and with their indices."""

    @_operator(calls.NAMES[operation])
    def pool(
        input: torch.Tensor,  # noqa: A002
        kernel_size: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        ceil_mode: bool,
    ) -> torch.Tensor:
        """The picked cells alone."""
        windows = as_windows(kernel_size, stride, padding, dilation, ceil_mode)
        channels_last = is_channels_last(input)
        array = as_array(input, channels_last)
        rules = windows, False, False, channels_last
        call, shape = calls.forward(operation, input.shape, array.dtype, *rules)
        output = empty(shape, input.dtype, input.device, channels_last)
        calls.run(call, (array,), as_array(output, channels_last))
        return output

    @_operator(f"{calls.NAMES[operation]}_with_indices")
    def pool_with_indices(
        input: torch.Tensor,  # noqa: A002
        kernel_size: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        ceil_mode: bool,
        window: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The picked cells, and window or flat indices."""
        windows = as_windows(kernel_size, stride, padding, dilation, ceil_mode)
        channels_last = is_channels_last(input)
        array = as_array(input, channels_last)
        rules = windows, True, window, channels_last
        call, shape = calls.forward(operation, input.shape, array.dtype, *rules)
        output = empty(shape, input.dtype, input.device, channels_last)
        indices = empty(shape, index_type(kernel_size, window), input.device, channels_last)
        outs = as_array(output, channels_last), as_array(indices, channels_last)
        calls.run(call, (array,), outs)
        return output, indices

    @pool.register_fake
    def _(input: torch.Tensor, *windows: Any) -> torch.Tensor:  # noqa: A002
        shape = output_of(input.shape, windows)
        return empty(shape, input.dtype, input.device, is_channels_last(input))

    @pool_with_indices.register_fake
    def _(input: torch.Tensor, *rest: Any) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: A002
        *windows, window = rest
        shape, channels_last = output_of(input.shape, tuple(windows)), is_channels_last(input)
        output = empty(shape, input.dtype, input.device, channels_last)
        codes = index_type(windows[0], window)
        return output, empty(shape, codes, input.device, channels_last)

    return pool, pool_with_indices


POOLINGS = {operation: _pooling(operation) for operation in calls.NAMES}


@_operator("max_pool2d_backward")
def scatter(
    grad_output: torch.Tensor,
    indices: torch.Tensor,
    input_shape: Sequence[int],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    window: bool,
    channels_last: bool,
) -> torch.Tensor:
    """Add every gradient to its cell; the result is in a memory format."""
    windows = as_windows(kernel_size, stride, padding, dilation, ceil_mode)
    result = empty(input_shape, grad_output.dtype, grad_output.device, channels_last)
    out = as_array(result, channels_last)
    gradient = as_array(readable(grad_output, channels_last), channels_last)
    codes = as_array(indices, channels_last)
    call = calls.backward(
        gradient.shape, gradient.dtype, codes.shape, codes.dtype, out.shape, windows, window,
        channels_last,
    )  # fmt: skip
    calls.run(call, (gradient, codes), out)
    return result


@_operator("max_pool2d_gather")
def gather(
    cells: torch.Tensor,
    indices: torch.Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    window: bool,
) -> torch.Tensor:
    """The cells that indices name."""
    windows = as_windows(kernel_size, stride, padding, dilation, ceil_mode)
    geometry = calls.of_shape(cells.shape, windows, window).geometry
    result = empty(indices.shape, cells.dtype, cells.device, False)
    as_array(result)[...] = gathered(as_array(cells), as_array(indices), geometry, window)
    return result


@scatter.register_fake
def _(grad_output: torch.Tensor, indices: torch.Tensor, *rest: Any) -> torch.Tensor:
    return empty(rest[0], grad_output.dtype, grad_output.device, rest[-1])


@gather.register_fake
def _(cells: torch.Tensor, indices: torch.Tensor, *rest: Any) -> torch.Tensor:
    return empty(indices.shape, cells.dtype, cells.device, False)


def _averaging(axes: int) -> tuple[Any, Any]:
    """Two operators over so many axes, each the other's transpose: to average, and to spread."""

    @_operator(calls.AVERAGES[axes])
    def average(
        input: torch.Tensor,  # noqa: A002
        kernel_size: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        ceil_mode: bool,
        count_include_pad: bool,
        divisor_override: int | None,
    ) -> torch.Tensor:
        """The averages."""
        rules = as_rules(
            kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        )
        channels_last = is_channels_last(input, axes)
        array = as_array(input, channels_last)
        call, shape = calls.average(axes, input.shape, array.dtype, rules, channels_last)
        output = empty(shape, quotient_type(input.dtype), input.device, channels_last)
        calls.run(call, (array,), as_array(output, channels_last))
        return output

    @_operator(f"{calls.AVERAGES[axes]}_backward")
    def spread(
        grad_output: torch.Tensor,
        input_shape: Sequence[int],
        kernel_size: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        ceil_mode: bool,
        count_include_pad: bool,
        divisor_override: int | None,
        channels_last: bool,
    ) -> torch.Tensor:
        """Every gradient's part in the cells of its window; the result is in a memory format."""
        rules = as_rules(
            kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        )
        result = empty(input_shape, grad_output.dtype, grad_output.device, channels_last)
        out = as_array(result, channels_last)
        gradient = as_array(readable(grad_output, channels_last), channels_last)
        call = calls.spread(axes, gradient.shape, gradient.dtype, out.shape, rules, channels_last)
        calls.run(call, (gradient,), out)
        return result

    @average.register_fake
    def _(input: torch.Tensor, *rules: Any) -> torch.Tensor:  # noqa: A002
        shape, dtype = calls.averages_of(axes, input.shape, rules), quotient_type(input.dtype)
        return empty(shape, dtype, input.device, is_channels_last(input, axes))

    @spread.register_fake
    def _(grad_output: torch.Tensor, input_shape: Any, *rest: Any) -> torch.Tensor:
        return empty(input_shape, grad_output.dtype, grad_output.device, rest[-1])

    return average, spread


AVERAGINGS = {axes: _averaging(axes) for axes in calls.AVERAGES}

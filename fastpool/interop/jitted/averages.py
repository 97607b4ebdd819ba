"""Sums and averages in jitted code, and the gradient of the average."""

from __future__ import annotations

from numba.extending import overload

import fastpool

from ...rules.call import Function
from .answer import answer_of
from .constants import Constants, check_arrays, layout_of, result_type


def overload_average(function: Function) -> None:
    """Make a function that averages known to Numba."""
    name, first = function.name, function.layouts[0]

    @overload(getattr(fastpool, name), prefer_literal=True)
    def average_overload(
        x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
        divisor_override=None, dilation=1, layout=first, dtype=None, out=None, backend=None,
    ):  # fmt: skip
        order = layout_of(function, layout, backend)
        check_arrays(name, x=x)
        answer = answer_of(Constants(name, order, result=result_type(function, x, dtype)))

        def average(
            x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
            divisor_override=None, dilation=1, layout=first, dtype=None, out=None, backend=None,
        ):  # fmt: skip
            arguments = (
                kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override,
                dilation,
            )  # fmt: skip
            return answer((x,), arguments, out)[0]

        return average


def overload_backward(function: Function) -> None:
    """Make the gradient of such a function known to Numba."""
    name, first = function.name, function.layouts[0]

    @overload(getattr(fastpool, name), prefer_literal=True)
    def backward_overload(
        grad_output, input_shape, kernel_size, stride=None, padding=0, ceil_mode=False,
        count_include_pad=True, divisor_override=None, dilation=1, layout=first, out=None,
        backend=None,
    ):  # fmt: skip
        order = layout_of(function, layout, backend)
        check_arrays(name, grad_output=grad_output)
        answer = answer_of(Constants(name, order))

        def backward(
            grad_output, input_shape, kernel_size, stride=None, padding=0, ceil_mode=False,
            count_include_pad=True, divisor_override=None, dilation=1, layout=first, out=None,
            backend=None,
        ):  # fmt: skip
            arguments = (
                input_shape, kernel_size, stride, padding, ceil_mode, count_include_pad,
                divisor_override, dilation,
            )  # fmt: skip
            return answer((grad_output,), arguments, out)[0]

        return backward


def overload_sum(function: Function) -> None:
    """Make a function that sums known to Numba."""
    name, first = function.name, function.layouts[0]

    @overload(getattr(fastpool, name), prefer_literal=True)
    def sum_overload(
        x, kernel_size, stride=None, padding=0, ceil_mode=False, dilation=1, layout=first,
        dtype=None, out=None, backend=None,
    ):  # fmt: skip
        order = layout_of(function, layout, backend)
        check_arrays(name, x=x)
        answer = answer_of(Constants(name, order, result=result_type(function, x, dtype)))

        def pool(
            x, kernel_size, stride=None, padding=0, ceil_mode=False, dilation=1, layout=first,
            dtype=None, out=None, backend=None,
        ):  # fmt: skip
            return answer((x,), (kernel_size, stride, padding, ceil_mode, dilation), out)[0]

        return pool

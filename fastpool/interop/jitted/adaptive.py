"""Adaptive pooling in jitted code, and its gradients."""

from __future__ import annotations

from numba.extending import overload

import fastpool

from ...api.execute import PoolResult
from ...rules.arguments import check_flag
from ...rules.call import Function
from .answer import answer_of
from .constants import Constants, check_arrays, constant, layout_of, result_type


def overload_pool(function: Function) -> None:
    """Make a function that picks cells known to Numba."""
    name, first = function.name, function.layouts[0]

    @overload(getattr(fastpool, name), prefer_literal=True)
    def pool_overload(
        x, output_size, return_indices=False, layout=first, out=None, backend=None
    ):  # fmt: skip
        wanted = constant(name, "return_indices", return_indices)
        check_flag(name, "return_indices", wanted)
        order = layout_of(function, layout, backend)
        check_arrays(name, x=x)
        answer = answer_of(Constants(name, order, index_type="int64" if wanted else ""))

        def pool(x, output_size, return_indices=False, layout=first, out=None, backend=None):
            return answer((x,), (output_size,), out)[0]

        def pool_with_indices(
            x, output_size, return_indices=False, layout=first, out=None, backend=None
        ):  # fmt: skip
            output, indices = answer((x,), (output_size,), out)
            return PoolResult(output, indices)

        return pool_with_indices if wanted else pool


def overload_backward(function: Function) -> None:
    """Make the gradient of such a function known to Numba."""
    name, first = function.name, function.layouts[0]

    @overload(getattr(fastpool, name), prefer_literal=True)
    def backward_overload(
        grad_output, indices, input_shape, output_size, layout=first, out=None, backend=None
    ):  # fmt: skip
        order = layout_of(function, layout, backend)
        check_arrays(name, grad_output=grad_output, indices=indices)
        answer = answer_of(Constants(name, order))

        def backward(
            grad_output, indices, input_shape, output_size, layout=first, out=None, backend=None
        ):  # fmt: skip
            return answer((grad_output, indices), (input_shape, output_size), out)[0]

        return backward


def overload_average(function: Function) -> None:
    """Make a function that averages known to Numba."""
    name, first = function.name, function.layouts[0]

    @overload(getattr(fastpool, name), prefer_literal=True)
    def average_overload(x, output_size, layout=first, dtype=None, out=None, backend=None):
        order = layout_of(function, layout, backend)
        check_arrays(name, x=x)
        answer = answer_of(Constants(name, order, result=result_type(function, x, dtype)))

        def average(x, output_size, layout=first, dtype=None, out=None, backend=None):
            return answer((x,), (output_size,), out)[0]

        return average


def overload_average_backward(function: Function) -> None:
    """Make the gradient of such a function known to Numba."""
    name, first = function.name, function.layouts[0]

    @overload(getattr(fastpool, name), prefer_literal=True)
    def backward_overload(
        grad_output, input_shape, output_size, layout=first, out=None, backend=None
    ):  # fmt: skip
        order = layout_of(function, layout, backend)
        check_arrays(name, grad_output=grad_output)
        answer = answer_of(Constants(name, order))

        def backward(grad_output, input_shape, output_size, layout=first, out=None, backend=None):
            return answer((grad_output,), (input_shape, output_size), out)[0]

        return backward

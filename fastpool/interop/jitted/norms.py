"""Norms in jitted code, and their gradient, which Python answers each time."""

from __future__ import annotations

from numba.extending import overload
from numba.np.numpy_support import as_dtype

import fastpool

from ...rules.call import Function
from ...rules.norms import result_dtype
from .answer import answer_of
from .constants import Constants, check_arrays, layout_of


def overload_norm(function: Function) -> None:
    """Make a function that takes norms known to Numba."""
    name, first = function.name, function.layouts[0]

    @overload(getattr(fastpool, name), prefer_literal=True)
    def norm_overload(
        x, norm_type, kernel_size, stride=None, ceil_mode=False, padding=0, dilation=1,
        layout=first, out=None, backend=None,
    ):  # fmt: skip
        order = layout_of(function, layout, backend)
        check_arrays(name, x=x)
        answer = answer_of(Constants(name, order, result=str(result_dtype(as_dtype(x.dtype)))))

        def pool(
            x, norm_type, kernel_size, stride=None, ceil_mode=False, padding=0, dilation=1,
            layout=first, out=None, backend=None,
        ):  # fmt: skip
            arguments = norm_type, kernel_size, stride, ceil_mode, padding, dilation
            return answer((x,), arguments, out)[0]

        return pool


def overload_backward(function: Function) -> None:
    """Make the gradient of such a function known to Numba."""
    name, first = function.name, function.layouts[0]

    @overload(getattr(fastpool, name), prefer_literal=True)
    def backward_overload(
        grad_output, x, norm_type, kernel_size, stride=None, ceil_mode=False, padding=0,
        dilation=1, layout=first, out=None, backend=None,
    ):  # fmt: skip
        order = layout_of(function, layout, backend)
        check_arrays(name, grad_output=grad_output, x=x)
        answer = answer_of(Constants(name, order))

        def backward(
            grad_output, x, norm_type, kernel_size, stride=None, ceil_mode=False, padding=0,
            dilation=1, layout=first, out=None, backend=None,
        ):  # fmt: skip
            arguments = norm_type, kernel_size, stride, ceil_mode, padding, dilation
            return answer((grad_output, x), arguments, out)[0]

        return backward

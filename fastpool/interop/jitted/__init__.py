"""fastpool's functions inside the caller's own ``@njit`` functions.

After ``import fastpool.interop.jitted``, and without it where fastpool is installed (Numba loads
its extensions by itself), all functions that pool, unpool and pass gradients back can be called in
nopython code, with the same results to the bit and the same exceptions. A call uses one thread and
no lock: inside a ``prange``, every thread has its own.

The first call of its kind, by arguments, shapes and strides, is answered in Python, which checks
everything, compiles kernels or loads them from disk, and notes down how they are run. Further
calls find that note in a table of the compiled code's own, and run the kernels by themselves. What
one kernel does not do in place is answered in Python each time: gradients of bools, arrays of so
many axes and strides that the Numba backend copies them, exact averages of large integers,
gradients of averages that are divided in a pass of their own, those of adaptive windows that are
not alike, and norms.

Known at compile time must be: `return_indices`, `index_format`, `layout`, `dtype` and `backend`.
"""

from __future__ import annotations

from numba.extending import overload

import fastpool

from ...api.execute import PoolResult
from ...rules.arguments import check_flag
from ...rules.call import Function
from ...rules.members import FUNCTIONS
from ...rules.operation import NORM, SUM
from . import adaptive, averages, norms
from .answer import answer_of
from .constants import Constants, check_arrays, constant, form_of, index_type, layout_of


def register() -> None:
    """What Numba calls to load an extension: to import this module is all there is to do."""


def _overload_pool(function: Function) -> None:
    name, first = function.name, function.layouts[0]

    @overload(getattr(fastpool, name), prefer_literal=True)
    def pool_overload(
        x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False,
        index_format="flat", layout=first, out=None, backend=None,
    ):  # fmt: skip
        wanted = constant(name, "return_indices", return_indices)
        check_flag(name, "return_indices", wanted)
        form, order = form_of(function, index_format), layout_of(function, layout, backend)
        check_arrays(name, x=x)
        codes = index_type(function, kernel_size, form) if wanted else ""
        answer = answer_of(Constants(name, order, form, codes))

        def pool(
            x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
            return_indices=False, index_format="flat", layout=first, out=None, backend=None,
        ):  # fmt: skip
            return answer((x,), (kernel_size, stride, padding, dilation, ceil_mode), out)[0]

        def pool_with_indices(
            x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
            return_indices=False, index_format="flat", layout=first, out=None, backend=None,
        ):  # fmt: skip
            arguments = kernel_size, stride, padding, dilation, ceil_mode
            output, indices = answer((x,), arguments, out)
            return PoolResult(output, indices)

        return pool_with_indices if wanted else pool


def _overload_backward(function: Function) -> None:
    name, first = function.name, function.layouts[0]

    @overload(getattr(fastpool, name), prefer_literal=True)
    def backward_overload(
        grad_output, indices, input_shape, kernel_size, stride=None, padding=0, dilation=1,
        ceil_mode=False, index_format="flat", layout=first, out=None, backend=None,
    ):  # fmt: skip
        form, order = form_of(function, index_format), layout_of(function, layout, backend)
        check_arrays(name, grad_output=grad_output, indices=indices)
        answer = answer_of(Constants(name, order, form))

        def backward(
            grad_output, indices, input_shape, kernel_size, stride=None, padding=0, dilation=1,
            ceil_mode=False, index_format="flat", layout=first, out=None, backend=None,
        ):  # fmt: skip
            arguments = input_shape, kernel_size, stride, padding, dilation, ceil_mode
            return answer((grad_output, indices), arguments, out)[0]

        return backward


def _overload_unpool(function: Function) -> None:
    name, first = function.name, function.layouts[0]

    @overload(getattr(fastpool, name), prefer_literal=True)
    def unpool_overload(
        x, indices, kernel_size, stride=None, padding=0, output_size=None, dilation=1,
        index_format="flat", layout=first, out=None, backend=None,
    ):  # fmt: skip
        form, order = form_of(function, index_format), layout_of(function, layout, backend)
        check_arrays(name, x=x, indices=indices)
        answer = answer_of(Constants(name, order, form))

        def unpool(
            x, indices, kernel_size, stride=None, padding=0, output_size=None, dilation=1,
            index_format="flat", layout=first, out=None, backend=None,
        ):  # fmt: skip
            arguments = kernel_size, stride, padding, output_size, dilation
            return answer((x, indices), arguments, out)[0]

        return unpool


# By what a function does, whether it picks a cell, and whether its windows are adaptive.
_OVERLOADS = {
    ("forward", True, False): _overload_pool,
    ("backward", True, False): _overload_backward,
    ("unpool", True, False): _overload_unpool,
    ("forward", False, False): averages.overload_average,
    ("backward", False, False): averages.overload_backward,
    ("forward", True, True): adaptive.overload_pool,
    ("backward", True, True): adaptive.overload_backward,
    ("forward", False, True): adaptive.overload_average,
    ("backward", False, True): adaptive.overload_average_backward,
}
_OF_NORMS = {"forward": norms.overload_norm, "backward": norms.overload_backward}
for _function in FUNCTIONS.values():
    if _function.operation is SUM:
        averages.overload_sum(_function)
    elif _function.operation is NORM:
        _OF_NORMS[_function.part](_function)
    else:
        _kind = _function.part, _function.operation.picks_cell, _function.adaptive
        _OVERLOADS[_kind](_function)

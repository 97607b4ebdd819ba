"""fastpool's functions inside the caller's own ``@njit`` functions.

After ``import fastpool.interop.jitted``, and without it where fastpool is installed (Numba loads
its extensions by itself), `fastpool.maxpool2d`, `fastpool.minpool2d`, their ``_backward``,
`fastpool.maxunpool2d` and those of other numbers of axes can be called in nopython code, with the
same results to the bit and the same exceptions. A call uses one thread and no lock: inside a
``prange``, every thread has its own.

The first call of its kind, by arguments, shapes and strides, is answered in Python, which checks
everything, compiles kernels or loads them from disk, and notes down how they are run. Further
calls find that note in a table of the compiled code's own, and run the kernels by themselves. What
no kernel does in place is answered in Python each time: gradients of bools, and arrays of so many
axes and strides that the Numba backend copies them.

Known at compile time must be: `return_indices`, `index_format`, `layout` and `backend`.
"""

from __future__ import annotations

from typing import Any

import numba
from numba.extending import overload

import fastpool

from ...api.execute import PoolResult
from ...rules.arguments import check_choice, check_flag
from ...rules.call import Function
from ...rules.indices import MOST_TAPS, window_dtype
from ...rules.members import FUNCTIONS
from .answer import answer_of

types: Any = numba.types


def register() -> None:
    """What Numba calls to load an extension: to import this module is all there is to do."""


def _overload_pool(function: Function) -> None:
    name, first = function.name, function.layouts[0]

    @overload(getattr(fastpool, name), prefer_literal=True)
    def pool_overload(
        x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False,
        index_format="flat", layout=first, out=None, backend=None,
    ):  # fmt: skip
        wanted = _constant(name, "return_indices", return_indices)
        check_flag(name, "return_indices", wanted)
        form, order = _constants(function, index_format, layout, backend)
        _check_arrays(name, x=x)
        index_type = _index_type(function, kernel_size, form) if wanted else ""
        answer = answer_of(name, form, order, index_type)

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
        form, order = _constants(function, index_format, layout, backend)
        _check_arrays(name, grad_output=grad_output, indices=indices)
        answer = answer_of(name, form, order, "")

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
        form, order = _constants(function, index_format, layout, backend)
        _check_arrays(name, x=x, indices=indices)
        answer = answer_of(name, form, order, "")

        def unpool(
            x, indices, kernel_size, stride=None, padding=0, output_size=None, dilation=1,
            index_format="flat", layout=first, out=None, backend=None,
        ):  # fmt: skip
            arguments = kernel_size, stride, padding, output_size, dilation
            return answer((x, indices), arguments, out)[0]

        return unpool


def _constant(name: str, parameter: str, kind: Any) -> Any:
    """The value of an argument that is known at compile time."""
    if isinstance(kind, types.Omitted):
        return kind.value
    if isinstance(kind, types.Literal):
        return kind.literal_value
    if isinstance(kind, types.Type) and not isinstance(kind, types.NoneType):
        raise TypeError(f"{name}: {parameter} must be a constant in jitted code, got {kind}")
    return None if isinstance(kind, types.Type) else kind


def _constants(function: Function, index_format: Any, layout: Any, backend: Any) -> tuple[str, str]:
    """index_format and layout; the backend can only be this one."""
    name = function.name
    form = _constant(name, "index_format", index_format)
    check_choice(name, "index_format", form, ("flat", "window"))
    order = _constant(name, "layout", layout)
    check_choice(name, "layout", order, function.layouts)
    engine = _constant(name, "backend", backend)
    if engine is not None:
        check_choice(f"{name} in jitted code", "backend", engine, ("auto", "numba"))
    return form, order


def _check_arrays(name: str, **kinds: Any) -> None:
    for parameter, kind in kinds.items():
        if not isinstance(kind, types.Array):
            raise TypeError(f"{name}: {parameter} must be an array in jitted code, got {kind}")


def _index_type(function: Function, kernel_size: Any, form: str) -> str:
    """The dtype of new indices: that of window indices depends on the value of `kernel_size`."""
    if form == "flat":
        return "int64"
    sides: Any = (kernel_size,) * function.dimensions
    if isinstance(kernel_size, types.BaseTuple):
        sides = tuple(kernel_size)
    literal = all(isinstance(side, types.IntegerLiteral) for side in sides)
    if literal and len(sides) == function.dimensions:
        taps = 1
        for side in sides:
            taps *= max(side.literal_value, 1)
        return str(window_dtype((min(taps, MOST_TAPS),)))
    return "uint8"


_OVERLOADS = {
    "forward": _overload_pool,
    "backward": _overload_backward,
    "unpool": _overload_unpool,
}
for _function in FUNCTIONS.values():
    if _function.operation.picks_cell and not _function.adaptive:
        _OVERLOADS[_function.part](_function)

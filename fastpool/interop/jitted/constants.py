"""What must be known when jitted code is compiled, and what is found out from it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numba.np.numpy_support import as_dtype

from ...rules import arrays, sums
from ...rules.arguments import check_choice
from ...rules.call import Function
from ...rules.indices import MOST_TAPS, window_dtype
from ...rules.operation import SUM

types: Any = numba.types


class Constants(NamedTuple):
    """What a compiled call has beside its arrays and run-time values."""

    name: str
    layout: str
    form: str = "flat"
    index_type: str = ""  # the dtype of the indices that it returns, if it does
    result: str = ""  # the dtype of the output, if that is not its first input's


def constant(name: str, parameter: str, kind: Any) -> Any:
    """The value of an argument that is known at compile time."""
    if isinstance(kind, types.Omitted):
        return kind.value
    if isinstance(kind, types.Literal):
        return kind.literal_value
    if isinstance(kind, types.Type) and not isinstance(kind, types.NoneType):
        raise TypeError(f"{name}: {parameter} must be a constant in jitted code, got {kind}")
    return None if isinstance(kind, types.Type) else kind


def check_arrays(name: str, **kinds: Any) -> None:
    """Check that arguments are arrays."""
    for parameter, kind in kinds.items():
        if not isinstance(kind, types.Array):
            raise TypeError(f"{name}: {parameter} must be an array in jitted code, got {kind}")


def layout_of(function: Function, layout: Any, backend: Any) -> str:
    """The layout; the backend can only be this one."""
    name = function.name
    order: str = constant(name, "layout", layout)
    check_choice(name, "layout", order, function.layouts)
    engine = constant(name, "backend", backend)
    if engine is not None:
        check_choice(f"{name} in jitted code", "backend", engine, ("auto", "numba"))
    return order


def form_of(function: Function, index_format: Any) -> str:
    """The index_format."""
    form: str = constant(function.name, "index_format", index_format)
    check_choice(function.name, "index_format", form, ("flat", "window"))
    return form


def index_type(function: Function, kernel_size: Any, form: str) -> str:
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


def result_type(function: Function, x: Any, dtype: Any) -> str:
    """The dtype of sums or averages of an array, as ``dtype=`` asks for it."""
    name = function.name
    wanted = None
    if isinstance(dtype, (types.NumberClass, types.DType)):
        wanted = as_dtype(dtype.dtype)
    elif isinstance(dtype, types.Function):  # float, int, bool
        wanted = dtype.typing_key
    else:
        wanted = constant(name, "dtype", dtype)
    if wanted is not None:
        wanted = arrays.data_type(name, "dtype", wanted)
    rule = sums.sum_dtype if function.operation is SUM else sums.average_dtype
    found: np.dtype[Any] = rule(name, arrays.data_type(name, "x", as_dtype(x.dtype)), wanted)
    if arrays.is_half(found):
        raise TypeError(f"{name}: dtype {found} is none of jitted code, which has no 16-bit floats")
    return str(found)

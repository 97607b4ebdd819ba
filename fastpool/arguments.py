"""What a caller may write for kernel_size, stride and friends, made into plain integers."""

from __future__ import annotations

import math
import operator
import reprlib
from typing import Any, Literal, NamedTuple

import numpy as np

Layout = Literal["NCHW", "NHWC"]
IndexFormat = Literal["flat", "window"]
Pair = tuple[int, int]

LARGEST = 2**63 - 1
MOST_AXES = 64  # of an array; NumPy 1 has 32

# A message shows the beginning of a long argument; the representation of a deeply nested one
# would end in a RecursionError.
_REPR = reprlib.Repr()
_REPR.maxlevel = 3
_REPR.maxtuple = _REPR.maxlist = 16
_REPR.maxother = 100


class Windows(NamedTuple):
    """The arguments that describe the windows, as pairs (height, width)."""

    kernel: Pair
    stride: Pair
    padding: tuple[Pair, Pair] | Literal["same"]
    dilation: Pair

    @property
    def spans(self) -> Pair:
        """Cells from the first tap of a window to its last, both included."""
        (height, width), (down, across) = self.kernel, self.dilation
        return down * (height - 1) + 1, across * (width - 1) + 1


def windows(
    function: str, kernel_size: object, stride: object, padding: object, dilation: object
) -> Windows:
    kernel = _pair(function, "kernel_size", kernel_size, 1)
    return Windows(
        kernel,
        kernel if stride is None else _pair(function, "stride", stride, 1),
        _padding(function, padding),
        _pair(function, "dilation", dilation, 1),
    )


def _pair(function: str, name: str, value: object, least: int) -> Pair:
    values = entries(value)
    if values is None:
        number = integer(function, name, value, least)
        return number, number
    if len(values) != 2:
        raise ValueError(f"{function}: {name} must be an integer or a pair, got {shown(value)}")
    return (
        integer(function, name, values[0], least),
        integer(function, name, values[1], least),
    )


def _padding(function: str, value: object) -> tuple[Pair, Pair] | Literal["same"]:
    if isinstance(value, str):
        check_choice(function, "padding", value, ("valid", "same"))
        return ((0, 0), (0, 0)) if value == "valid" else "same"
    values = entries(value)
    if values is not None and len(values) == 2:
        inner = [entries(entry) for entry in values]
        if inner[0] is not None and inner[1] is not None:
            return (
                _pair(function, "padding", inner[0], 0),
                _pair(function, "padding", inner[1], 0),
            )
    height, width = _pair(function, "padding", value, 0)
    return (height, height), (width, width)


def entries(value: object) -> tuple[Any, ...] | None:
    """The entries of a sequence, or None for anything that should be a number.

    Of more than an array has axes, which is too many for any argument, only the first ones.
    """
    if isinstance(value, (tuple, list)):
        return tuple(value[: MOST_AXES + 1])
    if isinstance(value, np.ndarray) and value.ndim:
        return tuple(value[: MOST_AXES + 1])
    return None


def shown(value: object) -> str:
    """`value` as a message shows it, cut where it is long."""
    try:
        return _REPR.repr(value)
    except Exception:  # that of the value's own, or Python's for an integer of 4301 digits
        return f"<{type(value).__name__}>"


def integer(function: str, name: str, value: object, least: int) -> int:
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{function}: {name} must be an integer, got {value!r}")
    if isinstance(value, np.ma.MaskedArray):  # whose __index__ would ignore the mask
        raise TypeError(f"{function}: {name} must be an integer, got a masked array")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except Exception as error:  # an object's own __index__ may raise any
        cause = None if isinstance(error, TypeError) else error
        raise TypeError(
            f"{function}: {name} must be an integer, got {type(value).__name__}"
        ) from cause
    if number < least:
        raise ValueError(f"{function}: {name} must be at least {least}, got {shown(number)}")
    if number > LARGEST:
        raise ValueError(f"{function}: {name} must be below 2**63, got {shown(number)}")
    return number


def input_sizes(function: str, value: object) -> tuple[int, ...]:
    """The shape that `input_shape` means."""
    values = entries(value)
    if values is None:
        raise TypeError(
            f"{function}: input_shape must be a sequence of integers, got {type(value).__name__}"
        )
    if len(values) > MOST_AXES:
        raise ValueError(
            f"{function}: input_shape has more than {MOST_AXES} axes, got {shown(value)}"
        )
    return tuple(integer(function, "input_shape", entry, 0) for entry in values)


def check_flag(function: str, name: str, value: object) -> None:
    """Raise TypeError unless `value` is a bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{function}: {name} must be a bool, got {type(value).__name__}")


def check_choice(function: str, name: str, value: object, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{function}: {name} must be one of {choices}, got {type(value).__name__}")
    if value not in choices:
        raise ValueError(f"{function}: {name} must be one of {choices}, got {shown(value)}")


def check_codes(function: str, kernel: Pair, index_format: object) -> None:
    if index_format == "window" and math.prod(kernel) > 2**32:
        raise ValueError(
            f"{function}: index_format 'window' holds windows of up to 2**32 taps, "
            f"got kernel_size {kernel}"
        )

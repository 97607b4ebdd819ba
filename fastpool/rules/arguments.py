"""What a caller may write for kernel_size, stride and friends, made into plain integers."""

from __future__ import annotations

import operator
import reprlib
from typing import Any, Literal, NamedTuple

import numpy as np

IndexFormat = Literal["flat", "window"]
Pair = tuple[int, int]
Integers = tuple[int, ...]  # one an axis

LARGEST = 2**63 - 1
MOST_AXES = 64  # of an array; NumPy 1 has 32

# A message shows the beginning of a long argument; the representation of a deeply nested one
# would end in a RecursionError.
_REPR = reprlib.Repr()
_REPR.maxlevel = 3
_REPR.maxtuple = _REPR.maxlist = 16
_REPR.maxother = 100


class Windows(NamedTuple):
    """The arguments that describe the windows, each with one entry an axis."""

    kernel: Integers
    stride: Integers
    padding: tuple[Pair, ...] | Literal["same"]
    dilation: Integers

    @property
    def spans(self) -> Integers:
        """Cells from the first tap of a window to its last, both included."""
        pairs = zip(self.kernel, self.dilation, strict=True)
        return tuple(gap * (taps - 1) + 1 for taps, gap in pairs)


def windows(
    function: str,
    dimensions: int,
    kernel_size: object,
    stride: object,
    padding: object,
    dilation: object,
) -> Windows:
    """What the user wrote for the windows of so many axes.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or value.
    """
    kernel = _integers(function, "kernel_size", kernel_size, dimensions, 1)
    default = stride is None
    return Windows(
        kernel,
        kernel if default else _integers(function, "stride", stride, dimensions, 1),
        _padding(function, padding, dimensions),
        _integers(function, "dilation", dilation, dimensions, 1),
    )


# How a message calls a sequence with one entry an axis.
_SEQUENCES = {1: "a sequence of one", 2: "a pair", 3: "a triple"}


def _integers(function: str, name: str, value: object, count: int, least: int) -> Integers:
    """One integer an axis, from such a sequence or from one integer for all."""
    values = entries(value)
    if values is None:
        return (integer(function, name, value, least),) * count
    if len(values) != count:
        raise ValueError(
            f"{function}: {name} must be an integer or {_SEQUENCES[count]}, got {shown(value)}"
        )
    return tuple(integer(function, name, each, least) for each in values)


def _padding(function: str, value: object, dimensions: int) -> tuple[Pair, ...] | Literal["same"]:
    if isinstance(value, str):
        check_choice(function, "padding", value, ("valid", "same"))
        return ((0, 0),) * dimensions if value == "valid" else "same"
    values = entries(value)
    if values is not None and len(values) == dimensions:
        sides = [entries(each) for each in values]
        if all(side is not None for side in sides):
            low_and_high = (_integers(function, "padding", side, 2, 0) for side in sides)
            return tuple((low, high) for low, high in low_and_high)
    return tuple((pad, pad) for pad in _integers(function, "padding", value, dimensions, 0))


def entries(value: object) -> tuple[Any, ...] | None:
    """The entries of a sequence, or None for anything that should be a number.

    No argument has more entries than an array has axes. Of a longer sequence only the first ones
    are returned, one too many.
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


def input_sizes(function: str, value: object, name: str = "input_shape") -> tuple[int, ...]:
    """The shape that `input_shape`, or whatever its name is, means."""
    values = entries(value)
    if values is None:
        raise TypeError(
            f"{function}: {name} must be a sequence of integers, got {type(value).__name__}"
        )
    if len(values) > MOST_AXES:
        raise ValueError(f"{function}: {name} has more than {MOST_AXES} axes, got {shown(value)}")
    return tuple(integer(function, name, entry, 0) for entry in values)


def output_sizes(function: str, value: object, dimensions: int) -> tuple[int | None, ...]:
    """How many windows each axis is to have; None for as many as cells."""
    found = entries(value)
    values = (value,) * dimensions if found is None else found
    if len(values) != dimensions:
        raise ValueError(
            f"{function}: output_size must be an integer or {_SEQUENCES[dimensions]}, got "
            f"{shown(value)}"
        )
    return tuple(
        None if each is None else integer(function, "output_size", each, 0) for each in values
    )


def check_flag(function: str, name: str, value: object) -> None:
    """Raise TypeError unless `value` is a bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{function}: {name} must be a bool, got {type(value).__name__}")


def check_choice(function: str, name: str, value: object, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{function}: {name} must be one of {choices}, got {type(value).__name__}")
    if value not in choices:
        raise ValueError(f"{function}: {name} must be one of {choices}, got {shown(value)}")

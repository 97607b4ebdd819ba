"""What a caller may write for size, origin, mode and friends, as SciPy's filters take them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..rules.arguments import MOST_AXES, Integers, check_choice, entries, integer, shown
from ..rules.arrays import check_dtype, limits
from ..rules.masks import as_array
from .borders import Window

# SciPy's names of what lies beyond the edges; of two with one meaning, the second is ours.
_MODES = {
    "reflect": "reflect",
    "grid-mirror": "reflect",
    "constant": "constant",
    "grid-constant": "constant",
    "nearest": "nearest",
    "mirror": "mirror",
    "wrap": "wrap",
    "grid-wrap": "wrap",
}


class WrongShape(ValueError, RuntimeError):
    """What was given does not fit the axes: a ValueError, and what SciPy raises in its place."""


def read_array(function: str, name: str, value: object) -> np.ndarray:
    """`value` as an array of a dtype that can be pooled."""
    x = as_array(function, name, value)
    check_dtype(function, name, x.dtype)
    return x


def read_axes(function: str, axes: object, count: int) -> Integers:
    """Numbers of axes from 0 on, in the order that the user wrote; None is all of `count` axes.

    Raises
    ------
    TypeError, ValueError
        An axis is no integer, is not there, or is named twice.
    """
    if axes is None:
        return tuple(range(count))
    found = entries(axes)
    values = (axes,) if found is None else found
    numbers = tuple(integer(function, "axes", each, -MOST_AXES) for each in values)
    if not all(-count <= number < count for number in numbers):
        raise ValueError(f"{function}: axes is out of range, got {shown(axes)} for {count} axes")
    numbers = tuple(number % count for number in numbers)
    if len(set(numbers)) != len(numbers):
        raise ValueError(f"{function}: axes must be unique, got {shown(axes)}")
    return numbers


def one_an_axis(function: str, name: str, value: object, count: int) -> tuple[Any, ...]:
    """The entries of a sequence, which has one an axis, or one value for all of them."""
    values = entries(value)
    if values is None:
        return (value,) * count
    if len(values) != count:
        raise WrongShape(
            f"{function}: {name} as a sequence argument must have length equal to input rank, or "
            f"that of axes, {count}, got {shown(value)}"
        )
    return values


def read_integers(function: str, name: str, value: object, count: int, least: int) -> Integers:
    """One integer for each of `count` axes."""
    values = one_an_axis(function, name, value, count)
    return tuple(integer(function, name, each, least) for each in values)


def read_windows(
    function: str, shape: Integers, size: object, mode: object, origin: object, axes: Integers
) -> tuple[Window, ...]:
    """The windows along each of `axes`, in the array's order of axes; none of a single tap.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or value.
    """
    count, windows = len(axes), []
    sizes = read_integers(function, "size", size, count, 1)
    origins = read_integers(function, "origin", origin, count, -(2**62))
    modes = one_an_axis(function, "mode", mode, count)
    for axis, taps, shift, border in zip(axes, sizes, origins, modes, strict=True):
        check_choice(function, "mode", border, tuple(_MODES))
        if taps == 1:
            continue
        low = taps // 2 + shift
        if not 0 <= low < taps:
            raise ValueError(
                f"{function}: origin must be from {-(taps // 2)} to {(taps - 1) // 2} for "
                f"size {taps}, got {shift}"
            )
        windows.append(Window(axis, shape[axis], low, taps - 1 - low, _MODES[border]))
    return tuple(sorted(windows))


def read_number(function: str, name: str, value: Any) -> float | int:
    """A real number, an integer of any size included.

    Raises
    ------
    TypeError
        It is none.
    """
    if isinstance(value, (int, float, np.bool_, np.integer, np.floating)):
        return int(value) if isinstance(value, (int, np.bool_, np.integer)) else float(value)
    if isinstance(value, np.ndarray) and not value.ndim and value.dtype.kind in "biuf":
        return read_number(function, name, value[()])
    raise TypeError(f"{function}: {name} must be a number, got {type(value).__name__}")


def read_fill(function: str, cval: object, dtype: np.dtype[Any]) -> Any:
    """`cval` as a value of `dtype`, or -inf or inf where it lies beyond all integers.

    What is between two integers is cut to the one nearer to 0, as SciPy does.

    Raises
    ------
    TypeError, ValueError
        It is no number, or NaN where there is none.
    """
    number = read_number(function, "cval", cval)
    if dtype.kind not in "iub":
        with np.errstate(over="ignore"):
            return np.array(number).astype(dtype)[()]
    if isinstance(number, float) and math.isnan(number):
        raise ValueError(f"{function}: cval is NaN, which {dtype} does not have")
    least, most = limits(dtype)
    if least <= number <= most:
        return dtype.type(int(number))
    # -0.5 of an unsigned integer is 0.
    if -1 < number < 0:
        return dtype.type(0)
    return -math.inf if number < least else math.inf

"""What a user asks of ``downsample``, checked: blocks, methods, boundaries and missing cells."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import arrays, sums
from .arguments import LARGEST, check_choice, check_flag, entries, integer, shown
from .missing import Missing
from .operation import ALL, ANY, AVERAGE, MAXIMUM, MEDIAN, MINIMUM, MODE, SUM, Operation

NAME = "downsample"
# None takes the first cell of each block.
METHODS: dict[str, Operation | None] = {
    "mean": AVERAGE, "sum": SUM, "min": MINIMUM, "max": MAXIMUM, "median": MEDIAN, "mode": MODE,
    "stride": None, "any": ANY, "all": ALL,
}  # fmt: skip
BOUNDARIES = ("partial", "trim", "exact", "pad")
MOST_POOLED = 3


@dataclass(frozen=True)
class Blocks:
    """One call of ``downsample``, checked.

    Attributes
    ----------
    shape, dtype
        Of the array; the dtype has the machine's byte order.
    operation : Operation or None
        What a block is reduced to; None for its first cell.
    factors : tuple of int
        Cells of a block along each axis, none more than the axis has.
    outputs : tuple of int
        The shape of the result.
    result : numpy.dtype
        Its dtype.
    missing : Missing or None
        Which cells count nowhere.
    filled : bool
        Whether blocks that are cut are NaN, or for the mode have NaN in place of what they lack.
    lacking : tuple of int
        Cells that the last block of each axis lacks, if `filled`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    operation: Operation | None
    factors: tuple[int, ...]
    outputs: tuple[int, ...]
    result: np.dtype[Any]
    missing: Missing | None
    filled: bool
    lacking: tuple[int, ...]

    @property
    def in_order(self) -> bool:
        """Whether the order of the cells of a block may change its bits."""
        operation = self.operation
        if operation is None or operation.truth or sum(each > 1 for each in self.factors) < 2:
            return False
        # A bool that is picked keeps its byte, which may be any.
        exact = "iu" if operation.picks_cell else "iub"
        if operation.counts or self.dtype.kind not in exact:
            return True
        # Sums of 64-bit integers that become floats are floats.
        return self.dtype.itemsize == 8 and self.result.kind not in "iub"


def understood(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    masked: bool,
    factors: object,
    method: object,
    axes: object,
    boundary: object,
    skipna: object,
    nodata: object,
    min_count: object,
    result: np.dtype[Any] | None,
) -> Blocks:
    """What a call means for an array of `shape` and `dtype`.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or value.
    """
    arrays.check_dtype(NAME, "x", dtype)
    dtype = dtype.newbyteorder("=")
    check_choice(NAME, "method", method, tuple(METHODS))
    check_choice(NAME, "boundary", boundary, BOUNDARIES)
    check_flag(NAME, "skipna", skipna)
    operation, floats = METHODS[str(method)], dtype.kind not in "iub"
    wanted = factors_of(factors, axes, shape)
    least = integer(NAME, "min_count", min_count, 0)
    number, nan = (None, False) if nodata is None else _nodata(nodata, dtype)
    nan = nan or (bool(skipna) and floats)
    made = _result(str(method), dtype, result)
    missing = None
    if operation is not None and (nan or number is not None or masked):
        empty = operation is SUM or operation.truth  # what has a value without any cell
        missing = Missing(nan, number, masked, least if empty else max(least, 1))
        if not operation.truth and number is not None:
            _check_fill(number, made)
    if boundary == "exact":
        for axis, (size, factor) in enumerate(zip(shape, wanted, strict=True)):
            if size % factor:
                raise ValueError(
                    f"{NAME}: axis {axis} of x has size {size}, which the factor {factor} does "
                    f'not divide, with boundary "exact"; x has shape {shape}'
                )
    trim, pairs = boundary == "trim", list(zip(shape, wanted, strict=True))
    outputs = tuple(size // each if trim else -(-size // each) for size, each in pairs)
    lacking = tuple(-size % each for size, each in pairs)
    filled = boundary == "pad" and floats and missing is None and any(lacking)
    filled = filled and operation is not None and not operation.truth
    clipped = tuple(min(each, max(size, 1)) for size, each in pairs)
    return Blocks(shape, dtype, operation, clipped, outputs, made, missing, filled, lacking)


def factors_of(factors: object, axes: object, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The factor of each axis, 1 for those that are kept."""
    count, given = len(shape), entries(factors)
    if axes is None:
        chosen = list(range(count))
        if given is None and not count:
            integer(NAME, "factors", factors, 1)
            raise ValueError(f"{NAME}: x has no axes, so that factors must be (), got {factors}")
        if given is not None and len(given) != count:
            raise ValueError(
                f"{NAME}: factors must be an integer or have one entry for each axis of x, got "
                f"{shown(factors)} for shape {shape}; name fewer axes with axes="
            )
    else:
        chosen = _axes(axes, count, shape)
        if given is not None and len(given) != len(chosen):
            raise ValueError(
                f"{NAME}: factors must be an integer or have one entry for each of axes, got "
                f"{shown(factors)} for axes {shown(axes)}"
            )
    values = (factors,) * len(chosen) if given is None else given
    found = [1] * count
    for axis, value in zip(chosen, values, strict=True):
        found[axis] = integer(NAME, "factors", value, 1)
    if sum(each > 1 for each in found) > MOST_POOLED:
        raise ValueError(
            f"{NAME}: at most {MOST_POOLED} axes can have a factor above 1, got {tuple(found)}; "
            f"call it twice"
        )
    return tuple(found)


def _axes(axes: object, count: int, shape: tuple[int, ...]) -> list[int]:
    given = entries(axes)
    found = []
    for value in (axes,) if given is None else given:
        axis = integer(NAME, "axes", value, -LARGEST)
        if not -count <= axis < count:
            raise ValueError(f"{NAME}: axes has {axis}, and x has shape {shape}")
        found.append(axis % count)
    if len(set(found)) < len(found):
        raise ValueError(f"{NAME}: axes must differ, got {shown(axes)} for shape {shape}")
    return found


def _result(method: str, dtype: np.dtype[Any], wanted: np.dtype[Any] | None) -> np.dtype[Any]:
    """The dtype of the result."""
    own = dtype
    if method == "sum":
        return sums.sum_dtype(NAME, dtype, wanted)  # type: ignore[no-any-return]
    if method in ("any", "all"):
        own = np.dtype(np.bool_)
    if wanted is None or wanted == own:
        return own
    if method == "mean":
        return sums.average_dtype(NAME, dtype, wanted)  # type: ignore[no-any-return]
    raise TypeError(f"{NAME}: dtype must be {own} with method {method!r}, got {wanted}")


def _nodata(value: Any, dtype: np.dtype[Any]) -> tuple[int | float | bool | None, bool]:
    """A number of the array's dtype that is missing, or None; and whether NaN is."""
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value[()]
    number: int | float
    try:
        whole = isinstance(value, np.bool_)
        number = int(value) if whole else operator.index(value)
    except TypeError:
        real = isinstance(value, (float, np.floating)) or (
            isinstance(value, np.generic) and arrays.is_bfloat16(value.dtype)
        )
        if not real:
            raise TypeError(
                f"{NAME}: nodata must be a number, got {type(value).__name__}"
            ) from None
        number = float(value)
    if dtype.kind not in "iub":
        try:
            with np.errstate(over="ignore"):
                number = float(dtype.type(number))
        except OverflowError:
            raise _no_room(value, dtype) from None
        return (None, True) if math.isnan(number) else (number + 0.0, False)  # never -0.0
    if isinstance(number, float):
        if not number.is_integer():
            raise _no_room(value, dtype)
        number = int(number)
    low, high = arrays.limits(dtype)
    if not low <= number <= high:
        raise _no_room(value, dtype)
    return (bool(number) if dtype.kind == "b" else number), False


def _check_fill(number: int | float | bool, result: np.dtype[Any]) -> None:
    """Raise ValueError for a number that the result cannot hold, even if rounded."""
    if result.kind == "b":
        return
    if result.kind in "iu":
        low, high = arrays.limits(result)
        fits = low <= number <= high
    else:
        with np.errstate(over="ignore"):
            fits = math.isinf(number) or not math.isinf(float(result.type(number)))
    if not fits:
        raise _no_room(number, result)


def _no_room(value: object, dtype: np.dtype[Any]) -> ValueError:
    return ValueError(f"{NAME}: nodata is {shown(value)}, which no {dtype} is")

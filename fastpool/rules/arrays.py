"""What an array must be: dtypes, outputs, overlap."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from .arguments import shown
from .masks import as_array

DTYPES = (
    "float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "uint64", "bool",
)  # fmt: skip
# An overlap of two strided arrays is an integer equation; this bounds the search for a
# solution. Views made by slicing are decided in far fewer steps.
OVERLAP_WORK = 100_000


class Storage(NamedTuple):
    """How an array lies in memory, but for its address."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]  # bytes
    dtype: np.dtype[Any]

    @classmethod
    def in_order(cls, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Storage:
        """That of a new array, in C order."""
        steps, step = [], dtype.itemsize
        for length in reversed(shape):
            steps.append(step)
            step *= length
        return cls(shape, tuple(reversed(steps)), dtype)


def storage_of(array: np.ndarray) -> Storage:
    """How an array lies in memory."""
    return Storage(array.shape, array.strides, array.dtype)


def is_bfloat16(dtype: np.dtype[Any]) -> bool:
    """Whether `dtype` is the bfloat16 of ml_dtypes, told without importing ml_dtypes."""
    return dtype.itemsize == 2 and dtype.name == "bfloat16"


def is_half(dtype: np.dtype[Any]) -> bool:
    """Whether `dtype` is one of the 16-bit floats, which NumPy and Numba lack arithmetic for."""
    return dtype.itemsize == 2 and (dtype.kind == "f" or is_bfloat16(dtype))


def infinity_bits(dtype: np.dtype[Any]) -> int:
    """The bits of +infinity in a floating dtype; those of every NaN's magnitude are larger."""
    infinity = np.array(np.inf, dtype.newbyteorder("="))
    return int(infinity.view(f"u{dtype.itemsize}"))


def native(array: np.ndarray) -> np.ndarray:
    """`array` in the machine's byte order: itself, or a copy."""
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def as_arrays(
    function: str, names: Iterable[str], values: Iterable[object]
) -> tuple[np.ndarray, ...]:
    """Values as plain arrays, in whatever memory they lie.

    Raises
    ------
    TypeError, ValueError
        One is a masked array, or cannot be made an array.
    """
    pairs = zip(names, values, strict=True)
    return tuple(as_array(function, name, value) for name, value in pairs)


def data_type(function: str, name: str, value: Any) -> np.dtype[Any]:
    """`value` as a supported dtype in the machine's byte order.

    Raises
    ------
    TypeError
        It is none.
    """
    try:
        # PyTorch's dtypes have NumPy's names.
        named = type(value).__module__ == "torch" and type(value).__name__ == "dtype"
        dtype: np.dtype[Any] = np.dtype(str(value).removeprefix("torch.") if named else value)
    except Exception as error:  # an object's own attribute `dtype` may raise any
        raise TypeError(f"{function}: {name} must be dtypes, got {shown(value)}") from error
    check_dtype(function, name, dtype)
    native: np.dtype[Any] = dtype.newbyteorder("=")
    return native


def check_dtype(function: str, name: str, dtype: np.dtype[Any]) -> None:
    """Raise TypeError for a dtype that pooling has no order for."""
    # ml_dtypes calls one of its 8-bit floats "f" too.
    known = dtype.kind in "iub" or (dtype.kind == "f" and 2 <= dtype.itemsize <= 8)
    if not (known or is_bfloat16(dtype)):
        raise TypeError(f"{function}: {name} has dtype {dtype}; supported are {', '.join(DTYPES)}")


def check_shape(
    function: str, name: str, shape: tuple[int, ...], required: tuple[int, ...]
) -> None:
    """Raise ValueError unless the two shapes are equal."""
    if shape != required:
        raise ValueError(f"{function}: {name} has shape {shape}, required is {required}")


def check_output(
    function: str, name: str, out: object, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Storage:
    """How `out` lies in memory, if it can hold a result of this shape and dtype.

    Raises
    ------
    TypeError, ValueError
        It is no array, or has another shape or dtype, or is read-only, or overlaps itself.
    """
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"{function}: {name} must be a NumPy array, got {type(out).__name__}")
    check_shape(function, name, out.shape, shape)
    if out.dtype != dtype:
        raise ValueError(f"{function}: {name} has dtype {out.dtype}, required is {dtype}")
    if not out.flags.writeable:
        raise ValueError(f"{function}: {name} is read-only")
    out = np.asarray(out)
    if _overlaps_itself(out):
        raise ValueError(f"{function}: {name} has several elements at one address")
    return storage_of(out)


def check_apart(function: str, name: str, out: np.ndarray, others: Iterable[np.ndarray]) -> None:
    """Raise ValueError if `out` shares memory with one of `others`; in doubt, it does."""
    for other in others:
        if np.may_share_memory(out, other) and _overlap(out, other):
            raise ValueError(f"{function}: {name} overlaps another argument in memory")


def too_large(
    function: str, results: Iterable[tuple[tuple[int, ...], np.dtype[Any]]]
) -> MemoryError:
    """What is raised where the results cannot be allocated: it names the largest."""
    shape, dtype = max(results, key=lambda result: math.prod(result[0]) * result[1].itemsize)
    return MemoryError(
        f"{function}: a result of shape {shape} and dtype {dtype} cannot be allocated"
    )


def out_of_memory(function: str) -> MemoryError:
    """What is raised where a backend finds no memory to work in."""
    return MemoryError(f"{function}: not enough memory to work in")


def _overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays share an element; in doubt, they do."""
    try:
        return np.shares_memory(a, b, max_work=OVERLAP_WORK)  # type: ignore[arg-type]
    except (np.exceptions.TooHardError, OverflowError):
        return True


def _overlaps_itself(array: np.ndarray) -> bool:
    """Whether two elements may share an address: false for every view made by slicing."""
    if array.size < 2 or array.flags.c_contiguous:
        return False
    reach = array.itemsize
    for stride, length in sorted(zip(map(abs, array.strides), array.shape, strict=True)):
        if length > 1:
            if stride < reach:
                return True
            reach = stride * (length - 1) + reach
    return False


def limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    """The least and the largest value of a dtype of integers or bools."""
    if dtype.kind == "b":
        return 0, 1
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)

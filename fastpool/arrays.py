"""What an array must be: dtypes, outputs, overlap."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np

from .arguments import MOST_AXES

DTYPES = (
    "float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "uint64", "bool",
)  # fmt: skip
# An overlap of two strided arrays is an integer equation; this bounds the search for a
# solution. Views made by slicing are decided in far fewer steps.
OVERLAP_WORK = 100_000
# What a nest may hold any number of: none of these holds an array.
_ATOMS = (str, bytes, bytearray, memoryview, range, dict, np.generic)


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


def as_data(function: str, name: str, value: object) -> np.ndarray:
    """`value` as a plain array of a supported dtype, in whatever memory it lies.

    Raises
    ------
    TypeError
        A masked array, or a dtype that pooling has no order for.
    """
    array = as_array(function, name, value)
    _check_dtype(function, name, array.dtype)
    return array


def data_type(function: str, name: str, value: Any) -> np.dtype[Any]:
    """`value` as a supported dtype in the machine's byte order.

    Raises
    ------
    TypeError
        It is none.
    """
    try:
        dtype: np.dtype[Any] = np.dtype(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{function}: {name} must be dtypes, got {value!r}") from error
    _check_dtype(function, name, dtype)
    native: np.dtype[Any] = dtype.newbyteorder("=")
    return native


def _check_dtype(function: str, name: str, dtype: np.dtype[Any]) -> None:
    # ml_dtypes calls one of its 8-bit floats "f" too.
    known = dtype.kind in "iub" or (dtype.kind == "f" and 2 <= dtype.itemsize <= 8)
    if not (known or is_bfloat16(dtype)):
        raise TypeError(f"{function}: {name} has dtype {dtype}; supported are {', '.join(DTYPES)}")


def as_indices(
    function: str, value: object, shape: tuple[int, ...], cells: int | None
) -> np.ndarray:
    """`value` as an array of integers of the shape that the output has; see `check_indices`.

    Raises
    ------
    TypeError, ValueError
        Another dtype, or another shape.
    """
    array = as_array(function, "indices", value)
    check_indices(function, array.dtype, array.shape, shape, cells)
    return array


def check_indices(
    function: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    required: tuple[int, ...],
    cells: int | None,
) -> None:
    """Raise TypeError unless indices are integers, ValueError unless they have that shape.

    Flat ones must be of a dtype that can count the `cells` of a plane; None for window indices.
    Those of a small dtype would all name cells of the first rows, and no value be out of range.
    """
    if dtype.kind not in "iu":
        raise TypeError(f"{function}: indices must be integers, got dtype {dtype}")
    check_shape(function, "indices", shape, required)
    if cells is not None and cells - 1 > np.iinfo(dtype).max:
        raise TypeError(
            f"{function}: indices of dtype {dtype} cannot count the {cells} cells of a plane; are "
            f'they window indices? Then pass index_format="window"'
        )


def check_shape(
    function: str, name: str, shape: tuple[int, ...], required: tuple[int, ...]
) -> None:
    """Raise ValueError unless the two shapes are equal."""
    if shape != required:
        raise ValueError(f"{function}: {name} has shape {shape}, required is {required}")


def output(
    function: str,
    name: str,
    out: object,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    others: tuple[np.ndarray, ...],
) -> np.ndarray:
    """A new array of `shape` and `dtype`, or `out` if it is one that can be written.

    Raises
    ------
    TypeError, ValueError
        `out` is no array, or has another shape or dtype, or is read-only, or shares
        memory with one of `others` or with itself.
    MemoryError
        The array cannot be allocated, or is larger than any array.
    """
    dtype = dtype if dtype.isnative else dtype.newbyteorder("=")
    if out is None:
        try:
            return np.empty(shape, dtype)
        except (MemoryError, ValueError):  # ValueError: sizes whose product has no 64 bits
            raise MemoryError(
                f"{function}: a result of shape {shape} and dtype {dtype} cannot be allocated"
            ) from None
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"{function}: {name} must be a NumPy array, got {type(out).__name__}")
    out = np.asarray(out)
    check_shape(function, name, out.shape, shape)
    if out.dtype != dtype:
        raise ValueError(f"{function}: {name} has dtype {out.dtype}, required is {dtype}")
    if not out.flags.writeable:
        raise ValueError(f"{function}: {name} is read-only")
    if _overlaps_itself(out):
        raise ValueError(f"{function}: {name} has several elements at one address")
    for other in others:
        if _overlap(out, other):
            raise ValueError(f"{function}: {name} overlaps another argument in memory")
    return out


def out_of_memory(function: str) -> MemoryError:
    """What is raised where a backend finds no memory to work in."""
    return MemoryError(f"{function}: not enough memory to work in")


def as_array(function: str, name: str, value: object) -> np.ndarray:
    """`value` as a plain array of any dtype.

    Raises
    ------
    TypeError, ValueError, MemoryError
        A masked array, or something that holds or makes one, or what is no array.
    """
    if type(value) is np.ndarray:
        return value
    refuse_masks(function, name, value)
    try:
        array = _made(value)
    except MemoryError:
        raise MemoryError(f"{function}: {name} cannot be made an array: out of memory") from None
    except Exception as error:  # an object's own __array__ may raise any
        raise _no_array(function, name, error) from _unknown(error)
    _refuse_masked(function, name, array)
    return np.asarray(array)


def refuse_masks(function: str, name: str, value: object, lazy: tuple[type, ...] = ()) -> None:
    """Raise TypeError for a masked array, and for sequences that hold one, which NumPy would drop.

    Objects of the types in `lazy` are left to the caller: to look at them is to compute them.
    """
    _refuse_masked(function, name, value)
    try:
        masked = _holds_masks(value, lazy)
    except MemoryError:
        raise MemoryError(f"{function}: {name} cannot be made an array: out of memory") from None
    except Exception as error:  # a sequence's own __iter__ may raise any
        raise _no_array(function, name, error) from _unknown(error)
    if masked:
        raise _masked(function, name)


def _holds_masks(value: Any, lazy: tuple[type, ...]) -> bool:
    """Whether a sequence holds a masked array, at any depth that an array may have.

    The types of the elements tell most, and `map` passes a million numbers in 20 ms. What a level
    holds several times is looked at once: a list that holds itself twice would be 2**64 of them.
    """
    level = [value] if _is_nest(type(value)) else []
    for _ in range(MOST_AXES + 1):
        kinds = set(map(type, chain.from_iterable(level)))
        if any(issubclass(kind, np.ma.MaskedArray) for kind in kinds):
            return True
        kinds = {kind for kind in kinds if not issubclass(kind, lazy)}
        if makers := {kind for kind in kinds if _makes_arrays(kind)}:
            made = (each for each in chain.from_iterable(level) if type(each) in makers)
            if any(isinstance(_made(each), np.ma.MaskedArray) for each in made):
                return True
        nests = {kind for kind in kinds if _is_nest(kind)}
        if not nests:
            return False
        below = (each for each in chain.from_iterable(level) if type(each) in nests)
        level = list({id(each): each for each in below}.values())
    raise ValueError(f"it is nested more than {MOST_AXES} times")


def _makes_arrays(kind: type) -> bool:
    """Whether objects of a type make arrays of themselves, which may be masked ones."""
    return hasattr(kind, "__array__") and not issubclass(kind, (np.ndarray, np.generic))


def _made(value: Any) -> np.ndarray:
    """An array with its mask, which `numpy.asarray` drops, and the `__array__` of Dask's arrays."""
    kind = type(value)
    if _makes_arrays(kind) and hasattr(kind, "__dask_graph__") and hasattr(kind, "compute"):
        value = value.compute()
    return np.asanyarray(value)


def _is_nest(kind: type) -> bool:
    """Whether NumPy looks for arrays in objects of a type: lists, and what behaves as they do."""
    if issubclass(kind, (list, tuple)):
        return True
    if issubclass(kind, _ATOMS) or hasattr(kind, "__array__"):
        return False
    return hasattr(kind, "__getitem__") and hasattr(kind, "__len__")


def _refuse_masked(function: str, name: str, value: object) -> None:
    if isinstance(value, np.ma.MaskedArray):
        raise _masked(function, name)


def _masked(function: str, name: str) -> TypeError:
    return TypeError(f"{function}: {name} is a masked array, and masks are not supported")


def _no_array(function: str, name: str, error: Exception) -> Exception:
    kind = ValueError if isinstance(error, ValueError) else TypeError
    return kind(f"{function}: {name} cannot be made an array: {error}")


def _unknown(error: Exception) -> Exception | None:
    """The cause to show: an error of a kind that NumPy itself does not raise."""
    return None if isinstance(error, (TypeError, ValueError)) else error


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

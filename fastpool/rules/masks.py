"""Values made arrays, and masks that NumPy would drop on the way: none may be lost in silence."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np

from .arguments import MOST_AXES

# What a nest may hold any number of: none of these holds an array.
_ATOMS = (str, bytes, bytearray, memoryview, range, dict, np.generic)
# DLPack's numbers of memory that the CPU reads: its own, and what CUDA and ROCm pinned there.
_HOST_DEVICES = (1, 3, 11)


def as_array(function: str, name: str, value: object) -> np.ndarray:
    """`value` as a plain array of any dtype.

    Raises
    ------
    TypeError, ValueError, MemoryError
        A masked array, or something that holds or makes one, or what is no array.
    """
    if type(value) is np.ndarray:
        return value
    shared = _shared(function, name, value)
    if shared is not None:
        return shared
    refuse_masks(function, name, value)
    try:
        array = _made(value)
    except MemoryError:
        raise MemoryError(f"{function}: {name} cannot be made an array: out of memory") from None
    except Exception as error:  # an object's own __array__ may raise any
        raise _no_array(function, name, error) from _unknown(error)
    _refuse_masked(function, name, array)
    return np.asarray(array)


def _shared(function: str, name: str, value: Any) -> np.ndarray | None:
    """The memory of an array of another library, by DLPack; None where there is no such way.

    Then `__array__` may know another one: DLPack lacks dtypes, and a library may refuse.
    """
    kind = type(value)
    if issubclass(kind, (np.ndarray, list, tuple, int, float, *_ATOMS)):
        return None
    other_way = False
    try:
        other_way = hasattr(kind, "__array__")
        if not (hasattr(kind, "__dlpack__") and hasattr(kind, "__dlpack_device__")):
            return None
        device = int(value.__dlpack_device__()[0])
        array = np.from_dlpack(value) if device in _HOST_DEVICES else None
    except MemoryError:
        raise MemoryError(f"{function}: {name} cannot be made an array: out of memory") from None
    except Exception as error:  # an object's own methods may raise any
        if other_way:
            return None
        raise _no_array(function, name, error) from _unknown(error)
    if array is None:
        raise TypeError(
            f"{function}: {name} is a {kind.__name__} on another device than the CPU (DLPack's "
            f"number {device}); copy it to the CPU first"
        )
    return array


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
    # `isinstance` would ask the object, which may answer anything.
    if issubclass(type(value), np.ma.MaskedArray):
        raise _masked(function, name)


def _masked(function: str, name: str) -> TypeError:
    return TypeError(
        f"{function}: {name} is a masked array, and masks are not supported; "
        "fastpool.downsample takes them"
    )


def _no_array(function: str, name: str, error: Exception) -> Exception:
    kind = ValueError if isinstance(error, ValueError) else TypeError
    return kind(f"{function}: {name} cannot be made an array: {error}")


def _unknown(error: Exception) -> Exception | None:
    """The cause to show: an error of a kind that NumPy itself does not raise."""
    return None if isinstance(error, (TypeError, ValueError)) else error

"""Calls like one that was made before, whose arguments need no second check.

Checking the arguments of a small call takes five times as long as its pooling. So the way to
the result is remembered for what is common: a contiguous array and plain numbers. A call is
the same only if its arguments' types are, since ``2 == 2.0 == np.int64(2)`` and ``1 == True``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from .backends import NotReady
from .geometry import Geometry

# Tuples are no part: they may hold numbers of several types. Nor is anything whose hash could be
# an error, or the end of the process, as that of a tuple nested a million times.
_PLAIN = frozenset((int, bool, str, type(None)))
_MOST = 1024


class Repeat(NamedTuple):
    """What the first call of its kind found out."""

    shape: tuple[int, ...]
    index_dtype: np.dtype[Any] | None
    run: Callable[[np.ndarray, np.ndarray, np.ndarray | None], None]


_repeats: dict[Hashable, Repeat] = {}


def key_of(x: object, arguments: tuple[object, ...]) -> Hashable:
    """What tells calls apart; None for a call that is not remembered."""
    if type(x) is not np.ndarray or not x.flags.c_contiguous:
        return None
    kinds = tuple(map(type, arguments))
    return (x.shape, x.dtype, arguments, kinds) if _PLAIN.issuperset(kinds) else None


def find(key: Hashable) -> Repeat | None:
    """The call with this key, if there was one."""
    return _repeats.get(key)


def outputs(repeat: Repeat, x: Any, out: Any) -> tuple[np.ndarray, np.ndarray | None] | None:
    """The output and the indices of a call: new, or `out` where that is plain; else None."""
    shape, index_dtype = repeat.shape, repeat.index_dtype
    if out is None:
        output = np.empty(shape, x.dtype)
        return output, None if index_dtype is None else np.empty(shape, index_dtype)
    if index_dtype is None:
        return (out, None) if _plain(out, shape, x.dtype, x) else None
    if type(out) is not tuple or len(out) != 2:
        return None
    plain = _plain(out[0], shape, x.dtype, x) and _plain(out[1], shape, index_dtype, x)
    return out if plain and not np.may_share_memory(*out) else None


def _plain(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], x: np.ndarray) -> bool:
    """Whether an array can be written as it is; all arrays here are contiguous."""
    return (
        type(out) is np.ndarray
        and out.shape == shape
        and out.dtype == dtype
        and out.flags.carray
        and not np.may_share_memory(out, x)
    )


def remember(
    key: Hashable,
    module: ModuleType,
    geometry: Geometry,
    dtype: np.dtype[Any],
    index_dtype: np.dtype[Any] | None,
    window: bool,
) -> None:
    """Keep a call that a backend has answered for the next one like it."""
    # An empty result is made without a kernel, and there is none to plan for it.
    if 0 in geometry.output_shape or not (hasattr(module, "prepared") and dtype.isnative):
        return
    try:
        with module.nothing_compiled():  # this call's own output may have been none of the plain
            run = module.prepared(geometry, dtype, index_dtype, window)
    except NotReady:
        return
    if len(_repeats) >= _MOST:
        _repeats.clear()
    _repeats[key] = Repeat(geometry.output_shape, index_dtype, run)

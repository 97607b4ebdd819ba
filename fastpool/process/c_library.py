"""Functions of C's library by their addresses, for compiled code that runs without Python."""

from __future__ import annotations

import ctypes
import struct
from functools import cache
from typing import Any, NamedTuple

from .huge_pages import madvise
from .underflow import environment_functions


class Addresses(NamedTuple):
    """Where functions lie."""

    malloc: int
    free: int
    sched_yield: int
    fegetenv: int
    fesetenv: int
    default_environment: int  # what the last one takes to compute as IEEE 754 says
    madvise: int  # 0 where there is none


@cache
def addresses() -> Addresses | None:
    """Those of this process; None where one is not found, or an address has no 64 bits."""
    found = environment_functions()
    if found is None or struct.calcsize("P") != 8:
        return None
    save, restore, default = found
    try:
        library = ctypes.PyDLL(None)
        functions = library.malloc, library.free, library.sched_yield, save, restore
    except (AttributeError, OSError, TypeError):
        return None
    malloc, free, sched_yield, fegetenv, fesetenv = map(_address, functions)
    advise = madvise()
    advised = 0 if advise is None else _address(advise)
    return Addresses(malloc, free, sched_yield, fegetenv, fesetenv, default, advised)


def _address(function: Any) -> int:
    where = ctypes.cast(function, ctypes.c_void_p).value
    assert where is not None
    return where

"""Gradual underflow, in threads where others have switched it off.

Frameworks let their threads take subnormal numbers for zeros, which are then neither larger than
zero nor summed: results would depend on who calls. What NumPy and compiled code do is a matter of
the thread's floating-point environment, which C's library saves and sets.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

WORDS = 8  # of 64 bits, for an environment: more than any platform needs


@contextmanager
def gradual_underflow() -> Iterator[None]:
    """Within it, this thread computes as IEEE 754 says; nothing changes on unknown platforms."""
    found = environment_functions()
    if found is None:
        yield
        return
    save, restore, default = found
    kept = (ctypes.c_uint64 * WORDS)()
    save(kept)
    restore(ctypes.c_void_p(default))
    try:
        yield
    finally:
        restore(kept)


@cache
def environment_functions() -> tuple[Any, Any, int] | None:
    """``fegetenv``, ``fesetenv``, and the address of the default environment."""
    try:
        library = ctypes.PyDLL(None)
        save, restore = library.fegetenv, library.fesetenv
        if sys.platform == "darwin":
            default = ctypes.addressof((ctypes.c_uint64 * WORDS).in_dll(library, "_FE_DFL_ENV"))
        elif sys.platform == "linux":
            default = -1
        else:
            return None
    except (AttributeError, OSError, TypeError, ValueError):
        return None
    return save, restore, default

"""Every JIT option in one place, and what was compiled.

Compiled functions take addresses and integers alone and call each other by address. So one
serial and one parallel *driver* serve every *kernel*, which walks through the rows of a call; and a
kernel serves every dtype and every function of one row. Each piece is compiled once, when it is
first needed: a kernel in one piece took 12 s, in every dtype, and as a part of a parallel function
as long again. fastmath is off everywhere: it drops NaN tests.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock

from ....process import forks, log
from ....process.interrupts import held_back
from ...protocol import BackendUnavailable
from ..vectors.types import BYTES, LARGEST, Cells, Order
from .disk import KernelCache, NotReady, must_be_ready
from .signature import signature_of

# One thread compiles, and the others find its work done. Waiting for Numba's own lock instead,
# eight threads would compile everything eight times.
_compiling = forks.wait_for(threading.RLock())
forks.wait_for(global_compiler_lock)
_compiled: dict[Any, Any] = {}

# A part of a kernel; a call in its place makes a row of 32 cells twice as long. It is compiled
# into what is kept on disk, and needs no file of its own. Without the two wrappers a cold
# compile takes 2.9 s instead of 3.5.
inlined: Any = numba.njit(  # type: ignore[call-overload]
    forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy"
)


def once(key: Any, name: str, make: Callable[[], Any]) -> Any:
    """What was compiled before for this key, or is now.

    Raises
    ------
    NotReady
        It would have to be compiled, or another thread is compiling, and that is not wanted.
    BackendUnavailable
        Numba or LLVM failed.
    """
    found = _compiled.get(key)
    if found is not None:
        return found
    with held_back():  # handlers run once the lock is free
        if not _compiling.acquire(blocking=not must_be_ready()):
            raise NotReady("another thread is compiling")
        try:
            if key not in _compiled:
                start = time.perf_counter()
                _compiled[key] = made = make()
                how = "loaded from disk" if made._cache.loaded else "compiled"
                log.info("%s %s in %.3f s", name, how, time.perf_counter() - start)
            return _compiled[key]
        except (NotReady, MemoryError):
            raise
        except Exception as error:
            text = f"backend 'numba' cannot be used: {type(error).__name__}: {error}"
            raise BackendUnavailable(text) from error
        finally:
            _compiling.release()


def cells(dtype: Any, lanes: int = 0, order: Order = LARGEST) -> Cells:
    """The type of an address of cells: a vector of them is `lanes` long, or BYTES."""
    element = numba.from_dtype(np.dtype(dtype))
    return Cells(element, lanes or BYTES // np.dtype(dtype).itemsize, order)


def compiled(function: Callable[..., Any], **kinds: Any) -> Any:
    """The C function of a `kernel` for some types of arguments; the others are 64-bit integers.

    None is for cells that are not wanted. A constant of the signature is a number.

    Raises
    ------
    TypeError
        A constant is missing, or a parameter is unknown.
    """
    signature = signature_of(function)
    names = signature.parameters + signature.constants
    constants = {name for name, kind in kinds.items() if isinstance(kind, int)}
    if constants != set(signature.constants) or not kinds.keys() <= set(names):
        raise TypeError(f"{function.__name__}: {sorted(kinds)} do not fit its signature {names}")

    def make() -> Any:
        arguments = tuple(_type(name, kinds.get(name, types.int64)) for name in names)
        # Divisors are at least 1: no test for zero.
        made: Any = CFunc(function, (arguments, types.int64), {}, {"error_model": "numpy"})
        made._cache = KernelCache(function)
        made.compile()
        return made

    return once((function, tuple(kinds.items())), function.__name__, make)


def compiled_functions() -> int:
    """How many there are: what was not ready can be once there are more."""
    return len(_compiled)


def address(function: Callable[..., Any], **kinds: Any) -> int:
    """Where the C function of a `kernel` for some types of arguments lies."""
    where: int = compiled(function, **kinds).address
    return where


_NUMBERS: Any = types.CPointer(types.int64)  # type: ignore[no-untyped-call]


def _type(name: str, kind: Any) -> Any:
    if name in ("table", "run"):
        return _NUMBERS
    if kind is None:
        return types.none
    return types.literal(kind) if isinstance(kind, int) else kind  # type: ignore[no-untyped-call]

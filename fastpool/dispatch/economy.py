"""When "auto" pays for a compiler.

It stays with NumPy until the calls that one kernel would have served have cost as much as the
kernel's first use does: the ski-rental rule (Karlin et al. 1988), which never costs more than twice
the better choice. The figures are rough, and no clock is read, so that the choice depends on the
calls alone.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Hashable
from functools import lru_cache

from ..backends.protocol import BackendUnavailable, Plan
from ..process import log
from ..rules.arrays import Storage
from ..rules.call import Call
from . import table
from .table import COMPILED, PLAIN

# Measured: Numba's start 0.5 s, import, start and compilation of the first kernel 2 to 4 s, of a
# later one 0.3 to 2 s; the NumPy backend 0.1 ms a call, and for each cell 5 to 20 ns, or 0.3 to 3
# where no index is asked for.
START_SECONDS = 0.5
FIRST_COMPILE_SECONDS = 3.0
COMPILE_SECONDS = 1.0
NUMPY_SECONDS_PER_CALL = 1e-4
NUMPY_SECONDS_PER_CELL, NUMPY_SECONDS_PER_CELL_ALONE = 10e-9, 1e-9
# A call of so many cells is large. Who makes one makes more of them, so that it is worth Numba's
# start if there are kernels on disk.
LARGE = 2**20

# What NumPy's answers have cost for want of each kernel.
_spent: dict[Hashable, float] = {}
_MOST = 4096
_warned = False


def choose(call: Call, storages: tuple[Storage, ...]) -> tuple[Plan, bool]:
    """The plan that is expected to finish first, and whether that will stay so.

    It never raises because Numba is missing or broken: then NumPy answers, with one warning.
    """
    try:
        plan = _compiled_if_worth(call, storages)
    except BackendUnavailable as error:
        _warn_once(str(error))
        plan = None
    if plan is not None:
        return plan, True
    return table.load(PLAIN).plan(call, storages), False


def _compiled_if_worth(call: Call, storages: tuple[Storage, ...]) -> Plan | None:
    """The compiled backend's plan, if it is ready to run or the work is worth a compilation."""
    # Where Numba is missing, the warning is to come at the first call.
    loaded = table.is_loaded(COMPILED) or not table.compiler_found()
    if loaded:
        plan = ready_plan(call, storages)
        if plan is not None:
            return plan
    cells = math.prod(call.geometry.input_shape)
    rate = NUMPY_SECONDS_PER_CELL if call.index_dtype else NUMPY_SECONDS_PER_CELL_ALONE
    limit = COMPILE_SECONDS if loaded else FIRST_COMPILE_SECONDS
    spent = _spent.get(call.kind, 0.0) + NUMPY_SECONDS_PER_CALL + cells * rate
    if spent < limit:
        if len(_spent) >= _MOST:
            _spent.clear()
        _spent[call.kind] = spent
        if not loaded and (cells >= LARGE or spent >= START_SECONDS) and _any_kernel_on_disk():
            return ready_plan(call, storages)
        return None
    backend = table.load(COMPILED)
    plan = backend.plan(call, storages)
    log.debug("%s: compiling, as %.2g s were spent without", call.name, spent)
    backend.compile(plan)
    _spent.pop(call.kind, None)
    return plan


def worth_loading(cells: int) -> bool:
    """Whether a program that will make calls of so many cells is worth Numba's start."""
    return table.is_loaded(COMPILED) or cells >= LARGE


def ready_plan(call: Call, storages: tuple[Storage, ...]) -> Plan | None:
    """The compiled backend's plan, unless it would have to compile first."""
    backend = table.load(COMPILED)
    plan = backend.plan(call, storages)
    return plan if backend.ready(plan) else None


@lru_cache(maxsize=1)
def _any_kernel_on_disk() -> bool:
    from ..process import cache_folders  # its imports take 20 ms

    return cache_folders.filled()


def _warn_once(cause: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        text = f"fastpool: {cause}; NumPy answers instead"
        warnings.warn(text, RuntimeWarning, stacklevel=_levels_to_caller())


def _levels_to_caller() -> int:
    """The ``stacklevel`` of `_warn_once` that names the line which called fastpool."""
    package = __name__.partition(".")[0]
    level, frame = 1, sys._getframe(1)
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    return level

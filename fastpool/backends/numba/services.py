"""What XLA may ask for: services with their keys, where compiled code finds them.

The table of services is never changed in place, but for a new one in a free place: another thread
may look something up at any time. When it is half full, a larger one takes its place, and the old
one stays.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import time

import numpy as np

from ...process import c_library, forks
from ..protocol import Service
from .compile.jit import address, compiled
from .kernels import xla

_FIRST = 256  # places
_changing = forks.wait_for(threading.Lock())
_services: dict[int, Service] = {}
_records: dict[int, np.ndarray] = {}  # by their addresses; compiled code may read any of them
_slots: list[np.ndarray] = []  # the last one is in use
_gate = np.zeros(3, np.int64)
_ENDING = ctypes.create_string_buffer(b"fastpool: Python is about to end")


def xla_handler(otherwise: int) -> int | None:
    """The address of the C function that XLA calls, which is compiled; None if there is none."""
    functions = c_library.addresses()
    if functions is None:
        return None
    with _changing:
        if not _slots:
            slots = np.zeros(xla.PLACES + _FIRST, np.int64)
            slots[: xla.PLACES] = (
                otherwise, functions.malloc, functions.free, functions.sched_yield,
                functions.fegetenv, functions.fesetenv, functions.default_environment,
                address(xla.lend_a_hand), functions.madvise, _gate.ctypes.data,
                _FIRST - 1,
            )  # fmt: skip
            _gate[xla.TEXT] = ctypes.addressof(_ENDING)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=_empty)
            atexit.register(_close)
            _use(slots)
    return address(xla.answer)


def _close() -> None:
    """Let nobody in any more, and wait until all have left.

    A thread that came for Python after its end would be ended itself, and XLA would wait for it.
    """
    _gate[xla.CLOSED] = 1
    time.sleep(0.001)  # until all threads see that
    while _gate[xla.INSIDE]:
        time.sleep(0.001)


def _empty() -> None:
    """Forget threads that this forked process does not have."""
    _gate[xla.INSIDE] = 0


def serve(key: int, service: Service) -> None:
    """Tell that function what to do for a key, or what more it can do by now."""
    record = _record(key, service)
    with _changing:
        before = _services.get(key)
        if before is not None and (before.steps or not service.steps):
            return
        _services[key] = service
        _records[record.ctypes.data] = record
        slots = _slots[-1]
        if 2 * len(_services) <= len(slots) - xla.PLACES:
            compiled(xla.publish).ctypes(*_written(slots, record))
            return
        places = 2 * (len(slots) - xla.PLACES)
        larger = np.zeros(xla.PLACES + places, np.int64)
        larger[: xla.PLACES] = slots[: xla.PLACES]
        larger[xla.MASK] = places - 1
        for each in _records.values():  # a later one takes the place of an earlier one
            place, where = _written(larger, each)
            larger[(place - larger.ctypes.data) // 8] = where
        _use(larger)


def _record(key: int, service: Service) -> np.ndarray:
    """What compiled code reads of a service."""
    operands, results, sizes, steps, x, indices = service
    kernels = []
    for entry in steps:
        where = entry.address, entry.table.ctypes.data
        kernels += [*where, entry.scratch, entry.rows, entry.ranges]
    kernels += [0] * (xla.CELLS - xla.FIRST - len(kernels))
    passed = steps[0].passed if steps else 0
    numbers = key, x, indices, len(operands), len(results), passed, *kernels
    return np.array((*numbers, *operands, *results, *sizes), np.int64)


def _written(slots: np.ndarray, record: np.ndarray) -> tuple[int, int]:
    """An address in the slots, and the record's, which is to be written there."""
    key, mask = int(record[xla.KEY]), int(slots[xla.MASK])
    place = key & mask
    while True:
        found = int(slots[xla.PLACES + place])
        if found == 0 or _records[found][xla.KEY] == key:
            return slots.ctypes.data + 8 * (xla.PLACES + place), record.ctypes.data
        place = (place + 1) & mask


def _use(slots: np.ndarray) -> None:
    """Let compiled code look into these."""
    _slots.append(slots)
    compiled(xla.publish).ctypes(compiled(xla.answer).ctypes(0), slots.ctypes.data)

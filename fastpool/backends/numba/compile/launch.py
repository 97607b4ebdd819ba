"""How a compiled kernel is run: on one thread or several, in what process it may be."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import warnings
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core.compiler_lock import global_compiler_lock

from ....process import forks
from ....process.threads import is_one_thread, short_waits
from ...protocol import Entry
from ..vectors.types import operation
from .disk import KernelCache
from .jit import once
from .signature import WALK

# Below so many cells of input or output, one thread does it all. On 2 idle cores two threads
# win from 2**15 on with OpenMP and TBB, by 20 us. A launch on workqueue takes 85 us by itself.
PARALLEL_CELLS = {"omp": 2**16, "tbb": 2**16, "workqueue": 2**19}
FEWEST_CELLS = min(PARALLEL_CELLS.values())

# Ranges of rows a thread: enough to even out threads of different speed.
SPREAD = 4

# In CPython, where `id` is an address, the address of a NumPy array's first cell follows the
# object's head (PyArrayObject_fields, a part of NumPy's C interface). Through `ctypes` or
# `__array_interface__` it takes 1.1 us an array, a third of a call of PyTorch.
_HEAD = object.__basicsize__


def _check_first_cell() -> None:
    """Raise ImportError where an array's first cell is not where compiled code looks for it."""
    array = np.empty(1, np.uint8)
    found = sys.implementation.name == "cpython"
    if found:
        found = ctypes.c_size_t.from_address(id(array) + _HEAD).value == array.ctypes.data
    if not found:
        raise ImportError("arrays of this Python and NumPy do not begin with their address")


_check_first_cell()

# Scratches that no call uses at the moment: as many as there were small calls at once. To
# allocate one takes 0.6 us, a tenth of a small call.
SPARE_BYTES = 16 * 1024
_spare: list[np.ndarray] = []

# What is handed over where a call has no indices.
NO_INDICES = np.empty((1, 1, 1, 1), np.int64)

_one_launch = threading.Lock()
_layer_failed = False
_started_in = 0  # the process in which Numba's threads were started for fastpool
_drivers: dict[bool, Any] = {}

walk = WALK.call


class Launch(NamedTuple):
    """A kernel that is ready to run."""

    address: int
    table: np.ndarray
    scratch: int  # bytes for each range of rows
    rows: int
    cells: int  # of input or output: how much work it is
    spread: int  # ranges of rows a thread
    grain: int  # rows that a range should have at least, though a thread gets fewer ranges then

    def ranges(self, threads: int) -> int:
        """How many ranges of rows so many threads share."""
        rows = self.rows
        return max(min(threads, rows), min(self.spread * threads, rows // self.grain))

    def entry(self, threads: int) -> Entry:
        """The same for those who call it by its address."""
        small = self.cells < FEWEST_CELLS or threads == 1
        ranges = 1 if small else self.ranges(threads)
        return Entry(self.address, self.table, self.scratch, self.rows, ranges)


@operation
def _first_cell(typing, array):  # type: ignore[no-untyped-def]
    """The address of the first cell of the NumPy array with this `id`."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        field = builder.add(arguments[0], ir.IntType(64)(_HEAD))
        return builder.load(builder.inttoptr(field, ir.IntType(64).as_pointer()))

    return types.int64(types.int64), generate


def _serial(kernel, x, output, indices, scratch, table, rows):  # type: ignore[no-untyped-def]
    arrays = _first_cell(x), _first_cell(output), _first_cell(indices), _first_cell(scratch)
    return walk(kernel, (*arrays, _first_cell(table), 0, rows))


def _parallel(kernel, x, output, indices, scratch, table, rows, tasks, size):  # type: ignore[no-untyped-def]
    found: Any = np.empty(tasks, np.int64)
    for number in prange(tasks):
        task = np.int64(number)  # prange counts unsigned, and unsigned with signed is float64
        arrays = _first_cell(x), _first_cell(output), _first_cell(indices)
        memory = _first_cell(scratch) + task * size
        first, last = rows * task // tasks, rows * (task + 1) // tasks
        found[task] = walk(kernel, (*arrays, memory, _first_cell(table), first, last))
    least = np.int64(-1)
    for result in found:
        if result >= 0 and (least < 0 or result < least):
            least = result
    return least


def _driver(parallel: bool) -> Any:
    def make() -> Any:
        function, numbers = (_parallel, 9) if parallel else (_serial, 7)
        made: Any = numba.njit(nogil=True, parallel=parallel)(function)
        made._cache = KernelCache(function)
        made.compile(types.int64(*[types.int64] * numbers))
        made.disable_compile()
        return made

    name = "driver of several threads" if parallel else "driver of one thread"
    _drivers[parallel] = driver = once(name, name, make)
    return driver


def run(launch: Launch, x: np.ndarray, output: np.ndarray, indices: np.ndarray) -> int:
    """Run a kernel over all rows; its least result.

    Each range gets `scratch` bytes. One range and one thread do small work, and everything
    where a parallel launch is unsafe: in a child forked after Numba's threads were started
    (GNU OpenMP ends such a process), and beside a launch by another thread unless the layer is
    known to be thread-safe (workqueue ends the process).
    """
    address, table, scratch, rows, cells, _, _ = launch
    arrays = address, id(x), id(output), id(indices)
    if cells < FEWEST_CELLS or rows == 1:
        return _run_serial(arrays, table, scratch, rows)
    threads = thread_count(cells)
    layer = threading_layer() if threads > 1 else ""
    if threads == 1 or cells < PARALLEL_CELLS.get(layer, FEWEST_CELLS):
        return _run_serial(arrays, table, scratch, rows)
    tasks = launch.ranges(threads)
    if layer in ("omp", "tbb"):
        return _run_parallel(arrays, table, scratch, rows, tasks)
    if not _one_launch.acquire(blocking=False):
        return _run_serial(arrays, table, scratch, rows)
    try:
        return _run_parallel(arrays, table, scratch, rows, tasks)
    finally:
        _one_launch.release()


def prepare_drivers(cells: int) -> None:
    """Compile the drivers that calls on so many cells need, here and in forked children."""
    _driver(False)
    if thread_count(cells) > 1:
        _driver(True)


def _run_serial(arrays: tuple[int, ...], table: np.ndarray, scratch: int, rows: int) -> int:
    driver = _drivers.get(False) or _driver(False)
    if scratch > SPARE_BYTES:
        memory = np.empty(scratch, np.uint8)
        return int(driver(*arrays, id(memory), id(table), rows))
    try:
        memory = _spare.pop()
    except IndexError:
        memory = np.empty(SPARE_BYTES, np.uint8)
    found: int = driver(*arrays, id(memory), id(table), rows)
    _spare.append(memory)
    return found


def _run_parallel(
    arrays: tuple[int, ...], table: np.ndarray, scratch: int, rows: int, tasks: int
) -> int:
    memory = np.empty((tasks, scratch), np.uint8)
    driver = _drivers.get(True) or _driver(True)
    found: int = driver(*arrays, id(memory), id(table), rows, tasks, scratch)
    return found


def thread_count(cells: int) -> int:
    """Threads for so much work: one for little, so that small calls start none.

    One in a child forked after Numba's threads were started: asking Numba there would wait for
    locks that a thread of the parent may have held. One where no threading layer can be loaded,
    and one where the caller has threads of its own.
    """
    global _layer_failed, _started_in
    if cells < FEWEST_CELLS or _layer_failed or is_one_thread():
        return 1
    if threading_layer():
        inherited = forks.in_child() and _started_in != os.getpid()
        return 1 if inherited else numba.get_num_threads()
    # No process is forked while the threads are started.
    with global_compiler_lock, short_waits():
        try:
            threads = numba.get_num_threads()
            _started_in = os.getpid()
            return threads
        except ValueError as error:
            _layer_failed = True
            text = f"fastpool: no threading layer of Numba, so one thread does it all: {error}"
            warnings.warn(text, RuntimeWarning, stacklevel=2)
            return 1


def threading_layer() -> str:
    """The layer that Numba's threads run on; empty before the first parallel launch."""
    try:
        return str(numba.threading_layer())  # type: ignore[attr-defined]
    except ValueError:
        return ""

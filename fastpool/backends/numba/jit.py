"""Every JIT option in one place, and how a compiled kernel is run.

Compiled functions take addresses and integers alone and call each other by address. So one
serial and one parallel *driver* serve every *kernel*, a function of three arrays, a scratch, a
table of integers and a range of rows; and a kernel, which only walks through rows, serves every
dtype and every function of one row. Each piece is compiled once, when it is first needed: a
kernel in one piece took 12 s, in every dtype, and as a part of a parallel function as long again.
fastmath is off everywhere: it drops NaN tests.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock

from ... import forks
from ...cache_folders import folders
from ...interrupts import held_back
from .. import BackendUnavailable, NotReady, is_one_thread
from .disk import KernelCache, must_be_ready
from .vectors import BYTES, Cells, operation

# Below so many cells of input or output, one thread does it all. On 2 idle cores two threads
# win from 2**15 on with OpenMP and TBB, by 20 us; but where other work holds a core, OpenMP's
# waiting made such calls 8 ms long. A launch on workqueue takes 85 us by itself.
PARALLEL_CELLS = {"omp": 2**16, "tbb": 2**16, "workqueue": 2**19}
FEWEST_CELLS = min(PARALLEL_CELLS.values())

# In CPython, where `id` is an address, the address of a NumPy array's first cell follows the
# object's head (PyArrayObject_fields, a part of NumPy's C interface). Through `ctypes` or
# `__array_interface__` it takes 1.1 us an array, a third of a call of PyTorch.
_HEAD = object.__basicsize__

_one_launch = threading.Lock()
_layer_failed = False
_started_in = 0  # the process in which Numba's threads were started for fastpool
# One thread compiles, and the others find its work done. Waiting for Numba's own lock instead,
# eight threads would compile everything eight times.
_compiling = forks.wait_for(threading.RLock())
forks.wait_for(global_compiler_lock)
_functions: dict[Any, Any] = {}
_drivers: dict[bool, Any] = {}

# A part of a kernel; a call in its place makes a row of 32 cells twice as long. It is compiled
# into what is kept on disk, and needs no file of its own. Without the two wrappers a cold
# compile takes 2.9 s instead of 3.5.
inlined: Any = numba.njit(  # type: ignore[call-overload]
    forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy"
)


def _once(memory: dict[Any, Any], key: Any, make: Callable[[], Any]) -> Any:
    """What was compiled before for this key, or is now.

    Raises
    ------
    NotReady
        It would have to be compiled, or another thread is compiling, and that is not wanted.
    BackendUnavailable
        Numba or LLVM failed.
    """
    found = memory.get(key)
    if found is not None:
        return found
    with held_back():  # handlers run once the lock is free
        if not _compiling.acquire(blocking=not must_be_ready()):
            raise NotReady("another thread is compiling")
        try:
            if key not in memory:
                memory[key] = make()
            return memory[key]
        except (NotReady, MemoryError):
            raise
        except Exception as error:
            text = f"backend 'numba' cannot be used: {type(error).__name__}: {error}"
            raise BackendUnavailable(text) from error
        finally:
            _compiling.release()


def cells(dtype: Any, lanes: int = 0) -> Cells:
    """The type of an address of cells: a vector of them is `lanes` long, or BYTES.

    Bools are held as bytes, which know that they are truth values.
    """
    dtype = np.dtype(dtype)
    truth = dtype.kind == "b"
    element = numba.from_dtype(np.dtype(np.uint8) if truth else dtype)
    return Cells(element, lanes or BYTES // dtype.itemsize, truth)


def compiled(function: Callable[..., Any], **kinds: Any) -> Any:
    """The C function for some types of arguments; the others are 64-bit integers.

    None is for cells that are not wanted; a number is a constant, whatever the call passes.
    """

    def make() -> Any:
        code = function.__code__
        names = code.co_varnames[: code.co_argcount]
        arguments = tuple(_type(name, kinds.get(name, types.int64)) for name in names)
        # Divisors are at least 1: no test for zero.
        made: Any = CFunc(function, (arguments, types.int64), {}, {"error_model": "numpy"})
        made._cache = KernelCache(function)
        made.compile()
        return made

    return _once(_functions, (function, tuple(kinds.items())), make)


def compiled_functions() -> int:
    """How many there are: what was not ready can be once there are more."""
    return len(_functions) + len(_drivers)


def address(function: Callable[..., Any], **kinds: Any) -> int:
    """Where the C function for some types of arguments lies."""
    where: int = compiled(function, **kinds).address
    return where


_TABLE: Any = types.CPointer(types.int64)  # type: ignore[no-untyped-call]


def _type(name: str, kind: Any) -> Any:
    if name == "table":
        return _TABLE
    if kind is None:
        return types.none
    return types.literal(kind) if isinstance(kind, int) else kind  # type: ignore[no-untyped-call]


@operation
def _first_cell(typing, array):  # type: ignore[no-untyped-def]
    """The address of the first cell of the NumPy array with this `id`."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        field = builder.add(arguments[0], ir.IntType(64)(_HEAD))
        return builder.load(builder.inttoptr(field, ir.IntType(64).as_pointer()))

    return types.int64(types.int64), generate


@operation
def call(typing, address, arguments):  # type: ignore[no-untyped-def]
    """Call the C function at an address with a tuple of integers."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        word = ir.IntType(64)
        function = ir.FunctionType(word, [word] * len(arguments))
        numbers = [builder.extract_value(values[1], i) for i in range(len(arguments))]
        return builder.call(builder.inttoptr(values[0], function.as_pointer()), numbers)

    return types.int64(types.int64, arguments), generate


def _serial(kernel, x, output, indices, scratch, table, rows):  # type: ignore[no-untyped-def]
    arrays = _first_cell(x), _first_cell(output), _first_cell(indices), _first_cell(scratch)
    return call(kernel, (*arrays, _first_cell(table), 0, rows))


def _parallel(kernel, x, output, indices, scratch, table, rows, tasks, size):  # type: ignore[no-untyped-def]
    found: Any = np.empty(tasks, np.int64)
    for number in prange(tasks):
        task = np.int64(number)  # prange counts unsigned, and unsigned with signed is float64
        arrays = _first_cell(x), _first_cell(output), _first_cell(indices)
        memory = _first_cell(scratch) + task * size
        first, last = rows * task // tasks, rows * (task + 1) // tasks
        found[task] = call(kernel, (*arrays, memory, _first_cell(table), first, last))
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

    return _once(_drivers, parallel, make)


def run(
    kernel: Any,
    x: np.ndarray,
    output: np.ndarray,
    indices: np.ndarray,
    table: np.ndarray,
    scratch: int,
    rows: int,
    cells: int,
    spread: int,
    grain: int = 1,
) -> int:
    """Run a kernel over all rows, in about `spread` ranges a thread; its least result.

    A thread gets fewer ranges where they would be shorter than `grain`.

    Each range gets `scratch` bytes. One range and one thread do small work, and everything
    where a parallel launch is unsafe: in a child forked after Numba's threads were started
    (GNU OpenMP ends such a process), and beside a launch by another thread unless the layer is
    known to be thread-safe (workqueue ends the process).
    """
    arrays = kernel.address, id(x), id(output), id(indices)
    threads = 1 if rows == 1 else thread_count(cells)
    layer = threading_layer() if threads > 1 else ""
    if threads == 1 or cells < PARALLEL_CELLS.get(layer, FEWEST_CELLS):
        return _run_serial(arrays, table, scratch, rows)
    tasks = max(min(threads, rows), min(spread * threads, rows // grain))
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
    memory = np.empty(scratch, np.uint8)
    driver = _drivers.get(False) or _driver(False)
    found: int = driver(*arrays, id(memory), id(table), rows)
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
    with global_compiler_lock:  # no process is forked while the threads are started
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


def describe() -> dict[str, str]:
    """Numba's version, threads, layer, vector width and cache folder, for a bug report."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    widths = {"avx512f": 512, "avx2": 256, "avx": 256, "sve": 128, "neon": 128, "sse2": 128}
    width = next((bits for name, bits in widths.items() if features.get(name)), 0)
    config: Any = numba.config
    layer = threading_layer() or "started with the first large call"
    return {
        "Numba": numba.__version__,
        "threads": f"{thread_count(FEWEST_CELLS)} of {config.NUMBA_NUM_THREADS}",
        "threading layer": f"{layer} (setting: {config.THREADING_LAYER})",
        "processor": f"{binding.get_host_cpu_name()}, vectors of {width} bits",
        "kernel cache": ", ".join(map(str, folders())),
    }

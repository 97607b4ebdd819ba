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
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import prange, types

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
_forked = False  # from a process whose Numba threads were running


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a part of a kernel: a call instead makes a row of 32 cells twice as long."""
    return _cached(
        numba.njit,
        forceinline=True,
        no_cpython_wrapper=True,  # these two: a cold compile takes 2.9 s instead of 3.5
        no_cfunc_wrapper=True,
        error_model="numpy",
    )(function)


def _cached(compiler: Any, *signature: Any, **options: Any) -> Any:
    """A decorator that keeps what it compiles on disk, where there is a place for it."""

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return compiler(*signature, cache=True, **options)(function)
        except RuntimeError:  # no folder to cache in: a read-only install without a home
            return compiler(*signature, **options)(function)

    return decorate


def cells(dtype: Any, lanes: int = 0) -> Cells:
    """The type of an address of cells: a vector of them is `lanes` long, or BYTES."""
    element = numba.from_dtype(np.dtype(dtype))
    return Cells(element, lanes or BYTES // np.dtype(dtype).itemsize)


@cache
def compiled(function: Callable[..., Any], **kinds: Any) -> Any:
    """The C function for some types of arguments; the others are 64-bit integers.

    None is for cells that are not wanted; a number is a constant, whatever the call passes.
    """
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    signature = types.int64(*(_type(name, kinds.get(name, types.int64)) for name in names))
    # Divisors are at least 1: no test for zero.
    return _cached(numba.cfunc, signature, error_model="numpy")(function)


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


@cache
def _driver(parallel: bool) -> Any:
    if parallel:
        signature = types.int64(*[types.int64] * 9)
        return _cached(numba.njit, signature, nogil=True, parallel=True)(_parallel)
    return _cached(numba.njit, types.int64(*[types.int64] * 7), nogil=True)(_serial)


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
    if cells < FEWEST_CELLS or rows == 1 or _forked or numba.get_num_threads() == 1:
        return _run_serial(arrays, table, scratch, rows)
    layer = threading_layer()
    if cells < PARALLEL_CELLS.get(layer, FEWEST_CELLS):
        return _run_serial(arrays, table, scratch, rows)
    threads = numba.get_num_threads()
    tasks = max(min(threads, rows), min(spread * threads, rows // grain))
    if layer in ("omp", "tbb"):
        return _run_parallel(arrays, table, scratch, rows, tasks)
    if not _one_launch.acquire(blocking=False):
        return _run_serial(arrays, table, scratch, rows)
    try:
        return _run_parallel(arrays, table, scratch, rows, tasks)
    finally:
        _one_launch.release()


def _run_serial(arrays: tuple[int, ...], table: np.ndarray, scratch: int, rows: int) -> int:
    memory = np.empty(scratch, np.uint8)
    found: int = _driver(False)(*arrays, id(memory), id(table), rows)
    return found


def _run_parallel(
    arrays: tuple[int, ...], table: np.ndarray, scratch: int, rows: int, tasks: int
) -> int:
    memory = np.empty((tasks, scratch), np.uint8)
    found: int = _driver(True)(*arrays, id(memory), id(table), rows, tasks, scratch)
    return found


def threading_layer() -> str:
    """The layer that Numba's threads run on; empty before the first parallel launch."""
    try:
        return str(numba.threading_layer())  # type: ignore[attr-defined]
    except ValueError:
        return ""


def _after_fork() -> None:
    global _forked
    _forked = _forked or bool(threading_layer())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


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
        "threads": f"{numba.get_num_threads()} of {config.NUMBA_NUM_THREADS}",
        "threading layer": f"{layer} (setting: {config.THREADING_LAYER})",
        "processor": f"{binding.get_host_cpu_name()}, vectors of {width} bits",
        "kernel cache": _cache_folder(),
    }


def _cache_folder() -> str:
    statistics = getattr(_cached(numba.njit)(_cache_folder), "stats", None)
    return str(getattr(statistics, "cache_path", None) or "none")

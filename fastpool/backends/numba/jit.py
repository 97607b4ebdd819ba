"""Every JIT option in one place, and how a compiled kernel is run.

A *kernel* handles a range of rows and takes scalars and flat arrays; a *driver* calls the
same kernel over the ranges of all threads. fastmath is off everywhere: it drops NaN tests.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import numba

# Below so many cells of input or output, one thread does it all. On 2 idle cores two threads
# win from 2**15 on with OpenMP and TBB, by 20 us; but where other work holds a core, OpenMP's
# waiting made such calls 8 ms long. A launch on workqueue takes 85 us by itself.
PARALLEL_CELLS = {"omp": 2**16, "tbb": 2**16, "workqueue": 2**19}

_one_launch = threading.Lock()
_forked = False  # from a process whose Numba threads were running


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel: on first call with its types, without the GIL while it runs."""
    return _njit(function, nogil=True)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a part of a kernel: a call instead makes a row of 32 cells twice as long."""
    return _njit(function, forceinline=True)


def driver(function: Callable[..., Any]) -> Any:
    """Compile a driver: its ``prange`` runs on all of Numba's threads."""
    return _njit(function, parallel=True, nogil=True)


def _njit(function: Callable[..., Any], **options: Any) -> Any:
    options["error_model"] = "numpy"  # divisors are at least 1: no test for zero
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to cache in: a read-only install without a home
        return numba.njit(**options)(function)


def run(
    kernel: Any, driver: Any, arguments: tuple[Any, ...], rows: int, cells: int, spread: int
) -> Any:
    """Call the driver with about `spread` ranges a thread, or the kernel where that is better.

    The kernel alone runs small work, and everything where a parallel launch is unsafe: in a
    child forked after Numba's threads were started (GNU OpenMP ends such a process), and
    beside a launch by another thread unless the layer is known to be thread-safe (workqueue
    ends the process).
    """
    layer = threading_layer()
    least = PARALLEL_CELLS.get(layer, min(PARALLEL_CELLS.values()))
    if cells < least or _forked or numba.get_num_threads() == 1:
        return kernel(*arguments, 0, rows)
    tasks = min(rows, spread * numba.get_num_threads())
    if layer in ("omp", "tbb"):
        return driver(*arguments, rows, tasks)
    if not _one_launch.acquire(blocking=False):
        return kernel(*arguments, 0, rows)
    try:
        return driver(*arguments, rows, tasks)
    finally:
        _one_launch.release()


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
    statistics = getattr(_njit(_cache_folder), "stats", None)  # none with NUMBA_DISABLE_JIT
    return str(getattr(statistics, "cache_path", None) or "none")

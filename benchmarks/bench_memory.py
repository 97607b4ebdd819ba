"""Memory of maxpool2d and of the family beyond its input and outputs.

`track_` benchmarks ask tracemalloc, which sees what NumPy allocates, to the byte: all that
the NumPy backend uses, and of the Numba backend the copies, not what compiled code holds.
`peakmem_` benchmarks ask the system for the peak of the process, which counts the
interpreter, the compiler and `setup` as well: compare them with `ArraysAlone`.
"""

import tracemalloc

import numpy as np

from . import common


class WorkingMemory:
    """The NumPy backend into preallocated outputs: must not grow with the input."""

    params = (
        [common.TINY, common.LARGE, common.HUGE, common.WIDE],
        common.LAYOUTS,
        common.RESULTS,
    )
    param_names = ("case", "layout", "result")
    unit = "bytes"

    def setup(self, case, layout, result):
        self.call = common.warm_forward(case, layout, "numpy", result)

    def track_forward_working_memory(self, case, layout, result):
        """Peak of the memory allocated during one call."""
        return _traced_peak(self.call)


class FamilyWorkingMemory:
    """The other members with either backend into preallocated outputs: must not grow either."""

    params = ([common.TINY, common.LARGE, common.WIDE], common.FAMILY, common.BACKENDS)
    param_names = ("case", "function", "backend")
    unit = "bytes"

    def setup(self, case, function, backend):
        self.call = common.warm_forward(case, "NCHW", backend, "flat", function=function)

    def track_member_working_memory(self, case, function, backend):
        """Peak of the memory that NumPy allocates during one call."""
        return _traced_peak(self.call)


class Arrangements:
    """Inputs that a backend may have to copy: as a whole, or a block at a time."""

    params = ([common.TINY, common.LARGE], common.ARRANGEMENTS, common.BACKENDS)
    param_names = ("case", "arrangement", "backend")
    unit = "bytes"

    def setup(self, case, arrangement, backend):
        self.call = common.warm_forward(case, "NCHW", backend, "flat", arrangement=arrangement)

    def track_forward_working_memory(self, case, arrangement, backend):
        """Peak of the memory that NumPy allocates during one call into given outputs."""
        return _traced_peak(self.call)


class ArraysAlone:
    """A process that makes no call: what to subtract from `PeakMemory`."""

    params = ([common.TINY, common.LARGE, common.HUGE, common.WIDE],)
    param_names = ("case",)

    def setup(self, case):
        self.arrays = _arrays(case)

    def peakmem_arrays(self, case):
        """Peak of a process that has imported fastpool and made input and outputs."""


class PeakMemory:
    """A process that makes one call with flat indices into given outputs."""

    params = ([common.TINY, common.LARGE, common.HUGE, common.WIDE], common.BACKENDS)
    param_names = ("case", "backend")

    def setup(self, case, backend):
        # Loads the backend; anything larger would be counted.
        common.warm_forward(common.TINY, "NCHW", backend, "flat")
        x, self.out = _arrays(case)
        self.call = common.forward(x, case, "NCHW", backend, "flat")

    def peakmem_forward(self, case, backend):
        """One call, and the compilation of what no cache holds."""
        self.call(out=self.out)


class FamilyPeakMemory:
    """A process that makes one call of another member, which allocates its outputs."""

    params = ([common.TINY, common.LARGE, common.WIDE], common.FAMILY, common.BACKENDS)
    param_names = ("case", "function", "backend")

    def setup(self, case, function, backend):
        # Loads the backend; anything larger would be counted.
        common.warm_forward(common.TINY, "NCHW", backend, "flat", function=function)
        dtype = np.uint8 if function == "modepool2d" else np.float32
        x = common.random_array(common.CASES[case].shape, dtype)
        self.call = common.forward(x, case, "NCHW", backend, "flat", function)

    def peakmem_member(self, case, function, backend):
        """One call, and the compilation of what no cache holds."""
        self.call()


def _traced_peak(call):
    """Bytes that were allocated at once during `call`, at most."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        call()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before


def _arrays(case):
    """The input, and the output and flat indices, filled so that the system grants them."""
    (n, c, height, width), kernel, stride, padding = common.CASES[case]
    sizes = [(size + 2 * padding - kernel) // stride + 1 for size in (height, width)]
    out = tuple(np.full((n, c, *sizes), -1, dtype) for dtype in (np.float32, np.int64))
    return common.random_array((n, c, height, width)), out

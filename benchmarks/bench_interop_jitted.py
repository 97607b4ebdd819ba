"""fastpool inside jitted code, beside the loops that one would write there instead."""

import numpy as np

from . import common

try:
    import numba

    import fastpool.interop.jitted  # noqa: F401
    from fastpool import maxpool2d
except ImportError as error:
    numba, MISSING = None, str(error)

# By images, as a user's own loop over them would.
CASES = [common.SMALL, common.OVERLAPPING, common.STEM, common.LARGE]


def _loops():
    """A forward of a batch, by fastpool and by hand, both in a prange over images."""

    @numba.njit(parallel=True)
    def by_fastpool(x, kernel_size, stride, padding, output, indices):
        for n in numba.prange(x.shape[0]):
            maxpool2d(
                x[n], kernel_size, stride, padding, return_indices=True,
                out=(output[n], indices[n]),
            )  # fmt: skip

    @numba.njit(parallel=True)
    def by_hand(x, kernel_size, stride, padding, output, indices):
        height, width = x.shape[2:]
        for n in numba.prange(x.shape[0]):
            for c in range(x.shape[1]):
                for oh in range(output.shape[2]):
                    for ow in range(output.shape[3]):
                        top, left = oh * stride - padding, ow * stride - padding
                        best, where = x.dtype.type(-np.inf), -1
                        for h in range(max(top, 0), min(top + kernel_size, height)):
                            for w in range(max(left, 0), min(left + kernel_size, width)):
                                value = x[n, c, h, w]
                                if where < 0 or value > best or (value != value and best == best):
                                    best, where = value, h * width + w
                        output[n, c, oh, ow] = best
                        indices[n, c, oh, ow] = where

    return by_fastpool, by_hand


def _calls(case):
    """Warm calls of both, which have been seen to agree."""
    if numba is None:
        raise NotImplementedError(MISSING)
    shape, kernel_size, stride, padding = common.CASES[case]
    x = common.random_array(shape)
    expected = maxpool2d(x, kernel_size, stride, padding, return_indices=True)
    calls = {}
    for function in _loops():
        out = tuple(map(np.empty_like, expected))
        function(x, kernel_size, stride, padding, *out)
        if not all(map(np.array_equal, out, expected)):
            raise AssertionError(f"{function.__name__} computes something else")

        def call(function=function, out=out):
            function(x, kernel_size, stride, padding, *out)

        calls[function.__name__] = call
    return calls


class Prange:
    """A batch, an image at a time, in the threads of the user's own prange."""

    params = (CASES,)
    param_names = ("case",)
    unit = "times"

    def setup(self, case):
        self.calls = _calls(case)

    def time_fastpool(self, case):
        """Output and flat indices into given arrays."""
        self.calls["by_fastpool"]()

    def track_ratio_to_loops(self, case):
        """Time of fastpool over that of loops over windows and taps."""
        return common.ratio(case, self.calls)


class Overhead:
    """A call that has next to nothing to do, a thousand times in a loop."""

    unit = "times"

    def setup(self):
        if numba is None:
            raise NotImplementedError(MISSING)

        @numba.njit
        def loop(x, times):
            for _ in range(times):
                maxpool2d(x, 2)

        self.x, self.loop = common.random_array(common.CASES[common.TINY].shape), loop
        loop(self.x, 2)

    def time_thousand_calls(self):
        """On (1, 1, 4, 4), each making its output: microseconds a call are milliseconds here."""
        self.loop(self.x, 1000)


class Compile:
    """What the first call of a function costs that calls fastpool once, each in a new process."""

    number = 1
    repeat = 3
    rounds = 1
    warmup_time = 0

    def setup(self):
        if numba is None:
            raise NotImplementedError(MISSING)

    def timeraw_first_function(self):
        """Compilation in a process where Numba is at work, and the kernels are compiled."""
        code = """
@numba.njit
def pool(x, kernel_size, stride):
    return fastpool.maxpool2d(x, kernel_size, stride, return_indices=True)

pool(x, 3, 2)
"""
        ready = """
import numpy as np, numba, fastpool
import fastpool.interop.jitted
x = np.arange(3 * 224 * 224, dtype=np.float32).reshape(3, 224, 224)
fastpool.maxpool2d(x, 3, 2, return_indices=True, backend="numba")
numba.njit(lambda x: x + 1)(x)
"""
        return code, ready

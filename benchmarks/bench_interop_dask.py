"""Max pooling of chunked arrays: fastpool's against what one would write with Dask alone."""

import numpy as np

import fastpool

from . import common

try:
    import dask
    import dask.array as da

    from fastpool.interop import dask as adapter
except ImportError as error:
    dask, MISSING = None, str(error)

# In the threads of Dask's own scheduler; the smaller first.
SIZES = [2048, 8192]
WINDOWS = {"k2 s2": (2, 2), "k3 s2": (3, 2)}


def _of_dask(x, kernel_size, stride):
    """`da.coarsen` for windows that tile, else NumPy's sliding windows and overlapping chunks."""
    if kernel_size == stride:
        return da.coarsen(np.max, x, {0: stride, 1: stride})
    both = (kernel_size, kernel_size)
    windows = np.lib.stride_tricks.sliding_window_view

    def pooled(block):
        rows, columns = (size // stride - 2 for size in block.shape)
        found = windows(block, both)[stride::stride, stride::stride]
        return found[:rows, :columns].max(axis=(2, 3))

    chunks = tuple(tuple(size // stride for size in sizes) for sizes in x.chunks)
    lowest = np.finfo(x.dtype).min
    return x.map_overlap(pooled, stride, lowest, trim=False, chunks=chunks, meta=x._meta)


def _calls(size, windows):
    """Warm calls, which have been seen to agree."""
    if dask is None:
        raise NotImplementedError(MISSING)
    kernel_size, stride = WINDOWS[windows]
    whole = common.random_array((size, size))
    x = da.from_array(whole, chunks=size // 4)
    with dask.config.set(scheduler="threads"):
        padding = ((0, kernel_size - stride),) * 2
        arguments = kernel_size, stride, padding
        lazies = {
            "fastpool": adapter.maxpool2d(x, *arguments, backend="numba"),
            "Dask": _of_dask(x, kernel_size, stride),
        }
        try:
            expected = fastpool.maxpool2d(whole, *arguments, backend="numba")
        except fastpool.BackendUnavailable as error:
            raise NotImplementedError(str(error)) from error
        for name, lazy in lazies.items():
            if not np.array_equal(lazy.compute(), expected):
                raise AssertionError(f"{name} computes something else")
        calls = {
            name: lambda lazy=lazy: lazy.compute(scheduler="threads")
            for name, lazy in lazies.items()
        }
    calls["in memory"] = lambda: fastpool.maxpool2d(whole, *arguments, backend="numba")
    return calls


class Pool:
    """A float32 image in 16 chunks, in memory, pooled in threads."""

    params = (SIZES, list(WINDOWS))
    param_names = ("size", "windows")
    unit = "times"

    def setup(self, size, windows):
        self.calls = _calls(size, windows)

    def time_fastpool(self, size, windows):
        """fastpool's."""
        self.calls["fastpool"]()

    def track_ratio_to_dask(self, size, windows):
        """Time of fastpool's over that of Dask's own means."""
        return common.ratio("", {name: self.calls[name] for name in ("fastpool", "Dask")})

    def track_ratio_to_memory(self, size, windows):
        """Time of fastpool's over that of fastpool on the whole array."""
        return common.ratio("", {name: self.calls[name] for name in ("fastpool", "in memory")})


class Graph:
    """What it takes to describe a pooling of so many by so many chunks, before any is computed."""

    params = ([8, 64],)
    param_names = ("size",)

    def setup(self, size):
        if dask is None:
            raise NotImplementedError(MISSING)
        self.x = da.zeros((size * 64, size * 64), chunks=64)

    def time_graph(self, size):
        """Of overlapping windows, whose halos are tasks of their own."""
        adapter.maxpool2d(self.x, 3, 2, 1, return_indices=True)

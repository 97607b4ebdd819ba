"""Planes and arrays of more than 2**31 cells, where 32-bit positions would wrap, for real."""

import math
import os

import numpy as np
import pytest

import fastpool

BEYOND = 2**31
# Two arrays of that many bytes at most are in memory at once, most of whose pages are zero.
NEEDED = 6 * 2**30


def available():
    """Bytes of memory that are free, 0 if that cannot be told."""
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":") for line in file)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        names = getattr(os, "sysconf_names", ())
        known = "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if known else 0


pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(available() < NEEDED, reason="less than 6 GiB of memory are free"),
    pytest.mark.skipif(np.dtype(np.intp).itemsize < 8, reason="a 32-bit Python"),
]

# shape, kernel, stride, layout; windows at the beginning, the end, and between.
SHAPES = {
    "square": ((2**16, 2**15 + 8), 3, (2**14 - 1, 2**13), "NCHW"),
    "wide": ((1, BEYOND + 9), (1, 3), 2**29, "NCHW"),
    "tall": ((BEYOND + 9, 1), (3, 1), 2**29, "NCHW"),
    "planes": ((2**12, 2**10, 2**9 + 1), 3, (1021, 510), "NCHW"),
    "channels": ((2**15, 2**14, 5), 3, (2**13, 2**13 - 1), "NHWC"),
}


def windows(shape, kernel, stride, layout):
    """Starts of all windows along both axes, and sizes of planes, rows and columns."""
    at = len(shape) - (2 if layout == "NCHW" else 3)
    kernel, stride = ((n, n) if isinstance(n, int) else n for n in (kernel, stride))
    starts = [np.arange((shape[at + i] - kernel[i]) // stride[i] + 1) * stride[i] for i in (0, 1)]
    return kernel, starts, math.prod(shape[:at]), shape[at], shape[at + 1]


@pytest.mark.parametrize("case", SHAPES.values(), ids=SHAPES.keys())
def test_more_cells_than_32_bits_count(backend, case):
    """Every window's maximum is its last cell, and comes back to it."""
    shape, kernel, stride, layout = case
    (down, across), (rows, columns), planes, height, width = windows(*case)
    channels = shape[-1] if layout == "NHWC" else 1
    assert math.prod(shape) > BEYOND
    last = [
        np.array([0, planes // 2, planes - 1][: min(planes, 3)])[:, None, None, None],
        (rows + down - 1)[:, None, None],
        (columns + across - 1)[:, None],
        np.arange(channels),
    ]
    x = np.zeros(shape, np.int8)
    x.reshape(planes, height, width, channels)[tuple(last)] = 7 + last[3]
    output, indices = fastpool.maxpool2d(
        x, kernel, stride, return_indices=True, layout=layout, backend=backend
    )
    del x
    seen = last[0][:, 0, 0, 0]
    values = np.broadcast_to(7 + last[3], (planes, len(rows), len(columns), channels))
    places = np.broadcast_to(last[1] * width + last[2], values.shape)
    assert (output.reshape(values.shape)[seen] == values[seen]).all()
    assert (indices.reshape(values.shape)[seen] == places[seen]).all()
    if planes == channels == 1:
        assert indices.max() > BEYOND
    for function, options in (
        (fastpool.maxpool2d_backward, {"input_shape": shape}),
        (fastpool.maxunpool2d, {"output_size": shape}),
    ):
        result = function(
            output, indices, kernel_size=kernel, stride=stride, layout=layout,
            backend=backend, **options,
        )  # fmt: skip
        assert result.shape == shape
        cells = result.reshape(planes, height, width, channels)
        assert (cells[tuple(last)] == 7 + last[3]).all()
        assert np.count_nonzero(result) == np.count_nonzero(output)
        del result, cells

"""Backward where cells pull: every way through the kernels, at every place in a line of memory."""

import ctypes

import numpy as np
import pytest
from bits import assert_same

import fastpool
from fastpool.cli.adversarial import usable_dtypes

pytest.importorskip("numba")
from fastpool.api import execute
from fastpool.backends import numba as backend
from fastpool.backends.numba import pulls, scatter
from fastpool.backends.numba.compile import launch
from fastpool.backends.numba.compile.jit import cells, compiled
from fastpool.backends.numba.compile.signature import Signature, kernel
from fastpool.backends.numba.vectors import halves
from fastpool.backends.numba.vectors.memory import lanes, load, store

DTYPES = usable_dtypes()
HALVES = {name: dtype for name, dtype in DTYPES.items() if halves.mantissa(dtype)}

# Layout, shape, kernel, stride, padding, and the kernel that is to fill it where all goes past the
# caches.
CASES = {
    "rows as one": ("NCHW", (3, 9, 28), 3, 1, 1, "pull_planes"),
    "more windows than cells": ("NCHW", (3, 9, 28), 2, 1, 1, "pull_planes"),
    "short of windows": ("NCHW", (2, 7, 40), (2, 4), 1, 0, "pull_planes"),
    "two phases": ("NCHW", (2, 11, 57), 3, 2, 1, "pull_planes"),
    "two phases, turned twice": ("NCHW", (2, 11, 57), (2, 7), 2, (1, 3), "pull_planes"),
    "three phases": ("NCHW", (2, 10, 50), 4, 3, 2, "pull_planes"),
    "gaps": ("NCHW", (2, 13, 70), 2, (3, 5), 0, "pull_planes"),
    "pixels": ("NHWC", (2, 7, 9, 19), 3, 2, 1, "pull_planes"),
    "rows of pixels": ("NHWC", (2, 9, 9, 19), 3, 1, 1, "pull_planes"),
    "tiles of whole lines": ("NCHW", (3, 9, 96), 2, 2, 0, "gather_rows"),
    "tiles": ("NCHW", (3, 9, 71), 2, 2, 0, "gather_rows"),
    "tiles of pixels": ("NHWC", (2, 6, 9, 19), 2, 2, 0, "gather_rows"),
}


class _Junk:
    """NumPy, but for arrays of bytes that are not set: any may be in them, and many name a tap."""

    rng = np.random.default_rng(0)

    def __getattr__(self, name):
        return getattr(np, name)

    def empty(self, shape, dtype):
        taps = self.rng.integers(0, 9, shape, dtype)
        return np.where(self.rng.random(shape) < 0.5, taps, self.rng.integers(0, 256, shape, dtype))


@pytest.fixture
def past_the_caches(monkeypatch):
    """Small arrays are written as large ones are, by way of a scratch that holds junk."""
    monkeypatch.setattr(launch, "SPARE_BYTES", 0)
    monkeypatch.setattr(launch, "_spare", [])  # other tests need longer ones
    monkeypatch.setattr(launch, "np", _Junk())
    monkeypatch.setattr(pulls, "PAST_BYTES", 0)
    monkeypatch.setattr(execute, "_tasks", {})
    backend.plan.cache_clear()
    yield
    backend.plan.cache_clear()


def gradients_of(rng, shape, dtype):
    """Numbers whose sums depend on the order, and -0.0."""
    if dtype.kind in "iu":
        return rng.integers(0, 100, shape).astype(dtype)
    values = rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 3, shape)
    return np.where(rng.random(shape) < 0.1, -0.0, values).astype(dtype)


def check_backward(case, dtype, index_format, offset):
    """Into memory that begins `offset` cells into a line, between cells that must not change."""
    layout, shape, *window, expected_kernel = case
    options = {"layout": layout, "index_format": index_format}
    rng = np.random.default_rng(offset)
    x = rng.integers(-3, 3, shape).astype(dtype)
    output, indices = fastpool.maxpool2d(
        x, *window, return_indices=True, **options, backend="numpy"
    )
    gradients = gradients_of(rng, output.shape, dtype)
    arguments = gradients, indices, shape, *window
    wanted = fastpool.maxpool2d_backward(*arguments, **options, backend="numpy")
    memory = np.full(x.size + 256, 7, dtype)
    start = 64 + -memory.ctypes.data % 64 // dtype.itemsize + offset
    target = memory[start : start + x.size].reshape(shape)
    fastpool.maxpool2d_backward(*arguments, **options, out=target, backend="numba")
    assert_same(target, wanted, any_nan=True)
    assert (memory[:start] == 7).all()
    assert (memory[start + x.size :] == 7).all()
    return expected_kernel


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("index_format", ["flat", "window"])
@pytest.mark.parametrize("rows_at_a_time", ["many", "few"])
def test_every_way(past_the_caches, monkeypatch, case, index_format, rows_at_a_time, caplog):
    if rows_at_a_time == "few":
        monkeypatch.setattr(pulls, "BUFFER", 2**11)
        monkeypatch.setattr(scatter, "BUFFER", 2**11)
    caplog.set_level("DEBUG", "fastpool")
    for offset in (0, 1, 3, 4, 15):
        expected = check_backward(case, DTYPES["float32"], index_format, offset)
    assert any(f"backend numba, {expected}" in text for text in caplog.messages)


@pytest.mark.whole
@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_every_dtype(past_the_caches, case, name):
    if DTYPES[name].kind == "b":
        pytest.skip("gradients of bool are no sums")
    for index_format in ("flat", "window"):
        for offset in (0, 1, 4):
            check_backward(case, DTYPES[name], index_format, offset)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_bad_indices(past_the_caches, case):
    layout, shape, *window, _ = case
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 3, shape).astype(np.float32)
    for index_format in ("flat", "window"):
        options = {"layout": layout, "index_format": index_format}
        output, indices = fastpool.maxpool2d(
            x, *window, return_indices=True, **options, backend="numpy"
        )
        for at in (0, indices.size // 2, indices.size - 1):
            bad = indices.copy()
            bad.reshape(-1)[at] = 255 if index_format == "window" else x.size
            messages = []
            for name in ("numpy", "numba"):
                with pytest.raises(IndexError) as caught:
                    fastpool.maxpool2d_backward(
                        output, bad, shape, *window, **options, backend=name
                    )
                messages.append(str(caught.value))
            assert messages[0] == messages[1]


def test_wide_rows_go_out_in_pieces(past_the_caches, monkeypatch):
    monkeypatch.setattr(pulls, "BUFFER", 2**10)
    for window in ((3, 1, 1), (3, 2, 1), (2, 2, 0)):
        for width in (700, 1023):
            for index_format in ("flat", "window"):
                for offset in (0, 3):
                    case = ("NCHW", (1, 5, width), *window, "")
                    check_backward(case, DTYPES["float32"], index_format, offset)


CONVERT = Signature("x y count", "half")


@kernel(CONVERT)
def widened(x, y, count, half):
    for j in range(0, count, lanes(x)):
        store(y, j, halves.single(load(x, j), half))
    return 0


@kernel(CONVERT)
def narrowed(x, y, count, half):
    for j in range(0, count, lanes(x)):
        store(y, j, halves.rounded(load(x, j), y, half))
    return 0


def converted(function, source, dtype, half):
    kinds = [
        cells(array if array.itemsize > 2 else np.int16, 16) for array in (source.dtype, dtype)
    ]
    made = compiled(function, x=kinds[0], y=kinds[1], half=half)
    target = np.empty(source.size, dtype)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)(made.address)
    call(source.ctypes.data, target.ctypes.data, source.size, 0)
    return target


@pytest.mark.parametrize("name", HALVES)
def test_16_bit_floats_as_float32_and_back(name):
    """All there are, and for rounding, all that lie at, beside and halfway between them."""
    dtype = HALVES[name]
    half = halves.mantissa(dtype)
    every = np.arange(2**16, dtype=np.uint16).view(dtype)
    single = every.astype(np.float32)
    assert_same(converted(widened, every, np.dtype(np.float32), half), single, any_nan=True)
    middle = 1 << (22 - half)
    near = [single.view(np.int32) + step for step in (0, 1, -1, middle, middle - 1, middle + 1)]
    any_bits = np.random.default_rng(0).integers(-(2**31), 2**31, 2**18, np.int32)
    numbers = np.concatenate([*near, any_bits]).view(np.float32)
    with np.errstate(all="ignore"):
        wanted = numbers.astype(dtype)
    assert_same(converted(narrowed, numbers, dtype, half), wanted, any_nan=True)


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize("kernel_size", [(1, 2), (2, 2)], ids=["pull", "gather"])
def test_all_16_bit_gradients(name, kernel_size):
    """Each alone in its window: it comes back as from the other backend, NaN and all."""
    gradients = np.arange(2**16, dtype=np.uint16).view(HALVES[name])[np.newaxis]
    indices = np.arange(0, 2**17, 2)[np.newaxis]
    arguments = gradients, indices, (kernel_size[0], 2**17), kernel_size
    with np.errstate(all="ignore"):
        wanted = fastpool.maxpool2d_backward(*arguments, backend="numpy")
    assert_same(fastpool.maxpool2d_backward(*arguments, backend="numba"), wanted)

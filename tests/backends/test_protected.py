"""The Numba kernels between pages of memory that are no one's: to touch one ends the process."""

import itertools

import numpy as np
import pytest
from bits import assert_same
from family import CALLS, CASES
from protected import between_protected_pages
from windows import WINDOWS

import fastpool
from fastpool.cli import check

pytest.importorskip("numba")
from fastpool.backends.numba import forward, pulls

__all__ = ["between_protected_pages"]


def touch_nothing_outside(protected, window, dtype, layout, shape):
    """Pool, route back and unpool between protected pages, as the NumPy backend does elsewhere."""
    kernel, stride, padding, dilation = window
    shape = shape if layout == "NCHW" else (2, *shape[1:], shape[0])
    x = check.adversarial(np.random.default_rng(0), shape, np.dtype(dtype), check.STYLES[0])
    for index_format, at_the_end in itertools.product(("flat", "window"), (False, True)):
        options = {"layout": layout, "index_format": index_format}
        pooled = {**options, "return_indices": True}
        expected = fastpool.maxpool2d(x, *window, **pooled, backend="numpy")
        source, *out = (protected(array, at_the_end) for array in (x, *expected))
        for array in out:
            array[...] = 1
        found = fastpool.maxpool2d(source, *window, **pooled, out=tuple(out), backend="numba")
        assert_same(found.output, expected.output)
        assert_same(found.indices, expected.indices)
        unpooled = {**options, "output_size": shape, "dilation": dilation}
        for function, arguments, settings in (
            (fastpool.maxpool2d_backward, (shape, *window), options),
            (fastpool.maxunpool2d, (kernel, stride, padding), unpooled),
        ):
            wanted = function(*expected, *arguments, **settings, backend="numpy")
            target = protected(np.ones_like(x), at_the_end)
            function(*found, *arguments, **settings, out=target, backend="numba")
            assert_same(target, wanted, any_nan=True)
            codes = protected(found.indices.astype(np.int64), at_the_end)
            for at, bad in ((0, -1), (-1, x.size), (-1, 2**63 - 1)):
                codes.reshape(-1)[at] = bad
                with pytest.raises(IndexError):
                    function(
                        found.output, codes, *arguments, **settings, out=target, backend="numba"
                    )


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
@pytest.mark.parametrize("dtype", ["float32", "int8", "float16"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.whole
def test_nothing_outside_is_touched(between_protected_pages, window, dtype, layout):
    """No bounds check sees a vector: memory beyond the arrays that ends the process does."""
    for shape in ((17, 14, 13), (3, 14, 40)):
        touch_nothing_outside(between_protected_pages, window, dtype, layout, shape)


@pytest.mark.parametrize("window", ["shared rows", "tiles", "stride 2, taps apart"])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("width", [51, 52, 64])
@pytest.mark.whole
def test_nothing_outside_is_touched_in_large_arrays(
    between_protected_pages, monkeypatch, window, dtype, width
):
    """Large inputs are read ahead, and large gradients bypass the caches: here small ones do."""
    monkeypatch.setattr(forward, "FAR", 0)
    monkeypatch.setattr(pulls, "PAST_BYTES", 0)
    # No other test has this shape, whose plans are kept.
    touch_nothing_outside(between_protected_pages, WINDOWS[window], dtype, "NCHW", (2, 15, width))


@pytest.mark.parametrize("window", [(2, 2, 0, 1), (3, 1, 1, 1), (3, 2, 0, 1), (3, 1, 1, 2)])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("size", [(4, 5), (7, 7), (11, 14)])
@pytest.mark.whole
def test_nothing_outside_many_planes_is_touched(
    between_protected_pages, monkeypatch, window, dtype, size
):
    """Small planes are pooled one after the other, and short rows are written over the next."""
    monkeypatch.setattr(forward, "FAR", 0)
    touch_nothing_outside(between_protected_pages, window, dtype, "NCHW", (67, *size))


@pytest.mark.parametrize(("channels", "width"), [(3, 42), (3, 45), (3, 2), (4, 33), (5, 26)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.whole
def test_nothing_outside_images_is_touched(between_protected_pages, channels, width, dtype):
    """The last vector of a row ends with its last cell, wherever vectors end."""
    x = np.random.default_rng(0).integers(0, 99, (6, width, channels)).astype(dtype)
    for window, at_the_end in itertools.product(((2,), (3, 2, 1), (2, 3)), (False, True)):
        for function, options in (
            (fastpool.maxpool2d, {}),
            (fastpool.avgpool2d, {"dtype": x.dtype}),
            (fastpool.avgpool2d, {"dtype": np.float64}),
        ):
            options = {"layout": "NHWC", **options}
            expected = function(x, *window, **options, backend="numpy")
            source, out = (between_protected_pages(each, at_the_end) for each in (x, expected))
            out[...] = 1
            function(source, *window, **options, out=out, backend="numba")
            assert_same(out, expected)


@pytest.mark.whole
def test_nothing_outside_large_volumes_is_touched(between_protected_pages, monkeypatch):
    """Slices in front of a volume are not read ahead, nor those behind it."""
    monkeypatch.setattr(forward, "FAR", 0)
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 7)).astype(np.float32)
    for window, at_the_end in itertools.product(((3, 2, 1), (2, 1, 1), (2, 2, 0)), (False, True)):
        options = {"return_indices": True}
        expected = fastpool.maxpool3d(x, *window, **options, backend="numpy")
        source = between_protected_pages(x, at_the_end)
        found = fastpool.maxpool3d(source, *window, **options, backend="numba")
        assert_same(found.output, expected.output)
        assert_same(found.indices, expected.indices)


@pytest.mark.parametrize(("name", "dtype"), CASES)
@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.whole
def test_nothing_outside_is_touched_by_the_family(between_protected_pages, name, dtype, last):
    """Sums read rows as vectors, and planes side by side: neither beyond the last cell."""
    for function, arrays, arguments, options in CALLS[name](dtype, last):
        expected = function(*arrays, *arguments, **options, backend="numpy")
        expected = expected if isinstance(expected, tuple) else (expected,)
        for at_the_end in (False, True):
            sources = [between_protected_pages(array, at_the_end) for array in arrays]
            out = tuple(between_protected_pages(np.ones_like(a), at_the_end) for a in expected)
            target = out if len(out) > 1 else out[0]
            function(*sources, *arguments, **options, out=target, backend="numba")
            for found, wanted in zip(out, expected, strict=True):
                assert_same(found, wanted)

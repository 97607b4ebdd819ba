"""Tiles in vectors: sizes that fill none, arrays that end within tiles, axes in any order."""

import itertools

import numpy as np
import oracle
import pytest
from bits import assert_same
from protected import between_protected_pages

import fastpool
from fastpool.cli import check

pytest.importorskip("numba")

__all__ = ["between_protected_pages"]


def labels(shape, dtype, values=3):
    """Few values, so that ties are many; truth values of several bytes."""
    x = np.random.default_rng(0).integers(0, values, shape)
    return x.astype(np.uint8).view(bool) if dtype == "bool" else x.astype(dtype)


def in_all_orders(x, count):
    """The same cells where their last `count` axes lie in memory in each order."""
    lead = tuple(range(x.ndim - count))
    for order in itertools.permutations(range(x.ndim - count, x.ndim)):
        there = lead + order
        yield np.ascontiguousarray(x.transpose(there)).transpose(np.argsort(there))


@pytest.mark.parametrize("dtype", ["uint8", "bool", "int16", "uint32", "int64"])
def test_modes_of_tiles(dtype):
    """Rows that fill no vector, one, and several; whole tiles, and cut ones at each end."""
    for height, width in ((2, 2), (7, 9), (4, 131), (9, 300)):
        x = labels((2, height, width), dtype)
        for ceil_mode in (False, True):
            expected, _ = oracle.modepool(x, kernel_size=2, ceil_mode=ceil_mode, layout="NCHW")
            found = fastpool.modepool2d(x, 2, ceil_mode=ceil_mode, backend="numba")
            assert_same(found, expected)


@pytest.mark.parametrize("kernel", [2, (1, 2, 3), (2, 1, 2)], ids=str)
def test_volumes_in_every_order_of_memory(kernel):
    """The first of equally frequent values is that of the user's axes."""
    whole = labels((2, 5, 7, 19), "uint16")
    expected, _ = oracle.modepool(whole, kernel_size=kernel, ceil_mode=True, layout="NCDHW")
    for x in in_all_orders(whole, 3):
        found = fastpool.modepool3d(x, kernel, ceil_mode=True, backend="numba")
        assert_same(found, expected)
        out = np.empty_like(found.transpose()).transpose()
        fastpool.modepool3d(x, kernel, ceil_mode=True, backend="numba", out=out)
        assert_same(out, expected)


@pytest.mark.parametrize("channels", [1, 3, 40])
def test_channels(channels):
    x = labels((2, 7, 9, channels), "uint8")
    options = {"kernel_size": (2, 3), "ceil_mode": True, "layout": "NHWC"}
    expected, _ = oracle.modepool(x, **options)
    planes = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    backwards = np.ascontiguousarray(x[:, ::-1])[:, ::-1]
    for each in (x, np.moveaxis(planes, 1, -1), backwards, x.astype(x.dtype.newbyteorder())):
        assert_same(fastpool.modepool2d(each, **options, backend="numba"), expected)


def test_tiles_of_up_to_16_cells():
    """Where more than two taps decide, and no tap is like another."""
    for kernel in ((1, 3), (1, 5), (3, 3), (4, 4)):
        for values in (2, 3, 99):
            x = labels((3, 9, 17), "int32", values)
            expected = fastpool.modepool2d(x, kernel, ceil_mode=True, backend="numpy")
            assert_same(fastpool.modepool2d(x, kernel, ceil_mode=True, backend="numba"), expected)


@pytest.mark.parametrize("shape", [(1, 2, 2), (3, 5, 7), (2, 6, 130)])
@pytest.mark.parametrize("at_the_end", [False, True])
def test_nothing_outside_tiles_is_touched(between_protected_pages, shape, at_the_end):
    for dtype, layout in (("uint8", "NCHW"), ("uint64", "NCHW"), ("uint8", "NHWC")):
        x = labels(shape, dtype)
        if layout == "NHWC":
            x = np.ascontiguousarray(x.transpose(1, 2, 0))
        for ceil_mode in (False, True):
            options = {"ceil_mode": ceil_mode, "layout": layout}
            expected = fastpool.modepool2d(x, 2, **options, backend="numpy")
            source = between_protected_pages(x, at_the_end)
            out = between_protected_pages(np.ones_like(expected), at_the_end)
            fastpool.modepool2d(source, 2, **options, out=out, backend="numba")
            assert_same(out, expected)


@pytest.mark.whole
def test_any_memory():
    rng = np.random.default_rng(0)
    for memory in check.MEMORIES:
        x = check.in_memory(rng, labels((3, 9, 70), "int16"), memory)
        for kernel in (2, (2, 3), (1, 4)):
            expected = fastpool.modepool2d(x, kernel, ceil_mode=True, backend="numpy")
            assert_same(fastpool.modepool2d(x, kernel, ceil_mode=True, backend="numba"), expected)

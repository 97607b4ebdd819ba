"""Tiles in vectors: sizes that fill none, arrays that end within tiles, axes in any order."""

import itertools

import numpy as np
import oracle
import pytest
import strategies
from bits import assert_same
from protected import between_protected_pages

import fastpool
from fastpool.cli import check

pytest.importorskip("numba")
from fastpool.backends.numba import tiles

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


METHODS = ("mean", "sum", "min", "max", "median", "mode", "any", "all")
FLOATS = (0.0, -0.0, 1.5, -2.25, 3.0, 3.0, np.nan, np.inf, -np.inf)


def cells_of(dtype, shape):
    """Few values of a dtype, among them its extremes, NaN and both zeros."""
    rng, dtype = np.random.default_rng(0), check.dtype_of(dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return rng.choice(np.array([0, 1, 1, 5, limits.min, limits.max], dtype), shape)
    if dtype.kind == "b":
        return rng.choice(np.array([0, 0, 1, 2], np.uint8), shape).view(bool)
    return rng.choice(np.array(FLOATS).astype(dtype), shape)


def check_missing(x, factors, method, options, mask=None):
    """With both backends; whether the vectors of tiles were used is seen elsewhere."""
    source = x if mask is None else np.ma.MaskedArray(x, mask)
    expected, found = (
        fastpool.downsample(source, factors, method, **options, backend=each)
        for each in ("numpy", "numba")
    )
    added = method in ("mean", "sum")  # a sum of two NaNs may be either
    assert_same(np.ma.getdata(found), np.ma.getdata(expected), any_nan=added)
    assert isinstance(found, np.ma.MaskedArray) == isinstance(expected, np.ma.MaskedArray)
    assert_same(np.ma.getmaskarray(found), np.ma.getmaskarray(expected))


def kinds_of_missing(x):
    """Options of a call: NaN, a number, both, a mask, and with fewer cells than are enough."""
    number = True if x.dtype.kind == "b" else x.dtype.type(1.5).item()
    yield {"nodata": number}, False
    yield {"nodata": number, "min_count": 3}, True
    if x.dtype.kind not in "iub":
        yield {"skipna": True}, False
        yield {"nodata": 0.0, "skipna": True}, False
    yield {"min_count": 2}, True


def check_methods(dtype, methods, shapes=((7, 70), (5, 2, 19))):
    for method, shape in itertools.product(methods, shapes):
        x = cells_of(dtype, shape)
        mask = np.random.default_rng(1).random(shape) < 0.4
        for options, masked in kinds_of_missing(x):
            if method == "sum" and x.dtype.kind == "b" and "nodata" in options:
                options = {**options, "nodata": True}
            check_missing(x, 2, method, options, mask if masked else None)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("method", METHODS)
def test_missing_cells(dtype, method):
    check_methods(dtype, [method], ((7, 70),))


@pytest.mark.whole
@pytest.mark.parametrize("dtype", strategies.DTYPES)
@pytest.mark.parametrize("method", METHODS)
def test_missing_cells_of_every_dtype(dtype, method):
    check_methods(dtype, [method])


@pytest.mark.parametrize("dtype", ["float32", "float16", "bool", "int64"])
@pytest.mark.parametrize("factors", [(2, 2), (3, 5), (1, 4)], ids=str)
def test_medians(dtype, factors):
    """The lower one of an even number; the first zero of either sign; NaN."""
    for shape in ((8, 70), (7, 9)):
        x = cells_of(dtype, shape)
        for order in "CF":
            check_missing(np.asarray(x, order=order), factors, "median", {})


@pytest.mark.parametrize("method", METHODS)
def test_blocks_of_one_cell(method):
    for options in ({}, {"skipna": True}):
        check_missing(cells_of("float32", (3, 21)), 1, method, options)


@pytest.mark.parametrize("masks", ["alike", "other order"])
def test_masks_in_other_memory(masks):
    x = cells_of("int16", (6, 9, 40))
    mask = np.random.default_rng(1).random(x.shape) < 0.4
    if masks == "other order":
        mask = np.asfortranarray(mask)
    for array in (x, np.asfortranarray(x), np.repeat(x, 2, -1)[..., ::2]):
        check_missing(array, (2, 1, 2), "mean", {}, mask)


def test_what_is_answered_in_vectors(monkeypatch):
    """And no call of another kind."""
    seen = []
    made = tiles.TilePlan.__init__

    def spy(self, call, storages):
        seen.append(call.operation.name)
        made(self, call, storages)

    monkeypatch.setattr(tiles.TilePlan, "__init__", spy)
    x = np.random.default_rng(0).standard_normal((6, 10)).astype(np.float32)
    for method in METHODS:
        fastpool.downsample(x, 2, method, skipna=True, backend="numba")
    assert seen == ["avg", "sum", "min", "max", "median", "mode", "any", "all"]
    fastpool.downsample(x, 2, "mean", backend="numba")
    fastpool.maxpool2d(x, 2, backend="numba")
    fastpool.modepool2d(x.astype(int), 2, return_indices=True, backend="numba")
    assert len(seen) == len(METHODS)
    for method in ("mean", "max"):  # rows that lie along the first axis
        fastpool.downsample(np.asfortranarray(x), 2, method, backend="numba")
    assert seen[len(METHODS) :] == ["avg", "max"]


@pytest.mark.parametrize("at_the_end", [False, True])
def test_nothing_outside_is_touched_where_cells_are_missing(between_protected_pages, at_the_end):
    for dtype, shape in (("float32", (5, 7)), ("uint8", (6, 130))):
        x = cells_of(dtype, shape)
        mask = np.random.default_rng(1).random(shape) < 0.4
        expected = fastpool.downsample(np.ma.MaskedArray(x, mask), 2, "median", backend="numpy")
        source, hidden = (between_protected_pages(each, at_the_end) for each in (x, mask))
        data, few = (
            between_protected_pages(np.ones_like(each), at_the_end)
            for each in (expected.data, expected.mask)
        )
        out = np.ma.MaskedArray(data, few, copy=False)
        found = fastpool.downsample(
            np.ma.MaskedArray(source, hidden, copy=False), 2, "median", out=out, backend="numba"
        )
        assert_same(np.ma.getdata(found), expected.data)
        assert_same(np.ma.getmaskarray(found), expected.mask)

"""Blocks of arrays, against a loop over blocks and cells in Python."""

import importlib
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import blocks, strategies
from support.bits import assert_same

import fastpool
from fastpool.api import reducing
from fastpool.cli import check
from fastpool.rules.downsampling import METHODS

DTYPES = list(check.usable_dtypes())
FEW = ("uint8", "int64", "float32")  # what the Numba backend is asked for in quick tests
SUMS = ("mean", "sum")
module = importlib.import_module("fastpool.api.downsample")  # a function has its name


def compare(x, factors, method, backend, **options):
    """The function against the loop: a result, and a mask if `x` is masked."""
    masked = isinstance(x, np.ma.MaskedArray)
    plain, mask = np.asarray(x.data if masked else x), np.ma.getmaskarray(x) if masked else None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        expected, few = blocks.downsample(plain, factors, method, mask=mask, **options)
    result = fastpool.downsample(x, factors, method, backend=backend, **options)
    assert isinstance(result, np.ma.MaskedArray) == masked
    if masked:
        assert_same(np.ma.getmaskarray(result), few)
        result = result.data
    if result.dtype.kind == "b":  # any byte but 0 is True, and Python's loop sees True
        result = result.view(np.uint8) != 0
    assert result.shape == expected.shape
    assert_same(np.atleast_1d(result), np.atleast_1d(expected), any_nan=method in SUMS)
    return result


def numbers(shape, dtype, style="ties", seed=0):
    rng = np.random.default_rng(seed)
    return check.adversarial(rng, shape, check.dtype_of(dtype), style)


def skip_slow(backend, dtype, request):
    if backend == "numba" and dtype not in FEW and not request.config.getoption("--whole"):
        pytest.skip("compilation")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_methods_and_dtypes(method, dtype, backend, request):
    """Blocks that are cut and others, of ties, zeros of either sign, NaN and bits at random."""
    skip_slow(backend, dtype, request)
    for style in ("ties", "zeros", "nans", "bits"):
        compare(numbers((5, 7), dtype, style), 2, method, backend)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "bool", "int64", "float16", "float32"])
def test_missing_cells(method, dtype, backend):
    """NaN, a value and a mask, alone and together, with every least number of cells."""
    rng = np.random.default_rng(1)
    for style in ("ties", "nans"):
        x = numbers((5, 7), dtype, style)
        masked = np.ma.MaskedArray(x, rng.random(x.shape) < 0.4)
        value = int(x[0, 0]) if x.dtype.kind in "iub" else 1.0
        for least in (0, 1, 3, 9):
            compare(x, 2, method, backend, skipna=True, min_count=least)
            compare(x, (2, 3), method, backend, nodata=value, min_count=least)
            compare(masked, 2, method, backend, min_count=least)
            compare(masked, 2, method, backend, min_count=least, nodata=value, skipna=True)


@st.composite
def cases(draw):
    """An array in awkward memory, and how it is reduced."""
    shape = tuple(draw(st.lists(st.integers(1, 6), max_size=5)))
    if shape and draw(st.integers(0, 19)) == 0:
        shape = (*shape[:-1], 0)
    dtype = draw(strategies.dtypes())
    x = draw(strategies.arrays(shape, dtype)) if shape else np.zeros((), dtype)
    x = x.transpose(draw(st.permutations(range(x.ndim))))
    factors = [1] * x.ndim
    for axis in draw(st.permutations(range(x.ndim)))[:3]:
        factors[axis] = draw(st.one_of(st.integers(1, 5), st.integers(1, 40)))
    method = draw(st.sampled_from(list(METHODS)))
    options = {"boundary": draw(st.sampled_from(("partial", "trim", "pad")))}
    if draw(st.booleans()):
        options["min_count"] = draw(st.integers(0, 5))
        options["skipna"] = draw(st.booleans())
        if x.size and draw(st.booleans()):
            cell = x.reshape(-1)[draw(st.integers(0, x.size - 1))]
            options["nodata"] = (int if x.dtype.kind in "iub" else float)(cell)
        if draw(st.booleans()):
            rng = np.random.default_rng(draw(st.integers(0, 99)))
            x = np.ma.MaskedArray(x, rng.random(x.shape) < draw(st.sampled_from((0.1, 0.5, 1))))
    elif method in SUMS and x.dtype.kind in "iub":
        dtypes = (None, "uint8", "int32", "uint64", "float32", "float64")
        options["dtype"] = draw(st.sampled_from(dtypes))
    return x, factors, method, options


@pytest.mark.whole(backend="numba")
@given(cases())
def test_any_arrays(backend, case):
    x, factors, method, options = case
    compare(x, factors, method, backend, **options)


@pytest.mark.parametrize("method", ["mean", "max", "mode"])
@pytest.mark.parametrize("boundary", ["partial", "trim"])
def test_strips(method, boundary, monkeypatch, backend):
    """Arrays that backends would copy, a few blocks at a time."""
    monkeypatch.setattr(reducing, "STRIP", 30)
    monkeypatch.setattr(module, "_tasks", {})
    x = numbers((7, 4, 9), "float32", "random").astype(">f4")
    for array in (x, x.T, x.transpose(1, 0, 2)):
        compare(array, 2, method, backend, boundary=boundary)
    masked = np.ma.MaskedArray(x, numbers(x.shape, "bool"))
    compare(masked, (2, 1, 3), method, backend, boundary=boundary, min_count=3)


COMPILED = pytest.mark.whole(backend="numba")  # by many kernels


@pytest.mark.parametrize("method", ["mean", "max", "median", "mode"])
@pytest.mark.parametrize(
    ("dtype", "factors"),
    [("float32", (2, 1, 2)), pytest.param("float32", (3, 4, 7), marks=COMPILED),
     pytest.param("int16", (5, 4, 5), marks=COMPILED)],
)  # fmt: skip
def test_memory_changes_no_bit(method, dtype, factors, backend):
    """More than 64 cells are summed as trees, along the axes of the user."""
    x = numbers((11, 8, 13), dtype, "random")
    x = np.where(numbers(x.shape, dtype, "zeros", 1) == 0, x, numbers(x.shape, dtype, "zeros", 1))
    expected = compare(x, factors, method, backend)
    for order in ((2, 1, 0), (1, 0, 2), (0, 2, 1)):
        back = np.argsort(order)
        moved = np.ascontiguousarray(x.transpose(order)).transpose(back)
        found = fastpool.downsample(moved, factors, method, backend=backend)
        assert_same(np.ascontiguousarray(found), expected)
        assert found.transpose(order).flags.c_contiguous
    reverse = np.ascontiguousarray(x[::-1, :, ::-1])[::-1, :, ::-1]
    assert_same(fastpool.downsample(reverse, factors, method, backend=backend), expected)
    swapped = x.astype(x.dtype.newbyteorder())
    assert_same(fastpool.downsample(swapped, factors, method, backend=backend), expected)


def test_floats_made_of_long_integers_keep_the_order_of_their_sums(backend):
    """Sums of 64-bit integers that become floats are rounded at each step."""
    x = np.random.default_rng(0).integers(-(2**63), 2**63 - 1, (12, 12))
    for method in SUMS:
        expected = fastpool.downsample(x, 3, method, dtype="float64", backend=backend)
        found = fastpool.downsample(
            np.asfortranarray(x), 3, method, dtype="float64", backend=backend
        )
        assert_same(np.ascontiguousarray(found), expected)


@pytest.mark.parametrize("method", ["mean", "max", "median"])
@pytest.mark.parametrize(
    "shape",
    [(4, 6, 3), (4, 80)]
    + [pytest.param(each, marks=COMPILED) for each in ((2, 3, 4, 5, 6), (3, 2, 2, 2, 70))],
)
def test_axes_that_are_kept(method, shape, backend):
    """Before, between and behind those that are pooled, short and long."""
    x = numbers(shape, "uint8", "random")
    for axes in ((0,), (0, 1), (0, -1), (-2, -1), (-2,)):
        if len({axis % len(shape) for axis in axes}) == len(axes):
            compare(x, 2, method, backend, axes=axes)


def test_more_kept_axes_than_backends_have_room_for(backend):
    x = numbers((3, 2, 3, 2, 3, 2), "float32", "random")
    compare(x, 2, "mean", backend, axes=(0, 2, 4))
    compare(x[:, :1, ::2], (2, 3, 1, 1, 1, 2), "max", backend)


def test_without_axes(backend):
    for method in METHODS:
        for value in (np.float32(2.5), np.uint8(3)):
            found = fastpool.downsample(value, (), method, backend=backend)
            assert found.shape == ()
            assert found == (True if method in ("any", "all") else value)
    with pytest.raises(ValueError, match="no axes"):
        fastpool.downsample(1.0, 2)


@pytest.mark.parametrize("method", METHODS)
def test_empty_axes(method, backend):
    for shape, factors in (((0, 4), 2), ((4, 0), (2, 1)), ((0,), 5)):
        x = np.zeros(shape, np.float32)
        found = fastpool.downsample(x, factors, method, backend=backend)
        assert found.shape == tuple(
            -(-n // f) for n, f in zip(shape, np.broadcast_to(factors, len(shape)), strict=True)
        )
    assert fastpool.downsample(x, 2, method, boundary="trim").shape == (0,)
    assert fastpool.downsample(np.ones((3, 5)), (4, 2), method, boundary="trim").shape == (0, 2)


def test_factors_beyond_any_axis(backend):
    x = numbers((3, 5), "float32", "random")
    for method in ("mean", "median", "mode", "any", "stride"):
        compare(x, (2**40, 3), method, backend)
        found = fastpool.downsample(x, 2**62, method, backend=backend, boundary="pad")
        assert found.shape == (1, 1)


def test_integers_are_rounded_half_to_even(backend):
    x = np.array([[0, 1], [1, 2], [2, 3], [255, 254]], np.uint8)
    expected = np.array([[0], [2], [2], [254]], np.uint8)
    assert_same(fastpool.downsample(x, (1, 2), backend=backend), expected)
    bools = np.array([[0, 1], [1, 1], [0, 0]], bool)
    expected = np.array([[False], [True], [False]])
    assert_same(fastpool.downsample(bools, (1, 2), backend=backend), expected)
    large = np.array([2**63 - 1, 2**63 - 1, -(2**63), 2**63 - 1], np.int64)
    expected = np.array([2**63 - 1, 0], np.int64)
    assert_same(fastpool.downsample(large, 2, backend=backend), expected)


@pytest.mark.parametrize(
    ("dtype", "value"), [("int64", 2**63 - 1), ("int64", -(2**63)), ("uint64", 2**64 - 1)]
)
def test_nodata_that_no_float_holds(dtype, value, backend):
    """Neither does its neighbour count as missing."""
    near = value - 1 if value > 0 else value + 1
    x = np.array([[value, near], [value, value], [5, near]], dtype)
    for method in ("min", "max", "median", "mean", "mode"):
        found = fastpool.downsample(x, (1, 2), method, nodata=value, backend=backend)
        assert found.dtype == x.dtype
        assert found[:2, 0].tolist() == [near, value]
    compare(x, (3, 1), "mean", backend, nodata=value)


def test_nodata_of_floats_is_rounded_first():
    x = np.array([0.1, 2.0, 0.1, 0.1], np.float32)
    expected = np.array([2.0, 0.1], np.float32)
    assert_same(fastpool.downsample(x, 2, nodata=0.1), expected)
    lowest = np.array([-3.4028234663852886e38, 1.0, 2.0, 4.0], np.float32)
    found = fastpool.downsample(lowest, 2, nodata=-3.4028234663852886e38)
    assert_same(found, np.array([1.0, 3.0], np.float32))
    nan = np.array([np.nan, 1.0, np.nan, np.nan])
    assert_same(fastpool.downsample(nan, 2, nodata=np.nan), np.array([1.0, np.nan]))
    zeros = np.array([-0.0, 0.0, 0.0, 3.0])
    assert_same(fastpool.downsample(zeros, 2, nodata=-0.0), np.array([0.0, 3.0]))


def test_pad(backend):
    x = np.arange(5, dtype=np.float32)
    expected = np.array([0.5, 2.5, np.nan], np.float32)
    assert_same(fastpool.downsample(x, 2, boundary="pad", backend=backend), expected)
    expected[2] = 4
    for options in ({"skipna": True}, {"nodata": -1}):
        found = fastpool.downsample(x, 2, boundary="pad", backend=backend, **options)
        assert_same(found, expected)
    whole = x.astype(np.int8)
    expected = np.array([1, 3, 4], np.int8)
    assert_same(fastpool.downsample(whole, 2, "max", boundary="pad", backend=backend), expected)
    found = fastpool.downsample(x, 3, "mode", boundary="pad", backend=backend)
    assert_same(found, np.array([0.0, 3.0], np.float32))


def test_a_mask_that_hides_nothing():
    """Whether NumPy keeps one changes nothing."""
    x = np.arange(5, dtype=np.uint8)
    for method in METHODS:
        bare, full = np.ma.MaskedArray(x), np.ma.MaskedArray(x, np.zeros(5, bool))
        for least in (0, 1, 2):
            found = [fastpool.downsample(a, 2, method, min_count=least) for a in (bare, full)]
            assert_same(*(each.data for each in found))
            assert_same(*map(np.ma.getmaskarray, found))
    assert fastpool.downsample(np.ma.MaskedArray(x), 2, min_count=2).mask.tolist() == [0, 0, 1]


def test_masked_arrays_keep_what_they_are_filled_with():
    x = np.ma.MaskedArray(np.arange(4, dtype=np.int16), [1, 1, 0, 0], fill_value=-9)
    found = fastpool.downsample(x, 2)
    assert found.filled().tolist() == [-9, 2]
    assert fastpool.downsample(x, 2, nodata=7).tolist() == [7, 2]
    assert fastpool.downsample(x, 2, "any").tolist() == [False, True]
    assert fastpool.downsample(x, 2, "stride").tolist() == [None, 2]


@pytest.mark.parametrize("method", ["mean", "max", "median", "mode", "stride", "any", "sum"])
def test_out(method, backend):
    x = numbers((5, 8), "uint8")
    expected = fastpool.downsample(x, 2, method, backend=backend)
    for memory in ("contiguous", "fortran", "reversed", "strided"):
        rng = np.random.default_rng(0)
        out = check.in_memory(rng, np.zeros_like(expected), memory)
        assert fastpool.downsample(x, 2, method, out=out, backend=backend) is out
        assert_same(np.ascontiguousarray(out), expected)
    masked = np.ma.MaskedArray(x, x == 1)
    out = np.ma.MaskedArray(np.zeros_like(expected), np.zeros(expected.shape, bool))
    found = fastpool.downsample(masked, 2, method, min_count=2, backend=backend)
    for target in (out, np.ma.MaskedArray(np.zeros_like(expected))):
        made = fastpool.downsample(masked, 2, method, min_count=2, out=target, backend=backend)
        assert made is target
        assert_same(np.asarray(made.data), np.asarray(found.data))
        assert_same(np.ma.getmaskarray(made), np.ma.getmaskarray(found))


def test_axes_that_follow_each_other_in_one_array_alone():
    """They are one axis only if they are in the result and in the mask too."""
    x = numbers((4, 3, 5, 2), "uint8", "random")
    expected = fastpool.downsample(x, 2, axes=0)
    for memory in ("fortran", "reversed", "strided", "cropped"):
        out = check.in_memory(np.random.default_rng(0), np.zeros_like(expected), memory)
        assert_same(np.ascontiguousarray(fastpool.downsample(x, 2, axes=0, out=out)), expected)
        mask = check.in_memory(np.random.default_rng(0), x > 100, memory)
        compare(np.ma.MaskedArray(x, mask), (2, 1, 1, 1), "max", "numpy")


@pytest.mark.parametrize("method", ["max", "median", "mode"])
def test_no_array_is_copied_as_a_whole(method, backend):
    """Not even one whose bytes are swapped, nor where cells are missing."""
    x = np.arange(2**23, dtype=">i2").reshape(2**8, 2**8, 2**7)
    for array in (x, x.T):
        expected = fastpool.downsample(array.astype("i2"), 4, method, backend=backend)
        for nodata in (None, -3):  # Numba may compile
            fastpool.downsample(array, 4, method, nodata=nodata, backend=backend)
        tracemalloc.start()
        found = fastpool.downsample(array, 4, method, nodata=-3, backend=backend)
        assert_same(fastpool.downsample(array, 4, method, backend=backend), expected)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert found.shape == expected.shape
        assert peak < x.nbytes / 1.5


X = np.zeros((6, 8), np.uint8)


@pytest.mark.parametrize(
    ("error", "words", "factors", "options"),
    [
        (TypeError, "factors must be an integer", 2.0, {}),
        (TypeError, "factors must be an integer", True, {}),
        (ValueError, "factors must be at least 1", 0, {}),
        (ValueError, "factors must be at least 1", (2, -1), {}),
        (ValueError, "axes=", (2, 2, 2), {}),
        (ValueError, "one entry for each of axes", (2, 2), {"axes": 0}),
        (ValueError, r"axes has 2, and x has shape \(6, 8\)", 2, {"axes": 2}),
        (ValueError, "axes must differ", 2, {"axes": (1, -1)}),
        (TypeError, "axes must be an integer", 2, {"axes": 1.0}),
        (ValueError, "axis 1 of x has size 8, which the factor 3", (2, 3), {"boundary": "exact"}),
        (ValueError, "'mean', 'sum', 'min'", 2, {"method": "average"}),
        (TypeError, "method must be one of", 2, {"method": np.mean}),
        (ValueError, "'partial', 'trim', 'exact', 'pad'", 2, {"boundary": "reflect"}),
        (TypeError, "skipna must be a bool", 2, {"skipna": 1}),
        (ValueError, "min_count must be at least 0", 2, {"min_count": -1}),
        (TypeError, "min_count must be an integer", 2, {"min_count": 0.5}),
        (ValueError, "nodata is 256, which no uint8 is", 2, {"nodata": 256}),
        (ValueError, "nodata is -1, which no uint8 is", 2, {"nodata": -1}),
        (ValueError, "nodata is 0.5, which no uint8 is", 2, {"nodata": 0.5}),
        (ValueError, "nodata is nan, which no uint8 is", 2, {"nodata": np.nan}),
        (TypeError, "nodata must be a number, got str", 2, {"nodata": "5"}),
        (TypeError, "nodata must be a number, got complex", 2, {"nodata": 5j}),
        (ValueError, "nodata is 200, which no int8 is", 2,
         {"nodata": 200, "method": "sum", "dtype": "int8"}),
        (TypeError, "dtype must be uint8 with method 'max', got int16", 2,
         {"method": "max", "dtype": "int16"}),
        (TypeError, "dtype must be bool", 2, {"method": "any", "dtype": "uint8"}),
        (TypeError, "got bool", 2, {"dtype": "bool"}),
        (ValueError, "out has shape", 2, {"out": np.zeros((3, 3), np.uint8)}),
        (ValueError, "out has dtype", 2, {"out": np.zeros((3, 4))}),
        (TypeError, "out must be a NumPy array", 2, {"out": [0]}),
        (ValueError, "overlaps", 2, {"out": X[:3, :4]}),
        (ValueError, "backend must be one of", 2, {"backend": "cuda"}),
    ],
)  # fmt: skip
def test_errors(error, words, factors, options):
    """All are raised before anything is written."""
    with pytest.raises(error, match=words) as info:
        fastpool.downsample(X, factors, **options)
    assert str(info.value).startswith("downsample:")


def test_more_errors():
    with pytest.raises(ValueError, match="at most 3 axes can have a factor above 1"):
        fastpool.downsample(np.zeros((2, 2, 2, 2)), 2)
    with pytest.raises(TypeError, match="out must be a masked array"):
        fastpool.downsample(np.ma.MaskedArray(X), 2, out=np.zeros((3, 4), np.uint8))
    with pytest.raises(TypeError, match="masked"):
        fastpool.downsample([np.ma.MaskedArray(X[0])], 2)
    with pytest.raises(TypeError, match="supported are"):
        fastpool.downsample(X.astype(complex), 2)
    with pytest.raises(ValueError, match="which no float16 is"):
        fastpool.downsample(np.zeros(4, np.int32), 2, nodata=10**6, dtype="float16")
    read_only = np.zeros((3, 4), np.uint8)
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        fastpool.downsample(X, 2, out=read_only)


def test_a_call_that_is_known_is_told_from_others():
    """By the type, value and sign of each argument."""
    x = np.array([0.0, 1.0, 5.0, np.nan])
    for _ in range(2):
        assert fastpool.downsample(x, 2, nodata=0.0).tolist()[0] == 1
        assert fastpool.downsample(x, 2, nodata=1.0).tolist()[0] == 0
        assert fastpool.downsample(x, 2, nodata=1).tolist()[0] == 0
        assert fastpool.downsample(x, 2, nodata=False).tolist()[0] == 1
        assert fastpool.downsample(x, 2, skipna=True).tolist()[1] == 5
        assert np.isnan(fastpool.downsample(x, 2).tolist()[1])
        assert fastpool.downsample(x, (2,), min_count=2, nodata=0).tolist()[0] == 0
        with pytest.raises(TypeError):
            fastpool.downsample(x, 2.0)


def test_scikit_image():
    measure = pytest.importorskip("skimage.measure")
    x = numbers((12, 9, 4), "float64", "random")
    for name, function in (("mean", np.mean), ("max", np.max), ("median", np.median)):
        theirs = measure.block_reduce(x, (3, 3, 1), function)
        np.testing.assert_allclose(
            fastpool.downsample(x, (3, 3, 1), name), theirs, rtol=1e-14, atol=1e-14
        )
    image = numbers((12, 9), "uint8", "random")
    theirs = measure.block_reduce(image, (4, 3), np.max)
    assert_same(fastpool.downsample(image, (4, 3), "max"), theirs)


@pytest.mark.parametrize("boundary", ["exact", "trim", "pad"])
def test_xarray(boundary):
    """NaN is skipped as there, and blocks are filled up as there."""
    xarray = pytest.importorskip("xarray")
    x = numbers((12, 9) if boundary == "exact" else (13, 8), "float64", "random")
    x[x > 1] = np.nan
    for method in ("mean", "sum", "min", "max"):
        coarse = xarray.DataArray(x, dims=("a", "b")).coarsen(a=4, b=3, boundary=boundary)
        kept = coarse.reduce(getattr(np, method)).values
        ours = fastpool.downsample(x, (4, 3), method, boundary=boundary)
        np.testing.assert_allclose(ours, kept, rtol=1e-14, atol=1e-14)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            skipped = getattr(coarse, method)().values
        least = 0 if method == "sum" else 1
        options = {"boundary": boundary, "skipna": True, "min_count": least}
        ours = fastpool.downsample(x, (4, 3), method, **options)
        np.testing.assert_allclose(ours, skipped, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", FEW)
def test_blocks_of_one_cell(method, dtype, backend):
    x = np.arange(36).reshape(2, 18).astype(dtype)
    for options in ({}, {"nodata": 2}):
        compare(x, 1, method, backend, **options)
        compare(x[:1, :1], 5, method, backend, **options)


@pytest.mark.parametrize("method", ["min", "max", "median", "mode"])
def test_memory_does_not_change_the_byte_of_a_bool(method, backend):
    cells = np.random.default_rng(3).integers(0, 9, (6, 8, 5)).astype(np.uint8)
    for x in (cells, cells + 1, cells % 2 * cells):
        x = x.view(bool)
        expected = fastpool.downsample(x, 2, method, backend="numpy").view(np.uint8)
        for order in ((2, 1, 0), (1, 0, 2)):
            turned = np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
            found = fastpool.downsample(turned, 2, method, backend=backend)
            assert_same(np.ascontiguousarray(found.view(np.uint8)), expected)

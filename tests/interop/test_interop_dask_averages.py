"""Sums and averages of Dask arrays, and gradients: the bits of the whole array in any chunks."""

import inspect

import numpy as np
import pytest
import strategies
from bits import assert_same
from hypothesis import given
from hypothesis import strategies as st

import fastpool
from fastpool.cli import check

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

from fastpool.interop import dask as adapter  # noqa: E402  (as the next)

LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}
NAMES = [f"{kind}{n}d{end}" for n in LAYOUTS for kind, end in (
    ("avgpool", ""), ("avgpool", "_backward"), ("sumpool", ""))]  # fmt: skip
WHOLE = [name for name in strategies.DTYPES if "float" not in name]

# For each number of axes: sizes, and windows that overlap and reach into the padding; that leave
# gaps; that are trees; and that stick out so far that trees are added tap by tap.
CASES = {
    1: ((37,), (
        {"kernel_size": 3, "stride": 2, "padding": ((1, 3),), "ceil_mode": True},
        {"kernel_size": 2, "stride": 5, "dilation": 2},
        {"kernel_size": 67, "stride": 1, "padding": ((40, 66),)},
        {"kernel_size": 90, "stride": 4, "padding": ((266, 250),), "dilation": 3},
    )),
    2: ((7, 20), (
        {"kernel_size": 3, "stride": (1, 2), "padding": ((1, 0), (2, 1)), "ceil_mode": True},
        {"kernel_size": (3, 2), "stride": (4, 5), "padding": "same", "dilation": (1, 2)},
        {"kernel_size": (9, 11), "stride": 1, "padding": (5, 6)},
        {"kernel_size": (13, 7), "stride": (2, 1), "padding": ((12, 9), (5, 1)),
         "dilation": (1, 2)},
        {"kernel_size": (2, 100), "stride": (3, 1), "padding": ((0, 0), (99, 90))},
    )),
    3: ((4, 5, 18), (
        {"kernel_size": (2, 2, 3), "stride": (1, 2, 2), "padding": ((1, 0), (0, 1), (2, 1))},
        {"kernel_size": (5, 3, 6), "stride": (1, 1, 1), "padding": ((2, 3), (1, 1), (4, 0))},
    )),
}  # fmt: skip


@pytest.fixture(autouse=True)
def in_this_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


def values(shape, dtype="float32", style="random", seed=0):
    return check.adversarial(np.random.default_rng(seed), shape, check.dtype_of(dtype), style)


def assert_chunked(name, array, arguments, options, sizes, wanted=(None,)):
    """The function of the array in chunks has the bits of the whole array."""
    right = getattr(fastpool, name)(array, *arguments, **options)
    chunked = da.from_array(array, chunks=sizes)
    for each in wanted:
        more = {} if each is None else {"chunks": each}
        found = getattr(adapter, name)(chunked, *arguments, **options, **more)
        assert (found.shape, found.dtype) == (right.shape, right.dtype)
        assert_same(found.compute(), right, any_nan=True)
    return right


def check_all(x, arguments, options, sizes, wanted, more=None):
    """Sums, averages and gradients; `options` are those of the division."""
    n = len(arguments["layout"]) - 2
    rest = more or {}
    right = assert_chunked(f"avgpool{n}d", x, (), {**arguments, **options, **rest}, sizes)
    assert_chunked(f"sumpool{n}d", x, (), {**arguments, **rest}, sizes)
    if x.dtype.name not in WHOLE:
        gradient = values(right.shape, x.dtype.name, seed=1)
        assert_chunked(
            f"avgpool{n}d_backward", gradient, (x.shape,), {**arguments, **options}, sizes, wanted
        )  # fmt: skip


@pytest.mark.whole(backend="numba")
@pytest.mark.parametrize(
    ("n", "number"), [(n, i) for n, (_, windows) in CASES.items() for i in range(len(windows))]
)
def test_every_window(n, number, backend):
    """In three kinds of chunks, with what counts as a divisor in all ways."""
    sizes, windows = CASES[n]
    for layout, (padded, divisor) in zip(
        LAYOUTS[n] * 2, ((True, None), (False, None), (True, -6), (False, 8)), strict=True
    ):
        shape = (2, *sizes, 3) if layout.endswith("C") else (2, 3, *sizes)
        x, arguments = values(shape), {**windows[number], "layout": layout, "backend": backend}
        options = {"count_include_pad": padded, "divisor_override": divisor}
        for size in (3, (1, *(5,) * (x.ndim - 1)), 1 if n < 3 and divisor is None else 4):
            check_all(x, arguments, options, size, (None, size))


@pytest.mark.whole(backend="numba")
@given(st.data(), strategies.geometries(), strategies.dtypes(), st.booleans())
def test_any_geometry_in_any_chunks(backend, data, geometry, dtype, large):
    """Windows of more than 64 taps too, and all values."""
    shape, arguments = geometry
    del arguments["index_format"]
    arguments["backend"] = backend
    if large:
        arguments |= {"kernel_size": (9, 8), "padding": ((8, 7), (7, 7)), "dilation": 1}
    name, style = dtype.name, data.draw(st.sampled_from(check.STYLES))
    x = values(shape, name, style)
    options = {
        "count_include_pad": data.draw(st.booleans()),
        "divisor_override": data.draw(st.sampled_from((None, None, None, -3, 1))),
    }
    more = {}
    if name in WHOLE:
        more = {"dtype": data.draw(st.sampled_from((None, "float32", "int16", "uint64")))}
    try:
        right = fastpool.avgpool2d(x, **arguments)
    except ValueError as error:
        with pytest.raises(ValueError, match="avgpool2d") as caught:
            adapter.avgpool2d(da.from_array(x), **arguments)
        assert str(caught.value) == str(error)
        return
    assert_chunked(
        "avgpool2d", x, (), {**arguments, **options, **more}, data.draw(strategies.chunks(shape))
    )
    assert_chunked("sumpool2d", x, (), {**arguments, **more}, data.draw(strategies.chunks(shape)))
    if name not in WHOLE:
        gradient = values(right.shape, name, style, 1)
        sizes, wanted = (
            data.draw(strategies.chunks(right.shape)),
            data.draw(strategies.chunks(shape)),
        )
        everything = {**arguments, **options}
        assert_chunked("avgpool2d_backward", gradient, (shape,), everything, sizes, (None, wanted))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_values(dtype):
    """They stay in their windows, and no sum is -0.0."""
    x = values((30, 33), dtype)
    x[3, 4], x[17, 20], x[25, 9], x[20:, 20:] = np.nan, np.inf, -np.inf, -0.0
    for kernel, padding in ((3, 1), (9, 4)):
        options = {"stride": 1, "padding": padding, "count_include_pad": False, "layout": "NCHW"}
        right = assert_chunked("avgpool2d", x, (kernel,), options, (7, 8))
        assert np.isnan(right).sum() < right.size / 2
        assert_chunked("avgpool2d_backward", x, (x.shape, kernel), options, (7, 8), (None, 5))


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name):
    """Those for NumPy without `out`; a gradient's chunks are asked for in addition."""
    expected = inspect.signature(getattr(fastpool, name)).parameters
    found = inspect.signature(getattr(adapter, name)).parameters
    assert [each for each in found if each != "chunks"] == [e for e in expected if e != "out"]
    assert ("chunks" in found) == name.endswith("_backward")
    for parameter in set(found) - {"chunks"}:
        assert found[parameter].default == expected[parameter].default
        assert found[parameter].kind == expected[parameter].kind
    assert f"fastpool.{name}" in getattr(adapter, name).__doc__


class TestErrors:
    """Raised when the graph is built."""

    X = da.zeros((1, 8, 8), chunks=4)

    @pytest.mark.parametrize(
        ("arguments", "options"),
        [
            ((30,), {}),
            ((2.0,), {}),
            ((2,), {"divisor_override": 0}),
            ((2,), {"divisor_override": 2.0}),
            ((2,), {"count_include_pad": 1}),
            ((2,), {"dtype": "int32"}),
            ((2,), {"dtype": "nonsense"}),
            ((2,), {"layout": "NWC"}),
            ((2,), {"backend": "cuda"}),
        ],
    )
    def test_arguments(self, arguments, options):
        with pytest.raises((TypeError, ValueError)) as expected:
            fastpool.avgpool2d(np.zeros((1, 8, 8)), *arguments, **options)
        with pytest.raises(type(expected.value)) as caught:
            adapter.avgpool2d(self.X, *arguments, **options)
        assert str(caught.value) == str(expected.value)

    def test_arrays(self):
        with pytest.raises(TypeError, match="x has dtype complex128"):
            adapter.sumpool2d(self.X.astype(complex), 2)
        with pytest.raises(ValueError, match="x has chunks of unknown sizes"):
            adapter.avgpool2d(self.X[self.X[:, 0, 0] > 0], 2)
        with pytest.raises(TypeError, match="gradients are floats"):
            adapter.avgpool2d_backward(self.X.astype(int), (1, 16, 16), 2)
        with pytest.raises(ValueError, match="grad_output has shape"):
            adapter.avgpool2d_backward(self.X, (1, 8, 8), 2)
        with pytest.raises(TypeError, match="x is a masked array"):
            adapter.avgpool2d(np.ma.zeros((8, 8)), 2)


def test_blocks_of_other_dtypes_than_the_array_says():
    def told(value, dtype):
        x = da.ones((8, 8), chunks=4, dtype=dtype)
        return x.map_blocks(lambda block: block.astype(value), meta=x._meta)

    for value, dtype in (("float32", "float64"), ("int8", "int64"), ("float32", "int64")):
        found = adapter.avgpool2d(told(value, dtype), 3, 1).compute()
        assert_same(found, np.ones((6, 6)))
    with pytest.raises(TypeError, match="sumpool2d: dtype int64 cannot hold"):
        adapter.sumpool2d(told(float, int), 2).compute()
    with pytest.raises(TypeError, match="gradients are floats"):
        adapter.avgpool2d_backward(told(int, float), (16, 16), 2).compute()
    found = adapter.avgpool2d_backward(told("float32", float), (16, 16), 2, chunks=5).compute()
    assert_same(found, np.full((16, 16), 0.25))


def test_masked_blocks():
    x = da.zeros((8, 8), chunks=4)
    lazy = x.map_blocks(np.ma.array, meta=x._meta)
    for pooled in (
        adapter.avgpool2d(lazy, 3, 1),
        adapter.sumpool2d(lazy, 2),
        adapter.avgpool2d_backward(lazy, (16, 16), 2),
    ):
        with pytest.raises(TypeError, match="is a masked array"):
            pooled.compute()


def test_nothing_is_computed_early_nor_needlessly():
    def poison(block):
        raise AssertionError("this was to be computed later, or never")

    poisoned = da.zeros((16, 30), chunks=8).map_blocks(poison, meta=np.empty((0, 0)))
    x = da.concatenate([da.ones((16, 30), chunks=8), poisoned])
    for pooled, right in (
        (adapter.avgpool2d(x, 3, 2, 1, count_include_pad=False), np.ones((3, 15))),
        (adapter.avgpool2d_backward(x, (64, 60), 2), np.full((3, 60), 0.25)),
    ):
        assert_same(pooled[:3].compute(), right)
        with pytest.raises(AssertionError, match="computed later"):
            pooled.compute()


@pytest.mark.parametrize(("shape", "layout"), strategies.EMPTY)
def test_empty_axes(shape, layout):
    x = np.zeros(shape, np.float32)
    for size in (-1, 3):
        check_all(x, {"kernel_size": 2, "layout": layout}, {}, size, (None, size))


def test_arrays_of_numpy_and_other_schedulers():
    x = values((2, 40, 40))
    assert_same(adapter.avgpool2d(x, 3).compute(), fastpool.avgpool2d(x, 3))
    lazy = adapter.avgpool2d(da.from_array(x, chunks=(1, 13, 17)), 9, 2)
    gradient = adapter.avgpool2d_backward(lazy, x.shape, 9, 2, chunks=(1, 13, 17))
    output = fastpool.avgpool2d(x, 9, 2)
    right = output, fastpool.avgpool2d_backward(output, x.shape, 9, 2)
    found = dask.compute(lazy, gradient, scheduler="threads", num_workers=2)
    for array, other in zip(found, right, strict=True):
        assert_same(array, other)


def test_calls_that_divide_differently_are_different():
    x = da.zeros((8, 8), chunks=4)
    names = {
        adapter.avgpool2d(x, 2, **options).name
        for options in (
            {}, {"divisor_override": 3}, {"count_include_pad": False}, {"dtype": "float32"},
        )
    }  # fmt: skip
    assert len(names | {adapter.sumpool2d(x, 2).name}) == 5
    assert adapter.avgpool2d(x, 2).name == adapter.avgpool2d(x, (2, 2), 2).name

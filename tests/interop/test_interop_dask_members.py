"""Adaptive pooling, modes and norms of Dask arrays: the bits of the whole array in any chunks."""

import inspect
import math

import numpy as np
import pytest
import strategies
from bits import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st

import fastpool
from fastpool.cli import check
from fastpool.rules.members import FUNCTIONS

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

from fastpool.interop import dask as adapter  # noqa: E402  (as the next)

LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}

# Sizes, and how many windows: that divide the cells; fewer, more, all, one, none; and with some
# windows of more than 64 cells, which are trees.
ADAPTIVE = [
    ((14,), (5,)),
    ((3,), (8,)),
    ((200,), (3,)),
    ((14, 21), (7, 3)),
    ((14, 13), (5, 4)),
    ((7, 5), (None, 1)),
    ((25, 17), (3, 2)),
    ((6, 7), (0, 3)),
    ((5, 6, 7), (3, 4, 2)),
]

# Windows that tile; that overlap and reach into the padding; that leave gaps; and that are trees.
WINDOWS = (
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": (1, 2), "padding": ((1, 0), (2, 1)), "ceil_mode": True},
    {"kernel_size": 2, "stride": 5, "dilation": 2},
    {"kernel_size": (9, 8), "stride": 3, "padding": (4, 3), "dilation": (1, 2)},
)


@pytest.fixture(autouse=True)
def in_this_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


def values(shape, dtype="float32", style="random", seed=0):
    return check.adversarial(np.random.default_rng(seed), shape, check.dtype_of(dtype), style)


def assert_chunked(name, arrays, arguments, options, sizes, wanted=(None,)):
    """The function of arrays in chunks has the bits of the whole arrays; these are returned."""
    right = getattr(fastpool, name)(*arrays, *arguments, **options)
    chunked = [da.from_array(each, chunks=size) for each, size in zip(arrays, sizes, strict=True)]
    for each in wanted:
        more = {} if each is None else {"chunks": each}
        found = getattr(adapter, name)(*chunked, *arguments, **options, **more)
        pairs = (
            [(found, right)] if isinstance(right, np.ndarray) else zip(found, right, strict=True)
        )
        for lazy, other in pairs:
            assert (lazy.shape, lazy.dtype) == (other.shape, other.dtype)
            assert_same(lazy.compute(), other, any_nan=True)
    return right


def check_adaptive(x, output_size, options, sizes, wanted):
    """Maxima, averages and gradients; `sizes` are the chunks of the input and of the output."""
    n, (cells, windows) = len(options["layout"]) - 2, sizes
    pools = f"adaptive_maxpool{n}d", f"adaptive_avgpool{n}d"
    right = assert_chunked(pools[0], (x,), (output_size, True), options, (cells,))
    assert_chunked(pools[1], (x,), (output_size,), options, (cells,))
    gradient = values(right.output.shape, x.dtype.name, seed=1)
    rest = x.shape, output_size
    routed = gradient, right.indices
    assert_chunked(f"{pools[0]}_backward", routed, rest, options, (windows,) * 2, wanted)
    if "float" in x.dtype.name:
        assert_chunked(f"{pools[1]}_backward", (gradient,), rest, options, (windows,), wanted)


@pytest.mark.whole(backend="numba")
@pytest.mark.parametrize(("cells", "output_size"), ADAPTIVE)
def test_every_adaptive_case(cells, output_size, backend):
    for layout in LAYOUTS[len(cells)]:
        x = values((2, *cells, 3) if layout.endswith("C") else (2, 3, *cells), style="ties")
        for size in (3, (1, *(5,) * (x.ndim - 1))):
            options = {"layout": layout, "backend": backend}
            check_adaptive(x, output_size, options, (size, size), (None, size))


@pytest.mark.whole(backend="numba")
@settings(max_examples=60)
@given(st.data(), strategies.dtypes())
def test_any_adaptive_pooling_in_any_chunks(backend, data, dtype):
    """Also of more cells than 64, and of all values."""
    layout = data.draw(st.sampled_from(LAYOUTS[2]))
    sizes = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 30)))
    shape = (2, *sizes, 2) if layout.endswith("C") else (2, *sizes)
    output_size = data.draw(st.tuples(*[st.one_of(st.none(), st.integers(1, 12))] * 2))
    x = values(shape, dtype.name, data.draw(st.sampled_from(check.STYLES)))
    outputs = tuple(a if b is None else b for a, b in zip(sizes, output_size, strict=True))
    made = (2, *outputs, 2) if layout.endswith("C") else (2, *outputs)
    chunks = [data.draw(strategies.chunks(each)) for each in (shape, made, shape)]
    options = {"layout": layout, "backend": backend}
    check_adaptive(x, output_size, options, chunks[:2], (None, chunks[2]))


def check_norms(x, p, arguments, size):
    name = f"lppool{len(arguments['layout']) - 2}d"
    right = assert_chunked(name, (x,), (p,), arguments, (size,))
    dtype = x.dtype.name if "float" in x.dtype.name else "float32"
    arrays = values(right.shape, dtype, seed=1), x
    for other in (size, 4):
        assert_chunked(f"{name}_backward", arrays, (p,), arguments, (size, other), (None, size))


@pytest.mark.whole(backend="numba")
@pytest.mark.parametrize("p", [1, 2, 5, math.inf])
def test_norms(p, backend):
    """Some of them of zeros alone, which pass nothing on."""
    for number, windows in enumerate(WINDOWS):
        layout = LAYOUTS[2][number % 2]
        x = values((2, 3, 18, 21) if number % 2 == 0 else (2, 18, 21, 3))
        x[1] = 0
        check_norms(x, p, {**windows, "layout": layout, "backend": backend}, (1, 7, 5, 8))


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "int8", "uint64", "bool"])
def test_norms_of_every_dtype(dtype):
    if dtype in strategies.DTYPES:
        windows = {"kernel_size": 3, "stride": 2, "padding": 1, "layout": "NCHW"}
        check_norms(values((2, 9, 20), dtype, "bits"), 3, {**windows, "backend": "numpy"}, 4)


def test_norms_of_other_numbers_of_axes():
    for n, sizes in ((1, (37,)), (3, (4, 5, 18))):
        for layout in LAYOUTS[n]:
            x = values((2, *sizes, 3) if layout.endswith("C") else (2, *sizes))
            windows = {"kernel_size": 3, "stride": 1, "padding": 1, "layout": layout}
            check_norms(x, 2, {**windows, "backend": "numpy"}, 3)


@pytest.mark.parametrize("form", ["flat", "window"])
def test_modes(form, backend):
    """Labels whose cells lie in several chunks, and their first cells too."""
    rng = np.random.default_rng(0)
    for n, sizes in ((1, (37,)), (2, (9, 14)), (3, (4, 5, 8))):
        for layout in LAYOUTS[n] if backend == "numpy" else LAYOUTS[n][:1]:
            shape = (2, *sizes, 2) if layout.endswith("C") else (2, *sizes)
            x = rng.integers(0, 4, shape).astype(np.uint8)
            for windows in ({"kernel_size": 3, "stride": 1, "padding": 1}, {"kernel_size": 4}):
                options = {**windows, "layout": layout, "index_format": form, "backend": backend}
                more = {"return_indices": True, **options}
                right = assert_chunked(f"modepool{n}d", (x,), (), more, (3,))
                assert_chunked(f"modepool{n}d", (x,), (), options, (5,))
                back = {"output_size": shape, **windows, "layout": layout, "index_format": form}
                found = getattr(adapter, f"maxunpool{n}d")(
                    *(da.from_array(each, chunks=2) for each in right), **back
                )
                assert_same(found.compute(), getattr(fastpool, f"maxunpool{n}d")(*right, **back))


def test_every_function_is_there():
    assert set(adapter.__all__) == {"PoolResult", "pyramid", *FUNCTIONS}


@pytest.mark.parametrize(
    "name", [name for name in FUNCTIONS if "adaptive" in name or "lp" in name or "mode" in name]
)
def test_signatures(name):
    """Those for NumPy without `out`; a gradient's chunks are asked for in addition."""
    expected = inspect.signature(getattr(fastpool, name)).parameters
    found = inspect.signature(getattr(adapter, name)).parameters
    assert [each for each in found if each != "chunks"] == [e for e in expected if e != "out"]
    assert ("chunks" in found) == name.endswith("_backward")
    for parameter in set(found) - {"chunks"}:
        assert found[parameter].default == expected[parameter].default
        assert found[parameter].kind == expected[parameter].kind
    assert f"`fastpool.{name}`" in getattr(adapter, name).__doc__


class TestErrors:
    """Raised when the graph is built, as for a NumPy array."""

    X = np.ones((1, 8, 8))

    @pytest.mark.parametrize(
        ("name", "arguments", "options"),
        [
            ("adaptive_maxpool2d", ((1, 2, 3),), {}),
            ("adaptive_maxpool2d", (2.0,), {}),
            ("adaptive_maxpool2d", (-1,), {}),
            ("adaptive_maxpool2d", (2, 1), {}),
            ("adaptive_avgpool2d", (2**63,), {}),
            ("adaptive_avgpool2d", (2,), {"dtype": "int8"}),
            ("adaptive_avgpool2d", (2,), {"layout": "NCW"}),
            ("adaptive_avgpool2d_backward", ((1, 16, 16), 7), {}),
            ("adaptive_avgpool2d_backward", (16, 7), {}),
            ("lppool2d", (2, 30), {}),
            ("lppool2d", (0, 2), {}),
            ("lppool2d", (1.5, 2), {}),
            ("lppool2d", (None, 2), {}),
            ("lppool2d", (2, 2), {"backend": "cuda"}),
            ("lppool2d_backward", (np.ones((1, 16, 16)), 2, 3), {}),
            ("modepool2d", (2,), {}),
        ],
    )
    def test_arguments(self, name, arguments, options):
        with pytest.raises((TypeError, ValueError)) as expected:
            getattr(fastpool, name)(self.X, *arguments, **options)
        with pytest.raises(type(expected.value)) as caught:
            getattr(adapter, name)(da.from_array(self.X, chunks=4), *arguments, **options)
        assert str(caught.value) == str(expected.value)

    def test_arrays(self):
        x = da.from_array(self.X, chunks=4)
        unknown = x[x[:, 0, 0] > 0]
        for function, arguments in (
            (adapter.adaptive_maxpool2d, (2,)), (adapter.adaptive_avgpool2d, (2,)),
            (adapter.lppool2d, (2, 2)),
        ):  # fmt: skip
            with pytest.raises(TypeError, match="x has dtype complex128"):
                function(x.astype(complex), *arguments)
            with pytest.raises(ValueError, match="x has chunks of unknown sizes"):
                function(unknown, *arguments)
            with pytest.raises(TypeError, match="x is a masked array"):
                function(np.ma.zeros((8, 8)), *arguments)
        with pytest.raises(TypeError, match="gradients are floats"):
            adapter.adaptive_avgpool2d_backward(x.astype(int), (1, 16, 16), 8)
        with pytest.raises(TypeError, match="gradients are floats"):
            adapter.lppool2d_backward(x.astype(int), np.ones((1, 16, 16)), 2, 2)

    def test_bad_indices_have_their_place_in_the_whole_array(self):
        x = values((2, 14, 13))
        output, indices = fastpool.adaptive_maxpool2d(x, (5, 4), True)
        for bad in (-1, 10**6, int(indices[1, 3, 3])):
            wrong = indices.copy()
            wrong[1, 2, 1] = bad
            with pytest.raises(IndexError) as expected:
                fastpool.adaptive_maxpool2d_backward(output, wrong, x.shape, (5, 4))
            lazy = adapter.adaptive_maxpool2d_backward(
                da.from_array(output, chunks=2), wrong, x.shape, (5, 4), chunks=5
            )
            with pytest.raises(IndexError) as found:
                lazy.compute()
            assert str(found.value) == str(expected.value)


def test_masked_blocks_and_blocks_of_other_dtypes():
    x = da.ones((8, 8), chunks=3)
    lazy = x.map_blocks(np.ma.array, meta=x._meta)
    for pooled in (
        adapter.adaptive_maxpool2d(lazy, 3),
        adapter.adaptive_avgpool2d(lazy, 3),
        adapter.lppool2d(lazy, 2, 2),
        adapter.lppool2d_backward(da.ones((4, 4)), lazy, 2, 2),
        adapter.lppool2d_backward(lazy, da.ones((16, 16)), 2, 2),
        adapter.adaptive_avgpool2d_backward(lazy, (9, 9), 8),
    ):
        with pytest.raises(TypeError, match="is a masked array"):
            pooled.compute()
    other = x.map_blocks(lambda block: block.astype("int8"), meta=x._meta)
    assert_same(adapter.lppool2d(other, 2, 2).compute(), np.full((4, 4), 2.0))
    assert_same(adapter.adaptive_avgpool2d(other, 3).compute(), np.ones((3, 3)))
    with pytest.raises(TypeError, match="gradients are floats"):
        adapter.lppool2d_backward(other, da.ones((16, 16)), 2, 2).compute()
    strange = x.map_blocks(lambda block: block.astype(complex), meta=x._meta)
    with pytest.raises(TypeError, match="x has dtype complex128"):
        adapter.lppool2d(strange, 2, 2).compute()
    with pytest.raises(TypeError, match="x has dtype complex128"):
        adapter.lppool2d_backward(da.ones((4, 4)), strange, 2, 2).compute()


def test_nothing_is_computed_early_nor_needlessly():
    """A corner of the output needs the cells of its windows."""

    def poison(block):
        raise AssertionError("this was to be computed later, or never")

    poisoned = da.zeros((16, 30), chunks=8).map_blocks(poison, meta=np.empty((0, 0)))
    x = da.concatenate([da.ones((16, 30), chunks=8), poisoned])
    for pooled, right in (
        (adapter.adaptive_avgpool2d(x, (9, 7)), np.ones((3, 7))),
        (adapter.adaptive_maxpool2d(x, (9, 7)), np.ones((3, 7))),
        (adapter.lppool2d(x, 1, 2), np.full((4, 15), 4.0)),
        (adapter.lppool2d_backward(da.ones((16, 15), chunks=4), x, 1, 2), np.ones((4, 30))),
        (adapter.adaptive_avgpool2d_backward(x, (64, 60), (32, 30)), np.full((4, 60), 0.25)),
    ):
        assert_same(pooled[: len(right)].compute(), right)
        with pytest.raises(AssertionError, match="computed later"):
            pooled.compute()


def test_chunks_without_a_window_and_axes_without_a_cell():
    x = values((2, 40, 40))
    found = adapter.adaptive_maxpool2d(da.from_array(x, chunks=(1, 4, 40)), (3, 2))
    assert found.chunks == ((1, 1), (1, 1, 1), (2,))
    for shape, layout in strategies.EMPTY:
        x = np.zeros(shape, np.float32)
        for size in (-1, 3):
            check_adaptive(x, 2, {"layout": layout}, (size, size), (None, size))
            check_norms(x, 2, {"kernel_size": 2, "layout": layout}, size)


def test_arrays_of_numpy_and_other_schedulers():
    x = values((2, 40, 40))
    assert_same(adapter.adaptive_avgpool2d(x, 7).compute(), fastpool.adaptive_avgpool2d(x, 7))
    lazy = da.from_array(x, chunks=(1, 13, 17))
    output = adapter.lppool2d(lazy, 3, 9, 2)
    gradient = adapter.lppool2d_backward(output, x, 3, 9, 2, chunks=lazy.chunks)
    norms = fastpool.lppool2d(x, 3, 9, 2)
    right = norms, fastpool.lppool2d_backward(norms, x, 3, 9, 2)
    found = dask.compute(output, gradient, scheduler="threads", num_workers=2)
    for array, other in zip(found, right, strict=True):
        assert_same(array, other)


def test_calls_that_differ_have_different_names():
    x = da.zeros((8, 8), chunks=4)
    names = {
        adapter.lppool2d(x, 2, 2).name,
        adapter.lppool2d(x, 3, 2).name,
        adapter.lppool2d(x, math.inf, 2).name,
        adapter.adaptive_avgpool2d(x, 4).name,
        adapter.adaptive_avgpool2d(x, 4, dtype="float32").name,
        adapter.adaptive_maxpool2d(x, 4).name,
        adapter.adaptive_maxpool2d(x, 3).name,
    }
    assert len(names) == 7
    assert adapter.lppool2d(x, 2, 2).name == adapter.lppool2d(x, 2.0, (2, 2), 2).name

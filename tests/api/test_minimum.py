"""The minimum: the mirror of the maximum, which no negation gives, semantics one by one."""

import numpy as np
import oracle
import pytest
import strategies
from bits import assert_same
from hypothesis import given
from hypothesis import strategies as st
from windows import WINDOWS

import fastpool
from fastpool.cli import check

FLOATS = [name for name in strategies.DTYPES if "float" in name]


def pool(x, *arguments, **options):
    return fastpool.minpool2d(x, *arguments, return_indices=True, **options)


def test_first_of_equal_minima(backend):
    x = np.array([[9, 7, 7], [7, 7, 8], [8, 8, 7]])
    output, indices = pool(x, 3, backend=backend)
    assert (output.tolist(), indices.tolist()) == ([[7]], [[1]])
    codes = pool(x, 2, 1, index_format="window", backend=backend).indices
    assert codes.tolist() == [[1, 0], [0, 0]]
    assert codes.dtype == np.uint8


@pytest.mark.parametrize(("first", "second"), [(0.0, -0.0), (-0.0, 0.0)])
@pytest.mark.parametrize("name", FLOATS)
def test_signed_zeros_are_equal_and_kept(backend, name, first, second):
    for count in (2, 70):  # a few lanes, and vectors of them
        x = np.array([[first, second] * count], check.dtype_of(name))
        output, indices = pool(x, (1, 2), backend=backend)
        assert indices.tolist() == [list(range(0, 2 * count, 2))]
        assert_same(output, x[:, ::2])
        assert_same(fastpool.minpool2d(x, (1, 2), backend=backend), x[:, ::2])


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("dtype", "nan"), [("float16", 0x7C01), ("float32", 0xFF800001)])
def test_nan_at_each_position(backend, dtype, nan, layout):
    """The first NaN beats minus infinity with its payload, whatever its sign."""
    dtype, bits = np.dtype(dtype), np.dtype(f"u{np.dtype(dtype).itemsize}")
    for channels in (1, 3, 17):
        for position in range(9):
            x = np.full((channels, 3, 3), -np.inf, dtype)
            x.reshape(channels, 9).view(bits)[:, position:] = nan + np.arange(position, 9)
            x = x[np.newaxis] if layout == "NCHW" else np.moveaxis(x, 0, -1)[np.newaxis]
            output, indices = pool(x, 3, layout=layout, backend=backend)
            assert (indices == position).all()
            assert (output.copy().view(bits) == nan + position).all()
            output = fastpool.minpool2d(x, 3, layout=layout, backend=backend)
            assert (output.copy().view(bits) == nan + position).all()


@pytest.mark.parametrize("name", strategies.DTYPES)
def test_padding_is_not_a_number(backend, name):
    """The largest value of a type wins against padding."""
    dtype = check.dtype_of(name)
    largest = np.iinfo(dtype).max if dtype.kind in "iu" else np.array(np.inf).astype(dtype)
    for shape in ((3, 3), (2, 40, 70)):
        x = np.full(shape, largest, dtype)
        output, indices = pool(x, 3, 1, 1, backend=backend)
        assert_same(output, x)
        starts = [np.maximum(np.arange(size) - 1, 0) for size in shape[-2:]]
        expected = starts[0][:, np.newaxis] * shape[-1] + starts[1]
        assert (indices == expected).all()
        assert_same(fastpool.minpool2d(x, 3, 1, 1, backend=backend), x)


def test_integers_that_have_no_negative(backend):
    for dtype in (np.int8, np.int16, np.int32, np.int64):
        limits = np.iinfo(dtype)
        x = np.array([[limits.max, limits.min, limits.min + 1, 0] * 40], dtype)
        output, indices = pool(x, (1, 4), backend=backend)
        assert (output == limits.min).all()
        assert indices.tolist() == [list(range(1, 160, 4))]
    for dtype in (np.uint8, np.uint16, np.uint32, np.uint64):
        most = np.iinfo(dtype).max
        x = np.array([[1, most, 0, most - 1] * 40], dtype)
        output, indices = pool(x, (1, 4), backend=backend)
        assert (output == 0).all()
        assert indices.tolist() == [list(range(2, 160, 4))]
        assert fastpool.minpool2d(x[:, 1::2], (1, 1), backend=backend)[0, 0] == most


def test_integers_beyond_doubles(backend):
    x = np.array([[2**63 - 1, 2**63 - 2], [-(2**63) + 1, -(2**63)]])
    assert pool(x, (1, 2), backend=backend).output.tolist() == [[2**63 - 2], [-(2**63)]]
    x = np.array([[2**64 - 1, 2**64 - 2]], np.uint64)
    assert fastpool.minpool2d(x, (1, 2), backend=backend).item() == 2**64 - 2


@pytest.mark.whole(backend="numba")
@given(st.data(), strategies.geometries(), strategies.dtypes())
def test_any_geometry_and_memory(backend, data, case, dtype):
    """Values, indices, gradients and unpooled values are those of the loops."""
    shape, arguments = case
    x = data.draw(strategies.arrays(shape, dtype))
    options = {**arguments, "backend": backend}
    try:
        output, indices = oracle.minpool(x, **arguments)
    except ValueError:
        with pytest.raises(ValueError, match=r"^minpool2d: "):
            fastpool.minpool2d(x, **options)
        return
    found = fastpool.minpool2d(x, **options, return_indices=True)
    assert_same(found.output, output)
    assert_same(found.indices, indices)
    assert_same(fastpool.minpool2d(x, **options), output)
    gradient = data.draw(strategies.arrays(output.shape, dtype))
    assert_same(
        fastpool.minpool2d_backward(gradient, indices, shape, **options),
        oracle.scatter(gradient, indices, shape, True, **arguments),
        any_nan=True,
    )
    if arguments["ceil_mode"]:
        return  # the size of the input may be none that an unpooling gives
    rest = {name: value for name, value in arguments.items() if name != "ceil_mode"}
    try:
        unpooled = fastpool.maxunpool2d(*found, **rest, output_size=shape, backend=backend)
    except ValueError as error:  # the last window begins in the padding, or beyond
        assert "out of reach" in str(error)
        return
    assert_same(unpooled, oracle.scatter(output, indices, shape, False, **arguments))


@pytest.mark.numba
@pytest.mark.whole
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
@pytest.mark.parametrize(("name", "layout"), [("float16", "NCHW"), ("bool", "NHWC")])
def test_every_kernel(window, name, layout):
    """Both backends agree where each function that reduces or merges rows is needed."""
    rng, dtype = np.random.default_rng(0), check.dtype_of(name)
    shape = (2, 3, 40, 70) if layout == "NCHW" else (2, 40, 70, 3)
    for style, form in (("nans", "flat"), ("bits", "window"), ("ties", "flat")):
        x = check.adversarial(rng, shape, dtype, style)
        options = {"layout": layout, "index_format": form}
        expected = pool(x, *window, **options, backend="numpy")
        result = pool(x, *window, **options, backend="numba")
        assert_same(result.output, expected.output)
        assert_same(result.indices, expected.indices)
        found = fastpool.minpool2d(x, *window, **options, backend="numba")
        assert_same(found, expected.output)

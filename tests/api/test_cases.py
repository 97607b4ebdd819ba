"""Cases that broke other libraries, and the semantics one by one."""

import tracemalloc

import numpy as np
import oracle
import pytest
import strategies
from bits import assert_same

import fastpool
from fastpool.cli import check

pytestmark = pytest.mark.whole(backend="numba")  # quick: test_members

NAN_BITS = {np.dtype(np.float16): 0x7C01, np.dtype(np.float32): 0x7F800001}


@pytest.mark.parametrize("memory", check.MEMORIES)
@pytest.mark.parametrize("name", strategies.DTYPES)
def test_every_dtype_in_every_memory(backend, name, memory):
    rng = np.random.default_rng(0)
    dtype = check.dtype_of(name)
    for style in check.STYLES:
        values = check.adversarial(rng, (2, 3, 7, 8), dtype, style)
        x = check.in_memory(rng, values, memory)
        expected = oracle.maxpool(x, (3, 2), (2, 1), (1, 0))
        result = fastpool.maxpool2d(x, (3, 2), (2, 1), (1, 0), return_indices=True, backend=backend)
        assert_same(result.output, expected[0])
        assert_same(result.indices, expected[1])
        geometry = ((2, 3, 7, 8), (3, 2), (2, 1), (1, 0))
        gradient = check.in_memory(rng, expected[0], memory)
        indices = check.in_memory(rng, expected[1], memory)
        assert_same(
            fastpool.maxpool2d_backward(gradient, expected[1], *geometry, backend=backend),
            oracle.scatter(gradient, expected[1], geometry[0], True, *geometry[1:]),
            any_nan=True,
        )
        if memory != "broadcast":
            fastpool.maxpool2d_backward(gradient, indices, *geometry, backend=backend)


def test_first_of_equal_maxima(backend):
    x = np.array([[1, 7, 7], [7, 7, 0], [0, 0, 7]])
    output, indices = fastpool.maxpool2d(x, 3, return_indices=True, backend=backend)
    assert (output.tolist(), indices.tolist()) == ([[7]], [[1]])
    codes = fastpool.maxpool2d(
        x, 2, 1, return_indices=True, index_format="window", backend=backend
    ).indices
    assert codes.tolist() == [[1, 0], [0, 0]]
    assert codes.dtype == np.uint8


def test_gradient_goes_to_one_of_the_tied_cells(backend):
    x = np.ones((2, 3, 4, 4), np.float32)
    _, indices = fastpool.maxpool2d(x, 2, return_indices=True, backend=backend)
    gradient = np.ones((2, 3, 2, 2), np.float32)
    result = fastpool.maxpool2d_backward(gradient, indices, x.shape, 2, backend=backend)
    expected = np.zeros_like(x)
    expected[..., ::2, ::2] = 1
    assert_same(result, expected)


@pytest.mark.parametrize(("first", "second"), [(0.0, -0.0), (-0.0, 0.0)])
def test_signed_zeros_are_equal_and_kept(backend, first, second):
    for name in [name for name in strategies.DTYPES if "float" in name] + ["int8"]:
        x = np.array([[first, second]], check.dtype_of(name))
        output, indices = fastpool.maxpool2d(x, (1, 2), return_indices=True, backend=backend)
        assert indices.item() == 0
        assert_same(output, x[:, :1])


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", NAN_BITS, ids=str)
def test_nan_at_each_position(backend, dtype, layout):
    """The first NaN wins with its payload, in vector lanes and tails, for 1 to 17 channels."""
    bits = np.dtype(f"u{dtype.itemsize}")
    for channels in range(1, 18):
        for position in range(9):
            x = np.arange(channels * 9, dtype=dtype).reshape(channels, 3, 3)
            x[:, 2, 2] = np.inf
            codes = x.reshape(channels, 9).view(bits)
            codes[:, position:] = NAN_BITS[dtype] + np.arange(position, 9)
            x = x[np.newaxis] if layout == "NCHW" else np.moveaxis(x, 0, -1)[np.newaxis]
            result = fastpool.maxpool2d(x, 3, return_indices=True, layout=layout, backend=backend)
            assert (result.indices == position).all()
            assert (result.output.copy().view(bits) == NAN_BITS[dtype] + position).all()


@pytest.mark.parametrize("value", [-np.inf, np.nan])
def test_uniform_windows(backend, value):
    for shape in ((5, 5), (2, 70, 70)):
        x = np.full(shape, value, np.float32)
        output, indices = fastpool.maxpool2d(x, 3, 1, 1, return_indices=True, backend=backend)
        assert_same(output, x)
        starts = np.maximum(np.arange(shape[-1]) - 1, 0)
        assert (indices == starts[:, np.newaxis] * shape[-1] + starts).all()


def test_padding_is_not_a_number(backend):
    """The lowest integers win against padding."""
    x = np.array([[-1, -2], [-3, -4]])
    output = fastpool.maxpool2d(x, 2, 2, 1, 2, ceil_mode=True, backend=backend)
    assert output.tolist() == [[-4, -4], [-4, -4]]
    for dtype in (np.int8, np.int64):
        x = np.full((3, 3), np.iinfo(dtype).min, dtype)
        output, indices = fastpool.maxpool2d(x, 3, 1, 1, return_indices=True, backend=backend)
        assert_same(output, x)
        assert indices.tolist() == [[0, 0, 1], [0, 0, 1], [3, 3, 4]]


def test_dilation_with_padding(backend):
    x = np.array([1, 9, 2, 8, 3, 7, 4, 6, 5]).reshape(3, 3)
    output, indices = fastpool.maxpool2d(x, 2, 1, 1, 2, return_indices=True, backend=backend)
    expected = oracle.maxpool(x, 2, 1, 1, 2)
    assert_same(output, expected[0])
    assert_same(indices, expected[1])
    row = np.array([[1, 9, 2, 8, 3, 7, 4, 6, 5]])
    output, indices = fastpool.maxpool2d(
        row, (1, 2), 1, (0, 1), 2, return_indices=True, backend=backend
    )
    assert output.tolist() == [[9, 2, 9, 3, 8, 4, 7, 5, 6]]
    assert indices.tolist() == [[1, 2, 1, 4, 3, 6, 5, 8, 7]]


def test_integers_beyond_doubles(backend):
    x = np.array([[2**63 - 2, 2**63 - 1], [-(2**63), -(2**63) + 1]])
    assert fastpool.maxpool2d(x, 2, backend=backend).item() == 2**63 - 1
    assert fastpool.maxpool2d(x, (1, 2), backend=backend).tolist() == [[2**63 - 1], [1 - 2**63]]
    x = np.array([[2**64 - 2, 2**64 - 1]], np.uint64)
    assert fastpool.maxpool2d(x, (1, 2), backend=backend).item() == 2**64 - 1


@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        ((1, 1, 1, 224), (3, 6, 1, 2, True)),
        ((1, 1, 1, 1), (2, 1, 1, 2)),
        ((1, 1), (3, 3, 3)),
        ((4,), (3, 2, 0, 2)),
        ((4, 4), (3, 2, 0, 2)),
    ],
)
def test_windows_without_a_cell(backend, shape, arguments):
    with pytest.raises(ValueError):
        fastpool.maxpool2d(np.ones(shape), *arguments, backend=backend)


@pytest.mark.parametrize("index_format", ["flat", "window"])
@pytest.mark.parametrize(("shape", "layout"), strategies.EMPTY)
def test_empty_axes(backend, shape, layout, index_format):
    """Any axes but the spatial ones, on each call: later ones may be remembered."""
    options = {"layout": layout, "index_format": index_format, "backend": backend}
    at = len(shape) - (2 if layout == "NCHW" else 3)
    pooled = (*shape[:at], 3, 4, *shape[at + 2 :])
    x = np.zeros(shape, np.float32)
    for _ in range(3):
        results = fastpool.maxpool2d(x, 2, return_indices=True, **options)
        output, indices = results
        assert output.shape == indices.shape == pooled
        assert output.dtype == np.float32
        assert indices.dtype == (np.int64 if index_format == "flat" else np.uint8)
        again = fastpool.maxpool2d(x, 2, return_indices=True, out=tuple(results), **options)
        assert again.output is output
        assert fastpool.maxpool2d(x, 2, **options).shape == pooled
        assert fastpool.maxpool2d(x, 2, out=output, **options) is output
        gradient = fastpool.maxpool2d_backward(output, indices, shape, 2, **options)
        assert gradient.shape == shape
        arguments = output, indices, shape, 2
        assert fastpool.maxpool2d_backward(*arguments, out=gradient, **options) is gradient
        arguments = output, indices, 2, None, 0, (7, 8)
        unpooled = fastpool.maxunpool2d(*arguments, **options)
        assert unpooled.shape == shape
        assert fastpool.maxunpool2d(*arguments, out=unpooled, **options) is unpooled


def test_empty_spatial_axes(backend):
    for shape in ((1, 0, 4), (1, 4, 0)):
        with pytest.raises(ValueError, match="empty spatial axis"):
            fastpool.maxpool2d(np.zeros(shape), 1, backend=backend)


def test_gradients_of_overlapping_windows_are_added_in_order(backend):
    """(1e8 + 1) - 1e8 is 0 in float32, and 1e8 - 1e8 + 1 is 1: the order can be seen."""
    indices = np.array([[1, 1, 1]])
    for values, total in (([1e8, 1.0, -1e8], 0.0), ([1e8, -1e8, 1.0], 1.0)):
        gradient = np.array([values], np.float32)
        result = fastpool.maxpool2d_backward(
            gradient, indices, (1, 3), (1, 3), 1, (0, 1), backend=backend
        )
        assert result.tolist() == [[0.0, total, 0.0]]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("index_format", ["flat", "window"])
@pytest.mark.parametrize(
    "window", [(2, 2, 0), (3, 1, 1), (3, 2, 1), (5, 1, 2)], ids=["k2s2", "k3s1", "k3s2", "k5s1"]
)
def test_backward_of_whole_and_broken_vectors(backend, window, index_format, layout):
    """Rows around one and two vectors long, and fewer and more planes than take turns."""
    rng = np.random.default_rng(3)
    for planes, size in ((1, 15), (3, 16), (9, 17), (21, 34), (40, 5)):
        shape = (planes, 7, size) if layout == "NCHW" else (2, 7, planes + 1, size)
        x = rng.integers(0, 9, shape)
        options = {"index_format": index_format, "layout": layout}
        output, indices = fastpool.maxpool2d(x, *window, return_indices=True, **options)
        gradient = rng.standard_normal(output.shape).astype(np.float32)
        arguments = dict(zip(("kernel_size", "stride", "padding"), window, strict=True))
        expected = oracle.scatter(
            gradient, indices, shape, True, **arguments, dilation=1, ceil_mode=False, **options
        )
        call = (shape, *window)
        result = fastpool.maxpool2d_backward(gradient, indices, *call, **options, backend=backend)
        assert_same(result, expected)
        for place in sorted(rng.integers(0, indices.size, 2))[::-1]:
            indices.reshape(-1)[place] = 250
            position = [int(n) for n in np.unravel_index(place, indices.shape)]
            with pytest.raises(IndexError) as caught:
                fastpool.maxpool2d_backward(gradient, indices, *call, **options, backend=backend)
            assert f"indices{position} = 250 " in str(caught.value)


def test_negative_zero_gradient_becomes_positive(backend):
    gradient = np.array([[-0.0]], np.float32)
    for stride in (1, 2):
        result = fastpool.maxpool2d_backward(
            gradient, [[1]], (1, 2), (1, 2), stride, backend=backend
        )
        assert_same(result, np.zeros((1, 2), np.float32))


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_half_gradients_are_added_in_float32(backend, name):
    """2048 + 1 + 1 is 2048 in float16, where each step rounds, and 2050 with one rounding."""
    if name not in strategies.DTYPES:
        pytest.skip("ml_dtypes is not installed")
    dtype = check.dtype_of(name)
    large, small = (2048.0, 1.0) if name == "float16" else (256.0, 1.0)
    gradient = np.array([[large, small, small]], dtype)
    result = fastpool.maxpool2d_backward(
        gradient, [[1, 1, 1]], (1, 3), (1, 3), 1, (0, 1), backend=backend
    )
    assert float(result[0, 1]) == large + 2 * small


def test_integer_gradients_wrap(backend):
    gradient = np.array([[100, 100, 100]], np.int8)
    result = fastpool.maxpool2d_backward(
        gradient, [[1, 1, 1]], (1, 3), (1, 3), 1, (0, 1), backend=backend
    )
    assert result.tolist() == [[0, 44, 0]]


def test_later_value_wins_in_unpool(backend):
    values = np.arange(1.0, 10.0).reshape(1, 3, 3)
    indices = np.zeros((1, 3, 3), np.int64)
    result = fastpool.maxunpool2d(values, indices, 2, backend=backend)
    assert result[0, 0, 0] == 9
    assert result.sum() == 9


def test_unpool_takes_any_cell_of_the_plane(backend):
    indices = np.array([[15, 0], [3, 12]])
    result = fastpool.maxunpool2d([[1, 2], [3, 4]], indices, 2, backend=backend)
    assert result.ravel()[[15, 0, 3, 12]].tolist() == [1, 2, 3, 4]
    assert result.sum() == 10


def test_one_big_plane(backend):
    """Large enough for several threads and blocks, with windows across their borders."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 50, (700, 900)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(x, (7, 5))[::2, ::3]
    codes = windows.reshape(*windows.shape[:2], -1).argmax(axis=-1)
    output, indices = fastpool.maxpool2d(
        x, (7, 5), (2, 3), return_indices=True, index_format="window", backend=backend
    )
    assert (indices == codes).all()
    assert_same(output, np.ascontiguousarray(windows.max(axis=(2, 3))))
    gradient = rng.standard_normal(output.shape).astype(np.float32)
    result = fastpool.maxpool2d_backward(
        gradient, indices, x.shape, (7, 5), (2, 3), index_format="window", backend=backend
    )
    oh, ow = np.indices(codes.shape)
    expected = np.zeros_like(x)
    np.add.at(expected, (2 * oh + codes // 5, 3 * ow + codes % 5), gradient)
    assert_same(result, expected)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_layouts_agree(backend, layout):
    rng = np.random.default_rng(2)
    x = rng.integers(0, 9, (2, 3, 13, 11)).astype(np.int16)
    expected = oracle.maxpool(x, 3, 2, 1)
    if layout == "NHWC":
        x = np.moveaxis(x, 1, -1)
        expected = [np.moveaxis(array, 1, -1) for array in expected]
    for memory in (x, np.ascontiguousarray(x)):
        result = fastpool.maxpool2d(
            memory, 3, 2, 1, return_indices=True, layout=layout, backend=backend
        )
        assert_same(result.output, expected[0])
        assert_same(result.indices, expected[1])


def test_array_likes(backend):
    assert fastpool.maxpool2d([[1, 2], [3, 4]], 2, backend=backend).tolist() == [[4]]
    assert fastpool.maxpool2d([[True, False]], (1, 2), backend=backend).tolist() == [[True]]
    matrix = np.arange(4).reshape(2, 2).view(np.recarray)
    assert type(fastpool.maxpool2d(matrix, 2, backend=backend)) is np.ndarray


def test_arguments_may_be_arrays(backend):
    x = np.random.default_rng(0).integers(0, 9, (3, 7, 8))
    expected = fastpool.maxpool2d(x, (2, 3), (1, 2), ((0, 1), (1, 0)), backend=backend)
    arguments = map(np.array, ((2, 3), (1, 2), ((0, 1), (1, 0)), 1))
    assert_same(fastpool.maxpool2d(x, *arguments, backend=backend), expected)


def test_memory_mapped_input(backend, tmp_path):
    path = tmp_path / "x.npy"
    values = np.random.default_rng(0).standard_normal((3, 40, 50))
    np.save(path, values)
    x = np.load(path, mmap_mode="r")
    output, indices = fastpool.maxpool2d(x, 5, 2, return_indices=True, backend=backend)
    expected = oracle.maxpool(values, 5, 2)
    assert_same(output, expected[0])
    assert_same(indices, expected[1])


def test_absurd_strides_of_axes_of_length_one(backend):
    x = np.lib.stride_tricks.as_strided(
        np.array([[3.0, 4.0]]), (1, 1, 1, 2), (2**40 + 1, -(2**50), 2**33 + 3, 8)
    )
    output, indices = fastpool.maxpool2d(x, (1, 2), return_indices=True, backend=backend)
    assert (output.item(), indices.item()) == (4.0, 1)


@pytest.mark.whole
def test_broadcast_input_is_read_where_it_is(backend):
    """A row of half a MB that stands for 64 MB: a copy would be seen."""
    row = np.arange(2**17, dtype=np.float32)
    x = np.broadcast_to(row, (2**7, 2**17))
    tracemalloc.start()
    try:
        output = fastpool.maxpool2d(x, (2**7, 2**11), backend=backend)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (output == row[2**11 - 1 :: 2**11]).all()
    assert peak < x.nbytes / 2


def test_working_memory_of_numpy():
    """A 31x31 window costs no 961 copies of the input."""
    x = np.random.default_rng(0).standard_normal((1, 3, 512, 512)).astype(np.float32)
    tracemalloc.start()
    try:
        output, indices = fastpool.maxpool2d(x, 31, 1, 15, return_indices=True, backend="numpy")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * (output.nbytes + indices.nbytes)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_no_floating_point_errors(backend, dtype):
    """Whatever the values, and whatever NumPy is told to do about them."""
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    rng, shape = np.random.default_rng(0), (2, 3, 9, 8)
    for style in check.STYLES:
        x = check.adversarial(rng, shape, check.dtype_of(dtype), style)
        for arguments in ((2,), (3, 1), (9, 1, 4)):
            with np.errstate(all="raise"):
                output, indices = fastpool.maxpool2d(
                    x, *arguments, return_indices=True, backend=backend
                )
                fastpool.maxpool2d_backward(output, indices, shape, *arguments, backend=backend)
                fastpool.maxunpool2d(
                    output, indices, *arguments, output_size=shape, backend=backend
                )

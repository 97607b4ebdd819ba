"""The rules of sizes, and that their arithmetic is exact for hostile numbers."""

import numpy as np
import oracle
import pytest
import strategies
from hypothesis import example, given
from hypothesis import strategies as st

import fastpool
from fastpool.rules import arguments as rules
from fastpool.rules import indices
from fastpool.rules.empty_windows import first_empty_window
from fastpool.rules.geometry import pooled, unpooled


def geometry(
    shape, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, layout="NCHW"
):
    windows = rules.windows("f", len(layout) - 2, kernel_size, stride, padding, dilation)
    return pooled("f", "x", shape, windows, ceil_mode, layout)


def unpooled_geometry(shape, kernel_size, stride, padding, output_size):
    windows = rules.windows("f", 2, kernel_size, stride, padding, 1)
    return unpooled("f", shape, windows, output_size, "NCHW")


@pytest.mark.parametrize(
    ("shape", "arguments", "expected"),
    [
        ((1, 1, 6, 7), {"kernel_size": 1, "stride": 2, "ceil_mode": True}, (3, 4)),
        ((1, 1, 2, 2), {"kernel_size": 1, "stride": 2, "ceil_mode": True}, (1, 1)),
        ((3, 3), {"kernel_size": 5, "stride": 3, "ceil_mode": True}, (1, 1)),
        ((5, 5), {"kernel_size": 2, "stride": 2, "ceil_mode": True}, (3, 3)),
        ((5, 5), {"kernel_size": 2, "stride": 2}, (2, 2)),
        ((5, 6), {"kernel_size": 3, "stride": 2, "padding": "same"}, (3, 3)),
        ((5, 6), {"kernel_size": 3, "stride": 2, "padding": "valid"}, (2, 2)),
        ((5, 6), {"kernel_size": (2, 3), "stride": 1, "padding": ((1, 0), (0, 2))}, (5, 6)),
    ],
)
def test_output_size(shape, arguments, expected):
    assert geometry(shape, **arguments).output_shape[-2:] == expected


@given(strategies.geometries())
def test_axes_agree_with_stepping(case):
    shape, arguments = case
    del arguments["index_format"]
    try:
        _, *expected = oracle.windows(shape, **arguments)
    except ValueError:
        with pytest.raises(ValueError):
            geometry(shape, **arguments)
        return
    result = geometry(shape, **arguments)
    for axis, windows in zip(result.axes, expected, strict=True):
        assert axis.output == len(windows)
        assert axis.first_taps.tolist() == [taps[0][0] for taps in windows]
        assert axis.tap_counts.tolist() == [len(taps) for taps in windows]


def first_empty_by_stepping(size, output, kernel, stride, dilation, pad_low):
    for o in range(output):
        start = o * stride - pad_low
        if not any(0 <= start + k * dilation < size for k in range(kernel)):
            return o
    return None


@given(*[st.integers(1, 12)] * 5, st.integers(0, 40))
def test_first_empty_window(size, output, kernel, stride, dilation, pad_low):
    arguments = size, output, kernel, stride, dilation, pad_low
    assert first_empty_window(*arguments) == first_empty_by_stepping(*arguments)


@given(st.integers(1, 60), st.integers(1, 200), st.integers(1, 99), st.integers(0, 5000))
@example(7, 89, 30, 4321)
def test_first_empty_window_of_long_kernels(size, dilation, stride, pad_low):
    kernel = pad_low // dilation + 2
    arguments = size, 300, kernel, stride, dilation, pad_low
    assert first_empty_window(*arguments) == first_empty_by_stepping(*arguments)


def test_hostile_geometry_is_judged_at_once():
    """2**40 windows, of which the first to step over the input is far away."""
    empty = first_empty_window(10**6 - 1, 2**40, 2**41, 1, 10**6, 2**40)
    assert empty is not None
    assert (empty - 2**40) % 10**6 == 10**6 - 1


HUGE = 2**63 - 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": HUGE},
        {"kernel_size": HUGE, "stride": 1, "padding": HUGE // 2},
        {"kernel_size": HUGE, "stride": HUGE, "ceil_mode": True},
        {"kernel_size": 2**64},
        {"kernel_size": 8608480567731124087, "padding": 1250999896764, "dilation": 1250999896764},
        {"kernel_size": 2, "dilation": HUGE, "ceil_mode": True},
        {"kernel_size": 2, "padding": 2**62, "dilation": 2**62},
        {"kernel_size": 2, "stride": -1},
        {"kernel_size": (HUGE, 1), "padding": (HUGE, 0), "stride": HUGE},
        {"kernel_size": (2, 2**70)},
        {"kernel_size": 1, "padding": 2**64},
    ],
)
def test_hostile_numbers_are_value_errors(backend, arguments):
    x = np.zeros((1, 1, 4, 4), np.float32)
    with pytest.raises(ValueError):
        fastpool.maxpool2d(x, **arguments, backend=backend)
    with pytest.raises(ValueError):
        fastpool.maxpool2d_backward(x, x.astype(int), x.shape, **arguments, backend=backend)


@pytest.mark.parametrize("index_format", ["flat", "window"])
@pytest.mark.whole(backend="numba")
def test_large_but_valid_numbers(backend, index_format):
    """One window over everything; stride and kernel far beyond the input."""
    x = np.arange(16.0).reshape(4, 4)
    result = fastpool.maxpool2d(
        x, 60_001, HUGE, 30_000, return_indices=True, index_format=index_format, backend=backend
    )
    assert result.output.tolist() == [[15.0]]
    tap = 30_003
    assert result.indices.tolist() == [[15 if index_format == "flat" else tap * 60_001 + tap]]
    assert result.indices.dtype == (np.int64 if index_format == "flat" else np.uint32)
    gradient = fastpool.maxpool2d_backward(
        [[2.0]], result.indices, (4, 4), 60_001, HUGE, 30_000, index_format=index_format,
        backend=backend,
    )  # fmt: skip
    assert gradient.sum() == gradient[3, 3] == 2.0


@pytest.mark.parametrize("dtype", [np.int8, np.float32])
@pytest.mark.parametrize("dilation", [2**31 + 1, 2**53 + 1, 2**60, 2**61 - 1, 2**62 - 41])
@pytest.mark.whole(backend="numba")
def test_huge_dilations(backend, dilation, dtype):
    """Times the width they exceed 64 bits; of the taps that far apart, one row lies inside."""
    x = np.random.default_rng(0).integers(0, 99, (2, 32, 40)).astype(dtype)
    plane = np.arange(x[0].size).reshape(x[0].shape)
    for kernel, pad, top in ((1, 0, 0), (2, dilation, 0), (2, dilation - 3, 3), (3, dilation, 0)):
        if kernel == 3 and 2 * dilation + 32 >= 2**62:
            continue
        output, indices = fastpool.maxpool2d(
            x, (kernel, 1), 1, ((pad, 0 if kernel < 3 else dilation), (0, 0)), (dilation, 1),
            return_indices=True, backend=backend,
        )  # fmt: skip
        assert (output == x[:, top:]).all()
        assert (indices == plane[top:]).all()


@pytest.mark.parametrize("kernel", [2**16 + 1, 2**32 + 1, 2**40 + 1, 2**53 + 1])
@pytest.mark.whole(backend="numba")
def test_indices_of_any_kernel(backend, kernel):
    x = np.arange(16.0).reshape(4, 4)
    indices = fastpool.maxpool2d(
        x, (kernel, 3), 2, (kernel // 2, 1), return_indices=True, backend=backend
    ).indices
    assert indices.tolist() == [[13, 15], [13, 15]]


@pytest.mark.whole(backend="numba")
def test_many_empty_taps_cost_nothing(backend):
    """A kernel of 2 * 10**9 + 1 taps a side: time and memory depend on the input alone."""
    x = np.arange(16.0).reshape(4, 4)
    kernel, pad = 2 * 10**9 + 1, 10**9
    for stride in (1, 10**9):
        output = fastpool.maxpool2d(x, kernel, stride, pad, backend=backend)
        assert output.tolist() == ([[15.0]] if stride > 1 else np.full((4, 4), 15.0).tolist())
    output = fastpool.maxpool2d(x, 2 * 10**9, 10**9, pad, backend=backend)
    assert output.tolist() == [[15.0]]


def test_window_codes_have_the_smallest_dtype():
    for kernel, dtype in ((16, np.uint8), (17, np.uint16), (256, np.uint16), (257, np.uint32)):
        assert indices.dtype_of(geometry((300, 300), kernel), "window") == dtype
    with pytest.raises(ValueError, match=r"2\*\*32"):
        indices.check_taps("f", (2**17, 2**16), "window")


def test_length_beyond_32_bits():
    """Float32 rounds 2**24 + 1; a product of 32-bit sizes wraps."""
    assert geometry((1, 16777217), 1).output_shape == (1, 16777217)
    shape = (2**20, 2**20, 1, 2)
    assert geometry(shape, (1, 2)).output_shape == (2**20, 2**20, 1, 1)
    assert geometry((1, 2**33 + 1), (1, 2)).output_shape == (1, 2**32)


@pytest.mark.parametrize(
    ("output_size", "expected"),
    [(None, (4, 6)), ((5, 7), (5, 7)), ((2, 3, 5, 7), (5, 7)), ([3, 5], (3, 5))],
)
def test_unpooled_size(output_size, expected):
    result = unpooled_geometry((2, 3, 2, 3), 2, 2, 0, output_size)
    assert result.input_shape == (2, 3, *expected)


def test_unpooled_size_with_same_padding():
    """All sizes that pool to (2, 3) and no others."""
    for height in range(1, 7):
        arguments = (3, 2, "same", (height, 5))
        if height in (3, 4):
            assert unpooled_geometry((2, 3), *arguments).input_shape == (height, 5)
            assert geometry((height, 5), 3, 2, "same").output_shape == (2, 3)
        else:
            with pytest.raises(ValueError, match="out of reach"):
                unpooled_geometry((2, 3), *arguments)
    assert unpooled_geometry((2, 3), 3, 2, "same", None).input_shape == (4, 6)

"""Sums and averages, and the gradient of the average, against plain loops, to the bit."""

import itertools
import math

import numpy as np
import oracle
import pytest
import strategies
from bits import assert_same
from hypothesis import given
from hypothesis import strategies as st

import fastpool
from fastpool.cli import check

LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}
FLOATS = [name for name in strategies.DTYPES if "float" in name]
WHOLE = [name for name in strategies.DTYPES if "float" not in name]

# For each number of axes: sizes, and windows that tile; that overlap and reach into the padding;
# that leave gaps; that are trees, one of them dilated; and that stick out far.
CASES = {
    1: ((37,), (
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 2, "padding": ((1, 3),), "ceil_mode": True},
        {"kernel_size": 9, "stride": 1, "padding": ((5, 8),), "dilation": 2},
        {"kernel_size": 67, "stride": 3, "padding": ((40, 33),)},
        {"kernel_size": 90, "stride": 40, "padding": ((266, 250),), "dilation": 3},
    )),
    2: ((7, 20), (
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": (1, 2), "padding": ((1, 0), (2, 1)), "ceil_mode": True},
        {"kernel_size": (3, 2), "stride": (4, 5), "padding": "same", "dilation": (1, 2)},
        {"kernel_size": (9, 11), "stride": 1, "padding": (5, 6)},
        {"kernel_size": (13, 7), "stride": (2, 1), "padding": ((12, 9), (5, 1)),
         "dilation": (1, 2)},
        {"kernel_size": (2, 100), "stride": (3, 9), "padding": ((0, 0), (99, 90))},
    )),
    3: ((4, 5, 18), (
        {"kernel_size": 2},
        {"kernel_size": (2, 2, 3), "stride": (1, 2, 2), "padding": ((1, 0), (0, 1), (2, 1))},
        {"kernel_size": (5, 3, 6), "stride": (1, 2, 3), "padding": ((2, 3), (1, 1), (4, 0))},
        {"kernel_size": (2, 60, 2), "stride": (2, 9, 3), "padding": ((1, 0), (57, 58), (0, 0))},
    )),
}  # fmt: skip
WINDOWS = [(n, number) for n, (_, windows) in CASES.items() for number in range(len(windows))]


def functions(n):
    """The average, its gradient and the sum of so many axes."""
    names = f"avgpool{n}d", f"avgpool{n}d_backward", f"sumpool{n}d"
    return tuple(getattr(fastpool, name) for name in names)


def shape_of(sizes, layout, lead=(2,), channels=3):
    return (*lead, *sizes, channels) if layout.endswith("C") else (*lead, channels, *sizes)


def check_all(x, arguments, backend, gradients=True, **options):
    """Sums, averages and gradients."""
    n = len(arguments["layout"]) - 2
    average, backward, total = functions(n)
    expected = oracle.avgpool(x, **arguments, **options)
    assert_same(average(x, **arguments, **options, backend=backend), expected, any_nan=True)
    kept = {name: value for name, value in options.items() if name == "dtype"}
    sums = oracle.avgpool(x, **arguments, **kept, sums=True)
    assert_same(total(x, **arguments, **kept, backend=backend), sums, any_nan=True)
    if gradients and x.dtype.name in FLOATS:
        options.pop("dtype", None)
        gradient = check.adversarial(np.random.default_rng(1), expected.shape, x.dtype, "random")
        right = oracle.avgpool_backward(gradient, x.shape, **arguments, **options)
        found = backward(gradient, x.shape, **arguments, **options, backend=backend)
        assert_same(found, right, any_nan=True)


@pytest.mark.parametrize("name", strategies.DTYPES)
def test_every_dtype(name, backend):
    """Values with ties, zeros, NaNs and all bits; integers give floats, and integers."""
    rng, dtype = np.random.default_rng(0), check.dtype_of(name)
    sizes, windows = CASES[2]
    for style in ("ties", "nans", "bits", "random"):
        x = check.adversarial(rng, shape_of(sizes, "NCHW"), dtype, style)
        # Each window and dtype of a result compiles for a second.
        check_all(x, {**windows[name in WHOLE], "layout": "NCHW"}, backend)
        if name in WHOLE:
            result = "uint8" if name == "bool" else name
            check_all(x, {**windows[0], "layout": "NCHW"}, backend, dtype=result)


@pytest.mark.numba
@pytest.mark.parametrize(("n", "number"), [(1, 4), (2, 0), (2, 1), (2, 3), (3, 1)])
def test_window(n, number):
    """One of each kind of kernel; `test_every_window` has all."""
    test_every_window(n, number, "numba")


@pytest.mark.whole(backend="numba")
@pytest.mark.parametrize(("n", "number"), WINDOWS)
def test_every_window(n, number, backend):
    """With what counts as a divisor in all ways."""
    rng, (sizes, windows) = np.random.default_rng(0), CASES[n]
    for layout, (padded, divisor) in zip(
        LAYOUTS[n] * 2, ((True, None), (False, None), (True, -6), (True, 8)), strict=True
    ):
        x = rng.standard_normal(shape_of(sizes, layout)).astype(np.float32)
        options = {"count_include_pad": padded, "divisor_override": divisor}
        check_all(x, {**windows[number], "layout": layout}, backend, **options)


@pytest.mark.whole
@pytest.mark.parametrize("name", ["float16", "int8", "uint64"])
@pytest.mark.parametrize(("n", "number"), WINDOWS)
def test_every_window_and_dtype(n, number, name, backend):
    rng, (sizes, windows), dtype = np.random.default_rng(0), CASES[n], check.dtype_of(name)
    for layout, memory in zip(LAYOUTS[n], ("strided", "swapped"), strict=True):
        x = check.adversarial(rng, shape_of(sizes, layout, (), 2), dtype, "random")
        x = check.in_memory(rng, x, memory)
        check_all(x, {**windows[number], "layout": layout}, backend)
        if name in WHOLE:
            check_all(x, {**windows[number], "layout": layout}, backend, dtype=name)


# Kernel, stride, padding and dilation of windows that are summed in registers.
SMALL = [
    (2, 2, 0, 1), (3, 2, 1, 1), (3, 1, 1, 1), ((4, 5), 2, 1, (1, 2)), ((1, 3), 1, (0, 2), (1, 2)),
    (2, 1, 0, 1), ((2, 3), 3, 1, 1),
]  # fmt: skip


@pytest.mark.whole
@pytest.mark.parametrize("name", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("window", SMALL)
def test_small_windows_in_rows_of_all_lengths(name, window):
    """Vectors that end within a row, planes side by side, rows outside; both backends agree."""
    pytest.importorskip("numba")
    rng, dtype = np.random.default_rng(0), check.dtype_of(name)
    kernel, stride, padding, dilation = window
    same = {"dtype": name} if name in WHOLE else {}
    for lead, height, width, channels in itertools.product(
        ((1,), (70,)), (7,), (9, 14, 28, 130), (0, 3, 64)
    ):
        layout = LAYOUTS[2][channels > 0]
        shape = (*lead, height, width, channels) if channels else (*lead, height, width)
        if math.prod(shape) > 2**18:
            continue
        x = check.adversarial(rng, shape, dtype, "random")
        arguments = {"kernel_size": kernel, "stride": stride, "padding": padding,
                     "dilation": dilation, "layout": layout}  # fmt: skip
        found = [
            fastpool.avgpool2d(x, **arguments, **same, backend=each) for each in ("numpy", "numba")
        ]
        assert_same(*found, any_nan=True)
        if name in FLOATS:
            gradient = check.adversarial(rng, found[0].shape, dtype, "random")
            answers = [
                fastpool.avgpool2d_backward(gradient, shape, **arguments, backend=each)
                for each in ("numpy", "numba")
            ]
            assert_same(*answers, any_nan=True)


@pytest.mark.whole(backend="numba")
@given(st.data(), strategies.geometries(), strategies.dtypes())
def test_any_geometry(backend, data, geometry, dtype):
    shape, arguments = geometry
    del arguments["index_format"]
    x = data.draw(strategies.arrays(shape, dtype))
    options = {
        "count_include_pad": data.draw(st.booleans()),
        "divisor_override": data.draw(st.sampled_from((None, None, -3, 2))),
    }
    try:
        oracle.avgpool(x, **arguments)
    except ValueError:
        with pytest.raises(ValueError, match="avgpool2d: "):
            fastpool.avgpool2d(x, **arguments, backend=backend)
        return
    check_all(x, arguments, backend, **options)


class TestBits:
    """What the definition says in words."""

    def test_one_tap_after_the_other(self, backend):
        """Of up to 64 taps: what is small is lost beside what is large, but not in a tree."""
        x = np.ones(65, np.float32)
        x[0] = 2**24
        assert fastpool.sumpool1d(x, 64, backend=backend)[0] == 2**24
        assert fastpool.sumpool1d(x, 65, backend=backend)[0] == 2**24 + 64

    def test_many_ones(self, backend):
        """No sum stalls: one after the other, float32 ends at 2**24, and float16 at 2048."""
        assert fastpool.avgpool1d(np.ones(2**25, np.float32), 2**25, backend=backend) == 1
        assert fastpool.avgpool2d(np.ones((64, 64), np.float16), 64, backend=backend) == 1

    def test_nothing_leaves_its_windows(self, backend):
        for kernel, value in itertools.product((3, 9), (np.nan, np.inf, 1e30)):
            x = np.ones((30, 30), np.float32)
            x[15, 15] = value
            found = fastpool.avgpool2d(x, kernel, 1, backend=backend)
            reached = np.zeros(found.shape, bool)
            reached[16 - kernel : 16, 16 - kernel : 16] = True
            assert ((found != 1) == reached).all()

    def test_zeros_are_positive(self, backend):
        for kernel in (2, 9):
            x = np.full((9, 10), -0.0, np.float32)
            assert not np.signbit(fastpool.avgpool2d(x, kernel, 1, backend=backend)).any()
            gradient = np.full((10 - kernel, 11 - kernel), -0.0, np.float32)
            found = fastpool.avgpool2d_backward(gradient, x.shape, kernel, 1, backend=backend)
            assert not np.signbit(found).any()

    def test_crops(self, backend):
        """A window has the bits that it has alone."""
        x = np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32)
        for kernel in (3, 11):
            whole = fastpool.avgpool2d(x, kernel, 1, backend=backend)
            for top, left in ((0, 0), (3, 7), (21, 30)):
                crop = x[top : top + kernel + 2, left : left + kernel + 4]
                part = fastpool.avgpool2d(crop, kernel, 1, backend=backend)
                assert_same(whole[top : top + 3, left : left + 5], part)

    def test_halves_go_to_the_even_integer(self, backend):
        x = np.array([0, 1, 2, 3, 4, 5, 254, 255, 255, 255], np.uint8)
        found = fastpool.avgpool1d(x, 2, dtype="uint8", backend=backend)
        assert found.tolist() == [0, 2, 4, 254, 255]
        found = fastpool.avgpool1d(-x.astype(np.int16), 2, dtype="int16", backend=backend)
        assert found.tolist() == [0, -2, -4, -254, -255]

    def test_integers_of_64_bits(self, backend):
        """Sums that 64 bits do not hold; and divisors of all sizes."""
        for dtype in (np.int64, np.uint64):
            limits = np.iinfo(dtype)
            x = np.array([limits.max, limits.max - 1, limits.min, limits.max, 5, 6], dtype)
            for window, divisor in itertools.product(
                (2, 3, 6), (None, 1, -7, 10**9 + 7, 2**61 + 1)
            ):
                options = {"dtype": dtype, "divisor_override": divisor}
                found = fastpool.avgpool1d(x, window, **options, backend=backend)
                assert_same(found, oracle.avgpool(x, window, **options, layout="NCW"))


@pytest.mark.whole(backend="numba")
def test_results_in_out(backend):
    """Of any strides; also what no kernel writes: float16 of float64 sums."""
    rng = np.random.default_rng(0)
    for kernel, (dtype, result) in itertools.product(
        (2, 9), (("float32", None), ("float64", "float16"), ("uint8", "uint8"), ("int64", "int64"))
    ):
        x = check.adversarial(rng, (3, 20, 18), check.dtype_of(dtype), "random")
        expected = fastpool.avgpool2d(x, kernel, dtype=result, backend="numpy")
        for memory in ("contiguous", "strided", "reversed", "fortran", "unaligned"):
            out = check.in_memory(rng, np.zeros_like(expected), memory)
            assert fastpool.avgpool2d(x, kernel, dtype=result, out=out, backend=backend) is out
            assert_same(out, expected, any_nan=True)


class TestErrors:
    X = np.ones((1, 4, 4), np.float32)

    def test_divisors(self, backend):
        for divisor in (0, 2**62, -(2**63), 10**30):
            with pytest.raises(ValueError, match="avgpool2d: divisor_override must be"):
                fastpool.avgpool2d(self.X, 2, divisor_override=divisor, backend=backend)
        for divisor in (2.0, True, "2", np.float32(2)):
            with pytest.raises(TypeError, match="avgpool2d: divisor_override must be"):
                fastpool.avgpool2d(self.X, 2, divisor_override=divisor, backend=backend)

    def test_dtypes(self, backend):
        for dtype in ("int32", "bool", "complex64", "datetime64[s]"):
            with pytest.raises(TypeError, match="avgpool2d: "):
                fastpool.avgpool2d(self.X, 2, dtype=dtype, backend=backend)
        with pytest.raises(TypeError, match="gradients are floats"):
            fastpool.avgpool2d_backward(np.ones((1, 2, 2), int), (1, 4, 4), 2, backend=backend)

    def test_flags_and_shapes(self, backend):
        with pytest.raises(TypeError, match="avgpool2d: count_include_pad must be a bool"):
            fastpool.avgpool2d(self.X, 2, count_include_pad=1, backend=backend)
        with pytest.raises(ValueError, match="grad_output has shape"):
            fastpool.avgpool2d_backward(self.X, (1, 4, 4), 2, backend=backend)
        with pytest.raises(ValueError, match="out overlaps"):
            fastpool.avgpool2d(self.X, 1, out=self.X, backend=backend)
        pads = ((2**31, 2**31),) * 2
        with pytest.raises(ValueError, match="2\\*\\*62 taps or more"):
            fastpool.avgpool2d(self.X, 2**31 + 2, padding=pads, backend=backend)

    def test_empty(self, backend):
        for shape, layout in strategies.EMPTY:
            found = fastpool.avgpool2d(np.ones(shape, np.int16), 2, layout=layout, backend=backend)
            assert found.size == 0
            assert found.dtype == np.float64


def test_rows_of_several_tiles(backend):
    """Long rows are summed a part at a time; rows at the border have other divisors."""
    x = np.random.default_rng(0).standard_normal((3, 6, 5000)).astype(np.float32)
    arguments = {"kernel_size": (3, 9), "stride": (1, 2), "padding": (1, 0)}
    for padded in (True, False):
        found = fastpool.avgpool2d(x, **arguments, count_include_pad=padded, backend=backend)
        parts = [
            oracle.avgpool(x[..., start : start + 39], **arguments, count_include_pad=padded)
            for start in (0, 4070, 4100, 4956)
        ]
        for start, part in zip((0, 4070, 4100, 4956), parts, strict=True):
            assert_same(found[..., start // 2 : start // 2 + 16], part)

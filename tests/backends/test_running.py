"""Running sums of integers against NumPy's backend, byte by byte."""

import numpy as np
import pytest
from bits import assert_same

import fastpool
from fastpool.backends.protocol import BackendUnavailable

try:
    from fastpool.backends.numba.division import rounding_by
    from fastpool.backends.numba.kernels import running
    from fastpool.backends.numba.vectors.adding import DIVIDED, MULTIPLIED, WIDE
except (ImportError, BackendUnavailable):
    running = None

pytestmark = pytest.mark.numba
RNG = np.random.default_rng(0)


def whole(shape, dtype):
    limits = np.iinfo(dtype)
    return RNG.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def same(function, x, *arguments, **options):
    """Both backends give the same bytes; the sums run."""
    found = function(x, *arguments, **options, backend="numba")
    assert_same(found, function(x, *arguments, **options, backend="numpy"))


@pytest.fixture(autouse=True)
def walked(monkeypatch):
    """Fail where another kernel answers."""
    from fastpool.backends.numba import summing, sums

    chosen = []
    monkeypatch.setattr(sums, "sums_in_blocks", lambda call: False)
    start = summing.Summing.__init__

    def noted(self, *arguments):
        start(self, *arguments)
        chosen.append(self.walk)

    monkeypatch.setattr(summing.Summing, "__init__", noted)
    yield
    assert all(walk is running.sum_running for walk in chosen)


@pytest.mark.parametrize("channels", [1, 3, 5, 8, 17, 40])
def test_channels_and_padding(channels):
    for kernel, padding in (
        ((5, 9), 2),
        ((1, 30), ((0, 0), (3, 15))),
        ((60, 2), ((30, 1), (0, 1))),
    ):
        x = whole((2, 61, 47, channels), np.uint8)
        same(fastpool.sumpool2d, x, kernel, 1, padding, layout="NHWC")
        options = {"dtype": np.uint8, "layout": "NHWC"}
        same(fastpool.avgpool2d, x, kernel, 1, padding, **options)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "bool"])
def test_rounding(dtype):
    x = RNG.random((70, 300)) < 0.5 if dtype == "bool" else whole((70, 300), dtype)
    result = "uint8" if dtype == "bool" else dtype
    for kernel in (2, 4, (5, 13), 24, 25):  # ties where the taps are even
        same(fastpool.avgpool2d, x, kernel, 1, 1, dtype=result)
    for divisor in (3, -6, 2**12, 1000):
        same(fastpool.avgpool2d, x, 9, 1, divisor_override=divisor, dtype="int32")


def test_quotients_near_ties():
    """Windows of constant cells but one, whose quotients lie as near to a tie as any."""
    for taps in ((25, 25), (25, 24), (127, 129), (180, 90)):
        x = np.full((200, 400), 255, np.uint8)
        x[:: taps[0], :: taps[1]] -= 1
        x[:, 200:] = 0
        x[1 :: taps[0], 200 :: taps[1]] = whole((200, 200), np.uint8)[1 :: taps[0], :: taps[1]]
        same(fastpool.avgpool2d, x, taps, 1, dtype=np.uint8)


def test_each_window_with_its_divisor():
    x = whole((3, 40, 50), np.int16)
    same(fastpool.avgpool2d, x, (7, 11), 1, (3, 5), count_include_pad=False)
    same(fastpool.avgpool2d, x, (7, 11), 1, (3, 5), count_include_pad=False, dtype="int16")
    same(fastpool.avgpool2d, x[:, :, ::2], (7, 11), 1, (3, 5), dtype="float32")


def test_lines_slices_and_wide_integers():
    x = whole((5, 3000), np.uint16)
    same(fastpool.avgpool1d, x, 31, 1, 15, dtype="uint16")
    same(fastpool.avgpool3d, x.reshape(5, 60, 50), (1, 9, 8), 1, (0, 4, 0), dtype="uint16")
    same(fastpool.sumpool2d, whole((40, 50), np.int64), (9, 20), 1)  # they wrap
    same(fastpool.sumpool2d, whole((40, 50), np.uint32), (9, 20), 1)


def test_rows_of_several_tasks():
    x = whole((700, 500), np.uint8)
    same(fastpool.avgpool2d, x, (13, 9), 1, (6, 4), dtype=np.uint8)
    out = np.zeros((700, 1000), np.uint8)
    fastpool.avgpool2d(x, (13, 9), 1, (6, 4), dtype=np.uint8, out=out[:, ::2], backend="numba")
    assert_same(out[:, ::2].copy(), fastpool.avgpool2d(x, (13, 9), 1, (6, 4), dtype=np.uint8))
    assert not out[:, 1::2].any()


def test_how_sums_are_rounded():
    word = np.dtype(np.int32)
    assert rounding_by(625, 160000, word) == (MULTIPLIED, 1 / 625)
    assert rounding_by(600, 160000, word) == (DIVIDED, 600.0)
    assert rounding_by(625, 2**22, word) == (MULTIPLIED + WIDE, 1 / 625)
    assert rounding_by(-64, 2**30, word) == (MULTIPLIED + WIDE, -1 / 64)
    assert rounding_by(3, 2**22, np.dtype(np.int64))[0] is None

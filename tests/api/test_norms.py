"""Norms of windows and their gradients: bits, dtypes, errors."""

import math

import numpy as np
import oracle
import pytest
import strategies
from bits import assert_same

import fastpool
from fastpool.api import norms
from fastpool.cli import check

WINDOWS = (
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": (1, 2), "padding": ((1, 0), (2, 1)), "ceil_mode": True},
    {"kernel_size": (9, 8), "stride": 3, "padding": (4, 3), "dilation": (1, 2)},
)


@pytest.mark.parametrize("name", strategies.DTYPES)
def test_every_dtype(name, backend):
    rng, dtype = np.random.default_rng(0), check.dtype_of(name)
    for number, p in enumerate((1, 2, 3, 7)):
        x = check.adversarial(rng, (2, 9, 20), dtype, ("ties", "random", "nans", "bits")[number])
        windows = WINDOWS[number % 2]
        expected = oracle.lppool(x, p, **windows)
        found = fastpool.lppool2d(x, p, **windows, backend=backend)
        assert_same(found, expected, any_nan=True)


@pytest.mark.parametrize("windows", WINDOWS)
def test_every_layout_and_window(windows, backend):
    x = np.random.default_rng(0).standard_normal((2, 20, 17, 3)).astype(np.float32)
    for p in (2, 5):
        found = fastpool.lppool2d(x, p, **windows, layout="NHWC", backend=backend)
        assert_same(found, oracle.lppool(x, p, **windows, layout="NHWC"))
    for pool, sizes in ((fastpool.lppool1d, (40,)), (fastpool.lppool3d, (4, 5, 6))):
        x = np.random.default_rng(0).standard_normal((2, *sizes))
        layout = {1: "NCW", 3: "NCDHW"}[len(sizes)]
        assert_same(pool(x, 3, 2, 1, backend=backend), oracle.lppool(x, 3, 2, layout, stride=1))


def test_infinity(backend):
    """The largest magnitude, of integers that have none too; the first NaN, whatever its place."""
    x = np.array([[-128, 5, 7], [1, -3, -7]], np.int8)
    assert_same(fastpool.lppool2d(x, np.inf, 2, 1, backend=backend), np.array([[128.0, 7.0]]))
    x = np.array([1.0, np.nan, -2.0, -4.0, 0.0, -0.0], np.float32)
    found = fastpool.lppool1d(x, math.inf, 2, backend=backend)
    assert_same(found, np.array([np.nan, 4, 0], np.float32), any_nan=True)
    gradient = np.array([1, 2, 3], np.float32)
    found = fastpool.lppool1d_backward(gradient, x, math.inf, 2, backend=backend)
    assert_same(found[2:], np.array([0, -2, 0, 0], np.float32))


@pytest.mark.parametrize("p", [1, 2, 3, 4])
def test_gradient_is_the_slope(p, backend):
    """Beside differences of the norms themselves."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 2, (3, 7, 8)) * rng.choice((-1, 1), (3, 7, 8))
    windows = {"kernel_size": 3, "stride": 2, "padding": 1}
    gradient = rng.standard_normal(fastpool.lppool2d(x, p, **windows).shape)
    found = fastpool.lppool2d_backward(gradient, x, p, **windows, backend=backend)
    for place in [(0, 0, 0), (1, 3, 4), (2, 6, 7)]:
        up, down = x.copy(), x.copy()
        up[place] += 1e-6
        down[place] -= 1e-6
        slope = (fastpool.lppool2d(up, p, **windows) - fastpool.lppool2d(down, p, **windows)) / 2e-6
        assert abs((slope * gradient).sum() - found[place]) < 1e-7


@pytest.mark.numba
def test_backends_agree():
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float16):
        x = check.adversarial(rng, (3, 20, 18), np.dtype(dtype), "random")
        for p, windows in ((2, WINDOWS[1]), (5, WINDOWS[2]), (math.inf, WINDOWS[1])):
            found = [fastpool.lppool2d(x, p, **windows, backend=b) for b in ("numpy", "numba")]
            assert_same(*found, any_nan=True)
            gradient = check.adversarial(rng, found[0].shape, np.dtype(dtype), "random")
            found = [
                fastpool.lppool2d_backward(gradient, x, p, **windows, backend=b)
                for b in ("numpy", "numba")
            ]
            assert_same(*found, any_nan=True)


def test_gradient_at_norm_0(backend):
    x = np.zeros((1, 4, 4), np.float32)
    for p in (1, 2, 3, np.inf):
        gradient = np.ones((1, 2, 2), np.float32)
        found = fastpool.lppool2d_backward(gradient, x, p, 2, backend=backend)
        assert (found == 0).all()


def test_large_and_small_numbers(backend):
    """Squares that float32 does not hold."""
    x = np.array([3e30, 4e30, 3e-30, 4e-30], np.float32)
    found = fastpool.lppool1d(x, 2, 2, backend=backend)
    np.testing.assert_allclose(found, [5e30, 5e-30], rtol=1e-7)


def test_blocks(monkeypatch, backend):
    """Of few planes each; the results are the same."""
    x = np.random.default_rng(0).standard_normal((7, 2, 9, 8)).astype(np.float32)
    gradient = np.ones((7, 2, 4, 4), np.float32)
    calls = (
        lambda: fastpool.lppool2d(x, 2, 2, backend=backend),
        lambda: fastpool.lppool2d_backward(gradient, x, 2, 2, backend=backend),
    )
    expected = [call() for call in calls]
    monkeypatch.setattr(norms, "BLOCK", 400)
    for call, right in zip(calls, expected, strict=True):
        assert_same(call(), right)


def test_out(backend):
    x = np.random.default_rng(0).standard_normal((2, 8, 9)).astype(np.float32)
    out = np.zeros((2, 4, 8), np.float32)[..., ::2]
    assert fastpool.lppool2d(x, 2, 2, out=out, backend=backend) is out
    assert_same(out.copy(), fastpool.lppool2d(x, 2, 2, backend=backend))
    with pytest.raises(ValueError, match="lppool2d: out overlaps"):
        fastpool.lppool2d(x, 2, 1, out=x, backend=backend)


def test_errors(backend):
    x = np.ones((2, 6, 7), np.float32)
    for norm, error in (
        (0, ValueError), (-2, ValueError), (1.5, ValueError), (-np.inf, ValueError),
        (np.nan, ValueError), ("2", TypeError), (True, TypeError), (None, TypeError),
    ):  # fmt: skip
        with pytest.raises(error, match="lppool2d: norm_type must be"):
            fastpool.lppool2d(x, norm, 2, backend=backend)
    with pytest.raises(ValueError, match=r"lppool2d: kernel_size .* does not fit"):
        fastpool.lppool2d(x, 2, 9, backend=backend)
    with pytest.raises(TypeError, match="lppool2d_backward: grad_output has dtype int64"):
        fastpool.lppool2d_backward(np.ones((2, 3, 3), int), x, 2, 2, backend=backend)
    with pytest.raises(ValueError, match="lppool2d_backward: grad_output has shape"):
        fastpool.lppool2d_backward(x, x, 2, 2, backend=backend)
    with pytest.raises(TypeError, match="masked"):
        fastpool.lppool2d(np.ma.masked_array(x, x > 0), 2, 2, backend=backend)
    assert fastpool.lppool2d(x, 2.0, 2, backend=backend).shape == (2, 3, 3)
    assert fastpool.lppool2d(x[:0], 2, 2, backend=backend).shape == (0, 3, 3)

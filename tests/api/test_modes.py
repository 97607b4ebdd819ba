"""The most frequent value of windows: ties, places, dtypes, both backends."""

import itertools

import numpy as np
import oracle
import pytest
import strategies
from bits import assert_same
from hypothesis import given
from hypothesis import strategies as st

import fastpool
from fastpool.cli import check

LABELS = [name for name in strategies.DTYPES if "float" not in name]
WINDOWS = (
    {"kernel_size": 2},
    {"kernel_size": (4, 3), "stride": (1, 2), "padding": ((1, 0), (4, 1)), "dilation": 2,
     "ceil_mode": True},
    {"kernel_size": 5, "stride": 2, "padding": 2},
)  # fmt: skip


def check_modes(x, arguments, backend):
    n = len(arguments["layout"]) - 2
    pool = getattr(fastpool, f"modepool{n}d")
    output, indices = oracle.modepool(x, **arguments)
    found = pool(x, **arguments, return_indices=True, backend=backend)
    assert_same(found.output, output)
    assert_same(found.indices, indices)
    assert_same(pool(x, **arguments, backend=backend), output)


@pytest.mark.parametrize("name", LABELS)
def test_every_dtype(name, backend):
    rng, dtype = np.random.default_rng(0), check.dtype_of(name)
    for number, windows in enumerate(WINDOWS):
        x = rng.integers(0, 2 + 2 * number, (2, 9, 14)).astype(dtype)
        limits = (0, 1) if name == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        x[:, 3:6, 4:8] = rng.choice(np.array(limits, dtype), (2, 3, 4))
        form = ("flat", "window")[number % 2]
        check_modes(x, {**windows, "layout": "NCHW", "index_format": form}, backend)


def test_every_layout(backend):
    rng = np.random.default_rng(0)
    for layout, shape in (
        ("NCW", (2, 3, 40)), ("NWC", (2, 40, 3)), ("NHWC", (2, 9, 10, 3)),
        ("NCDHW", (2, 4, 6, 7)), ("NDHWC", (4, 6, 7, 2)),
    ):  # fmt: skip
        for memory in ("contiguous", "strided", "swapped", "reversed"):
            x = check.in_memory(rng, rng.integers(0, 3, shape).astype(np.int16), memory)
            for windows in ({"kernel_size": 2}, {"kernel_size": 3, "stride": 1, "padding": 1}):
                check_modes(x, {**windows, "layout": layout, "index_format": "flat"}, backend)


def test_ties(backend):
    """Of equally frequent values the one whose first cell comes first."""
    for values, index in (
        ((1, 2, 2, 1), 0),
        ((3, 1, 2, 1), 1),
        ((4, 3, 2, 1), 0),
        ((5, 6, 6, 7), 1),
    ):
        x = np.array([values], np.uint8)
        found = fastpool.modepool1d(x, 4, return_indices=True, backend=backend)
        assert found.indices.item() == index
        assert found.output.item() == values[index]


def test_bools_keep_their_bytes(backend):
    x = np.array([[0, 4, 2, 0, 0], [0, 0, 0, 9, 7]], np.uint8).view(bool)
    found = fastpool.modepool1d(x, 5, return_indices=True, backend=backend)
    assert found.output.view(np.uint8).tolist() == [[0], [0]]
    found = fastpool.modepool1d(x[:, 1:4], 3, return_indices=True, backend=backend)
    assert found.output.view(np.uint8).tolist() == [[4], [0]]


def test_many_values(backend):
    """Windows with as many values as cells, and values that collide in a table."""
    x = np.arange(40 * 50, dtype=np.int64).reshape(40, 50) << 33
    x[7, 9] = x[30, 2]
    found = fastpool.modepool2d(x, (40, 50), return_indices=True, backend=backend)
    assert (found.output.item(), found.indices.item()) == (x[30, 2], 7 * 50 + 9)


def test_unpooled(backend):
    x = np.array([[7, 7, 1, 2], [7, 3, 2, 1]], np.uint8)
    output, indices = fastpool.modepool2d(x, 2, return_indices=True, backend=backend)
    found = fastpool.maxunpool2d(output, indices, 2, backend=backend)
    assert_same(found, np.array([[7, 0, 1, 0], [0, 0, 0, 0]], np.uint8))


@pytest.mark.whole(backend="numba")
@given(st.data(), strategies.geometries(), st.sampled_from(LABELS))
def test_any_geometry(backend, data, geometry, name):
    shape, arguments = geometry
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.integers(0, data.draw(st.integers(1, 6)), shape).astype(check.dtype_of(name))
    x = check.in_memory(rng, x, data.draw(st.sampled_from(check.MEMORIES)))
    try:
        oracle.modepool(x, **arguments)
    except ValueError:
        with pytest.raises(ValueError, match="modepool2d: "):
            fastpool.modepool2d(x, **arguments, backend=backend)
        return
    check_modes(x, arguments, backend)


def test_errors(backend):
    x = np.ones((2, 6, 7))
    for dtype in ("float32", "float64", "float16"):
        with pytest.raises(TypeError, match="modepool2d: x has dtype float"):
            fastpool.modepool2d(x.astype(dtype), 2, backend=backend)
    with pytest.raises(ValueError, match="modepool2d: kernel_size"):
        fastpool.modepool2d(x.astype(int), 9, backend=backend)


def test_several_large_planes(backend):
    x = np.random.default_rng(0).integers(0, 3, (2, 96, 64)).astype(np.uint16)
    check_modes(x, {"kernel_size": 2, "stride": 1, "layout": "NCHW"}, backend)


@pytest.mark.numba
@pytest.mark.whole
def test_backends_agree_on_images():
    """Regions of labels, and noise: rows of all lengths, on one thread and on several."""
    rng = np.random.default_rng(0)
    for width, kernel in itertools.product((9, 64, 301), (2, 3, 8)):
        regions = np.kron(rng.integers(0, 9, (2, 8, 30)), np.ones((1, 12, 12), int))
        x = regions[:, :, :width].astype(np.uint16)
        noise = rng.random(x.shape) < 0.1
        x[noise] = rng.integers(0, 60000, noise.sum())
        for stride in (None, 1):
            found = [
                fastpool.modepool2d(x, kernel, stride, return_indices=True, backend=each)
                for each in ("numpy", "numba")
            ]
            assert_same(found[0].output, found[1].output)
            assert_same(found[0].indices, found[1].indices)

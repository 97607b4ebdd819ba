"""Peaks are what loops over cells and plateaus find, and what other libraries find without ties."""

import itertools

import numpy as np
import pytest
import strategies
from bits import assert_same

import fastpool
from fastpool.cli import check
from fastpool.filters import images


def around(cell, radius, shape):
    """The cells within a radius, that one included."""
    for far in itertools.product(*(range(-r, r + 1) for r in radius)):
        other = tuple(a + b for a, b in zip(cell, far, strict=True))
        if all(0 <= at < size for at, size in zip(other, shape, strict=True)):
            yield other


def plateau(x, cell):
    """A cell and the equal ones that it reaches by touching."""
    found, left = {cell}, [cell]
    while left:
        for other in around(left.pop(), (1,) * x.ndim, x.shape):
            if other not in found and x[other] == x[cell]:
                found.add(other)
                left.append(other)
    return found


def expected_peaks(x, radius, least=None, share=None, border=None):
    """The oracle, for one image."""
    known = {cell for cell in np.ndindex(x.shape) if x[cell] == x[cell]}
    values = [float(x[cell]) for cell in known]
    found, seen = [], set()
    for cell in np.ndindex(x.shape):
        if cell not in known or cell in seen or len(set(values)) == 1 or x[cell] == -np.inf:
            continue
        together = plateau(x, cell)
        seen |= together
        if any(
            other in known and x[other] > x[cell]
            for each in together
            for other in around(each, radius, x.shape)
        ):
            continue
        if least is not None and not x[cell] > least:
            continue
        if share is not None and not float(x[cell]) > share * max(values):
            continue
        inside = zip(cell, x.shape, border or (0,) * x.ndim, strict=True)
        near = tuple(r - 1 for r in radius)
        if all(b <= at < n - b for at, n, b in inside) and not any(
            other in around(cell, near, x.shape) for other in found
        ):
            found.append(cell)
    return np.array(found, np.int64).reshape(-1, x.ndim)


def random_case(seed):
    """An image with many ties, and arguments."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 4))
    shape = tuple(map(int, rng.integers(1, (20, 9, 5)[count - 1], count)))
    x = rng.integers(0, int(rng.choice([2, 3, 6, 100])), shape)
    x = x.astype(rng.choice(["uint8", "int16", "float32", "float64", "int64", "float16"]))
    if x.dtype.kind == "f":
        x[rng.random(shape) < (0.2 if seed % 3 == 0 else 0)] = np.nan
        x[rng.random(shape) < (0.2 if seed % 4 == 0 else 0)] = -np.inf
    radius = tuple(map(int, rng.integers(1, 5, count)))
    least = 1 if seed % 2 else None
    share = 0.5 if seed % 5 == 0 else None
    border = tuple(map(int, rng.integers(0, 3, count))) if seed % 7 == 0 else None
    return x, (radius, least, share, border)


def peaks(x, radius, least, share, border, **options):
    border = border or False
    return fastpool.peaks(x, radius, least, threshold_rel=share, exclude_border=border, **options)


@pytest.mark.whole(backend="numba")
@pytest.mark.parametrize("strip", [3, 20, images.STRIP])
@pytest.mark.parametrize("first", range(0, 80, 20))
def test_peaks(first, strip, backend, monkeypatch):
    """In strips of any size."""
    monkeypatch.setattr(images, "STRIP", strip)
    for seed in range(first, first + 20):
        x, arguments = random_case(seed)
        assert_same(peaks(x, *arguments, backend=backend), expected_peaks(x, *arguments))


@pytest.mark.parametrize("first", range(0, 40, 20))
def test_batches(first, monkeypatch):
    """Along whatever axis: each image by itself, and all in row-major order."""
    monkeypatch.setattr(images, "STRIP", 20)
    for seed in range(first, first + 20):
        x, arguments = random_case(seed)
        if x.ndim < 3:
            axis = seed % (x.ndim + 1)
            batch = np.stack([x, x[::-1], np.roll(x, 1)], axis)
            axes = [each for each in range(x.ndim + 1) if each != axis]
            parts = [expected_peaks(batch.take(i, axis), *arguments) for i in range(3)]
            rows = np.concatenate([np.insert(p, axis, i, 1) for i, p in enumerate(parts)])
            got = peaks(batch, *arguments, axes=axes)
            assert got.tolist() == sorted(rows.tolist())


@pytest.mark.numba
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_backends_agree(dtype):
    x = (np.random.default_rng(0).standard_normal((70, 90)) * 30).astype(dtype)
    one, other = (fastpool.peaks(x, 2, backend=backend) for backend in ("numpy", "numba"))
    assert_same(one, other)


@pytest.mark.parametrize("name", strategies.DTYPES)
def test_every_dtype(name):
    x = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    got = fastpool.peaks(x.astype(check.dtype_of(name)), 1, 0, threshold_rel=0.5, num_peaks=2)
    assert got.tolist() == [[0, 2], [1, 0]]


class TestPlateaus:
    def test_one_gives_one(self):
        """A ring that is first in two windows, from one tip to the other."""
        x = np.zeros((6, 7), np.uint8)
        x[1:5, [1, 5]] = x[4, 1:6] = 9
        assert fastpool.peaks(x).tolist() == [[1, 1]]
        assert fastpool.peaks(x[::-1]).tolist() == [[1, 1]]

    def test_none_beside_what_is_larger(self):
        assert fastpool.peaks([1, 5, 5, 9, 1]).tolist() == [[3]]
        assert fastpool.peaks([1, 9, 5, 5, 1]).tolist() == [[1]]
        assert fastpool.peaks([1, 5, 5, 1, 9, 0, 0], 2).tolist() == [[4]]

    def test_a_constant_image_has_none(self):
        assert len(fastpool.peaks(np.ones((4, 5)), threshold=0)) == 0
        x = np.array([[3, 3, 3], [3, 3, 4]])
        assert fastpool.peaks(x, axes=1).tolist() == [[1, 2]]
        assert len(fastpool.peaks([2, np.nan, np.nan, 2])) == 0
        assert len(fastpool.peaks([np.nan, np.nan])) == 0

    def test_equal_ones_too_near(self):
        x = [0, 7, 0, 7, 0, 7, 0]
        assert fastpool.peaks(x, 1).tolist() == [[1], [3], [5]]
        assert fastpool.peaks(x, 2).tolist() == [[1], [3], [5]]

    def test_a_large_one(self):
        """Ways around a spiral are long, and it is one."""
        x = np.zeros((41, 41), np.uint8)
        for ring in range(0, 20, 2):
            x[ring, ring : -ring or None] = x[ring : -ring or None, -ring - 1] = 1
            x[-ring - 1, ring : -ring or None] = x[ring + 2 : -ring or None, ring] = 1
            x[ring + 2, ring : ring + 3] = 1
        assert fastpool.peaks(x).tolist() == expected_peaks(x, (1, 1)).tolist() == [[0, 0]]


def test_nan_is_not_there():
    x = np.array([1, np.nan, 5, 2, np.nan, np.nan, 3, np.nan, 4])
    assert fastpool.peaks(x).tolist() == [[0], [2], [6], [8]]
    assert fastpool.peaks(x, 2).tolist() == [[2], [8]]


def test_thresholds():
    x = np.array([[0, 4, 0, 2, 0, 8, 0], [0, 1, 0, 3, 0, 2, 0]])
    assert fastpool.peaks(x, threshold=3, axes=1).tolist() == [[0, 1], [0, 5]]
    rows = [[0, 5], [1, 3], [1, 5]]
    assert fastpool.peaks(x, threshold_rel=0.5, axes=1).tolist() == rows
    assert fastpool.peaks(x, threshold=2, threshold_rel=0.5, axes=1).tolist() == rows[:2]
    assert fastpool.peaks(x, num_peaks=1, axes=1).tolist() == [[0, 5], [1, 3]]
    assert fastpool.peaks(x, num_peaks=0).shape == (0, 2)
    tied = np.array([0, 2, 0, 3, 0, 2, 0, 2])
    assert fastpool.peaks(tied, num_peaks=3).tolist() == [[1], [3], [5]]


def test_borders():
    x = np.array([9, 0, 8, 0, 7, 0, 6, 0])
    assert fastpool.peaks(x).tolist() == [[0], [2], [4], [6]]
    assert fastpool.peaks(x, exclude_border=True).tolist() == [[2], [4], [6]]
    assert fastpool.peaks(x, exclude_border=2).tolist() == [[2], [4]]
    assert fastpool.peaks(x, exclude_border=9).shape == (0, 1)
    y = np.zeros((5, 5))
    y[1, 2] = y[3, 1] = 1
    assert fastpool.peaks(y, exclude_border=(2, 0)).shape == (0, 2)
    assert fastpool.peaks(y, exclude_border=(0, 2)).tolist() == [[1, 2]]


def test_no_cells():
    assert fastpool.peaks(np.empty((0, 3))).shape == (0, 2)
    assert fastpool.peaks(np.empty((2, 0, 3)), axes=(0, 2)).shape == (0, 3)
    assert fastpool.peaks([[3]]).shape == (0, 2)


def test_non_maximum_suppression_of_detectors():
    """What is left of a heat map whose cells differ from their maxima is 0."""
    heat = np.random.default_rng(0).random((2, 3, 20, 30)).astype(np.float32)
    largest = fastpool.maxpool2d(heat, 3, 1, 1)
    expected = np.argwhere(heat * (largest == heat) > 0.25)
    assert_same(fastpool.peaks(heat, 1, 0.25, axes=(-2, -1)), expected)


@pytest.mark.parametrize("distance", [1, 2, 5])
def test_scikit_image(distance):
    """The same cells where no two are equal; its order is by value."""
    feature = pytest.importorskip("skimage.feature")
    for shape in ((300,), (60, 70), (12, 14, 16)):
        x = np.random.default_rng(distance).permutation(np.prod(shape)).reshape(shape)
        x = x.astype(np.float64)
        for border in (True, False, 3):
            expected = feature.peak_local_max(x, distance, exclude_border=border)
            got = fastpool.peaks(x, distance, exclude_border=border)
            assert got.tolist() == sorted(expected.tolist())
        high = feature.peak_local_max(x, distance, threshold_rel=0.5, num_peaks=7)
        got = fastpool.peaks(x, distance, threshold_rel=0.5, num_peaks=7, exclude_border=True)
        assert got.tolist() == sorted(high.tolist())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"min_distance": 0}, ValueError, "min_distance must be at least 1"),
        ({"min_distance": (1, 2, 3)}, ValueError, "min_distance as a sequence"),
        ({"min_distance": 1.5}, TypeError, "min_distance must be an integer"),
        ({"threshold": "high"}, TypeError, "threshold must be a number"),
        ({"threshold_rel": None, "threshold": [1]}, TypeError, "threshold must be a number"),
        ({"threshold_rel": 1j}, TypeError, "threshold_rel must be a number"),
        ({"exclude_border": -1}, ValueError, "exclude_border must be at least 0"),
        ({"exclude_border": (1,)}, ValueError, "exclude_border as a sequence"),
        ({"num_peaks": -1}, ValueError, "num_peaks must be at least 0"),
        ({"num_peaks": np.inf}, TypeError, "num_peaks must be an integer"),
        ({"axes": ()}, ValueError, "axes must name one to three axes"),
        ({"axes": 2}, ValueError, "axes is out of range"),
        ({"backend": "cuda"}, ValueError, "backend"),
    ],
)
def test_errors(arguments, error, message):
    with pytest.raises(error, match=f"peaks: {message}"):
        fastpool.peaks(np.zeros((4, 5)), **arguments)


def test_images_must_be_named():
    with pytest.raises(ValueError, match=r"peaks: axes must name .* x has shape \(2, 3, 4, 5\)"):
        fastpool.peaks(np.zeros((2, 3, 4, 5)))
    with pytest.raises(TypeError, match="peaks: x is a masked array"):
        fastpool.peaks(np.ma.array([1, 2], mask=[0, 1]))
    with pytest.raises(TypeError, match="peaks: x has dtype complex128"):
        fastpool.peaks([1j])

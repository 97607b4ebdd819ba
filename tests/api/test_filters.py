"""Filters give what pooling of a padded array gives, and SciPy's results."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from bits import assert_same
from numpy.lib.stride_tricks import sliding_window_view

import fastpool
from fastpool.filters import extremes, rectangles
from fastpool.filters.footprints import boxes

# SciPy's names of borders, and NumPy's.
PADS = {
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "mirror": "reflect",
    "nearest": "edge",
    "wrap": "wrap",
    "grid-wrap": "wrap",
    "constant": "constant",
    "grid-constant": "constant",
}
GROUPS = [range(first, first + 10) for first in range(0, 40, 10)]
EXTREMES = {"maximum_filter": np.max, "minimum_filter": np.min}
AVERAGES = {1: fastpool.avgpool1d, 2: fastpool.avgpool2d, 3: fastpool.avgpool3d}
DTYPES = ["uint8", "int16", "int64", "float32", "float64", "bool", ">f4", ">i2"]


def padded(x, size, mode, cval, origin):
    """An array with what lies beyond its edges, as far as its windows reach."""
    for axis, (taps, border, shift) in enumerate(zip(size, mode, origin, strict=True)):
        pads = [(0, 0)] * x.ndim
        low = taps // 2 + shift
        pads[axis] = low, taps - 1 - low
        fill = {"constant_values": cval} if PADS[border] == "constant" else {}
        x = np.pad(x, pads, PADS[border], **fill)
    return x


def extreme(x, size, mode, cval, origin, reduce, footprint=None):
    """The oracle: NumPy's maximum or minimum of every window of the padded array."""
    windows = sliding_window_view(padded(x, size, mode, cval, origin), size)
    shape = np.ones(size, bool) if footprint is None else footprint
    return reduce(windows[..., shape], axis=-1).astype(x.dtype.newbyteorder("="))


class Case:
    """A random array, and arguments for all of its axes."""

    def __init__(self, seed, most=3):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(1, most + 1))
        shape = rng.integers(1, (40, 12, 7, 5)[count - 1], count)
        self.x = (rng.standard_normal(shape) * 60).astype(DTYPES[seed % len(DTYPES)])
        self.size = tuple(map(int, rng.integers(1, 10, count)))
        self.origin = tuple(int(rng.integers(-(n // 2), (n - 1) // 2 + 1)) for n in self.size)
        if seed % 3 == 0:
            self.origin = (0,) * count
        self.mode = [str(mode) for mode in rng.choice(list(PADS), count)]
        self.cval = int(rng.integers(0, 2 if self.x.dtype == bool else 99))
        self.footprint = rng.random(self.size) < 0.5
        self.footprint.flat[0] = True

    @property
    def arguments(self):
        return {"mode": self.mode, "cval": self.cval, "origin": self.origin}

    def __iter__(self):
        return iter((self.x, self.size, self.mode, self.cval, self.origin))


@pytest.fixture(params=EXTREMES)
def name(request):
    return request.param


@pytest.mark.whole(backend="numba")
@pytest.mark.parametrize("seeds", GROUPS)
@pytest.mark.parametrize("small", [0, 10**9], ids=["rims", "a copy"])
def test_extremes(seeds, small, name, backend, monkeypatch):
    """Of any sizes, origins and borders, with rims apart and without."""
    monkeypatch.setattr(rectangles, "SMALL", small)
    for seed in seeds:
        case = Case(seed)
        got = getattr(fastpool, name)(case.x, case.size, backend=backend, **case.arguments)
        assert_same(got, extreme(*case, EXTREMES[name]))


@pytest.mark.whole(backend="numba")
@pytest.mark.parametrize("seeds", GROUPS)
def test_footprints(seeds, name, backend):
    for seed in seeds:
        case = Case(seed)
        got = getattr(fastpool, name)(
            case.x, footprint=case.footprint, backend=backend, **case.arguments
        )
        assert_same(got, extreme(*case, EXTREMES[name], case.footprint))


@pytest.mark.numba
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_backends_agree(dtype):
    """On an array with rims of its own, and its rows side by side with channels."""
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((90, 80, 3)) * 50).astype(dtype)
    for function in (fastpool.maximum_filter, fastpool.minimum_filter, fastpool.uniform_filter):
        one, other = (
            function(x, (3, 4), mode=["wrap", "mirror"], axes=(0, 1), backend=backend)
            for backend in ("numpy", "numba")
        )
        assert_same(one, other)


def test_cells_that_are_skipped_are_not_missed(monkeypatch):
    """Every border, size and origin, on axes shorter and longer than the window."""
    monkeypatch.setattr(rectangles, "SMALL", 0)
    rng = np.random.default_rng(0)
    for length, taps, mode in itertools.product(range(1, 8), range(2, 10), PADS):
        x = rng.permutation(length).astype(np.int16)
        for origin in range(-(taps // 2), (taps - 1) // 2 + 1):
            for name, reduce in EXTREMES.items():
                got = getattr(fastpool, name)(x, taps, mode=mode, origin=origin, backend="numpy")
                expected = extreme(x, (taps,), [mode], 0, (origin,), reduce)
                assert_same(got, expected)


@pytest.mark.parametrize(
    ("mode", "size", "calls"),
    [("reflect", 5, 1), ("reflect", 4, 1), ("mirror", 5, 1), ("nearest", 4, 1), ("wrap", 5, 5)],
)
def test_what_is_pooled(mode, size, calls, monkeypatch):
    """The array itself, once; and small copies where windows see other cells."""
    pooled, pool = [], extremes._pool
    monkeypatch.setattr(extremes, "_pool", lambda *given: (pooled.append(given[2]), pool(*given)))
    x = np.random.default_rng(0).random((100, 90))
    fastpool.maximum_filter(x, size, mode=mode, backend="numpy")
    assert pooled[0] is x
    assert len(pooled) == calls
    assert sum(each.size for each in pooled[1:]) < x.size


def test_boxes_cover_a_footprint():
    rng = np.random.default_rng(0)
    for shape in [(1,), (5,), (4, 5), (3, 4, 3)] * 10:
        footprint, covered = rng.random(shape) < 0.6, np.zeros(shape, bool)
        for box in boxes(footprint):
            assert footprint[box].all()
            covered[box] = True
        assert (covered == footprint).all()
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
    assert len(list(boxes(cross))) == 2


@pytest.mark.whole(backend="numba")
@pytest.mark.parametrize("seeds", GROUPS)
@pytest.mark.parametrize("small", [0, 10**9], ids=["rims", "a copy"])
def test_averages_are_those_of_pooling(seeds, small, backend, monkeypatch):
    """Of the padded array, to the bit; axes of one tap are no axes."""
    monkeypatch.setattr(rectangles, "SMALL", small)
    for seed in seeds:
        case = Case(seed)
        x = case.x.astype(np.uint8) if case.x.dtype == bool else case.x
        got = fastpool.uniform_filter(x, case.size, backend=backend, **case.arguments)
        along = [axis for axis, taps in enumerate(case.size) if taps > 1]
        wide = padded(x, *list(case)[1:])
        if along:
            moved = np.moveaxis(wide, along, range(-len(along), 0))
            kernel = tuple(case.size[axis] for axis in along)
            dtype = x.dtype.newbyteorder("=")
            average = AVERAGES[len(along)](moved, kernel, 1, dtype=dtype, backend="numpy")
            wide = np.moveaxis(average, range(-len(along), 0), along)
        assert_same(got, wide.astype(x.dtype.newbyteorder("=")))


def test_averages_of_integers_are_rounded_once():
    """Halves to even, where SciPy cuts after every axis."""
    x = np.random.default_rng(0).integers(0, 256, (6, 7), dtype=np.uint8)
    got = fastpool.uniform_filter(x, (3, 4), mode="wrap")
    windows = sliding_window_view(padded(x, (3, 4), ["wrap"] * 2, 0, (0, 0)), (3, 4))
    sums = windows.sum((-1, -2), dtype=int)
    assert got.tolist() == [[round(Fraction(int(s), 12)) for s in row] for row in sums]
    assert fastpool.uniform_filter([True, True, False], 2).tolist() == [True, True, False]
    assert fastpool.uniform_filter(np.float32([1, 2]), 2, output=np.uint8).tolist() == [1, 2]
    half = fastpool.uniform_filter(np.array([1, 2, 3], np.int8), 2, output=np.float32)
    assert_same(half, np.array([1, 1.5, 2.5], np.float32))


def test_more_axes_than_a_pass_has(name):
    x = np.random.default_rng(0).integers(0, 1000, (3, 4, 5, 4, 3))
    got = getattr(fastpool, name)(x, (2, 3, 2, 1, 3), mode="wrap")
    expected = extreme(x, (2, 3, 2, 1, 3), ["wrap"] * 5, 0, (0,) * 5, EXTREMES[name])
    assert_same(got, expected)
    got = fastpool.uniform_filter(x, 2, output=float, mode="wrap")
    wide = padded(x, (2,) * 5, ["wrap"] * 5, 0, (0,) * 5)
    assert np.abs(got - sliding_window_view(wide, (2,) * 5).mean((-1, -2, -3, -4, -5))).max() < 1e-9
    whole = fastpool.uniform_filter(x, 2, mode="wrap")
    assert_same(whole, np.rint(got).astype(x.dtype))


def test_axes_have_their_own_entries():
    x = np.random.default_rng(0).integers(0, 99, (9, 8, 7))
    got = fastpool.maximum_filter(x, (5, 2), mode=["wrap", "mirror"], origin=(1, -1), axes=(2, 0))
    expected = extreme(x, (2, 1, 5), ["mirror", "wrap", "wrap"], 0, (-1, 0, 1), np.max)
    assert_same(got, expected)
    assert_same(fastpool.maximum_filter(x, 3, axes=-1), fastpool.maximum_filter(x, (1, 1, 3)))
    corner = np.array([[1, 0, 1], [1, 1, 1]], bool)
    for footprint in (corner, np.ones((2, 3))):  # in the order of the array, as SciPy has it
        got = fastpool.maximum_filter(x, footprint=footprint, axes=(2, 0), origin=(1, 0))
        other = fastpool.maximum_filter(x, footprint=footprint[:, np.newaxis], origin=(0, 0, 1))
        assert_same(got, other)


@pytest.mark.parametrize("function", [fastpool.maximum_filter, fastpool.uniform_filter])
class TestOutput:
    x = np.random.default_rng(0).random((40, 30))

    def test_array(self, function):
        expected, room = function(self.x, 3), np.empty((40, 60))[:, ::2]
        assert function(self.x, 3, output=room) is room
        assert_same(np.ascontiguousarray(room), expected)

    def test_the_input(self, function):
        x = self.x.copy()
        assert function(x, 3, output=x) is x
        assert_same(x, function(self.x, 3))
        part = self.x.copy()
        function(part[:-1], 3, output=part[1:])
        assert_same(part[1:], function(self.x[:-1], 3))

    def test_dtype(self, function):
        for dtype in (np.float32, "f4", np.dtype(">f4")):
            assert function(self.x, 3, output=dtype).dtype == np.float32
        room = np.empty(self.x.shape, ">f4")
        function(self.x, 3, output=room)
        assert_same(room.astype("f4"), function(self.x, 3, output="f4"))

    def test_nothing(self, function):
        assert function(np.empty((0, 3), np.int8), 3).shape == (0, 3)
        assert function(7, 3) == 7
        got = function(self.x, 1)
        assert_same(got, self.x)
        assert not np.shares_memory(got, self.x)
        with pytest.raises(ValueError, match="output has shape"):
            function(self.x, 3, output=np.empty((30, 40)))
        room = np.empty(self.x.shape)
        room.flags.writeable = False
        with pytest.raises(ValueError, match="output is read-only"):
            function(self.x, 3, output=room)


def test_nan_wins_where_it_is_seen():
    x = np.arange(12.0)
    x[5] = np.nan
    for mode in ("reflect", "wrap"):
        for function in (fastpool.maximum_filter, fastpool.minimum_filter, fastpool.uniform_filter):
            assert np.flatnonzero(np.isnan(function(x, 3, mode=mode))).tolist() == [4, 5, 6]
    assert np.isnan(fastpool.maximum_filter(x, 3, mode="constant", cval=np.nan))[[0, -1]].all()


class TestCval:
    x = np.array([3, 1, 2], np.uint8)

    def test_is_cut_to_integers(self):
        assert fastpool.maximum_filter(self.x, 3, mode="constant", cval=5.9).tolist() == [5, 3, 5]
        assert fastpool.minimum_filter(self.x, 3, mode="constant", cval=-0.5).tolist() == [0, 1, 0]

    def test_beyond_the_dtype_must_lose(self):
        plain = fastpool.maximum_filter(self.x, 3, mode="nearest")
        for cval in (-7, -np.inf, -(10**30)):
            assert_same(fastpool.maximum_filter(self.x, 3, mode="constant", cval=cval), plain)
        for cval in (256, np.inf, 10**30):
            with pytest.raises(ValueError, match="maximum_filter: cval lies outside uint8"):
                fastpool.maximum_filter(self.x, 3, mode="constant", cval=cval)
            fastpool.minimum_filter(self.x, 3, mode="constant", cval=cval)

    def test_of_averages_is_a_cell(self):
        for cval in (0.5, 256, -1):
            with pytest.raises(ValueError, match="uniform_filter: cval must be a value of uint8"):
                fastpool.uniform_filter(self.x, 3, mode="constant", cval=cval)

    def test_counts_only_where_it_is_used(self):
        fastpool.maximum_filter(self.x, 3, cval=np.nan)
        with pytest.raises(ValueError, match="cval is NaN"):
            fastpool.maximum_filter(self.x, 3, mode=("constant"), cval=np.nan)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "size or footprint is required"),
        ({"size": 0}, ValueError, "size must be at least 1"),
        ({"size": 2.0}, TypeError, "size must be an integer"),
        ({"size": (3, 3, 3)}, RuntimeError, "size as a sequence argument"),
        ({"size": 3, "mode": "edge"}, ValueError, "mode must be one of"),
        ({"size": 3, "mode": ["wrap"]}, ValueError, "mode as a sequence argument must have length"),
        ({"size": 3, "mode": 1}, TypeError, "mode must be one of"),
        ({"size": 3, "origin": 2}, ValueError, "origin must be from -1 to 1 for size 3, got 2"),
        ({"size": 4, "origin": 2}, ValueError, "origin must be from -2 to 1 for size 4, got 2"),
        ({"size": 3, "axes": 2}, ValueError, "axes is out of range"),
        ({"size": 3, "axes": (0, -2)}, ValueError, "axes must be unique"),
        ({"size": 3, "mode": "constant", "cval": 1j}, TypeError, "cval must be a number"),
        ({"size": 3, "output": "complex"}, TypeError, "output has dtype complex128"),
        ({"size": 3, "backend": "cuda"}, ValueError, "backend"),
        ({"footprint": [1, 1]}, ValueError, r"footprint.ndim \(1\) must match"),
        ({"footprint": [[0, 0]]}, ValueError, "footprint of shape .* has no cell that is True"),
    ],
)
def test_errors(arguments, error, message):
    with pytest.raises(error, match=f"maximum_filter: {message}"):
        fastpool.maximum_filter(np.zeros((4, 5)), **arguments)


def test_masks_are_refused():
    with pytest.raises(TypeError, match="minimum_filter: input is a masked array"):
        fastpool.minimum_filter(np.ma.array([1, 2], mask=[0, 1]), 3)


def test_a_footprint_counts_more_than_a_size():
    with pytest.warns(UserWarning, match="size is ignored"):
        got = fastpool.maximum_filter([1, 2, 3, 4], 1, footprint=[1, 1])
    assert got.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("seeds", GROUPS)
def test_scipy(seeds):
    """Maxima and minima to the bit; averages but for what SciPy rounds."""
    ndimage = pytest.importorskip("scipy.ndimage")
    for seed in seeds:
        case = Case(seed, most=4)
        for name in EXTREMES:
            expected = getattr(ndimage, name)(case.x, case.size, **case.arguments)
            got = getattr(fastpool, name)(case.x, case.size, **case.arguments)
            assert_same(got, expected.astype(got.dtype))
            one = {**case.arguments, "mode": case.mode[0]}
            expected = getattr(ndimage, name)(case.x, footprint=case.footprint, **one)
            got = getattr(fastpool, name)(case.x, footprint=case.footprint, **one)
            assert_same(got, expected.astype(got.dtype))
        x = case.x.astype(float)
        expected = ndimage.uniform_filter(x, case.size, **case.arguments)
        got = fastpool.uniform_filter(x, case.size, **case.arguments)
        assert np.abs(got - expected).max() < 1e-9


@pytest.mark.parametrize("backend", ["numpy", pytest.param("numba", marks=pytest.mark.numba)])
def test_nothing_warns_and_nothing_is_raised(backend):
    """Of signalling NaNs where boxes of a footprint meet, and of numbers that are too large."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.array([[0x7F81, 0, 0], [0, 0x7F82, 0x7F81]], np.uint16).view(ml_dtypes.bfloat16)
    footprint = [[True, False], [True, True]]
    with np.errstate(all="raise"):
        found = fastpool.maximum_filter(x, footprint=footprint, backend=backend)
        large = fastpool.uniform_filter(np.full(3, 1e300), 1, output="float32", backend=backend)
    assert found.view(np.uint16).max() > 0x7F80
    assert np.isinf(large).all()

"""Pyramids: the bits of repeated calls, how many levels there are, and what is refused."""

import tracemalloc

import numpy as np
import pytest
from bits import assert_same

import fastpool

METHODS = "mean", "sum", "min", "max", "median", "mode", "stride", "any", "all"


def repeated(x, steps, *args, **options):
    """The levels, one call each."""
    made = [x]
    for step in steps:
        made.append(fastpool.downsample(made[-1], step, *args, **options))
    return made


def assert_levels(actual, expected):
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("boundary", ["partial", "trim", "pad"])
@pytest.mark.parametrize("shape", [(61,), (37, 50), (17, 9, 22), (3, 16, 12, 2)])
def test_levels_are_repeated_calls(method, boundary, shape):
    x = np.random.default_rng(0).integers(0, 9, shape).astype(np.uint8)
    options = {"boundary": boundary, "axes": range(len(shape))[-3:]}
    options["axes"] = tuple(options["axes"])
    levels = fastpool.pyramid(x, 2, 3, method, **options)
    assert levels[0] is x
    assert_levels(levels, repeated(x, [2, 2, 2], method, **options))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int16", "bool", ">f4", ">i8"])
def test_dtypes(dtype):
    x = np.random.default_rng(1).integers(-99, 99, (45, 33)).astype(dtype)
    levels = fastpool.pyramid(x, (3, 2), 2)
    assert_levels(levels, repeated(x, [(3, 2)] * 2))


def test_any_memory_order():
    x = np.random.default_rng(2).random((40, 30, 20))
    expected = fastpool.pyramid(x)
    for other in (np.asfortranarray(x), x[::-1, :, ::-1][::-1, :, ::-1]):
        for one, level in zip(fastpool.pyramid(other), expected, strict=True):
            assert_same(np.ascontiguousarray(one), level)


@pytest.mark.parametrize(
    ("shape", "boundary", "expected"),
    [
        ((6, 10), "partial", [(6, 10), (3, 5), (2, 3), (1, 2), (1, 1)]),
        ((6, 10), "pad", [(6, 10), (3, 5), (2, 3), (1, 2), (1, 1)]),
        ((6, 10), "trim", [(6, 10), (3, 5), (1, 2)]),
        ((8, 24), "exact", [(8, 24), (4, 12), (2, 6), (1, 3)]),
        ((1, 1), "partial", [(1, 1)]),
        ((1, 9), "trim", [(1, 9)]),
        ((0, 9), "partial", [(0, 9)]),
        ((), "partial", None),
    ],
)
def test_all_levels_that_there_are(shape, boundary, expected):
    x = np.zeros(shape)
    if expected is None:
        assert fastpool.pyramid(x, ()) == [x]
    else:
        found = fastpool.pyramid(x, boundary=boundary)
        assert [level.shape for level in found] == expected


def test_factors_of_one_make_no_level():
    x = np.zeros((4, 5))
    assert len(fastpool.pyramid(x, 1)) == 1
    assert [level.shape for level in fastpool.pyramid(x, 1, 2)] == [(4, 5)] * 3


def test_an_axis_that_is_kept_ends_nothing():
    found = fastpool.pyramid(np.zeros((5, 4, 3)), axes=(0, 1), boundary="partial")
    assert [level.shape for level in found] == [(5, 4, 3), (3, 2, 3), (2, 1, 3), (1, 1, 3)]


def test_factors_for_each_level():
    x = np.random.default_rng(3).integers(0, 255, (10, 40, 40)).astype(np.uint16)
    steps = [(1, 2, 2), (1, 2, 2), (2, 2, 2)]
    assert_levels(fastpool.pyramid(x, steps), repeated(x, steps))
    assert_levels(fastpool.pyramid(x, steps, 3), repeated(x, steps))
    assert_levels(fastpool.pyramid(x, [(2, 2), (4, 4)], axes=(1, 2)), [
        x, fastpool.downsample(x, (1, 2, 2)),
        fastpool.downsample(fastpool.downsample(x, (1, 2, 2)), (1, 4, 4)),
    ])  # fmt: skip
    with pytest.raises(ValueError, match=r"^pyramid: levels is 2, and factors has .* 3 levels"):
        fastpool.pyramid(x, steps, 2)


def test_missing_cells():
    rng = np.random.default_rng(4)
    x = rng.integers(0, 4, (33, 29)).astype(np.int16)
    for method in ("mean", "sum", "median", "mode", "stride"):
        options = {"nodata": 3, "min_count": 2}
        levels = fastpool.pyramid(x, 2, 4, method, **options)
        assert_levels(levels, repeated(x, [2] * 4, method, **options))
    holes = np.where(rng.random(x.shape) < 0.6, np.nan, x)
    options = {"skipna": True, "min_count": 2}
    assert_levels(fastpool.pyramid(holes, 2, 4, **options), repeated(holes, [2] * 4, **options))


@pytest.mark.parametrize("method", ["any", "all"])
def test_truth_has_no_missing_cells_beyond_level_1(method):
    """No bool is 255, and 255 is no wrong argument either."""
    x = np.array([[255, 0, 1, 1], [255, 0, 1, 255]], np.uint8)
    levels = fastpool.pyramid(x, 2, method=method, nodata=255)
    first = fastpool.downsample(x, 2, method, nodata=255)
    assert_levels(levels, [x, first, fastpool.downsample(first, 2, method)])


def test_masked_arrays():
    x = np.ma.masked_less(np.random.default_rng(5).random((20, 20)), 0.5)
    levels = fastpool.pyramid(x, 2, 3, min_count=3)
    assert levels[0] is x
    for one, other in zip(levels, repeated(x, [2] * 3, min_count=3), strict=True):
        assert isinstance(one, np.ma.MaskedArray)
        assert_same(one.mask, other.mask)
        assert_same(one.filled(-1), other.filled(-1))


def test_dtype_is_that_of_every_level():
    x = np.random.default_rng(6).integers(0, 255, (16, 16)).astype(np.uint8)
    levels = fastpool.pyramid(x, 2, 2, dtype=np.float32)
    assert [level.dtype for level in levels] == [np.uint8, np.float32, np.float32]
    assert_levels(levels, repeated(x, [2, 2], dtype=np.float32))


def test_lists_become_arrays():
    levels = fastpool.pyramid([[1, 2], [3, 5]], method="max")
    assert_levels(levels, [np.array([[1, 2], [3, 5]]), np.array([[5]])])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"factors": 0}, ValueError, "pyramid: factors must be at least 1, got 0"),
        ({"factors": 2.0}, TypeError, "pyramid: factors must be an integer"),
        ({"factors": (2, 2, 2)}, ValueError, "pyramid: factors must be an integer or have one"),
        ({"levels": -1}, ValueError, "pyramid: levels must be at least 0, got -1"),
        ({"levels": 1.5}, TypeError, "pyramid: levels must be an integer"),
        ({"method": "average"}, ValueError, "pyramid: method must be one of"),
        ({"boundary": "reflect"}, ValueError, "pyramid: boundary must be one of"),
        ({"boundary": "exact"}, ValueError, "pyramid: axis 1 of x has size 7"),
        ({"boundary": "exact", "axes": 0, "levels": 3}, ValueError, "axis 0 of x has size 1"),
        ({"axes": (0, 0)}, ValueError, "pyramid: axes must differ"),
        ({"nodata": 300}, ValueError, "pyramid: nodata is 300, which no uint8 is"),
        ({"dtype": "S3"}, TypeError, "pyramid: dtype"),
        ({"backend": "cuda"}, ValueError, "backend"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error) as caught:
        fastpool.pyramid(np.zeros((4, 7), np.uint8), **arguments)
    assert message in str(caught.value)


def test_nothing_is_computed_before_all_levels_are_known(monkeypatch):
    """A wrong last level is told at once, not after minutes."""
    monkeypatch.setattr("fastpool.api.pyramid.downsample", None)
    with pytest.raises(ValueError, match="must be at least 1"):
        fastpool.pyramid(np.zeros((8, 8)), [(2, 2), (2, 0)])


@pytest.mark.whole(backend="numba")
def test_memory(backend):
    """Beside the levels there is next to nothing."""
    x = np.random.default_rng(7).integers(0, 255, (200, 200, 200)).astype(np.uint8)
    fastpool.pyramid(x, backend=backend)
    tracemalloc.start()
    levels = fastpool.pyramid(x, backend=backend)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    made = sum(level.nbytes for level in levels[1:])
    assert peak - made < 0.2 * (x.nbytes + made)

"""Other libraries' functions by their own names, beside plain NumPy and beside the originals."""

import itertools

import numpy as np
import pytest
from bits import assert_same

import fastpool
from fastpool import compat

SHAPES = [
    ((6, 8), (2, 4)),
    ((7, 9), (2, 4)),
    ((3, 5), (4, 7)),
    ((5, 6, 7), (2, 3, 1)),
    ((9,), (2,)),
]
FUNCTIONS = [np.sum, np.mean, np.max, np.min, np.any, np.all, np.median]


def whole(rng, shape, dtype):
    """Cells whose sums are exact in every dtype, so that their order does not matter."""
    return rng.integers(0, 2 if dtype is bool else 100, shape).astype(dtype)


def by_numpy(image, blocks, func, cval=0, **kwargs):
    """Blocks one by one, filled up with `cval`."""
    filled = np.pad(
        image,
        [(0, -n % size) for n, size in zip(image.shape, blocks, strict=True)],
        constant_values=cval,
    )
    counts = [n // size for n, size in zip(filled.shape, blocks, strict=True)]
    values = [
        func(
            filled[tuple(slice(i * s, (i + 1) * s) for i, s in zip(position, blocks, strict=True))],
            **kwargs,
        )
        for position in np.ndindex(*counts)
    ]
    return np.array(values).reshape(counts)


@pytest.mark.parametrize(("shape", "blocks"), SHAPES)
@pytest.mark.parametrize("func", FUNCTIONS)
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_block_reduce(shape, blocks, func, dtype):
    image = whole(np.random.default_rng(1), shape, dtype)
    for cval in (0, 1):
        found = compat.block_reduce(image, blocks, func, cval)
        assert_same(found, by_numpy(image, blocks, func, cval))


@pytest.mark.parametrize("name", [name for name in compat.__all__ if "filter" not in name])
def test_masked_arrays_are_refused(name):
    x = np.ma.masked_equal(np.arange(16).reshape(4, 4), 5)
    for each in (x, list(x)):
        with pytest.raises(TypeError, match=f"^{name}: .* is a masked array.*downsample takes"):
            getattr(compat, name)(each, (2, 2))


def test_block_reduce_takes_further_arguments_and_functions():
    image = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    kwargs = {"dtype": np.uint8}
    found = compat.block_reduce(image, (2, 3), np.mean, func_kwargs=kwargs)
    assert_same(found, by_numpy(image, (2, 3), np.mean, dtype=np.uint8))
    found = compat.block_reduce(image * 1j, (2, 3), np.sum)
    assert_same(found, by_numpy(image * 1j, (2, 3), np.sum))
    found = compat.block_reduce(image, (2, 3), lambda cells, axis: cells.std(axis))
    assert_same(found, by_numpy(image, (2, 3), np.std))
    blocks = (2, 2, 1, 2, 2)
    five = whole(np.random.default_rng(2), (3, 4, 2, 3, 5), np.int16)
    assert_same(compat.block_reduce(five, blocks, np.max), by_numpy(five, blocks, np.max))


def test_block_reduce_copies_no_whole_image(monkeypatch):
    """Only the cut blocks at the ends are filled up."""
    padded, pad = [], np.pad

    def spy(array, *args, **kwargs):
        padded.append(array.size)
        return pad(array, *args, **kwargs)

    monkeypatch.setattr(np, "pad", spy)
    compat.block_reduce(np.ones((201, 101)), 2, np.max)
    # The last row, its last cell filled once more, and the last column of all other rows.
    assert sorted(padded) == [2, 101, 200]


@pytest.mark.parametrize("blocks", [(2,), (0, 2), (2, -1), (1, 0.5)])
def test_wrong_blocks(blocks):
    with pytest.raises(ValueError, match="block_reduce: block"):
        compat.block_reduce(np.ones((4, 4)), blocks)


def test_downscale_local_mean():
    image = np.arange(15).reshape(3, 5)
    assert_same(compat.downscale_local_mean(image, 2), by_numpy(image, (2, 2), np.mean))
    assert compat.downscale_local_mean(image.astype(np.float32), (2, 2)).dtype == np.float32


def test_beside_scikit_image():
    measure = pytest.importorskip("skimage.measure")
    rng = np.random.default_rng(3)
    for (shape, blocks), func in itertools.product(SHAPES, FUNCTIONS):
        image = whole(rng, shape, np.uint16)
        expected = measure.block_reduce(image, blocks, func)
        assert_same(compat.block_reduce(image, blocks, func), expected)


LEVELS = {
    "mean": compat.downsample_with_averaging,
    "max": compat.downsample_with_max_pooling,
    "min": compat.downsample_with_min_pooling,
    "stride": compat.downsample_with_striding,
    "mode": compat.downsample_segmentation,
}


@pytest.mark.parametrize("method", LEVELS)
@pytest.mark.parametrize("factor", [(2, 2), (2, 2, 1), (2, 2, 2), (3, 1, 2)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_levels(method, factor, order):
    """Each from the one before; axes that are left out keep their size."""
    image = np.asarray(whole(np.random.default_rng(4), (13, 10, 7), np.uint8) // 20, order=order)
    found = LEVELS[method](image, factor, num_mips=3)
    level = image
    assert len(found) == 3
    for new in found:
        level = fastpool.downsample(level, (*factor, 1)[:3], method)
        assert_same(new, level)


def test_levels_without_background():
    image = np.array([[0, 0, 3, 0], [0, 7, 0, 3], [0, 0, 9, 9], [0, 0, 9, 1]], np.uint16)
    (mean,) = compat.downsample_with_averaging(image, (2, 2), sparse=True)
    (mode,) = compat.downsample_segmentation(image, (2, 2), sparse=True)
    assert mean.tolist() == [[7, 3], [0, 7]]
    assert mode.tolist() == [[7, 3], [0, 9]]
    (plain,) = compat.downsample_segmentation(image, (2, 2))
    assert plain.tolist() == [[0, 3], [0, 9]]


def test_floats_as_labels_are_strided():
    image = np.arange(16.0).reshape(4, 4)
    (found,) = compat.downsample_segmentation(image, (2, 2))
    assert_same(found, image[::2, ::2].copy())


def test_factors_that_are_floats():
    image = np.arange(16).reshape(4, 4)
    (found,) = compat.downsample_with_max_pooling(image, (2.0, 2.0))
    assert_same(found, image[1::2, 1::2].copy())
    with pytest.raises(TypeError, match="factors"):
        compat.downsample_with_max_pooling(image, (1.5, 2))


def test_more_factors_than_axes():
    image = np.arange(16).reshape(4, 4)
    (found,) = compat.downsample_with_max_pooling(image, (2, 2, 1, 1))
    assert_same(found, image[1::2, 1::2].copy())
    with pytest.raises(ValueError, match="3 factors for 2 axes"):
        compat.downsample_with_max_pooling(image, (2, 2, 2))


def test_windows():
    rng = np.random.default_rng(5)
    array = rng.integers(0, 4, (6, 4, 8))
    sizes = (3, 1, 4)
    assert_same(compat.windowed_mean(array, sizes), by_numpy(array, sizes, np.mean))
    assert_same(compat.windowed_max(array, sizes), by_numpy(array, sizes, np.max))
    assert_same(compat.windowed_min(array, sizes), by_numpy(array, sizes, np.min))
    assert_same(compat.windowed_mode(array, sizes), fastpool.downsample(array, sizes, "mode"))
    for rank in range(-12, 12):
        expected = by_numpy(array, sizes, lambda cells, rank=rank: np.sort(cells, axis=None)[rank])
        assert_same(compat.windowed_rank(array, sizes, rank), expected)
    for rank in (-13, 12):
        with pytest.raises(ValueError, match="not in a window of 12"):
            compat.windowed_rank(array, sizes, rank)


@pytest.mark.parametrize("sizes", [(2, 2), (2, 2, 3), (0, 2, 2)])
def test_windows_that_do_not_fill(sizes):
    with pytest.raises(ValueError, match=r"window"):
        compat.windowed_max(np.ones((4, 4, 4)), sizes)


FILTERS_1D = [
    (compat.maximum_filter1d, fastpool.maximum_filter),
    (compat.minimum_filter1d, fastpool.minimum_filter),
    (compat.uniform_filter1d, fastpool.uniform_filter),
]


@pytest.mark.parametrize(("along", "whole_filter"), FILTERS_1D)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_filters_along_one_axis(along, whole_filter, axis):
    image = np.random.default_rng(6).integers(0, 200, (9, 11, 5)).astype(np.uint8)
    sizes = [1, 1, 1]
    sizes[axis] = 4
    expected = whole_filter(image, sizes, mode="constant", cval=7)
    assert_same(along(image, 4, axis, mode="constant", cval=7), expected)
    assert_same(along(image, 4, axis, np.float64), whole_filter(image, sizes, output=np.float64))


@pytest.mark.parametrize("name", ["maximum_filter1d", "minimum_filter1d", "uniform_filter1d"])
def test_filters_beside_scipy(name):
    ndimage = pytest.importorskip("scipy.ndimage")
    line = np.arange(24.0).reshape(4, 6) ** 2 % 64  # whose means of four are exact
    for axis, origin in ((0, 0), (1, 1), (-1, -2)):
        expected = getattr(ndimage, name)(line, 4, axis, mode="nearest", origin=origin)
        assert_same(getattr(compat, name)(line, 4, axis, mode="nearest", origin=origin), expected)

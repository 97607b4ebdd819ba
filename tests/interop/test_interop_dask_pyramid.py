"""Pyramids of Dask arrays, and of other guests: the bits of NumPy's, and their own kind."""

import numpy as np
import pytest
from bits import assert_same

import fastpool

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

X = np.random.default_rng(0).integers(0, 255, (100, 73)).astype(np.uint8)


@pytest.mark.parametrize("chunks", [(30, 30), (7, 11), (1, 73), (100, 1), ((3, 97), (70, 3))])
@pytest.mark.parametrize("boundary", ["partial", "trim", "pad"])
@pytest.mark.parametrize("method", ["mean", "mode", "any"])
def test_levels_are_those_of_numpy(chunks, boundary, method):
    x = da.from_array(X, chunks=chunks)
    levels = fastpool.pyramid(x, (2, 3), 3, method, boundary=boundary, nodata=7)
    assert levels[0] is x
    expected = fastpool.pyramid(X, (2, 3), 3, method, boundary=boundary, nodata=7)
    for level, other in zip(levels, expected, strict=True):
        assert (level.shape, level.dtype) == (other.shape, other.dtype)
    for made, other in zip(dask.compute(*levels), expected, strict=True):
        assert_same(made, other)


def test_all_levels_there_are():
    levels = fastpool.pyramid(da.from_array(X, chunks=30))
    assert [level.shape for level in levels] == [level.shape for level in fastpool.pyramid(X)]


@pytest.mark.parametrize(
    ("shape", "chunks", "factors", "expected"),
    [
        ((1000, 1000), (300, 300), 2, [(4, 4), (2, 2), (1, 1)]),
        ((64, 512, 512), (1, 512, 512), 2, [(64, 1, 1), (8, 1, 1), (1, 1, 1)]),
        ((64, 512, 512), (1, 512, 512), (1, 2, 2), [(64, 1, 1), (16, 1, 1), (4, 1, 1)]),
    ],
)
def test_chunks_are_joined_again(shape, chunks, factors, expected):
    levels = fastpool.pyramid(da.zeros(shape, chunks=chunks), factors, 2)
    assert [level.numblocks for level in levels] == expected
    cells = np.prod(chunks)
    assert all(np.prod(level.chunksize) <= cells for level in levels)


def test_nothing_is_computed_and_x_is_read_once():
    read = []

    def block(block_info=None):
        read.append(block_info[None]["chunk-location"])
        return np.ones((8, 8), np.float32)

    x = da.map_blocks(block, chunks=((8,) * 5, (8,) * 4), dtype=np.float32, meta=np.ones((0, 0)))
    read.clear()
    levels = fastpool.pyramid(x, levels=3)
    assert read == []
    dask.compute(*levels)
    assert len(read) == len(set(read)) == 20


def test_masked_arrays():
    x = np.ma.masked_less(X, 100)
    expected = fastpool.pyramid(x, levels=3, min_count=3)
    for level, other in zip(
        fastpool.pyramid(da.from_array(x, chunks=25), levels=3, min_count=3), expected, strict=True
    ):
        made = level.compute()
        assert_same(np.ma.getmaskarray(made), np.ma.getmaskarray(other))
        assert_same(made.filled(0), other.filled(0))


def test_wrong_arguments_are_refused_at_once():
    x = da.from_array(X, chunks=25)
    with pytest.raises(ValueError, match=r"^pyramid: method must be one of"):
        fastpool.pyramid(x, method="average")
    with pytest.raises(ValueError, match=r"^pyramid: x has chunks of unknown sizes"):
        fastpool.pyramid(x[x[:, 0] > 3])


def test_tensors():
    torch = pytest.importorskip("torch")
    levels = fastpool.pyramid(torch.from_numpy(X), 2, 3)
    for level, other in zip(levels, fastpool.pyramid(X, 2, 3), strict=True):
        assert isinstance(level, torch.Tensor)
        assert_same(level.numpy(), other)


def test_jax_arrays():
    jax = pytest.importorskip("jax")
    levels = fastpool.pyramid(jax.numpy.asarray(X), 2, 3, "max")
    for level, other in zip(levels, fastpool.pyramid(X, 2, 3, "max"), strict=True):
        assert isinstance(level, jax.Array)
        assert_same(np.asarray(level), other)


def test_data_arrays():
    xarray = pytest.importorskip("xarray")
    x = xarray.DataArray(X, dims=("y", "x"), coords={"x": np.arange(73.0)}, attrs={"mine": 1})
    cases = (2, 2, 2), ({"x": 2}, (1, 2), 2), ([{"y": 2}, {"x": 2, "y": 3}], [(2, 1), (3, 2)], None)
    for factors, plain, count in cases:
        levels = fastpool.pyramid(x, factors, count)
        for level, other in zip(levels, fastpool.pyramid(X, plain, count), strict=True):
            assert level.dims == ("y", "x")
            assert level.attrs == {"mine": 1}
            assert_same(level.values, other)
    assert levels[2].x[0] == 0.5
    with pytest.raises(ValueError, match="pyramid: factors names"):
        fastpool.pyramid(x, {"z": 2})

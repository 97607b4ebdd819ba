"""`fastpool.downsample` of arrays of other libraries: the same kind out, the same bits."""

import warnings

import numpy as np
import pytest
from bits import assert_same
from test_front_door import GUESTS, KINDS, RNG, as_jax, dask, jax, needs, torch
from test_front_door import xarray as xr

import fastpool

METHODS = ("mean", "sum", "min", "max", "median", "mode", "stride", "any", "all")
BOUNDARIES = ("partial", "trim", "pad")


def array(dtype, shape=(5, 7, 9)):
    return RNG.integers(0, 3, shape).astype(dtype)


@pytest.mark.parametrize("guest", GUESTS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_methods(guest, method, boundary):
    kind = KINDS[guest]
    for dtype, options in (
        (np.float32, {}),
        (np.uint8, {"nodata": 1, "min_count": 2}),
        (np.bool_, {}),
        (np.float32, {"skipna": True}),
        (np.int16, {}),
    ):
        x = array(dtype)
        if dtype == np.float32:
            x[RNG.random(x.shape) < 0.2] = np.nan
        options = {**options, "boundary": boundary, "axes": (2, 0)}
        right = fastpool.downsample(x, (4, 2), method, **options)
        found = fastpool.downsample(kind.make(x), (4, 2), method, **options)
        assert isinstance(found, kind.type)
        found = np.ascontiguousarray(kind.back(found))
        if guest == "jax" and right.dtype.itemsize == 8:  # JAX has 32 bits
            found = found.astype(right.dtype)
        assert_same(found, np.ascontiguousarray(right), any_nan=True)


@pytest.mark.parametrize("guest", GUESTS)
def test_arguments(guest):
    x = KINDS[guest].make(array(np.float32))
    with pytest.raises(ValueError, match="downsample: method must be one of"):
        fastpool.downsample(x, 2, "middle")
    with pytest.raises(ValueError, match="axis 0 of x has size 5, which the factor 2 does not"):
        fastpool.downsample(x, 2, boundary="exact")
    with pytest.raises(TypeError, match=r"downsample: out is a NumPy array, and x an? "):
        fastpool.downsample(x, 2, out=np.zeros(3))
    with pytest.raises(ValueError, match="backend must be one of"):
        fastpool.downsample(x, 2, backend="cuda")
    assert fastpool.downsample(x, 2, backend="numpy").shape == (3, 4, 5)
    assert fastpool.downsample(x, 2, dtype="float16").dtype in (np.float16, torch and torch.float16)


@needs["torch"]
class TestTorch:
    @pytest.mark.parametrize("boundary", ["partial", "trim"])
    @pytest.mark.parametrize("method", ["mean", "sum", "min", "max", "stride"])
    def test_gradients(self, method, boundary):
        """The sum of outputs passes to each cell what an array of its own says."""
        x = torch.rand(5, 7, 9, requires_grad=True)
        found = fastpool.downsample(x, (2, 1, 4), method, boundary=boundary)
        right = fastpool.downsample(x.detach().numpy(), (2, 1, 4), method, boundary=boundary)
        assert_same(found.detach().numpy(), np.ascontiguousarray(right))
        found.sum().backward()
        whole = (5, 9) if boundary == "partial" else (4, 8)
        taken = x.grad[: whole[0], :, : whole[1]]
        assert x.grad.sum() == taken.sum()
        if method == "sum":
            assert (taken == 1).all()
        else:  # one for each block
            assert taken.sum().item() == pytest.approx(found.numel())

    @pytest.mark.parametrize("method", ["median", "mode", "any", "all"])
    def test_what_has_no_gradient(self, method):
        x = torch.rand(4, 4, requires_grad=True)
        with pytest.raises(TypeError, match=r"has no gradient .* pass x.detach\(\)"):
            fastpool.downsample(x, 2, method)
        assert not fastpool.downsample(x.detach(), 2, method).requires_grad

    def test_missing_cells_have_no_gradient(self):
        x = torch.rand(4, 4, requires_grad=True)
        for options in ({"skipna": True}, {"nodata": 0.5}):
            with pytest.raises(TypeError, match="has no gradient"):
                fastpool.downsample(x, 2, **options)

    def test_halves_and_dtypes(self):
        x = torch.arange(16.0).reshape(4, 4).bfloat16()
        assert fastpool.downsample(x, 2, "median").dtype is torch.bfloat16
        assert fastpool.downsample(x, 2, dtype=torch.float32).tolist() == [[2.5, 4.5], [10.5, 12.5]]


@needs["jax"]
class TestJax:
    def test_transformations(self):
        x = as_jax(array(np.float32))
        for method in METHODS:
            found = jax.jit(lambda x, method=method: fastpool.downsample(x, 2, method))(x)
            assert_same(np.asarray(found), fastpool.downsample(np.asarray(x), 2, method))
        found = jax.grad(lambda x: fastpool.downsample(x, 2).sum())(x)
        assert float(found.sum()) == 3 * 4 * 5
        each = jax.vmap(lambda x: fastpool.downsample(x, 2, "median"))(x)
        assert_same(np.asarray(each), fastpool.downsample(np.asarray(x), 2, "median", axes=(1, 2)))

    def test_what_has_no_gradient(self):
        x = as_jax(array(np.float32))
        with pytest.raises(ValueError, match="do not support JVP"):
            jax.grad(lambda x: fastpool.downsample(x, 2, "median").sum())(x)


@needs["dask"]
class TestDask:
    def test_nothing_is_computed_and_chunks_stay(self):
        def fail(block):
            raise AssertionError("a block was computed")

        x = dask.zeros((10, 64, 64), chunks=(5, 16, 24)).map_blocks(
            fail, dtype=float, meta=np.eye(0)
        )
        for method in METHODS:
            found = fastpool.downsample(x, 2, method)
            assert found.shape == (5, 32, 32)
            assert found.chunks == ((3, 2), (8,) * 4, (12, 12, 8))

    @pytest.mark.parametrize("size", range(1, 14))
    def test_chunks(self, size):
        """Of any sizes, empty ones among them."""
        for chunks in ((1,) * size, (size,), (0, size, 0), (size // 2, size - size // 2)):
            x = RNG.standard_normal(size).astype(np.float32)
            lazy = dask.from_array(x, chunks=(chunks,))
            for factor in (1, 3, 5, 20):
                for boundary in BOUNDARIES:
                    found = fastpool.downsample(lazy, factor, boundary=boundary)
                    right = fastpool.downsample(x, factor, boundary=boundary)
                    assert found.shape == right.shape
                    assert_same(found.compute(scheduler="sync"), right, any_nan=True)

    def test_masks(self):
        x = np.ma.masked_equal(array(np.int32), 1)
        lazy = dask.from_array(x, chunks=(2, 3, 4))
        found = fastpool.downsample(lazy, 2, min_count=3)
        right = fastpool.downsample(x, 2, min_count=3)
        assert isinstance(found._meta, np.ma.MaskedArray)
        made = found.compute(scheduler="sync")
        assert_same(np.ma.getmaskarray(made), np.ma.getmaskarray(right))
        assert_same(made.filled(0), right.filled(0))

    def test_unknown_sizes(self):
        x = dask.arange(10, chunks=5)
        with pytest.raises(ValueError, match="compute_chunk_sizes"):
            fastpool.downsample(x[x > 3], 2)

    def test_a_piece_reads_its_chunks_alone(self):
        read = []

        def note(block, block_info=None):
            read.append(block_info[None]["chunk-location"])
            return block

        x = dask.zeros((64, 64), chunks=16).map_blocks(note, dtype=float, meta=np.eye(0))
        fastpool.downsample(x, 4)[:4, :4].compute(scheduler="sync")
        assert read == [(0, 0)]


@needs["xarray"]
class TestXarray:
    @staticmethod
    def array():
        return xr.DataArray(
            RNG.standard_normal((2, 7, 9)),
            dims=("time", "y", "x"),
            coords={
                "time": np.array(["2020-01-01", "2020-02-01"], "datetime64[ns]"),
                "y": np.arange(7.0) ** 2,
                "x": ("x", np.arange(9), {"units": "m"}),
                "hour": ("y", np.arange(7).astype("datetime64[h]").astype("datetime64[ns]")),
                "height": (("y", "x"), RNG.standard_normal((7, 9))),
                "scalar": 5,
            },
            name="temperature",
            attrs={"units": "K"},
        )

    @pytest.mark.parametrize("lazy", [False, pytest.param(True, marks=needs["dask"])])
    @pytest.mark.parametrize("method", ["max", "min"])
    @pytest.mark.parametrize(
        ("boundary", "theirs", "factors"),
        [("trim", "trim", {"y": 2, "x": 4}), ("partial", "pad", {"y": 2, "x": 4}),
         ("exact", "exact", {"x": 3}), ("partial", "pad", {"x": 5, "y": 9})],
    )  # fmt: skip
    def test_as_coarsen(self, method, boundary, theirs, factors, lazy):
        x = self.array()
        if lazy:
            x = x.chunk(y=3, x=2)
        found = fastpool.downsample(x, factors, method, boundary=boundary)
        right = getattr(x.coarsen(factors, boundary=theirs), method)()
        assert (found.chunks is not None) == lazy
        xr.testing.assert_identical(found.compute(), right.compute())

    def test_mean(self):
        x = self.array()
        found = fastpool.downsample(x, {"y": 2, "x": 4})
        right = x.coarsen({"y": 2, "x": 4}, boundary="pad").mean()
        xr.testing.assert_identical(found.coords.to_dataset(), right.coords.to_dataset())
        xr.testing.assert_allclose(found, right, rtol=1e-13)

    def test_first_cells(self):
        """Each block's first cell keeps its coordinate, whatever that is."""
        x = self.array().assign_coords(letter=("x", list("abcdefghi")))
        for boundary, stop in (("partial", None), ("trim", 8)):
            found = fastpool.downsample(x, {"x": 4}, "stride", boundary=boundary)
            xr.testing.assert_identical(found, x.isel(x=slice(0, stop, 4)))

    def test_a_coordinate_itself(self):
        x = self.array()["y"]
        found = fastpool.downsample(x, 2, "max", boundary="trim")
        xr.testing.assert_identical(found, x.coarsen(y=2, boundary="trim").max())

    def test_arguments(self):
        x = self.array()
        with pytest.raises(ValueError, match="factors has dims"):
            fastpool.downsample(x, {"z": 2})
        with pytest.raises(TypeError, match="leave axes out"):
            fastpool.downsample(x, {"x": 2}, axes=1)
        with pytest.raises(TypeError, match="factors must be"):
            fastpool.downsample(x.values, {"x": 2})
        with xr.set_options(keep_attrs=False), warnings.catch_warnings():
            assert fastpool.downsample(x, {"x": 2}).attrs == {}

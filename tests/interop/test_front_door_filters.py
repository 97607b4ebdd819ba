"""Filters and peaks of other libraries' arrays."""

import itertools

import numpy as np
import pytest
from bits import assert_same
from test_front_door import GUESTS, KINDS, as_dask, as_named, as_tensor, dask, jax, needs, torch

import fastpool

RNG = np.random.default_rng(0)
FILTERS = ["maximum_filter", "minimum_filter", "uniform_filter"]
CASES = [
    {"size": 3},
    {"size": (2, 5, 4), "mode": "mirror"},
    {"size": (3, 4), "axes": (0, 2), "mode": ("wrap", "nearest"), "origin": (1, -1)},
    {"size": 4, "mode": "constant", "cval": 5.0, "axes": (2, 1)},
    {"size": 3, "mode": "constant", "output": np.float64},
    {"size": 1},
    {"size": (1, 40, 3), "mode": "reflect", "origin": (0, 7, 0)},
    {"size": (9, 9, 3), "mode": "reflect"},
]
EXTREMES = [
    {"footprint": [[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], "mode": "wrap"},
    {"footprint": np.eye(3), "axes": (1, 2), "mode": ["mirror", "constant"], "cval": 2.0},
    {"footprint": np.ones((3, 2)), "axes": (0, 2)},
]
VALUES = {
    "float32": lambda: np.where(
        RNG.random((5, 9, 11)) < 0.4, -0.0, RNG.integers(-2, 3, (5, 9, 11))
    ),
    "uint8": lambda: RNG.integers(0, 256, (5, 9, 11)),
}


def array(dtype):
    return VALUES[dtype]().astype(dtype)


@pytest.mark.parametrize("dtype", VALUES)
@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("kind", GUESTS)
def test_filters_give_back_the_kind_and_the_bits(kind, name, dtype):
    guest, x, filter_of = KINDS[kind], array(dtype), getattr(fastpool, name)
    for options in CASES + (EXTREMES if name != "uniform_filter" else []):
        if kind == "jax" and options.get("output") is np.float64:
            options = {**options, "output": np.float32}
        found = filter_of(guest.make(x), **options)
        assert isinstance(found, guest.type)
        assert_same(guest.back(found), filter_of(x, **options))


@needs["dask"]
def test_filters_of_dask_are_lazy_and_keep_the_chunks(monkeypatch):
    x = as_dask(array("uint8"))
    monkeypatch.setattr(dask.Array, "compute", None)
    for name, size in itertools.product(FILTERS, (3, (1, 4, 25))):
        found = getattr(fastpool, name)(x, size, mode="wrap")
        assert found.chunks == x.chunks
        assert found.dtype == x.dtype


@needs["dask"]
def test_filters_of_dask_along_four_axes():
    x = RNG.random((3, 4, 5, 6)).astype(np.float32)
    for name, mode in itertools.product(FILTERS, ("reflect", "wrap")):
        found = getattr(fastpool, name)(dask.from_array(x, chunks=2), 3, mode=mode)
        assert_same(found.compute(), getattr(fastpool, name)(x, 3, mode=mode))
    whole = (x * 200).astype(np.uint8)
    found = fastpool.uniform_filter(dask.from_array(whole, chunks=2), 3)
    assert_same(found.compute(), fastpool.uniform_filter(whole, 3))


@needs["xarray"]
def test_filters_of_named_arrays_keep_coordinates():
    x = as_named(array("float32")).assign_coords(
        d1=np.arange(9) / 2, other=("d2", list("abcdefghijk"))
    )
    x.name, x.attrs["units"] = "height", "m"
    found = fastpool.maximum_filter(x, 3)
    assert_same(found.values, fastpool.maximum_filter(x.values, 3))
    assert found.coords.equals(x.coords)
    assert (found.dims, found.name, found.attrs) == (x.dims, "height", {"units": "m"})


@needs["xarray"]
@needs["dask"]
def test_filters_of_named_dask_arrays_are_lazy():
    x = as_named(as_dask(array("float32")))
    found = fastpool.uniform_filter(x, 3)
    assert isinstance(found.data, dask.Array)
    assert_same(found.values, fastpool.uniform_filter(x.values, 3))
    with pytest.raises(TypeError, match="peaks: x is a Dask array"):
        fastpool.peaks(x)


@needs["torch"]
@pytest.mark.parametrize("name", FILTERS)
def test_filters_of_tensors_drop_no_gradient(name):
    x = as_tensor(array("float32")).requires_grad_()
    with pytest.raises(TypeError, match=rf"{name}: filters have no gradient; pass input.detach()"):
        getattr(fastpool, name)(x, 3)
    with torch.no_grad():
        found = getattr(fastpool, name)(x, 3)
    assert_same(found.numpy(), getattr(fastpool, name)(x.detach().numpy(), 3))
    with pytest.raises(TypeError, match="filters have no gradient"):
        torch.func.vmap(lambda each: getattr(fastpool, name)(each, 3))(x.detach())
    with pytest.raises(TypeError, match="has no memory"):
        getattr(fastpool, name)(torch.empty(3, 4, device="meta"), 3)


@needs["torch"]
def test_filters_read_tensors_where_they_lie():
    """bfloat16 too, which NumPy does not know; and a transposed one."""
    pytest.importorskip("ml_dtypes")
    x = torch.from_numpy(array("float32")).to(torch.bfloat16)
    found = fastpool.maximum_filter(x, 3)
    assert found.dtype is torch.bfloat16
    assert_same(found.float().numpy(), fastpool.maximum_filter(x.float().numpy(), 3))
    y = torch.from_numpy(array("uint8")).permute(2, 0, 1)
    assert_same(fastpool.uniform_filter(y, 3).numpy(), fastpool.uniform_filter(y.numpy(), 3))


@needs["jax"]
@pytest.mark.parametrize("name", FILTERS)
def test_filters_of_jax_in_programs(name):
    x, filter_of = array("float32"), getattr(fastpool, name)
    found = jax.jit(lambda x: filter_of(x, 3, mode="wrap") + 0)(x)
    assert_same(np.asarray(found), np.asarray(filter_of(x, 3, mode="wrap") + 0))
    with pytest.raises(ValueError, match="callback"):
        jax.grad(lambda x: filter_of(x, 3).sum())(x)
    with pytest.raises(TypeError, match="jax_enable_x64"):
        filter_of(jax.numpy.asarray(x), 3, output=np.float64)


@pytest.mark.parametrize("kind", GUESTS)
def test_an_array_as_output_is_refused(kind):
    x = array("uint8")
    made = KINDS[kind].make(x)
    for output in (np.empty_like(x), made):
        with pytest.raises(TypeError, match=r"uniform_filter: output is .*; output may be a dtype"):
            fastpool.uniform_filter(made, 3, output=output)


@pytest.mark.parametrize("kind", GUESTS)
def test_peaks_are_numpys_coordinates(kind):
    x = RNG.random((20, 30)).astype(np.float32)
    made = KINDS[kind].make(x) if kind != "dask" else dask.from_array(x, chunks=7)
    if kind == "dask":
        with pytest.raises(TypeError, match=r"peaks: x is a Dask array.*x\.compute\(\)"):
            fastpool.peaks(made, 2)
        return
    if kind == "torch":
        made.requires_grad_()  # coordinates have no gradient
    found = fastpool.peaks(made, 2, threshold=0.5)
    assert type(found) is np.ndarray
    assert_same(found, fastpool.peaks(x, 2, threshold=0.5))


@needs["jax"]
def test_peaks_of_traced_arrays_are_refused():
    with pytest.raises(TypeError, match="peaks: x is traced"):
        jax.jit(fastpool.peaks)(np.zeros((3, 4), np.float32))


@pytest.mark.parametrize("name", [*FILTERS, "peaks"])
def test_masked_arrays_are_refused(name):
    x = np.ma.masked_less(array("uint8"), 50)
    with pytest.raises(TypeError, match="masked"):
        getattr(fastpool, name)(x, 3)
    if dask is not None:
        with pytest.raises(TypeError, match=r"masked|Dask"):
            getattr(fastpool, name)(dask.from_array(x), 3)

"""Gradients and values that follow flat indices: every way through the kernels, and bad indices."""

import math

import numpy as np
import pytest
from bits import assert_same

import fastpool
from fastpool.cli.adversarial import usable_dtypes

pytest.importorskip("numba")
from fastpool.api import execute
from fastpool.backends import numba as backend
from fastpool.backends.numba.scatter import ScatterSetup

RNG = np.random.default_rng(0)
DTYPES = usable_dtypes()
# Layout, shape of the input, windows, and the kernel that is tried first.
CASES = {
    "tiles": ("NCHW", (3, 8, 34), (2,), "gather_rows"),
    "tiles of pixels": ("NHWC", (2, 8, 6, 17), (2,), "gather_rows"),
    "short tiles": ("NCHW", (5, 6, 6), (2,), "scatter_streams"),
    "with gaps": ("NCHW", (2, 3, 20, 20), (2, 3), "scatter_streams"),
    "overlapping": ("NCHW", (2, 3, 9, 11), (3, 2, 1), "scatter_flat"),
    "overlapping pixels": ("NHWC", (2, 9, 11, 3), (3, 2, 1), "scatter_flat"),
    "a row": ("NCW", (3, 40), (2,), "scatter_streams"),
    "volumes": ("NCDHW", (2, 4, 6, 8), (2,), "scatter_flat"),
    "volumes of pixels": ("NDHWC", (2, 4, 6, 8, 3), (2,), "scatter_flat"),
}


@pytest.fixture
def tried(monkeypatch):
    """The names of kernels that are tried first, of calls that are all new."""
    names = []
    fastest = ScatterSetup._fastest

    def seen(setup):
        kernel = fastest(setup)
        names.append(kernel.__name__)
        return kernel

    monkeypatch.setattr(ScatterSetup, "_fastest", seen)
    monkeypatch.setattr(execute, "_tasks", {})
    backend.plan.cache_clear()
    yield names
    backend.plan.cache_clear()


def unpooling(case, foreign):
    """The function, its arguments, and where to; indices of other windows, some of them twice."""
    layout, shape, windows, _ = CASES[case]
    axes, options = len(layout) - 2, {"layout": layout}
    x = RNG.standard_normal(shape).astype(np.float32)
    pool = getattr(fastpool, f"maxpool{axes}d")
    output, indices = pool(x, *windows, return_indices=True, **options)
    last = layout.endswith("C")
    sizes = shape[-axes - last : len(shape) - last]
    if foreign:
        indices = RNG.integers(0, math.prod(sizes), indices.shape)
    return getattr(fastpool, f"maxunpool{axes}d"), output, indices, windows, sizes, options


def placed(values, indices, sizes, last):
    """What a loop does: the later of two equal indices wins."""
    axes = len(sizes)
    order = (lambda a: np.moveaxis(a, -1, -axes - 1)) if last else (lambda a: a)
    values, indices = order(values), order(indices)
    lead = values.shape[:-axes]
    planes = np.zeros((math.prod(lead), math.prod(sizes)), values.dtype)
    rows = values.reshape(len(planes), -1), indices.reshape(len(planes), -1)
    for plane, some, places in zip(planes, *rows, strict=True):
        for value, place in zip(some, places, strict=True):
            plane[place] = value
    made = planes.reshape(*lead, *sizes)
    return np.moveaxis(made, -axes - 1, -1) if last else made


@pytest.mark.parametrize("foreign", [False, True], ids=["own windows", "any"])
@pytest.mark.parametrize("case", CASES)
def test_every_way(case, foreign, tried):
    unpool, values, indices, windows, sizes, options = unpooling(case, foreign)
    expected = placed(values, indices, sizes, options["layout"].endswith("C"))
    for name in ("numpy", "numba"):
        found = unpool(values, indices, *windows, output_size=sizes, backend=name, **options)
        assert_same(found, expected)
    assert tried == [CASES[case][3]]


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("case", ["tiles", "overlapping pixels", "volumes"])
def test_every_dtype(case, name):
    unpool, values, indices, windows, sizes, options = unpooling(case, True)
    values = RNG.integers(0, 99, values.shape).astype(DTYPES[name])
    for codes in (indices, indices.astype(np.uint16), indices.astype(np.int32)):
        found = unpool(values, codes, *windows, output_size=sizes, backend="numba", **options)
        assert_same(found, placed(values, indices, sizes, options["layout"].endswith("C")))


@pytest.mark.parametrize("bad", [-1, -(2**63), 2**62, "cells"])
@pytest.mark.parametrize("foreign", [False, True], ids=["own windows", "any"])
@pytest.mark.parametrize("case", CASES)
def test_the_first_bad_index(case, foreign, bad):
    """It is named, though a later one of another channel is seen before."""
    unpool, values, indices, windows, sizes, options = unpooling(case, foreign)
    places = sorted(RNG.choice(indices.size, 5, replace=False))
    wrong = math.prod(sizes) if bad == "cells" else bad
    indices.flat[places] = wrong
    first = ", ".join(map(str, np.unravel_index(places[0], indices.shape)))
    for name in ("numpy", "numba"):
        with pytest.raises(IndexError) as caught:
            unpool(values, indices, *windows, output_size=sizes, backend=name, **options)
        assert f"indices[{first}] = {wrong}" in str(caught.value)


def test_memory_of_any_strides():
    """Where cells of a plane do not follow each other, indices are divided."""
    unpool, values, indices, windows, sizes, options = unpooling("overlapping", True)
    room = np.full((*values.shape[:2], sizes[0], 2 * sizes[1]), 7, np.float32)
    out = room[..., ::2]
    unpool(values, indices, *windows, output_size=sizes, out=out, backend="numba", **options)
    assert_same(out, placed(values, indices, sizes, False))
    assert (room[..., 1::2] == 7).all()
    turned = np.asfortranarray(indices), np.asfortranarray(values)
    made = unpool(turned[1], turned[0], *windows, output_size=sizes, backend="numba", **options)
    assert_same(made, placed(values, indices, sizes, False))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("threads", [1, 3])
def test_bands_of_a_large_plane(layout, threads):
    """Each task keeps what falls into its own rows."""
    shape = (1, 700, 500) if layout == "NCHW" else (700, 500, 1)
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, before))
    try:
        values = (
            RNG.standard_normal((1, 350, 250))
            .astype(np.float32)
            .reshape((1, 350, 250) if layout == "NCHW" else (350, 250, 1))
        )
        indices = RNG.integers(0, 350_000, values.shape)
        found = fastpool.maxunpool2d(values, indices, 2, layout=layout, backend="numba")
    finally:
        numba.set_num_threads(before)
    assert_same(found, placed(values, indices, (700, 500), layout == "NHWC"))
    assert found.shape == shape


@pytest.mark.parametrize("layout", ["NCDHW", "NDHWC"])
@pytest.mark.parametrize("windows", [(3, 2, 1), (2, 1), (2, 3, 1, 2)], ids=str)
@pytest.mark.parametrize("sizes", [(40, 30, 70), (3, 190, 150)], ids=str)
def test_bands_of_a_large_volume(layout, windows, sizes):
    """Slices, or rows, that two bands see are seen by both."""
    shape = (1, *sizes) if layout == "NCDHW" else (*sizes, 1)
    x, rest = RNG.integers(0, 9, shape).astype(np.float32), {"layout": layout}
    output, indices = fastpool.maxpool3d(x, *windows, return_indices=True, **rest)
    gradient = (RNG.standard_normal(output.shape) * 1e3).astype(np.float32)
    expected, found = (
        fastpool.maxpool3d_backward(gradient, indices, shape, *windows, backend=name, **rest)
        for name in ("numpy", "numba")
    )
    assert_same(found, expected)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_gradients_of_unequal_windows(layout, tried):
    """They are added at places too, in the order of windows."""
    shape = (3, 13, 17) if layout == "NCHW" else (13, 17, 3)
    x = RNG.integers(0, 9, shape).astype(np.float32)
    output, indices = fastpool.adaptive_maxpool2d(x, (5, 6), return_indices=True, layout=layout)
    gradient = (RNG.standard_normal(output.shape) * 1e4).astype(np.float32)
    expected, found = (
        fastpool.adaptive_maxpool2d_backward(
            gradient, indices, shape, (5, 6), layout=layout, backend=name
        )
        for name in ("numpy", "numba")
    )
    assert_same(found, expected)
    assert tried == ["scatter_flat"]


# Layout, shape of the input, windows: gradients of these are added at places.
TIED = {
    "dilated": ("NCHW", (2, 3, 13, 17), (3, 1, 1, 2)),
    "dilated in unlike ways": ("NCHW", (3, 19, 23), ((2, 3), (2, 1), (0, 1), (5, 3))),
    "dilated pixels": ("NHWC", (2, 13, 17, 3), (3, 2, 1, 2)),
    "a dilated line": ("NCW", (3, 70), (3, 1, 1, 4)),
    "volumes": ("NCDHW", (2, 2, 7, 9, 11), (3, 2, 1)),
    "overlapping volumes": ("NCDHW", (2, 5, 6, 19), (3, 1, 1)),
    "dilated volumes": ("NCDHW", (2, 9, 8, 11), (2, 1, (1, 0, 1), (3, 2, 1))),
    "volumes of pixels": ("NDHWC", (2, 5, 6, 7, 3), (2, 1)),
}


def backward(case, dtype=np.float32):
    layout, shape, windows = TIED[case]
    axes, options = len(layout) - 2, {"layout": layout}
    x = RNG.integers(0, 9, shape).astype(np.float32)  # many indices name the same cell
    pool = getattr(fastpool, f"maxpool{axes}d")
    output, indices = pool(x, *windows, return_indices=True, **options)
    gradient = (RNG.standard_normal(output.shape) * 1e3).astype(dtype)
    route = getattr(fastpool, f"maxpool{axes}d_backward")
    return lambda i, name: route(gradient, i, shape, *windows, backend=name, **options), indices


@pytest.mark.parametrize("name", ["float32", "float64", "int8"])
@pytest.mark.parametrize("case", TIED)
def test_gradients(case, name, tried):
    """They are added in the order of windows, whatever the bands."""
    route, indices = backward(case, DTYPES[name])
    for codes in (indices, indices.astype(np.uint16)):
        assert_same(route(codes, "numba"), route(codes, "numpy"))
    assert set(tried) == {"scatter_flat"}


@pytest.mark.parametrize("step", [-1, 1, "row", "plane", -(2**62)])
@pytest.mark.parametrize("case", TIED)
def test_indices_of_other_windows(case, step):
    """Both backends name the same first one, if there is any."""
    route, indices = backward(case)
    layout, shape, _ = TIED[case]
    last, axes = layout.endswith("C"), len(layout) - 2
    sizes = shape[-axes - last : len(shape) - last]
    step = {"row": sizes[-1], "plane": math.prod(sizes)}.get(step, step)
    for count in (1, 4):
        codes = indices.copy()
        codes.flat[RNG.choice(indices.size, count, replace=False)] += step
        texts = []
        for name in ("numpy", "numba"):
            try:
                texts.append(route(codes, name).tobytes())
            except IndexError as error:
                texts.append(str(error))
        assert texts[0] == texts[1]

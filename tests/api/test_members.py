"""Every member against plain loops: each dtype, both layouts, both formats, both backends."""

import itertools

import numpy as np
import pytest
import strategies
from bits import assert_same
from members import IDS, MEMBERS

import fastpool
from fastpool.cli import check

every_member = pytest.mark.parametrize("member", MEMBERS, ids=IDS)


def shape_of(member, layout, lead=(2,), channels=3):
    """The shape of an input in a layout."""
    if layout == member.layouts[1]:
        return (*lead, *member.sizes, channels)
    return (*lead, channels, *member.sizes)


def unpooling(arguments, shape):
    """The arguments of an unpooling that gives an array of a shape."""
    kept = {name: value for name, value in arguments.items() if name != "ceil_mode"}
    return {**kept, "output_size": shape}


def dtype_of_member(member, name):
    """A case of `test_every_dtype`: all of one member, and of the other a float and an integer.

    The others of that, which compile for half a minute, are left to the whole suite.
    """
    quick = member.name.startswith("max") or name in ("float32", "uint8")
    marks = () if quick else (pytest.mark.whole(backend="numba"),)
    return pytest.param(member, name, marks=marks, id=f"{member.name}-{name}")


CASES = [dtype_of_member(*case) for case in itertools.product(MEMBERS, strategies.DTYPES)]


@pytest.mark.parametrize(("member", "name"), CASES)
def test_every_dtype(member, name, backend):
    """All functions, on values with ties, zeros, NaNs and all bits.

    Both layouts and both formats with each dtype would compile for minutes: of Numba's kernels one
    dtype has both, and the others have one of each, as test_cases goes through the dtypes again.
    """
    rng, dtype = np.random.default_rng(0), check.dtype_of(name)
    layouts, forms = member.layouts, ("flat", "window")
    if backend == "numba" and name != "float32":
        layouts, forms = layouts[:1], [forms[strategies.DTYPES.index(name) % 2]]
    for style, layout, form in itertools.product(("ties", "nans", "bits"), layouts, forms):
        x = check.adversarial(rng, shape_of(member, layout), dtype, style)
        arguments = {**member.windows[1], "layout": layout, "index_format": form}
        check_all(member, x, arguments, backend, rng)


@every_member
@pytest.mark.parametrize("number", [0, 2])
def test_every_window(member, number, backend):
    rng = np.random.default_rng(0)
    for layout, memory in itertools.product(member.layouts, ("contiguous", "strided", "swapped")):
        x = check.adversarial(rng, shape_of(member, layout), np.dtype(np.float32), "ties")
        x = check.in_memory(rng, x, memory)
        arguments = {**member.windows[number], "layout": layout, "index_format": "window"}
        check_all(member, x, arguments, backend, rng)


def check_all(member, x, arguments, backend, rng):
    """Pooling with indices and without, the gradient and unpooling, to the bit."""
    options = {**arguments, "backend": backend}
    output, indices = member.right(x, **arguments)
    found = member.pool(x, return_indices=True, **options)
    assert_same(found.output, output)
    assert_same(found.indices, indices)
    assert_same(member.pool(x, **options), output)
    out = np.empty_like(output), np.empty_like(indices)
    assert member.pool(x, return_indices=True, out=out, **options).output is out[0]
    assert_same(out[0], output)
    assert_same(out[1], indices)
    gradient = check.adversarial(rng, output.shape, output.dtype, "random")
    result = member.backward(gradient, indices, x.shape, **options)
    expected = member.scattered(gradient, indices, x.shape, True, **arguments)
    assert_same(result, expected, any_nan=True)
    result = member.unpool(output, indices, **unpooling(options, x.shape))
    assert_same(result, member.scattered(output, indices, x.shape, False, **arguments))


@every_member
def test_bad_indices(member, backend):
    """The first one is named, by its position and value; an unpooling takes any cell."""
    for layout, form in itertools.product(member.layouts, ("flat", "window")):
        x = np.random.default_rng(0).integers(0, 9, shape_of(member, layout)).astype(np.float32)
        arguments = {**member.windows[2], "layout": layout, "index_format": form}
        output, indices = member.right(x, **arguments)
        options = {**arguments, "backend": backend}
        for place, bad in ((0, 10**6), (indices.size // 2, 10**6), (-1, -1)):
            wrong = indices.astype(np.int64)
            wrong.reshape(-1)[place] = bad
            position = np.unravel_index(range(wrong.size)[place], wrong.shape)
            text = f"indices{[int(n) for n in position]} = {bad} is not"
            with pytest.raises(IndexError) as caught:
                member.backward(output, wrong, x.shape, **options)
            assert text in str(caught.value)
            with pytest.raises(IndexError) as caught:
                member.unpool(output, wrong, **unpooling(options, x.shape))
            assert text in str(caught.value)
    flat = np.zeros(output.shape, np.int64)
    options = {**member.windows[2], "layout": layout, "backend": backend}
    result = member.unpool(output, flat, **unpooling(options, x.shape))
    assert np.count_nonzero(result) <= x.shape[0] * x.shape[-1]
    with pytest.raises(IndexError):
        member.backward(output, flat, x.shape, **options)


@every_member
def test_no_leading_axis_and_many(member, backend):
    x = np.random.default_rng(0).integers(0, 9, member.sizes).astype(np.int16)
    expected = member.right(x, **member.windows[1], layout=member.layouts[0])
    for lead in ((), (1,) * 20, (1, 1)):
        found = member.pool(
            x.reshape(*lead, *x.shape), **member.windows[1], return_indices=True, backend=backend
        )
        for array, right in zip(found, expected, strict=True):
            assert_same(array, right.reshape(*lead, *right.shape))


@every_member
@pytest.mark.parametrize("dtype", ["float32", "float16", "bool", "int64"])
def test_empty_axes(member, dtype, backend):
    """All axes but the spatial ones may be empty, also several at once, and again."""
    for layout, lead, channels in itertools.product(
        member.layouts, ((0,), (3,), (0, 2), (2, 0, 0)), (0, 2)
    ):
        if lead == (3,) and channels:
            continue
        shape = shape_of(member, layout, lead, channels)
        x = np.zeros(shape, dtype)
        options = {"layout": layout, "backend": backend}
        for form in ("flat", "window", "flat"):
            pooled = member.pool(x, 2, return_indices=True, index_format=form, **options)
            halves = [size // 2 for size in member.sizes]
            first = len(shape) - len(halves) - layout.endswith("C")
            assert 0 in pooled.output.shape
            assert list(pooled.output.shape[first : first + len(halves)]) == halves
            assert pooled.indices.shape == pooled.output.shape
            assert member.pool(x, 2, **options).shape == pooled.output.shape
            again = {**options, "index_format": form}
            assert_same(member.backward(*pooled, shape, 2, **again), x)
            assert_same(member.unpool(*pooled, 2, output_size=shape, **again), x)


@every_member
def test_narrow_flat_indices_are_window_indices(member, backend):
    """Their dtype cannot count the plane's cells: without index_format, all would be wrong."""
    sizes = tuple(16 * size for size in member.sizes)
    x = np.zeros((1, *sizes), np.float32)
    output, taps = member.pool(x, 2, return_indices=True, index_format="window", backend=backend)
    assert taps.dtype == np.uint8
    with pytest.raises(TypeError, match="index_format"):
        member.unpool(output, taps, 2, backend=backend)
    with pytest.raises(TypeError, match="index_format"):
        member.backward(output, taps, x.shape, 2, backend=backend)


@every_member
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": (1,) * 4},
        {"kernel_size": 2, "stride": (1,) * 4},
        {"kernel_size": 2, "padding": ((0, 0),) * 4},
        {"kernel_size": 2, "layout": "NC"},
        {"kernel_size": 99},
        {"kernel_size": 0},
        {"x": np.ones(())},
    ],
    ids=str,
)
def test_errors_name_the_function(member, options):
    arguments = {"x": np.ones(member.sizes), "kernel_size": 1, **options}
    with pytest.raises(ValueError, match=f"^{member.name}: "):
        member.pool(**arguments)


def test_one_axis_is_a_plane_of_one_row(backend):
    """The bits of a line are those of the plane that holds it, in all functions."""
    rng = np.random.default_rng(0)
    x = check.adversarial(rng, (5, 3, 301), np.dtype(np.float32), "nans")
    for kernel, stride, padding in ((31, 1, 15), (4, 4, 0), (3, 2, 1)):
        options = {"return_indices": True, "backend": backend}
        line = fastpool.maxpool1d(x, kernel, stride, padding, **options)
        sides = (0, 0), (padding, padding)
        rows = x[..., np.newaxis, :]
        plane = fastpool.maxpool2d(rows, (1, kernel), (1, stride), sides, **options)
        for found, expected in zip(line, plane, strict=True):
            assert_same(found, expected[..., 0, :])


def test_slices_of_one_are_planes(backend):
    rng = np.random.default_rng(0)
    x = check.adversarial(rng, (2, 1, 13, 21), np.dtype(np.float16), "nans")
    options = {"return_indices": True, "backend": backend}
    volume = fastpool.maxpool3d(x, (1, 3, 3), 2, (0, 1, 1), **options)
    plane = fastpool.maxpool2d(x, 3, 2, 1, **options)
    for found, expected in zip(volume, plane, strict=True):
        assert_same(found, expected)

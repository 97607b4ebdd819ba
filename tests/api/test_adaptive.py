"""Adaptive pooling against plain loops, each window by itself, to the bit."""

import itertools

import numpy as np
import oracle
import pytest
import strategies
from bits import assert_same

import fastpool
from fastpool.cli import check
from fastpool.rules.axis import adaptive

LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}

# Sizes, and how many windows: as many as divide the cells, fewer, more, all, one. In the last ones
# of each number of axes some windows have more than 64 cells, and some have not.
CASES = [
    ((12,), (4,)),
    ((14,), (5,)),
    ((3,), (5,)),
    ((200,), (3,)),
    ((130,), (2,)),
    ((14, 21), (7, 3)),
    ((14, 13), (5, 4)),
    ((7, 5), (None, 1)),
    ((5, 3), (9, 7)),
    ((25, 17), (3, 2)),
    ((6, 5, 7), (3, 1, 7)),
    ((5, 6, 7), (3, 4, 2)),
    ((9, 9, 9), (2, 2, 2)),
]


def functions(member, n):
    name = f"adaptive_{member}pool{n}d"
    return getattr(fastpool, name), getattr(fastpool, f"{name}_backward")


def inputs(sizes, layout, dtype, style, channels=3):
    shape = (2, *sizes, channels) if layout.endswith("C") else (2, channels, *sizes)
    return check.adversarial(np.random.default_rng(0), shape, dtype, style)


def check_maximum(x, output_size, layout, backend):
    pool, backward = functions("max", len(layout) - 2)
    options = {"layout": layout, "backend": backend}
    output, indices = oracle.adaptive_maxpool(x, output_size, layout)
    found = pool(x, output_size, return_indices=True, **options)
    assert_same(found.output, output)
    assert_same(found.indices, indices)
    assert_same(pool(x, output_size, **options), output)
    gradient = check.adversarial(np.random.default_rng(1), output.shape, x.dtype, "random")
    wide = np.float32 if x.itemsize == 2 and x.dtype.kind not in "iu" else x.dtype
    expected = np.zeros(x.shape, wide)
    with np.errstate(all="ignore"):
        for plane, values, codes in zip(
            *(oracle.planes(each, layout) for each in (expected, gradient, indices)), strict=True
        ):
            for place in np.ndindex(values.shape):
                cell = np.unravel_index(codes[place], plane.shape)
                plane[cell] = plane[cell] + values[place].astype(wide)
        expected = expected.astype(x.dtype)
    found = backward(gradient, indices, x.shape, output_size, **options)
    assert_same(found, expected, any_nan=True)


def check_average(x, output_size, layout, backend, dtype=None):
    pool, backward = functions("avg", len(layout) - 2)
    options = {"layout": layout, "backend": backend}
    expected = oracle.adaptive_avgpool(x, output_size, layout, dtype)
    assert_same(pool(x, output_size, dtype=dtype, **options), expected, any_nan=True)
    if "float" in x.dtype.name:
        gradient = check.adversarial(np.random.default_rng(1), expected.shape, x.dtype, "random")
        right = oracle.adaptive_avgpool_backward(gradient, x.shape, output_size, layout)
        found = backward(gradient, x.shape, output_size, **options)
        assert_same(found, right, any_nan=True)


@pytest.mark.numba
@pytest.mark.parametrize(("sizes", "output_size"), [CASES[1], CASES[6], CASES[9], CASES[12]])
def test_case(sizes, output_size):
    """One of each number of axes, and one whose windows are of two kinds."""
    test_every_case(sizes, output_size, "numba")


@pytest.mark.whole(backend="numba")
@pytest.mark.parametrize(("sizes", "output_size"), CASES)
def test_every_case(sizes, output_size, backend):
    for layout in LAYOUTS[len(sizes)]:
        x = inputs(sizes, layout, np.dtype(np.float32), "random")
        check_maximum(x, output_size, layout, backend)
        check_average(x, output_size, layout, backend)


@pytest.mark.parametrize("name", strategies.DTYPES)
def test_every_dtype(name, backend):
    dtype = check.dtype_of(name)
    # Each layout compiles for a second.
    last = "NHWC" if name == "float32" or backend == "numpy" else "NCHW"
    for style, layout in (("ties", "NCHW"), ("nans", "NCHW"), ("bits", last)):
        x = inputs((7, 9), layout, dtype, style, 19 if layout == "NHWC" else 3)
        check_maximum(x, (3, 4), layout, backend)
        check_average(x, (3, 4), layout, backend)
        if "float" not in name and name != "bool":
            check_average(x, (3, 4), layout, backend, name)


@pytest.mark.whole(backend="numba")
@pytest.mark.parametrize("memory", ["strided", "swapped", "reversed", "fortran"])
def test_any_memory(memory, backend):
    rng = np.random.default_rng(0)
    for layout in LAYOUTS[2]:
        x = check.in_memory(rng, inputs((8, 9), layout, np.dtype(np.float32), "ties"), memory)
        check_maximum(x.astype("f4", copy=False), (3, 5), layout, backend)
        expected = fastpool.adaptive_maxpool2d(x, (3, 5), True, layout=layout, backend="numpy")
        outs = tuple(check.in_memory(rng, np.zeros_like(each), memory) for each in expected)
        if memory != "swapped":
            fastpool.adaptive_maxpool2d(
                x, (3, 5), return_indices=True, layout=layout, out=outs, backend=backend
            )
            assert_same(outs[0], expected.output)
            assert_same(outs[1], expected.indices)


def test_shares():
    """Windows cover the axis, in order; what a window has, the cell knows; parts are parts."""
    for size, count in itertools.product(range(1, 24), range(1, 24)):
        axis, right = adaptive(size, count), oracle.shares(size, count)
        assert axis.starts.tolist() == [each.start for each in right]
        assert axis.tap_counts.tolist() == [len(each) for each in right]
        assert axis.kernel == max(map(len, right))
        assert axis.overlapping == any(a.stop > b.start for a, b in itertools.pairwise(right))
        for low, high in itertools.combinations(range(size + 1), 2):
            have = [o for o, each in enumerate(right) if each.start < high and each.stop > low]
            assert axis.reaching(low, high) == (have[0], have[-1] + 1)
            assert axis.starting(high) == sum(each.start < high for each in right)
        if not axis.regular:
            firsts, counts = axis.cell_windows
            for cell in range(size):
                have = [o for o, each in enumerate(right) if cell in each]
                assert (firsts[cell], counts[cell]) == (have[0], len(have))
            first, stop = count // 3, count // 3 + max(count // 2, 1)
            low, high, part = axis.part(first, stop)
            assert (low, high) == (right[first].start, right[stop - 1].stop)
            assert (part.starts + low).tolist() == [each.start for each in right[first:stop]]
            assert part.tap_counts.tolist() == [len(each) for each in right[first:stop]]
            have = [o for o, each in enumerate(right[first:stop]) if low in each]
            assert part.reaching(0, 1) == (have[0], have[-1] + 1)
            assert part.starting(part.size) == part.output


def test_sizes_of_any_length():
    """No sum of 64 bits wraps."""
    size, count = 2**40 + 1, 2**33
    axis = adaptive(size, count)
    _, _, part = axis.part(0, 2)
    assert part.output == 2
    assert axis.kernel == 129


def test_empty_results(backend):
    x = np.ones((2, 6, 7), np.float32)
    for size in (0, (0, 3), (4, 0)):
        found = fastpool.adaptive_maxpool2d(x, size, return_indices=True, backend=backend)
        assert found.output.size == found.indices.size == 0
        average = fastpool.adaptive_avgpool2d(x, size, backend=backend)
        assert average.shape == found.output.shape
        gradient = fastpool.adaptive_maxpool2d_backward(*found, x.shape, size, backend=backend)
        assert_same(gradient, np.zeros_like(x))
        gradient = fastpool.adaptive_avgpool2d_backward(average, x.shape, size, backend=backend)
        assert_same(gradient, np.zeros_like(x))


def test_bad_indices(backend):
    """Each must name a cell of its own window; the first bad one is named."""
    x = np.arange(70.0).reshape(2, 5, 7)
    for size in ((3, 4), (5, 7), (5, 1)):
        output, indices = fastpool.adaptive_maxpool2d(x, size, return_indices=True, backend=backend)
        for place, bad in ((1, 0), (2, -1), (output.size - 1, 35)):
            wrong = indices.copy()
            wrong.reshape(-1)[place] = bad
            if place == 1 and size[1] == 1:
                continue
            position = [int(n) for n in np.unravel_index(place, wrong.shape)]
            with pytest.raises(IndexError) as caught:
                fastpool.adaptive_maxpool2d_backward(output, wrong, x.shape, size, backend=backend)
            assert f"adaptive_maxpool2d_backward: indices{position} = {bad}" in str(caught.value)


def test_errors(backend):
    x = np.ones((2, 6, 7), np.float32)
    for size, error in (
        ((1, 2, 3), ValueError), (-1, ValueError), (2.0, TypeError), ("2", TypeError),
        ((2, True), TypeError), (2**63, ValueError), ((), ValueError),
    ):  # fmt: skip
        with pytest.raises(error, match="adaptive_maxpool2d: output_size must be"):
            fastpool.adaptive_maxpool2d(x, size, backend=backend)
    with pytest.raises(MemoryError, match="adaptive_avgpool2d: a result of shape"):
        fastpool.adaptive_avgpool2d(x, 2**40, backend=backend)
    with pytest.raises(ValueError, match="adaptive_avgpool2d_backward: grad_output has shape"):
        fastpool.adaptive_avgpool2d_backward(x, (2, 6, 7), 3, backend=backend)
    with pytest.raises(TypeError, match="gradients are floats"):
        fastpool.adaptive_avgpool2d_backward(np.ones((2, 3, 3), int), (2, 6, 7), 3, backend=backend)
    with pytest.raises(ValueError, match="empty spatial axis"):
        fastpool.adaptive_maxpool1d(np.ones((2, 0)), 2, backend=backend)

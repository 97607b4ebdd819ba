"""Property tests: each backend against plain loops, on any geometry, dtype, memory and value."""

import math

import numpy as np
import oracle
import pytest
import strategies
from bits import assert_same
from hypothesis import assume, given
from hypothesis import strategies as st

import fastpool
from fastpool.cli import check
from fastpool.rules import arguments as rules
from fastpool.rules.geometry import pooled

pytestmark = pytest.mark.whole(backend="numba")


def oracle_or_none(function, *arguments, **options):
    try:
        return function(*arguments, **options)
    except ValueError:
        return None


def spatial(shape, layout):
    """The height and width of an input shape."""
    return shape[-2:] if layout == "NCHW" else shape[-3:-1]


@given(st.data(), strategies.geometries(), strategies.dtypes())
def test_forward(backend, data, geometry, dtype):
    shape, arguments = geometry
    x = data.draw(strategies.arrays(shape, dtype))
    before = x.tobytes()
    expected = oracle_or_none(oracle.maxpool, x, **arguments)
    if expected is None:
        with pytest.raises(ValueError, match="maxpool2d: "):
            fastpool.maxpool2d(x, **arguments, backend=backend)
        return
    result = fastpool.maxpool2d(x, **arguments, return_indices=True, backend=backend)
    assert_same(result.output, expected[0])
    assert_same(result.indices, expected[1])
    assert_same(fastpool.maxpool2d(x, **arguments, backend=backend), expected[0])
    assert x.tobytes() == before


@given(st.data(), strategies.geometries(), strategies.dtypes())
def test_out_may_lie_anywhere(backend, data, geometry, dtype):
    shape, arguments = geometry
    x = data.draw(strategies.arrays(shape, dtype))
    expected = oracle_or_none(oracle.maxpool, x, **arguments)
    if expected is None:
        return
    writeable = ("fortran", "reversed", "strided", "cropped", "unaligned", "record")
    rng = np.random.default_rng(0)
    out = tuple(
        check.in_memory(rng, np.zeros_like(array), data.draw(st.sampled_from(writeable)))
        for array in expected
    )
    result = fastpool.maxpool2d(x, **arguments, return_indices=True, out=out, backend=backend)
    assert result.output is out[0]
    assert result.indices is out[1]
    assert_same(out[0], expected[0])
    assert_same(out[1], expected[1])


@given(st.data(), strategies.geometries(), strategies.dtypes(), st.sampled_from("bhiqBHIQ"))
def test_backward(backend, data, geometry, dtype, index_code):
    shape, arguments = geometry
    x = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 4, shape)
    pooled = oracle_or_none(oracle.maxpool, x, **arguments)
    if pooled is None:
        with pytest.raises(ValueError, match="maxpool2d_backward: "):
            fastpool.maxpool2d_backward(
                np.zeros(1, dtype), [0], shape, **arguments, backend=backend
            )
        return
    indices = pooled[1].astype(index_code)
    if (indices != pooled[1]).any():
        return
    gradient = data.draw(strategies.arrays(pooled[0].shape, dtype))
    expected = oracle.scatter(gradient, indices, shape, True, **arguments)
    out = check.in_memory(
        np.random.default_rng(0),
        np.ones(shape, dtype),
        data.draw(st.sampled_from(("strided", "unaligned"))),
    )
    for target in (None, out):
        result = fastpool.maxpool2d_backward(
            gradient, indices, shape, **arguments, out=target, backend=backend
        )
        assert_same(result, expected, any_nan=True)


@given(st.data(), strategies.geometries(), strategies.dtypes())
def test_unpool(backend, data, geometry, dtype):
    shape, arguments = geometry
    x = data.draw(strategies.arrays(shape, dtype))
    pooled = oracle_or_none(oracle.maxpool, x, **arguments)
    if pooled is None:
        return
    values = data.draw(strategies.arrays(pooled[0].shape, dtype))
    expected = oracle.scatter(values, pooled[1], shape, False, **arguments)
    del arguments["ceil_mode"]
    for output_size in (spatial(shape, arguments["layout"]), shape):
        try:
            result = fastpool.maxunpool2d(
                values, pooled[1], **arguments, output_size=output_size, backend=backend
            )
        except ValueError as error:
            # More than a stride away: a window that sticks out, or padding "same".
            assert "out of reach" in str(error)
        else:
            assert_same(result, expected)


@given(st.data(), strategies.geometries(), st.booleans())
def test_bad_indices(backend, data, geometry, gradient):
    """The first bad index is reported wherever it is, and the good ones are not."""
    shape, arguments = geometry
    x = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 9, shape)
    pooled = oracle_or_none(oracle.maxpool, x, **arguments)
    if pooled is None:
        return
    values, indices = pooled[0], pooled[1].astype(np.int64)
    place = data.draw(st.integers(0, indices.size - 1))
    plane = x.size
    wrong = st.one_of(st.integers(-3, plane + 3), st.sampled_from((2**32 + 3, 2**63 - 1, -(2**63))))
    indices.reshape(-1)[place] = data.draw(wrong)
    expected = oracle.scatter(values, indices, shape, gradient, **arguments)
    if gradient:
        call = (fastpool.maxpool2d_backward, values, indices, shape)
    else:
        del arguments["ceil_mode"]
        call = (fastpool.maxunpool2d, values, indices)
        arguments["output_size"] = spatial(shape, arguments["layout"])
    try:
        result = call[0](*call[1:], **arguments, backend=backend)
    except IndexError as error:
        assert isinstance(expected, int), error
        position = [int(n) for n in np.unravel_index(expected, indices.shape)]
        assert f"indices{position} = {indices.reshape(-1)[expected]} " in str(error)
    except ValueError as error:
        assert "out of reach" in str(error)
    else:
        assert_same(result, expected)


NUMBERS = st.one_of(
    st.integers(1, 4),
    st.sampled_from([2**31, 2**32, 2**40, 2**53, 2**61, 10**9]).flatmap(
        lambda n: st.integers(n - 1, n + 1)
    ),
)


@given(
    st.tuples(*[st.integers(1, 5)] * 2),
    st.tuples(*[st.tuples(NUMBERS, NUMBERS)] * 3),
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
    st.booleans(),
)
@pytest.mark.numba
@pytest.mark.whole
def test_backends_agree_on_hostile_geometries(sizes, numbers, parts, ceil_mode):
    """Where stepping through all taps would not end: most are refused, the others are pooled."""
    kernel, stride, dilation = numbers
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True) for _ in (0, 1)]
    low_high = [int(part * r) for part, r in zip(parts, reach, strict=True)]
    arguments = kernel, stride, (tuple(low_high[:2]), tuple(low_high[2:])), dilation, ceil_mode
    x = np.random.default_rng(0).integers(0, 3, sizes).astype(np.float32)
    try:
        windows = rules.windows("f", 2, *arguments[:4])
        found = pooled("f", "x", sizes, windows, ceil_mode, "NCHW")
    except ValueError:
        return
    assume(math.prod(found.output_shape) < 10**5)
    output, indices = fastpool.maxpool2d(x, *arguments, return_indices=True, backend="numpy")
    assert_same(output, x.reshape(-1)[indices])
    result = fastpool.maxpool2d(x, *arguments, return_indices=True, backend="numba")
    assert_same(result.output, output)
    assert_same(result.indices, indices)
    gradients = [
        fastpool.maxpool2d_backward(output, indices, sizes, *arguments, backend=name)
        for name in ("numpy", "numba")
    ]
    assert_same(*gradients)

"""The same bits as PyTorch on data without NaN, wherever PyTorch accepts the arguments."""

import numpy as np
import pytest
from bits import assert_same
from hypothesis import assume, given
from hypothesis import strategies as st

import fastpool

torch = pytest.importorskip("torch")


@st.composite
def poolings(draw):
    """A shape and PyTorch's arguments; its padding is symmetric, half a kernel at most."""
    kernel = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    stride = draw(st.one_of(st.none(), st.tuples(st.integers(1, 4), st.integers(1, 4))))
    dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    shape = (
        *draw(st.tuples(*[st.integers(1, 3)] * 2)),
        *draw(st.tuples(*[st.integers(1, 12)] * 2)),
    )
    return shape, (kernel, stride, padding, dilation, draw(st.booleans()))


def values(draw, shape, dtype):
    """Normal numbers, or a few numbers with ties, signed zeros and infinities."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if draw(st.booleans()):
        return rng.standard_normal(shape).astype(dtype)
    return rng.choice(np.array([0.0, -0.0, 1.0, 2.0, -np.inf, np.inf]), shape).astype(dtype)


def torch_forward(x, arguments):
    """PyTorch's output and indices; None where it, or fastpool, refuses the geometry."""
    kernel, stride, padding, dilation, ceil_mode = arguments
    try:
        output, indices = torch.nn.functional.max_pool2d(
            torch.from_numpy(x), kernel, stride, padding, dilation, ceil_mode, return_indices=True
        )
    except RuntimeError:
        return None
    try:
        fastpool.maxpool2d(x, *arguments, backend="numpy")
    except ValueError as error:
        assert "holds no input cell" in str(error)
        return None
    return output, indices


@given(st.data(), poolings(), st.sampled_from(["float16", "float32", "float64"]))
def test_forward(backend, data, pooling, dtype):
    shape, arguments = pooling
    x = values(data.draw, shape, dtype)
    expected = torch_forward(x, arguments)
    assume(expected is not None)
    result = fastpool.maxpool2d(x, *arguments, return_indices=True, backend=backend)
    assert_same(result.indices, expected[1].numpy())
    assert_same(result.output, expected[0].numpy())


@given(st.data(), poolings(), st.sampled_from(["float32", "float64"]))
def test_channels_last(backend, data, pooling, dtype):
    shape, arguments = pooling
    x = values(data.draw, shape, dtype)
    expected = torch_forward(x, arguments)
    assume(expected is not None)
    result = fastpool.maxpool2d(
        np.moveaxis(x, 1, -1), *arguments, return_indices=True, layout="NHWC", backend=backend
    )
    assert_same(np.moveaxis(result.indices, -1, 1), expected[1].numpy())
    assert_same(np.moveaxis(result.output, -1, 1), expected[0].numpy())


@given(st.data(), poolings(), st.sampled_from(["float32", "float64"]))
def test_backward(backend, data, pooling, dtype):
    """Finite gradients: where infinities of both signs meet, the sum is a NaN of either sign."""
    shape, arguments = pooling
    x = values(data.draw, shape, dtype)
    forward = torch_forward(x, arguments)
    assume(forward is not None)
    gradient = np.random.default_rng(0).standard_normal(forward[0].shape).astype(dtype)
    kernel, stride, padding, dilation, ceil_mode = arguments
    expected = torch.ops.aten.max_pool2d_with_indices_backward(
        torch.from_numpy(gradient), torch.from_numpy(x), kernel, stride or kernel, padding,
        dilation, ceil_mode, forward[1],
    )  # fmt: skip
    result = fastpool.maxpool2d_backward(
        gradient, forward[1].numpy(), shape, *arguments, backend=backend
    )
    assert_same(result, expected.numpy())


@given(st.data(), poolings())
def test_unpool(backend, data, pooling):
    """Without dilation and overlap, which make torch's size or result ambiguous."""
    shape, (kernel, _, padding, _, _) = pooling
    x = values(data.draw, shape, "float32")
    forward = torch_forward(x, (kernel, None, padding, 1, False))
    assume(forward is not None)
    size = data.draw(st.sampled_from([None, shape[2:], shape]))
    try:
        expected = torch.nn.functional.max_unpool2d(*forward, kernel, None, padding, size)
    except (RuntimeError, ValueError):
        assume(False)
    assume(expected.numel())  # PyTorch unpools to an empty plane, which can hold no index
    result = fastpool.maxunpool2d(
        forward[0].numpy(), forward[1].numpy(), kernel, None, padding, size, backend=backend
    )
    assert_same(result, expected.numpy())


def test_bfloat16(backend):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = torch.randn(2, 3, 12, 11, dtype=torch.bfloat16)
    expected = torch.nn.functional.max_pool2d(x, 3, 2, 1, return_indices=True)
    result = fastpool.maxpool2d(
        x.view(torch.int16).numpy().view(ml_dtypes.bfloat16), 3, 2, 1, return_indices=True,
        backend=backend,
    )  # fmt: skip
    assert_same(result.output.view(np.int16), expected[0].view(torch.int16).numpy())
    assert_same(result.indices, expected[1].numpy())


def test_nan_values_agree_and_the_first_one_is_named(backend):
    """PyTorch names the last NaN of a window."""
    x = np.array([[1.0, np.nan], [np.nan, 2.0]])
    expected = torch.nn.functional.max_pool2d(torch.from_numpy(x)[None], 2, return_indices=True)
    result = fastpool.maxpool2d(x, 2, return_indices=True, backend=backend)
    assert np.isnan(result.output).all()
    assert torch.isnan(expected[0]).all()
    assert (result.indices.item(), expected[1].item()) == (1, 2)


def test_tensors_are_array_likes(backend):
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert fastpool.maxpool2d(x, 2, backend=backend).tolist() == [[[[5.0, 7.0], [13.0, 15.0]]]]

"""PyTorch tensors: PyTorch's bits, its conformance tools, and its ways to transform functions."""

import copy
import doctest
import io
import itertools
import pickle
import shutil
import threading
import warnings
from unittest import mock

import numpy as np
import process
import pytest
from bits import assert_same
from hypothesis import assume, given
from hypothesis import strategies as st

import fastpool
from fastpool.cli import check

torch = pytest.importorskip("torch")
F = torch.nn.functional
func = torch.func

from tensors import (  # noqa: E402  (it needs PyTorch)
    FORMATS,
    TRANSFORMED,
    bits,
    cubed,
    forward_and_gradient,
    normal,
    numbers,
    same,
)
from test_torch import poolings, torch_forward, values  # noqa: E402  (they need PyTorch)
from torch._dynamo.testing import CompileCounterWithBackend  # noqa: E402

from fastpool.interop import torch as adapter  # noqa: E402
from fastpool.interop.torch import (  # noqa: E402
    MaxPool2d,
    calls,
    max_pool2d,
    min_pool2d,
    replace_max_pool2d,
    restore_max_pool2d,
)

pytestmark = [
    # PyTorch's own, of what it does inside of torch.compile and torch.export.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning:torch"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch"),
]

# As PyTorch takes them.
WINDOWS = [(2,), (3, 2, 1), ((3, 2), (1, 2), (1, 0)), (3, 1, 1, 2), (3, 2, 1, 1, True), ([2], [])]


@pytest.fixture
def on_each(backend):
    """What reads and writes memory is tested on both backends, the rest on what "auto" takes."""
    with fastpool.use_backend(backend):
        yield


each = pytest.mark.usefixtures("on_each")


@each
@pytest.mark.parametrize("memory_format", FORMATS, ids=["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
class TestAgainstPyTorch:
    def test_output_and_indices(self, dtype, memory_format):
        pytest.importorskip("ml_dtypes")
        for seed, arguments in enumerate(WINDOWS):
            x = numbers((2, 3, 9, 8), dtype, memory_format, seed)
            expected = F.max_pool2d(x, *arguments, return_indices=True)
            found = max_pool2d(x, *arguments, return_indices=True)
            for actual, other in zip(found, expected, strict=True):
                same(actual, other)
            same(max_pool2d(x, *arguments), expected[0])

    def test_gradient(self, dtype, memory_format):
        """Of float32 and float64 where windows overlap: PyTorch rounds 16-bit sums in between."""
        pytest.importorskip("ml_dtypes")
        for seed, arguments in enumerate(WINDOWS[:1] if dtype.itemsize == 2 else WINDOWS):
            x = numbers((2, 3, 9, 8), dtype, memory_format, seed)
            weights = normal(F.max_pool2d(x, *arguments).shape, dtype, seed)
            weights = weights.contiguous(memory_format=memory_format)
            expected = forward_and_gradient(lambda x, a=arguments: F.max_pool2d(x, *a), x, weights)
            for indices in (False, True):

                def pool(x, a=arguments, indices=indices):
                    result = max_pool2d(x, *a, return_indices=indices)
                    return result[0] if indices else result

                found = forward_and_gradient(pool, x, weights)
                same(found[0], expected[0])
                same(found[1], expected[1])


class TestMinimum:
    """The mirror: of floats that of PyTorch's maximum, of which `-x` is exact; and derivatives."""

    @each
    @pytest.mark.parametrize("memory_format", FORMATS, ids=["NCHW", "NHWC"])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
    def test_output_indices_and_gradient(self, dtype, memory_format):
        for seed, arguments in enumerate(WINDOWS[:1] if dtype.itemsize == 2 else WINDOWS):
            x = numbers((2, 3, 9, 8), dtype, memory_format, seed)
            output, indices = F.max_pool2d(-x, *arguments, return_indices=True)
            found = min_pool2d(x, *arguments, return_indices=True)
            same(found[0], -output)
            same(found[1], indices)
            same(min_pool2d(x, *arguments), -output)
            weights = normal(output.shape, dtype, seed).contiguous(memory_format=memory_format)
            expected = forward_and_gradient(lambda x, a=arguments: F.max_pool2d(x, *a), -x, weights)
            found = forward_and_gradient(lambda x, a=arguments: min_pool2d(x, *a), x, weights)
            same(found[1], expected[1])

    @each
    def test_integers_that_have_no_negative(self):
        x = torch.tensor([[[-128, -127], [0, 127]]], dtype=torch.int8)
        assert min_pool2d(x, 2).tolist() == [[[-128]]]
        assert min_pool2d(-x[:, :1, 1:], 1).tolist() == [[[127]]]
        x = torch.tensor([[[3, 0], [0, 255]]], dtype=torch.uint8)
        output, indices = min_pool2d(x, 2, return_indices=True)
        assert (output.item(), indices.item()) == (0, 1)

    def test_every_derivative(self):
        x = torch.tensor(np.random.default_rng(0).permutation(84) / 9).reshape(2, 1, 6, 7)
        x.requires_grad_()
        arguments = (3, 2, 1)
        assert torch.autograd.gradcheck(lambda x: min_pool2d(x, *arguments), x)
        assert torch.autograd.gradgradcheck(lambda x: min_pool2d(x, *arguments) ** 2, x)
        own, other = (
            lambda x: (min_pool2d(x, *arguments) ** 3).sum(),
            lambda x: ((-F.max_pool2d(-x, *arguments)) ** 3).sum(),
        )
        x = x.detach()
        expected = func.vmap(func.grad(other))(x) + 0.0  # which has zeros of the other sign
        same(func.vmap(func.grad(own))(x), expected)
        tangent = normal(x.shape, torch.float64)
        found, expected = (func.jvp(pool, (x,), (tangent,)) for pool in (own, other))
        same(found[0], expected[0])
        same(found[1], expected[1])

    def test_what_records_programs(self):
        x = normal((1, 2, 8, 8))
        expected = min_pool2d(x, 3, 2, 1)
        compiled = torch.compile(
            lambda x: min_pool2d(x, 3, 2, 1), fullgraph=True, backend="aot_eager"
        )
        same(compiled(x), expected)
        same(torch.jit.trace(lambda x: min_pool2d(x, 3, 2, 1), (x,))(x), expected)
        graph = torch.fx.symbolic_trace(lambda x: min_pool2d(x, 3, 2, 1))
        assert min_pool2d in {node.target for node in graph.graph.nodes}
        same(graph(x), expected)
        with pytest.raises(RuntimeError, match=r"min_pool2d: torch\.jit\.script"):
            torch.jit.script(min_pool2d)
        assert pickle.loads(pickle.dumps(min_pool2d)) is min_pool2d

    def test_onnx_is_refused(self):
        with (
            mock.patch.object(torch.onnx, "is_in_onnx_export", return_value=True),
            mock.patch.object(torch.jit, "is_tracing", return_value=True),
            pytest.raises(NotImplementedError, match="min_pool2d: ONNX"),
        ):
            min_pool2d(torch.ones(1, 1, 2, 2), 2)

    def test_errors_name_it(self):
        with pytest.raises(ValueError, match=r"^min_pool2d: kernel_size"):
            min_pool2d(torch.ones(1, 2, 2), 3)
        with pytest.raises(TypeError, match=r"^min_pool2d: ceil_mode"):
            min_pool2d(torch.ones(1, 2, 2), 2, ceil_mode=1)


@each
@pytest.mark.parametrize("memory_format", FORMATS, ids=["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bit_gradients_of_overlapping_windows(dtype, memory_format):
    """The documented difference: rounded once, and so nearer to the truth than PyTorch's."""
    pytest.importorskip("ml_dtypes")
    x = normal((2, 3, 16, 16), dtype).contiguous(memory_format=memory_format)
    weights = normal((2, 3, 16, 16), dtype, seed=1)
    found, other = (
        forward_and_gradient(lambda x, f=f: f(x, 3, 1, 1), x, weights)[1]
        for f in (max_pool2d, F.max_pool2d)
    )
    _, indices = F.max_pool2d(x, 3, 1, 1, return_indices=True)
    wide = fastpool.maxpool2d_backward(weights.float().numpy(), indices.numpy(), x.shape, 3, 1, 1)
    assert_same(bits(found), bits(torch.from_numpy(wide).to(dtype)))
    assert not found.equal(other)


@each
@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int64, torch.bool])
def test_integers(dtype):
    x = torch.tensor(
        np.random.default_rng(0).integers(0, 2 if dtype is torch.bool else 100, (3, 8, 8))
    )
    x = x.to(dtype)
    assert_same(max_pool2d(x, 3, 2, 1).numpy(), fastpool.maxpool2d(x.numpy(), 3, 2, 1))


@each
def test_any_number_of_leading_axes_and_any_strides():
    x = numbers((2, 3, 4, 8, 9))
    for tensor in (x, x[0], x[0, 0], x[0, 0, 0], x.movedim(1, -1), x[..., ::2, 1:], x.mT):
        assert_same(max_pool2d(tensor, 2).numpy(), fastpool.maxpool2d(tensor.numpy(), 2))


@each
@pytest.mark.parametrize("form", FORMATS, ids=["gradient NCHW", "gradient NHWC"])
def test_memory_formats_are_those_of_pytorch(form):
    """Crops of channels-last tensors stay channels-last, and gradients come in any format."""
    last = numbers((3, 4, 8, 9), memory_format=torch.channels_last)
    for x in (
        last[:, :, 1:], last[:, :, :-2, 3:], last[:, 1:], last[1:], last[:1], last[:, :, ::2],
        last[:, :, :, :2], last[:, :, :2], last.flip(-1), last[:1].expand(3, -1, -1, -1), last.mT,
        last[:, :1].expand(-1, 4, -1, -1), last.contiguous(), last.contiguous()[..., 1:],
    ):  # fmt: skip
        found, expected = (f(x, 2, 1, return_indices=True) for f in (max_pool2d, F.max_pool2d))
        same(found[0], expected[0])
        same(found[1], expected[1])
        weights = normal(F.max_pool2d(x, 2, 1).shape).contiguous(memory_format=form)
        gradients = []
        for pool in (max_pool2d, F.max_pool2d):
            leaf = x.detach().requires_grad_()
            gradients += torch.autograd.grad(pool(leaf, 2, 1), leaf, weights)
        same(*gradients)


@each
def test_gradients_of_all_strides():
    """Also those of a sum, and parts of a larger tensor as behind a concatenation."""
    for memory_format in FORMATS:
        x = numbers((2, 3, 8, 8), memory_format=memory_format).requires_grad_()
        big = normal((2, 8, 9, 9))
        for weights in (
            torch.tensor(2.0).expand(2, 3, 4, 4), big[:, :3, :4, :4], big[:, 1:7:2, 1::2, 1::2],
            big[:, 5:, :4, :4].mT, big[:, :1, :4, :1].expand(2, 3, 4, 4),
        ):  # fmt: skip
            gradients = [
                torch.autograd.grad(pool(x, 3, 2, 1), x, weights)[0]
                for pool in (max_pool2d, F.max_pool2d)
            ]
            same(*gradients)


@each
@given(st.data(), poolings(), st.sampled_from(["float32", "float64"]), st.sampled_from(FORMATS))
def test_any_pooling(data, pooling, dtype, memory_format):
    shape, arguments = pooling
    x = values(data.draw, shape, dtype)
    expected = torch_forward(x, arguments)
    assume(expected is not None)
    x = torch.from_numpy(x).contiguous(memory_format=memory_format).requires_grad_()
    weights = normal(expected[0].shape, x.dtype)
    results = []
    for pool in (max_pool2d, F.max_pool2d):
        output, indices = pool(x, *arguments, return_indices=True)
        again = pool(x, *arguments)
        results.append(
            [output, indices, again]
            + [torch.autograd.grad(result, x, weights)[0] for result in (output, again)]
        )
    for actual, other in zip(*results, strict=True):
        assert_same(bits(actual), bits(other))


@each
def test_memory_is_shared():
    """The kernels read the tensor's own memory, and write that of the result."""
    image = numbers((8, 8, 3)).permute(2, 0, 1)[None]  # as it comes from a file
    for x in (image, *(numbers((2, 5, 8, 8), memory_format=form) for form in FORMATS)):
        with mock.patch.object(calls, "execute_call", wraps=calls.execute_call) as call:
            output = max_pool2d(x, 2)
        _, (array,), out, _ = call.call_args.args
        assert array.ctypes.data == x.data_ptr()
        assert out.ctypes.data == output.data_ptr()
        assert array.flags.c_contiguous


@each
def test_first_nan_wins():
    """The documented difference: PyTorch's is the last one."""
    x = torch.tensor([[[1.0, np.nan], [np.nan, 2.0]]], requires_grad=True)
    output, indices = max_pool2d(x, 2, return_indices=True)
    assert output.isnan().all()
    assert indices.item() == 1
    assert F.max_pool2d(x, 2, return_indices=True)[1].item() == 2
    payload = torch.tensor([[[0x7FC12345, 0x7FC54321]]], dtype=torch.int32).view(torch.float32)
    assert max_pool2d(payload, (1, 2)).view(torch.int32).item() == 0x7FC12345


@each
def test_empty_batches():
    for shape in ((0, 3, 8, 8), (2, 0, 8, 8)):
        x = torch.zeros(shape, requires_grad=True)
        max_pool2d(x, 2).sum().backward()
        assert x.grad.shape == shape


def test_one_byte_an_output_is_kept():
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        max_pool2d(torch.zeros(1, 1, 40, 40, requires_grad=True), 16, 1)
        max_pool2d(torch.zeros(1, 1, 40, 40, requires_grad=True), 17, 1)
    assert [(t.dtype, t.shape) for t in kept] == [
        (torch.uint8, (1, 1, 25, 25)), (torch.uint16, (1, 1, 24, 24)),
    ]  # fmt: skip


class Called(torch.utils._python_dispatch.TorchDispatchMode):
    """What reaches PyTorch's kernels."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        self.names.append(str(function))
        return function(*arguments, **(keywords or {}))


@pytest.mark.parametrize("indices", [False, True])
def test_backward_is_one_call(indices):
    """No zeros in the place of a gradient of the indices, which take 8 bytes an output."""
    x = torch.zeros(1, 1, 8, 8, requires_grad=True)
    output = max_pool2d(x, 2, return_indices=indices)
    output = output[0] if indices else output
    with Called() as called:
        torch.autograd.grad(output, x, torch.ones_like(output))
    assert [name for name in called.names if "ones_like" not in name] == [
        "fastpool.max_pool2d_backward.default"
    ]


def test_indices_have_no_gradient():
    x = torch.zeros(1, 1, 8, 8, requires_grad=True)
    output, indices = max_pool2d(x, 2, return_indices=True)
    assert output.requires_grad
    assert not indices.requires_grad
    assert torch.autograd.grad(output.sum(), x)[0].sum() == 16


def test_nothing_is_kept_or_indexed_without_a_gradient():
    x = torch.zeros(1, 1, 8, 8, requires_grad=True)
    with mock.patch.object(calls, "execute_call", wraps=calls.execute_call) as call:
        with torch.no_grad():
            max_pool2d(x, 2)
        with torch.inference_mode():
            max_pool2d(x, 2)
        max_pool2d(x.detach(), 2)
        assert [each.args[0].index_dtype for each in call.call_args_list] == [None] * 3
        max_pool2d(x, 2)
        assert call.call_args.args[0].index_dtype == np.uint8


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((5,), ValueError, r"max_pool2d: kernel_size \(5, 5\) does not fit"),
        ((0,), ValueError, "kernel_size must be at least 1"),
        (((1, 2, 3),), ValueError, "kernel_size must be an integer or a pair"),
        ((1, 1, 1), ValueError, "holds no input cell"),
        ((2, -1), ValueError, "stride must be at least 1"),
        ((2, 2, -1), ValueError, "padding must be at least 0"),
        ((2**63,), ValueError, r"kernel_size must be below 2\*\*63"),
        ((2, 2, []), ValueError, r"padding must be an integer or a pair, got \(\)"),
        ((2.0,), TypeError, "kernel_size must be an integer, got float"),
        (((2, True),), TypeError, "kernel_size must be an integer, got True"),
        ((True,), TypeError, "kernel_size must be an integer, got True"),
        (("2",), TypeError, "kernel_size must be an integer, got str"),
        ((None,), TypeError, "kernel_size must be an integer, got NoneType"),
        ((2, "2"), TypeError, "stride must be an integer, got str"),
        ((2, 2, "same"), TypeError, "padding must be an integer, got str"),
        ((2, 2, ((0, 1), (0, 1))), TypeError, "padding must be an integer, got tuple"),
        ((2, 2, 0, None), TypeError, "dilation must be an integer, got NoneType"),
        ((2, 2, 0, 1, 1), TypeError, "ceil_mode must be a bool, got int"),
    ],
)
def test_errors(arguments, error, text):
    for device in ("cpu", "meta"):
        for wanted in (False, True):
            x = torch.zeros(1, 4, 4, device=device, requires_grad=wanted)
            with pytest.raises(error, match=text):
                max_pool2d(x, *arguments)


def test_other_errors():
    with pytest.raises(TypeError, match="dtype complex64; supported are"):
        max_pool2d(torch.zeros(1, 4, 4, dtype=torch.complex64), 2)
    with pytest.raises(ValueError, match="at least 2 axes"):
        max_pool2d(torch.zeros(4), 2)
    with pytest.raises(ValueError, match="empty spatial axis"):
        max_pool2d(torch.zeros(1, 0, 4), 2)
    for other in (np.zeros((4, 4)), [[1.0, 2.0]], None):
        with pytest.raises(TypeError, match=r"input must be a torch\.Tensor, got "):
            max_pool2d(other, 1)
    with pytest.raises(NotImplementedError, match="SparseCPU"):
        max_pool2d(torch.zeros(1, 4, 4).to_sparse(), 2)


@each
@pytest.mark.parametrize("memory_format", FORMATS, ids=["NCHW", "NHWC"])
@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda g, i: (g, i[:, :, 1:]), ValueError, "maxpool2d_backward: indices has shape"),
        (lambda g, i: (g[:, :1], i), ValueError, "maxpool2d_backward: grad_output has shape"),
        (lambda g, i: (g, i.float()), TypeError, "maxpool2d_backward: indices must be integers"),
        (lambda g, i: (g * 1j, i), TypeError, "grad_output has dtype complex64"),
        (lambda g, i: (g, i + 4), IndexError, r"maxpool2d_backward: indices\[.*\] = [4-7] is not"),
    ],
)
def test_operators_check_what_they_get(change, error, text, memory_format):
    """They are public too, as parts of exported programs."""
    x = numbers((2, 3, 6, 8), memory_format=memory_format)
    windows, last = ([2, 2], [2, 2], [0, 0], [1, 1], False), memory_format is FORMATS[1]
    output, indices = torch.ops.fastpool.max_pool2d_with_indices(x, *windows, True)
    for _ in range(2):
        with pytest.raises(error, match=text):
            torch.ops.fastpool.max_pool2d_backward(
                *change(output, indices), x.shape, *windows, True, last
            )


def test_other_devices():
    with torch._subclasses.FakeTensorMode():
        x = torch.empty(1, 4, 4, device="cuda")
        with pytest.raises(NotImplementedError, match="input is on cuda:0, and this computes on"):
            max_pool2d(x, 2)


def test_integers_of_all_kinds_as_arguments():
    x = numbers((1, 8, 8))
    expected = F.max_pool2d(x, 2)
    for kernel_size in (np.int64(2), np.array([2, 2]), torch.tensor(2), torch.Size([2, 2]), [2]):
        same(max_pool2d(x, kernel_size), expected)
        same(max_pool2d(x, 2, kernel_size, np.uint8(0), ceil_mode=np.False_), expected)


@each
def test_negated_memory():
    """The imaginary part of a conjugate is the memory's, with the other sign."""
    x = torch.complex(numbers((1, 8, 8)), normal((1, 8, 8), torch.float32)).conj().imag
    assert x.is_neg()
    same(max_pool2d(x, 3, 2), F.max_pool2d(x, 3, 2))
    pytest.importorskip("ml_dtypes")
    x = torch._neg_view(numbers((1, 8, 8), torch.bfloat16))
    same(max_pool2d(x, 3, 2), F.max_pool2d(x, 3, 2))


def test_subclasses_are_kept():
    class Own(torch.Tensor):
        pass

    assert type(max_pool2d(numbers((1, 8, 8)).as_subclass(Own), 2)) is Own


class TestConformance:
    @pytest.mark.parametrize("memory_format", FORMATS, ids=["NCHW", "NHWC"])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
    @pytest.mark.parametrize("kernel_size", [2, 17])
    def test_opcheck(self, dtype, memory_format, kernel_size):
        """Schema, autograd, fake tensors with their strides, and AOTAutograd with symbols."""
        pytest.importorskip("ml_dtypes")
        operators = torch.ops.fastpool
        windows = [kernel_size] * 2, [2, 1], [1, 1], [1, 1], True
        for wanted, window in itertools.product((False, True), (False, True)):
            wanted = wanted and dtype.is_floating_point
            x = numbers((2, 3, 20, 19), memory_format=memory_format).nan_to_num().to(dtype)
            x.requires_grad_(wanted)
            output, indices = operators.max_pool2d_with_indices(x.detach(), *windows, window)
            gradient = torch.ones_like(output).requires_grad_(wanted)
            last = memory_format is torch.channels_last
            for operator, arguments in (
                (operators.max_pool2d, (x, *windows)),
                (operators.max_pool2d_with_indices, (x, *windows, window)),
                (operators.min_pool2d, (x, *windows)),
                (operators.min_pool2d_with_indices, (x, *windows, window)),
                (
                    operators.max_pool2d_backward,
                    (gradient, indices, list(x.shape), *windows, window, last),
                ),
                (operators.max_pool2d_gather, (x, indices, *windows, window)),
            ):
                found = torch.library.opcheck(operator.default, arguments)
                assert set(found.values()) == {"SUCCESS"}

    @pytest.mark.parametrize("indices", [False, True])
    @pytest.mark.parametrize("arguments", [(2,), (3, 1, 1), ((2, 3), 2, (0, 1), (2, 1), True)])
    def test_gradcheck(self, arguments, indices):
        for memory_format in FORMATS:
            x = torch.tensor(np.random.default_rng(0).permutation(168) / 9).reshape(2, 2, 6, 7)
            x = x.contiguous(memory_format=memory_format).requires_grad_()

            def pool(x):
                result = max_pool2d(x, *arguments, return_indices=indices)
                return result[0] if indices else result

            assert torch.autograd.gradcheck(
                pool, (x,), check_batched_grad=True, check_forward_ad=True,
                check_batched_forward_grad=True,
            )  # fmt: skip
            assert torch.autograd.gradgradcheck(
                pool, (x,), check_batched_grad=True, check_fwd_over_rev=True
            )

    def test_third_derivative(self):
        x = normal((2, 5, 6), torch.float64).requires_grad_()
        for pool in (max_pool2d, F.max_pool2d):
            y = (pool(x, 3, 1, 1) ** 4).sum()
            derivatives = []
            for _ in range(3):
                (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
                derivatives.append(y.detach())
            if pool is max_pool2d:
                own = derivatives
        for actual, other in zip(own, derivatives, strict=True):
            same(actual, other)


def ours(x):
    return max_pool2d(x, 3, 2, 1)


def theirs(x):
    return F.max_pool2d(x, 3, 2, 1)


@pytest.mark.parametrize("name", TRANSFORMED)
def test_transformed(name):
    transform, x = TRANSFORMED[name], normal((4, 2, 8, 9))
    assert_same(transform(ours)(x).numpy(), transform(theirs)(x).numpy())


def test_jacobian_in_forward_mode():
    """PyTorch's own pooling cannot."""
    x, jacobian = normal((2, 8, 9)), torch.autograd.functional.jacobian
    found = jacobian(ours, x, vectorize=True, strategy="forward-mode")
    assert_same(found.numpy(), jacobian(theirs, x).numpy())


def test_wide_codes_below_transformations():
    """uint16 and uint32, which PyTorch knows little of."""
    for kernel_size in (17, 257):
        x = normal((2, 2, kernel_size + 1, kernel_size + 2))
        for transform in (TRANSFORMED["vmap of grad"], TRANSFORMED["jvp"], TRANSFORMED["grad"]):
            found, expected = (
                transform(lambda x, f=f: f(x, kernel_size, 1))(x)  # noqa: B023
                for f in (max_pool2d, F.max_pool2d)
            )
            assert_same(found.detach().numpy(), expected.detach().numpy())


def test_vmap_of_indices():
    x = normal((3, 2, 4, 8, 9)).to(torch.float32)
    pool = lambda f: lambda x: f(x, 3, 2, 1, return_indices=True)  # noqa: E731
    found, expected = (func.vmap(pool(f), in_dims=1)(x) for f in (max_pool2d, F.max_pool2d))
    for actual, other in zip(found, expected, strict=True):
        assert_same(actual.numpy(), other.numpy())


class TestCompile:
    @pytest.fixture(autouse=True)
    def fresh(self):
        torch._dynamo.reset()
        yield
        torch._dynamo.reset()

    @pytest.mark.parametrize("memory_format", FORMATS, ids=["NCHW", "NHWC"])
    @pytest.mark.parametrize("dynamic", [False, True])
    def test_whole_graph(self, dynamic, memory_format):
        compiled = torch.compile(
            lambda x: ours(x * 2) + 1, fullgraph=True, backend="aot_eager", dynamic=dynamic
        )
        for size in (8, 9, 12):
            x = normal((2, 3, size, size + 1)).contiguous(memory_format=memory_format)
            weights = normal(theirs(x).shape)
            found = forward_and_gradient(compiled, x, weights)
            expected = forward_and_gradient(lambda x: theirs(x * 2) + 1, x, weights)
            same(found[0], expected[0])
            same(found[1], expected[1])

    @pytest.mark.parametrize("memory_format", FORMATS, ids=["NCHW", "NHWC"])
    def test_sizes_stay_symbols(self, memory_format):
        """One graph serves them all, of a crop too."""
        counter = CompileCounterWithBackend("aot_eager")
        compiled = torch.compile(
            lambda x: ours(x[:, :, 1:]), fullgraph=True, backend=counter, dynamic=True
        )
        for size in (8, 9, 12, 15):
            x = normal((2, 3, size, size + 4)).contiguous(memory_format=memory_format)
            weights = normal(theirs(x[:, :, 1:]).shape)
            found = forward_and_gradient(compiled, x, weights)
            expected = forward_and_gradient(lambda x: theirs(x[:, :, 1:]), x, weights)
            same(found[0], expected[0])
            same(found[1], expected[1])
        assert counter.frame_count == 1

    def test_kernel_sizes_are_symbols_too(self):
        """As in a pooling of whole planes; the dtype of codes, uint8 or uint16, is looked at."""
        counter = CompileCounterWithBackend("aot_eager")
        pools = [lambda x, f=f: f(x, x.shape[-2:]) for f in (max_pool2d, F.max_pool2d)]
        compiled = torch.compile(pools[0], fullgraph=True, backend=counter, dynamic=True)
        for size in (8, 10, 17, 18):
            x, weights = normal((2, 3, size, size + 1)), normal((2, 3, 1, 1))
            found = forward_and_gradient(compiled, x, weights)
            expected = forward_and_gradient(pools[1], x, weights)
            assert_same(bits(found[1]), bits(expected[1]))
        assert counter.frame_count == 2

    def test_replaced_after_it_was_compiled(self):
        model, x = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.MaxPool2d(2)), normal((1, 1, 4, 4))
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        with mock.patch.object(calls, "execute_call", wraps=calls.execute_call) as call:
            counts = []
            for change in (lambda model: model, replace_max_pool2d, restore_max_pool2d):
                same(change(compiled)(x), F.max_pool2d(x.relu(), 2))
                counts.append(call.call_count)
        assert counts == [0, 1, 1]

    def test_compiled_backward(self):
        """`torch._dynamo.config.compiled_autograd` traces the derivatives too."""
        gradients = []
        for pool in (ours, theirs):
            x = normal((2, 3, 8, 9)).requires_grad_()

            def step(x, pool=pool):
                cubed(pool)(x).backward()

            with torch._dynamo.config.patch(compiled_autograd=True):
                torch.compile(step, backend="aot_eager")(x)
            gradients.append(x.grad)
        same(*gradients)

    @pytest.mark.parametrize("name", ["vmap", "grad", "vmap of grad", "grad of vmap"])
    def test_transformations_inside(self, name):
        transform, x = TRANSFORMED[name], normal((4, 2, 8, 9))
        compiled = torch.compile(transform(ours), fullgraph=True, backend="aot_eager")
        assert_same(compiled(x).numpy(), transform(theirs)(x).numpy())

    @pytest.mark.skipif(not shutil.which("g++"), reason="Inductor needs a C++ compiler")
    def test_inductor(self):
        """It checks the strides that were foretold. Its cache on disk knows no changes of ours."""

        def both(pool):
            return lambda x: torch.cat([pool(x.relu()) * 2, pool(x[:, 1:])], 1)

        compiled = torch.compile(both(ours), fullgraph=True, dynamic=True)
        for size in (8, 10):
            x = normal((2, 3, size, 8)).contiguous(memory_format=torch.channels_last)
            weights = normal(both(theirs)(x).shape)
            with torch.compiler.config.patch(force_disable_caches=True):
                found = forward_and_gradient(compiled, x, weights)
            expected = forward_and_gradient(both(theirs), x, weights)
            assert_same(bits(found[0]), bits(expected[0]))
            assert_same(bits(found[1]), bits(expected[1]))


def network():
    """With poolings of several kinds, one of them used twice."""
    torch.manual_seed(0)
    shared = torch.nn.MaxPool2d(2, 2)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), shared,
        torch.nn.Sequential(torch.nn.Conv2d(8, 8, 3, padding=1), torch.nn.MaxPool2d(3, 2, 1)),
        torch.nn.BatchNorm2d(8), shared, torch.nn.Flatten(), torch.nn.Linear(8 * 4 * 4, 10),
    )  # fmt: skip


class TestModules:
    def test_training_is_the_same_to_the_bit(self):
        x, target = normal((4, 3, 32, 32)), torch.tensor([1, 2, 3, 4])
        weights = []
        for change in (lambda model: model, replace_max_pool2d):
            model = change(network())
            optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
            for _ in range(3):
                optimizer.zero_grad()
                F.cross_entropy(model(x), target).backward()
                optimizer.step()
            weights.append(model.state_dict())
        assert weights[0].keys() == weights[1].keys()
        for name, weight in weights[0].items():
            assert_same(weights[1][name].numpy(), weight.numpy())

    def test_replace_and_restore(self):
        model = network().eval()
        text, keys = repr(model), list(model.state_dict())
        seen = []
        model[2].register_forward_hook(lambda module, x, y: seen.append(type(module)))
        assert replace_max_pool2d(model) is model
        kinds = [type(m) for m in model.modules() if isinstance(m, torch.nn.MaxPool2d)]
        assert kinds == [MaxPool2d] * 2
        assert model[2] is model[5]
        model(normal((1, 3, 32, 32)))
        assert seen == [MaxPool2d] * 2
        assert not model[2].training
        assert (repr(model), list(model.state_dict())) == (text, keys)
        assert restore_max_pool2d(model) is model
        kinds = [type(m) for m in model.modules() if isinstance(m, torch.nn.MaxPool2d)]
        assert kinds == [torch.nn.MaxPool2d] * 2

    def test_what_is_replaced(self):
        class Own(torch.nn.MaxPool2d):
            pass

        assert type(replace_max_pool2d(torch.nn.MaxPool2d(2))) is MaxPool2d
        assert type(replace_max_pool2d(Own(2))) is Own
        assert type(restore_max_pool2d(Own(2))) is Own

    def test_arguments_are_respected(self):
        x = normal((2, 3, 9, 9))
        for arguments in ((3, 2, 1, 1, True, True), ((2, 3), None, (1, 0), (1, 2), False, False)):
            module = torch.nn.MaxPool2d(*arguments[:4], arguments[5], arguments[4])
            expected = module(x)
            found = replace_max_pool2d(module)(x)
            assert type(found) is type(expected)
            pairs = zip(found, expected, strict=True) if arguments[5] else [(found, expected)]
            for actual, other in pairs:
                same(actual, other)

    def test_unpooling_after_it(self):
        x = normal((2, 3, 8, 8))
        module = MaxPool2d(2, return_indices=True)
        same(torch.nn.MaxUnpool2d(2)(*module(x)), F.max_unpool2d(*F.max_pool2d(
            x, 2, return_indices=True), 2))  # fmt: skip

    @pytest.mark.parametrize("strict", [False, True])
    def test_export_with_symbols(self, strict):
        model, symbol = MaxPool2d(3, 2, 1), torch.export.Dim.AUTO
        program = torch.export.export(
            model, (normal((2, 3, 16, 16)),), dynamic_shapes=({0: symbol, 2: symbol, 3: symbol},),
            strict=strict,
        )  # fmt: skip
        assert [str(node.target) for node in program.graph.nodes if node.op == "call_function"][
            -1
        ] == "fastpool.max_pool2d.default"
        x = normal((5, 3, 21, 18))
        same(program.module()(x), model(x))

    def test_copies_pickles_and_traces(self):
        model, x = replace_max_pool2d(network().eval()), normal((1, 3, 32, 32))
        expected = model(x)
        exported = torch.export.export(model, (x,)).module()
        traced = torch.fx.symbolic_trace(model)
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), exported, traced):
            assert_same(other(x).detach().numpy(), expected.detach().numpy())


class Calls(torch.nn.Module):
    """Somebody's module: the function is a global of another file than its own."""

    def forward(self, x):
        output, indices = max_pool2d(x.relu(), (2, 2), return_indices=True)
        return max_pool2d(input=output + indices, kernel_size=3, stride=2, padding=1)


def saved(module, program):
    buffer = io.BytesIO()
    module.save(program, buffer)
    buffer.seek(0)
    return module.load(buffer)


def exported(model, x, strict=False):
    symbols = dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO)
    return torch.export.export(model, (x,), dynamic_shapes=(symbols,), strict=strict)


# What was traced is for inputs of one size, the others are for any.
RECORDED = {
    "jit.trace, loaded": lambda model, x: saved(torch.jit, torch.jit.trace(model, (x,))),
    "fx, loaded": lambda model, x: pickle.loads(pickle.dumps(torch.fx.symbolic_trace(model))),
    "export, strict": lambda model, x: exported(model, x, strict=True).module(),
    "export, loaded": lambda model, x: saved(torch.export, exported(model, x)).module(),
    "compile": lambda model, x: torch.compile(
        model, fullgraph=True, dynamic=True, backend="aot_eager"
    ),
}
RECORDABLE = {
    "function": Calls,
    "module": lambda: MaxPool2d(3, 2, 1, ceil_mode=True),
    "replaced": lambda: replace_max_pool2d(network()[:6].eval()),
}


class TestRecorded:
    """Tracers and exporters: the same bits and gradients, or one sentence that says what to do."""

    @pytest.mark.parametrize("what", RECORDABLE)
    @pytest.mark.parametrize("recorder", RECORDED)
    def test_recorded(self, recorder, what):
        torch._dynamo.reset()
        model = RECORDABLE[what]()
        recorded = RECORDED[recorder](model, normal((2, 3, 16, 16)))
        for shape in [(2, 3, 16, 16), (3, 3, 20, 18)][: 1 if "jit" in recorder else 2]:
            x = normal(shape, seed=1)
            weights = normal(model(x).shape, seed=2)
            with torch.no_grad():
                same(recorded(x), model(x))
            found = forward_and_gradient(recorded, x, weights)
            expected = forward_and_gradient(model, x, weights)
            same(found[0], expected[0])
            same(found[1], expected[1])

    def test_nodes_of_fx(self):
        """As of PyTorch's function, which is no leaf's either."""
        for model, count in ((Calls(), 2), (MaxPool2d(2), 1), (RECORDABLE["replaced"](), 3)):
            nodes = torch.fx.symbolic_trace(model).graph.nodes
            assert [node.target for node in nodes].count(max_pool2d) == count

    # The exporters' own: of the older one, of what it calls, and of a copy of theirs.
    @pytest.mark.filterwarnings("ignore:.*legacy TorchScript-based:DeprecationWarning")
    @pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
    @pytest.mark.parametrize("dynamo", [False, True])
    @pytest.mark.parametrize("what", ["function", "module", "replaced"])
    def test_onnx(self, what, dynamo):
        """PyTorch's own is exported, thus a node of ONNX."""
        for name in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(name)
        import onnx
        import onnxruntime

        layers = torch.nn.ReLU(), torch.nn.MaxPool2d(2, return_indices=True)
        model = (
            replace_max_pool2d(torch.nn.Sequential(*layers))
            if what == "replaced"
            else RECORDABLE[what]()
        )
        x, buffer = normal((2, 3, 16, 16)), io.BytesIO()
        torch.onnx.export(model.eval(), (x,), buffer, dynamo=dynamo, verbose=False)
        graph = onnx.load_from_string(buffer.getvalue()).graph
        assert {node.domain for node in graph.node} <= {"", "ai.onnx"}
        assert "MaxPool" in {node.op_type for node in graph.node}
        session = onnxruntime.InferenceSession(
            buffer.getvalue(), providers=["CPUExecutionProvider"]
        )
        found, expected = session.run(None, {session.get_inputs()[0].name: x.numpy()}), model(x)
        expected = expected if isinstance(expected, tuple) else (expected,)
        for actual, other in zip(found, expected, strict=True):
            assert_same(actual, bits(other))

    def test_script(self):
        """Refused at every try, and the model stays as it is."""

        def function(x: torch.Tensor):
            return max_pool2d(x, 2)

        model = network()
        for _ in range(2):
            for other in (max_pool2d, function, MaxPool2d(2), replace_max_pool2d(model)):
                with pytest.raises(
                    RuntimeError, match=r"torch\.nn\.functional\.max_pool2d, .*restore"
                ):
                    torch.jit.script(other)
            assert type(model[2]) is MaxPool2d
        x = normal((1, 3, 32, 32))
        expected = model.eval()(x)
        assert_same(bits(torch.jit.script(restore_max_pool2d(model))(x)), bits(expected))

    def test_functions_of_a_mode(self):
        """`torch.overrides`, which is how PyTorch's own functions are seen."""
        seen = []

        class Mode(torch.overrides.TorchFunctionMode):
            def __torch_function__(self, function, types, args=(), kwargs=None):
                seen.append(function)
                return function(*args, **kwargs or {})

        x = numbers((1, 8, 8))
        with Mode():
            output = max_pool2d(x, 2, stride=[], dilation=2)
        assert seen[0] is max_pool2d
        same(output, F.max_pool2d(x, 2, dilation=2))

    def test_masks_are_not_lost(self):
        x = numbers((1, 8, 8))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a prototype, it says
            masked = torch.masked.masked_tensor(x, x > 0)
        for pool in (lambda x: max_pool2d(x, 2), MaxPool2d(2, return_indices=True)):
            with pytest.raises(TypeError, match="input is a MaskedTensor, and this takes no masks"):
                pool(masked)


@each
def test_backward_from_several_threads():
    x = normal((4, 3, 40, 40))
    weights = normal((4, 3, 20, 20))
    expected = forward_and_gradient(theirs, x, weights)[1]
    wrong = []

    def work():
        for _ in range(10):
            if not forward_and_gradient(ours, x, weights)[1].equal(expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


LOADER = """
import warnings
import numpy as np, torch
import fastpool
from fastpool.interop.torch import max_pool2d

class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, number):
        generator = torch.Generator().manual_seed(number)
        x = torch.randn(4, 256, 256, generator=generator).requires_grad_()
        output = max_pool2d(x, 3, 2, 1)
        output.sum().backward()
        assert torch.get_num_threads() == 1
        return output.detach(), x.grad

if __name__ == "__main__":
    data = Data()
    torch.set_num_threads(2)
    warnings.simplefilter("ignore")  # of forks beside threads
    parent = torch.randn(8, 64, 128, 128).requires_grad_()
    max_pool2d(parent, 2).sum().backward()  # starts the parent's threads
    for method in ("fork", "spawn"):
        loader = torch.utils.data.DataLoader(
            data, num_workers=2, multiprocessing_context=method, timeout=100
        )
        for number, (output, gradient) in enumerate(loader):
            generator = torch.Generator().manual_seed(number)
            x = torch.randn(4, 256, 256, generator=generator).requires_grad_()
            expected = torch.nn.functional.max_pool2d(x, 3, 2, 1)
            expected.sum().backward()
            assert output[0].equal(expected) and gradient[0].equal(x.grad)
    print("done")
"""


@pytest.mark.numba
def test_workers_of_a_data_loader(tmp_path):
    """Forked from a process with threads of Numba's, and spawned."""
    script = tmp_path / "loader.py"
    script.write_text(LOADER)
    code = f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')"
    assert process.run(code, FASTPOOL_BACKEND="numba", NUMBA_THREADING_LAYER="omp") == "done"


@pytest.mark.numba
def test_threads_are_as_many_as_pytorch_uses():
    code = """
    from unittest import mock
    import torch, fastpool
    from fastpool.interop.torch import max_pool2d
    fastpool.available_backends()
    from fastpool.backends.numba.compile import launch
    x = torch.zeros(8, 64, 64, 64)
    for threads in (2, 1):
        torch.set_num_threads(threads)
        with mock.patch.object(launch, "_run_parallel", wraps=launch._run_parallel) as parallel:
            max_pool2d(x, 2)
            print(parallel.call_count)
    """
    found = process.run(code, FASTPOOL_BACKEND="numba", NUMBA_NUM_THREADS="2")
    assert found.split() == ["1", "0"]


def test_examples():
    result = doctest.testmod(adapter)
    assert result.attempted > 5
    assert result.failed == 0


def test_pickles_name_the_package():
    for public in (MaxPool2d, max_pool2d, replace_max_pool2d, restore_max_pool2d):
        assert public.__module__ == "fastpool.interop.torch"
        assert pickle.loads(f"c{public.__module__}\n{public.__name__}\n.".encode()) is public
        assert b"fastpool.interop.torch\n" in pickle.dumps(public, 0)


def test_nothing_is_imported_unasked():
    code = """
    import sys
    import fastpool, fastpool.interop
    assert "torch" not in sys.modules
    import fastpool.interop.torch
    print(sorted({"jax", "dask", "numba"} & set(sys.modules)))
    """
    assert process.run(code) == "[]"


@each
def test_adversarial_values():
    """fastpool's bits on everything, NaNs of all payloads too."""
    for seed, style in enumerate(check.STYLES):
        x = check.adversarial(np.random.default_rng(seed), (2, 3, 9, 8), np.dtype("f4"), style)
        found = max_pool2d(torch.tensor(x), 3, 2, 1, return_indices=True)
        expected = fastpool.maxpool2d(x, 3, 2, 1, return_indices=True)
        for actual, other in zip(found, expected, strict=True):
            assert_same(actual.numpy(), other)


@each
@pytest.mark.parametrize("shape", [(0, 3, 7, 8), (2, 0, 7, 8), (0, 0, 7, 8), (0, 7, 8)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_empty_axes(shape, channels_last):
    x = torch.zeros(shape)
    if channels_last and len(shape) == 4:
        x = torch.zeros(shape[0], 7, 8, shape[1]).permute(0, 3, 1, 2)
    pooled = (*shape[:-2], 3, 4)
    assert max_pool2d(x, 2).shape == pooled
    output, indices = max_pool2d(x, 2, return_indices=True)
    assert output.shape == indices.shape == pooled
    x.requires_grad_()
    output = max_pool2d(x, 2)
    (gradient,) = torch.autograd.grad(output, x, torch.ones_like(output))
    assert gradient.shape == shape
    x = x.detach()
    assert func.jvp(lambda x: max_pool2d(x, 2), (x,), (x,))[1].shape == pooled

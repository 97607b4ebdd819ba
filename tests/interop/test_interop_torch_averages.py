"""Averages of PyTorch tensors: PyTorch's bits, and derivatives of every order."""

import copy
import inspect
import io
import itertools
import pickle
import warnings
from unittest import mock

import numpy as np
import pytest
from bits import assert_same

import fastpool

torch = pytest.importorskip("torch")
F = torch.nn.functional

from tensors import TRANSFORMED, bits, forward_and_gradient, normal, same  # noqa: E402
from torch._dynamo.testing import CompileCounterWithBackend  # noqa: E402

from fastpool.interop import torch as adapter  # noqa: E402
from fastpool.interop.torch import (  # noqa: E402
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    MaxPool2d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    calls,
    replace_max_pool2d,
    replace_pooling,
    restore_max_pool2d,
    restore_pooling,
)

pytestmark = [
    # PyTorch's own, of what it does inside of torch.compile and torch.export.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning:torch"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch"),
]

# By the number of axes: fastpool's, PyTorch's, and a shape.
POOLS = {1: avg_pool1d, 2: avg_pool2d, 3: avg_pool3d}
THEIRS = {n: getattr(F, f"avg_pool{n}d") for n in POOLS}
MODULES = {1: AvgPool1d, 2: AvgPool2d, 3: AvgPool3d}
THEIR_MODULES = {n: getattr(torch.nn, f"AvgPool{n}d") for n in POOLS}
SHAPES = {1: (2, 3, 23), 2: (2, 3, 9, 8), 3: (2, 3, 5, 6, 7)}
# Windows, strides, paddings and ceil_mode, cut to as many axes.
WINDOWS = [
    ((2, 2, 2), None, (0, 0, 0), False),
    ((3, 2, 3), (2, 1, 2), (1, 0, 1), False),
    ((3, 3, 3), (2, 2, 2), (1, 1, 1), True),
    ((4, 3, 4), (3, 2, 3), (0, 1, 2), True),  # the last window reaches beyond the padding
    ((4, 2, 2), (1, 3, 1), (2, 1, 1), False),
    ((4, 4, 4), (1, 1, 2), (0, 0, 0), False),  # as many taps as are summed in order
]
COUNTS = [(True, None), (False, None), (True, 3), (False, -7)]
FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
LAYOUTS = pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
AXES = pytest.mark.parametrize("n", POOLS)


@pytest.fixture
def on_each(backend):
    """What reads and writes memory is tested on both backends, the rest on what "auto" takes."""
    with fastpool.use_backend(backend):
        yield


each = pytest.mark.usefixtures("on_each")


def laid(x, last=True):
    """The same numbers, with their channels in a memory format."""
    return x.movedim(1, -1).contiguous().movedim(-1, 1) if last else x.contiguous()


def geometries(n):
    for (kernel, stride, padding, ceil_mode), (count, divisor) in itertools.product(
        WINDOWS, COUNTS
    ):
        if n == 1 and divisor is not None:
            continue
        arguments = kernel[-n:], stride and stride[-n:], padding[-n:], ceil_mode, count
        yield arguments if n == 1 else (*arguments, divisor)


@each
@AXES
@LAYOUTS
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.whole(backend="numba")
class TestAgainstPyTorch:
    """To the bit and in the memory format of the input, which its averages of volumes lose."""

    def test_output(self, n, dtype, last):
        pytest.importorskip("ml_dtypes")
        for seed, arguments in enumerate(geometries(n)):
            x = laid(normal(SHAPES[n], dtype, seed), last)
            if n == 3 and dtype.itemsize == 2:  # which PyTorch lacks
                expected = THEIRS[n](x.float(), *arguments).to(dtype)
            else:
                expected = THEIRS[n](x, *arguments)
            found = POOLS[n](x, *arguments)
            # PyTorch's averages of volumes are no -0.0.
            same(found + 0.0 if n == 3 else found, laid(expected, last))

    def test_gradient(self, n, dtype, last):
        """Of 16-bit floats, fastpool's: PyTorch's are rounded in between."""
        pytest.importorskip("ml_dtypes")
        for seed, arguments in enumerate(geometries(n)):
            x = laid(normal(SHAPES[n], dtype, seed), last)
            output = POOLS[n](x, *arguments)
            weights = laid(normal(output.shape, dtype, seed + 100), last)
            wide = torch.float64 if dtype is torch.float64 else torch.float32
            _, expected = forward_and_gradient(
                lambda x, a=arguments: THEIRS[n](x, *a), x.to(wide), weights.to(wide)
            )
            found = forward_and_gradient(lambda x, a=arguments: POOLS[n](x, *a), x, weights)
            same(found[0], output)
            same(found[1], laid(expected.to(dtype), last))


@each
def test_special_values():
    """An infinity or a NaN stays within its windows; zeros keep PyTorch's sign."""
    x = normal((1, 1, 8, 8))
    x[..., 1, 1], x[..., 6, 6], x[..., 1, 6] = np.inf, np.nan, -np.inf
    x[..., 3:5, :] = -0.0
    found, expected = avg_pool2d(x, 3, 2, 1), F.avg_pool2d(x, 3, 2, 1)
    assert_same(bits(found), bits(expected), any_nan=True)


@each
@AXES
def test_large_windows_are_summed_as_a_tree(n):
    """Where bits may differ from PyTorch's, they are those of fastpool's own function."""
    x = normal((2, 3, *[65 if n == 1 else 9] * n))
    kernel = 65 if n == 1 else 9
    for last in (False, True):
        found = POOLS[n](laid(x, last), kernel)
        own = getattr(fastpool, f"avgpool{n}d")(x.numpy(), kernel)
        assert_same(found.numpy(), own)
        exact = THEIRS[n](x.double(), kernel)
        assert (found - exact).abs().max() < 1e-7


@each
@AXES
@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int64, torch.bool])
def test_integers(n, dtype):
    """As in fastpool, float64; below a compiler and on no device too."""
    x = torch.tensor(np.random.default_rng(0).integers(0, 100, SHAPES[n])).to(dtype)
    expected = getattr(fastpool, f"avgpool{n}d")(x.numpy(), 2)
    for last in (False, True):
        found = POOLS[n](laid(x, last), 2)
        assert_same(found.numpy(), expected)
        assert POOLS[n](laid(x, last).to("meta"), 2).dtype == found.dtype == torch.float64


@each
def test_any_number_of_leading_axes_and_any_strides():
    x = normal((2, 3, 4, 8, 9))
    for n, kernel in ((1, 2), (2, 2), (3, (1, 2, 2))):
        tensors = [x, x[0], x[0, 0], x.movedim(1, -1), x[..., ::2, 1:], x.mT]
        tensors += [x[0, 0, 0], x[0, 0, 0, 0]][: 3 - n]
        for tensor in tensors:
            own = getattr(fastpool, f"avgpool{n}d")(tensor.numpy(), kernel)
            assert_same(POOLS[n](tensor, kernel).numpy(), own)


@each
@AXES
def test_memory_formats(n):
    """Crops of channels-last tensors stay so, as in PyTorch, but for its averages of volumes."""
    last = laid(normal((3, 4, *[8] * n)))
    pool, theirs = (
        (lambda x, f=f: f(x, *([2, 1] if n < 3 else [(1, 2, 2), 1]))) for f in (POOLS[n], THEIRS[n])
    )
    crops = last, last[:, :, 1:], last[..., 3:], last[:, 1:], last[1:], last[:1], last[..., ::2]
    for x in (*crops, last.flip(-1)):
        expected = laid(theirs(x))
        same(pool(x), expected)
        for weights in (normal(expected.shape), laid(normal(expected.shape))):
            leaf = x.detach().requires_grad_()
            (found,) = torch.autograd.grad(pool(leaf), leaf, weights)
            (right,) = torch.autograd.grad(theirs(leaf), leaf, weights)
            same(found, laid(right))
    x = laid(normal((3, 4, *[8] * n)), False)
    expected = theirs(x)
    for weights in (torch.tensor(2.0).expand(expected.shape), laid(normal(expected.shape))):
        same(*(forward_and_gradient(f, x, weights)[1] for f in (pool, theirs)))


@each
@AXES
@LAYOUTS
def test_memory_is_shared(n, last):
    """The kernels read the tensor's own memory, and write that of the result."""
    x = laid(normal((2, 5, *[8] * n)), last).requires_grad_()
    with mock.patch.object(calls, "execute_call", wraps=calls.execute_call) as call:
        output = POOLS[n](x, 2)
        weights = laid(normal(output.shape), last)
        (gradient,) = torch.autograd.grad(output, x, weights)
    assert call.call_count == 2
    for each_call, source, result in zip(
        call.call_args_list, (x, weights), (output, gradient), strict=True
    ):
        _, (array,), out, _ = each_call.args
        assert (array.ctypes.data, out.ctypes.data) == (source.data_ptr(), result.data_ptr())
        assert array.flags.c_contiguous
        assert array.shape[-1] == (5 if last else source.shape[-1])
    # As it comes from a file: the axis of images has the stride that indexing gives it.
    x = laid(normal((1, 5, *[8] * n)), last)[0][None]
    with mock.patch.object(calls, "execute_call", wraps=calls.execute_call) as call:
        POOLS[n](x, 2)
    assert call.call_args.args[1][0].flags.c_contiguous


@AXES
def test_nothing_is_kept(n):
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        x = normal(SHAPES[n]).requires_grad_()
        torch.autograd.grad(POOLS[n](x, 2), x, torch.ones_like(POOLS[n](x, 2)), create_graph=True)
    assert kept == []


@AXES
@LAYOUTS
def test_empty_axes(n, last):
    for lead in ((0, 3), (2, 0), (0, 0)):
        x = laid(torch.zeros(*lead, *[8] * n), last).requires_grad_()
        output = POOLS[n](x, 2)
        assert output.shape == (*lead, *[4] * n)
        output.sum().backward()
        assert x.grad.shape == x.shape


ERRORS = [
    ((9,), {}, ValueError, r"kernel_size \(9.*\) does not fit"),
    ((0,), {}, ValueError, "kernel_size must be at least 1"),
    (((1, 2, 3, 4),), {}, ValueError, "kernel_size must be an integer or a"),
    ((1, 1, 1), {}, ValueError, "holds no input cell"),
    ((2, -1), {}, ValueError, "stride must be at least 1"),
    ((2, 2, -1), {}, ValueError, "padding must be at least 0"),
    ((2.0,), {}, TypeError, "kernel_size must be an integer, got float"),
    ((True,), {}, TypeError, "kernel_size must be an integer, got True"),
    ((2, 2, "same"), {}, TypeError, "padding must be an integer, got str"),
    ((2, 2, 0, 1), {}, TypeError, "ceil_mode must be a bool, got int"),
    ((2, 2, 0, False, 1), {}, TypeError, "count_include_pad must be a bool, got int"),
    ((2,), {"divisor_override": 0}, ValueError, "divisor_override must be an integer below"),
    ((2,), {"divisor_override": 2**62}, ValueError, "divisor_override must be an integer below"),
    ((2,), {"divisor_override": 2.0}, TypeError, "divisor_override must be an integer, got float"),
    ((2,), {"divisor_override": True}, TypeError, "divisor_override must be an integer, got True"),
]


@AXES
@pytest.mark.parametrize(("arguments", "options", "error", "text"), ERRORS)
def test_errors(n, arguments, options, error, text):
    if n == 1 and options:
        pytest.skip("it has no divisor")
    for device, wanted in itertools.product(("cpu", "meta"), (False, True)):
        x = torch.zeros(2, 1, *[4] * n, device=device, requires_grad=wanted)
        with pytest.raises(error, match=f"^avg_pool{n}d: .*{text}"):
            POOLS[n](x, *arguments, **options)


@AXES
def test_other_errors(n):
    pool, name = POOLS[n], f"avg_pool{n}d"
    with pytest.raises(TypeError, match=f"{name}: input has dtype complex64; supported are"):
        pool(torch.zeros(SHAPES[n], dtype=torch.complex64), 2)
    with pytest.raises(ValueError, match=f"{name}: input needs at least {n} ax"):
        pool(torch.zeros([4] * (n - 1)), 2)
    with pytest.raises(TypeError, match=rf"{name}: input must be a torch\.Tensor, got list"):
        pool([1.0, 2.0], 1)
    with pytest.raises(NotImplementedError, match="SparseCPU"):
        pool(torch.zeros(SHAPES[n]).to_sparse(), 2)
    with torch._subclasses.FakeTensorMode():
        x = torch.empty(SHAPES[n], device="cuda")
        with pytest.raises(NotImplementedError, match=f"{name}: input is on cuda:0, and this"):
            pool(x, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a prototype, it says
        masked = torch.masked.masked_tensor(torch.ones(SHAPES[n]), torch.ones(SHAPES[n]) > 0)
    with pytest.raises(TypeError, match=f"{name}: input is a MaskedTensor"):
        MODULES[n](2)(masked)


@AXES
def test_operators_check_what_they_get(n):
    """They are public too, as parts of exported programs."""
    spread = getattr(torch.ops.fastpool, f"avg_pool{n}d_backward")
    rules = [2] * n, [2] * n, [0] * n, False, True, None, False
    gradient = torch.ones(2, 3, *[2] * n)
    for wrong, error, text in (
        (gradient[:, :1], ValueError, "grad_output has shape"),
        (gradient * 1j, TypeError, "grad_output has dtype complex64"),
        (gradient.long(), TypeError, "grad_output has dtype int64; gradients are floats"),
    ):
        with pytest.raises(error, match=f"avgpool{n}d_backward: {text}"):
            spread(wrong, (2, 3, *[4] * n), *rules)


@AXES
def test_signatures_are_those_of_pytorch(n):
    """As its documentation has them; arguments go by name too, and by numbers of all kinds."""
    names = list(inspect.signature(POOLS[n]).parameters)
    assert F.__dict__[f"avg_pool{n}d"].__doc__.split("(")[1].split(")")[0].replace("=", ",").split(
        ","
    )[0] == names[0]  # fmt: skip
    x = normal(SHAPES[n])
    options = {"input": x, "kernel_size": [2], "stride": [], "padding": 1, "ceil_mode": True}
    options["count_include_pad"] = False
    if n > 1:
        options["divisor_override"] = 5
    assert list(options) == names
    same(POOLS[n](**options), THEIRS[n](**options))
    for number in (np.int64(2), np.array([2] * n), torch.tensor(2), torch.Size([2] * n), (2,)):
        same(POOLS[n](x, number, number, np.uint8(0), np.False_), THEIRS[n](x, 2))


class TestDerivatives:
    @AXES
    @LAYOUTS
    @pytest.mark.parametrize("dtype", [*FLOATS, torch.int8])
    def test_opcheck(self, n, dtype, last):
        """Schema, autograd, fake tensors with their strides, and AOTAutograd with symbols."""
        pytest.importorskip("ml_dtypes")
        operators = torch.ops.fastpool
        average, spread = (getattr(operators, f"avg_pool{n}d{end}") for end in ("", "_backward"))
        x = laid((normal((2, 3, *[6] * n)) * 5).to(dtype), last)
        x.requires_grad_(dtype.is_floating_point)
        for count, divisor in COUNTS[1:3]:
            rules = [3] * n, [2] * n, [1] * n, True, count, divisor
            checks = [(average, (x, *rules))]
            if x.requires_grad:
                gradient = torch.ones_like(average(x.detach(), *rules)).requires_grad_()
                checks.append((spread, (gradient, list(x.shape), *rules, last)))
            for operator, arguments in checks:
                found = torch.library.opcheck(operator.default, arguments)
                assert set(found.values()) == {"SUCCESS"}

    @AXES
    @LAYOUTS
    @pytest.mark.parametrize("arguments", [(2,), (3, 2, 1, True, False), (2, 1, 1, False, True)])
    def test_gradcheck(self, n, last, arguments):
        x = laid(normal((2, 2, *[{1: 7, 2: 5, 3: 3}[n]] * n), torch.float64), last)
        x.requires_grad_()

        def pool(x):
            return POOLS[n](x, *arguments)

        def squared(x):
            return pool(x) ** 2

        assert torch.autograd.gradcheck(
            pool, (x,), check_batched_grad=True, check_forward_ad=True,
            check_batched_forward_grad=True,
        )  # fmt: skip
        assert torch.autograd.gradgradcheck(
            squared, (x,), check_batched_grad=True, check_fwd_over_rev=True
        )

    @AXES
    def test_third_derivative(self, n):
        x = normal(SHAPES[n], torch.float64).requires_grad_()
        derivatives = []
        for pool in (POOLS[n], THEIRS[n]):
            y, found = (pool(x, 3, 1, 1) ** 4).sum(), []
            for _ in range(3):
                (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
                found.append(y.detach())
            derivatives.append(found)
        for actual, expected in zip(*derivatives, strict=True):
            same(actual, expected)

    @AXES
    @pytest.mark.parametrize("name", TRANSFORMED)
    def test_transformed(self, n, name):
        """Planes as lines of their rows, and as volumes of one plane."""
        options = {"count_include_pad": False, "ceil_mode": True}

        def over(pool):
            if n == 1:
                return lambda x: pool(x.flatten(-3, -2), 3, 2, 1, **options)
            if n == 2:
                return lambda x: pool(x, 3, 2, 1, **options, divisor_override=4)
            return lambda x: pool(x.unsqueeze(-3), (1, 3, 3), 2, (0, 1, 1), **options)

        transform, x = TRANSFORMED[name], normal((4, 2, 8, 9))
        if "vmap twice" in name and n > 1:
            x = x[:, :1]
        found, expected = (transform(over(pool))(x) for pool in (POOLS[n], THEIRS[n]))
        assert_same(found.detach().numpy(), expected.detach().numpy())


@AXES
class TestRecorded:
    """Compilers, tracers and exporters: the same bits and gradients."""

    @pytest.fixture(autouse=True)
    def fresh(self):
        torch._dynamo.reset()
        yield
        torch._dynamo.reset()

    @LAYOUTS
    @pytest.mark.parametrize("dynamic", [False, True])
    def test_compile(self, n, dynamic, last):
        counter = CompileCounterWithBackend("aot_eager")
        rules = 3, 2, 1, True, False

        def both(pool):
            return lambda x: pool(x[:, :, 1:] * 2, *rules) + 1

        compiled = torch.compile(
            both(POOLS[n]), fullgraph=True, backend=counter, dynamic=dynamic or None
        )
        for size in (8, 9, 11, 12) if dynamic else (8,):
            x = laid(normal((2, 3, *range(size, size + n))), last)
            output = both(POOLS[n])(x)
            weights = laid(normal(output.shape), last)
            found = forward_and_gradient(compiled, x, weights)
            same(found[0], output)
            expected = forward_and_gradient(both(THEIRS[n]), x, weights)
            assert_same(bits(found[0]), bits(expected[0]))
            assert_same(bits(found[1]), bits(expected[1]))
        assert counter.frame_count == 1

    def test_sizes_are_foretold(self, n):
        """A graph computes them from those of its input."""

        def sizes(x):
            y = POOLS[n](x, 3, 2, 1, True)
            return y, tuple(y.shape)

        compiled = torch.compile(sizes, fullgraph=True, backend="aot_eager", dynamic=True)
        for size in (8, 9, 10, 11):
            y, foretold = compiled(normal((2, 3, *range(size, size + n))))
            assert foretold == y.shape

    def test_kernel_sizes_and_divisors_are_symbols(self, n):
        """As in a pooling of whole planes."""

        def whole(pool):
            if n == 1:
                return lambda x: pool(x, x.shape[2:])
            return lambda x: pool(x, x.shape[2:], divisor_override=x.shape[-1])

        compiled = torch.compile(whole(POOLS[n]), fullgraph=True, backend="aot_eager", dynamic=True)
        for size in (2, 3, 4):
            x, weights = normal((2, 3, *[size] * n)), normal((2, 3, *[1] * n))
            found = forward_and_gradient(compiled, x, weights)
            expected = forward_and_gradient(whole(THEIRS[n]), x, weights)
            same(found[0], expected[0])
            same(found[1], expected[1])

    @pytest.mark.parametrize("name", ["vmap of grad", "grad of vmap"])
    def test_transformations_inside_of_compile(self, n, name):
        def pool(f):
            return lambda x: f(x.reshape(-1, *[4] * n), 2)

        transform, x = TRANSFORMED[name], normal((4, 2, 8, 8))
        compiled = torch.compile(transform(pool(POOLS[n])), fullgraph=True, backend="aot_eager")
        assert_same(compiled(x).numpy(), transform(pool(THEIRS[n]))(x).numpy())

    def test_programs(self, n):
        model, x = MODULES[n](3, 2, 1, count_include_pad=False), normal(SHAPES[n])
        expected = forward_and_gradient(model, x, torch.ones_like(model(x)))
        symbols = dict.fromkeys(range(2, n + 2), torch.export.Dim.AUTO)
        program = torch.export.export(model, (x,), dynamic_shapes=(symbols,))
        targets = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
        assert targets[-1] == f"fastpool.avg_pool{n}d.default"
        graph = torch.fx.symbolic_trace(model)
        assert POOLS[n] in {node.target for node in graph.graph.nodes}
        buffer = io.BytesIO()
        torch.jit.save(torch.jit.trace(model, (x,)), buffer)
        buffer.seek(0)
        graph = pickle.loads(pickle.dumps(graph))
        for recorded in (program.module(), graph, torch.jit.load(buffer)):
            found = forward_and_gradient(recorded, x, torch.ones_like(expected[0]))
            same(found[0], expected[0])
            same(found[1], expected[1])
        bigger = normal((2, 3, *[13] * n))
        same(program.module()(bigger), model(bigger))

    def test_script_is_refused(self, n):
        text = rf"avg_pool{n}d: .* use torch\.nn\.functional\.avg_pool{n}d, .*restore_pooling"
        model = torch.nn.Sequential(torch.nn.ReLU(), MODULES[n](2))
        for _ in range(2):
            for what in (POOLS[n], MODULES[n](2), model):
                with pytest.raises(RuntimeError, match=text):
                    torch.jit.script(what)
        x = normal(SHAPES[n])
        same(torch.jit.script(restore_pooling(model))(x), THEIRS[n](x.relu(), 2))

    def test_onnx_sees_pytorchs_own(self, n):
        x = normal(SHAPES[n])
        with (
            mock.patch.object(torch.onnx, "is_in_onnx_export", return_value=True),
            mock.patch.object(torch.jit, "is_tracing", return_value=True),
            mock.patch.object(calls, "execute_call") as call,
        ):
            same(POOLS[n](x, 3, 2, 1, True, False), THEIRS[n](x, 3, 2, 1, True, False))
        assert call.call_count == 0

    @pytest.mark.filterwarnings("ignore:.*legacy TorchScript-based:DeprecationWarning")
    @pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
    @pytest.mark.parametrize("dynamo", [False, True])
    def test_onnx(self, n, dynamo):
        for name in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(name)
        import onnx
        import onnxruntime

        model, buffer = torch.nn.Sequential(torch.nn.ReLU(), MODULES[n](2)), io.BytesIO()
        x = normal(SHAPES[n])
        torch.onnx.export(model.eval(), (x,), buffer, dynamo=dynamo, verbose=False)
        graph = onnx.load_from_string(buffer.getvalue()).graph
        assert "AveragePool" in {node.op_type for node in graph.node}
        session = onnxruntime.InferenceSession(
            buffer.getvalue(), providers=["CPUExecutionProvider"]
        )
        (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        np.testing.assert_allclose(found, model(x).numpy(), rtol=1e-6)


def network():
    """With all kinds of poolings."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.AvgPool2d(2), torch.nn.MaxPool2d(3, 2, 1),
        torch.nn.Unflatten(1, (2, 4)), torch.nn.AvgPool3d((2, 3, 3), 2, (1, 1, 1), True, False),
        torch.nn.Flatten(2), torch.nn.AvgPool1d(3, 2, 1, count_include_pad=False),
        torch.nn.Flatten(), torch.nn.LazyLinear(5),
    )  # fmt: skip


class TestModules:
    def test_training_is_the_same_to_the_bit(self):
        x, target = normal((4, 3, 16, 16)), torch.tensor([1, 2, 3, 4])
        weights = []
        for change in (lambda model: model, replace_pooling):
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
        def kinds():
            return [type(model[place]) for place in (1, 2, 4, 6)]

        model = network().eval()
        text, theirs = repr(model), kinds()
        modules = list(model.modules())
        own = [AvgPool2d, MaxPool2d, AvgPool3d, AvgPool1d]
        assert replace_pooling(model) is model
        assert kinds() == own
        assert all(isinstance(model[n], kind) for n, kind in zip((1, 2, 4, 6), theirs, strict=True))
        assert (repr(model), list(model.modules())) == (text, modules)
        restore_max_pool2d(model)
        assert kinds() == [AvgPool2d, torch.nn.MaxPool2d, AvgPool3d, AvgPool1d]
        assert restore_pooling(model) is model
        assert kinds() == theirs
        replace_max_pool2d(model)
        assert kinds() == [theirs[0], MaxPool2d, *theirs[2:]]
        restore_pooling(model)
        assert kinds() == theirs

    @AXES
    def test_subclasses_are_left_alone(self, n):
        class Own(THEIR_MODULES[n]):
            pass

        assert type(replace_pooling(THEIR_MODULES[n](2))) is MODULES[n]
        assert type(replace_pooling(Own(2))) is Own
        assert type(restore_pooling(Own(2))) is Own

    @AXES
    def test_arguments_are_respected(self, n):
        x = normal(SHAPES[n])
        for arguments in geometries(n):
            module = THEIR_MODULES[n](*arguments)
            expected, text = module(x), repr(module)
            for other in (MODULES[n](*arguments), replace_pooling(module)):
                same(other(x), expected)
                assert repr(other) == text

    def test_copies_and_pickles(self):
        model, x = replace_pooling(network().eval()), normal((1, 3, 16, 16))
        expected = model(x)
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert type(other[1]) is AvgPool2d
            assert_same(bits(other(x)), bits(expected))

    def test_pickles_name_the_package(self):
        for name in adapter.__all__:
            public = getattr(adapter, name)
            assert public.__module__ == "fastpool.interop.torch"
            assert pickle.loads(pickle.dumps(public)) is public

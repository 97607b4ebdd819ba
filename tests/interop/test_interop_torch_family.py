"""All pooling functions for PyTorch beside those of two axes and plain averages."""

import inspect
import io
import pickle
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest
from bits import assert_same

import fastpool

torch = pytest.importorskip("torch")
F = torch.nn.functional
func = torch.func

from tensors import bits, forward_and_gradient, normal, numbers, same  # noqa: E402
from torch._dynamo.testing import CompileCounterWithBackend  # noqa: E402

from fastpool.interop import torch as adapter  # noqa: E402
from fastpool.interop.torch import calls, replace_pooling, restore_pooling  # noqa: E402

pytestmark = [
    # PyTorch's own, of what it does inside of torch.compile and torch.export.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning:torch"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch"),
]

WINDOWS = "kernel_size", "stride", "padding", "dilation", "ceil_mode"
SHAPES = {1: (2, 3, 11), 2: (2, 3, 6, 7), 3: (2, 3, 4, 5, 6)}


class Member(NamedTuple):
    """A function, arguments for it, and what it is compared with."""

    name: str
    arguments: tuple
    theirs: object  # PyTorch's own, or the like of it

    @property
    def n(self):
        return int(self.name[-2])

    @property
    def own(self):
        return lambda x: getattr(adapter, self.name)(x, *self.arguments)

    @property
    def other(self):
        return lambda x: self.theirs(x, *self.arguments)

    @property
    def fastpool(self):
        return getattr(fastpool, self.name.replace("_pool", "pool"))


def minimum(n):
    return lambda x, *arguments: -getattr(F, f"max_pool{n}d")(-x, *arguments)


def magnitudes(n):
    """Norms of no negative numbers are PyTorch's."""
    return lambda x, *arguments: getattr(F, f"lp_pool{n}d")(x.abs(), *arguments)


def averages(n):
    """Plain averages of each window: PyTorch's own adaptive ones are divided otherwise."""

    def pool(x, output_size):
        sizes = output_size if isinstance(output_size, tuple) else (output_size,) * n
        sizes = [b if a is None else a for a, b in zip(sizes, x.shape[-n:], strict=True)]
        for axis, size in zip(range(-n, 0), sizes, strict=True):
            length = x.shape[axis]
            cuts = [(i * length // size, -(-(i + 1) * length // size)) for i in range(size)]
            parts = [x.narrow(axis, a, b - a).mean(axis, keepdim=True) for a, b in cuts]
            x = torch.cat(parts, axis)
        return x

    return pool


def _members():
    for n in (1, 2, 3):
        windows = (3, 2, 1, 1, True)
        if n != 2:
            yield Member(f"max_pool{n}d", windows, getattr(F, f"max_pool{n}d"))
            yield Member(f"min_pool{n}d", windows, minimum(n))
        sizes = (2, 3, None)[-n:] if n > 1 else 4
        adaptive = getattr(F, f"adaptive_max_pool{n}d")
        yield Member(f"adaptive_max_pool{n}d", (sizes,), adaptive)
        yield Member(f"adaptive_avg_pool{n}d", (sizes,), averages(n))
        yield Member(f"lp_pool{n}d", (2, 2), magnitudes(n))


MEMBERS = {member.name: member for member in _members()}
EACH = pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
PICKING = pytest.mark.parametrize(
    "member",
    [m for m in MEMBERS.values() if "max" in m.name or "min" in m.name],
    ids=[name for name in MEMBERS if "max" in name or "min" in name],
)
LAYOUTS = pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
AXES = pytest.mark.parametrize("n", SHAPES)


@pytest.fixture
def on_each(backend):
    with fastpool.use_backend(backend):
        yield


each = pytest.mark.usefixtures("on_each")


def laid(x, last=True):
    """The same numbers, with their channels in a memory format."""
    return x.movedim(1, -1).contiguous().movedim(-1, 1) if last else x.contiguous()


def near(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-6)


def agree(member, actual, expected):
    """To the bit where a cell is picked, for others within roundings.

    The gradients that minima are compared with have zeros of the other sign.
    """
    if "avg" in member.name or "lp" in member.name:
        near(actual.double(), expected.double())
    elif "min" in member.name:
        assert_same(bits(actual + 0.0), bits(expected + 0.0))
    else:
        assert_same(bits(actual), bits(expected))


@each
@EACH
@LAYOUTS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.whole(backend="numba")
def test_output_and_gradient(member, dtype, last):
    """fastpool's bits in the input's memory format, and PyTorch's values and gradients."""
    pytest.importorskip("ml_dtypes")
    x = laid(normal(SHAPES[member.n], dtype), last)
    output = member.own(x)
    layout = {} if not last else {"layout": {1: "NWC", 2: "NHWC", 3: "NDHWC"}[member.n]}
    arguments = member.arguments
    if dtype is torch.float32:
        array = x.movedim(1, -1).numpy() if last else x.numpy()
        expected = member.fastpool(array, *arguments, **layout)
        assert_same(output.movedim(1, -1).numpy() if last else output.numpy(), expected)
    same(output, laid(output, last))
    weights = laid(normal(output.shape, dtype, seed=1), last)
    found = forward_and_gradient(member.own, x, weights)
    assert found[1].stride() == x.stride()
    wide = forward_and_gradient(member.other, x.float(), weights.float())
    if dtype is torch.float32:
        agree(member, found[0], wide[0])
        agree(member, found[1], wide[1])
    else:
        torch.testing.assert_close(found[1].float(), wide[1], rtol=2e-2, atol=2e-2)


@PICKING
@LAYOUTS
def test_indices(member, last):
    """PyTorch's, with ties; of -inf alone its ``channels_last_3d`` names a cell elsewhere."""
    for dtype in (torch.float32, torch.float64):
        x = laid(numbers(SHAPES[member.n], dtype, seed=3).clamp(-3, 3), last)
        sign = -1 if "min" in member.name else 1
        their = getattr(F, member.name.replace("min", "max"))
        names = ["output_size"] if "adaptive" in member.name else WINDOWS
        arguments = dict(zip(names, member.arguments, strict=True))
        output, indices = their(sign * x, **arguments, return_indices=True)
        found = getattr(adapter, member.name)(x, **arguments, return_indices=True)
        assert_same(found[0].numpy(), (sign * output).numpy())
        assert_same(found[1].numpy(), indices.numpy())
        assert found[0].stride() == found[1].stride()


@EACH
@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.bool])
def test_integers(member, dtype):
    """As in fastpool; on no device too."""
    x = torch.tensor(np.random.default_rng(0).integers(0, 99, SHAPES[member.n])).to(dtype)
    found = member.own(x)
    assert_same(found.numpy(), member.fastpool(x.numpy(), *member.arguments))
    assert member.own(x.to("meta")).dtype == found.dtype


@EACH
def test_any_number_of_leading_axes(member):
    x = normal((2, 3, *SHAPES[member.n]))
    for tensor in (x, x[0], x[0, 0], x[0, 0, 0], x[0, 0, 0, 0], x[..., ::2, :, 1:]):
        found = member.own(tensor)
        assert_same(found.numpy(), member.fastpool(tensor.numpy(), *member.arguments))


@EACH
@LAYOUTS
def test_empty_axes(member, last):
    for lead in ((0, 3), (2, 0)):
        x = laid(torch.zeros(*lead, *SHAPES[member.n][2:]), last).requires_grad_()
        output = member.own(x)
        assert output.shape[:2] == lead
        output.sum().backward()
        assert x.grad.shape == x.shape


class TestDerivatives:
    @EACH
    def test_opcheck(self, member):
        """Schema, autograd, fake tensors with their strides, and AOTAutograd with symbols.

        Of tensors with the channels last, whose strides are the harder ones to foretell.
        """
        operators, n, last = torch.ops.fastpool, member.n, True
        x = laid(normal(SHAPES[n]), last).requires_grad_()
        own = getattr(operators, member.name)
        if "adaptive" in member.name:
            rules = coded = ([2, 3, 4][-n:],)
        elif "lp" in member.name:
            rules = coded = 3.0, [3] * n, [2] * n, True
        else:
            rules = [3] * n, [2] * n, [1] * n, [1] * n, True
            coded = *rules, True
        gradient = torch.ones_like(own(x.detach(), *rules)).requires_grad_()
        checks, shape = [(own, (x, *rules))], list(x.shape)
        if "avg" in member.name:
            spread = getattr(operators, f"{member.name}_backward")
            checks.append((spread, (gradient, shape, *rules, last)))
        elif "lp" in member.name:
            checks.append((getattr(operators, f"{member.name}_backward"), (gradient, x, *rules)))
        else:
            pick = getattr(operators, f"{member.name}_with_indices")
            _, indices = pick(x.detach(), *coded)
            routed = member.name.replace("min", "max")
            scatter = getattr(operators, f"{routed}_backward")
            gather = getattr(operators, f"{routed}_gather")
            checks += [(pick, (x, *coded)), (scatter, (gradient, indices, shape, *coded, last))]
            checks.append((gather, (x, indices, *coded)))
        for operator, arguments in checks:
            found = torch.library.opcheck(operator.default, arguments)
            assert set(found.values()) == {"SUCCESS"}

    @EACH
    def test_gradcheck(self, member):
        shape = (1, 2, *{1: (7,), 2: (3, 4), 3: (2, 2, 3)}[member.n])
        x = torch.tensor(np.random.default_rng(0).permutation(np.prod(shape)) / 9 - 1.95)
        x = laid(x.reshape(shape)).requires_grad_()
        assert torch.autograd.gradcheck(
            member.own, (x,), check_batched_grad=True, check_forward_ad=True,
            check_batched_forward_grad=True,
        )  # fmt: skip
        assert torch.autograd.gradgradcheck(
            lambda x: member.own(x) ** 2, (x,), check_batched_grad=True, check_fwd_over_rev=True
        )

    @pytest.mark.parametrize("n", [1, 2])
    @pytest.mark.parametrize("p", [1, 2, 3, 5, float("inf")])
    def test_norms(self, n, p):
        """Of every kind, at windows of zeros too; the second derivatives of those too."""
        pool = getattr(adapter, f"lp_pool{n}d")
        x = normal((1, 2, *[4] * n), torch.float64)
        x[..., :2] = 0
        weights = normal(pool(x, p, 2).shape, torch.float64)
        _, gradient = forward_and_gradient(lambda x: pool(x, p, 2), x, weights)
        own = getattr(fastpool, f"lppool{n}d_backward")(weights.numpy(), x.numpy(), p, 2)
        assert_same(gradient.numpy(), own)
        assert (gradient[..., :2] == 0).all()
        hessian = torch.autograd.functional.hessian(lambda x: (pool(x, p, 2) * weights).sum(), x)
        assert hessian.isfinite().all()
        x = normal((1, 1, *[3] * n), torch.float64).requires_grad_()
        assert torch.autograd.gradgradcheck(lambda x: pool(x, p, 2, 1), (x,))

    @EACH
    def test_transformed(self, member):
        x = normal((4, *SHAPES[member.n]))
        tangent = normal(x.shape, seed=1)
        agree(member, func.vmap(member.own)(x), member.other(x.flatten(0, 1)).unflatten(0, (4, 2)))
        moved = func.vmap(member.own, in_dims=1, out_dims=1)(x)
        agree(member, moved, torch.stack([member.own(part) for part in x.unbind(1)], 1))
        cubes = [lambda x, f=f: (f(x) ** 3).sum() for f in (member.own, member.other)]
        found, expected = (func.vmap(func.grad(cube))(x) for cube in cubes)
        near(found, expected)
        found, expected = (func.jvp(func.grad(cube), (x[0],), (tangent[0],))[1] for cube in cubes)
        near(found, expected)
        found = func.jvp(member.own, (x[0],), (tangent[0],))[1]
        near(found, func.vjp(member.own, x[0])[1](torch.ones_like(found))[0].new_tensor(
            func.linearize(member.other, x[0])[1](tangent[0]).tolist()))  # fmt: skip

    def test_nothing_is_kept_of_averages(self):
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
            adapter.adaptive_avg_pool2d(normal((1, 2, 5, 5)).requires_grad_(), 2)
        assert kept == []


@EACH
class TestRecorded:
    @pytest.fixture(autouse=True)
    def fresh(self):
        torch._dynamo.reset()
        yield
        torch._dynamo.reset()

    def test_compile(self, member):
        """One graph for all sizes, with the bits of a plain call."""
        counter = CompileCounterWithBackend("aot_eager")
        compiled = torch.compile(
            lambda x: member.own(x[:, :, 1:] * 2), fullgraph=True, backend=counter, dynamic=True
        )
        for size in (8, 9, 11):
            x = laid(normal((2, 3, *range(size, size + member.n))))
            plain = lambda x: member.own(x[:, :, 1:] * 2)  # noqa: E731
            weights = normal(plain(x).shape)
            found = forward_and_gradient(compiled, x, weights)
            expected = forward_and_gradient(plain, x, weights)
            same(found[0], expected[0])
            same(found[1], expected[1])
        assert counter.frame_count == 1

    def test_sizes_are_foretold(self, member):
        """A graph computes them from those of its input."""

        def sizes(x):
            y = member.own(x)
            return y, tuple(y.shape)

        compiled = torch.compile(sizes, fullgraph=True, backend="aot_eager", dynamic=True)
        for size in (8, 9, 10):
            y, foretold = compiled(normal((2, 3, *range(size, size + member.n))))
            assert foretold == y.shape

    def test_programs(self, member):
        kind = "".join(part.capitalize() for part in member.name.split("_")).replace("Lp", "LP")
        own, x = getattr(adapter, kind, None), normal(SHAPES[member.n])
        if own is None:
            assert "min" in member.name
            model = member.own
        else:
            model = own(*member.arguments[:4], **{"ceil_mode": True} if "Max" in kind and
                        "Adaptive" not in kind else {})  # fmt: skip
            symbols = dict.fromkeys(range(2, member.n + 2), torch.export.Dim.AUTO)
            program = torch.export.export(model, (x,), dynamic_shapes=(symbols,))
            bigger = normal((2, 3, *[13] * member.n))
            same(program.module()(bigger), model(bigger))
        expected = model(x)
        same(expected, member.own(x))
        buffer = io.BytesIO()
        torch.jit.save(torch.jit.trace(model, (x,)), buffer)
        buffer.seek(0)
        graph = torch.fx.symbolic_trace(model)
        assert getattr(adapter, member.name) in {node.target for node in graph.graph.nodes}
        for recorded in (torch.jit.load(buffer), pickle.loads(pickle.dumps(graph))):
            same(recorded(x), expected)
        with pytest.raises(RuntimeError, match=rf"{member.name}: torch\.jit\.script does not"):
            torch.jit.script(getattr(adapter, member.name))

    def test_onnx_sees_pytorchs_own(self, member):
        x = normal(SHAPES[member.n])
        with (
            mock.patch.object(torch.onnx, "is_in_onnx_export", return_value=True),
            mock.patch.object(torch.jit, "is_tracing", return_value=True),
            mock.patch.object(calls, "execute_call") as call,
        ):
            if "min" in member.name or "lp" in member.name:
                with pytest.raises(NotImplementedError, match=f"^{member.name}: .*ONNX"):
                    member.own(x)
            else:
                same(member.own(x), getattr(F, member.name)(x, *member.arguments))
        assert call.call_count == 0


@EACH
def test_errors_name_the_function(member):
    own, name, n = getattr(adapter, member.name), member.name, member.n
    rest = member.arguments
    for device in ("cpu", "meta"):
        x = torch.zeros(SHAPES[n], device=device)
        with pytest.raises(ValueError, match=f"^{name}: "):
            own(x, *((2, -1) if "lp" in name else (-1, *rest[1:])))
        with pytest.raises((ValueError, TypeError), match=f"^{name}: "):
            own(x, (1,) * 4, *rest[1:])
        with pytest.raises(TypeError, match=f"^{name}: "):
            own(x, "2", *rest[1:])
        with pytest.raises(ValueError, match=f"^{name}: .*input needs at least {n} ax"):
            own(torch.zeros([4] * (n - 1), device=device), *rest)
    with pytest.raises(TypeError, match=f"^{name}: input has dtype complex64"):
        own(torch.zeros(SHAPES[n], dtype=torch.complex64), *rest)
    with pytest.raises(TypeError, match=rf"^{name}: input must be a torch\.Tensor, got list"):
        own([1.0], *rest)


@pytest.mark.parametrize("n", SHAPES)
def test_norms_are_refused(n):
    pool = getattr(adapter, f"lp_pool{n}d")
    for p in (0, -1, 1.5, float("nan"), -float("inf")):
        with pytest.raises(ValueError, match=f"lp_pool{n}d: norm_type must be"):
            pool(torch.ones(SHAPES[n]), p, 2)


@EACH
def test_signatures_are_those_of_pytorch(member):
    if "min" in member.name:
        pytest.skip("it has none")
    own = list(inspect.signature(getattr(adapter, member.name)).parameters)
    their = getattr(F, member.name)
    if member.name == "adaptive_avg_pool1d":
        expected = ["input", "output_size"]  # a builtin
    elif "max" in member.name:  # chosen by return_indices
        expected = list(inspect.signature(getattr(F, f"{member.name}_with_indices")).parameters)
    else:
        expected = list(inspect.signature(their).parameters)
    assert own == expected


@AXES
class TestUnpooling:
    @LAYOUTS
    def test_output_and_gradient(self, n, last):
        own, theirs = (getattr(m, f"max_unpool{n}d") for m in (adapter, F))
        for kernel, stride, padding in ((2, None, 0), (3, 2, 1), (2, [], 0)):
            x = laid(normal(SHAPES[n]), last)
            pool = getattr(F, f"max_pool{n}d")
            y, indices = pool(x, kernel, stride or None, padding, return_indices=True)
            for sizes in (x.shape[2:], x.shape):
                rest = kernel, stride or None, padding, sizes
                weights = normal(x.shape)
                found, expected = (
                    forward_and_gradient(lambda y, f=f: f(y, indices, *rest), y, weights)  # noqa: B023
                    for f in (own, theirs)
                )
                assert_same(bits(found[0]), bits(expected[0]))
                assert_same(bits(found[1]), bits(expected[1]))

    def test_derivatives(self, n):
        own = getattr(adapter, f"max_unpool{n}d")
        x = normal((2, 2, *[4] * n), torch.float64)
        y, indices = getattr(adapter, f"max_pool{n}d")(x, 2, return_indices=True)
        y.requires_grad_()
        unpool = lambda y: own(y, indices, 2)  # noqa: E731
        assert torch.autograd.gradcheck(
            unpool, (y,), check_batched_grad=True, check_forward_ad=True
        )
        assert torch.autograd.gradgradcheck(lambda y: unpool(y) ** 2, (y,))
        for last, sizes in ((False, None), (True, [4] * n)):
            values, places = laid(y.detach(), last).requires_grad_(), laid(indices, last)
            arguments = values, places, [2] * n, [2] * n, [0] * n, sizes
            operator = getattr(torch.ops.fastpool, f"max_unpool{n}d").default
            assert set(torch.library.opcheck(operator, arguments).values()) == {"SUCCESS"}
        found = func.vmap(own, in_dims=(0, 0, None))(y.detach(), indices, 2)
        assert_same(found.numpy(), unpool(y).detach().numpy())

    def test_modules_and_errors(self, n):
        x = normal(SHAPES[n])
        pool = torch.nn.__dict__[f"MaxPool{n}d"](2, return_indices=True)
        unpool = torch.nn.__dict__[f"MaxUnpool{n}d"](2)
        expected = unpool(*pool(x), output_size=x.shape)
        assert type(replace_pooling(unpool)) is getattr(adapter, f"MaxUnpool{n}d")
        same(unpool(*replace_pooling(pool)(x), output_size=x.shape), expected)
        y, indices = pool(x)
        for wrong, error in (
            (indices + 10**6, IndexError), (indices.float(), TypeError), (indices[1:], ValueError),
            (indices.tolist(), TypeError),
        ):  # fmt: skip
            with pytest.raises(error, match=f"^max_unpool{n}d: indices"):
                getattr(adapter, f"max_unpool{n}d")(y, wrong, 2)
        with pytest.raises(ValueError, match=f"^max_unpool{n}d: output_size"):
            getattr(adapter, f"max_unpool{n}d")(y, indices, 2, output_size=[99] * n)


@AXES
class TestModules:
    def test_replaced_and_restored(self, n):
        x = normal(SHAPES[n])
        rules = {
            "MaxPool": (2, 1, 1, 1, True), "AdaptiveMaxPool": (2, True), "AvgPool": (2, 1, 1, True),
            "AdaptiveAvgPool": (2,), "LPPool": (2, 2),
        }  # fmt: skip
        for kind, arguments in rules.items():
            theirs = getattr(torch.nn, f"{kind}{n}d")
            own = getattr(adapter, f"{kind}{n}d")
            module = theirs(*arguments)
            expected, text = module(x), repr(module)
            kept = kind == "LPPool"
            assert type(replace_pooling(module)) is (theirs if kept else own)
            pairs = zip(*(y if isinstance(y, tuple) else (y,) for y in (module(x), expected)),
                        strict=True)  # fmt: skip
            for actual, other in pairs:
                near(actual, other)
            assert repr(own(*arguments)) == repr(module) == text
            assert type(pickle.loads(pickle.dumps(own(*arguments)))) is own
            assert type(restore_pooling(module)) is theirs
            assert type(restore_pooling(own(*arguments))) is (own if kept else theirs)

    def test_arguments_of_norms(self, n):
        module = getattr(adapter, f"LPPool{n}d")(3, 2, stride=1, ceil_mode=True)
        x = normal(SHAPES[n])
        own = getattr(fastpool, f"lppool{n}d")(x.numpy(), 3, 2, 1, True)
        assert_same(module(x).numpy(), own)

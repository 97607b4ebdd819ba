"""Calls that go past PyTorch's dispatcher, and those that must not."""

from contextlib import ExitStack, contextmanager, nullcontext
from unittest import mock

import pytest
from bits import assert_same

import fastpool

torch = pytest.importorskip("torch")

from fastpool.interop import torch as adapter  # noqa: E402  (it needs PyTorch)
from fastpool.interop.torch import derivatives  # noqa: E402
from fastpool.process import huge_pages  # noqa: E402

X = torch.randn(1, 2, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def numpy_backend():
    with fastpool.use_backend("numpy"):
        yield


@contextmanager
def operators():
    """The operators that are called, by what they do."""
    names = []
    tables = derivatives.PICKED["max_pool2d"], derivatives.ROUTED["max_pool2d"]
    with ExitStack() as stack:
        for name, function in (
            (name, f) for table in tables for name, f in table._asdict().items()
        ):

            def seen(*arguments, name=name, forward=function.forward):
                names.append(name)
                return forward(*arguments)

            stack.enter_context(mock.patch.object(function, "forward", staticmethod(seen)))
        yield names


@pytest.mark.parametrize(
    "context",
    [
        nullcontext,
        torch.no_grad,
        torch.inference_mode,
        lambda: torch.autocast("cpu", torch.bfloat16),
        torch.autograd.anomaly_mode.detect_anomaly,
    ],
)
@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
def test_nobody_looks(context):
    """Bits and gradients are those of the operators, which are not called."""
    results, routes = [], []
    for way in (mock.patch.object(derivatives, "is_plain", return_value=False), nullcontext()):
        x = torch.nn.Parameter(X.clone())
        with way, context(), operators() as names:
            output, indices = adapter.max_pool2d(x, 2, return_indices=True)
            outputs = [output, indices, adapter.max_pool2d(x, 2), adapter.max_pool2d(X, 2)]
            if output.requires_grad:
                outputs += torch.autograd.grad(output.square().sum(), x)
        assert not indices.requires_grad
        results.append([each.detach().numpy() for each in outputs])
        routes.append(names)
    assert len(routes[0]) == len(results[0]) - 1  # as a call returned two
    assert routes[1] == []
    for actual, expected in zip(*results, strict=True):
        assert_same(actual, expected)


def test_inference_tensors():
    with torch.inference_mode():
        x = X.clone()
        assert adapter.max_pool2d(x, 2).is_inference()
    with operators() as names:
        assert not adapter.max_pool2d(x, 2).is_inference()
    assert names == []


def test_gradient_of_gradient():
    """With a graph of the gradient, and the hooks that see what is kept."""
    kept = []
    x = X.clone().requires_grad_()
    with (
        operators() as names,
        torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t),
    ):
        (first,) = torch.autograd.grad((adapter.max_pool2d(x, 2) ** 3).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), x)
    assert names == []
    assert torch.uint8 in {each.dtype for each in kept}
    chosen = first != 0
    assert_same(second.numpy(), torch.where(chosen, 6 * x, 0.0).detach().numpy())


class Mode(torch.utils._python_dispatch.TorchDispatchMode):
    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        return function(*arguments, **(keywords or {}))


class Wrapped(torch.Tensor):
    """A subclass below the dispatcher."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), keywords=None):
        inner = [getattr(each, "inner", each) for each in arguments]
        return cls(function(*inner, **(keywords or {})))


@pytest.mark.parametrize(
    ("context", "x"),
    [
        (Mode, X),
        (torch.autograd.profiler.profile, X),
        (nullcontext, torch._subclasses.FakeTensorMode().from_tensor(X)),
        (nullcontext, Wrapped(X)),
        (nullcontext, torch._neg_view(X)),
        (nullcontext, X.to("meta")),
    ],
    ids=["mode", "profile", "fake", "subclass", "negated", "meta"],
)
@pytest.mark.filterwarnings("ignore:.*profiler")
def test_somebody_looks(context, x):
    with operators() as names, context() as found:
        output = adapter.max_pool2d(x, 2)
    assert names == ["pool"]
    assert output.shape == (1, 2, 3, 3)
    if hasattr(found, "key_averages"):
        assert "fastpool::max_pool2d" in {event.key for event in found.key_averages()}


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning")
def test_programs_name_the_operator():
    from torch.fx.experimental.proxy_tensor import make_fx

    def pool(x):
        return adapter.max_pool2d(x, 2)

    targets = [str(node.target) for node in make_fx(pool)(X).graph.nodes]
    assert "fastpool.max_pool2d.default" in targets
    assert "fastpool::max_pool2d" in str(torch.jit.trace(pool, (X,)).inlined_graph)


def test_below_autograd():
    """The kernel of somebody's operator: PyTorch has taken care of its gradient."""
    x = X.clone().requires_grad_()
    with torch._C._AutoDispatchBelowAutograd():
        assert not adapter.max_pool2d(x, 2).requires_grad
    assert adapter.max_pool2d(x, 2).requires_grad


@pytest.mark.parametrize("name", ["maxpool2d", "avgpool2d"])
def test_compilers_follow_operators(name):
    """Of the front door Dynamo follows every step, so also the choice of the way."""
    pool = getattr(fastpool, name)
    first, second = X.clone().requires_grad_(), X.clone().requires_grad_()
    compiled = torch.compile(lambda x: pool(x, 3, 2, 1), fullgraph=True, backend="eager")
    (compiled(first) ** 2).sum().backward()
    (pool(second, 3, 2, 1) ** 2).sum().backward()
    assert torch.equal(first.grad, second.grad)


def test_huge_pages(monkeypatch):
    """The system is asked for them for large new tensors, and for no other memory."""
    asked = []
    advise = lambda *arguments: asked.append(arguments[0].value)  # noqa: E731
    monkeypatch.setattr(huge_pages, "madvise", lambda: advise)
    small, large = torch.rand(1, 2, 512, 512), torch.rand(1, 4, 2048, 1024, requires_grad=True)
    adapter.max_pool2d(small, 2)
    assert asked == []
    output, indices = adapter.max_pool2d(large, 2, return_indices=True)
    (gradient,) = torch.autograd.grad(output.sum(), large)
    made = output, indices, gradient, adapter.avg_pool2d(large.detach(), 2)
    for begin in (tensor.data_ptr() for tensor in made):
        assert any(begin <= first < begin + huge_pages.PAGE for first in asked)
    begin = large.data_ptr()
    assert not any(begin <= first < begin + large.nbytes for first in asked)

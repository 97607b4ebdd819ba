"""PyTorch's own samples of its pooling functions: the same bits, or a difference with a name."""

import itertools
import warnings
from typing import NamedTuple

import numpy as np
import pytest
from bits import assert_same

import fastpool

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # which the samples import
F = torch.nn.functional

from tensors import bits  # noqa: E402  (it needs PyTorch)

from fastpool.interop import torch as adapter  # noqa: E402

KINDS = "max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool", "max_unpool"
NAMES = [f"{kind}{n}d" for kind in KINDS for n in (1, 2, 3)]
# Of some there are a thousand for each dtype: every so many are taken, in steps that fall on all
# values of all arguments.
STEPS = {
    "max_pool1d": 31, "max_pool2d": 47, "max_pool3d": 29, "max_unpool1d": 5, "max_unpool2d": 7,
    "max_unpool3d": 3,
}  # fmt: skip
# And of some dtypes alone: to make the samples takes longer than to pool them.
FEW = {"max_pool": (torch.float32, torch.bfloat16, torch.uint8), "max_unpool": (torch.float32,)}
FLOATS16 = torch.float16, torch.bfloat16


@pytest.fixture(scope="module")
def infos():
    """What PyTorch tests its functions with; to import it takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    found = {name: [] for name in NAMES}
    for info in op_db:
        found.get(info.name.removeprefix("nn.functional."), []).append(info)
    return found


class Case(NamedTuple):
    """A sample whose bits differ."""

    theirs: object
    x: torch.Tensor
    arguments: tuple
    options: dict
    weights: torch.Tensor | None
    actual: torch.Tensor
    expected: torch.Tensor

    @property
    def sizes(self):
        return self.arguments[0] if self.arguments else self.options["output_size"]


def equal(actual, expected):
    return (
        actual.dtype == expected.dtype
        and actual.shape == expected.shape
        and bits(actual).tobytes() == bits(expected).tobytes()
    )


def close(actual, expected, ulps=8):
    """Within some roundings, of numbers around 1 and larger."""
    bound = ulps * torch.finfo(actual.dtype).eps
    return torch.allclose(actual.double(), expected.double(), rtol=bound, atol=bound)


def rounded_once(case):
    """PyTorch's gradient of float32, rounded."""
    x = case.x.detach().float().requires_grad_()
    output = case.theirs(x, *case.arguments, **case.options)
    output = output[0] if isinstance(output, tuple) else output
    (gradient,) = torch.autograd.grad(output, x, case.weights.float())
    return equal(case.actual, gradient.to(case.actual.dtype))


def quotients(case):
    """Those of the same numbers as float64; without their fractions they are PyTorch's.

    But for the sign of zeros: see below.
    """
    expected = case.theirs(case.x.double(), *case.arguments, **case.options)
    same = equal(case.actual + 0.0, expected + 0.0)
    return same and case.actual.trunc().long().equal(case.expected)


def large(case):
    """Near it, where windows have more than 64 taps."""
    kernel = case.arguments[0] if case.arguments else case.options["kernel_size"]
    return np.prod(kernel) > 64 and near(case)


def windows(case):
    """PyTorch's plain average of each window, if it has the order; near it in any case."""
    n = int(case.theirs.__name__[-2])
    wide = torch.float64 if case.x.dtype == torch.float64 else torch.float32
    x, outputs = case.x.detach().to(wide), case.actual.shape[-n:]
    plain, found = getattr(F, f"avg_pool{n}d"), case.actual.detach().clone()
    for place in itertools.product(*map(range, outputs)):
        cuts = [
            slice(i * size // count, -(-(i + 1) * size // count))
            for i, size, count in zip(place, x.shape[-n:], outputs, strict=True)
        ]
        window = x[(..., *cuts)]
        if np.prod(window.shape[-n:]) <= 64:
            found[(..., *place)] = plain(window, window.shape[-n:]).flatten(-n)[..., 0]
    return equal(case.actual, found) and close(case.actual, case.expected)


def near(case):
    """Within some roundings."""
    return close(case.actual, case.expected)


class Difference(NamedTuple):
    """Where fastpool means to have other bits, and what must hold there."""

    reason: str
    names: tuple
    gradient: bool
    dtypes: tuple
    holds: object


ADAPTIVE = "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"
DIFFERENCES = [
    Difference(
        "16-bit gradients of overlapping windows are added in float32 and rounded once; PyTorch "
        "rounds every sum",
        ("max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", *ADAPTIVE[:2]),
        True, FLOATS16, rounded_once,
    ),
    Difference(
        "averages of integers are float64; PyTorch cuts off their fractions",
        ("avg_pool1d", "avg_pool2d", "avg_pool3d"), False, (torch.int64,), quotients,
    ),
    Difference(
        "windows of more than 64 taps are summed as a tree",
        ("avg_pool3d",), False, (torch.float32, torch.float64), large,
    ),
    Difference(
        "an adaptive average is a plain average of its window: one division, by the number of "
        "cells; PyTorch divides by one size after the other, and takes the mean of all cells in "
        "another order, as fastpool does that of more than 64",
        (ADAPTIVE[0], ADAPTIVE[2]), False, (torch.float64, torch.float32, *FLOATS16), windows,
    ),
    Difference(
        "and so its gradient is divided once",
        ADAPTIVE[2:], True, (torch.float64, torch.float32, *FLOATS16), near,
    ),
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_samples(name, infos):
    """On the NumPy backend: that the other one has its bits is tested without PyTorch."""
    pytest.importorskip("ml_dtypes")
    own, count, used = getattr(adapter, name), 0, set()
    for info in infos[name]:
        for dtype in sorted(info.supported_dtypes("cpu"), key=str):
            if dtype not in FEW.get(name[:-2], (dtype,)):
                continue
            torch.manual_seed(0)
            samples = info.sample_inputs("cpu", dtype, requires_grad=dtype.is_floating_point)
            for sample in itertools.islice(samples, 0, None, STEPS.get(name, 1)):
                with fastpool.use_backend("numpy"):
                    used |= compared(name, own, info.op, sample)
                count += 1
    assert count > 20
    # No row of the table is there for nothing.
    assert used == {row.reason for row in DIFFERENCES if name in row.names}


def compared(name, own, theirs, sample):
    """The reasons of the differences of a sample."""
    x, arguments, options = sample.input, sample.args, sample.kwargs
    used = set()
    pair = [pool(x, *arguments, **options) for pool in (own, theirs)]
    if isinstance(pair[1], tuple):
        assert equal(pair[0][1], pair[1][1])
        pair = [output for output, _ in pair]
    results, weights = [(False, *pair)], None
    if pair[1].requires_grad:
        weights = torch.randn(pair[1].shape).to(x.dtype)
        results.append((True, *(torch.autograd.grad(y, x, weights)[0] for y in pair)))
    for gradient, actual, expected in results:
        assert actual.shape == expected.shape
        if equal(actual, expected):
            continue
        case = Case(theirs, x, arguments, options, weights, actual, expected)
        held = [
            row.reason
            for row in DIFFERENCES
            if (name in row.names and gradient == row.gradient and x.dtype in row.dtypes)
            and row.holds(case)
        ]
        assert held, (name, x.dtype, tuple(x.shape), arguments, options, gradient)
        used.add(held[0])
    return used


@pytest.mark.parametrize("n", [2, 3])
def test_averages_of_negative_zero(n):
    """What no sample has: PyTorch adds them to 0.0, but for channels-last planes."""
    x, plane = torch.zeros(1, 2, *[4] * n), {2: torch.channels_last, 3: torch.channels_last_3d}[n]
    for form in (torch.contiguous_format, plane):
        images = x.to(memory_format=form)
        own, theirs = (
            getattr(module, f"avg_pool{n}d")(images, 2, divisor_override=-1)
            for module in (adapter, F)
        )
        assert own.signbit().all()
        assert theirs.signbit().all() == (form is torch.channels_last)


def test_indices_of_infinities():
    """What no sample has: of a window of -inf alone PyTorch names a cell of the first slice."""
    x = torch.full((1, 2, 4, 4, 4), -np.inf)
    last = x.to(memory_format=torch.channels_last_3d)
    expected = F.max_pool3d(x, 2, return_indices=True)[1]
    for images in (x, last):
        assert_same(adapter.max_pool3d(images, 2, return_indices=True)[1].numpy(), expected.numpy())
    assert not F.max_pool3d(last, 2, return_indices=True)[1].equal(expected)


# What PyTorch refuses and fastpool takes: why, and which samples are such.
TAKEN = {
    "any number of leading axes, none included": lambda n, x, _: x.dim() == n,
    "a leading axis may be empty": lambda n, x, _: 0 in x.shape[: x.dim() - n],
    "the padding may be larger than half a window, if no window is without a cell": (
        lambda n, x, options: options.get("padding", 0) > options["kernel_size"] // 2
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_errors(name, infos):
    """What PyTorch's functions must refuse is refused, or named above."""
    own, n, refused = getattr(adapter, name), int(name[-2]), 0
    for info in infos[name]:
        for error in info.error_inputs("cpu") if info.error_inputs_func else ():
            x, arguments, options = (getattr(error.sample_input, a) for a in PARTS)
            with pytest.raises(error.error_type):
                info.op(x, *arguments, **options)
            try:
                found = own(x, *arguments, **options)
            except (ValueError, TypeError):
                refused += 1
                continue
            assert any(holds(n, x, options) for holds in TAKEN.values()), (x.shape, options)
            found = (found[0] if isinstance(found, tuple) else found).detach()
            options = {key: options[key] for key in options if key != "return_indices"}
            pool = getattr(fastpool, name.replace("_pool", "pool"))
            assert_same(found.numpy(), pool(x.detach().numpy(), *arguments, **options))
    assert refused


PARTS = "input", "args", "kwargs"

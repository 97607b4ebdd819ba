"""Max pooling inside PyTorch: fastpool's operators against PyTorch's own."""

import functools

import numpy as np

import fastpool

from . import common

try:
    import torch

    from fastpool.interop import torch as adapter
except ImportError as error:
    torch, MISSING = None, str(error)

# Where the networks pool, on batches of 8: shape, kernel_size, stride, padding; the smallest first.
POOLINGS = {
    "VGG-16, 8x512x14x14 k2 s2": ((8, 512, 14, 14), 2, 2, 0),
    "VGG-16, 8x512x28x28 k2 s2": ((8, 512, 28, 28), 2, 2, 0),
    "ResNet-50, 8x64x112x112 k3 s2 p1": ((8, 64, 112, 112), 3, 2, 1),
    "VGG-16, 8x256x56x56 k2 s2": ((8, 256, 56, 56), 2, 2, 0),
    "VGG-16, 8x128x112x112 k2 s2": ((8, 128, 112, 112), 2, 2, 0),
    "VGG-16, 8x64x224x224 k2 s2": ((8, 64, 224, 224), 2, 2, 0),
}
PARTS = ["forward", "forward and backward"]


def _warmed(call):
    """The result of a first call, which compiles Numba's kernels: only then "auto" takes them."""
    try:
        with fastpool.use_backend("numba"):
            return call()
    except fastpool.BackendUnavailable as error:
        raise NotImplementedError(str(error)) from error


def _pool_calls(pooling, memory, part):
    """Warm calls of both, which have been seen to agree."""
    if torch is None:
        raise NotImplementedError(MISSING)
    shape, *windows = POOLINGS[pooling]
    form = torch.channels_last if memory == "channels last" else torch.contiguous_format
    x = torch.from_numpy(common.random_array(shape)).contiguous(memory_format=form)
    x.requires_grad_(part != "forward")
    weights = torch.nn.functional.max_pool2d(x.detach(), *windows).cos()

    def calling(function):
        def call():
            output = function(x, *windows)
            if part == "forward":
                return output
            return torch.autograd.grad(output, x, weights)[0]

        return call

    functions = {"fastpool": adapter.max_pool2d, "PyTorch": torch.nn.functional.max_pool2d}
    calls = {name: calling(function) for name, function in functions.items()}
    first, second = map(_warmed, calls.values())
    if not torch.equal(first, second):
        raise AssertionError("the two compute something else")
    return calls


class Pool:
    """One pooling, as the networks do it: all outputs are new."""

    params = (list(POOLINGS), ["contiguous", "channels last"], PARTS)
    param_names = ("pooling", "memory", "part")
    unit = "times"

    def setup(self, pooling, memory, part):
        self.calls = _pool_calls(pooling, memory, part)

    def time_fastpool(self, pooling, memory, part):
        """fastpool's."""
        self.calls["fastpool"]()

    def time_torch(self, pooling, memory, part):
        """PyTorch's own."""
        self.calls["PyTorch"]()

    def track_ratio_to_torch(self, pooling, memory, part):
        """Time of fastpool's over that of PyTorch's own."""
        return common.ratio("", self.calls)


def _network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(32, 64, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(3, 2, 1),
        torch.nn.Conv2d(64, 64, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(64 * 8 * 8, 10),
    )  # fmt: skip


def _step_calls(memory):
    """Training steps before and after the replacement, which lead to the same weights."""
    if torch is None:
        raise NotImplementedError(MISSING)
    form = torch.channels_last if memory == "channels last" else torch.contiguous_format
    x = torch.from_numpy(common.random_array((32, 3, 64, 64))).contiguous(memory_format=form)
    target = torch.arange(32) % 10
    models = {"fastpool": adapter.replace_max_pool2d(_network()), "PyTorch": _network()}

    def stepping(model):
        model.to(memory_format=form)
        optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)

        def step():
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), target).backward()
            optimizer.step()

        return step

    calls = {name: stepping(model) for name, model in models.items()}
    for call in calls.values():
        _warmed(call)
    first, second = (model.state_dict().values() for model in models.values())
    if not all(map(torch.equal, first, second)):
        raise AssertionError("the weights differ")
    return calls


class TrainingStep:
    """A network of three convolutions on 32 images of 64 x 64: forward, backward, SGD."""

    params = (["contiguous", "channels last"],)
    param_names = ("memory",)
    unit = "times"

    def setup(self, memory):
        self.calls = _step_calls(memory)

    def time_fastpool(self, memory):
        """After `replace_max_pool2d`."""
        self.calls["fastpool"]()

    def time_torch(self, memory):
        """Before it."""
        self.calls["PyTorch"]()

    def track_ratio_to_torch(self, memory):
        """Time of a step with fastpool over that of one without."""
        return common.ratio("", self.calls)


class Overhead:
    """A call that has next to nothing to do."""

    number = 1000

    def setup(self):
        if torch is None:
            raise NotImplementedError(MISSING)
        self.x = torch.from_numpy(np.ones((1, 1, 4, 4), np.float32))
        _warmed(functools.partial(adapter.max_pool2d, self.x, 2))

    def time_call(self):
        """On (1, 1, 4, 4), without a gradient."""
        adapter.max_pool2d(self.x, 2)

"""What is computed in the benchmark: the problems, the tasks, and fastpool's way to do them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

import fastpool

from ...api.types import BackendName

# What is computed: the maxima alone, maxima and flat indices, maxima and window indices, maxima
# and flat indices of channels-last data, and the gradient of the input (from flat indices, by
# whoever has indices).
VALUES, FLAT, WINDOW, CHANNELS_LAST, BACKWARD = TASKS = (
    "values",
    "flat",
    "window",
    "channels-last",
    "backward",
)


# What a window is reduced to, as the functions are called: `maxpool2d`, `adaptive_avgpool2d`.
MAXIMUM, MINIMUM, AVERAGE, SUM, NORM, MODE = "max", "min", "avg", "sum", "lp", "mode"
ADAPTIVE_MAXIMUM, ADAPTIVE_AVERAGE = "adaptive_max", "adaptive_avg"
# Those that pick a cell, and so have indices.
PICKS = (MAXIMUM, MINIMUM, MODE, ADAPTIVE_MAXIMUM)
# Windows of more taps are summed as trees, which nobody else does.
DIRECT_TAPS = 64
# How far float32 of another order of additions may be from fastpool's.
CLOSE = 1e-4
# The norm, and how many labels there are to count.
NORM_TYPE, LABELS = 2, 4
LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}


@dataclass(frozen=True)
class Problem:
    """A pooling of random data, which are made when needed.

    Attributes
    ----------
    shape : tuple of int
        Of the input, channels first: N, C and one to three spatial axes.
    kernel, stride, padding, dilation : int
        The same for all axes.
    dtype : str
        Of the input.
    member : str
        What a window is reduced to.
    windows : int
        Of an adaptive member, how many an axis has; see `adaptive`.
    result : str
        The dtype of the output, if it is not that of the input.
    """

    shape: tuple[int, ...]
    kernel: int
    stride: int
    padding: int = 0
    dilation: int = 1
    dtype: str = "float32"
    member: str = MAXIMUM
    windows: int = 0
    result: str = ""

    def __str__(self) -> str:
        name = "" if self.function == "maxpool2d" else f"{self.function} "
        return f"{name}{self.shape} {self.window}"

    @property
    def axes(self) -> int:
        """The number of spatial axes."""
        return len(self.shape) - 2

    @property
    def function(self) -> str:
        """The name of fastpool's function."""
        return f"{self.member}pool{self.axes}d"

    @property
    def picks(self) -> bool:
        """Whether the output is a cell of the window, so that there are indices."""
        return self.member in PICKS

    @property
    def tiled(self) -> bool:
        """Whether the windows lie side by side and cover the input."""
        fits = all(size % self.kernel == 0 for size in self.shape[2:])
        return self.kernel == self.stride and fits and not self.padding and self.dilation == 1

    @property
    def window(self) -> str:
        """The windows in short: ``k3 s2 p1`` for kernel 3, stride 2 and padding 1.

        The dtypes follow if they are not float32.
        """
        padding = f" p{self.padding}" if self.padding else ""
        dilation = f" d{self.dilation}" if self.dilation > 1 else ""
        dtype = f" {self.dtype}" if self.dtype != "float32" else ""
        result = f" to {self.result}" if self.result else ""
        window = f"to {self.windows}" if self.windows else f"k{self.kernel} s{self.stride}"
        return f"{window}{padding}{dilation}{dtype}{result}"

    @property
    def arguments(self) -> tuple[int, int, int, int]:
        """The arguments of `maxpool2d` that follow the input."""
        return self.kernel, self.stride, self.padding, self.dilation

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the output, channels first."""
        if self.windows:
            return (*self.shape[:2], *[self.windows] * self.axes)
        reach = self.dilation * (self.kernel - 1) + 1 - 2 * self.padding
        return (*self.shape[:2], *((size - reach) // self.stride + 1 for size in self.shape[2:]))

    @property
    def output_dtype(self) -> np.dtype:
        """The dtype of the output."""
        return np.dtype(self.result or self.dtype)

    @cached_property
    def x(self) -> np.ndarray:
        """The input: normal floats, or integers of the whole range, or labels."""
        rng, dtype = np.random.default_rng(0), np.dtype(self.dtype)
        if self.floats:
            return rng.standard_normal(self.shape, np.float32).astype(dtype, copy=False)
        if self.member == MODE:
            return rng.integers(0, LABELS, self.shape, dtype)
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, self.shape, dtype, endpoint=True)

    @cached_property
    def x_channels_last(self) -> np.ndarray:
        """The input with its channels last."""
        return np.ascontiguousarray(np.moveaxis(self.x, 1, -1))

    @cached_property
    def grad_output(self) -> np.ndarray:
        """Whole numbers, whose sums are exact in whatever order a peer adds them."""
        rng = np.random.default_rng(1)
        return rng.integers(-8, 9, self.output_shape, np.int8).astype(np.float32)

    @property
    def floats(self) -> bool:
        """Whether the data are floats, which have a gradient."""
        return np.dtype(self.dtype).kind == "f"

    @property
    def outside(self) -> Any:
        """What padding counts as."""
        if self.member not in (MAXIMUM, MINIMUM):
            return 0
        lowest = self.member == MAXIMUM
        if self.floats:
            return -np.inf if lowest else np.inf
        limits = np.iinfo(self.dtype)
        return limits.min if lowest else limits.max

    def expected(self, task: str) -> tuple[np.ndarray, ...]:
        """What the NumPy backend computes."""
        # The results of channels-last data are the same ones, in another order.
        if task == CHANNELS_LAST:
            task = FLAT if self.picks else VALUES
        return by_fastpool(self, task, "numpy").outputs

    def traffic(self, task: str) -> int:
        """The bytes that a call must read and write at least."""
        taps = self.kernel**self.axes
        index_bytes = {VALUES: 0, WINDOW: np.min_scalar_type(taps - 1).itemsize}
        indices = index_bytes.get(task, 8) if self.picks else 0
        cells = math.prod(self.shape) * np.dtype(self.dtype).itemsize
        outputs = math.prod(self.output_shape) * (self.output_dtype.itemsize + indices)
        # The gradient of a norm takes the input too.
        return (2 if self.member == NORM and task == BACKWARD else 1) * cells + outputs


def adaptive(member: str, shape: tuple[int, ...], windows: int) -> Problem:
    """An adaptive pooling; kernel and stride are those of its windows where they are all alike.

    Where they are not, the windows of that kernel and stride are others.
    """
    size = min(shape[2:])
    return Problem(shape, -(-size // windows), size // windows, member=member, windows=windows)


class Contender(NamedTuple):
    """A call that is ready to be timed, and the results of its first run, which warmed it.

    Attributes
    ----------
    call : callable
        What is timed; it takes no arguments.
    outputs : tuple of ndarray
        Values and indices with channels first, or the gradient, to be compared with
        `Problem.expected`.
    buffers : object
        Arrays that `call` knows by their address alone, kept alive here.
    tolerance : float
        How far the outputs may be from what is expected, where the peer adds or rounds in another
        way; 0 if they must be equal.
    """

    call: Callable[..., object]
    outputs: tuple[np.ndarray, ...] = ()
    buffers: object = None
    tolerance: float = 0


def by_fastpool(problem: Problem, task: str, backend: BackendName) -> Contender:
    """fastpool on one of its backends, into preallocated outputs.

    Raises
    ------
    NotImplementedError
        The backend cannot be used here.
    """
    last = task == CHANNELS_LAST
    options: dict[str, Any] = {"layout": LAYOUTS[problem.axes][last], "backend": backend}
    if problem.windows:
        options["output_size"] = problem.windows
    else:
        names = ("kernel_size", "stride", "padding", "dilation")
        options |= zip(names, problem.arguments, strict=True)
    first = {"norm_type": NORM_TYPE} if problem.member == NORM else {}
    forward: dict[str, Any] = {"dtype": problem.result} if problem.result else {}
    if problem.picks:
        forward["return_indices"] = task != VALUES
    formats = {"index_format": "window"} if task == WINDOW else {}
    x = problem.x_channels_last if last else problem.x
    pool = getattr(fastpool, problem.function)
    call: Callable[..., Any] = partial(pool, x, **first, **forward, **formats, **options)
    try:
        if task != BACKWARD:
            out = call()
        else:
            before: tuple[Any, ...] = (problem.shape,)
            if problem.picks:
                before = (call().indices, problem.shape)
            elif problem.member == NORM:
                before = (problem.x,)
            backward = getattr(fastpool, f"{problem.function}_backward")
            call = partial(backward, problem.grad_output, *before, **first, **options)
            out = call()
    except fastpool.BackendUnavailable as error:
        raise NotImplementedError(str(error)) from error
    outputs = out if isinstance(out, tuple) else (out,)
    if last:
        outputs = tuple(np.moveaxis(each, -1, 1) for each in outputs)
    return Contender(partial(call, out=out), outputs)


def load(module: str) -> Any:
    """A module; NotImplementedError if it is missing, or if its installation is broken."""
    try:
        return import_module(module)
    except (ImportError, OSError) as error:
        raise NotImplementedError(str(error)) from error

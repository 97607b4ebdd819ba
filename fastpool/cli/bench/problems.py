"""What is computed in the benchmark: the problems, the tasks, and fastpool's way to do them."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Problem:
    """A 2-D pooling of random data, which are made when needed; `shape` is NCHW."""

    shape: tuple[int, int, int, int]
    kernel: int
    stride: int
    padding: int = 0
    dilation: int = 1
    dtype: str = "float32"

    def __str__(self) -> str:
        return f"{self.shape} {self.window}"

    @property
    def window(self) -> str:
        """The windows in short: ``k3 s2 p1`` for kernel 3, stride 2 and padding 1.

        The dtype follows if it is not float32.
        """
        padding = f" p{self.padding}" if self.padding else ""
        dilation = f" d{self.dilation}" if self.dilation > 1 else ""
        dtype = f" {self.dtype}" if self.dtype != "float32" else ""
        return f"k{self.kernel} s{self.stride}{padding}{dilation}{dtype}"

    @property
    def arguments(self) -> tuple[int, int, int, int]:
        """The arguments of `maxpool2d` that follow the input."""
        return self.kernel, self.stride, self.padding, self.dilation

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        """The shape of the output, NCHW."""
        reach = self.dilation * (self.kernel - 1) + 1 - 2 * self.padding
        height, width = ((size - reach) // self.stride + 1 for size in self.shape[2:])
        return (*self.shape[:2], height, width)

    @cached_property
    def x(self) -> np.ndarray:
        """The input: normal floats, or integers of the whole range."""
        rng, dtype = np.random.default_rng(0), np.dtype(self.dtype)
        if self.floats:
            return rng.standard_normal(self.shape, np.float32).astype(dtype, copy=False)
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, self.shape, dtype, endpoint=True)

    @cached_property
    def x_channels_last(self) -> np.ndarray:
        """The input as NHWC."""
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
    def least(self) -> Any:
        """What padding counts as."""
        return -np.inf if self.floats else np.iinfo(self.dtype).min

    def expected(self, task: str) -> tuple[np.ndarray, ...]:
        """What the NumPy backend computes."""
        # The results of channels-last data are the same ones, in another order.
        return by_fastpool(self, FLAT if task == CHANNELS_LAST else task, "numpy").outputs

    def traffic(self, task: str) -> int:
        """The bytes that a call must read and write at least."""
        index_bytes = {VALUES: 0, WINDOW: np.min_scalar_type(self.kernel**2 - 1).itemsize}
        cell_bytes = np.dtype(self.dtype).itemsize
        outputs = int(np.prod(self.output_shape)) * (cell_bytes + index_bytes.get(task, 8))
        return int(np.prod(self.shape)) * cell_bytes + outputs


class Contender(NamedTuple):
    """A call that is ready to be timed, and the results of its first run, which warmed it.

    Attributes
    ----------
    call : callable
        What is timed; it takes no arguments.
    outputs : tuple of ndarray
        Maxima and indices as NCHW, or the gradient, to be compared with `Problem.expected`.
    buffers : object
        Arrays that `call` knows by their address alone, kept alive here.
    """

    call: Callable[..., object]
    outputs: tuple[np.ndarray, ...] = ()
    buffers: object = None


def by_fastpool(problem: Problem, task: str, backend: BackendName) -> Contender:
    """fastpool on one of its backends, into preallocated outputs.

    Raises
    ------
    NotImplementedError
        The backend cannot be used here.
    """
    nhwc = task == CHANNELS_LAST
    call: Callable[..., Any] = partial(
        fastpool.maxpool2d,
        problem.x_channels_last if nhwc else problem.x,
        *problem.arguments,
        return_indices=task != VALUES,
        index_format="window" if task == WINDOW else "flat",
        layout="NHWC" if nhwc else "NCHW",
        backend=backend,
    )
    try:
        out = call()
    except fastpool.BackendUnavailable as error:
        raise NotImplementedError(str(error)) from error
    if task == BACKWARD:
        call = partial(
            fastpool.maxpool2d_backward,
            problem.grad_output,
            out.indices,
            problem.shape,
            *problem.arguments,
            backend=backend,
        )
        out = call()
    outputs = out if isinstance(out, tuple) else (out,)
    if nhwc:
        outputs = tuple(np.moveaxis(each, -1, 1) for each in outputs)
    return Contender(partial(call, out=out), outputs)


def load(module: str) -> Any:
    """A module; NotImplementedError if it is missing, or if its installation is broken."""
    try:
        return import_module(module)
    except (ImportError, OSError) as error:
        raise NotImplementedError(str(error)) from error

"""What fastpool's own functions ask of operators: numbers alone, made once for calls of a kind."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch

from ...api.execute import plain, understand
from ...api.norms import understood
from ...rules.arrays import check_shape
from ...rules.call import Call, Function
from ...rules.members import FUNCTIONS
from ...rules.operation import NORM
from ...rules.sums import check_gradient
from .tensors import dtype_of

# The length that stands for a compiler's symbol: windows do not depend on it.
_SYMBOL = 2**16
_MOST = 1024


class Asked(NamedTuple):
    """A call, as operators have it.

    Attributes
    ----------
    kernel, stride, padding, dilation : tuple of int
        One number an axis; of a padding that differs at the ends of an axis, two. Empty for
        adaptive windows.
    outputs, sizes : tuple of int
        How many windows and cells there are along each axis.
    coded, window : bool
        Whether there are indices, and whether these count taps.
    last : bool
        Whether the channels stand last.
    result : str
        The name of the dtype of a sum or an average.
    p : float
        Which norm.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    outputs: tuple[int, ...]
    sizes: tuple[int, ...]
    coded: bool
    window: bool
    last: bool
    result: str
    p: float

    @property
    def dilated(self) -> bool:
        return any(step > 1 for step in self.dilation)

    @property
    def padded(self) -> bool:
        return any(self.padding)


class _Facts(NamedTuple):
    """What must be known of a tensor to understand a call."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def asked(function: Function, inputs: tuple[Any, ...], arguments: tuple[Any, ...]) -> Asked:
    """What a call asks for."""
    # A compiler's sizes may be symbols, which it shows as integers.
    free = function.part == "forward" and torch.compiler.is_compiling()
    free = free and not any(isinstance(each, str) and each == "same" for each in arguments)
    shapes, names = [], []
    for tensor in inputs:
        lead = tensor.dim() - function.dimensions - 1
        if free:
            shape = [1 if i < lead else _SYMBOL for i in range(tensor.dim())]
        else:
            shape = [
                size if isinstance(size, int) else 1 if i < lead else _SYMBOL
                for i, size in enumerate(tensor.shape)
            ]
        shapes.append(tuple(shape))
        names.append(str(tensor.dtype))
    return Asked(*_constants(function.name, tuple(shapes), tuple(names), arguments))


@torch.compiler.assume_constant_result
def _constants(name: str, shapes: Any, dtypes: Any, arguments: Any) -> tuple[Any, ...]:
    """Known when a program is compiled, which need not follow how."""
    kinds = plain(arguments)
    if kinds is None:
        return _made(name, shapes, dtypes, arguments)
    return _kept(name, shapes, dtypes, arguments, kinds)


@lru_cache(maxsize=_MOST)
def _kept(name: str, shapes: Any, dtypes: Any, arguments: Any, kinds: Any) -> tuple[Any, ...]:
    """`kinds` tell ``1`` from ``True``."""
    return _made(name, shapes, dtypes, arguments)


def _made(name: str, shapes: Any, dtypes: Any, arguments: Any) -> tuple[Any, ...]:
    function, p = FUNCTIONS[name], 0.0
    facts = tuple(
        _Facts(shape, dtype_of(name, getattr(torch, kind.removeprefix("torch."))))
        for shape, kind in zip(shapes, dtypes, strict=True)
    )
    if function.operation is NORM:
        if function.part == "backward":
            check_gradient(name, facts[0].dtype)
        norm, call = understood(function, "x", *facts[-1], arguments)
        p = float(norm)
        if function.part == "backward":
            shape = call.geometry.output_shape
            check_shape(name, "grad_output", facts[0].shape, shape)
    else:
        call = understand(function, facts, arguments)
    geometry, division = call.geometry, call.division
    return (
        *_windows(call), tuple(geometry.outputs), tuple(geometry.sizes),
        call.index_dtype is not None, call.window, geometry.channels_last,
        "" if division is None else division.dtype.name, p,
    )  # fmt: skip


def _windows(call: Call) -> tuple[tuple[int, ...], ...]:
    if call.function.adaptive:
        return (), (), (), ()
    axes = call.geometry.axes
    ends = [(axis.pad_low, axis.pad_high) for axis in axes]
    if all(low == high for low, high in ends):
        padding = tuple(low for low, _ in ends)
    else:
        padding = tuple(pad for pair in ends for pad in pair)
    return (
        tuple(axis.kernel for axis in axes), tuple(axis.stride for axis in axes), padding,
        tuple(axis.dilation for axis in axes),
    )  # fmt: skip

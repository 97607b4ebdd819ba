"""What an operator asks of fastpool: calls, made once for all tensors of a shape and dtype."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from ...api.execute import execute_call
from ...process.threads import one_thread
from ...rules import arrays, calls
from ...rules.call import Call, Function
from ...rules.geometry import output_length
from ...rules.members import DIMENSIONS, FUNCTIONS

# The arguments of an operator that describe windows, to look up what is remembered.
Rules: TypeAlias = tuple[Any, ...]


class Member(NamedTuple):
    """A pooling over so many axes: what its operators ask for.

    Attributes
    ----------
    name : str
        The public function here, which messages name.
    forward, backward : Function
        What fastpool does for it. Indices say where gradients go, whatever picked the cells, so
        minima have the backward pass of maxima.
    """

    name: str
    forward: Function
    backward: Function

    @property
    def axes(self) -> int:
        return self.forward.dimensions

    @property
    def picks(self) -> bool:
        """Whether it picks cells, which have indices."""
        return self.forward.operation.picks_cell

    @property
    def adaptive(self) -> bool:
        return self.forward.adaptive

    def coded(self, rules: Rules, window: bool = True) -> Rules:
        """The arguments of its operators for indices: window or flat ones, if it has a choice."""
        return rules if self.adaptive else (*rules, window)

    @property
    def rules(self) -> str:
        """The arguments of its operators that describe windows, as schemas write them."""
        if self.adaptive:
            return "SymInt[] output_size"
        lengths = "SymInt[] kernel_size, SymInt[] stride, SymInt[] padding"
        if self.picks:
            return f"{lengths}, SymInt[] dilation, bool ceil_mode"
        return f"{lengths}, bool ceil_mode, bool count_include_pad, SymInt? divisor_override"


def _member(name: str) -> Member:
    own = name.replace("_pool", "pool")
    forward, backward = FUNCTIONS[own], FUNCTIONS[f"{own.replace('min', 'max')}_backward"]
    return Member(name, replace(forward, name=name), backward)


KINDS = "max_pool", "min_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool"
MEMBERS = {f"{kind}{n}d": _member(f"{kind}{n}d") for kind in KINDS for n in DIMENSIONS}
UNPOOLINGS = {n: replace(FUNCTIONS[f"maxunpool{n}d"], name=f"max_unpool{n}d") for n in DIMENSIONS}
NORMS = {n: replace(FUNCTIONS[f"lppool{n}d"], name=f"lp_pool{n}d") for n in DIMENSIONS}

_ANY = np.dtype(np.uint8)
_MOST = 1024  # calls that each of the functions below remembers


def as_rules(rules: Sequence[Any]) -> Rules:
    # PyTorch passes lists; to ask whether one is a sequence takes 1 us.
    return tuple([tuple(rule) if isinstance(rule, list) else rule for rule in rules])


def _pairs(padding: Sequence[Any], axes: int) -> tuple[tuple[Any, Any], ...]:
    """The padding at both ends of each axis: schemas have numbers alone, one or two an axis."""
    if len(padding) == axes:
        return tuple((pad, pad) for pad in padding)
    return tuple(zip(padding[::2], padding[1::2], strict=True))


def _windows(member: Member, rules: Rules) -> Rules:
    """The arguments of an operator as `rules.calls` has them."""
    if member.adaptive or len(rules[2]) != 2 * member.axes:
        return rules
    return (*rules[:2], _pairs(rules[2], member.axes), *rules[3:])


@lru_cache(maxsize=_MOST)
def forward(
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    rules: Rules,
    window: bool | None,
    channels_last: bool,
) -> tuple[Call, tuple[int, ...]]:
    """The call that pools a tensor, and the shape of what it returns, which is a tensor's too.

    `window` says which indices it returns, window or flat ones; None for none.
    """
    member = MEMBERS[name]
    function = member.forward
    layout = function.layouts[0]
    arrays.check_dtype(name, "input", dtype)
    coded, form = window is not None, _format(window)
    make: Callable[..., Call]
    rest: tuple[Any, ...]
    if member.picks:
        make = calls.adaptive if member.adaptive else calls.forward
        rest = (coded, layout) if member.adaptive else (coded, form, layout)
    else:
        make = calls.adaptive_average if member.adaptive else calls.average
        rest = (layout, None) if member.adaptive else (1, layout, None)
    call = make(function, "input", tuple(shape), dtype, *_windows(member, rules), *rest)
    return _channels_last(call) if channels_last else call, call.geometry.output_shape


@lru_cache(maxsize=_MOST)
def backward(
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    codes: tuple[tuple[int, ...], np.dtype[Any]] | None,
    input_shape: tuple[int, ...],
    rules: Rules,
    window: bool,
    channels_last: bool,
) -> Call:
    """The call that passes gradients on to cells; all shapes are those of arrays.

    `codes` are the shape and dtype of the indices, where there are any.
    """
    member = MEMBERS[name]
    function = member.backward
    arrays.check_dtype(function.name, "grad_output", dtype)
    layout = function.layouts[channels_last]
    make: Callable[..., Call]
    rest: tuple[Any, ...] = (layout,)
    if codes is not None:
        make = calls.adaptive_backward if member.adaptive else calls.backward
        rest = rest if member.adaptive else (_format(window), *rest)
        call = make(function, dtype, codes[1], input_shape, *_windows(member, rules), *rest)
    else:
        make = calls.adaptive_average_backward if member.adaptive else calls.average_backward
        rest = rest if member.adaptive else (1, *rest)
        call = make(function, dtype, input_shape, *_windows(member, rules), *rest)
    arrays.check_shape(function.name, "grad_output", shape, call.geometry.output_shape)
    if codes is not None:
        call.check_indices(*codes)
    return call


@lru_cache(maxsize=_MOST)
def unpool(
    axes: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    codes: tuple[tuple[int, ...], np.dtype[Any]],
    rules: Rules,
    channels_last: bool,
) -> tuple[Call, tuple[int, ...]]:
    """The call that puts the values of a tensor to where flat indices say, and their shape."""
    function = UNPOOLINGS[axes]
    arrays.check_dtype(function.name, "input", dtype)
    kernel_size, stride, padding, output_size = rules
    if len(padding) == 2 * axes:
        padding = _pairs(padding, axes)
    rest = kernel_size, stride, padding, output_size, 1, "flat", function.layouts[0]
    call = calls.unpool(function, tuple(shape), dtype, codes[1], *rest)
    call.check_indices(*codes)
    return _channels_last(call) if channels_last else call, call.geometry.input_shape


@lru_cache(maxsize=_MOST)
def norm(axes: int, shape: tuple[int, ...], dtype: np.dtype[Any], rules: Rules) -> tuple[int, ...]:
    """The shape of the norms of a tensor, once it is known that there are some."""
    function = NORMS[axes]
    arrays.check_dtype(function.name, "input", dtype)
    kernel_size, stride, ceil_mode = rules
    call = calls.average(
        function, "input", tuple(shape), dtype, kernel_size, stride, 0, ceil_mode, True, 1, 1,
        function.layouts[0], None,
    )  # fmt: skip
    return call.geometry.output_shape


def _format(window: bool | None) -> str:
    return "window" if window else "flat"


def _channels_last(call: Call) -> Call:
    """The same call of an array whose channels stand last."""
    images, channels = call.geometry.lead
    layout = call.function.layouts[1]
    geometry = replace(call.geometry, lead=(images,), channels=channels, layout=layout)
    return replace(call, geometry=geometry)


def output_of(name: str, shape: Sequence[Any], rules: Sequence[Any]) -> tuple[Any, ...]:
    """The shape of the output, also if a compiler's symbols stand for numbers."""
    if _are_known(shape, *rules):
        return forward(name, tuple(shape), _ANY, as_rules(rules), None, False)[1]
    member = MEMBERS[name]
    at = len(shape) - member.axes
    if member.adaptive:
        return (*shape[:at], *rules[0])
    dilations, ceil_mode = rules[3:] if member.picks else ((1,) * member.axes, rules[3])
    return _foretold(shape, *rules[:3], dilations, ceil_mode)


def norms_of(axes: int, shape: Sequence[Any], rules: Sequence[Any]) -> tuple[Any, ...]:
    """The shape of norms, in the same way."""
    if _are_known(shape, *rules):
        return norm(axes, tuple(shape), _ANY, as_rules(rules))
    kernel_size, stride, ceil_mode = rules
    return _foretold(shape, kernel_size, stride, (0,) * axes, (1,) * axes, ceil_mode)


def unpooled_of(axes: int, shape: Sequence[Any], rules: Sequence[Any]) -> tuple[Any, ...]:
    """The shape of what is unpooled, in the same way."""
    if _are_known(shape, *rules):
        codes = tuple(shape), np.dtype(np.int64)
        return unpool(axes, tuple(shape), _ANY, codes, as_rules(rules), False)[1]
    kernels, strides, paddings, wanted = rules
    at = len(shape) - axes
    pads = _pairs(paddings, axes)
    sizes = wanted or [
        (count - 1) * step - sum(ends) + kernel
        for count, kernel, step, ends in zip(shape[at:], kernels, strides, pads, strict=True)
    ]
    return (*shape[:at], *sizes[-axes:])


def _foretold(shape: Sequence[Any], *windows: Any) -> tuple[Any, ...]:
    kernels, strides, paddings, gaps, ceil_mode = windows
    at = len(shape) - len(kernels)
    lengths = kernels, strides, _pairs(paddings, len(kernels)), gaps
    sizes = [
        output_length(size, *ends, gap * (kernel - 1) + 1, step, ceil_mode)
        for size, kernel, step, ends, gap in zip(shape[at:], *lengths, strict=True)
    ]
    return (*shape[:at], *sizes)


def _are_known(*rules: Any) -> bool:
    """Whether there is no symbol of a compiler among numbers and sequences of them."""
    return not any(
        isinstance(number, torch.SymInt)
        for rule in rules
        for number in (rule if isinstance(rule, Sequence) else (rule,))
    )


def run(call: Call, inputs: tuple[np.ndarray, ...], out: Any) -> None:
    """Fill `out`."""
    with threads():
        execute_call(call, inputs, out, None)


def threads() -> AbstractContextManager[None]:
    """As many as fastpool uses, or one where PyTorch uses one."""
    return nullcontext() if torch.get_num_threads() > 1 else one_thread()

"""The operators that PyTorch sees: on tensors' memory, and as fakes for its compilers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from ...api import norms
from ...rules.indices import gather as gathered
from . import calls
from .calls import MEMBERS, Member, as_rules, output_of
from .tensors import as_array, empty, index_type, is_channels_last, new, quotient_type, readable


def _operator(name: str, arguments: str, results: str = "Tensor") -> Any:
    """Make a function an operator, which keeps it as `compute`, and how many tensors it takes."""
    define = torch.library.custom_op(
        f"fastpool::{name}", mutates_args=(), device_types="cpu",
        schema=f"({arguments}) -> {results}",
    )  # fmt: skip

    def decorate(compute: Any) -> Any:
        operator = define(compute)
        operator.compute, operator.tensors = compute, arguments.count("Tensor ")
        return operator

    return decorate


class Picking(NamedTuple):
    """Operators that pick cells, and what follows the indices.

    Attributes
    ----------
    pool
        The picked cells alone.
    with_indices
        These and their indices: of windows of a given size window or flat ones, of others flat.
    """

    pool: Any
    with_indices: Any


class Routing(NamedTuple):
    """Operators that follow indices, each the other's transpose.

    Attributes
    ----------
    scatter
        Add every gradient to its cell; the result is in a memory format.
    gather
        The cells that indices name.
    """

    scatter: Any
    gather: Any


class Averaging(NamedTuple):
    """Operators that average, each the other's transpose.

    Attributes
    ----------
    pool
        The averages.
    spread
        Every gradient's part in the cells of its window; the result is in a memory format.
    """

    pool: Any
    spread: Any


def split(member: Member, coded: Sequence[Any]) -> tuple[Sequence[Any], bool]:
    """What describes the windows, and whether indices are window indices."""
    return (coded, False) if member.adaptive else (coded[:-1], coded[-1])


def _coded(member: Member) -> str:
    return member.rules if member.adaptive else f"{member.rules}, bool window"


def _pool(member: Member) -> Any:
    """The operator that returns no indices."""

    @_operator(member.name, f"Tensor input, {member.rules}")
    def pool(input: torch.Tensor, *rules: Any) -> torch.Tensor:  # noqa: A002 (PyTorch's name)
        last = is_channels_last(input, member.axes)
        array = as_array(input, last)
        wanted = as_rules(rules), None, last
        call, shape = calls.forward(member.name, input.shape, array.dtype, *wanted)
        output = new(shape, _result_type(member, input), input.device, last)
        calls.run(call, (array,), as_array(output, last))
        return output

    @pool.register_fake
    def _(input: torch.Tensor, *rules: Any) -> torch.Tensor:  # noqa: A002
        shape, dtype = output_of(member.name, input.shape, rules), _result_type(member, input)
        return empty(shape, dtype, input.device, is_channels_last(input, member.axes))

    return pool


def _result_type(member: Member, input: torch.Tensor) -> torch.dtype:  # noqa: A002
    return input.dtype if member.picks else quotient_type(input.dtype)


def _picking(member: Member) -> Picking:
    @_operator(f"{member.name}_with_indices", f"Tensor input, {_coded(member)}", "(Tensor, Tensor)")
    def with_indices(
        input: torch.Tensor,  # noqa: A002
        *coded: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rules, window = split(member, coded)
        last = is_channels_last(input, member.axes)
        array = as_array(input, last)
        wanted = as_rules(rules), window, last
        call, shape = calls.forward(member.name, input.shape, array.dtype, *wanted)
        output = new(shape, input.dtype, input.device, last)
        indices = new(shape, index_type(rules[0], window), input.device, last)
        calls.run(call, (array,), (as_array(output, last), as_array(indices, last)))
        return output, indices

    @with_indices.register_fake
    def _(input: torch.Tensor, *coded: Any) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: A002
        rules, window = split(member, coded)
        shape, last = (
            output_of(member.name, input.shape, rules), is_channels_last(input, member.axes),
        )  # fmt: skip
        output = empty(shape, input.dtype, input.device, last)
        return output, empty(shape, index_type(rules[0], window), input.device, last)

    return Picking(_pool(member), with_indices)


def _routing(member: Member) -> Routing:
    @_operator(
        f"{member.name}_backward",
        "Tensor grad_output, Tensor indices, SymInt[] input_shape, "
        f"{_coded(member)}, bool channels_last",
    )
    def scatter(
        grad_output: torch.Tensor, indices: torch.Tensor, input_shape: Sequence[int], *rest: Any
    ) -> torch.Tensor:
        *coded, last = rest
        rules, window = split(member, coded)
        result = new(input_shape, grad_output.dtype, grad_output.device, last)
        out = as_array(result, last)
        gradient = as_array(readable(grad_output, last), last)
        codes = as_array(indices, last)
        call = calls.backward(
            member.name, gradient.shape, gradient.dtype, (codes.shape, codes.dtype), out.shape,
            as_rules(rules), window, last,
        )  # fmt: skip
        calls.run(call, (gradient, codes), out)
        return result

    @_operator(f"{member.name}_gather", f"Tensor cells, Tensor indices, {_coded(member)}")
    def gather(cells: torch.Tensor, indices: torch.Tensor, *coded: Any) -> torch.Tensor:
        rules, window = split(member, coded)
        array = as_array(cells)
        wanted = as_rules(rules), window, False
        call, _ = calls.forward(member.name, cells.shape, array.dtype, *wanted)
        result = new(indices.shape, cells.dtype, cells.device, False)
        as_array(result)[...] = gathered(array, as_array(indices), call.geometry, window)
        return result

    @scatter.register_fake
    def _(grad_output: torch.Tensor, indices: torch.Tensor, *rest: Any) -> torch.Tensor:
        return empty(rest[0], grad_output.dtype, grad_output.device, rest[-1])

    @gather.register_fake
    def _(cells: torch.Tensor, indices: torch.Tensor, *coded: Any) -> torch.Tensor:
        return empty(indices.shape, cells.dtype, cells.device, False)

    return Routing(scatter, gather)


def _averaging(member: Member) -> Averaging:
    @_operator(
        f"{member.name}_backward",
        f"Tensor grad_output, SymInt[] input_shape, {member.rules}, bool channels_last",
    )
    def spread(grad_output: torch.Tensor, input_shape: Sequence[int], *rest: Any) -> torch.Tensor:
        *rules, last = rest
        result = new(input_shape, grad_output.dtype, grad_output.device, last)
        out = as_array(result, last)
        gradient = as_array(readable(grad_output, last), last)
        call = calls.backward(
            member.name, gradient.shape, gradient.dtype, None, out.shape, as_rules(rules), False,
            last,
        )  # fmt: skip
        calls.run(call, (gradient,), out)
        return result

    @spread.register_fake
    def _(grad_output: torch.Tensor, input_shape: Any, *rest: Any) -> torch.Tensor:
        return empty(input_shape, grad_output.dtype, grad_output.device, rest[-1])

    return Averaging(_pool(member), spread)


def _unpooling(axes: int) -> Any:
    """The operator that puts each value to where its flat index says."""

    @_operator(
        f"max_unpool{axes}d",
        "Tensor input, Tensor indices, SymInt[] kernel_size, SymInt[] stride, SymInt[] padding, "
        "SymInt[]? output_size",
    )
    def unpool(
        input: torch.Tensor,  # noqa: A002
        indices: torch.Tensor,
        *rules: Any,
    ) -> torch.Tensor:
        last = is_channels_last(input, axes)
        values = as_array(input, last)
        codes = as_array(readable(indices, last), last)
        facts = (tuple(indices.shape), codes.dtype), as_rules(rules), last
        call, shape = calls.unpool(axes, input.shape, values.dtype, *facts)
        result = new(shape, input.dtype, input.device, last)
        calls.run(call, (values, codes), as_array(result, last))
        return result

    @unpool.register_fake
    def _(input: torch.Tensor, indices: torch.Tensor, *rules: Any) -> torch.Tensor:  # noqa: A002
        shape = calls.unpooled_of(axes, input.shape, rules)
        return empty(shape, input.dtype, input.device, is_channels_last(input, axes))

    return unpool


class Norm(NamedTuple):
    """Operators of norms.

    Attributes
    ----------
    pool
        The norms.
    gradient
        Their gradient, in the memory format of the input.
    """

    pool: Any
    gradient: Any


def _norm(axes: int) -> Norm:
    rule = "float norm_type, SymInt[] kernel_size, SymInt[] stride, bool ceil_mode"
    layouts = calls.NORMS[axes].layouts
    forward, backward = (getattr(norms, f"lppool{axes}d{end}") for end in ("", "_backward"))

    @_operator(f"lp_pool{axes}d", f"Tensor input, {rule}")
    def pool(input: torch.Tensor, norm_type: float, *rules: Any) -> torch.Tensor:  # noqa: A002
        last = is_channels_last(input, axes)
        array = as_array(input, last)
        shape = calls.norm(axes, input.shape, array.dtype, as_rules(rules))
        output = new(shape, quotient_type(input.dtype), input.device, last)
        with calls.threads():
            forward(array, norm_type, *rules, layout=layouts[last], out=as_array(output, last))
        return output

    @_operator(f"lp_pool{axes}d_backward", f"Tensor grad_output, Tensor input, {rule}")
    def gradient(
        grad_output: torch.Tensor,
        input: torch.Tensor,  # noqa: A002
        norm_type: float,
        *rules: Any,
    ) -> torch.Tensor:
        last = is_channels_last(input, axes)
        given, array = as_array(readable(grad_output, last), last), as_array(input, last)
        result = new(input.shape, grad_output.dtype, input.device, last)
        out = as_array(result, last)
        with calls.threads():
            backward(given, array, norm_type, *rules, layout=layouts[last], out=out)
        return result

    @pool.register_fake
    def _(input: torch.Tensor, norm_type: float, *rules: Any) -> torch.Tensor:  # noqa: A002
        shape, last = calls.norms_of(axes, input.shape, rules), is_channels_last(input, axes)
        return empty(shape, quotient_type(input.dtype), input.device, last)

    @gradient.register_fake
    def _(grad_output: torch.Tensor, input: torch.Tensor, *_: Any) -> torch.Tensor:  # noqa: A002
        last = is_channels_last(input, axes)
        return empty(input.shape, grad_output.dtype, input.device, last)

    return Norm(pool, gradient)


PICKINGS = {name: _picking(member) for name, member in MEMBERS.items() if member.picks}
# Indices say where gradients go, whatever picked the cells: those of a minimum too.
ROUTINGS = {name: _routing(MEMBERS[name]) for name in PICKINGS if "min" not in name}
AVERAGINGS = {name: _averaging(member) for name, member in MEMBERS.items() if not member.picks}
UNPOOLINGS = {axes: _unpooling(axes) for axes in calls.UNPOOLINGS}
NORMS = {axes: _norm(axes) for axes in calls.NORMS}

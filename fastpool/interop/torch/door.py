"""Calls of fastpool's own functions whose arrays are tensors.

What the adapter has an operator for goes there, with derivatives of every order, compilers and
memory formats. The rest is computed on the tensors' memory; `through` has gradients of that too,
where fastpool has them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import handle_torch_function, has_torch_function

from ...api.execute import PoolResult
from ...dispatch import defaults
from ...rules.call import Function
from ...rules.operation import MODE, NORM
from . import through
from .arguments import check_tensor, refuse_masks
from .asked import Asked, asked
from .blocks import downsample as downsample
from .calls import MEMBERS
from .derivatives import AVERAGED, PICKED, ROUTED, UNPOOLED, call
from .filters import filtered as filtered
from .filters import host as host
from .functional import picked
from .norms import FUNCTIONS as NORMED
from .operators import NORMS
from .tensors import is_channels_last, quotient_type


def answer(
    function: Function, inputs: tuple[Any, ...], arguments: tuple[Any, ...], backend: Any
) -> Any:
    """The tensor, or the two, that a function of `fastpool` makes of tensors."""
    if backend is not None:
        # Of the forward pass alone: gradients have threads of their own.
        with defaults.use_backend(defaults.resolve(function.name, backend)):
            result = _answer(function, inputs, arguments)
    else:
        result = _answer(function, inputs, arguments)
    return PoolResult(*result) if isinstance(result, (tuple, list)) else result


def _answer(function: Function, inputs: tuple[Any, ...], arguments: tuple[Any, ...]) -> Any:
    if has_torch_function(inputs):  # a subclass, or below a mode
        refuse_masks(function.name, *inputs)
        return handle_torch_function(_answer, inputs, function, inputs, arguments)
    for label, tensor in zip(function.inputs, inputs, strict=True):
        check_tensor(function.name, tensor, label)
    if function.operation is MODE:
        return through.answer(function, inputs, arguments)
    work = _norm if function.operation is NORM else _WORK[function.part, _picks(function)]
    found = work(function, inputs, arguments, asked(function, inputs, arguments))
    return through.answer(function, inputs, arguments) if found is None else found


def _picks(function: Function) -> bool:
    return function.operation.picks_cell


def _member(function: Function) -> str:
    """The name of what has its operators: a sum is an average; minima pass on as maxima do."""
    name = function.name.removesuffix("_backward").replace("pool", "_pool")
    if function.part == "backward":
        name = name.replace("min_", "max_")
    return name.replace("sum_", "avg_")


def _first(tensor: torch.Tensor, n: int, last: bool) -> torch.Tensor:
    """A tensor whose channels stand first, with one axis before them if they stood last."""
    if not last:
        return tensor
    tensor = tensor.movedim(-1, -n - 1)
    return tensor.reshape(-1, *tensor.shape[-n - 1 :])


def _back(result: torch.Tensor, n: int, last: bool, like: torch.Tensor) -> torch.Tensor:
    """A result in the layout of the call; `like` has its leading axes."""
    if not last:
        return result
    return result.reshape(*like.shape[: -n - 1], *result.shape[1:]).movedim(-n - 1, -1)


def _shape(shape: Any, n: int, last: bool) -> list[Any]:
    """The shape of the input in the same way."""
    if not last:
        return list(shape)
    count = 1
    for size in shape[: -n - 1]:
        count *= size
    return [count, shape[-1], *shape[-n - 1 : -1]]


def _pick(function: Function, inputs: Any, arguments: Any, found: Asked) -> Any:
    (x,), n, last = inputs, function.dimensions, found.last
    name, cells = _member(function), _first(inputs[0], n, last)
    if function.adaptive:
        rules: tuple[Any, ...] = (_outputs(cells, arguments[0], found, n),)
    else:
        rules = found.kernel, found.stride, found.padding, found.dilation, bool(arguments[4])
    if found.window and found.coded:
        results = call(PICKED[name].with_indices, cells, *MEMBERS[name].coded(rules, True))
    else:
        results = picked(name, cells, rules, found.coded)
    if found.coded:
        return tuple([_back(result, n, last, x) for result in results])
    return _back(results, n, last, x)


def _outputs(cells: torch.Tensor, wanted: Any, found: Asked, n: int) -> list[Any]:
    """How many windows adaptive pooling has; of None as many as there are cells."""
    each = wanted if isinstance(wanted, (tuple, list)) else (wanted,) * n
    triples = zip(each, found.outputs, cells.shape[-n:], strict=True)
    return [size if one is None else count for one, count, size in triples]


def _follow(function: Function, inputs: Any, arguments: Any, found: Asked) -> Any:
    n, last = function.dimensions, found.last
    given = [_first(tensor, n, last) for tensor in inputs]
    if function.adaptive:
        coded: tuple[Any, ...] = (found.outputs,)
    else:
        windows = found.kernel, found.stride, found.padding, found.dilation
        coded = *windows, bool(arguments[5]), found.window
    form = last or is_channels_last(given[0], n)
    shape = _shape(arguments[0], n, last)
    cells = call(ROUTED[_member(function)].scatter, *given, shape, *coded, form)
    return _back(cells, n, last, inputs[0])


def _unpool(function: Function, inputs: Any, arguments: Any, found: Asked) -> Any:
    if found.window or found.dilated:
        return None
    n, last = function.dimensions, found.last
    given = [_first(tensor, n, last) for tensor in inputs]
    rules = found.kernel, found.stride, found.padding, found.sizes
    return _back(call(UNPOOLED[n], *given, *rules), n, last, inputs[0])


def _average(function: Function, inputs: Any, arguments: Any, found: Asked) -> Any:
    (x,), n, last = inputs, function.dimensions, found.last
    if found.dilated or str(quotient_type(x.dtype)) != f"torch.{found.result}":
        return None
    cells = _first(x, n, last)
    if function.adaptive:
        rules: tuple[Any, ...] = (_outputs(cells, arguments[0], found, n),)
    else:
        rules = found.kernel, found.stride, found.padding, *_counting(arguments[3:6])
    return _back(call(AVERAGED[_member(function)].pool, cells, *rules), n, last, x)


def _counting(arguments: Any) -> tuple[bool, bool, int | None]:
    ceil_mode, padded, divisor = arguments
    return bool(ceil_mode), bool(padded), None if divisor is None else int(divisor)


def _spread(function: Function, inputs: Any, arguments: Any, found: Asked) -> Any:
    (gradient,), n, last = inputs, function.dimensions, found.last
    if found.dilated:
        return None
    given, shape = _first(gradient, n, last), _shape(arguments[0], n, last)
    if function.adaptive:
        rules: tuple[Any, ...] = (found.outputs,)
    else:
        rules = found.kernel, found.stride, found.padding, *_counting(arguments[4:7])
    form = last or is_channels_last(given, n)
    cells = call(AVERAGED[_member(function)].spread, given, shape, *rules, form)
    return _back(cells, n, last, gradient)


def _norm(function: Function, inputs: Any, arguments: Any, found: Asked) -> Any:
    if found.padded or found.dilated:
        return None
    n, last = function.dimensions, found.last
    rules = found.p, found.kernel, found.stride, bool(arguments[5])
    given = [_first(tensor, n, last) for tensor in inputs]
    if function.part == "forward":
        return _back(call(NORMED[n], *given, *rules), n, last, inputs[0])
    return _back(NORMS[n].gradient(*given, *rules), n, last, inputs[0])


_WORK: dict[tuple[str, bool], Callable[..., Any]] = {
    ("forward", True): _pick,
    ("backward", True): _follow,
    ("unpool", True): _unpool,
    ("forward", False): _average,
    ("backward", False): _spread,
}

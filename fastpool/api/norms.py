"""Norms of windows, and their gradient, each made once for 1, 2 and 3 axes.

Powers and roots are NumPy's, some planes at a time; what is between them, sums, maxima and what
windows pass on to cells, are calls as any other, which a backend answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..rules import arrays, calls, norms
from ..rules.call import Call, Function
from ..rules.indices import gather
from ..rules.members import FUNCTIONS
from ..rules.operation import NORM
from ..rules.sums import check_gradient
from . import guests
from . import norm_documents as texts
from .documents import named
from .execute import execute, execute_call
from .norm_types import Norm, NormBackward
from .types import AnyArray, BackendName, Entries, Padding

# Cells that are raised to a power at a time: so the float64 of large arrays take little memory.
BLOCK = 2**22


def _norm(name: str, examples: str = "") -> Norm:
    function = FUNCTIONS[name]

    @named(function, texts.NORM, examples)
    def pool(
        x: AnyArray,
        norm_type: float,
        kernel_size: Entries,
        stride: Entries | None = None,
        ceil_mode: bool = False,
        *,
        padding: Padding = 0,
        dilation: Entries = 1,
        layout: Any = function.layouts[0],
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> Any:
        arguments = norm_type, kernel_size, stride, padding, dilation, ceil_mode, layout
        return execute_norm(function, (x,), arguments, out, backend)

    return pool


def _backward(name: str, examples: str = "") -> NormBackward:
    function = FUNCTIONS[name]

    @named(function, texts.BACKWARD, examples)
    def backward(
        grad_output: AnyArray,
        x: AnyArray,
        norm_type: float,
        kernel_size: Entries,
        stride: Entries | None = None,
        ceil_mode: bool = False,
        *,
        padding: Padding = 0,
        dilation: Entries = 1,
        layout: Any = function.layouts[0],
        out: np.ndarray | None = None,
        backend: BackendName | None = None,
    ) -> Any:
        arguments = norm_type, kernel_size, stride, padding, dilation, ceil_mode, layout
        return execute_norm(function, (grad_output, x), arguments, out, backend)

    return backward


def execute_any(
    function: Function, inputs: tuple[Any, ...], arguments: tuple[Any, ...], out: Any, backend: Any
) -> Any:
    """Answer a call of any public function."""
    work = execute_norm if function.operation is NORM else execute
    return work(function, inputs, arguments, out, backend)


def execute_norm(
    function: Function, inputs: tuple[Any, ...], arguments: tuple[Any, ...], out: Any, backend: Any
) -> Any:
    """Answer a call of a public function of this file, as `execute` does those of others."""
    name, names = function.name, function.inputs
    if not (type(inputs[0]) is type(inputs[-1]) is np.ndarray):
        guest = guests.host_of(name, names, inputs, out)
        if guest is not None:
            return guest.load().answer(function, inputs, arguments, backend)
        inputs = arrays.as_arrays(name, names, inputs)
    first, x = inputs[0], inputs[-1]
    backward = function.part == "backward"
    if backward:
        arrays.check_dtype(name, "grad_output", first.dtype)
        check_gradient(name, first.dtype)
    p, call = understood(function, "x", x.shape, x.dtype, arguments)
    geometry = call.geometry
    if backward:
        arrays.check_shape(name, "grad_output", first.shape, geometry.output_shape)
        shape, dtype = geometry.input_shape, first.dtype.newbyteorder("=")
    else:
        shape, dtype = geometry.output_shape, call.dtype
    output = _output(name, out, shape, dtype, inputs)
    if backward:
        write_gradient(call, p, first, x, output, backend)
    else:
        write_norms(call, p, x, output, backend)
    return out if out is not None else output


def understood(
    function: Function,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    arguments: tuple[Any, ...],
) -> tuple[norms.Norm, Call]:
    """The norm, and the call of a sum of its powers, whose dtype is that of the result.

    The input has `shape` and `dtype`, and messages call it `name`.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or value.
    """
    norm_type, kernel_size, stride, padding, dilation, ceil_mode, layout = arguments
    arrays.check_dtype(function.name, name, dtype)
    p = norms.norm_type(function.name, norm_type)
    call = calls.average(
        function, name, shape, norms.result_dtype(dtype), kernel_size, stride, padding, ceil_mode,
        True, 1, dilation, layout, None,
    )  # fmt: skip
    return p, call


def write_norms(call: Call, p: norms.Norm, x: np.ndarray, output: np.ndarray, backend: Any) -> None:
    """Fill `output` with the norms of the windows of `x`."""
    with np.errstate(all="ignore"):
        for block in _blocks(call):
            output[block] = _norms(call, p, x[block], backend)


def write_gradient(
    call: Call, p: norms.Norm, gradient: np.ndarray, x: np.ndarray, output: np.ndarray, backend: Any
) -> None:
    """Fill `output` with what the windows of `x` pass on to their cells."""
    with np.errstate(all="ignore"):
        for block in _blocks(call):
            found = _gradient(call, p, gradient[block], x[block], backend)
            found += 0  # no zero is negative
            output[block] = found


def write_tangent(
    call: Call, p: norms.Norm, tangent: np.ndarray, x: np.ndarray, output: np.ndarray, backend: Any
) -> None:
    """Fill `output` with the norms' derivatives along `tangent`: the transpose of the gradient."""
    with np.errstate(all="ignore"):
        for block in _blocks(call):
            output[block] = _tangent(call, p, tangent[block], x[block], backend)


def _output(
    name: str,
    out: Any,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    inputs: tuple[np.ndarray, ...],
) -> np.ndarray:
    """`out`, once it is known to be right, or a new array."""
    if out is not None:
        arrays.check_output(name, "out", out, shape, dtype)
        arrays.check_apart(name, "out", out, inputs)
        return np.asarray(out)
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError):
        raise arrays.too_large(name, [(shape, dtype)]) from None


def _blocks(call: Call) -> Iterator[Any]:
    """Some planes at a time, as an index of what is read and of what is written."""
    geometry = call.geometry
    if not geometry.lead or math.prod(geometry.lead) * geometry.plane_cells <= BLOCK:
        yield ...
        return
    count = max(1, BLOCK // (geometry.plane_cells * math.prod(geometry.lead[1:])))
    for first in range(0, geometry.lead[0], count):
        yield slice(first, first + count)


_WIDE = np.dtype(np.float64)


def _made_of(
    call: Call, p: norms.Norm, lead: tuple[int, ...], gradient: bool = False
) -> tuple[Call, Call]:
    """What a call asks of a backend, for some planes: what pools, and what windows pass on.

    Where the latter is wanted, maxima have indices.
    """
    largest = isinstance(p, float)
    assert call.division is not None
    whole = replace(
        call.with_lead(lead),
        dtype=_WIDE,
        division=None if largest else replace(call.division, dtype=_WIDE),
        index_dtype=np.dtype(np.int64) if largest and gradient else None,
    )
    n = call.function.dimensions
    kinds = ("max", "max") if largest else ("sum", "avg")
    pooled, spread = (
        replace(whole, function=replace(FUNCTIONS[f"{kind}pool{n}d{end}"], name=call.name))
        for kind, end in zip(kinds, ("", "_backward"), strict=True)
    )
    return pooled, spread


def parts(call: Call, p: norms.Norm) -> Iterator[Call]:
    """All that a call asks of a backend, whatever the numbers."""
    first, *rest = call.geometry.lead or (1,)
    for block in _blocks(call):
        lead = call.geometry.lead
        if block is not ...:
            lead = len(range(first)[block]), *rest
        gradient = call.part == "backward"
        pooled, spread = _made_of(call, p, lead, gradient)
        yield pooled
        if gradient:
            yield spread


def _norms(call: Call, p: norms.Norm, x: np.ndarray, backend: Any) -> np.ndarray:
    """The norms of the windows of some planes, in float64."""
    pooled, _ = _made_of(call, p, x.shape[: len(call.geometry.lead)])
    numbers = norms.magnitudes(x)
    if isinstance(p, float):
        largest: np.ndarray = execute_call(pooled, (numbers,), None, backend)
        return largest
    powers = norms.power(numbers, p)
    return norms.root(execute_call(pooled, (powers,), None, backend), p)


def _gradient(
    call: Call, p: norms.Norm, gradient: np.ndarray, x: np.ndarray, backend: Any
) -> np.ndarray:
    """What the windows of some planes pass on to their cells, in float64."""
    pooled, spread = _made_of(call, p, x.shape[: len(call.geometry.lead)], True)
    passed: np.ndarray = gradient.astype(np.float64)
    signs: np.ndarray = np.sign(x.astype(np.float64))
    if isinstance(p, float):
        indices = execute_call(pooled, (norms.magnitudes(x),), None, backend).indices
        signs *= execute_call(spread, (passed, indices), None, backend)
        return signs
    found = _norms(call, p, x, backend)
    zero = found == 0
    passed /= norms.power(found, p - 1)
    passed[zero] = 0
    signs *= norms.power(norms.magnitudes(x), p - 1)
    signs *= execute_call(spread, (passed,), None, backend)
    return signs


def _tangent(
    call: Call, p: norms.Norm, tangent: np.ndarray, x: np.ndarray, backend: Any
) -> np.ndarray:
    """What the cells of some planes pass on to their windows, in float64."""
    pooled, _ = _made_of(call, p, x.shape[: len(call.geometry.lead)], True)
    along: np.ndarray = tangent * np.sign(x.astype(np.float64))
    if isinstance(p, float):
        indices = execute_call(pooled, (norms.magnitudes(x),), None, backend).indices
        return gather(along, indices, pooled.geometry, window=False)
    found = _norms(call, p, x, backend)
    zero = found == 0
    along *= norms.power(norms.magnitudes(x), p - 1)
    sums: np.ndarray = execute_call(pooled, (along,), None, backend)
    sums /= norms.power(found, p - 1)
    sums[zero] = 0
    return sums


lppool1d = _norm("lppool1d", texts.NORM_1D)
lppool2d = _norm("lppool2d")
lppool3d = _norm("lppool3d")
lppool1d_backward = _backward("lppool1d_backward", texts.BACKWARD_1D)
lppool2d_backward = _backward("lppool2d_backward")
lppool3d_backward = _backward("lppool3d_backward")

"""Norms of Dask arrays, and their gradients, for 1, 2 and 3 axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...api.documents import named
from ...api.norms import understood, write_gradient, write_norms
from ...api.types import BackendName, Entries, Padding
from ...dispatch import defaults
from ...process.threads import one_thread
from ...rules import arrays, sums
from ...rules.call import Call, Function
from ...rules.members import FUNCTIONS
from ...rules.norms import Norm as NormType
from . import documents as texts
from .forward import Part, pooled
from .halo import joined, known, on_chunk
from .spread import gathered
from .targets import Target, cut_to, parts_of
from .types import Norm, NormBackward


def _norm(name: str) -> Norm:
    function = FUNCTIONS[name]

    @named(function, texts.NORM)
    def pool(
        x: Any,
        norm_type: float,
        kernel_size: Entries,
        stride: Entries | None = None,
        ceil_mode: bool = False,
        *,
        padding: Padding = 0,
        dilation: Entries = 1,
        layout: Any = function.layouts[0],
        backend: BackendName | None = None,
    ) -> Any:
        arguments = norm_type, kernel_size, stride, padding, dilation, ceil_mode, layout
        return norms_of(function, known(name, "x", x), arguments, backend)

    return pool


def _backward(name: str) -> NormBackward:
    function = FUNCTIONS[name]

    @named(function, texts.NORM_BACKWARD)
    def backward(
        grad_output: Any,
        x: Any,
        norm_type: float,
        kernel_size: Entries,
        stride: Entries | None = None,
        ceil_mode: bool = False,
        *,
        padding: Padding = 0,
        dilation: Entries = 1,
        layout: Any = function.layouts[0],
        chunks: Any = None,
        backend: BackendName | None = None,
    ) -> Any:
        gradient, x = known(name, "grad_output", grad_output), known(name, "x", x)
        arguments = norm_type, kernel_size, stride, padding, dilation, ceil_mode, layout
        return gradient_of(function, gradient, x, arguments, chunks, backend)

    return backward


def norms_of(function: Function, x: Any, arguments: tuple[Any, ...], backend: Any) -> Any:
    """The Dask array of norms, whose arguments are those of `understood`."""
    p, call = understood(function, "x", x.shape, x.dtype, arguments)
    return pooled(call, x, defaults.resolve(function.name, backend), _norms, (p,))


def gradient_of(
    function: Function, gradient: Any, x: Any, arguments: tuple[Any, ...], chunks: Any, backend: Any
) -> Any:
    """The Dask array of the gradient of norms."""
    name = function.name
    dtype = arrays.data_type(name, "grad_output", gradient.dtype)
    sums.check_gradient(name, dtype)
    p, call = understood(function, "x", x.shape, x.dtype, arguments)
    arrays.check_shape(name, "grad_output", gradient.shape, call.geometry.output_shape)
    call = replace(call, dtype=dtype.newbyteorder("="))
    given = p, defaults.resolve(name, backend)
    return gathered(call, (gradient, x), chunks, _gradient, given)


def _norms(call: Call, parts: Sequence[Part], backend: str, p: NormType, pieces: Any) -> np.ndarray:
    """The norms of windows, from the cells that they reach."""
    x = joined(call, "x", pieces)
    local = on_chunk(call, tuple(axis for _, _, axis in parts), x, None)
    output = np.empty(local.geometry.output_shape, call.dtype)
    with one_thread():
        write_norms(local, p, x, output, backend)
    return output


def _gradient(
    call: Call, target: Target, p: NormType, backend: str, pieces: Any, cells: Any = None
) -> np.ndarray:
    """A chunk of a gradient: of all cells that its windows reach, its part."""
    if not target.reached:
        return np.zeros(target.shape, call.dtype)
    parts = parts_of(call, target.windows)
    values, x = joined(call, "grad_output", pieces), joined(call, "x", cells)
    arrays.check_dtype(call.name, "x", x.dtype)
    local = on_chunk(call, tuple(axis for _, _, axis in parts), values, None)
    reached = np.empty(local.geometry.input_shape, call.dtype)
    with one_thread():
        write_gradient(local, p, values, x, reached, backend)
    return cut_to(call, target, reached, parts)


lppool1d = _norm("lppool1d")
lppool2d = _norm("lppool2d")
lppool3d = _norm("lppool3d")
lppool1d_backward = _backward("lppool1d_backward")
lppool2d_backward = _backward("lppool2d_backward")
lppool3d_backward = _backward("lppool3d_backward")

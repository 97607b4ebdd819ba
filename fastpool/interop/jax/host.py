"""What is computed on NumPy arrays: values of windows, their codes, maps along codes, sums, norms.

A code is a window index, one byte for windows of up to 256 taps. Adaptive windows have codes too,
which are made of flat indices and back.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ...api.execute import execute_call
from ...api.norms import write_gradient, write_norms, write_tangent
from ...rules import indices
from ...rules.call import Call, Function
from ...rules.geometry import Geometry
from ...rules.members import FUNCTIONS
from ...rules.norms import Norm
from ...rules.operation import SUM

Types: TypeAlias = list[tuple[tuple[int, ...], Any]]  # shapes and dtypes
_MOST = 1024  # calls that each of the functions below remembers


class Pooling(NamedTuple):
    """What is known of a pooling when it is traced: the static parameter of all primitives."""

    call: Call  # with codes, if it picks cells; without the leading axes, which `vmap` adds
    backend: str
    p: Norm = 0  # of norms

    @property
    def last(self) -> int:
        """How many axes follow the leading ones."""
        return len(self.call.geometry.input_shape)

    def lead(self, *operands: Any) -> tuple[int, ...]:
        """The leading axes of a call with these arrays."""
        return np.broadcast_shapes(*(operand.shape[: -self.last] for operand in operands))


@lru_cache(maxsize=_MOST)
def _forward(call: Call, lead: tuple[int, ...], codes: bool) -> Call:
    """The call that pools an array with these leading axes, with codes or without."""
    if codes:
        return call.with_lead(lead)
    # As a call without indices is, for which kernels may have been compiled before.
    return replace(call.with_lead(lead), index_dtype=None, index_format="flat")


def _gradient_of(function: Function) -> Function:
    """The function that passes gradients back; a sum is an average of divisor 1."""
    kind = "avg" if function.operation is SUM else function.operation.name
    before = "adaptive_" if function.adaptive else ""
    return FUNCTIONS[f"{before}{kind}pool{function.dimensions}d_backward"]


@lru_cache(maxsize=_MOST)
def _backward(call: Call, lead: tuple[int, ...], dtype: np.dtype[Any]) -> Call:
    """The call that scatters gradients with these leading axes."""
    return replace(call.with_lead(lead), function=_gradient_of(call.function), dtype=dtype)


def _codes_of(geometry: Geometry, flat: np.ndarray) -> np.ndarray:
    """Flat indices of adaptive windows as codes."""
    places = indices.unraveled(geometry.sizes, geometry.canonical(flat))
    pairs = zip(places, indices.starts_of(geometry.axes), strict=True)
    codes = indices.tap_of(geometry.axes, [place - start for place, start in pairs])
    return codes.astype(indices.window_dtype(geometry.kernel)).reshape(flat.shape)


def _indices_of(geometry: Geometry, codes: np.ndarray) -> np.ndarray:
    """Codes of adaptive windows as flat indices."""
    axes, taps = geometry.axes, geometry.canonical(codes).astype(np.int64)
    cells, _, _ = indices.named_cells(axes, taps, indices.starts_of(axes), True)
    return indices.flat_of(axes, cells).reshape(codes.shape)


def pool(pooling: Pooling, x: np.ndarray) -> tuple[np.ndarray]:
    """The picked cells."""
    call = _forward(pooling.call, pooling.lead(x), False)
    return (execute_call(call, (x,), None, pooling.backend),)


def pool_types(pooling: Pooling, x: Any) -> Types:
    """Those of `pool`."""
    return list(_forward(pooling.call, pooling.lead(x), False).results)


def pool_call(pooling: Pooling, x: Any) -> Call:
    """The call of `pool`."""
    return _forward(pooling.call, pooling.lead(x), False)


def pool_with_codes(pooling: Pooling, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picked cells, and where in its window each of them stands."""
    call = _forward(pooling.call, pooling.lead(x), True)
    output, codes = execute_call(call, (x,), None, pooling.backend)
    return output, _codes_of(call.geometry, codes) if call.function.adaptive else codes


def pool_with_codes_types(pooling: Pooling, x: Any) -> Types:
    """Those of `pool_with_codes`."""
    call = _forward(pooling.call, pooling.lead(x), True)
    output, (shape, dtype) = call.results
    if call.function.adaptive:
        dtype = indices.window_dtype(call.geometry.kernel)
    return [output, (shape, dtype)]


def pool_with_codes_call(pooling: Pooling, x: Any) -> Call | None:
    """The call of `pool_with_codes`, unless codes must be made of indices."""
    return None if pooling.call.function.adaptive else _forward(pooling.call, pooling.lead(x), True)


def gather(pooling: Pooling, codes: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray]:
    """Of an array of the input's shape, the cells that the codes name."""
    geometry = _forward(pooling.call, pooling.lead(codes, cells), True).geometry
    cells = np.broadcast_to(cells, geometry.input_shape)
    codes = np.broadcast_to(codes, geometry.output_shape)
    return (np.ascontiguousarray(indices.gather(cells, codes, geometry, window=True)),)


def gather_types(pooling: Pooling, codes: Any, cells: Any) -> Types:
    """Those of `gather`."""
    geometry = _forward(pooling.call, pooling.lead(codes, cells), True).geometry
    return [(geometry.output_shape, cells.dtype)]


def scatter(pooling: Pooling, codes: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray]:
    """Zeros of the input's shape, and each gradient added to the cell that its code names."""
    call = _backward(pooling.call, pooling.lead(codes, gradient), gradient.dtype)
    codes, gradient = np.broadcast_arrays(codes, gradient)
    if call.function.adaptive:
        codes = _indices_of(call.geometry, codes)
    return (execute_call(call, (gradient, codes), None, pooling.backend),)


def scatter_types(pooling: Pooling, codes: Any, gradient: Any) -> Types:
    """Those of `scatter`."""
    return list(_backward(pooling.call, pooling.lead(codes, gradient), gradient.dtype).results)


def scatter_call(pooling: Pooling, codes: Any, gradient: Any) -> Call | None:
    """The call of `scatter`, unless codes must be made indices."""
    if pooling.call.function.adaptive:
        return None
    return _backward(pooling.call, pooling.lead(codes, gradient), gradient.dtype)


@lru_cache(maxsize=_MOST)
def _averaging(call: Call, lead: tuple[int, ...]) -> Call:
    """The call that averages an array with these leading axes."""
    return call.with_lead(lead)


@lru_cache(maxsize=_MOST)
def _spreading(call: Call, lead: tuple[int, ...]) -> Call:
    """The call that spreads gradients with these leading axes."""
    return replace(call.with_lead(lead), function=_gradient_of(call.function))


def average(pooling: Pooling, x: np.ndarray) -> tuple[np.ndarray]:
    """The averages of windows."""
    return (execute_call(_averaging(pooling.call, pooling.lead(x)), (x,), None, pooling.backend),)


def average_types(pooling: Pooling, x: Any) -> Types:
    """Those of `average`."""
    return list(_averaging(pooling.call, pooling.lead(x)).results)


def average_call(pooling: Pooling, x: Any) -> Call:
    """The call of `average`."""
    return _averaging(pooling.call, pooling.lead(x))


def spread(pooling: Pooling, gradient: np.ndarray) -> tuple[np.ndarray]:
    """What each cell gets of the gradients of its windows' averages."""
    call = _spreading(pooling.call, pooling.lead(gradient))
    return (execute_call(call, (gradient,), None, pooling.backend),)


def spread_types(pooling: Pooling, gradient: Any) -> Types:
    """Those of `spread`."""
    return list(_spreading(pooling.call, pooling.lead(gradient)).results)


def spread_call(pooling: Pooling, gradient: Any) -> Call:
    """The call of `spread`."""
    return _spreading(pooling.call, pooling.lead(gradient))


def norm(pooling: Pooling, x: np.ndarray) -> tuple[np.ndarray]:
    """The norms of windows."""
    ((shape, dtype),) = norm_types(pooling, x)
    output = np.empty(shape, dtype)
    call = _averaging(pooling.call, pooling.lead(x))
    write_norms(call, pooling.p, x, output, pooling.backend)
    return (output,)


def norm_types(pooling: Pooling, x: Any) -> Types:
    """Those of `norm`."""
    call = _averaging(pooling.call, pooling.lead(x))
    return [(call.geometry.output_shape, call.dtype)]


def norm_tangent(pooling: Pooling, x: np.ndarray, tangent: np.ndarray) -> tuple[np.ndarray]:
    """The derivatives of norms along tangents."""
    ((shape, dtype),) = norm_tangent_types(pooling, x, tangent)
    output = np.empty(shape, dtype)
    call = _averaging(pooling.call, pooling.lead(x, tangent))
    x, tangent = np.broadcast_arrays(x, tangent)
    write_tangent(call, pooling.p, tangent, x, output, pooling.backend)
    return (output,)


def norm_tangent_types(pooling: Pooling, x: Any, tangent: Any) -> Types:
    """Those of `norm_tangent`."""
    call = _averaging(pooling.call, pooling.lead(x, tangent))
    return [(call.geometry.output_shape, tangent.dtype)]


def norm_gradient(pooling: Pooling, x: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray]:
    """What each cell gets of the gradients of its windows' norms."""
    ((shape, dtype),) = norm_gradient_types(pooling, x, gradient)
    call = _averaging(pooling.call, pooling.lead(x, gradient))
    x, output = np.broadcast_to(x, shape), np.empty(shape, dtype)
    gradient = np.broadcast_to(gradient, call.geometry.output_shape)
    write_gradient(call, pooling.p, gradient, x, output, pooling.backend)
    return (output,)


def norm_gradient_types(pooling: Pooling, x: Any, gradient: Any) -> Types:
    """Those of `norm_gradient`."""
    call = _averaging(pooling.call, pooling.lead(x, gradient))
    return [(call.geometry.input_shape, gradient.dtype)]

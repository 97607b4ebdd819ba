"""What is computed on NumPy arrays: the values of windows, their codes, maps along codes, averages.

A code is a window index, one byte for windows of up to 256 taps.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ...api.execute import execute_call
from ...rules import indices
from ...rules.call import Call
from ...rules.members import FUNCTIONS

Types: TypeAlias = list[tuple[tuple[int, ...], Any]]  # shapes and dtypes
_MOST = 1024  # calls that each of the functions below remembers


class Pooling(NamedTuple):
    """What is known of a pooling when it is traced: the static parameter of all primitives."""

    call: Call  # with codes, if it picks cells; without the leading axes, which `vmap` adds
    backend: str

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
    return replace(call.with_lead(lead), index_dtype=call.index_dtype if codes else None)


@lru_cache(maxsize=_MOST)
def _backward(call: Call, lead: tuple[int, ...], dtype: np.dtype[Any]) -> Call:
    """The call that scatters gradients with these leading axes."""
    function = FUNCTIONS[f"{call.operation.name}pool2d_backward"]
    return replace(call.with_lead(lead), function=function, dtype=dtype)


def pool(pooling: Pooling, x: np.ndarray) -> tuple[np.ndarray]:
    """The picked cells."""
    call = _forward(pooling.call, pooling.lead(x), False)
    return (execute_call(call, (x,), None, pooling.backend),)


def pool_types(pooling: Pooling, x: Any) -> Types:
    """Those of `pool`."""
    return list(_forward(pooling.call, pooling.lead(x), False).results)


def pool_with_codes(pooling: Pooling, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picked cells, and where in its window each of them stands."""
    call = _forward(pooling.call, pooling.lead(x), True)
    output, codes = execute_call(call, (x,), None, pooling.backend)
    return output, codes


def pool_with_codes_types(pooling: Pooling, x: Any) -> Types:
    """Those of `pool_with_codes`."""
    return list(_forward(pooling.call, pooling.lead(x), True).results)


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
    return (execute_call(call, (gradient, codes), None, pooling.backend),)


def scatter_types(pooling: Pooling, codes: Any, gradient: Any) -> Types:
    """Those of `scatter`."""
    return list(_backward(pooling.call, pooling.lead(codes, gradient), gradient.dtype).results)


@lru_cache(maxsize=_MOST)
def _averaging(call: Call, lead: tuple[int, ...]) -> Call:
    """The call that averages an array with these leading axes."""
    return call.with_lead(lead)


@lru_cache(maxsize=_MOST)
def _spreading(call: Call, lead: tuple[int, ...]) -> Call:
    """The call that spreads gradients with these leading axes."""
    function = FUNCTIONS[f"{call.operation.name}pool2d_backward"]
    return replace(call.with_lead(lead), function=function)


def average(pooling: Pooling, x: np.ndarray) -> tuple[np.ndarray]:
    """The averages of windows."""
    return (execute_call(_averaging(pooling.call, pooling.lead(x)), (x,), None, pooling.backend),)


def average_types(pooling: Pooling, x: Any) -> Types:
    """Those of `average`."""
    return list(_averaging(pooling.call, pooling.lead(x)).results)


def spread(pooling: Pooling, gradient: np.ndarray) -> tuple[np.ndarray]:
    """What each cell gets of the gradients of its windows' averages."""
    call = _spreading(pooling.call, pooling.lead(gradient))
    return (execute_call(call, (gradient,), None, pooling.backend),)


def spread_types(pooling: Pooling, gradient: Any) -> Types:
    """Those of `spread`."""
    return list(_spreading(pooling.call, pooling.lead(gradient)).results)

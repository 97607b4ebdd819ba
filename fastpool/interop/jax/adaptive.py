"""Adaptive pooling of JAX arrays, each function made once for 1, 2 and 3 axes."""

from __future__ import annotations

from typing import Any, Protocol

import jax

from ...api.adaptive import OutputSize
from ...api.documents import named
from ...api.types import Layout
from ...rules import calls
from . import documents as texts
from .functional import float_dtype, jax_array, renamed, static
from .primitives import average_p, pool_p


class Adaptive(Protocol):
    """An adaptive pooling."""

    def __call__(self, x: Any, output_size: OutputSize, *, layout: Layout = ...) -> jax.Array: ...


def _pool(of_arrays: str) -> Adaptive:
    function = renamed(of_arrays)
    name = function.name

    @named(function, texts.ADAPTIVE, texts.EXAMPLES.get(name, ""))
    def pool(x: Any, output_size: OutputSize, *, layout: Any = function.layouts[0]) -> jax.Array:
        x, dtype = jax_array(name, x)
        call = calls.adaptive(function, "x", x.shape, dtype, output_size, True, layout)
        (output,) = pool_p.bind(x, pooling=static(call))
        return output

    return pool


def _average(of_arrays: str) -> Adaptive:
    function = renamed(of_arrays)
    name = function.name

    @named(function, texts.ADAPTIVE_AVERAGE, texts.EXAMPLES.get(name, ""))
    def average(x: Any, output_size: OutputSize, *, layout: Any = function.layouts[0]) -> jax.Array:
        x, dtype = jax_array(name, x)
        arguments = output_size, layout, float_dtype(dtype)
        call = calls.adaptive_average(function, "x", x.shape, dtype, *arguments)
        (output,) = average_p.bind(x, pooling=static(call))
        return output

    return average


adaptive_max_pool1d = _pool("adaptive_maxpool1d")
adaptive_max_pool2d = _pool("adaptive_maxpool2d")
adaptive_max_pool3d = _pool("adaptive_maxpool3d")
adaptive_avg_pool1d = _average("adaptive_avgpool1d")
adaptive_avg_pool2d = _average("adaptive_avgpool2d")
adaptive_avg_pool3d = _average("adaptive_avgpool3d")

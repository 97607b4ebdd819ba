"""Poolings of JAX arrays by windows of a size, each function made once for 1, 2 and 3 axes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np

from ...api.documents import named
from ...api.norms import understood
from ...api.types import Entries, Layout, Padding
from ...dispatch import defaults, table
from ...rules import arrays, calls, masks
from ...rules.call import Call, Function
from ...rules.members import FUNCTIONS
from ...rules.norms import Norm as NormType
from . import documents as texts
from .host import Pooling
from .primitives import average_p, norm_p, pool_p


class Pool(Protocol):
    """A pooling that picks cells."""

    def __call__(
        self,
        x: Any,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        dilation: Entries = 1,
        ceil_mode: bool = False,
        *,
        layout: Layout = ...,
    ) -> jax.Array: ...


class Average(Protocol):
    """A pooling that averages."""

    def __call__(
        self,
        x: Any,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: SupportsIndex | None = None,
        *,
        dilation: Entries = 1,
        layout: Layout = ...,
    ) -> jax.Array: ...


class Sum(Protocol):
    """A pooling that sums."""

    def __call__(
        self,
        x: Any,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        *,
        dilation: Entries = 1,
        layout: Layout = ...,
    ) -> jax.Array: ...


class Norm(Protocol):
    """A pooling that takes norms."""

    def __call__(
        self,
        x: Any,
        norm_type: float,
        kernel_size: Entries,
        stride: Entries | None = None,
        ceil_mode: bool = False,
        *,
        padding: Padding = 0,
        dilation: Entries = 1,
        layout: Layout = ...,
    ) -> jax.Array: ...


def renamed(of_arrays: str) -> Function:
    """A function of arrays by its name in JAX: "max_pool2d" for "maxpool2d"."""
    function = FUNCTIONS[of_arrays]
    return replace(function, name=of_arrays.replace("pool", "_pool"))


def jax_array(name: str, x: Any) -> tuple[jax.Array, np.dtype[Any]]:
    """The input as an array of JAX, and its dtype."""
    masks.refuse_masks(name, "x", (x,), lazy=(jax.Array, jax.core.Tracer))
    x = jnp.asarray(x)
    return x, arrays.data_type(name, "x", x.dtype)


def float_dtype(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """What integers become: JAX's own default floats, of 64 bits where it has such."""
    return np.dtype(jnp.result_type(float)) if dtype.kind in "iub" else None


def integer_dtype(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """What sums of integers are: JAX's own default integers."""
    whole = {"u": jnp.uint, "i": int, "b": int}.get(dtype.kind)
    return None if whole is None else np.dtype(jnp.result_type(whole))


def static(call: Call, p: NormType = 0) -> Pooling:
    """What is known when a function is traced, with the backend that answers."""
    backend = defaults.current_default()
    if backend != defaults.AUTO:
        table.load(backend)
    return Pooling(call.with_lead(()), backend, p)


def _pool(of_arrays: str, document: str = texts.POOL) -> Pool:
    function = renamed(of_arrays)
    name = function.name

    @named(function, document, texts.EXAMPLES.get(name, ""))
    def pool(
        x: Any,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        dilation: Entries = 1,
        ceil_mode: bool = False,
        *,
        layout: Any = function.layouts[0],
    ) -> jax.Array:
        x, dtype = jax_array(name, x)
        call = calls.forward(
            function, "x", x.shape, dtype, kernel_size, stride, padding, dilation, ceil_mode,
            True, "window", layout,
        )  # fmt: skip
        (output,) = pool_p.bind(x, pooling=static(call))
        return output

    return pool


def _average(of_arrays: str) -> Average:
    function = renamed(of_arrays)
    name = function.name

    @named(function, texts.AVERAGE, texts.EXAMPLES.get(name, ""))
    def average(
        x: Any,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: SupportsIndex | None = None,
        *,
        dilation: Entries = 1,
        layout: Any = function.layouts[0],
    ) -> jax.Array:
        x, dtype = jax_array(name, x)
        call = calls.average(
            function, "x", x.shape, dtype, kernel_size, stride, padding, ceil_mode,
            count_include_pad, divisor_override, dilation, layout, float_dtype(dtype),
        )  # fmt: skip
        (output,) = average_p.bind(x, pooling=static(call))
        return output

    return average


def _sum(of_arrays: str) -> Sum:
    function = renamed(of_arrays)
    name = function.name

    @named(function, texts.SUM)
    def pool(
        x: Any,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        *,
        dilation: Entries = 1,
        layout: Any = function.layouts[0],
    ) -> jax.Array:
        x, dtype = jax_array(name, x)
        result = integer_dtype(dtype)
        call = calls.average(
            function, "x", x.shape, dtype, kernel_size, stride, padding, ceil_mode, True, 1,
            dilation, layout, result,
        )  # fmt: skip
        (output,) = average_p.bind(x, pooling=static(call))
        return output

    return pool


def _norm(of_arrays: str) -> Norm:
    function = renamed(of_arrays)
    name = function.name

    @named(function, texts.NORM, texts.EXAMPLES.get(name, ""))
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
    ) -> jax.Array:
        x, dtype = jax_array(name, x)
        arguments = norm_type, kernel_size, stride, padding, dilation, ceil_mode, layout
        p, call = understood(function, "x", x.shape, dtype, arguments)
        (output,) = norm_p.bind(
            x, pooling=static(replace(call, dtype=float_dtype(dtype) or call.dtype), p)
        )
        return output

    return pool


max_pool1d = _pool("maxpool1d")
max_pool2d = _pool("maxpool2d")
max_pool3d = _pool("maxpool3d")
min_pool1d = _pool("minpool1d")
min_pool2d = _pool("minpool2d")
min_pool3d = _pool("minpool3d")
mode_pool1d = _pool("modepool1d", texts.MODE)
mode_pool2d = _pool("modepool2d", texts.MODE)
mode_pool3d = _pool("modepool3d", texts.MODE)
avg_pool1d = _average("avgpool1d")
avg_pool2d = _average("avgpool2d")
avg_pool3d = _average("avgpool3d")
sum_pool1d = _sum("sumpool1d")
sum_pool2d = _sum("sumpool2d")
sum_pool3d = _sum("sumpool3d")
lp_pool1d = _norm("lppool1d")
lp_pool2d = _norm("lppool2d")
lp_pool3d = _norm("lppool3d")

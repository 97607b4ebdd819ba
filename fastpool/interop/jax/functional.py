"""`max_pool2d` and `min_pool2d` of JAX arrays, made of one function, and `avg_pool2d`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, Protocol, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np

from ...api.documents import named
from ...api.types import Entries, Padding
from ...dispatch import defaults, table
from ...rules import arrays, calls, masks
from ...rules.call import Call
from ...rules.members import FUNCTIONS
from . import documents as texts
from .host import Pooling
from .primitives import average_p, pool_p


class Pool(Protocol):
    """A pooling of JAX arrays."""

    def __call__(
        self,
        x: Any,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        dilation: Entries = 1,
        ceil_mode: bool = False,
        *,
        layout: Literal["NCHW", "NHWC"] = "NCHW",
    ) -> jax.Array: ...


def _pool(name: str, of_arrays: str) -> Pool:
    function = replace(FUNCTIONS[of_arrays], name=name)

    @named(function, texts.POOL, texts.EXAMPLES[name])
    def pool(
        x: Any,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        dilation: Entries = 1,
        ceil_mode: bool = False,
        *,
        layout: Literal["NCHW", "NHWC"] = "NCHW",
    ) -> jax.Array:
        masks.refuse_masks(name, "x", (x,), lazy=(jax.Array, jax.core.Tracer))
        x = jnp.asarray(x)
        dtype = arrays.data_type(name, "x", x.dtype)
        call = calls.forward(
            function, "x", x.shape, dtype, kernel_size, stride, padding, dilation, ceil_mode,
            True, "window", layout,
        )  # fmt: skip
        (output,) = pool_p.bind(x, pooling=_static(call))
        return output

    return pool


def _static(call: Call) -> Pooling:
    """What is known when a function is traced, with the backend that answers."""
    backend = defaults.current_default()
    if backend != defaults.AUTO:
        table.load(backend)
    return Pooling(call.with_lead(()), backend)


_AVERAGE = replace(FUNCTIONS["avgpool2d"], name="avg_pool2d")


@named(_AVERAGE, texts.AVERAGE, texts.EXAMPLES["avg_pool2d"])
def avg_pool2d(
    x: Any,
    kernel_size: Entries,
    stride: Entries | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: SupportsIndex | None = None,
    *,
    dilation: Entries = 1,
    layout: Literal["NCHW", "NHWC"] = "NCHW",
) -> jax.Array:
    """See `documents.AVERAGE`."""
    name = _AVERAGE.name
    masks.refuse_masks(name, "x", (x,), lazy=(jax.Array, jax.core.Tracer))
    x = jnp.asarray(x)
    dtype = arrays.data_type(name, "x", x.dtype)
    # Averages of integers are JAX's own default floats: of 64 bits where it has such.
    result = np.dtype(jnp.result_type(float)) if dtype.kind in "iub" else None
    call = calls.average(
        _AVERAGE, "x", x.shape, dtype, kernel_size, stride, padding, ceil_mode, count_include_pad,
        divisor_override, dilation, layout, result,
    )  # fmt: skip
    output: jax.Array
    (output,) = average_p.bind(x, pooling=_static(call))
    return output


max_pool2d = _pool("max_pool2d", "maxpool2d")
min_pool2d = _pool("min_pool2d", "minpool2d")

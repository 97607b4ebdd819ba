"""`max_pool2d` and `min_pool2d` of JAX arrays, made of one function."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp

from ...api.documents import named
from ...api.types import Entries, Padding
from ...dispatch import defaults, table
from ...rules import arrays, calls, masks
from ...rules.members import FUNCTIONS
from . import documents as texts
from .host import Pooling
from .primitives import pool_p


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
        backend = defaults.current_default()
        if backend != defaults.AUTO:
            table.load(backend)
        (output,) = pool_p.bind(x, pooling=Pooling(call.with_lead(()), backend))
        return output

    return pool


max_pool2d = _pool("max_pool2d", "maxpool2d")
min_pool2d = _pool("min_pool2d", "minpool2d")

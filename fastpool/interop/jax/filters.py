"""Filters and peaks of JAX arrays: callbacks, which have no derivatives, and say so."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

import fastpool

from ...dispatch import defaults
from ...rules.arrays import check_dtype, data_type


def filtered(function: str, x: Any, given: dict[str, Any]) -> jax.Array:
    """The JAX array that a filter makes of one.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or value.
    """
    given = {**given, "backend": defaults.resolve(function, given["backend"])}
    output, filter_of = given["output"], getattr(fastpool, function)
    check_dtype(function, "input", x.dtype)
    dtype = x.dtype if output is None else data_type(function, "output", output)
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise TypeError(f"{function}: output {dtype} is none that JAX has without jax_enable_x64")
    if not isinstance(x, jax.core.Tracer):
        return jax.numpy.asarray(filter_of(np.asarray(x), **given))

    def compute(array: Any) -> np.ndarray:
        made: np.ndarray = filter_of(np.asarray(array), **given)
        return made

    shape = jax.ShapeDtypeStruct(x.shape, dtype)
    return jax.pure_callback(compute, shape, x, vmap_method="sequential")


def host(function: str, x: Any) -> np.ndarray:
    """The memory of a JAX array.

    Raises
    ------
    TypeError
        It is traced: how many results there are depends on its cells.
    """
    if isinstance(x, jax.core.Tracer):
        raise TypeError(
            f"{function}: x is traced, and the shape of the result depends on its cells; call it "
            "outside of jit, grad and vmap"
        )
    return np.asarray(x)

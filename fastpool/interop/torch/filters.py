"""Filters and peaks of tensors, on their memory: nothing here has a gradient."""

from __future__ import annotations

from typing import Any

import fastpool

from . import through
from .arguments import check_tensor, refuse_masks
from .calls import threads
from .tensors import as_array, as_tensor


def filtered(function: str, x: Any, given: dict[str, Any]) -> Any:
    """The tensor that a filter makes of one.

    Raises
    ------
    TypeError
        It wants a gradient, or has no memory.
    """
    _check(function, x, "input")
    if through.is_watched() or through.wants_gradient((x,)):
        pools = "avg_pool2d" if function == "uniform_filter" else "max_pool2d"
        raise TypeError(
            f"{function}: filters have no gradient; pass input.detach(), or use {pools} of "
            "fastpool.interop.torch with stride 1"
        )
    with threads():
        return as_tensor(getattr(fastpool, function)(as_array(x), **given))


def host(function: str, x: Any) -> Any:
    """The memory of a tensor.

    Raises
    ------
    TypeError
        It has none.
    """
    _check(function, x, "x")
    return as_array(x)


def _check(function: str, x: Any, name: str) -> None:
    refuse_masks(function, x)
    check_tensor(function, x, name)
    if through.is_abstract(x):
        raise TypeError(f"{function}: {name} has no memory, on which this is computed")

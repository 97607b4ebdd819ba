"""`downsample` of tensors: a pooling where there is one, else on the tensor's memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch.overrides import handle_torch_function, has_torch_function

import fastpool

from ...api.as_windows import Pooling, pooling_of
from ...api.downsample import downsampled, understood
from ...dispatch import defaults
from ...rules.downsampling import NAME
from . import through
from .arguments import check_tensor, refuse_masks
from .calls import threads
from .tensors import as_array, as_tensor, dtype_of


class _Facts(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def downsample(x: Any, given: tuple[Any, ...], backend: Any) -> Any:
    """The tensor of what becomes of blocks.

    Raises
    ------
    TypeError
        It wants a gradient, and there is none.
    """
    if has_torch_function((x,)):
        refuse_masks(NAME, x)
        return handle_torch_function(downsample, (x,), x, given, backend)
    check_tensor(NAME, x, "x")
    chosen = defaults.resolve(NAME, backend)
    facts = _Facts(tuple(x.shape), dtype_of(NAME, x.dtype))
    blocks, arguments = understood(facts, given)
    if not (through.is_watched() or through.is_abstract(x) or through.wants_gradient((x,))):
        with threads():
            return as_tensor(downsampled(as_array(x), arguments, chosen))
    if blocks.operation is None and blocks.missing is None:
        steps = zip(blocks.factors, blocks.outputs, strict=True)
        return x[tuple(slice(0, step * count, step) for step, count in steps)].clone()
    pooling = pooling_of(blocks)
    if pooling is None:
        raise TypeError(
            f"{NAME}: method {given[1]!r} with these arguments has no gradient and is unknown to "
            "compilers; pass x.detach()"
        )
    return _pooled(x, pooling, backend)


def _pooled(x: torch.Tensor, pooling: Pooling, backend: Any) -> Any:
    last = tuple(range(-len(pooling.axes), 0))
    pool = getattr(fastpool, pooling.name)
    moved, kernel = x.movedim(pooling.axes, last), pooling.kernel_size
    return pool(moved, kernel, backend=backend, **pooling.options).movedim(last, pooling.axes)

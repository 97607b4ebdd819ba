"""Calls of fastpool's own functions whose arrays are Dask's."""

from __future__ import annotations

from typing import Any

from ...api.execute import understand
from ...dispatch import defaults
from ...rules.call import Function
from ...rules.operation import NORM
from .blocks import downsample as downsample
from .filters import filtered as filtered
from .filters import host as host
from .forward import pooled
from .halo import known
from .levels import pyramid as pyramid
from .norms import gradient_of, norms_of
from .scatter import scattered
from .spread import spread


def answer(
    function: Function, inputs: tuple[Any, ...], arguments: tuple[Any, ...], backend: Any
) -> Any:
    """The Dask array, or the two, that a function of `fastpool` makes of Dask arrays."""
    name = function.name
    chosen = defaults.resolve(name, backend)
    pairs = zip(function.inputs, inputs, strict=True)
    given = tuple(known(name, label, value) for label, value in pairs)
    first, last = given[0], given[-1]
    if function.operation is NORM:
        if function.part == "forward":
            return norms_of(function, first, arguments, chosen)
        return gradient_of(function, first, last, arguments, None, chosen)
    call = understand(function, given, arguments)
    if function.part == "forward":
        return pooled(call, first, chosen)
    if len(given) == 2:
        return scattered(call, first, last, None, chosen)
    return spread(call, first, None, chosen)

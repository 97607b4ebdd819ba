"""Pooling of Dask arrays: images larger than memory, chunked along any axes.

Every chunk of a result is made of one rectangle of its inputs: the cells that its windows reach, or
the windows that reach its cells. What of the rectangle lies in neighbouring chunks is cut out
where those are, so that no more than that travels. Each rectangle is a pooling of its own, with
other borders and the same windows; so results do not depend on the chunks, to the bit. A task
uses one thread: that tasks run side by side is the scheduler's part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

from ...api.documents import named
from ...api.execute import PoolResult
from ...api.types import BackendName, Entries, IndexFormat, Padding
from ...dispatch import defaults
from ...rules import arrays, calls
from ...rules.members import FUNCTIONS
from . import documents as texts
from . import door as door
from .adaptive import (
    adaptive_avgpool1d,
    adaptive_avgpool1d_backward,
    adaptive_avgpool2d,
    adaptive_avgpool2d_backward,
    adaptive_avgpool3d,
    adaptive_avgpool3d_backward,
    adaptive_maxpool1d,
    adaptive_maxpool1d_backward,
    adaptive_maxpool2d,
    adaptive_maxpool2d_backward,
    adaptive_maxpool3d,
    adaptive_maxpool3d_backward,
)
from .averages import (
    avgpool1d,
    avgpool1d_backward,
    avgpool2d,
    avgpool2d_backward,
    avgpool3d,
    avgpool3d_backward,
    sumpool1d,
    sumpool2d,
    sumpool3d,
)
from .forward import pooled
from .halo import known
from .norms import (
    lppool1d,
    lppool1d_backward,
    lppool2d,
    lppool2d_backward,
    lppool3d,
    lppool3d_backward,
)
from .scatter import scattered
from .types import Pool, PoolBackward, Unpool

__all__ = [
    "PoolResult", "adaptive_avgpool1d", "adaptive_avgpool1d_backward", "adaptive_avgpool2d",
    "adaptive_avgpool2d_backward", "adaptive_avgpool3d", "adaptive_avgpool3d_backward",
    "adaptive_maxpool1d", "adaptive_maxpool1d_backward", "adaptive_maxpool2d",
    "adaptive_maxpool2d_backward", "adaptive_maxpool3d", "adaptive_maxpool3d_backward",
    "avgpool1d", "avgpool1d_backward", "avgpool2d", "avgpool2d_backward", "avgpool3d",
    "avgpool3d_backward", "lppool1d", "lppool1d_backward", "lppool2d", "lppool2d_backward",
    "lppool3d", "lppool3d_backward", "maxpool1d", "maxpool1d_backward", "maxpool2d",
    "maxpool2d_backward", "maxpool3d", "maxpool3d_backward", "maxunpool1d", "maxunpool2d",
    "maxunpool3d", "minpool1d", "minpool1d_backward", "minpool2d", "minpool2d_backward",
    "minpool3d", "minpool3d_backward", "modepool1d", "modepool2d", "modepool3d", "sumpool1d",
    "sumpool2d", "sumpool3d",
]  # fmt: skip


def _pool(name: str) -> Pool:
    function = FUNCTIONS[name]

    @named(function, texts.POOL, texts.EXAMPLES.get(name, ""))
    def pool(
        x: Any,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        dilation: Entries = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
        *,
        index_format: IndexFormat = "flat",
        layout: Any = function.layouts[0],
        backend: BackendName | None = None,
    ) -> Any:
        x = known(name, "x", x)
        dtype = arrays.data_type(name, "x", x.dtype)
        call = calls.forward(
            function, "x", x.shape, dtype, kernel_size, stride, padding, dilation, ceil_mode,
            return_indices, index_format, layout,
        )  # fmt: skip
        return pooled(call, x, defaults.resolve(name, backend))

    return pool


def _backward(name: str) -> PoolBackward:
    function = FUNCTIONS[name]

    @named(function, texts.BACKWARD)
    def backward(
        grad_output: Any,
        indices: Any,
        input_shape: Sequence[SupportsIndex],
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        dilation: Entries = 1,
        ceil_mode: bool = False,
        *,
        index_format: IndexFormat = "flat",
        layout: Any = function.layouts[0],
        chunks: Any = None,
        backend: BackendName | None = None,
    ) -> Any:
        gradient = known(name, "grad_output", grad_output)
        indices = known(name, "indices", indices)
        dtype = arrays.data_type(name, "grad_output", gradient.dtype)
        call = calls.backward(
            function, dtype, indices.dtype, input_shape, kernel_size, stride, padding, dilation,
            ceil_mode, index_format, layout,
        )  # fmt: skip
        arrays.check_shape(name, "grad_output", gradient.shape, call.geometry.output_shape)
        return scattered(call, gradient, indices, chunks, defaults.resolve(name, backend))

    return backward


def _unpool(name: str) -> Unpool:
    function = FUNCTIONS[name]

    @named(function, texts.UNPOOL)
    def unpool(
        x: Any,
        indices: Any,
        kernel_size: Entries,
        stride: Entries | None = None,
        padding: Padding = 0,
        output_size: Sequence[SupportsIndex] | None = None,
        *,
        dilation: Entries = 1,
        index_format: IndexFormat = "flat",
        layout: Any = function.layouts[0],
        chunks: Any = None,
        backend: BackendName | None = None,
    ) -> Any:
        x, indices = known(name, "x", x), known(name, "indices", indices)
        dtype = arrays.data_type(name, "x", x.dtype)
        call = calls.unpool(
            function, x.shape, dtype, indices.dtype, kernel_size, stride, padding, output_size,
            dilation, index_format, layout,
        )  # fmt: skip
        return scattered(call, x, indices, chunks, defaults.resolve(name, backend))

    return unpool


maxpool1d = _pool("maxpool1d")
maxpool2d = _pool("maxpool2d")
maxpool3d = _pool("maxpool3d")
maxpool1d_backward = _backward("maxpool1d_backward")
maxpool2d_backward = _backward("maxpool2d_backward")
maxpool3d_backward = _backward("maxpool3d_backward")
maxunpool1d = _unpool("maxunpool1d")
maxunpool2d = _unpool("maxunpool2d")
maxunpool3d = _unpool("maxunpool3d")
minpool1d = _pool("minpool1d")
minpool2d = _pool("minpool2d")
minpool3d = _pool("minpool3d")
minpool1d_backward = _backward("minpool1d_backward")
minpool2d_backward = _backward("minpool2d_backward")
minpool3d_backward = _backward("minpool3d_backward")
modepool1d = _pool("modepool1d")
modepool2d = _pool("modepool2d")
modepool3d = _pool("modepool3d")

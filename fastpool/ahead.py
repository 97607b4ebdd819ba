"""Compilation ahead of the first call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, SupportsIndex

from numpy.typing import DTypeLike

from . import arrays, dispatch
from .api import IntOrPair, Padding
from .arguments import IndexFormat, Layout, check_choice, input_sizes
from .geometry import pooling

Function = Literal["maxpool2d", "maxpool2d_backward", "maxunpool2d"]
FUNCTIONS: tuple[Function, ...] = ("maxpool2d", "maxpool2d_backward", "maxunpool2d")


def warmup(
    shape: Sequence[SupportsIndex],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    *,
    dtypes: DTypeLike | Sequence[DTypeLike] = "float32",
    index_format: IndexFormat = "flat",
    layout: Layout = "NCHW",
    functions: Sequence[Function] = FUNCTIONS,
) -> None:
    """Compile the Numba backend's kernels for some calls, so that the first finds them ready.

    They are kept on disk: the next process loads them, and "auto" uses them at once. Nothing is
    pooled, and no array of the shape is made.

    Parameters
    ----------
    shape : sequence of int
        Shape of the input of the pooling. The choice of kernels depends on the windows, on
        the dtype, and a little on the shape: give one of the size that will come.
    kernel_size, stride, padding, dilation, ceil_mode, index_format, layout
        As they will be given to `maxpool2d`.
    dtypes : dtype or sequence of dtypes
        The dtypes of the arrays, each as `numpy.dtype` takes it.
    functions : sequence of {"maxpool2d", "maxpool2d_backward", "maxunpool2d"}
        What will be called: all three by default. For `maxpool2d` both forms, with indices
        and without, are compiled.

    Raises
    ------
    BackendUnavailable
        Numba cannot be used here.
    ValueError, TypeError
        As in `maxpool2d`.

    Notes
    -----
    Kernels are for contiguous arrays; strided ones may need a further function for copying rows,
    a fraction of the whole. A kernel is valid for one processor model and one version of Python,
    Numba and fastpool.

    Examples
    --------
    >>> fastpool.warmup((8, 64, 112, 112), 3, 2, 1, functions=["maxpool2d"])
    """
    name = "warmup"
    sizes = input_sizes(name, shape)
    geometry = pooling(
        name,
        "shape",
        sizes,
        kernel_size,
        stride,
        padding,
        dilation,
        ceil_mode,
        layout,
        index_format,
    )
    chosen = (functions,) if isinstance(functions, str) else tuple(functions)
    for function in chosen:
        check_choice(name, "functions", function, FUNCTIONS)
    kinds = [arrays.data_type(name, "dtypes", kind) for kind in _as_sequence(dtypes)]
    backend = dispatch.load("numba")
    if not geometry.planes * geometry.channels:
        return
    window = index_format == "window"
    indices = geometry.index_dtype(index_format)
    for kind in kinds:
        if "maxpool2d" in chosen:
            backend.prepared(geometry, kind, None, window)
            backend.prepared(geometry, kind, indices, window)
        if "maxpool2d_backward" in chosen:
            backend.prepare_backward(geometry, kind, indices, window)
        if "maxunpool2d" in chosen:
            backend.prepare_unpool(geometry, kind, indices, window)
    backend.prepare_drivers(geometry.planes * geometry.plane_cells)


def _as_sequence(dtypes: DTypeLike | Sequence[DTypeLike]) -> Sequence[DTypeLike]:
    several = isinstance(dtypes, (list, tuple, set, frozenset))
    return list(dtypes) if several else [dtypes]  # type: ignore[arg-type, list-item]

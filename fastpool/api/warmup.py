"""Compilation ahead of the first call: a plan without a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike

from ..dispatch import table
from ..rules import arguments, arrays, calls, downsampling
from ..rules.arrays import Storage, storage_of
from ..rules.call import Call, Function
from ..rules.members import FUNCTIONS
from ..rules.operation import NORM, SUM
from . import norms
from .adaptive import OutputSize
from .reducing import planned
from .types import Entries, IndexFormat, Layout, Padding

DEFAULT = ("maxpool2d", "maxpool2d_backward", "maxunpool2d")


class _Asked(NamedTuple):
    """What was written for windows, beside the shape."""

    windows: tuple[Any, ...]  # kernel_size, stride, padding, dilation, ceil_mode
    index_format: object
    layout: object
    output_size: object
    norm_type: object


def warmup(
    shape: Sequence[SupportsIndex],
    kernel_size: Entries | None = None,
    stride: Entries | None = None,
    padding: Padding = 0,
    dilation: Entries = 1,
    ceil_mode: bool = False,
    *,
    dtypes: DTypeLike | Sequence[DTypeLike] = "float32",
    index_format: IndexFormat = "flat",
    layout: Layout | None = None,
    output_size: OutputSize = None,
    norm_type: float = 2,
    blocks: Mapping[str, Any] | None = None,
    functions: str | Sequence[str] = DEFAULT,
) -> None:
    """Compile the Numba backend's kernels for some calls, so that the first finds them ready.

    They are kept on disk: the next process loads them, and "auto" uses them. Nothing is
    pooled, and no memory of that size is touched.

    Parameters
    ----------
    shape : sequence of int
        Shape of the input of the pooling. The choice of kernels depends on the windows, on
        the dtype, and a little on the shape: give one of the size that will come.
    kernel_size, stride, padding, dilation, ceil_mode, index_format
        As they will be given to the functions. Adaptive functions take none of them, all others
        need `kernel_size`.
    dtypes : dtype or sequence of dtypes
        The dtypes of the arrays, each as `numpy.dtype` takes it.
    layout : optional
        As it will be given to the functions; None for channels first.
    output_size : int, None or sequence of int and None
        As it will be given to adaptive functions, which need it: for them None is written
        ``(None, None)``.
    norm_type : int or inf
        As it will be given to the functions of norms.
    blocks : mapping, optional
        What will be given to `downsample`, by name: ``{"factors": 2, "method": "mode"}``; all but
        `out`, `backend` and masks.
    functions : str or sequence of str
        The names of what will be called: "maxpool2d", "avgpool3d_backward" and so on, or
        "downsample", which serves `pyramid` too. By default
        the three functions of the maximum in 2-D. Of a forward both forms, with indices and
        without, are compiled; of sums and averages of integers those that give floats, and those
        that give the same dtype.

    Raises
    ------
    BackendUnavailable
        Numba cannot be used here.
    ValueError, TypeError
        As in the functions; also for a function that lacks its `kernel_size`, `output_size` or
        `blocks`.

    Notes
    -----
    Kernels are for contiguous arrays; strided ones may need a further function for copying rows,
    a fraction of the whole. A kernel is valid for one processor model and one version of Python,
    Numba and fastpool.

    A filter pools windows of stride 1, and smaller ones at the rims: for ``maximum_filter(x, 5)``
    name "maxpool2d" with kernel 5, stride 1 and padding 2, for `uniform_filter` "avgpool2d".

    Examples
    --------
    >>> fastpool.warmup((8, 64, 112, 112), 3, 2, 1, functions=["maxpool2d"])
    >>> fastpool.warmup((8, 64, 7, 7), output_size=1, functions="adaptive_avgpool2d")
    >>> labels = {"factors": (1, 2, 2), "method": "mode", "nodata": 0}
    >>> fastpool.warmup((64, 512, 512), dtypes="uint32", blocks=labels, functions="downsample")
    """
    name = "warmup"
    chosen = (functions,) if isinstance(functions, str) else tuple(functions)
    for each in chosen or DEFAULT:
        arguments.check_choice(name, "functions", each, (*FUNCTIONS, downsampling.NAME))
        needed: tuple[str, object] = "kernel_size", kernel_size
        if each == downsampling.NAME:
            needed = "blocks", blocks
        elif FUNCTIONS[each].adaptive:
            needed = "output_size", output_size
        if needed[1] is None:
            raise TypeError(f"{name}: {each} needs {needed[0]}")
    sizes = arguments.input_sizes(name, shape, "shape")
    asked = _Asked(
        (kernel_size, stride, padding, dilation, ceil_mode), index_format, layout, output_size,
        norm_type,
    )  # fmt: skip
    wanted = [arrays.data_type(name, "dtypes", dtype) for dtype in _as_sequence(dtypes)]
    # Checked also where nothing is to be compiled.
    made = [
        (call, tuple(Storage.in_order(*array) for array in (*call.inputs, *call.results)))
        for each in chosen or DEFAULT
        if each in FUNCTIONS
        for dtype in wanted
        for call in _calls(FUNCTIONS[each], sizes, dtype, asked)
    ]
    if downsampling.NAME in chosen:
        made += [found for dtype in wanted for found in _of_blocks(sizes, dtype, blocks or {})]
    backend = table.load(table.COMPILED)
    for call, storages in made if chosen else ():
        if not call.geometry.empty and backend.answers(call):
            backend.compile(backend.plan(call, storages), complete=True)


def _as_sequence(dtypes: DTypeLike | Sequence[DTypeLike]) -> Sequence[DTypeLike]:
    several = isinstance(dtypes, (list, tuple, set, frozenset))
    return list(dtypes) if several else [dtypes]  # type: ignore[arg-type, list-item]


def _of_blocks(
    sizes: tuple[int, ...], dtype: np.dtype[Any], given: Mapping[str, Any]
) -> list[tuple[Call, tuple[Storage, ...]]]:
    """What `downsample` asks a backend for, and how the arrays lie that it hands over."""
    options: dict[str, Any] = {
        "method": "mean", "axes": None, "boundary": "partial", "skipna": False, "nodata": None,
        "min_count": 1, "dtype": None,
    }  # fmt: skip
    if "factors" not in given or not given.keys() <= {"factors", *options}:
        names = ", ".join(options)
        raise TypeError(f"warmup: blocks must have factors, and may have {names}, got {[*given]}")
    options |= given
    made = options.pop("dtype")
    options["result"] = None if made is None else arrays.data_type("warmup", "dtype", made)
    asked = downsampling.understood(sizes, dtype, False, **options)
    if asked.filled:  # the blocks that are cut are NaN, and what is computed are the others
        asked = downsampling.understood(sizes, dtype, False, **{**options, "boundary": "trim"})
    places = Storage.in_order(sizes, asked.dtype), Storage.in_order(asked.outputs, asked.dtype)
    found = []
    for piece in planned(asked, [place.strides for place in places]).pieces:
        call, seen = piece.call, piece.arrangement.seen
        # Memory that is never touched.
        x, output = np.empty(sizes, call.dtype), np.empty(asked.outputs, call.results[0][1])
        views = (
            seen(x[piece.cells], call.geometry.input_shape),
            seen(output[piece.windows], call.geometry.output_shape),
        )
        found.append((call, tuple(map(storage_of, views))))
    return found


def _calls(
    function: Function, sizes: tuple[int, ...], dtype: np.dtype[Any], asked: _Asked
) -> list[Call]:
    """The calls of a function that belong to a pooling of an input of these sizes."""
    # The forward of its family, under the name that messages are to have.
    pool = replace(function, name="warmup", part="forward", inputs=("shape",))
    layout = pool.layouts[0] if asked.layout is None else asked.layout
    kernel_size, stride, padding, dilation, ceil_mode = asked.windows
    if function.operation is NORM:
        rules = asked.norm_type, *asked.windows, layout
        p, call = norms.understood(pool, "shape", sizes, dtype, rules)
        return list(norms.parts(replace(call, function=function), p))
    if function.operation.picks_cell:
        if function.adaptive:
            call = calls.adaptive(pool, "shape", sizes, dtype, asked.output_size, True, layout)
        else:
            call = calls.forward(
                pool, "shape", sizes, dtype, kernel_size, stride, padding, dilation, ceil_mode,
                True, asked.index_format, layout,
            )  # fmt: skip
        with_indices = replace(call, function=function)
        if function.part != "forward":
            return [with_indices]
        return [replace(with_indices, index_dtype=None), with_indices]
    divisor = 1 if function.operation is SUM else None
    results = [None, dtype] if dtype.kind in "iu" else [None]
    made = (
        calls.adaptive_average(pool, "shape", sizes, dtype, asked.output_size, layout, result)
        if function.adaptive
        else calls.average(
            pool, "shape", sizes, dtype, kernel_size, stride, padding, ceil_mode, True, divisor,
            dilation, layout, result,
        )
        for result in results
    )  # fmt: skip
    gradients = function.part != "forward"
    return [
        replace(call, function=function)
        for call in made
        if not (gradients and dtype.kind in "iub")  # which there are none of
    ]

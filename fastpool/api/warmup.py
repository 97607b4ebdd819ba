"""Compilation ahead of the first call: a plan without a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsIndex

from numpy.typing import DTypeLike

from ..dispatch import table
from ..rules import arguments, arrays, calls
from ..rules.arrays import Storage
from ..rules.call import Call, Function
from ..rules.members import FUNCTIONS
from .types import Entries, IndexFormat, Layout, Padding

DEFAULT = ("maxpool2d", "maxpool2d_backward", "maxunpool2d")


def warmup(
    shape: Sequence[SupportsIndex],
    kernel_size: Entries,
    stride: Entries | None = None,
    padding: Padding = 0,
    dilation: Entries = 1,
    ceil_mode: bool = False,
    *,
    dtypes: DTypeLike | Sequence[DTypeLike] = "float32",
    index_format: IndexFormat = "flat",
    layout: Layout | None = None,
    functions: str | Sequence[str] = DEFAULT,
) -> None:
    """Compile the Numba backend's kernels for some calls, so that the first finds them ready.

    They are kept on disk: the next process loads them, and "auto" uses them. Nothing is
    pooled, and no array of the shape is made.

    Parameters
    ----------
    shape : sequence of int
        Shape of the input of the pooling. The choice of kernels depends on the windows, on
        the dtype, and a little on the shape: give one of the size that will come.
    kernel_size, stride, padding, dilation, ceil_mode, index_format
        As they will be given to the functions.
    dtypes : dtype or sequence of dtypes
        The dtypes of the arrays, each as `numpy.dtype` takes it.
    layout : optional
        As it will be given to the functions; None for channels first.
    functions : str or sequence of str
        The names of what will be called: "maxpool2d", "maxpool3d_backward" and so on, by default
        the three functions of 2-D. Of a forward both forms, with indices and without, are
        compiled.

    Raises
    ------
    BackendUnavailable
        Numba cannot be used here.
    ValueError, TypeError
        As in the functions.

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
    chosen = (functions,) if isinstance(functions, str) else tuple(functions)
    for each in chosen or DEFAULT:
        arguments.check_choice(name, "functions", each, tuple(FUNCTIONS))
    sizes = arguments.input_sizes(name, shape, "shape")
    rules = kernel_size, stride, padding, dilation, ceil_mode
    wanted = [arrays.data_type(name, "dtypes", dtype) for dtype in _as_sequence(dtypes)]
    # Checked also where nothing is to be compiled.
    pools = {_pool_of(FUNCTIONS[each], name) for each in chosen or DEFAULT}
    forwards = {
        pool: [
            calls.forward(
                pool, "shape", sizes, dtype, *rules, True, index_format,
                pool.layouts[0] if layout is None else layout,
            )
            for dtype in wanted
        ]
        for pool in pools
    }  # fmt: skip
    backend = table.load(table.COMPILED)
    for each in chosen:
        function = FUNCTIONS[each]
        for call in forwards[_pool_of(function, name)]:
            if call.geometry.empty:
                continue
            for made in _calls(function, call):
                storages = (Storage.in_order(*array) for array in (*made.inputs, *made.results))
                backend.compile(backend.plan(made, tuple(storages)), complete=True)


def _as_sequence(dtypes: DTypeLike | Sequence[DTypeLike]) -> Sequence[DTypeLike]:
    several = isinstance(dtypes, (list, tuple, set, frozenset))
    return list(dtypes) if several else [dtypes]  # type: ignore[arg-type, list-item]


def _pool_of(function: Function, name: str) -> Function:
    """The forward of a function's family, under the name that messages are to have."""
    return Function(name, "forward", function.operation, function.dimensions, ("shape",))


def _calls(function: Function, call: Call) -> list[Call]:
    """The calls of a function on what a forward pass with indices takes and gives."""
    geometry, form = call.geometry, call.index_format
    with_indices = Call(function, geometry, form, call.dtype, call.index_dtype)
    if function.part != "forward":
        return [with_indices]
    return [Call(function, geometry, form, call.dtype, None), with_indices]

"""Arrays of any number of axes made smaller by blocks: calls of the family on views of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Literal, NamedTuple, SupportsIndex, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..dispatch import defaults
from ..rules import arrays, downsampling
from ..rules.arrangement import memory_order
from ..rules.arrays import Storage, data_type
from ..rules.downsampling import NAME
from ..rules.masks import as_array
from . import guests
from .execute import facts_of, plain
from .reducing import Task, planned, write
from .types import BackendName

Method: TypeAlias = Literal["mean", "sum", "min", "max", "median", "mode", "stride", "any", "all"]
Boundary: TypeAlias = Literal["partial", "trim", "exact", "pad"]


class _Known(NamedTuple):
    """What is known of all calls of one kind.

    Attributes
    ----------
    task : Task
        What is done.
    shape : tuple of int
        Of a new result, in the order in which its axes lie in memory.
    turned : tuple of int or None
        Where each axis of the result is among these; None if they are in order.
    """

    task: Task
    shape: tuple[int, ...]
    turned: tuple[int, ...] | None


_MOST = 4096
_tasks: dict[Hashable, _Known] = {}


def downsample(
    x: ArrayLike,
    factors: SupportsIndex | Sequence[SupportsIndex],
    method: Method = "mean",
    *,
    axes: SupportsIndex | Sequence[SupportsIndex] | None = None,
    boundary: Boundary = "partial",
    skipna: bool = False,
    nodata: float | None = None,
    min_count: int = 1,
    dtype: DTypeLike | None = None,
    out: np.ndarray | None = None,
    backend: BackendName | None = None,
) -> Any:
    """Make an array smaller: each block of cells becomes one.

    Parameters
    ----------
    x : array_like
        Numbers or bools with any number of axes, in any memory. Cells that a masked array masks are
        missing.
    factors : int or sequence of int
        Cells of a block along each axis. One integer is for all axes, or for all of `axes`; a
        sequence has an entry for each of them. An axis of factor 1 is kept; at most three can have
        a larger one.
    method : {"mean", "sum", "min", "max", "median", "mode", "stride", "any", "all"}
        What becomes of a block:

        * "mean": its average. Integers and bools keep their dtype: the quotient is rounded to the
          nearest one, of two to the even one.
        * "sum": its sum, in 64 bits for integers and bools.
        * "min", "max": its extreme. A NaN beats every number.
        * "median": the cell in the middle of all, of an even number the lower one. A NaN beats
          every number.
        * "mode": its most frequent value, of several the one whose first cell comes first.
        * "stride": its first cell.
        * "any", "all": whether some or all of its cells are not 0, as a bool.
    axes : int or sequence of int, optional
        The axes that `factors` are for; all by default.
    boundary : {"partial", "trim", "exact", "pad"}
        What becomes of an axis whose size the factor does not divide:

        * "partial": the last block is cut. Its average divides by the cells that it has.
        * "trim": the cells of that block are left out.
        * "exact": it is an error.
        * "pad": the array is filled up with NaN, so that the last block is NaN. Where cells may be
          missing, and for integers and bools, it is as "partial".
    skipna : bool
        Whether NaN is missing. Missing cells count nowhere.
    nodata : number, optional
        Cells that are equal to it are missing. It is compared in the dtype of `x`.
    min_count : int
        A block with fewer cells, without those that are missing, becomes `nodata` if that is given,
        else NaN with `skipna`, else masked; for "any" and "all" it is False.
    dtype : dtype, optional
        Of means and sums; see `avgpool2d`.
    out : ndarray, optional
        Where the result is written; it must not overlap `x`. A masked array, if `x` is one.
    backend : {"auto", "numpy", "numba"}, optional
        What computes the result, the same to the bit; by default what `use_backend`,
        `set_default_backend` or the environment variable ``FASTPOOL_BACKEND`` say.

    Returns
    -------
    ndarray
        Of the dtype of `x`, if not stated otherwise, in the machine's byte order. A new one lies in
        memory as `x` does: in Fortran's order if `x` does. It is a masked array if `x` is one.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or value; the message says which, and what would do.

    See Also
    --------
    avgpool2d, maxpool2d : windows that may overlap, with padding and indices.

    Notes
    -----
    The cells of a block come in row-major order of the axes of `x`, wherever they lie in memory:
    that decides between equal values, and rounds sums the same everywhere.

    Examples
    --------
    >>> image = np.array([[1, 2, 9], [3, 6, 9], [5, 5, 7]], np.uint8)
    >>> fastpool.downsample(image, 2)
    array([[3, 9],
           [5, 7]], dtype=uint8)
    >>> fastpool.downsample(image, 2, "max", boundary="trim")
    array([[6]], dtype=uint8)
    >>> fastpool.downsample(image, 3, "median", axes=0)
    array([[3, 5, 9]], dtype=uint8)
    >>> fastpool.downsample(image, 2, nodata=9)
    array([[3, 9],
           [5, 7]], dtype=uint8)
    >>> fastpool.downsample([[1.0, np.nan], [4.0, 5.0]], (2, 1), skipna=True)
    array([[2.5, 5. ]])
    """
    if type(x) is not np.ndarray:
        guest = guests.host_of(NAME, ("x",), (x,), out)
        if guest is not None:
            given = factors, method, axes, boundary, skipna, nodata, min_count, dtype
            return guest.load().downsample(x, given, backend)
    masked = issubclass(type(x), np.ma.MaskedArray)
    inputs = _inputs(x, min_count)
    result = None if dtype is None else data_type(NAME, "dtype", dtype)
    arguments = factors, method, axes, boundary, skipna, nodata, min_count, result
    chosen = defaults.resolve(NAME, backend)
    outputs = None if out is None else _outputs(out, masked)
    key = _key(chosen, inputs, outputs, arguments)
    known = None if key is None else _tasks.get(key)
    if known is None:
        known = _understood(inputs, outputs, arguments)
        if key is not None:
            if len(_tasks) >= _MOST:
                _tasks.clear()
            _tasks[key] = known
    made = _fresh(known, masked) if outputs is None else outputs
    if outputs is not None:
        for number, array in enumerate(outputs):
            arrays.check_apart(NAME, "out", array, (*inputs, *outputs[:number]))
    write(known.task, inputs, made, chosen)
    if out is not None:
        return out
    if not masked:
        return made[0]
    with np.errstate(over="ignore"):  # NumPy's own default is too large for float16
        return np.ma.MaskedArray(made[0], made[1], fill_value=_fill_value(x, made[0]))


def understood(x: Any, given: tuple[Any, ...]) -> tuple[downsampling.Blocks, tuple[Any, ...]]:
    """What a call means for an array of another library, and the arguments with the dtype as such.

    Of the array it asks for nothing but the shape and NumPy's dtype.
    """
    dtype = given[-1]
    result = None if dtype is None else data_type(NAME, "dtype", dtype)
    arguments: tuple[Any, ...] = (*given[:-1], result)
    return downsampling.understood(tuple(x.shape), x.dtype, False, *arguments), arguments


def downsampled(x: Any, given: tuple[Any, ...], backend: Any) -> Any:
    """`downsample` of an array and all its arguments in their order."""
    factors, method, axes, boundary, skipna, nodata, min_count, dtype = given
    return downsample(
        x, factors, method, axes=axes, boundary=boundary, skipna=skipna, nodata=nodata,
        min_count=min_count, dtype=dtype, backend=backend,
    )  # fmt: skip


def _inputs(x: Any, min_count: object) -> tuple[np.ndarray, ...]:
    """The array, and its mask if it has one."""
    if not issubclass(type(x), np.ma.MaskedArray):
        return (as_array(NAME, "x", x),)
    data, mask = np.asarray(x.data), np.ma.getmask(x)
    if mask is np.ma.nomask or mask.dtype != np.bool_:  # a record's mask has fields
        if type(min_count) is int and min_count < 2:
            return (data,)
        mask = np.broadcast_to(np.False_, data.shape)  # a block may have too few cells as it is
    return data, np.asarray(mask)


def _fill_value(x: Any, made: np.ndarray) -> Any:
    """What a result is filled with where it is masked: as `x`, if it can be."""
    if x.dtype != made.dtype or arrays.is_bfloat16(made.dtype):  # NumPy has none for these
        return None
    return x.fill_value


def _outputs(out: Any, masked: bool) -> tuple[np.ndarray, ...]:
    """The array of `out`, and its mask."""
    if not masked:
        return (out,)
    if not isinstance(out, np.ma.MaskedArray):
        raise TypeError(
            f"{NAME}: out must be a masked array, as x is one, got {type(out).__name__}"
        )
    if out.sharedmask or out.hardmask or np.ma.getmask(out) is np.ma.nomask:
        out.mask = np.ma.getmaskarray(out).copy()
        out.soften_mask()
    return np.asarray(out.data), np.asarray(out.mask)


def _key(
    chosen: str,
    inputs: tuple[np.ndarray, ...],
    outputs: tuple[Any, ...] | None,
    arguments: tuple[Any, ...],
) -> Hashable:
    """What tells calls apart; None for one that is understood anew each time."""
    if type(arguments[5]) is float:
        *others, nodata, min_count, result = arguments
        arguments = *others, ("float", nodata.hex()), min_count, result
    kinds = plain(arguments)
    if kinds is None:
        return None
    storages = tuple([(each.shape, each.strides, each.dtype) for each in inputs])
    if outputs is None:
        return chosen, storages, arguments, kinds
    facts = tuple(map(facts_of, outputs))
    return None if None in facts else (chosen, storages, arguments, kinds, facts)


def _understood(
    inputs: tuple[np.ndarray, ...],
    outputs: tuple[Any, ...] | None,
    arguments: tuple[Any, ...],
) -> _Known:
    x = inputs[0]
    blocks = downsampling.understood(x.shape, x.dtype, len(inputs) == 2, *arguments)
    shape, turned = blocks.outputs, None
    if outputs is None:
        if not x.flags.c_contiguous:
            memory = memory_order(x.shape, x.strides)
            shape = tuple(shape[axis] for axis in memory)
            turned = tuple(sorted(range(len(shape)), key=memory.__getitem__))
        steps = Storage.in_order(shape, np.dtype(np.uint8)).strides
        strides = [steps if turned is None else tuple(steps[place] for place in turned)]
    else:
        for array, dtype in zip(outputs, (blocks.result, np.dtype(np.bool_)), strict=False):
            arrays.check_output(NAME, "out", array, blocks.outputs, dtype)
        strides = [array.strides for array in outputs]
    used = [array.strides for array in inputs]
    copied = not x.dtype.isnative or any(step % x.itemsize for step in x.strides)
    return _Known(planned(blocks, (*used, *strides), copied), shape, turned)


def _fresh(known: _Known, masked: bool) -> tuple[np.ndarray, ...]:
    blocks = known.task.blocks
    made = _new(known, blocks.result)
    return (made, _new(known, np.dtype(np.bool_))) if masked else (made,)


def _new(known: _Known, dtype: np.dtype[Any]) -> np.ndarray:
    """A new array for a result."""
    try:
        made = np.empty(known.shape, dtype)
        return made if known.turned is None else made.transpose(known.turned)
    except (MemoryError, ValueError):
        shape = known.task.blocks.outputs
        raise arrays.too_large(NAME, [(shape, dtype)]) from None

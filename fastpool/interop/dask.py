"""Max pooling of Dask arrays: images larger than memory, chunked along any axes.

Every chunk of a result is made of one rectangle of its inputs: the cells that its windows reach, or
the windows that reach its cells. What of the rectangle lies in neighbouring chunks is cut out
where those are, so that no more than that travels. Each rectangle is a pooling of its own, with
other borders and the same windows; so results do not depend on the chunks, to the bit. A task
uses one thread: that tasks run side by side is the scheduler's part.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import accumulate, pairwise, product
from operator import getitem
from typing import Any, NamedTuple, SupportsIndex

import dask.array as da
import numpy as np
from dask.array.core import normalize_chunks
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

import fastpool

from .. import arrays, dispatch
from ..api import BackendName, IntOrPair, Padding, PoolResult, bad_index
from ..arguments import IndexFormat, Layout, check_flag, input_sizes
from ..backends import one_thread
from ..geometry import Axis, Geometry, pooling, unpooling


def maxpool2d(
    x: Any,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    index_format: IndexFormat = "flat",
    layout: Layout = "NCHW",
    backend: BackendName | None = None,
) -> Any:
    """`fastpool.maxpool2d` of a Dask array.

    Parameters
    ----------
    x : dask.array.Array or array_like
        The input, of known chunk sizes.
    kernel_size, stride, padding, dilation, ceil_mode, return_indices, index_format, layout, backend
        As in `fastpool.maxpool2d`. The default backend is looked up here, not in the tasks.

    Returns
    -------
    output : dask.array.Array
        Each chunk of `x` becomes one of the windows that start in it, if there are any. Nothing is
        computed yet.
    PoolResult(output, indices)
        With ``return_indices=True``: two arrays whose chunks are pooled once for both. Flat
        indices count the cells of the whole plane.

    Raises
    ------
    ValueError, TypeError
        As in `fastpool.maxpool2d`, and where the sizes of chunks are not known.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastpool.interop.dask
    >>> x = da.arange(36, chunks=36).reshape(6, 6).rechunk((4, 3))
    >>> fastpool.interop.dask.maxpool2d(x, 3, 1).chunks
    ((4,), (3, 1))
    >>> fastpool.interop.dask.maxpool2d(x, 3, 1).compute()
    array([[14, 15, 16, 17],
           [20, 21, 22, 23],
           [26, 27, 28, 29],
           [32, 33, 34, 35]])
    """
    name = "maxpool2d"
    x = _known(name, "x", x)
    dtype = arrays.data_type(name, "x", x.dtype)
    check_flag(name, "return_indices", return_indices)
    rules = kernel_size, stride, padding, dilation, ceil_mode, layout, index_format
    geometry = pooling(name, "x", x.shape, *rules)
    call = _Call(name, geometry, index_format, dispatch.resolve(name, backend))
    windows = [
        _pooled_chunks(axis, sizes)
        for axis, sizes in zip(call.axes, call.spatial(x.chunks), strict=True)
    ]
    chunks = call.with_spatial(x.chunks, windows)
    token = tokenize(x, call, return_indices)
    graph: dict[Any, Any] = {}
    made, halo = f"{name}-{token}", _Halo(call, x, f"{name}-halo-{token}", graph)
    borders = [list(_borders(sizes)) for sizes in windows]
    for key in product(*map(range, map(len, chunks))):
        numbers = zip(call.axes, borders, call.spatial(key), strict=True)
        reaches = tuple(_reach(axis, *along[number]) for axis, along, number in numbers)
        pieces = halo.pieces(key, [(reach.low, reach.high) for reach in reaches])
        graph[(made, *key)] = partial(_pool, call, reaches, return_indices), pieces
    if not return_indices:
        return _array(graph, made, chunks, dtype, [x])
    both = HighLevelGraph.from_collections(made, graph, dependencies=[x])
    kinds = dtype, geometry.index_dtype(index_format)
    return PoolResult(*(_result(both, made, i, chunks, kind) for i, kind in enumerate(kinds)))


def maxpool2d_backward(
    grad_output: Any,
    indices: Any,
    input_shape: Sequence[SupportsIndex],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    *,
    index_format: IndexFormat = "flat",
    layout: Layout = "NCHW",
    chunks: Any = None,
    backend: BackendName | None = None,
) -> Any:
    """`fastpool.maxpool2d_backward` of Dask arrays.

    Parameters
    ----------
    grad_output, indices : dask.array.Array or array_like
        As in `fastpool.maxpool2d_backward`, chunked in any way.
    input_shape, kernel_size, stride, padding, dilation, ceil_mode, index_format, layout, backend
        As in `fastpool.maxpool2d_backward`.
    chunks : optional
        Those of the result, as `dask.array.zeros` takes them for `input_shape`: ``x.chunks``, say.
        By default they end where the windows of a chunk of `grad_output` start.

    Returns
    -------
    grad_input : dask.array.Array, shape `input_shape`
        A chunk visits all windows that reach it, in the order of the outputs.

    Raises
    ------
    IndexError
        When it is computed: an index is none of the taps of its own window.
    ValueError, TypeError
        As in `fastpool.maxpool2d_backward`, and where the sizes of chunks are not known.
    """
    name = "maxpool2d_backward"
    gradient = _known(name, "grad_output", grad_output)
    dtype = arrays.data_type(name, "grad_output", gradient.dtype)
    rules = kernel_size, stride, padding, dilation, ceil_mode, layout, index_format
    geometry = pooling(name, "input_shape", input_sizes(name, input_shape), *rules)
    arrays.check_shape(name, "grad_output", gradient.shape, geometry.output_shape)
    call = _Call(name, geometry, index_format, dispatch.resolve(name, backend))
    return _scatter(call, dtype, gradient, indices, chunks)


def maxunpool2d(
    x: Any,
    indices: Any,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    output_size: Sequence[SupportsIndex] | None = None,
    *,
    dilation: IntOrPair = 1,
    index_format: IndexFormat = "flat",
    layout: Layout = "NCHW",
    chunks: Any = None,
    backend: BackendName | None = None,
) -> Any:
    """`fastpool.maxunpool2d` of Dask arrays.

    Parameters
    ----------
    x, indices : dask.array.Array or array_like
        As in `fastpool.maxunpool2d`, chunked in any way.
    kernel_size, stride, padding, output_size, dilation, index_format, layout, backend
        As in `fastpool.maxunpool2d`.
    chunks : optional
        Those of the result, as in `maxpool2d_backward`.

    Returns
    -------
    output : dask.array.Array
        Where two indices are equal, the later output position in row-major order wins.

    Raises
    ------
    IndexError
        When it is computed: an index lies outside the plane, the window or the input.
    ValueError, TypeError
        As in `fastpool.maxunpool2d`, and where the sizes of chunks are not known.

    Notes
    -----
    Flat indices may name any cell of the plane. So all of a plane's are looked at before the first
    chunk is made, and their chunks are held until then. Window indices spare that.
    """
    name = "maxunpool2d"
    x = _known(name, "x", x)
    dtype = arrays.data_type(name, "x", x.dtype)
    rules = kernel_size, stride, padding, output_size, dilation, layout, index_format
    geometry = unpooling(name, x.shape, *rules)
    call = _Call(name, geometry, index_format, dispatch.resolve(name, backend))
    return _scatter(call, dtype, x, indices, chunks)


class _Call(NamedTuple):
    """What all tasks of a call have in common."""

    function: str
    geometry: Geometry
    index_format: IndexFormat
    backend: str

    @property
    def axes(self) -> tuple[Axis, Axis]:
        return self.geometry.height, self.geometry.width

    @property
    def at(self) -> int:
        """The first of the two spatial axes of an array."""
        return len(self.geometry.lead)

    @property
    def values(self) -> str:
        """The parameter that is pooled, or scattered."""
        return "grad_output" if self.function == "maxpool2d_backward" else "x"

    @property
    def options(self) -> dict[str, Any]:
        layout = self.geometry.layout
        return {"index_format": self.index_format, "layout": layout, "backend": self.backend}

    def spatial(self, values: Sequence[Any]) -> Sequence[Any]:
        """Of one value an axis, those of the two spatial axes."""
        return values[self.at : self.at + 2]

    def with_spatial(self, values: Sequence[Any], pair: Sequence[Any]) -> tuple[Any, ...]:
        return (*values[: self.at], *pair, *values[self.at + 2 :])

    def along(self, axis: int, values: np.ndarray) -> np.ndarray:
        """Values of one spatial axis as an array that broadcasts with those of a chunk."""
        behind = 1 - axis + (self.geometry.layout == "NHWC")
        return values.reshape(-1, *(1,) * behind)

    def windows(self, reaches: Sequence[_Reach]) -> tuple[Any, Any, Any, Any]:
        """The arguments of a pooling of these cells alone, from kernel_size on."""
        height, width = self.axes
        return (
            (height.kernel, width.kernel),
            (height.stride, width.stride),
            tuple((reach.before, reach.after) for reach in reaches),
            (height.dilation, width.dilation),
        )


class _Reach(NamedTuple):
    """Along an axis: neighbouring windows, and the cells from the first to the last tap inside."""

    first: int
    stop: int
    low: int
    high: int
    before: int  # by how much the first window begins before those cells
    after: int  # by how much the last one ends behind them


class _Target(NamedTuple):
    """A chunk that values are scattered to."""

    cells: tuple[tuple[int, int], ...]  # from which on up to which, along both axes
    windows: tuple[tuple[int, int], ...]  # that reach them
    shape: tuple[int, ...]
    start: tuple[int, ...]  # the position of the first of the windows in the whole array
    dtype: np.dtype[Any]


class _Halo:
    """The pieces of an array's chunks that make up a rectangle, each cut out where its chunk is."""

    def __init__(self, call: _Call, array: Any, name: str, graph: dict[Any, Any]) -> None:
        self._call, self._array, self._name, self._graph = call, array, name, graph
        self._sizes = call.spatial(array.chunks)
        self._ends = [list(accumulate(sizes)) for sizes in self._sizes]

    def pieces(self, key: Sequence[int], ranges: Iterable[tuple[int, int]]) -> Any:
        """Rows of pieces; the other axes are those of a key."""
        pairs = zip(self._ends, ranges, strict=True)
        rows, columns = (list(_cuts(ends, *limits)) for ends, limits in pairs)
        return [[self._piece(key, (row, column)) for column in columns] for row in rows]

    def _piece(self, key: Sequence[int], cuts: Sequence[tuple[int, int, int]]) -> Any:
        chunk = self._call.with_spatial(key, [number for number, _, _ in cuts])
        whole = (self._array.name, *chunk)
        sizes = [along[number] for along, (number, _, _) in zip(self._sizes, cuts, strict=True)]
        limits = tuple((start, stop) for _, start, stop in cuts)
        if limits == tuple((0, size) for size in sizes):
            return whole
        cut = (self._name, *chunk, *limits[0], *limits[1])
        self._graph[cut] = partial(_cut, self._call.at, limits), whole
        return cut


def _known(name: str, parameter: str, value: Any) -> Any:
    """A Dask array, if the sizes of its chunks are known."""
    arrays.refuse_masks(name, parameter, value, lazy=(da.Array,))
    lazy = isinstance(value, (list, tuple)) or hasattr(value, "to_dask_array")
    if not (lazy or hasattr(value, "shape")):  # Dask makes an array of it here, without masks
        value = arrays.as_array(name, parameter, value)
    array = value if isinstance(value, da.Array) else da.asarray(value)
    arrays.refuse_masks(name, parameter, array._meta)
    if any(np.isnan(size) for size in array.shape):
        raise ValueError(
            f"{name}: {parameter} has chunks of unknown sizes; compute_chunk_sizes() finds them"
        )
    return array


def _array(graph: Any, name: str, chunks: Any, dtype: Any, inputs: Sequence[Any]) -> Any:
    layers = HighLevelGraph.from_collections(name, graph, dependencies=inputs)
    return da.Array(layers, name, chunks, meta=np.empty((0,) * len(chunks), dtype))


def _result(both: Any, made: str, number: int, chunks: Any, dtype: Any) -> Any:
    """The outputs, or the indices, of tasks that make both."""
    name = f"{made}-{('output', 'indices')[number]}"
    keys = product(*map(range, map(len, chunks)))
    layer = {(name, *key): (getitem, (made, *key), number) for key in keys}
    graph = HighLevelGraph({**both.layers, name: layer}, {**both.dependencies, name: {made}})
    return da.Array(graph, name, chunks, meta=np.empty((0,) * len(chunks), dtype))


def _borders(sizes: Iterable[int]) -> Iterable[tuple[int, int]]:
    """Where each chunk starts and stops."""
    return pairwise((0, *accumulate(sizes)))


def _pooled_chunks(axis: Axis, sizes: Sequence[int]) -> tuple[int, ...]:
    """How many windows start in each chunk of the cells, where any does."""
    stops = [min(-(-(end + axis.pad_low) // axis.stride), axis.output) for end in accumulate(sizes)]
    return tuple(stop - first for first, stop in pairwise((0, *stops)) if stop > first)


def _spread_chunks(axis: Axis, sizes: Sequence[int]) -> tuple[int, ...]:
    """Chunks of the cells that end where the windows of the next chunk start."""
    starts = [stop * axis.stride - axis.pad_low for stop in accumulate(sizes)][:-1]
    stops = [*(min(max(start, 0), axis.size) for start in starts), axis.size]
    return tuple(stop - first for first, stop in pairwise((0, *stops)) if stop > first)


def _reach(axis: Axis, first: int, stop: int) -> _Reach:
    """The cells that windows from `first` up to `stop` reach."""
    start = first * axis.stride - axis.pad_low
    end = (stop - 1) * axis.stride - axis.pad_low + axis.span
    low, high = max(start, 0), min(end, axis.size)
    return _Reach(first, stop, low, high, low - start, end - high)


def _reaching(axis: Axis, low: int, high: int) -> tuple[int, int]:
    """The first window that reaches cells from `low` up to `high`, and the one after the last.

    Windows beyond the plane, which unpooling may have, belong to its first and its last cells.
    """
    first = max(0, -(-(low + axis.pad_low - axis.span + 1) // axis.stride)) if low else 0
    stop = min((high - 1 + axis.pad_low) // axis.stride + 1, axis.output)
    return first, axis.output if high == axis.size else max(first, stop)


def _cuts(ends: Sequence[int], low: int, high: int) -> Iterable[tuple[int, int, int]]:
    """The chunks that hold the cells from `low` up to `high`, and which of its cells each gives."""
    number = bisect_right(ends, low)
    while low < high:
        start, end = ends[number - 1] if number else 0, ends[number]
        if low < end:
            yield number, low - start, min(high, end) - start
        low, number = end, number + 1


def _cut(at: int, limits: Sequence[tuple[int, int]], chunk: np.ndarray) -> np.ndarray:
    """A part of a chunk; a small one is copied, lest it keep all of the chunk in memory."""
    part = chunk[(slice(None),) * at + tuple(slice(*pair) for pair in limits)]
    return part.copy() if 2 * part.size < chunk.size else part


def _joined(call: _Call, parameter: str, rows: Sequence[Sequence[Any]]) -> np.ndarray:
    """Rows of pieces as one array: the piece itself if it is alone.

    The type of a Dask array does not tell of masks that only some of its chunks have; and whether
    `numpy.block` keeps them depends on the sizes of the pieces.
    """
    pieces = [[arrays.as_array(call.function, parameter, piece) for piece in row] for row in rows]
    if len(pieces) == len(pieces[0]) == 1:
        return pieces[0][0]
    if call.geometry.layout == "NCHW":
        return np.block(pieces)
    return np.block([[[piece] for piece in row] for row in pieces])


def _pool(call: _Call, reaches: Sequence[_Reach], return_indices: bool, pieces: Any) -> Any:
    """Windows, from the cells that they reach."""
    x = _joined(call, call.values, pieces)
    options = {"return_indices": return_indices, **call.options}
    with one_thread():
        result: Any = fastpool.maxpool2d(x, *call.windows(reaches), **options)
    if not return_indices:
        return result
    output, indices = result
    if call.index_format == "flat" and x.shape != call.geometry.input_shape:
        rows, columns = reaches
        down, right = np.divmod(indices, columns.high - columns.low)
        indices = (down + rows.low) * call.geometry.width.size + (right + columns.low)
    return output, indices


def _scatter(call: _Call, dtype: Any, values: Any, indices: Any, chunks: Any) -> Any:
    """The graph of `maxpool2d_backward` and `maxunpool2d`."""
    name, geometry = call.function, call.geometry
    indices = _known(name, "indices", indices)
    counted = geometry.counted_cells(call.index_format)
    arrays.check_indices(name, indices.dtype, indices.shape, geometry.output_shape, counted)
    if values.npartitions < indices.npartitions:  # as one that came from NumPy
        values = values.rechunk(indices.chunks)
    if chunks is None:
        pairs = zip(call.axes, call.spatial(values.chunks), strict=True)
        chunks = call.with_spatial(values.chunks, [_spread_chunks(*pair) for pair in pairs])
    chunks = normalize_chunks(chunks, geometry.input_shape, dtype=dtype)
    shared = call.with_spatial(chunks, call.spatial(values.chunks))
    values, indices = values.rechunk(shared), indices.rechunk(shared)

    token = tokenize(values, indices, call, chunks)
    graph: dict[Any, Any] = {}
    made, strays = f"{name}-{token}", f"{name}-strays-{token}"
    halos = [
        _Halo(call, array, f"{name}-{kind}-{token}", graph)
        for array, kind in ((values, "values"), (indices, "indices"))
    ]
    far = name == "maxunpool2d" and call.index_format == "flat"
    if far:
        graph.update(_search(call, values, indices, strays))
    borders = [list(_borders(sizes)) for sizes in chunks]
    for key in product(*map(range, map(len, chunks))):
        limits = [along[number] for along, number in zip(borders, key, strict=True)]
        cells = tuple(call.spatial(limits))
        windows = tuple(_reaching(axis, *pair) for axis, pair in zip(call.axes, cells, strict=True))
        start = call.with_spatial([low for low, _ in limits], [first for first, _ in windows])
        target = _Target(cells, windows, tuple(b - a for a, b in limits), start, dtype)
        sources: list[Any] = [halo.pieces(key, windows) for halo in halos]
        if far:
            sources.append((strays, *call.with_spatial(key, (-1, -1))))
        graph[(made, *key)] = partial(_fill, call, target), *sources
    return _array(graph, made, chunks, dtype, [values, indices])


def _fill(
    call: _Call, target: _Target, values: Any, indices: Any, strays: Any = None
) -> np.ndarray:
    """A chunk of a gradient, or of what is unpooled: in the order of the outputs, strays too."""
    some = all(first < stop for first, stop in target.windows)
    found = []
    if strays is not None and strays[1].size:
        found.append(_those_in(call, target, strays))
    if some:
        values, codes = _joined(call, call.values, values), _joined(call, "indices", indices)
        if not found:
            return _own(call, target, values, codes)
        cells, valid, own = _named_cells(call, target.windows, codes)
        if not valid.all():
            position = np.unravel_index(int(valid.argmin()), valid.shape)
            raise _bad_index(call, target, codes, tuple(map(int, position)))
        found.append(_those_in(call, target, _entries(call, target.windows, cells, own, values)))
    result = np.zeros(target.shape, target.dtype)
    if found:
        where, order, values = _collected(found)
        sort = np.argsort(order, kind="stable")
        result[tuple(along[sort] for along in where)] = values[sort]
    return result


def _own(call: _Call, target: _Target, values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """A chunk, if no index leads out of its window: of all that the windows reach, its part."""
    pairs = zip(call.axes, target.windows, strict=True)
    rows, columns = reaches = [_reach(axis, *windows) for axis, windows in pairs]
    sizes = [reach.high - reach.low for reach in reaches]
    local = codes
    if call.index_format == "flat":
        down, right = np.divmod(codes.astype(np.int64), call.geometry.width.size)
        inside = (down >= rows.low) & (down < rows.high)
        inside &= (right >= columns.low) & (right < columns.high)
        local = (down - rows.low) * (columns.high - columns.low) + (right - columns.low)
        local[~inside] = -1
    if min(sizes) < 1 and codes.size:  # windows beyond the plane, as unpooling may have
        raise _bad_index(call, target, codes, (0,) * codes.ndim)
    kernel_size, stride, padding, dilation = call.windows(reaches)
    try:
        with one_thread():
            if call.function == "maxpool2d_backward":
                shape = call.with_spatial(values.shape, sizes)
                reached = fastpool.maxpool2d_backward(
                    values, local, shape, kernel_size, stride, padding, dilation, **call.options
                )
            else:
                options = {"dilation": dilation, **call.options}
                reached = fastpool.maxunpool2d(
                    values, local, kernel_size, stride, padding, sizes, **options
                )
    except IndexError as error:
        position: tuple[int, ...] = error.position  # type: ignore[attr-defined]
        raise _bad_index(call, target, codes, position) from None
    result = np.zeros(target.shape, target.dtype)
    here, there = (
        [
            slice(max(low, reach.low) - start, min(high, reach.high) - start)
            for (low, high), reach, start in zip(target.cells, reaches, starts, strict=True)
        ]
        for starts in ([low for low, _ in target.cells], [reach.low for reach in reaches])
    )
    before = (slice(None),) * call.at
    result[(*before, *here)] = reached[(*before, *there)]
    return result


def _named_cells(
    call: _Call, windows: Sequence[tuple[int, int]], codes: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Rows and columns that indices name, whether they may, and whether in their own window."""
    codes = codes.astype(np.int64)
    flat, width = call.index_format == "flat", call.axes[1]
    row_of_taps = width.size if flat else width.kernel
    cells, valid, own = [], codes >= 0, np.ones(codes.shape, bool)
    for axis, (first, stop), code in zip(
        (0, 1), windows, np.divmod(codes, row_of_taps), strict=True
    ):
        rule = call.axes[axis]
        starts = call.along(axis, np.arange(first, stop) * rule.stride - rule.pad_low)
        cell = code if flat else starts + code * rule.dilation
        valid &= (cell >= 0) & (cell < rule.size)
        if not flat:
            valid &= code < rule.kernel
        own &= (cell >= starts) & (cell < starts + rule.span)
        cells.append(cell)
    return cells, valid, own


def _entries(
    call: _Call,
    windows: Sequence[tuple[int, int]],
    cells: Sequence[np.ndarray],
    chosen: np.ndarray,
    values: np.ndarray,
) -> Any:
    """The chosen values, where they go to, and the positions of their windows in the plane."""
    (top, bottom), (left, right) = windows
    order = call.along(0, np.arange(top, bottom) * call.axes[1].output)
    order = np.broadcast_to(order + call.along(1, np.arange(left, right)), chosen.shape)
    where = call.with_spatial(np.nonzero(chosen), [cell[chosen] for cell in cells])
    return where, order[chosen], values[chosen]


def _those_in(call: _Call, target: _Target, entries: Any) -> Any:
    """The entries that go to a chunk, and where they go in it."""
    where, order, values = entries
    inside = np.ones(order.shape, bool)
    for along, (low, high) in zip(call.spatial(where), target.cells, strict=True):
        inside &= (along >= low) & (along < high)
    starts = call.with_spatial((0,) * len(where), [low for low, _ in target.cells])
    found = tuple((along - start)[inside] for along, start in zip(where, starts, strict=True))
    return found, order[inside], values[inside]


def _search(call: _Call, values: Any, indices: Any, name: str) -> dict[Any, Any]:
    """Tasks that find strays, values that flat indices send out of their own windows.

    Those of a row of chunks are collected first, then those of all rows: usually none.
    """
    graph: dict[Any, Any] = {}
    borders = [list(_borders(sizes)) for sizes in call.spatial(values.chunks)]
    others = call.with_spatial(values.numblocks, (1, 1))
    down, right = map(range, call.spatial(values.numblocks))
    for other in product(*map(range, others)):
        for row in down:
            for column in right:
                key = call.with_spatial(other, (row, column))
                windows = borders[0][row], borders[1][column]
                chunks = (values.name, *key), (indices.name, *key)
                graph[(name, *key)] = partial(_strays, call, windows), *chunks
            found = [(name, *call.with_spatial(other, (row, column))) for column in right]
            graph[(name, *call.with_spatial(other, (row, -1)))] = _collected, found
        rows = [(name, *call.with_spatial(other, (row, -1))) for row in down]
        graph[(name, *call.with_spatial(other, (-1, -1)))] = _collected, rows
    return graph


def _strays(
    call: _Call, windows: Sequence[tuple[int, int]], values: np.ndarray, codes: np.ndarray
) -> Any:
    values = arrays.as_array(call.function, call.values, values)
    codes = arrays.as_array(call.function, "indices", codes)
    cells, valid, own = _named_cells(call, windows, codes)
    return _entries(call, windows, cells, valid & ~own, values)


def _collected(entries: Sequence[Any]) -> Any:
    """Entries of several chunks as one."""
    where = zip(*(where for where, _, _ in entries), strict=True)
    return (
        tuple(map(np.concatenate, where)),
        np.concatenate([order for _, order, _ in entries]),
        np.concatenate([values for _, _, values in entries]),
    )


def _bad_index(
    call: _Call, target: _Target, codes: np.ndarray, position: tuple[int, ...]
) -> IndexError:
    """The error for an index at a position among the windows of a chunk."""
    whole = tuple(start + place for start, place in zip(target.start, position, strict=True))
    return bad_index(call.function, call.geometry, call.index_format, whole, codes[position])

"""The public functions: their documentation, and nothing but: validate, allocate, hand over."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, Literal, NamedTuple, SupportsIndex, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike

from . import arrays, dispatch, repeats
from .arguments import IndexFormat, Layout, check_flag, input_sizes
from .geometry import Geometry, pooling, unpooling

IntOrPair: TypeAlias = SupportsIndex | Sequence[SupportsIndex]
Padding: TypeAlias = IntOrPair | Sequence[Sequence[SupportsIndex]] | Literal["valid", "same"]
BackendName: TypeAlias = Literal["auto", "numpy", "numba"]


class PoolResult(NamedTuple):
    """What `maxpool2d` returns with ``return_indices=True``.

    Attributes
    ----------
    output : ndarray
        The maximum of every window.
    indices : ndarray of the shape of `output`
        Where in the input, or in the window, each maximum stands.
    """

    output: np.ndarray
    indices: np.ndarray


@overload
def maxpool2d(
    x: ArrayLike,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
    *,
    index_format: IndexFormat = "flat",
    layout: Layout = "NCHW",
    out: np.ndarray | None = None,
    backend: BackendName | None = None,
) -> np.ndarray: ...


@overload
def maxpool2d(
    x: ArrayLike,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
    index_format: IndexFormat = "flat",
    layout: Layout = "NCHW",
    out: tuple[np.ndarray, np.ndarray] | None = None,
    backend: BackendName | None = None,
) -> PoolResult: ...


@overload
def maxpool2d(
    x: ArrayLike,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    index_format: IndexFormat = "flat",
    layout: Layout = "NCHW",
    out: np.ndarray | tuple[np.ndarray, np.ndarray] | None = None,
    backend: BackendName | None = None,
) -> np.ndarray | PoolResult: ...


def maxpool2d(
    x: ArrayLike,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    index_format: IndexFormat = "flat",
    layout: Layout = "NCHW",
    out: np.ndarray | tuple[np.ndarray, np.ndarray] | None = None,
    backend: BackendName | None = None,
) -> np.ndarray | PoolResult:
    """Maximum over windows of the last two axes, with the argmax on request.

    Parameters
    ----------
    x : array_like, shape (..., H, W), or (..., H, W, C) with ``layout="NHWC"``
        The input: any number of leading axes, none included; any strides and byte order;
        read-only and memory-mapped arrays too. Dtypes: float16, float32, float64,
        bfloat16 (of ml_dtypes), int8 to int64, uint8 to uint64, bool.
    kernel_size : int or (int, int)
        Height and width of the window, in taps.
    stride : int or (int, int), optional
        Cells between the starts of neighbouring windows; `kernel_size` by default.
    padding : int, (int, int), ((int, int), (int, int)), "valid" or "same"
        Cells by which windows may reach beyond the input: for all sides, for (height,
        width), or ((top, bottom), (left, right)). "valid" is none; "same" makes the
        output ``ceil(size / stride)`` long, the odd cell at the bottom and right. There
        is no fill value: a tap outside the input is skipped.
    dilation : int or (int, int)
        Cells between neighbouring taps of a window.
    ceil_mode : bool
        Round the output size up instead of down, which lets the last window reach beyond
        the padded input. As in PyTorch and ONNX, it must start before the padding's end.
    return_indices : bool
        Whether to return the indices too.
    index_format : {"flat", "window"}
        What an index says. "flat": int64, ``h * W + w`` in the input without its padding,
        as in PyTorch. "window": ``kh * kernel_width + kw``, the position in the window, in
        the smallest of uint8, uint16 and uint32 that holds it.
    layout : {"NCHW", "NHWC"}
        Whether the channels stand before the spatial axes, or last.
    out : ndarray or (ndarray, ndarray), optional
        Where to put the output, or output and indices: the shape and dtype of the result,
        any strides, no overlap with `x`.
    backend : {"auto", "numpy", "numba"}, optional
        What computes the result, the same to the bit; by default what `use_backend`,
        `set_default_backend` or the environment variable ``FASTPOOL_BACKEND`` say.

    Returns
    -------
    output : ndarray, shape (..., OH, OW) or (..., OH, OW, C), dtype of `x`
        ``OH = floor((H + pad_top + pad_bottom - dilation * (KH - 1) - 1) / stride) + 1``.
    PoolResult(output, indices)
        With ``return_indices=True``.

    Raises
    ------
    ValueError
        An argument has a bad value or shape, or some window would hold no input cell.
    TypeError
        An argument has a bad type or dtype.
    MemoryError
        The result cannot be allocated, or the memory to compute it in; in the second case,
        what `out` holds is undefined.
    BackendUnavailable
        A backend asked for by name cannot be used here.

    See Also
    --------
    maxpool2d_backward : The gradient.
    maxunpool2d : The partial inverse.

    Notes
    -----
    The index is that of the first maximum of the window, rows first, as
    `numpy.argmax` gives it: ``-0.0`` and ``0.0`` are equal, a NaN is above every number
    and the first NaN wins. The output is the input element at that index, bit for bit.

    The cost grows with the sum of the window's sides, not with their product: the maximum
    of a window is the maximum of its rows' maxima, and neighbouring windows share those.

    Examples
    --------
    >>> x = np.array([[1, 5, 2, 0], [3, 4, 9, 9], [7, 7, 6, 8], [7, 0, 8, 1]])
    >>> fastpool.maxpool2d(x, 2)
    array([[5, 9],
           [7, 8]])
    >>> output, indices = fastpool.maxpool2d(x, 2, return_indices=True)
    >>> indices
    array([[ 1,  6],
           [ 8, 11]])
    >>> fastpool.maxpool2d(x, 2, return_indices=True, index_format="window").indices
    array([[1, 2],
           [0, 1]], dtype=uint8)
    """
    name = "maxpool2d"
    arguments = (
        kernel_size,
        stride,
        padding,
        dilation,
        ceil_mode,
        return_indices,
        index_format,
        layout,
    )
    chosen = dispatch.resolve(name, backend)
    key = repeats.key_of(x, arguments) if chosen != "numpy" else None
    repeat = repeats.find(key)
    if repeat is not None:
        try:
            found = repeats.outputs(repeat, x, out)
            if found is not None:
                output, places = found
                repeat.run(x, output, places)  # type: ignore[arg-type]
                return output if places is None else PoolResult(output, places)
        except MemoryError:
            pass  # met again below, where it is explained

    data = arrays.as_data(name, "x", x)
    check_flag(name, "return_indices", return_indices)
    geometry = pooling(
        name,
        "x",
        data.shape,
        kernel_size,
        stride,
        padding,
        dilation,
        ceil_mode,
        layout,
        index_format,
    )
    outs: tuple[Any, Any] = (out, None)
    if return_indices and out is not None:
        if not isinstance(out, tuple) or len(out) != 2:
            raise TypeError(f"{name}: out must be a pair (output, indices) with return_indices")
        outs = out
    shape = geometry.output_shape
    output = arrays.output(name, "out", outs[0], shape, data.dtype, (data,))
    places, wanted = None, None
    if return_indices:
        wanted = geometry.index_dtype(index_format)
        places = arrays.output(name, "out", outs[1], shape, wanted, (data, output))
    window = index_format == "window"
    module, _ = _run(
        name,
        chosen,
        "forward",
        (data.dtype, wanted, geometry.windows),
        data.size,
        geometry,
        geometry.canonical(data),
        geometry.canonical(output),
        None if places is None else geometry.canonical(places),
        window,
    )
    if key is not None:
        repeats.remember(key, module, geometry, data.dtype, wanted, window)
    output = output if outs[0] is None else outs[0]
    if places is None:
        return output
    return PoolResult(output, places if outs[1] is None else outs[1])


def maxpool2d_backward(
    grad_output: ArrayLike,
    indices: ArrayLike,
    input_shape: Sequence[SupportsIndex],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    *,
    index_format: IndexFormat = "flat",
    layout: Layout = "NCHW",
    out: np.ndarray | None = None,
    backend: BackendName | None = None,
) -> np.ndarray:
    """Gradient of `maxpool2d`: each window's gradient goes to the one cell it came from.

    Parameters
    ----------
    grad_output : array_like, shape of the output
        Gradient with respect to the output, of any dtype that `maxpool2d` takes.
    indices : array_like of integers, shape of the output
        The indices that `maxpool2d` returned, of any integer dtype. Every one is checked.
    input_shape : sequence of int
        Shape of the input of the pooling.
    kernel_size, stride, padding, dilation, ceil_mode, index_format, layout
        As they were given to `maxpool2d`.
    out : ndarray, optional
        Where to put the result; no overlap with `grad_output` and `indices`.
    backend : {"auto", "numpy", "numba"}, optional
        As in `maxpool2d`.

    Returns
    -------
    grad_input : ndarray, shape `input_shape`, dtype of `grad_output`
        It starts at ``+0.0``, and the gradients are added in the row-major order of the
        output positions, one at a time: the rounding of overlapping windows is defined.
        float16 and bfloat16 are added in float32 and rounded once; integers wrap.

    Raises
    ------
    IndexError
        An index is none of the taps of its own window. What `out` holds is then undefined.
    ValueError, TypeError, MemoryError, BackendUnavailable
        As in `maxpool2d`.

    Notes
    -----
    A mask ``x == output`` would send the gradient to every tied cell; an index sends it to
    one. When windows do not overlap, ``grad_input[indices] = grad_output`` is all there is
    to it; when they do, a sum in a fixed order.

    Examples
    --------
    >>> x = np.array([[1., 5., 5.], [5., 4., 9.]])
    >>> output, indices = fastpool.maxpool2d(x, 2, 1, return_indices=True)
    >>> fastpool.maxpool2d_backward([[10., 1.]], indices, x.shape, 2, 1)
    array([[ 0., 10.,  0.],
           [ 0.,  0.,  1.]])
    """
    name = "maxpool2d_backward"
    gradient = arrays.as_data(name, "grad_output", grad_output)
    geometry = pooling(
        name,
        "input_shape",
        input_sizes(name, input_shape),
        kernel_size,
        stride,
        padding,
        dilation,
        ceil_mode,
        layout,
        index_format,
    )
    arrays.check_shape(name, "grad_output", gradient.shape, geometry.output_shape)
    return _scatter(name, "backward", geometry, gradient, indices, index_format, out, backend)


def maxunpool2d(
    x: ArrayLike,
    indices: ArrayLike,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    output_size: Sequence[SupportsIndex] | None = None,
    *,
    dilation: IntOrPair = 1,
    index_format: IndexFormat = "flat",
    layout: Layout = "NCHW",
    out: np.ndarray | None = None,
    backend: BackendName | None = None,
) -> np.ndarray:
    """Put every value back to where its index says, and zero everywhere else.

    Parameters
    ----------
    x : array_like, shape (..., OH, OW), or (..., OH, OW, C) with ``layout="NHWC"``
        The output of a pooling, or anything of its shape.
    indices : array_like of integers, shape of `x`
        The indices of that pooling, of any integer dtype. Every one is checked.
    kernel_size, stride, padding, dilation, index_format, layout
        As they were given to `maxpool2d`.
    output_size : (int, int) or a whole shape, optional
        Height and width of the result, each less than one stride away from the default,
        ``(OH - 1) * stride - pad_top - pad_bottom + dilation * (KH - 1) + 1``. Inputs of
        several sizes pool to one shape; this says which one is meant. With padding "same"
        the default is ``OH * stride``, and all of the sizes that pool to OH are below.
    out : ndarray, optional
        Where to put the result; no overlap with `x` and `indices`.
    backend : {"auto", "numpy", "numba"}, optional
        As in `maxpool2d`.

    Returns
    -------
    output : ndarray, shape (..., H, W) or (..., H, W, C), dtype of `x`
        Where two indices are equal, the later output position in row-major order wins.

    Raises
    ------
    IndexError
        An index lies outside the plane, the window or the input. Flat indices may name any
        cell of the plane, as in PyTorch. What `out` holds is then undefined.
    ValueError, TypeError, MemoryError, BackendUnavailable
        As in `maxpool2d`.

    Examples
    --------
    >>> fastpool.maxunpool2d([[5, 9]], [[1, 6]], 2)
    array([[0, 5, 0, 0],
           [0, 0, 9, 0]])
    """
    name = "maxunpool2d"
    data = arrays.as_data(name, "x", x)
    geometry = unpooling(
        name,
        data.shape,
        kernel_size,
        stride,
        padding,
        output_size,
        dilation,
        layout,
        index_format,
    )
    return _scatter(name, "unpool", geometry, data, indices, index_format, out, backend)


def _scatter(
    name: str,
    function: Literal["backward", "unpool"],
    geometry: Geometry,
    values: np.ndarray,
    indices: ArrayLike,
    index_format: IndexFormat,
    out: np.ndarray | None,
    backend: str | None,
) -> np.ndarray:
    """The common part of backward and unpool, which differ in what they do at an index."""
    cells = geometry.counted_cells(index_format)
    places = arrays.as_indices(name, indices, geometry.output_shape, cells)
    inputs = (values, places)
    target = arrays.output(name, "out", out, geometry.input_shape, values.dtype, inputs)
    _, offender = _run(
        name,
        dispatch.resolve(name, backend),
        function,
        (values.dtype, places.dtype, geometry.windows),
        target.size,
        geometry,
        geometry.canonical(values),
        geometry.canonical(places),
        geometry.canonical(target),
        index_format == "window",
    )
    if offender is not None:
        position = tuple(map(int, np.unravel_index(offender, places.shape)))
        raise bad_index(name, geometry, index_format, position, places[position])
    return target if out is None else out


def bad_index(
    name: str,
    geometry: Geometry,
    index_format: IndexFormat,
    position: tuple[int, ...],
    value: np.integer[Any],
) -> IndexError:
    """What is raised for an index; its attribute `position` is for callers that passed a part."""
    free = name == "maxunpool2d" and index_format == "flat"
    where = "a cell of the plane" if free else "a tap of its window inside the input"
    error = IndexError(
        f"{name}: indices{list(position)} = {value} is not {where} "
        f"(index_format {index_format!r}, plane {(geometry.height.size, geometry.width.size)})"
    )
    error.position = position  # type: ignore[attr-defined]
    return error


def _run(
    name: str, backend: str, part: str, kinds: tuple[Any, ...], cells: int, *arguments: Any
) -> tuple[ModuleType, Any]:
    """`dispatch.run`, whose MemoryError says which function had too little."""
    try:
        return dispatch.run(backend, part, (name, *kinds), cells, *arguments)
    except MemoryError:
        raise arrays.out_of_memory(name) from None

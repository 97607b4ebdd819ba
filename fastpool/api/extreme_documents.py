"""The docstrings of the functions of maximum and minimum, and their examples."""

POOL = """{Extreme} over windows of the {axes}, with the arg{name} on request.

    Parameters
    ----------
    x : array_like, shape (..., {shape}), or (..., {shape}, C) with ``layout="{last}"``
        The input: any number of leading axes, none included; any strides and byte order;
        read-only and memory-mapped arrays too. Dtypes: float16, float32, float64,
        bfloat16 (of ml_dtypes), int8 to int64, uint8 to uint64, bool.
    {windows}
    ceil_mode : bool
        Round the output size up instead of down, which lets the last window reach beyond
        the padded input. As in PyTorch and ONNX, it must start before the padding's end.
    return_indices : bool
        Whether to return the indices too.
    index_format : {{"flat", "window"}}
        What an index says. "flat": int64, ``{flat}`` in the input without its padding,
        as in PyTorch. "window": ``{tap}``, the position in the window, in
        the smallest of uint8, uint16 and uint32 that holds it.
    layout : {{"{first}", "{last}"}}
        Whether the channels stand before the spatial axes, or last.
    out : ndarray or (ndarray, ndarray), optional
        Where to put the output, or output and indices: the shape and dtype of the result,
        any strides, no overlap with `x`.
    {backend}

    Returns
    -------
    output : ndarray, shape (..., {outputs}) or (..., {outputs}, C), dtype of `x`
        ``OW = floor((W + pad_left + pad_right - dilation * (KW - 1) - 1) / stride) + 1``, and
        so along each axis.
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
    {pool}_backward : The gradient.
    {unpool} : The partial inverse.

    Notes
    -----
    The index is that of the first {extreme} of the window, {order}, as
    `numpy.arg{name}` gives it: ``-0.0`` and ``0.0`` are equal, a NaN beats every number
    and the first NaN wins. The output is the input element at that index, bit for bit.

    The cost grows with the sum of the window's sides, not with their product: the {extreme}
    of a window is the {extreme} of its rows' {extremes}, and neighbouring windows share those.
"""

BACKWARD = """Gradient of `{pool}`: each window's gradient goes to the one cell it came from.

    Parameters
    ----------
    grad_output : array_like, shape of the output
        Gradient with respect to the output, of any dtype that `{pool}` takes.
    indices : array_like of integers, shape of the output
        The indices that `{pool}` returned, of any integer dtype. Every one is checked.
    input_shape : sequence of int
        Shape of the input of the pooling.
    kernel_size, stride, padding, dilation, ceil_mode, index_format, layout
        As they were given to `{pool}`.
    out : ndarray, optional
        Where to put the result; no overlap with `grad_output` and `indices`.
    backend : {{"auto", "numpy", "numba"}}, optional
        As in `{pool}`.

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
    TypeError
        As in `{pool}`, and for indices whose dtype cannot count the cells of a plane: these are
        window indices, and `index_format` must say so.
    ValueError, MemoryError, BackendUnavailable
        As in `{pool}`.

    Notes
    -----
    A mask ``x == output`` would send the gradient to every tied cell; an index sends it to
    one. When windows do not overlap, ``grad_input[indices] = grad_output`` is all there is
    to it; when they do, a sum in a fixed order.
"""

UNPOOL = """Put every value back to where its index says, and zero everywhere else.

    Parameters
    ----------
    x : array_like, shape (..., {outputs}), or (..., {outputs}, C) with ``layout="{last}"``
        The output of a pooling, or anything of its shape.
    indices : array_like of integers, shape of `x`
        The indices of that pooling, of any integer dtype. Every one is checked.
    kernel_size, stride, padding, dilation, index_format, layout
        As they were given to `{pool}`.
    output_size : {per_axis} or a whole shape, optional
        The spatial sizes of the result, each less than one stride away from the default,
        ``(OW - 1) * stride - pad_left - pad_right + dilation * (KW - 1) + 1``. Inputs of
        several sizes pool to one shape; this says which one is meant. With padding "same"
        the default is ``OW * stride``, and all of the sizes that pool to OW are below.
    out : ndarray, optional
        Where to put the result; no overlap with `x` and `indices`.
    backend : {{"auto", "numpy", "numba"}}, optional
        As in `{pool}`.

    Returns
    -------
    output : ndarray, shape (..., {shape}) or (..., {shape}, C), dtype of `x`
        Where two indices are equal, the later output position in row-major order wins.

    Raises
    ------
    IndexError
        An index lies outside the plane, the window or the input. Flat indices may name any
        cell of the plane, as in PyTorch. What `out` holds is then undefined.
    TypeError
        As in `{pool}`, and for indices whose dtype cannot count the cells of a plane: these are
        window indices, and `index_format` must say so.
    ValueError, MemoryError, BackendUnavailable
        As in `{pool}`.
"""

MODE = """Most frequent value of windows of the {axes}, with its place on request.

    Parameters
    ----------
    x : array_like, shape (..., {shape}), or (..., {shape}, C) with ``layout="{last}"``
        Labels: integers of 8 to 64 bits, or bools.
    {windows}
    ceil_mode, return_indices, index_format
        As in `maxpool{n}d`.
    layout : {{"{first}", "{last}"}}
        Whether the channels stand before the spatial axes, or last.
    out : ndarray or (ndarray, ndarray), optional
        Where to put the output, or output and indices, as in `maxpool{n}d`.
    {backend}

    Returns
    -------
    output : ndarray, shape (..., {outputs}) or (..., {outputs}, C), dtype of `x`
        The most frequent value of every window; of equally frequent ones that whose first cell
        comes first, {order}.
    PoolResult(output, indices)
        With ``return_indices=True``: the index is that of the value's first cell.

    Raises
    ------
    ValueError, TypeError, MemoryError, BackendUnavailable
        As in `maxpool{n}d`; TypeError for floats.

    See Also
    --------
    {unpool} : Puts values back to where indices say.
"""

_EXAMPLES = {
    "modepool2d": """
    >>> labels = np.array([[7, 7, 1, 2], [7, 3, 2, 1]], np.uint8)
    >>> fastpool.modepool2d(labels, 2, return_indices=True)
    PoolResult(output=array([[7, 1]], dtype=uint8), indices=array([[0, 2]]))
""",
    "maxpool1d": """
    >>> fastpool.maxpool1d([1, 5, 2, 0, 9, 9], 3, return_indices=True)
    PoolResult(output=array([5, 9]), indices=array([1, 4]))
""",
    "maxpool2d": """
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
""",
    "maxpool3d": """
    >>> x = np.arange(24).reshape(2, 3, 4)
    >>> fastpool.maxpool3d(x, (2, 2, 2), return_indices=True)
    PoolResult(output=array([[[17, 19]]]), indices=array([[[17, 19]]]))
""",
    "maxpool2d_backward": """
    >>> x = np.array([[1., 5., 5.], [5., 4., 9.]])
    >>> output, indices = fastpool.maxpool2d(x, 2, 1, return_indices=True)
    >>> fastpool.maxpool2d_backward([[10., 1.]], indices, x.shape, 2, 1)
    array([[ 0., 10.,  0.],
           [ 0.,  0.,  1.]])
""",
    "maxunpool2d": """
    >>> fastpool.maxunpool2d([[5, 9]], [[1, 6]], 2)
    array([[0, 5, 0, 0],
           [0, 0, 9, 0]])
""",
    "minpool1d": """
    >>> fastpool.minpool1d([1, 5, 2, 0, 9, 0], 3, return_indices=True)
    PoolResult(output=array([1, 0]), indices=array([0, 3]))
""",
    "minpool2d": """
    >>> x = np.array([[1, 5, 2, 0], [3, 4, 0, 9], [7, 7, 6, 8], [7, 0, 8, 1]], np.uint8)
    >>> fastpool.minpool2d(x, 2)
    array([[1, 0],
           [0, 1]], dtype=uint8)
    >>> output, indices = fastpool.minpool2d(x, 2, return_indices=True)
    >>> indices
    array([[ 0,  3],
           [13, 15]])

    `maxunpool2d` takes the indices of any pooling:

    >>> fastpool.maxunpool2d(output, indices, 2)[3]
    array([0, 0, 0, 1], dtype=uint8)
""",
    "minpool3d": """
    >>> x = np.arange(24).reshape(2, 3, 4)
    >>> fastpool.minpool3d(x, (2, 2, 2), return_indices=True)
    PoolResult(output=array([[[0, 2]]]), indices=array([[[0, 2]]]))
""",
    "minpool2d_backward": """
    >>> x = np.array([[9., 5., 5.], [5., 6., 1.]])
    >>> output, indices = fastpool.minpool2d(x, 2, 1, return_indices=True)
    >>> fastpool.minpool2d_backward([[10., 1.]], indices, x.shape, 2, 1)
    array([[ 0., 10.,  0.],
           [ 0.,  0.,  1.]])
""",
}


def example_of(name: str) -> str:
    """The examples of a function as a part of its docstring; none for those that have none."""
    if name not in _EXAMPLES:
        return ""
    return f"\n    Examples\n    --------{_EXAMPLES[name]}    "
